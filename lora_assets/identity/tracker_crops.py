"""The crops of a tracker as the published tables tell them: scores, boxes, the heads on them, their place in the film.

Reads tables only, no picture. What belongs elsewhere: how crops look (descriptions).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lora_assets.film_order import film_order
from lora_assets.store import Store, StoreError, digest
from lora_assets.verdicts.places import cell_datasets

Xyxy = tuple[float, float, float, float]

_CROP_COLUMNS = (
    "frame_sha256", "detection_id", "crop_id", "x", "y", "width", "height", "has_picture", "tier", "score",
    "is_valid_content", "flags", "flag_values", "flag_limits", "body_completeness",
)  # fmt: skip
_BOX_COLUMNS = ("frame_sha256", "detection_id", "label", "confidence", "x1", "y1", "x2", "y2")
_HEADS = ("head", "face")
_LEAST_HEAD_CONFIDENCE = 0.35
_FACE_SHARE_OF_HEAD = 0.75


@dataclass(frozen=True, slots=True)
class TrackerCrop:
    """One crop. `number` is the place of its frame in the film (the dataset's frames by path, held twins each with a
    place of their own; the first one counts); `box` its detection's box and `window` its own, both xyxy pixels of the
    frame; `heads` the head boxes in the window, the surest first, in pixels of the crop to a tenth; `key_points` 17 x
    (x, y, confidence) in pixels of the frame, or None."""

    crop_id: str
    frame_sha256: str
    detection_id: str
    dataset: str
    number: int
    frame_size: tuple[int, int]
    box: Xyxy
    window: Xyxy
    heads: tuple[Xyxy, ...]
    has_picture: bool
    tier: str
    score: float
    vetoed: bool
    flags: tuple[str, ...]
    flag_values: tuple[float, ...]
    flag_limits: tuple[float, ...]
    body_completeness: float
    key_points: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class TrackerCrops:
    """The crops of a tracker (each crop id once), the frames of each dataset in the order of the film, how many frames
    its folders hold, and the version of everything read."""

    crops: tuple[TrackerCrop, ...]
    films: Mapping[str, tuple[str, ...]]
    version: str

    @property
    def frames(self) -> int:
        """How many distinct frames the tracker covers."""
        return len({sha256 for film in self.films.values() for sha256 in film})


def read_crops(store: Store, tracker: str) -> TrackerCrops:
    """The crops of every cell that a tracker has, in the order of datasets and film.

    A crop of a frame that lies in two datasets is one crop: the first dataset has it. Raises StoreError for a damaged
    table.
    """
    found: dict[str, TrackerCrop] = {}
    films: dict[str, tuple[str, ...]] = {}
    versions: list[Any] = []
    for dataset in cell_datasets(store, tracker):
        crops, boxes = (store.cell_table(name, dataset, tracker) for name in ("scored_crops", "detections"))
        frames = store.frames_of(dataset, tracker)
        if crops is None or boxes is None or frames is None:
            raise StoreError(
                f"{dataset}|{tracker}: its crops, detections or frames list are damaged: run the tracker again"
            )
        versions.append([dataset, crops.version, boxes.version, frames.version])
        listed = frames.read(["path", "sha256", "width", "height"]).to_pylist()
        listed = [row for row in listed if row["sha256"] and row["width"]]
        listed.sort(key=lambda row: film_order(row["path"]))
        films[dataset] = tuple(row["sha256"] for row in listed)
        sizes = {row["sha256"]: (int(row["width"]), int(row["height"])) for row in listed}
        numbers: dict[str, int] = {}
        for number, row in enumerate(listed):
            numbers.setdefault(row["sha256"], number)
        columns = [*_BOX_COLUMNS, *(["key_points"] if "key_points" in boxes.columns else [])]
        of_frame: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in boxes.read(columns).to_pylist():
            of_frame[row["frame_sha256"]].append(row)
        rows = [row for row in crops.read(_CROP_COLUMNS).to_pylist() if row["frame_sha256"] in sizes]
        for row in sorted(rows, key=lambda row: (numbers[row["frame_sha256"]], row["crop_id"])):
            crop = _crop(row, dataset, numbers, sizes, of_frame[row["frame_sha256"]])
            if crop is not None:
                found.setdefault(crop.crop_id, crop)
    return TrackerCrops(tuple(found.values()), films, digest("crops", versions))


def _crop(
    row: Mapping[str, Any],
    dataset: str,
    numbers: Mapping[str, int],
    sizes: Mapping[str, tuple[int, int]],
    boxes: list[dict[str, Any]],
) -> TrackerCrop | None:
    own = next((box for box in boxes if box["detection_id"] == row["detection_id"]), None)
    if own is None:  # detections were published anew while the crops are still the ones before
        return None
    window = (
        float(row["x"]), float(row["y"]), float(row["x"] + row["width"]), float(row["y"] + row["height"]),
    )  # fmt: skip
    points = own.get("key_points")
    return TrackerCrop(
        crop_id=row["crop_id"],
        frame_sha256=row["frame_sha256"],
        detection_id=row["detection_id"],
        dataset=dataset,
        number=numbers[row["frame_sha256"]],
        frame_size=sizes[row["frame_sha256"]],
        box=_xyxy(own),
        window=window,
        heads=_heads(boxes, window),
        has_picture=row["has_picture"],
        tier=row["tier"],
        score=row["score"],
        vetoed=not row["is_valid_content"],
        flags=tuple(row["flags"]),
        flag_values=tuple(row["flag_values"]),
        flag_limits=tuple(row["flag_limits"]),
        body_completeness=row["body_completeness"],
        key_points=tuple(points) if points else None,
    )


def _xyxy(row: Mapping[str, Any]) -> Xyxy:
    return row["x1"], row["y1"], row["x2"], row["y2"]


def _heads(boxes: list[dict[str, Any]], window: Xyxy) -> tuple[Xyxy, ...]:
    """Head boxes whose middle lies in the window, in its pixels: heads before faces, the surest first. A face becomes
    a head of its width over 0.75, with the same chin."""
    found: list[tuple[bool, float, Xyxy]] = []
    for box in boxes:
        label = box["label"].lower()
        x1, y1, x2, y2 = _xyxy(box)
        middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
        if label not in _HEADS or box["confidence"] < _LEAST_HEAD_CONFIDENCE:
            continue
        if not (window[0] <= middle_x <= window[2] and window[1] <= middle_y <= window[3]):
            continue
        if label == "face":
            half, height = (x2 - x1) / _FACE_SHARE_OF_HEAD / 2, (y2 - y1) / _FACE_SHARE_OF_HEAD
            x1, x2, y1 = middle_x - half, middle_x + half, y2 - height
        x1, x2 = round(x1 - window[0], 1), round(x2 - window[0], 1)
        y1, y2 = round(y1 - window[1], 1), round(y2 - window[1], 1)
        found.append((label != "head", -float(box["confidence"]), (x1, y1, x2, y2)))
    return tuple(head for _, _, head in sorted(found))
