"""Crops that a metric has no value of yet are measured, block by block, and put on the metric's shelf.

Results are kept per (crop, recipe of the metric): a new metric or a new crop computes only what is new, and a killed
run resumes at its last chunk, at most 15 seconds back. Which metrics there are is told by engines; the published table
is made in making.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import cv2

from lora_assets.models import ModelError
from lora_assets.progress import Listener, Progress
from lora_assets.quality.answers import NO_WINDOW, Answer, MeasureCrops, absent
from lora_assets.quality.engines import Engine, Engines, MetricRecipe
from lora_assets.quality.pictures import PictureLost, QualityCrop
from lora_assets.store import Shelf, Store, atomic_write_json
from lora_assets.tables import Detection, Mask, to_table
from lora_assets.tables.quality import MetricValue

BLOCK = 32
"""Crops that are held in memory at once: at most 3 MB each."""


@dataclass(frozen=True, slots=True)
class CropRef:
    """A crop of the tables: its frame, the mask that it was cut with, and the frame's detections."""

    crop_id: str
    frame_sha256: str
    mask: Mask
    detections: list[Detection]


_CHUNK_ROWS = 256
_CHUNK_SECONDS = 15.0

LoadFrame = Callable[[str, Sequence[CropRef]], dict[str, QualityCrop | PictureLost]]
"""A frame's hash and its crops in; each crop's pixels, or why there are none, out."""


@dataclass(slots=True)
class Measured:
    """What a run did: values computed per metric, seconds per metric, crops without pixels, and answers that were not
    kept because they may change by themselves."""

    computed: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    passing: dict[str, dict[str, str]] = field(default_factory=dict)


class _Chunks:
    """Values on their way to the shelves of their metrics; written when many or old enough."""

    def __init__(self, shelves: dict[str, Shelf]) -> None:
        self._shelves = shelves
        self._rows: dict[str, list[MetricValue]] = {name: [] for name in shelves}
        self._since = time.monotonic()

    def add(self, name: str, rows: Sequence[MetricValue]) -> None:
        self._rows[name].extend(rows)

    def flush_when_due(self) -> None:
        old = time.monotonic() - self._since > _CHUNK_SECONDS
        if old or any(len(rows) >= _CHUNK_ROWS for rows in self._rows.values()):
            self.flush()

    def flush(self) -> None:
        for name, rows in self._rows.items():
            if rows:
                self._shelves[name].append(to_table(rows, MetricValue), [row.crop_id for row in rows])
            self._rows[name] = []
        self._since = time.monotonic()


def metric_shelf(store: Store, recipe: MetricRecipe) -> Shelf:
    """The shelf of a metric's recipe; the recipe itself is kept beside the results."""
    shelf = store.shelf(f"quality/{recipe.metric}", recipe.digest, MetricValue, key="crop_id")
    path = shelf.folder / "recipe.json"
    if not path.exists():
        atomic_write_json(path, {**asdict(recipe), "recipe": recipe.digest}, recorded=True)
    return shelf


def fill_shelves(
    store: Store,
    refs: Sequence[CropRef],
    engines: Engines,
    load: LoadFrame,
    *,
    one_at_a_time: bool,
    workers: int,
    listen: Listener,
) -> Measured:
    """Measure what is missing of all metrics. With `one_at_a_time` the crops are read once per model, and each model
    is closed before the next is opened."""
    done = Measured()
    shelves = {name: metric_shelf(store, recipe) for name, recipe in engines.recipes().items()}
    for group in [[engine] for engine in engines.engines] if one_at_a_time else [list(engines.engines)]:
        # Two datasets may hold the same frame, and so the same crop.
        unique = list({ref.crop_id: ref for ref in refs}.values())
        missing = {
            name: {ref.crop_id for ref in unique} - shelves[name].done() for engine in group for name in engine.recipes
        }
        due = [ref for ref in unique if any(ref.crop_id in crops for crops in missing.values())]
        if due:
            chunks = _Chunks({name: shelves[name] for engine in group for name in engine.recipes})
            try:
                _run_group(group, due, missing, chunks, load, workers, listen, done)
            finally:
                # Also when interrupted: what is done is kept.
                chunks.flush()
            if not all(engine.parallel for engine in group):
                _close_models()
    return done


