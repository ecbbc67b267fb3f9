"""Which boxes become objects: sampled frames, the surest boxes of each, and the early filter before any model runs.

Sampling is bottom-k by a seeded hash (Cohen, "Size-estimation framework", 1997): the frames with the smallest hashes.
The same frames are drawn whatever else lies in the folder, so that one frame more changes at most one of the sample.
"""

from __future__ import annotations

import difflib
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from lora_assets.mining.settings import MiningSettings
from lora_assets.mining.sources import FrameSource, OwnDetector, find_boxes, tracker_boxes
from lora_assets.progress import Listener, nobody
from lora_assets.store import Store, digest
from lora_assets.tables import Detection
from lora_assets.vision.boxes import non_maximum_suppression

CODE_VERSION = "1"

KEYWORD, RARE_CLASS, RANDOM, ALL = "keyword", "rare class", "random", "all"

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class FoundObject:
    """A box that counts: `object_id` names its pixels, `box` is x1, y1, x2, y2 in pixels of the frame."""

    object_id: str
    dataset: str
    frame_sha256: str
    detection_id: str
    label: str
    confidence: float
    box: Box
    detector: str


@dataclass(frozen=True, slots=True)
class ObjectList:
    """All objects of the sampled frames, which of them passed the early filter and as what (by id), and the counts.

    `class_counts` and `dataset_classes` are over all objects; `lost` are frames that the detector could not be given;
    `said` tells in words what did not go as asked.
    """

    objects: tuple[FoundObject, ...]
    passed: dict[str, str]
    class_counts: dict[str, int]
    dataset_classes: dict[str, dict[str, int]]
    frames: dict[str, tuple[str, ...]]
    frames_known: int
    said: tuple[str, ...] = field(default_factory=tuple)
    lost: tuple[str, ...] = field(default_factory=tuple)

    @property
    def kept(self) -> list[FoundObject]:
        """The objects that passed the early filter."""
        return [each for each in self.objects if each.object_id in self.passed]


def _seeded(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}|{name}".encode()).digest()


def sample_frames(hashes: Iterable[str], rate: float, seed: int) -> list[str]:
    """`rate` of the frames (rounded, at least one of any), drawn with the seed, sorted by hash."""
    known = sorted(set(hashes))
    count = min(len(known), max(1, round(rate * len(known))))
    return sorted(sorted(known, key=lambda name: _seeded(seed, name))[:count])


def object_id(frame_sha256: str, box: Box, margin: float) -> str:
    """The object's name: a digest of the frame, the box to a pixel, and the margin around it."""
    return digest("object", frame_sha256, [round(value) for value in box], round(margin, 4))


def objects_of_boxes(boxes: Iterable[Detection], dataset: str, settings: MiningSettings) -> list[FoundObject]:
    """The boxes that count: sure enough, large enough, of the asked classes, the surest of each frame."""
    wanted = {name.casefold() for name in settings.classes}
    of_frame: dict[str, list[Detection]] = {}
    for row in boxes:
        if row.confidence < settings.least_confidence or min(row.x2 - row.x1, row.y2 - row.y1) < settings.least_side:
            continue
        if not wanted or row.label.casefold() in wanted:
            of_frame.setdefault(row.frame_sha256, []).append(row)
    found: dict[str, FoundObject] = {}
    for frame in sorted(of_frame):
        best = sorted(of_frame[frame], key=lambda row: (-row.confidence, row.detection_id))
        for row in _without_doubles(best, settings.same_iou)[: settings.boxes_per_frame]:
            box = (row.x1, row.y1, row.x2, row.y2)
            name = object_id(frame, box, settings.margin)
            found.setdefault(
                name,
                FoundObject(name, dataset, frame, row.detection_id, row.label, row.confidence, box, row.detector),
            )
    return list(found.values())


def _without_doubles(boxes: list[Detection], same_iou: float) -> list[Detection]:
    """The boxes, surest first, without those that lie on a surer one, whatever the two are called."""
    if len(boxes) < 2:
        return boxes
    xyxy = np.array([(row.x1, row.y1, row.x2, row.y2) for row in boxes], np.float64)
    confidence = np.array([row.confidence for row in boxes])
    kept = non_maximum_suppression(xyxy, confidence, np.zeros(len(boxes), np.int64), same_iou)
    return [boxes[number] for number in sorted(int(each) for each in kept)]


