"""Masks of pictures outside any tracker: a file or a folder in, masks and cut-outs out, one picture after another.

Every picture has a record of its own under `OUT/records`, written after its masks; a picture whose record tells the
same content, model and prompts is not looked at again. Originals are only read. How boxes are read is in asked_boxes,
what a model answers in vision.prompted.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from lora_assets.main_line.asked_boxes import AskedBox, AskedBoxes
from lora_assets.progress import Listener, Progress, nobody
from lora_assets.specs import SpecError
from lora_assets.store import atomic_write_bytes, atomic_write_json, digest
from lora_assets.vision import images
from lora_assets.vision.crops import encode_png
from lora_assets.vision.images import ImageRefused, ReadSettings, RgbImage
from lora_assets.vision.masks import BoolMask, encode_mask, mask_bounds
from lora_assets.vision.prompted import Prompted, PromptError

RECORDS, MASKS, CUTOUTS, COCO_FILE = "records", "masks", "cutouts", "annotations.json"
SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"))
_FORMAT = 1

FindBoxes = Callable[[RgbImage, str], Sequence[AskedBox]]
"""The boxes of a picture (and its hash) for which none are given."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of every picture: boxes of a file, else clicks (x, y, 1 or 0), else what `find` finds."""

    boxes: AskedBoxes | None = None
    points: tuple[tuple[float, float, int], ...] = ()
    find: FindBoxes | None = None
    finder: str = ""
    """what finds boxes, for records: a finder with other weights or settings is another one"""


@dataclass(frozen=True, slots=True)
class SegmentedFile:
    """What became of one picture: how many masks, whether they were there already, or why there are none."""

    name: str
    masks: int = 0
    skipped: bool = False
    reason: str = ""


def pictures_below(source: Path, out: Path) -> list[tuple[Path, PurePosixPath]]:
    """The pictures of a folder (or the one file) with the name by which each is known, sorted; what lies in `out` and
    hidden files are left out. Raises SpecError when there is nothing."""
    if source.is_file():
        return [(source, PurePosixPath(source.name))]
    if not source.is_dir():
        raise SpecError(f"{source} is neither a picture nor a folder")
    inside_out = out.resolve()
    found = [
        (path, PurePosixPath(path.relative_to(source).as_posix()))
        for path in sorted(source.rglob("*"))
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
        and not path.resolve().is_relative_to(inside_out)
    ]  # fmt: skip
    if not found:
        raise SpecError(f"{source} holds no picture ({', '.join(sorted(SUFFIXES))})")
    return found


def segment_files(
    pictures: Sequence[tuple[Path, PurePosixPath]],
    out: Path,
    asked: Asked,
    model_key: str,
    open_model: Callable[[], Prompted],
    *,
    cutouts: bool = True,
    settings: ReadSettings = ReadSettings(),
    listen: Listener = nobody,
) -> Iterator[SegmentedFile]:
    """Segment pictures and tell of each what became of it. The model is opened when the first picture needs it.

    `model_key` tells its weights (their SHA-256). Raises StoreError when `out` cannot be written.
    """
    model: list[Prompted] = []
    bare = Counter(name.name for _, name in pictures)
    for done, (path, name) in enumerate(pictures, start=1):
        given = asked.boxes.of(name, bare[name.name] == 1) if asked.boxes else ()
        yield _segment_file(path, name, out, asked, given, model_key, open_model, model, cutouts, settings)
        listen(Progress("segment", done, len(pictures), "pictures"))


def _segment_file(
    path: Path, name: PurePosixPath, out: Path, asked: Asked, given: Sequence[AskedBox], model_key: str,
    open_model: Callable[[], Prompted], model: list[Prompted], cutouts: bool, settings: ReadSettings,
) -> SegmentedFile:  # fmt: skip
    if asked.boxes and not given:
        several = (
            f": several pictures are called {name.name}, tell its path there" if asked.boxes.of(name, True) else ""
        )
        return SegmentedFile(str(name), reason=f"the file of boxes has none of it{several}")
    try:
        content = images.read_file(path)
        sha256 = hashlib.sha256(content).hexdigest()
        told = [[list(box.box), box.label] for box in given]
        key = digest(_FORMAT, sha256, model_key, told, asked.points, asked.finder, cutouts)
        known = _known_record(out, name, key)
        if known is not None:
            return SegmentedFile(str(name), len(known["masks"]), skipped=True)
        image = images.decode_image(content, settings).pixels
    except ImageRefused as refused:
        return SegmentedFile(str(name), reason=str(refused))
    if not model:
        model.append(open_model())
    try:
        masks = list(_answers(image, sha256, given, asked, model[0]))
    except (PromptError, ValueError, RuntimeError, cv2.error, MemoryError) as error:
        # One odd picture, or one box that does not fit, costs this picture and no other.
        return SegmentedFile(str(name), reason=str(error) or type(error).__name__)
    record = {"key": key, "file": str(name), "sha256": sha256, "model": model[0].name}
    _write(out, name, image, masks, record, cutouts)
    return SegmentedFile(str(name), len(masks))


