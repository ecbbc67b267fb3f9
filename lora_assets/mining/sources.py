"""Where objects come from: a tracker's published detections, or a detector of one's own over the same frames.

A detector of one's own is asked once for each frame and recipe; its boxes stay on a shelf. What belongs elsewhere:
which boxes become objects (objects), the detectors themselves (vision).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from lora_assets.mining.settings import MiningSettings
from lora_assets.models import ModelError, OpenWeights, resolve
from lora_assets.models.registry import DETECT
from lora_assets.progress import Listener, Progress, nobody
from lora_assets.quality.pictures import PictureLost, read_original
from lora_assets.specs import TrackerSpec, list_datasets
from lora_assets.store import PublishedTable, Shelf, Store, atomic_write_json, digest
from lora_assets.tables import Detection, from_table, to_table
from lora_assets.vision.detect import CODE_VERSION as DETECT_VERSION
from lora_assets.vision.detect import Detector, DetectSettings, detect_frame, load_detector
from lora_assets.vision.device import device
from lora_assets.vision.images import CODE_VERSION as READ_VERSION
from lora_assets.vision.images import RgbImage
from lora_assets.vision.threads import one_thread_per_call

BOX_COLUMNS = ("frame_sha256", "detection_id", "label", "confidence", "x1", "y1", "x2", "y2", "detector")


@dataclass(frozen=True, slots=True)
class FrameSource:
    """The frames of one dataset by hash, with their names in its folder, and the tracker's boxes in them.

    `version` changes with the frames; `detections` is None where there is no table.
    """

    dataset: str
    name: str
    folder: Path | None
    frames: dict[str, tuple[str, ...]]
    version: str
    detections: PublishedTable | None = None

    def pixels(self, sha256: str) -> RgbImage:
        """The pixels of a frame. Raises PictureLost when no file holds its very bytes any more."""
        return read_original(self.folder, self.frames.get(sha256, ()), sha256)


def frame_names(frames: PublishedTable) -> dict[str, tuple[str, ...]]:
    """The usable frames of a frames list by hash, with all the paths that hold each."""
    found: dict[str, tuple[str, ...]] = {}
    for batch in frames.batches(["path", "sha256", "quarantine_reason"]):
        for row in batch.to_pylist():
            if row["quarantine_reason"] is None and row["sha256"] is not None:
                found[row["sha256"]] = (*found.get(row["sha256"], ()), row["path"])
    return found


def tracker_sources(store: Store, spec: TrackerSpec) -> list[FrameSource]:
    """The datasets of a tracker that have a frames list, the earliest first: in the order of its file, or, for one that
    follows every folder, by the time of their oldest frame."""
    kept = {path.stem for path in (store.data / "tables" / "frames" / spec.id).glob("*.parquet")}
    known = list_datasets(store.data)
    found: list[tuple[int, FrameSource]] = []
    for slug in spec.datasets if spec.datasets is not None else sorted(kept):
        frames = store.frames_of(slug, spec.id)
        if frames is None:
            continue
        times = [time for time in frames.read(["mtime_ns"]).column("mtime_ns").to_pylist() if time is not None]
        dataset = known.get(slug)
        source = FrameSource(
            slug, dataset.name if dataset else slug, dataset.folder if dataset else None, frame_names(frames),
            frames.version, store.cell_table("detections", slug, spec.id),
        )  # fmt: skip
        found.append((min(times, default=0), source))
    if spec.datasets is None:
        found.sort(key=lambda pair: (pair[0], pair[1].dataset))
    return [source for _, source in found]


def tracker_boxes(source: FrameSource, frames: set[str]) -> Iterator[Detection]:
    """The tracker's boxes in the frames; none where there is no table."""
    if source.detections is None:
        return
    for batch in source.detections.batches([*BOX_COLUMNS, "is_subject"]):
        for row in from_table(batch, Detection):
            if row.frame_sha256 in frames:
                yield row


@dataclass(frozen=True, slots=True)
class OwnDetector:
    """A detector that [mining] names, and the recipe under which its boxes are kept."""

    weights: OpenWeights
    settings: DetectSettings
    recipe: str

    def open(self) -> Sequence[Detector]:
        """The detector, ready for frames side by side."""
        opened = load_detector(self.weights, self.settings)
        one_thread_per_call()
        return (opened,)


def own_detector(settings: MiningSettings, data: Path) -> OwnDetector | None:
    """The detector of `yolo_model`; None where the tracker's own boxes count. Raises ModelError for weights that are
    unknown, absent or no detector."""
    if not settings.yolo_model:
        return None
    weights = resolve(settings.yolo_model, data)
    if weights.task != DETECT:
        raise ModelError(
            f"yolo_model {settings.yolo_model!r} is for the task {weights.task}: name a detector, see "
            "lora-assets models list"
        )
    keep = settings.boxes_per_frame
    asked = DetectSettings(
        weights=(settings.yolo_model,), conf=settings.conf, iou=settings.iou, max_det=max(100, keep), keep=keep,
        second_pass=(), face_to_body=False,
    )  # fmt: skip
    runtime = [weights.family, version("torch"), version("onnxruntime"), device()]
    told = [DETECT_VERSION, READ_VERSION, weights.sha256, settings.conf, settings.iou, keep, runtime]
    return OwnDetector(weights, asked, digest("mined_boxes", *told))


def _box_shelf(store: Store, own: OwnDetector) -> Shelf:
    shelf = store.shelf("mined_boxes", own.recipe, Detection)
    path = shelf.folder / "recipe.json"
    if not path.exists():
        told = {"weights": own.weights.name, "sha256": own.weights.sha256, "conf": own.settings.conf}
        atomic_write_json(
            path, {**told, "iou": own.settings.iou, "keep": own.settings.keep, "recipe": own.recipe}, recorded=True
        )
    return shelf


def find_boxes(
    store: Store,
    source: FrameSource,
    frames: Iterable[str],
    own: OwnDetector,
    settings: MiningSettings,
    listen: Listener = nobody,
) -> tuple[list[Detection], dict[str, str]]:
    """The boxes that a detector of one's own finds in the frames, and why some frames have none to give (by hash).

    Frames go in batches of `batch_frames`, each on the shelf as soon as it is done.
    """
    wanted = list(frames)
    shelf = _box_shelf(store, own)
    done = shelf.done()
    missing = [sha256 for sha256 in wanted if sha256 not in done]
    lost: dict[str, str] = {}
    if missing:
        detectors = own.open()

        def one(sha256: str) -> list[Detection] | str:
            try:
                return detect_frame(source.pixels(sha256), sha256, detectors, own.settings)
            except (PictureLost, ValueError, ArithmeticError) as error:
                return str(error)

        step = f"{source.name}: boxes of {own.weights.name}"
        listen(Progress(step, 0, len(missing)))
        with ThreadPoolExecutor(settings.workers, thread_name_prefix="mining") as pool:
            for start in range(0, len(missing), settings.batch_frames):
                part = missing[start : start + settings.batch_frames]
                answers = dict(zip(part, pool.map(one, part), strict=True))
                lost.update({sha256: answer for sha256, answer in answers.items() if isinstance(answer, str)})
                found = {sha256: answer for sha256, answer in answers.items() if not isinstance(answer, str)}
                if found:
                    shelf.append(to_table([row for rows in found.values() for row in rows], Detection), list(found))
                listen(Progress(step, start + len(part), len(missing)))
    boxes = [row for _, table in shelf.read(wanted) for row in from_table(table, Detection)]
    return boxes, lost
