"""What a trainer sees of an export against what it was meant to see: losses in words, and the reading's figures."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.curation.splitting import TRAIN
from lora_assets.exports.buckets import Size, kept_part
from lora_assets.exports.caption_text import fault_of_line
from lora_assets.exports.manifest import Manifest, MeantPicture, file_hashes, read_manifest
from lora_assets.exports.pixels import LATENT
from lora_assets.exports.place import MANIFEST
from lora_assets.exports.reading.seen import Export, Seen, SeenPicture
from lora_assets.exports.reading.sizes import mask_levels, picture_size
from lora_assets.exports.records import faults_of_names
from lora_assets.store import StoreError
from lora_assets.tables import ExportReading
from lora_assets.vision.cutout import Xyxy, share_inside

_AGAIN = "export again"
_WITHOUT_PATHS = ("coco", "huggingface")
_TOLD = 40
_HALF = 128
_UPSCALED = 2.0
_THIN_LIMIT = 0.02


@dataclass(slots=True)
class _Figures:
    """Sums over the pictures of a reading."""

    paired: int = 0
    missing: int = 0
    captions: int = 0
    head_cuts: list[float] = field(default_factory=list)
    mask_cuts: list[float] = field(default_factory=list)
    latent: list[float] = field(default_factory=list)
    upscaled: list[float] = field(default_factory=list)


def read_back(folder: Path, format_name: str, read: Callable[[Export], Seen]) -> ExportReading:
    """Read the export in `folder` with a trainer's reader and judge it.

    Everything that is lost or read otherwise than it was meant is a problem in words. Raises StoreError when there is
    no export, or its manifest cannot be understood or holds other settings than there are.
    """
    manifest = read_manifest(folder)
    if manifest is None:
        raise StoreError(f"{folder} holds no export (manifest.json is missing): export again")
    if manifest.format != format_name:
        raise StoreError(f"{folder} holds an export of the format {manifest.format}, not {format_name}")
    try:
        manifest.export_settings()
    except (TypeError, ValueError) as error:
        raise StoreError(f"{folder / MANIFEST} holds settings that cannot be used ({error}): {_AGAIN}") from error
    seen = as_seen(read, Export(folder, manifest))
    problems = [*_file_problems(folder, manifest), *seen.faults]
    figures = _Figures()
    problems += _picture_problems(seen, manifest, figures)
    problems += [
        f"{mask.relative_to(folder)}: a mask of no picture: remove it, or {_AGAIN}" for mask in seen.extra_masks
    ]
    problems += _cut_problems(manifest, figures)
    samples, dropped, batches, lost = _batches(seen)
    problems += lost
    problems += [f"{one.crop_id}: left out: {one.reason}" for one in manifest.left_out]
    problems = list(dict.fromkeys(problems))
    return ExportReading(
        format=format_name,
        folder=str(folder),
        version=manifest.inputs,
        trigger=manifest.trigger,
        images=sum(one.part == TRAIN for one in seen.pictures),
        validation_images=sum(one.part != TRAIN for one in seen.pictures),
        samples=samples,
        dropped_samples=dropped,
        batches=batches,
        captions=figures.captions,
        masks_paired=figures.paired,
        masks_missing=figures.missing,
        masks_extra=len(seen.extra_masks),
        buckets=len({one.bucket for one in seen.pictures if one.bucket and one.part == TRAIN}),
        mean_head_cut=_mean(figures.head_cuts),
        worst_head_cut=max(figures.head_cuts, default=0.0),
        mean_mask_cut=_mean(figures.mask_cuts),
        worst_mask_cut=max(figures.mask_cuts, default=0.0),
        least_latent_mask=min(figures.latent, default=1.0),
        losses=len(problems),
        problems=problems[:_TOLD],
        warnings=_warnings(seen, manifest, figures, dropped),
    )


def as_seen(read: Callable[[Export], Seen], export: Export) -> Seen:
    """What the reader sees; a configuration whose values make no sense stops a trainer, and is a loss here."""
    try:
        return read(export)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, ArithmeticError) as error:
        return Seen(faults=[f"the configuration holds a value that makes no sense ({error}): {_AGAIN}"])


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _file_problems(folder: Path, manifest: Manifest) -> list[str]:
    """Files that are not as they were written, or that no export wrote; and a configuration that leads elsewhere."""
    found = file_hashes(folder)
    problems = []
    named_here = Path(manifest.place) == folder.resolve() or manifest.export_settings().trainer_root
    if manifest.format not in _WITHOUT_PATHS and not named_here:
        problems.append(
            f"{folder}: the export was moved, and its configuration still names {manifest.place}: {_AGAIN} to where it "
            "shall lie, or set trainer_root"
        )
    problems += [f"{path}: the file is gone: {_AGAIN}" for path in sorted(set(manifest.files) - set(found))]
    problems += [f"{path}: no export wrote it: move it away" for path in sorted(set(found) - set(manifest.files))]
    changed = sorted(path for path in set(found) & set(manifest.files) if found[path] != manifest.files[path])
    return problems + [f"{path}: the file was changed after the export: {_AGAIN}" for path in changed]


def _picture_problems(seen: Seen, manifest: Manifest, figures: _Figures) -> list[str]:
    problems = faults_of_names(picture.name for picture in manifest.pictures)
    meant = {picture.name: picture for picture in manifest.pictures}
    times = Counter(picture.name for picture in seen.pictures)
    for name in sorted(set(meant) - set(times)):
        problems.append(f"{name}: the trainer does not find this picture: {_AGAIN}")
    for name in sorted(name for name in times if name not in meant):
        problems.append(f"{name}: the trainer takes this file for a picture, and it is none of the export: remove it")
    problems += [f"{name}: the trainer finds it {count} times" for name, count in sorted(times.items()) if count > 1]
    for picture in seen.pictures:
        if picture.name in meant:
            problems += _one_picture(picture, meant[picture.name], seen, figures)
    return problems


def _one_picture(picture: SeenPicture, meant: MeantPicture, seen: Seen, figures: _Figures) -> list[str]:
    problems = []
    size = picture_size(picture.path)
    if size != (meant.width, meant.height):
        problems.append(f"{picture.path.name}: it is {size}, meant was {(meant.width, meant.height)}: {_AGAIN}")
    if picture.part != meant.part:
        problems.append(f"{picture.name}: read as {picture.part}, meant for {meant.part}: {_AGAIN}")
    wanted = meant.repeats if meant.part == TRAIN else 1
    if seen.has_repeats and picture.repeats != wanted:
        problems.append(f"{picture.name}: {picture.repeats:g} repeats, meant were {wanted}: {_AGAIN}")
    if seen.has_captions:
        problems += _caption_problems(picture, meant, figures)
    if seen.has_masks:
        problems += _mask_problems(picture, meant, figures)
    if picture.bucket and size:
        kept = kept_part(*size, picture.bucket)
        figures.upscaled.append(max(picture.bucket[0] / size[0], picture.bucket[1] / size[1]))
        if not seen.has_masks:
            x, y, width, height = meant.bounds
            figures.mask_cuts.append(1.0 - share_inside((x, y, x + width, y + height), kept))
        if meant.head is not None:
            box: Xyxy = _clipped(meant.head, size)
            figures.head_cuts.append(1.0 - share_inside(box, kept) if box[2] > box[0] and box[3] > box[1] else 0.0)
    return problems


def _clipped(box: Sequence[float], size: Size) -> Xyxy:
    return max(0.0, box[0]), max(0.0, box[1]), min(float(size[0]), box[2]), min(float(size[1]), box[3])


def _caption_problems(picture: SeenPicture, meant: MeantPicture, figures: _Figures) -> list[str]:
    if picture.caption is None:
        return [f"{picture.name}: the trainer finds no caption: {_AGAIN}"]
    figures.captions += 1
    if fault := fault_of_line(picture.caption):
        return [f"{picture.name}: its caption cannot be used, {fault}: {_AGAIN}"]
    if picture.caption != meant.caption:
        return [f"{picture.name}: the caption is read as {picture.caption[:80]!r}, meant was {meant.caption[:80]!r}"]
    return []


def _mask_problems(picture: SeenPicture, meant: MeantPicture, figures: _Figures) -> list[str]:
    of_alpha = picture.mask == picture.path
    read = mask_levels(picture.mask, of_alpha=of_alpha) if picture.mask else None
    if picture.mask is None or read is None:
        figures.missing += 1
        return [f"{picture.name}: the trainer finds no mask, so the background is learned (or it stops): {_AGAIN}"]
    figures.paired += 1
    levels, mode = read
    problems = []
    if not of_alpha and mode != "L":
        problems.append(f"{picture.mask.name}: the mask is {mode}, meant is 8-bit grey (L): {_AGAIN}")
    if levels.shape != (meant.height, meant.width):
        told = f"{levels.shape[1]} x {levels.shape[0]}"
        return [*problems, f"{picture.mask.name}: the mask is {told}, the picture {meant.width} x {meant.height}"]
    area = int((levels >= _HALF).sum())
    if not area:
        return [*problems, f"{picture.mask.name}: the mask is black, so nothing is learned: {_AGAIN}"]
    if not of_alpha and area != meant.mask_area:
        problems.append(f"{picture.mask.name}: {area} pixels are learned, meant were {meant.mask_area}: {_AGAIN}")
    if picture.bucket:
        _measure_mask(levels, picture.bucket, figures)
    return problems


def _measure_mask(levels: npt.NDArray[np.uint8], bucket: Size, figures: _Figures) -> None:
    """What the bucket's crop leaves of a mask, and how much of that lies in latent cells which it half fills."""
    height, width = levels.shape
    left, top, right, bottom = kept_part(width, height, bucket)
    kept = levels[round(top) : max(round(top) + 1, round(bottom)), round(left) : max(round(left) + 1, round(right))]
    whole = float(levels.sum(dtype=np.float64))
    figures.mask_cuts.append(max(0.0, 1.0 - float(kept.sum(dtype=np.float64)) / whole))
    cells = (max(1, bucket[0] // LATENT), max(1, bucket[1] // LATENT))
    weights = np.asarray(cv2.resize(kept, cells, interpolation=cv2.INTER_AREA), np.float64)
    total = float(weights.sum())
    figures.latent.append(float(weights[weights >= _HALF - 0.5].sum()) / total if total else 0.0)


def _cut_problems(manifest: Manifest, figures: _Figures) -> list[str]:
    """Heads and masks that the bucket's crop takes more of than the settings allow."""
    settings = manifest.export_settings()
    problems = []
    for what, cuts, limit, name in (
        ("heads", figures.head_cuts, settings.most_head_cut, "most_head_cut"),
        ("masks", figures.mask_cuts, settings.most_mask_cut, "most_mask_cut"),
    ):
        cut = [share for share in cuts if share > limit]
        if cut:
            problems.append(
                f"{len(cut)} of {len(cuts)} {what} lose more than {limit:.0%} to the bucket's crop (worst "
                f"{max(cut):.0%}): widen margin, choose another resolution or more buckets, or raise {name}"
            )
    empty = sum(share == 0.0 for share in figures.latent)
    if empty:
        problems.append(
            f"{empty} masks fill no latent cell by half, so hardly anything of them is learned: raise mask_dilation"
        )
    return problems


def _batches(seen: Seen) -> tuple[int, int, int, list[str]]:
    """Samples of an epoch, those that fill no batch, batches, and the buckets that are never trained."""
    groups: dict[Size | None, list[SeenPicture]] = defaultdict(list)
    for picture in seen.pictures:
        if picture.part == TRAIN:
            groups[picture.bucket].append(picture)
    samples = dropped = batches = 0
    problems = []
    for bucket in sorted(groups, key=str):
        pictures = groups[bucket]
        count = int(sum(picture.repeats for picture in pictures))
        samples += count
        if not seen.drops_partial_batches:
            batches += ceil(count / seen.batch_size)
            continue
        kept = count // seen.batch_size * seen.batch_size
        batches += count // seen.batch_size
        dropped += count - kept
        gone = max(0, len(pictures) - kept) if seen.same_order else len(pictures) if not kept else 0
        if gone:
            told = f"{bucket[0]} x {bucket[1]}" if bucket else "without a size"
            problems.append(
                f"{gone} pictures of the bucket {told} ({pictures[0].name}) never fill a batch of {seen.batch_size} "
                f"and are not trained: lower batch_size, or raise repeats to {ceil(seen.batch_size / len(pictures))}"
            )
    return samples, dropped, batches, problems


def _warnings(seen: Seen, manifest: Manifest, figures: _Figures, dropped: int) -> list[str]:
    told = [*manifest.notes, *seen.remarks[:_TOLD]]
    if not seen.has_masks and seen.has_captions and manifest.format.startswith("kohya"):
        told.append("this layout carries no masks: the background is learned too; kohya-masks and kohya-alpha mask it")
    if dropped:
        told.append(f"{dropped} samples of an epoch fill no batch of {seen.batch_size} and are left out of it")
    large = sum(scale > _UPSCALED for scale in figures.upscaled)
    if large:
        told.append(
            f"{large} pictures are enlarged more than {_UPSCALED:g} times: leave small crops out, or train smaller"
        )
    thin = sum(picture.thin_lost > _THIN_LIMIT for picture in manifest.pictures)
    if thin and seen.has_masks:
        told.append(
            f"{thin} figures have more than {_THIN_LIMIT:.0%} of their pixels (thin ends) in latent cells that the "
            "mask fills less than half: raise mask_dilation"
        )
    return told