def _known_record(out: Path, name: PurePosixPath, key: str) -> dict[str, Any] | None:
    """The picture's record, when it tells the same and the files that it names are there."""
    try:
        record = json.loads((out / RECORDS / f"{name}.json").read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict) or record.get("key") != key:
        return None
    files = [file for one in record["masks"] for file in (one["mask"], one.get("cutout")) if file]
    return record if all((out / file).is_file() for file in files) else None


def _answers(
    image: RgbImage, sha256: str, given: Sequence[AskedBox], asked: Asked, model: Prompted
) -> Iterator[tuple[AskedBox | None, BoolMask, float]]:
    embedding = model.embed(image)
    if not given and asked.points:
        points, labels = [point[:2] for point in asked.points], [point[2] for point in asked.points]
        found = model.predict(embedding, points=points, labels=labels)
        yield None, found.masks[0], float(found.scores[0])
        return
    boxes = given or (asked.find(image, sha256) if asked.find else ())
    for box in boxes:
        found = model.predict(embedding, box=box.box)
        yield box, found.masks[0], float(found.scores[0])


def _write(
    out: Path, name: PurePosixPath, image: RgbImage, masks: Iterable[tuple[AskedBox | None, BoolMask, float]],
    record: dict[str, Any], cutouts: bool,
) -> None:  # fmt: skip
    """Masks and cut-outs first, then the record, so that a record always tells of files that are whole: the one before
    goes first, and files of its that the new one does not name go last."""
    (out / RECORDS / f"{name}.json").unlink(missing_ok=True)
    told: list[dict[str, Any]] = []
    for number, (box, mask, score) in enumerate(masks, start=1):
        file = f"{MASKS}/{name}/{number:02d}.png"
        atomic_write_bytes(out / file, _mask_png(mask), durable=False)
        bounds = mask_bounds(mask)
        entry: dict[str, Any] = {
            "mask": file, "score": round(score, 4), "area": int(np.count_nonzero(mask)),
            "bounds": list(bounds) if bounds else None, "rle": encode_mask(mask).decode(),
            "box": list(box.box) if box else None, "label": box.label if box else "",
        }  # fmt: skip
        if cutouts and bounds is not None:
            x, y, width, height = bounds
            alpha = mask[y : y + height, x : x + width].astype(np.uint8) * np.uint8(255)
            pixels = image[y : y + height, x : x + width] * (alpha[..., None] > 0)
            entry["cutout"] = f"{CUTOUTS}/{name}/{number:02d}.png"
            atomic_write_bytes(out / entry["cutout"], encode_png(np.dstack((pixels, alpha))), durable=False)
        told.append(entry)
    height, width = image.shape[:2]
    atomic_write_json(out / RECORDS / f"{name}.json", {**record, "width": width, "height": height, "masks": told})
    _drop_others(out, name, {entry[kind] for entry in told for kind in ("mask", "cutout") if kind in entry})


def _drop_others(out: Path, name: PurePosixPath, named: Collection[str]) -> None:
    """Remove the picture's numbered masks and cut-outs that its record does not name: they are of an earlier run."""
    for kind in (MASKS, CUTOUTS):
        for path in (out / kind / name).glob("*.png"):
            if path.stem.isdecimal() and f"{kind}/{name}/{path.name}" not in named and path.is_file():
                path.unlink()


def _mask_png(mask: BoolMask) -> bytes:
    """A grey PNG: 255 on the mask."""
    done, content = cv2.imencode(".png", mask.astype(np.uint8) * np.uint8(255))
    if not done:
        raise ValueError("the mask could not be written as PNG")
    return content.tobytes()


def write_coco_of(out: Path, names: Iterable[PurePosixPath]) -> Path:
    """`annotations.json` of the records of these pictures: boxes are the masks' bounds, masks are compressed RLE, the
    category is the box's label or "object".

    A picture that failed may have a record of an earlier run, with another model: name only those that this run made,
    or found made. Raises StoreError when the file cannot be written.
    """
    pictures, annotations = [], []
    numbers: dict[str, int] = {}
    for name in names:
        try:
            record = json.loads((out / RECORDS / f"{name}.json").read_bytes())
        except (OSError, ValueError):
            continue  # removed since
        size = [record["height"], record["width"]]
        pictures.append({"id": len(pictures) + 1, "file_name": str(name), "width": size[1], "height": size[0]})
        for one in record["masks"]:
            if one["bounds"] is None:
                continue
            category = numbers.setdefault(one["label"] or "object", len(numbers) + 1)
            annotations.append({
                "id": len(annotations) + 1, "image_id": len(pictures), "category_id": category, "bbox": one["bounds"],
                "area": one["area"], "iscrowd": 0, "score": one["score"],
                "segmentation": {"size": size, "counts": one["rle"]},
            })  # fmt: skip
    categories = [{"id": number, "name": name} for name, number in numbers.items()]
    told = {"images": pictures, "annotations": annotations, "categories": categories}
    atomic_write_json(out / COCO_FILE, told)
    return out / COCO_FILE
