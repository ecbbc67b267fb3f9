"""Which descriptor speaks for a crop, and the networks' answers kept by crop and weights.

A *space* is a descriptor whose vectors can be compared with each other: starter, ccip or arcface. What belongs
elsewhere: the networks (networks), the starter descriptor (descriptor), what likeness leads to (making).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lora_assets.identity import descriptor, networks
from lora_assets.identity.descriptions import Described, look_id, own_head, read_picture
from lora_assets.identity.descriptor import (
    ZONE_SIZE,
    ZONES,
    Descriptors,
    Xyxy,
    describe_figure,
    likenesses,
    shared_weight,
)
from lora_assets.identity.medium import DRAWN, PHOTOGRAPH, medium_of_many
from lora_assets.identity.networks import ARCFACE_SIZE, CCIP_SIZE, Embed, load_arcface, load_ccip
from lora_assets.identity.settings import ARCFACE, AUTO, CCIP, STARTER, IdentitySettings
from lora_assets.identity.tracker_crops import TrackerCrop
from lora_assets.models import ModelError, OpenWeights, resolve
from lora_assets.models.opening import weights_path
from lora_assets.models.registry import find
from lora_assets.store import Shelf, Store, digest
from lora_assets.tables import to_table
from lora_assets.tables.curation import CropEmbedding

FloatArray = npt.NDArray[np.floating]

CODE_VERSION = "2"

_CHUNK = 64
_LOADERS = {CCIP: load_ccip, ARCFACE: load_arcface}
_SIZES = {CCIP: CCIP_SIZE, ARCFACE: ARCFACE_SIZE}


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """One descriptor: its name, the version that comparable vectors share, and the network (None for the starter)."""

    name: str
    version: str
    embed: Embed | None = None

    def likeness(self, one: Descriptors, other: Descriptors) -> FloatArray:
        """(len(one), len(other)) from 0 to 1."""
        if self.embed is None:
            return likenesses(one, other)
        return np.clip(one.vectors[:, 0] @ other.vectors[:, 0].T, 0.0, 1.0)

    def evidence(self, one: Descriptors, other: Descriptors) -> FloatArray:
        """(len(one), len(other)) from 0 to 1: how much a likeness rests on; 0 where it says nothing."""
        if self.embed is None:
            return shared_weight(one, other)
        return np.minimum(one.weights[:, :1], other.weights[:, :1].T)


STARTER_SPACE = Space(STARTER, f"{STARTER} {descriptor.CODE_VERSION}")


def choose_spaces(
    crops: Sequence[TrackerCrop], described: Described, settings: IdentitySettings, data: Path
) -> tuple[dict[str, Space], tuple[str, ...]]:
    """The space of each dataset, and in words why a network is not used where one would fit.

    With `embedding` auto the medium of a dataset decides; a network without its weights is told and left out. Raises
    ModelError when the person named a network whose weights are not there or not what they are said to be.
    """
    notes: list[str] = []
    opened: dict[str, Space] = {}
    spaces: dict[str, Space] = {}
    for dataset in dict.fromkeys(crop.dataset for crop in crops):
        media = [medium for crop, medium in zip(crops, described.media, strict=True) if crop.dataset == dataset]
        medium = settings.medium if settings.medium != AUTO else medium_of_many(media)
        wish = settings.embedding
        if wish == AUTO:
            wish = {DRAWN: CCIP, PHOTOGRAPH: ARCFACE}.get(medium, STARTER)
            name = getattr(settings, wish, "")
            if wish != STARTER and not _is_there(name, data):
                notes.append(
                    f"{dataset} looks {medium}: {wish} would tell its characters apart, but its weights {name} are not "
                    f"there (lora-assets models pull {name}); the starter descriptor does it"
                )
                wish = STARTER
            elif wish == STARTER:
                notes.append(f"{dataset}: drawn or photographed cannot be told; the starter descriptor is used")
        if wish not in opened:
            opened[wish] = STARTER_SPACE if wish == STARTER else open_space(wish, getattr(settings, wish), data)
        spaces[dataset] = opened[wish]
    return spaces, tuple(notes)


def weights_digests(settings: IdentitySettings, data: Path) -> dict[str, str]:
    """The SHA-256 of the weights of each network that the settings may ask; why it cannot be opened where it cannot."""
    found: dict[str, str] = {}
    for network in _LOADERS if settings.embedding == AUTO else _LOADERS.keys() & {settings.embedding}:
        try:
            found[network] = resolve(getattr(settings, network), data).sha256
        except ModelError as error:
            found[network] = str(error)
    return found


def _is_there(name: str, data: Path) -> bool:
    known = find(name)
    try:
        return weights_path(known, data).is_file() if known is not None else bool(resolve(name, data))
    except ModelError:
        return False


def open_space(name: str, weights: str, data: Path) -> Space:
    """The space of a network. Raises ModelError when its weights are absent, altered or of another signature."""
    opened: OpenWeights = resolve(weights, data)
    return Space(name, f"{name} {opened.sha256[:16]} {networks.CODE_VERSION}", _LOADERS[name](opened.path))


def embed_crops(store: Store, space: Space, crops: Sequence[TrackerCrop], described: Described) -> Descriptors:
    """The descriptors of crops in a space, in their order; `described` are the same crops. Networks are asked once for
    each crop and its heads, in chunks that are kept at once."""
    if space.embed is None:
        return described.figures
    size = _SIZES[space.name]
    shelf = _shelf(store, space)
    done = shelf.done()
    names = [_kept_by(space, crop) for crop in crops]
    missing = [crop for name, crop in dict(zip(names, crops, strict=True)).items() if name not in done]
    for start in range(0, len(missing), _CHUNK):
        part = missing[start : start + _CHUNK]
        shown = [(crop, *_cutout(store, crop)) for crop in part]
        seen = [(crop, cutout, head) for crop, cutout, head in shown if cutout is not None]
        vectors = space.embed([cutout for _, cutout, _ in seen], [head for _, _, head in seen])
        rows = [
            CropEmbedding(_kept_by(space, crop), vector.astype(np.float16).tobytes() if vector.any() else b"")
            for (crop, _, _), vector in zip(seen, vectors, strict=True)
        ]
        if rows:
            shelf.append(to_table(rows, CropEmbedding), [row.look_id for row in rows])
    known = {row["look_id"]: row["vector"] for _, table in shelf.read(names) for row in table.to_pylist()}
    vectors = np.zeros((len(crops), 1, size), np.float32)
    for place, name in enumerate(names):
        if known.get(name):
            vectors[place, 0] = np.frombuffer(known[name], np.float16)
    return Descriptors(vectors, (np.linalg.norm(vectors, axis=2) > 0).astype(np.float32))


def _shelf(store: Store, space: Space) -> Shelf:
    return store.shelf("embeddings", digest("embeddings", CODE_VERSION, space.version), CropEmbedding, key="look_id")


def _kept_by(space: Space, crop: TrackerCrop) -> str:
    """The crop's key on the shelf. CCIP looks at the whole figure: other heads change nothing for it."""
    return look_id(crop if space.name == ARCFACE else replace(crop, heads=()))


