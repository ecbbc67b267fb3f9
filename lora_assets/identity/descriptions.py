"""How every crop and every frame of a tracker looks, kept by content: each picture is described once.

Crops are seen by their thumbnails (256 pixels a side are more than the starter descriptor needs); a vetoed crop has one
too. What belongs elsewhere: the descriptors themselves (descriptor, likeness, shots), networks (embedding).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_assets.identity import descriptor, likeness, medium, shots
from lora_assets.identity.descriptor import ZONE_SIZE, ZONES, Descriptors, describe_figure
from lora_assets.identity.likeness import TINY_SIZE, cutout_phash, pixel_digest, tiny_picture
from lora_assets.identity.medium import UNSURE, medium_of
from lora_assets.identity.shots import SIGNATURE_SIZE, frame_signature, mixed_frames, shot_numbers
from lora_assets.identity.tracker_crops import TrackerCrop, TrackerCrops, Xyxy
from lora_assets.store import Shelf, Store, digest
from lora_assets.tables import to_table
from lora_assets.tables.curation import CropDescription, FrameSignature
from lora_assets.vision.picture_errors import UNREADABLE

FloatArray = npt.NDArray[np.floating]
CODE_VERSION = "-".join(("2", descriptor.CODE_VERSION, likeness.CODE_VERSION, medium.CODE_VERSION))
DESCRIPTION_RECIPE = digest("descriptions", CODE_VERSION, descriptor.ZONE_SIZE)
SIGNATURE_RECIPE = digest("signatures", shots.CODE_VERSION)
_CHUNK = 512
_LEAST_COVERED = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """N crops in the order they were asked for: descriptors; tiny pictures (N, TINY_SIZE) float32; perceptual hashes
    (N,) uint64; pixel digests, "" where there was no picture; media; the box of each one's own head in pixels of the
    crop, None where none was found."""

    figures: Descriptors
    tiny: FloatArray
    phashes: npt.NDArray[np.uint64]
    pixels: tuple[str, ...]
    media: tuple[str, ...]
    heads: tuple[Xyxy | None, ...]

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """(N,) True for a crop whose picture could be read."""
        return np.array([bool(name) for name in self.pixels], np.bool_)


def read_picture(path: Path) -> npt.NDArray[np.uint8] | None:
    """A stored picture as RGBA HxWx4; None when it is gone or damaged (a run of the tracker draws it anew)."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as picture:
            return np.asarray(picture.convert("RGBA"))
    except UNREADABLE:
        return None


def look_id(crop: TrackerCrop) -> str:
    """What a crop's row on a shelf is kept by: its frame and mask (the crop id), the heads that may be its own, and
    which picture shows it. With other heads, as a further detector finds them, it is looked at anew."""
    return digest(crop.crop_id, crop.heads, crop.has_picture)


def unseen_crops(crops: Sequence[TrackerCrop], described: Described) -> list[str]:
    """The ids of crops without any picture, of `described` ones in the same order. What is published of them goes by
    another version, so that it is made again when their pictures are back."""
    return sorted(crop.crop_id for crop, seen in zip(crops, described.seen, strict=True) if not seen)


def describe_crops(store: Store, crops: Sequence[TrackerCrop]) -> Described:
    """The descriptions of crops, in their order; those not on the shelf yet are made. A crop without any picture is
    described as unseen and asked again the next time."""
    shelf = store.shelf("descriptions", DESCRIPTION_RECIPE, CropDescription, key="look_id")
    done = shelf.done()
    names = [look_id(crop) for crop in crops]
    missing = [crop for name, crop in dict(zip(names, crops, strict=True)).items() if name not in done]
    for start in range(0, len(missing), _CHUNK):
        rows = [row for row in (_describe(store, crop) for crop in missing[start : start + _CHUNK]) if row is not None]
        if rows:
            shelf.append(to_table(rows, CropDescription), [row.look_id for row in rows])
    return _read_descriptions(shelf, names)


def _describe(store: Store, crop: TrackerCrop) -> CropDescription | None:
    thumb = read_picture(store.picture("thumbs", crop.crop_id, ".webp"))
    if thumb is None:
        return None
    scale = thumb.shape[0] / max(1.0, crop.window[3] - crop.window[1])
    heads = [(x1 * scale, y1 * scale, x2 * scale, y2 * scale) for x1, y1, x2, y2 in crop.heads]
    whole = read_picture(store.picture("crops", crop.crop_id, ".png")) if crop.has_picture else None
    head = own_head(thumb, heads)
    vectors, weights = describe_figure(thumb, head)
    return CropDescription(
        look_id(crop),
        vectors.astype(np.float16).tobytes(),
        [float(weight) for weight in weights],
        np.rint(tiny_picture(thumb) * 255.0).astype(np.uint8).tobytes(),
        cutout_phash(thumb),
        pixel_digest(thumb if whole is None else whole),
        medium_of(thumb),
        [] if head is None else list(crop.heads[heads.index(head)]),
    )