def matched_keyword(text: str, keywords: Sequence[str]) -> str | None:
    """The first keyword that the text holds, whatever the case; None for none."""
    folded = text.casefold()
    return next((word for word in keywords if word.casefold() in folded), None)


def early_filter(
    objects: Sequence[FoundObject], class_counts: dict[str, int], settings: MiningSettings
) -> dict[str, str]:
    """Which objects go on to the models, by id, and as what: keywords and the rarest classes first, then some of the
    rest at random, for diversity. Both draws are seeded."""
    if settings.skip_early_filter or len(objects) <= settings.early_least:
        return {each.object_id: ALL for each in objects}
    total = len(objects)
    first = round(settings.early_rare_share * total)
    count = max(settings.early_least, first + round(settings.early_random_share * total))
    drawn = {each.object_id: _seeded(settings.seed, each.object_id) for each in objects}
    has_keyword = {each.object_id: matched_keyword(each.label, settings.rare_keywords) is not None for each in objects}
    order = sorted(
        objects,
        key=lambda each: (not has_keyword[each.object_id], class_counts[each.label], drawn[each.object_id]),
    )
    passed = {
        each.object_id: KEYWORD if has_keyword[each.object_id] else RARE_CLASS
        for number, each in enumerate(order)
        if number < first
    }
    rest = sorted((each.object_id for each in order[first:]), key=lambda name: drawn[name])
    passed.update(dict.fromkeys(rest[: max(0, count - first)], RANDOM))
    return passed


def list_objects(
    store: Store,
    sources: Sequence[FrameSource],
    settings: MiningSettings,
    own: OwnDetector | None,
    listen: Listener = nobody,
) -> ObjectList:
    """The objects of all datasets. A frame that lies in two datasets counts in the first."""
    found: dict[str, FoundObject] = {}
    seen: set[str] = set()
    frames: dict[str, tuple[str, ...]] = {}
    said: list[str] = []
    unread: list[str] = []
    classes: dict[str, dict[str, int]] = {}
    for source in sources:
        fresh = set(sample_frames(source.frames, settings.sampling_rate, settings.seed)) - seen
        seen |= fresh
        frames[source.dataset] = tuple(sorted(fresh))
        if own is None and source.detections is None:
            said.append(f"{source.name}: no detections yet; materialize detections of it, or name a yolo_model")
            boxes: Iterable[Detection] = ()
        elif own is None:
            boxes = tracker_boxes(source, fresh)
        else:
            boxes, lost = find_boxes(store, source, sorted(fresh), own, settings, listen)
            unread += lost
            if lost:
                said.append(
                    f"{source.name}: {len(lost)} frames could not be read, such as: {next(iter(lost.values()))}"
                )
        here = objects_of_boxes(boxes, source.dataset, settings)
        found.update({each.object_id: each for each in here})
        classes[source.dataset] = dict(sorted(Counter(each.label for each in here).items()))
    objects = sorted(found.values(), key=lambda each: each.object_id)
    counts = dict(Counter(each.label for each in objects).most_common())
    said.extend(_unknown_classes(settings, counts))
    if not sources:
        said.append("the tracker has no frames yet: materialize its cells first")
    elif not objects:
        said.append("no object was found: nothing to mine")
    passed = early_filter(objects, counts, settings)
    known = sum(len(source.frames) for source in sources)
    return ObjectList(tuple(objects), passed, counts, classes, frames, known, tuple(said), tuple(sorted(unread)))


def _unknown_classes(settings: MiningSettings, counts: dict[str, int]) -> list[str]:
    """In words, which asked classes no box has, with the known names that look like them."""
    known = {name.casefold(): name for name in counts}
    told = []
    for name in settings.classes:
        if name.casefold() not in known:
            near = difflib.get_close_matches(name.casefold(), known, n=2)
            hint = f" (did you mean {' or '.join(known[each] for each in near)}?)" if near else ""
            told.append(f"no box has the class {name!r}{hint}: it is not there, or the detector does not know it")
    return told
