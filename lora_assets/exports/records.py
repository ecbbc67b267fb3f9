"""One record per crop: everything that any format writes of it. Names of files, captions and repeats are settled here.

What belongs elsewhere: pixels (pixels), what each trainer wants (writing).
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_assets.curation.splitting import TRAIN
from lora_assets.exports.caption_text import fault_of_line
from lora_assets.exports.pixels import DrawnCrop, FramePixels, bounds_of, draw_crop, mask_png
from lora_assets.exports.pool import ExportCrop
from lora_assets.exports.settings import ExportSettings
from lora_assets.specs import SpecError
from lora_assets.store import Store
from lora_assets.vision.crops import encode_png
from lora_assets.vision.cutout import Xyxy
from lora_assets.vision.images import ImageRefused
from lora_assets.vision.masks import Window, encode_mask

_CROP_ID = re.compile(r"[0-9a-f]{32}")
_FIT_NAME = re.compile(r"[A-Za-z0-9-]+")
RESERVED_ENDINGS = ("-masklabel", "-condlabel", "_mask")


class ExportRefused(SpecError):
    """An export cannot be made as it was asked for; the text says why and the way out. Nothing has been written."""


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """One picture of an export.

    name: stem of its files. picture, mask: encoded PNG files (8-bit; the mask L, 255 = learn). repeats: whole, from 1.
    head: xyxy, pixels of the picture; bounds: x, y, width, height of the figure; areas in pixels, of the figure and of
    the dilated mask; rle: COCO run lengths of the figure in the picture. thin_lost: see pixels.DrawnCrop.
    """

    name: str
    crop_id: str
    dataset: str
    frame_sha256: str
    frame_file: str
    window: Window
    width: int
    height: int
    caption: str
    part: str
    repeats: int
    head: Xyxy | None
    bounds: Window
    figure_area: int
    mask_area: int
    rle: bytes
    thin_lost: float
    picture: Path
    mask: Path


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A crop that was to be exported and is not, and why."""

    crop_id: str
    reason: str


def picture_name(crop_id: str) -> str:
    """The stem of a crop's files: its id, of a fixed width, so that a file leads back to its crop and no name is a
    prefix of another."""
    return crop_id if _CROP_ID.fullmatch(crop_id) else hashlib.sha256(crop_id.encode()).hexdigest()[:32]


def faults_of_names(names: Iterable[str]) -> list[str]:
    """In words, what a trainer could read wrongly in the stems of picture files.

    sd-scripts finds cached latents by prefix; OneTrainer and it reserve endings; see the design's TRAINERS.
    """
    faults: list[str] = []
    ordered = sorted(names)
    for name in ordered:
        if not _FIT_NAME.fullmatch(name):
            faults.append(f"{name!r}: file names hold ASCII letters, digits and '-' only")
        elif name.endswith(RESERVED_ENDINGS):
            faults.append(f"{name!r}: this ending means a mask to a trainer")
    for one, other in itertools.pairwise(ordered):
        if one == other:
            faults.append(f"{one!r}: two pictures have this name")
        elif other.startswith(one):
            faults.append(f"{one!r} is a prefix of {other!r}: a trainer that finds caches by prefix would mix them up")
    return faults


def repeats_factor(crops: Sequence[ExportCrop], settings: ExportSettings) -> float:
    """What the crops' own repeats are multiplied by, so that the mean of the training part is the setting's."""
    own = [crop.repeats for crop in crops if crop.part == TRAIN]
    return settings.repeats * len(own) / sum(own) if settings.repeats and own else 1.0


def whole_repeats(own: float, factor: float) -> int:
    """A crop's repeats times a factor, rounded half up, at least 1."""
    return max(1, int(own * factor + 0.5))


def make_records(
    store: Store,
    crops: Sequence[ExportCrop],
    captions: Mapping[str, str],
    settings: ExportSettings,
    folder: Path,
) -> tuple[list[ExportRecord], list[LeftOut]]:
    """Draw every crop into `folder` and describe it; the crops whose pixels cannot be had come back with the reason.

    Raises ExportRefused for a caption that is empty or holds a line break, and for names that do not fit.
    """
    check_captions(crops, captions)
    faults = faults_of_names(picture_name(crop.crop_id) for crop in crops)
    if faults:
        raise ExportRefused(f"{len(faults)} file names do not fit: {'; '.join(faults[:3])}")
    frames, factor = FramePixels(), repeats_factor(crops, settings)
    records: list[ExportRecord] = []
    left_out: list[LeftOut] = []
    for crop in crops:
        try:
            drawn = draw_crop(store, crop, frames, settings)
        except ImageRefused as refused:
            left_out.append(LeftOut(crop.crop_id, str(refused)))
            continue
        records.append(_record(crop, drawn, captions[crop.crop_id], factor, folder))
    return records, left_out


def check_captions(crops: Sequence[ExportCrop], captions: Mapping[str, str]) -> None:
    """Raise ExportRefused, naming the crops and the reasons, when a caption cannot be written."""
    faults = [(crop.crop_id, fault_of_line(captions.get(crop.crop_id, ""))) for crop in crops]
    bad = [f"crop {crop}: {fault}" for crop, fault in faults if fault]
    if bad:
        raise ExportRefused(
            f"{len(bad)} captions cannot be used ({'; '.join(bad[:3])}): set a trigger, or write them with "
            "lora-assets caption set CROP TEXT"
        )


def _record(crop: ExportCrop, drawn: DrawnCrop, caption: str, factor: float, folder: Path) -> ExportRecord:
    name = picture_name(crop.crop_id)
    picture, mask = folder / f"{name}.png", folder / f"{name}.mask.png"
    picture.write_bytes(encode_png(drawn.picture))
    mask.write_bytes(mask_png(drawn.mask))
    head = None if drawn.head is None else tuple(round(side, 1) for side in drawn.head)
    return ExportRecord(
        name=name, crop_id=crop.crop_id, dataset=crop.dataset, frame_sha256=crop.frame_sha256,
        frame_file=crop.files[0], window=drawn.window, width=drawn.picture.shape[1], height=drawn.picture.shape[0],
        caption=caption.strip(), part=crop.part, repeats=whole_repeats(crop.repeats, factor),
        head=head,  # pyright: ignore[reportArgumentType]
        bounds=bounds_of(drawn.figure), figure_area=int(drawn.figure.sum()), mask_area=int((drawn.mask > 0).sum()),
        rle=encode_mask(drawn.figure), thin_lost=round(drawn.thin_lost, 4), picture=picture, mask=mask,
    )  # fmt: skip