def not_embedded(store: Store, space: Space, crops: Sequence[TrackerCrop]) -> list[str]:
    """The ids of crops that a network could not be shown, since their pictures are gone: ask after embed_crops."""
    done = _shelf(store, space).done() if space.embed is not None else None
    return [] if done is None else sorted(crop.crop_id for crop in crops if _kept_by(space, crop) not in done)


def _cutout(store: Store, crop: TrackerCrop) -> tuple[npt.NDArray[np.uint8] | None, Xyxy | None]:
    """The crop's picture, or its thumbnail for a vetoed crop, with the head's box in it."""
    found = read_picture(store.picture("crops", crop.crop_id, ".png")) if crop.has_picture else None
    found = read_picture(store.picture("thumbs", crop.crop_id, ".webp")) if found is None else found
    if found is None:
        return None, None
    scale = found.shape[0] / max(1.0, crop.window[3] - crop.window[1])
    return found, own_head(found, [(a * scale, b * scale, c * scale, d * scale) for a, b, c, d in crop.heads])


def embed_cutouts(space: Space, cutouts: Sequence[npt.NDArray[np.uint8]], heads: Sequence[Xyxy | None]) -> Descriptors:
    """The descriptors of cut-outs that are no crops of a tracker (reference pictures), in their order."""
    if not cutouts:
        zones, size = (len(ZONES), ZONE_SIZE) if space.embed is None else (1, _SIZES[space.name])
        return Descriptors(np.zeros((0, zones, size), np.float32), np.zeros((0, zones), np.float32))
    if space.embed is None:
        vectors, weights = zip(*(describe_figure(c, h) for c, h in zip(cutouts, heads, strict=True)), strict=True)
        return Descriptors(np.stack(vectors), np.stack(weights))
    found = space.embed(cutouts, heads)[:, None]
    return Descriptors(found, (np.linalg.norm(found, axis=2) > 0).astype(np.float32))