def _close_models() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _blocks(refs: Sequence[CropRef]) -> Iterator[list[tuple[str, list[CropRef]]]]:
    """The crops by frame, frames together until a block is full."""
    of_frame: dict[str, list[CropRef]] = {}
    for ref in refs:
        of_frame.setdefault(ref.frame_sha256, []).append(ref)
    block: list[tuple[str, list[CropRef]]] = []
    for frame, crops in of_frame.items():
        for start in range(0, len(crops), BLOCK):
            part = crops[start : start + BLOCK]
            if block and sum(len(each) for _, each in block) + len(part) > BLOCK:
                yield block
                block = []
            block.append((frame, part))
    if block:
        yield block


def _run_group(
    group: Sequence[Engine],
    due: Sequence[CropRef],
    missing: dict[str, set[str]],
    chunks: _Chunks,
    load: LoadFrame,
    workers: int,
    listen: Listener,
    done: Measured,
) -> None:
    opened: dict[str, MeasureCrops] = {}
    title = "image quality: " + ", ".join(engine.name for engine in group)
    counted = 0
    listen(Progress(title, 0, len(due), "crops"))
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="quality") as pool:

        def ahead(block: list[tuple[str, list[CropRef]]]) -> list[Future[dict[str, QualityCrop | PictureLost]]]:
            return [pool.submit(load, frame, crops) for frame, crops in block]

        blocks = _blocks(due)
        first = next(blocks, None)
        waiting = ahead(first) if first is not None else []
        while waiting:
            here = [pair for future in waiting for pair in future.result().items()]
            following = next(blocks, None)
            waiting = ahead(following) if following is not None else []
            crops = [crop for _, crop in here if isinstance(crop, QualityCrop)]
            done.lost.update((name, str(crop)) for name, crop in here if isinstance(crop, PictureLost))
            for engine in group:
                if any(crop.crop_id in missing[name] for crop in crops for name in engine.recipes):
                    _run_engine(engine, opened, crops, missing, chunks, pool, done)
            chunks.flush_when_due()
            counted += len(here)
            listen(Progress(title, counted, len(due), "crops"))


def _run_engine(
    engine: Engine,
    opened: dict[str, MeasureCrops],
    crops: Sequence[QualityCrop],
    missing: dict[str, set[str]],
    chunks: _Chunks,
    pool: ThreadPoolExecutor,
    done: Measured,
) -> None:
    names = [name for name in engine.recipes if any(crop.crop_id in missing[name] for crop in crops)]
    asked = [crop for crop in crops if any(crop.crop_id in missing[name] for name in names)]
    if engine.name not in opened:
        opened[engine.name] = engine.open()
    begun = time.perf_counter()
    answers = _ask(engine, opened[engine.name], asked, names, pool)
    seconds = time.perf_counter() - begun
    for name in names:
        rows = []
        for crop, answer in zip(asked, answers[name], strict=True):
            if crop.crop_id not in missing[name]:
                continue
            if answer.reason == NO_WINDOW:
                done.passing.setdefault(name, {})[crop.crop_id] = NO_WINDOW
            else:
                rows.append(_row(crop.crop_id, answer))
        if rows:
            chunks.add(name, rows)
            done.computed[name] = done.computed.get(name, 0) + len(rows)
        done.seconds[name] = done.seconds.get(name, 0.0) + seconds / len(names)


def _ask(
    engine: Engine, measure: MeasureCrops, crops: Sequence[QualityCrop], names: Sequence[str], pool: ThreadPoolExecutor
) -> dict[str, list[Answer]]:
    """The engine's answers. One odd crop must not cost the others theirs: a batch that fails is asked crop by crop."""

    def one(crop: QualityCrop) -> dict[str, list[Answer]]:
        try:
            return measure([crop], names)
        except ModelError:
            raise
        except (ValueError, ArithmeticError, cv2.error) as error:
            return absent(f"it could not be measured ({type(error).__name__}: {error})", [crop], names)

    if engine.parallel:
        each = list(pool.map(one, crops))
    else:
        try:
            return measure(crops, names)
        except ModelError:
            raise
        except (ValueError, ArithmeticError, cv2.error):
            each = [one(crop) for crop in crops]
    return {name: [found[name][0] for found in each] for name in names}


def _row(crop_id: str, answer: Answer) -> MetricValue:
    # A part that could not be told is a null in the list: the tables know no NaN.
    parts: list[Any] = [part if part == part else None for part in answer.parts]
    return MetricValue(crop_id, answer.value, answer.reason or None, parts)