def own_head(rgba: npt.NDArray[np.uint8], heads: Iterable[Xyxy]) -> Xyxy | None:
    """Of head boxes in pixels of a cut-out the first whose middle is half covered by the mask, else None."""
    for x1, y1, x2, y2 in heads:
        dx, dy = 0.2 * (x2 - x1), 0.2 * (y2 - y1)
        part = rgba[max(0, round(y1 + dy)) : max(1, round(y2 - dy)), max(0, round(x1 + dx)) : max(1, round(x2 - dx)), 3]
        if part.size and float((part >= 128).mean()) >= _LEAST_COVERED:
            return x1, y1, x2, y2
    return None


def _read_descriptions(shelf: Shelf, names: Sequence[str]) -> Described:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    vectors = np.zeros((len(names), len(ZONES), ZONE_SIZE), np.float16)
    weights = np.zeros((len(names), len(ZONES)), np.float32)
    tiny = np.zeros((len(names), TINY_SIZE), np.float32)
    phashes = np.zeros(len(names), np.uint64)
    pixels, media = [""] * len(names), [UNSURE] * len(names)
    heads: list[Xyxy | None] = [None] * len(names)
    for _, table in shelf.read(names):
        for row in table.to_pylist():
            for place in places[row["look_id"]]:
                vectors[place] = np.frombuffer(row["vectors"], np.float16).reshape(len(ZONES), ZONE_SIZE)
                weights[place] = row["zone_weights"]
                tiny[place] = np.frombuffer(row["tiny"], np.uint8).astype(np.float32) / 255.0
                phashes[place] = int(row["phash"], 16)
                pixels[place], media[place] = row["pixels"], row["medium"]
                if row["head"]:
                    x1, y1, x2, y2 = row["head"]
                    heads[place] = x1, y1, x2, y2
    return Described(Descriptors(vectors, weights), tiny, phashes, tuple(pixels), tuple(media), tuple(heads))


def find_shots(store: Store, films: TrackerCrops) -> dict[str, dict[int, str]]:
    """The shot of each frame of each dataset, by the frame's number in the film: dataset and number, "film 0012".

    A frame whose thumbnail is gone counts as black: it belongs to the shot before it.
    """
    shots_of: dict[str, dict[int, str]] = {}
    for dataset, signatures in _signatures(store, films).items():
        numbers = shot_numbers(signatures)
        shots_of[dataset] = {place: f"{dataset} {int(number):04d}" for place, number in enumerate(numbers)}
    return shots_of


def find_mixed(store: Store, films: TrackerCrops) -> set[tuple[str, int]]:
    """Dataset and number of the frames that show two shots at once (dissolves)."""
    return {
        (dataset, int(place))
        for dataset, signatures in _signatures(store, films).items()
        for place in np.flatnonzero(mixed_frames(signatures))
    }


def unseen_frames(store: Store, films: TrackerCrops) -> list[str]:
    """The hashes of frames whose shots were found without their thumbnails: ask after find_shots or find_mixed."""
    done = store.shelf("signatures", SIGNATURE_RECIPE, FrameSignature).done()
    return sorted({sha256 for film in films.films.values() for sha256 in film} - done)


def _signatures(store: Store, films: TrackerCrops) -> dict[str, FloatArray]:
    """(frames, SIGNATURE_SIZE) of each dataset in the order of its film; those not on the shelf yet are made."""
    wanted = list(dict.fromkeys(sha256 for film in films.films.values() for sha256 in film))
    shelf = store.shelf("signatures", SIGNATURE_RECIPE, FrameSignature)
    done = shelf.done()
    missing = [sha256 for sha256 in wanted if sha256 not in done]
    for start in range(0, len(missing), _CHUNK):
        rows = []
        for sha256 in missing[start : start + _CHUNK]:
            picture = read_picture(store.picture("frame_thumbs", sha256, ".webp"))
            if picture is not None:
                values = frame_signature(np.ascontiguousarray(picture[..., :3])).astype(np.float16)
                rows.append(FrameSignature(sha256, values.tobytes()))
        if rows:
            shelf.append(to_table(rows, FrameSignature), [row.frame_sha256 for row in rows])
    known = {
        row["frame_sha256"]: np.frombuffer(row["values"], np.float16).astype(np.float32)
        for _, table in shelf.read(wanted)
        for row in table.to_pylist()
    }
    black = np.zeros(SIGNATURE_SIZE, np.float32)
    return {
        dataset: np.stack([known.get(sha256, black) for sha256 in film]) if film else np.zeros((0, SIGNATURE_SIZE))
        for dataset, film in films.films.items()
    }
