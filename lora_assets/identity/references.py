"""Reference pictures of characters: folders of `data/references`, each one character, read as cut-outs with a head.

A picture with transparency is taken as it is; of any other the surest body is found and cut out by the starter models.
What belongs elsewhere: describing cut-outs (embedding), what likeness means (making).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lora_assets.identity.descriptions import own_head, read_picture
from lora_assets.identity.descriptor import Xyxy
from lora_assets.identity.registry import same_name
from lora_assets.specs import SpecError
from lora_assets.vision.images import ImageRefused, RgbImage, decode_image, read_file

_CLEAR_SHARE = 0.02

Cut = Callable[[RgbImage], tuple[npt.NDArray[np.uint8], tuple[Xyxy, ...]] | None]
"""A picture in, its surest figure as RGBA cut-out with the head boxes in it out; None where there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class ReferencePicture:
    """One picture of a character: the cut-out HxWx4 and its head's box in it, None where none was found."""

    character: str
    sha256: str
    cutout: npt.NDArray[np.uint8]
    head: Xyxy | None


@dataclass(frozen=True, slots=True)
class ReferencesRead:
    """The pictures of all characters, and in words what could not be used."""

    pictures: tuple[ReferencePicture, ...]
    problems: tuple[str, ...] = ()


def reference_folders(data: Path, wanted: Sequence[str] = ()) -> dict[str, Path]:
    """The folders of reference pictures by character, all of them or those named.

    Raises SpecError when a named one is missing and when two folders read as one name.
    """
    root = data / "references"
    found = {path.name: path for path in sorted(root.glob("*")) if path.is_dir() and not path.name.startswith(".")}
    if missing := [name for name in wanted if name not in found]:
        raise SpecError(
            f"section [identity], references: there is no folder {', '.join(missing)} in {root}; "
            f"there are: {', '.join(found) or 'none'}"
        )
    names = [name for name in found if not wanted or name in wanted]
    for place, name in enumerate(names):
        for other in names[:place]:
            if same_name(name, other):
                raise SpecError(f"{root}: the folders {other!r} and {name!r} read as one name: rename or join them")
    return {name: found[name] for name in names}


def references_digest(folders: dict[str, Path]) -> str:
    """A digest of the files' names, sizes and times: what was read before need not be read again while it stands."""
    told = [
        f"{name}/{path.name}|{path.stat().st_size}|{path.stat().st_mtime_ns}"
        for name, folder in folders.items()
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".")
    ]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def read_references(folders: dict[str, Path], cut: Cut | None = None) -> ReferencesRead:
    """The pictures of reference folders. `cut` finds the figure in a picture without transparency; the starter models
    do it when it is None."""
    pictures: list[ReferencePicture] = []
    problems: list[str] = []
    for character, folder in folders.items():
        before = len(pictures)
        for path in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
            try:
                content = read_file(path)
                pixels = decode_image(content).pixels
            except (ImageRefused, OSError) as error:
                problems.append(f"{path.name}: {error}")
                continue
            made = _cutout(path, pixels, cut or starter_cut)
            if made is None:
                problems.append(f"{character}/{path.name}: no figure was found in it")
                continue
            pictures.append(ReferencePicture(character, hashlib.sha256(content).hexdigest(), *made))
        if len(pictures) == before:
            problems.append(f"{character}: the folder {folder} holds no picture that can be used")
    return ReferencesRead(tuple(pictures), tuple(problems))


def _cutout(path: Path, pixels: RgbImage, cut: Cut) -> tuple[npt.NDArray[np.uint8], Xyxy | None] | None:
    clear = read_picture(path)
    if clear is not None and float((clear[..., 3] < 128).mean()) >= _CLEAR_SHARE and (clear[..., 3] >= 128).any():
        solid = np.where(clear[..., 3:] >= 128, clear, 0).astype(np.uint8)
        found = cut(np.where(solid[..., 3:] > 0, solid[..., :3], 255).astype(np.uint8))
        heads = found[1] if found is not None else ()
        return solid, own_head(solid, heads)
    found = cut(pixels)
    return None if found is None else (found[0], own_head(found[0], found[1]))


@lru_cache(maxsize=1)
def _starters() -> Callable[[RgbImage], tuple[npt.NDArray[np.uint8], tuple[Xyxy, ...]] | None]:
    from lora_assets.models import resolve
    from lora_assets.vision.detect import DetectSettings, detect_frame, load_detector
    from lora_assets.vision.segment import SegmentSettings, load_segmenter

    settings = DetectSettings()
    nowhere = Path()  # starter weights come inside the package
    detector = load_detector(resolve(settings.weights[0], nowhere), settings)
    segmenter = load_segmenter(resolve("starter-sam", nowhere), SegmentSettings())

    def cut(image: RgbImage) -> tuple[npt.NDArray[np.uint8], tuple[Xyxy, ...]] | None:
        found = detect_frame(image, "0" * 64, [detector], settings)
        bodies = [row for row in found if row.is_subject]
        if not bodies:
            return None
        body = max(bodies, key=lambda row: row.confidence * (row.x2 - row.x1) * (row.y2 - row.y1))
        (mask,) = segmenter(image, np.array([[body.x1, body.y1, body.x2, body.y2]]))
        whole = np.zeros((*image.shape[:2], 4), np.uint8)
        held = np.zeros(image.shape[:2], np.bool_)
        height, width = mask.mask.shape
        held[mask.y : mask.y + height, mask.x : mask.x + width] = mask.mask
        whole[held] = np.dstack((image, np.full(image.shape[:2], 255, np.uint8)))[held]
        heads = [
            (row.label != "head", -row.confidence, (row.x1, row.y1, row.x2, row.y2))
            for row in found
            if row.label in ("head", "face")
        ]
        return (whole, tuple(box for _, _, box in sorted(heads))) if held.any() else None

    return cut


def starter_cut(image: RgbImage) -> tuple[npt.NDArray[np.uint8], tuple[Xyxy, ...]] | None:
    """The surest large figure of a picture with its heads, by the starter models."""
    return _starters()(image)
