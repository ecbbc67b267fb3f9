"""The table `image_quality` of a tracker: one row per crop, from the shelves of the metrics and the ensemble.

It only looks at results, so that of a sealed tracker may be made anew. Equal crops, weights and settings give an equal
table, and nothing is measured twice. What belongs elsewhere: measuring (measuring), the formula (ensemble).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.progress import Listener, nobody
from lora_assets.quality.engines import NO_CHARACTERS, Engines, MetricRecipe, plan_engines
from lora_assets.quality.ensemble import (
    BAND_NAMES,
    CODE_VERSION,
    Ensemble,
    band_of,
    combine,
    signal_weights,
)
from lora_assets.quality.faces import PARTS
from lora_assets.quality.measuring import CropRef, LoadFrame, Measured, fill_shelves, metric_shelf
from lora_assets.quality.metrics import METRIC, FloatArray
from lora_assets.quality.pictures import PictureLost, QualityCrop, crop_of_cutout, crop_of_frame, read_original
from lora_assets.quality.settings import QualitySettings
from lora_assets.specs import list_datasets, read_tracker, section_settings
from lora_assets.store import PublishedTable, Store, digest
from lora_assets.tables import Detection, Mask, from_table, to_table
from lora_assets.tables.quality import ImageQuality
from lora_assets.verdicts.places import cell_datasets
from lora_assets.vision.crops import kept_mask
from lora_assets.vision.device import worker_count

TABLE = "image_quality"
VETOED = "not measured: the rules veto this crop (measure_vetoed in section [quality])"
NO_MASK = "its mask is not in the masks table: materialize the masks of its dataset"
_SLICE = 4096
_TOLD_LOST = 100


@dataclass(frozen=True, slots=True)
class MadeQuality:
    """The published table and what the run did. `facts` is what the table tells of itself."""

    table: PublishedTable
    reused: bool

    @property
    def facts(self) -> dict[str, Any]:
        """Settings, recipes, absent metrics, bands, means, seconds: as they were published."""
        return self.table.facts

    def numbers(self) -> dict[str, float]:
        """What is plotted over trackers, by name."""
        facts = self.facts
        told = {name: float(facts[name]) for name in ("crops", "scored", "lost", "seconds")}
        told["absent_metrics"] = float(len(facts["absent"]))
        for key, prefix in (("means", "mean"), ("bands", "band"), ("ms_per_crop", "ms_per_crop")):
            told.update({f"{prefix}_{name.replace(' ', '_')}": float(value) for name, value in facts[key].items()})
        for name, marks in facts["marks"].items():
            told.update({f"share_of_{name}_from_{mark}": share for mark, share in marks.items()})
        told.update({f"seconds_{name}": float(value) for name, value in facts["seconds_by_metric"].items()})
        return told


def quality_settings(data: Path, tracker: str) -> QualitySettings:
    """Section [quality] of a tracker. Raises SpecError for what does not fit."""
    return section_settings(QualitySettings, read_tracker(data, tracker), "quality")


def read_quality(store: Store, tracker: str) -> PublishedTable | None:
    """The tracker's table as it was published last; None when there is none."""
    return store.published(store.table_path(TABLE, tracker))


@dataclass(frozen=True, slots=True)
class _Cell:
    """The scored crops of one dataset, and the engines that can measure them."""

    dataset: str
    crops: PublishedTable
    engines: Engines


@dataclass(frozen=True, slots=True)
class _Due:
    """The rows of a cell in the order of its table, the crops that lack a value of some metric, and why others are not
    to be measured."""

    rows: list[dict[str, Any]]
    refs: list[CropRef]
    unmeasured: dict[str, str]


def _cells(store: Store, tracker: str, settings: QualitySettings) -> list[_Cell]:
    found = []
    for dataset in cell_datasets(store, tracker):
        crops, boxes = (store.cell_table(name, dataset, tracker) for name in ("scored_crops", "detections"))
        if crops is not None:
            detections = str(boxes.facts.get("recipe") or boxes.version) if boxes is not None else ""
            found.append(_Cell(dataset, crops, plan_engines(settings, store.data, detections)))
    return found


def _by_frame(table: PublishedTable | None, row_type: type, frames: set[str]) -> dict[str, list[Any]]:
    """The rows of these frames only: a tracker's masks are many, and mostly measured already."""
    found: dict[str, list[Any]] = {}
    for batch in table.batches() if table is not None and frames else ():
        here = pc.is_in(batch.column("frame_sha256"), pa.array(sorted(frames)))  # pyright: ignore[reportAttributeAccessIssue]
        for row in from_table(batch.filter(here), row_type):
            found.setdefault(row.frame_sha256, []).append(row)
    return found


def _read_due(store: Store, cell: _Cell, tracker: str, settings: QualitySettings) -> _Due:
    names = ["crop_id", "frame_sha256", "detection_id", "is_valid_content"]
    names += [name for name in ("second_window", "second_rle") if name in cell.crops.columns]
    rows = cell.crops.read(names).to_pylist()
    unmeasured = {
        row["crop_id"]: VETOED for row in rows if not (row["is_valid_content"] or settings.measure_vetoed)
    }  # fmt: skip
    done = [metric_shelf(store, recipe).done() for recipe in cell.engines.recipes().values()]
    complete = set.intersection(*done) if done else {row["crop_id"] for row in rows}
    due = [row for row in rows if row["crop_id"] not in unmeasured and row["crop_id"] not in complete]
    frames = {row["frame_sha256"] for row in due}
    mask_of, box_of = (
        _by_frame(store.cell_table(name, cell.dataset, tracker), row_type, frames)
        for name, row_type in (("masks", Mask), ("detections", Detection))
    )
    refs = []
    for row in due:
        frame = row["frame_sha256"]
        mask = next((each for each in mask_of.get(frame, []) if each.detection_id == row["detection_id"]), None)
        if mask is None:
            unmeasured[row["crop_id"]] = NO_MASK
        else:
            kept = kept_mask(mask, row.get("second_window"), row.get("second_rle"))
            refs.append(CropRef(row["crop_id"], frame, kept, box_of.get(frame, [])))
    return _Due(rows, refs, unmeasured)


def _loader(store: Store, dataset: str, tracker: str) -> LoadFrame:
    """What reads the crops of a frame: from the original, else from the stored cut-outs."""
    spec = list_datasets(store.data).get(dataset)
    folder = spec.folder if spec is not None else None
    listed: dict[str, tuple[tuple[str, ...], tuple[int, int]]] = {}
    frames = store.frames_of(dataset, tracker)
    for batch in frames.batches(["path", "sha256", "width", "height"]) if frames is not None else ():
        for row in batch.to_pylist():
            if row["sha256"] is not None and row["width"]:
                before = listed.get(row["sha256"], ((), (0, 0)))[0]
                listed[row["sha256"]] = (*before, row["path"]), (row["width"], row["height"])

    def load(sha256: str, refs: Sequence[CropRef]) -> dict[str, QualityCrop | PictureLost]:
        names, size = listed.get(sha256, ((), (0, 0)))
        image, gone = None, ""
        try:
            image = read_original(folder, names, sha256)
        except PictureLost as lost:
            gone = str(lost)
        found: dict[str, QualityCrop | PictureLost] = {}
        for ref in refs:
            try:
                if image is not None:
                    found[ref.crop_id] = crop_of_frame(ref.crop_id, image, ref.mask, ref.detections)
                else:
                    found[ref.crop_id] = crop_of_cutout(ref.crop_id, store, ref.mask, size, ref.detections)
            except PictureLost as lost:
                found[ref.crop_id] = PictureLost(f"{gone}, {lost}" if gone else str(lost))
        return found

    return load


def make_quality(
    data: Path, tracker: str, *, listen: Listener = nobody, run_id: str = "", workers: int | None = None
) -> MadeQuality:
    """Measure what is missing and publish the tracker's `image_quality`.

    Raises SpecError for a tracker or setting that does not fit, ModelError for weights that are not what they are said
    to be, and StoreError for a damaged table.
    """
    settings = quality_settings(data, tracker)
    store = Store(data)
    begun = time.monotonic()
    with store.lock(f"quality-{tracker}"):
        cells = _cells(store, tracker, settings)
        characters = characters_table(store, tracker)
        wanted = digest(
            CODE_VERSION, _plain(settings), [[cell.dataset, cell.crops.version] for cell in cells], _digests(cells),
            characters.version if characters is not None else "",
        )  # fmt: skip
        before = read_quality(store, tracker)
        if before is not None and before.version == wanted:
            return MadeQuality(before, reused=True)
        done, parts = Measured(), []
        for cell in cells:
            due = _read_due(store, cell, tracker, settings)
            part = fill_shelves(
                store, due.refs, cell.engines, _loader(store, cell.dataset, tracker),
                one_at_a_time=settings.one_model_at_a_time, workers=workers or worker_count(),
                listen=lambda at, where=cell.dataset: listen(replace(at, stage=f"{where}: {at.stage}")),
            )  # fmt: skip
            _add(done, part)
            parts.append((due.rows, due.unmeasured))
        table = _Table(store, settings, cells, parts, characters, done)
        known_costs = before.facts["ms_per_crop"] if before is not None else {}
        return MadeQuality(table.publish(tracker, wanted, time.monotonic() - begun, run_id, known_costs), reused=False)


def _plain(settings: QualitySettings) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(settings).items()}


def _digests(cells: Sequence[_Cell]) -> dict[str, dict[str, str]]:
    return {cell.dataset: {name: one.digest for name, one in cell.engines.recipes().items()} for cell in cells}


def _add(done: Measured, part: Measured) -> None:
    for name, count in part.computed.items():
        done.computed[name] = done.computed.get(name, 0) + count
    for name, seconds in part.seconds.items():
        done.seconds[name] = done.seconds.get(name, 0.0) + seconds
    done.lost.update(part.lost)
    for name, crops in part.passing.items():
        done.passing.setdefault(name, {}).update(crops)


def characters_table(store: Store, tracker: str) -> PublishedTable | None:
    """The published table of the identity stage, when it has what is needed of it."""
    table = store.published(store.table_path("characters", tracker))
    return table if table is not None and {"crop_id", "similarity"} <= set(table.columns) else None


class _Table:
    """Values of all metrics side by side, as they become rows."""

    def __init__(
        self,
        store: Store,
        settings: QualitySettings,
        cells: Sequence[_Cell],
        parts: Sequence[tuple[list[dict[str, Any]], dict[str, str]]],
        characters: PublishedTable | None,
        done: Measured,
    ) -> None:
        self.store, self.settings, self.done, self.recipes = store, settings, done, _digests(cells)
        rows = [(cell.dataset, row) for cell, (found, _) in zip(cells, parts, strict=True) for row in found]
        self.ids: list[str] = [row["crop_id"] for _, row in rows]
        self.datasets = [dataset for dataset, _ in rows]
        self.frames: list[str] = [row["frame_sha256"] for _, row in rows]
        self.unmeasured = {crop: why for _, reasons in parts for crop, why in reasons.items()}
        self.place: dict[str, list[int]] = {}
        for place, crop in enumerate(self.ids):
            self.place.setdefault(crop, []).append(place)
        self.absent = {name: reason for cell in cells for name, reason in cell.engines.absent.items()}
        self.values: dict[str, FloatArray] = {}
        self.reasons: dict[str, dict[str, str]] = {}
        self.face_parts: dict[str, FloatArray] = {}
        for cell, (found, _) in zip(cells, parts, strict=True):
            for name, recipe in cell.engines.recipes().items():
                self._read_metric(name, recipe, [row["crop_id"] for row in found])
        if "character" in settings.wanted_metrics():
            self._read_characters(characters)

    def _column(self, name: str) -> FloatArray:
        return self.values.setdefault(name, np.full(len(self.ids), np.nan))

    def _read_metric(self, name: str, recipe: MetricRecipe, crops: Sequence[str]) -> None:
        column, reasons = self._column(name), self.reasons.setdefault(name, {})
        face = METRIC[name].signal == "face"
        measured = [crop for crop in crops if crop not in self.unmeasured]
        for _, chunk in metric_shelf(self.store, recipe).read(measured):
            for row in chunk.to_pylist():
                for place in self.place[row["crop_id"]]:
                    column[place] = math.nan if row["value"] is None else row["value"]
                    if face and row["parts"]:
                        table = self.face_parts.setdefault(name, np.full((len(self.ids), len(PARTS)), np.nan))
                        table[place] = [math.nan if part is None else part for part in row["parts"]]
                if row["reason"]:
                    reasons[row["crop_id"]] = row["reason"]
        reasons.update(self.done.passing.get(name, {}))

    def _read_characters(self, table: PublishedTable | None) -> None:
        if table is None:
            self.absent["character"] = NO_CHARACTERS
            return
        column, reasons = self._column("character"), self.reasons.setdefault("character", {})
        told: dict[str, float] = {}
        for row in table.read(["crop_id", "similarity"]).to_pylist():
            if row["similarity"] is not None:
                told[row["crop_id"]] = max(told.get(row["crop_id"], 0.0), min(1.0, max(0.0, row["similarity"])))
        for crop, places in self.place.items():
            if crop in told and crop not in self.unmeasured:
                column[places] = told[crop]
            else:
                reasons[crop] = "it was not compared with the references"

    def _why_absent(self, signal: str, taken: dict[str, str], crop: str) -> str:
        """Why a crop lacks a signal: the crop's own reason first, else the tracker's."""
        if crop in self.unmeasured or crop in self.done.lost:
            return self.unmeasured.get(crop) or f"no picture of it: {self.done.lost[crop]}"
        names = [taken[signal]] if signal in taken else list(self.settings.signal_metrics()[signal])
        own = next((self.reasons[name][crop] for name in names if crop in self.reasons.get(name, {})), None)
        return own or next((self.absent[name] for name in names if name in self.absent), "its metrics are left out")

    def _rows(self, found: Ensemble, weights: dict[str, float], start: int, stop: int) -> list[ImageQuality]:
        rows = []
        face = found.taken.get("face")
        parts = self.face_parts.get(face) if face else None
        limits = self.settings.bands
        all_weights = sum(found.weights.values()) or 1.0
        for place in range(start, stop):
            crop = self.ids[place]
            there = [signal for signal, values in found.signals.items() if math.isfinite(values[place])]
            total = sum(found.weights[signal] for signal in there)
            lacking = [signal for signal, weight in weights.items() if weight > 0 and signal not in there]
            score = _null(found.score[place])
            metrics = {name: _null(column[place]) for name, column in self.values.items()}
            told = {} if parts is None else {
                f"face_{name}": _null(parts[place, at]) for at, name in enumerate(PARTS)
            }  # fmt: skip
            rows.append(
                ImageQuality(
                    crop, self.datasets[place], self.frames[place],
                    None if score is None else min(10.0, score), None if score is None else band_of(score, limits),
                    _null(found.rank[place]), _null(found.disagreement[place]),
                    min(1.0, total / all_weights), there, [float(found.signals[signal][place]) for signal in there],
                    [found.weights[signal] / total for signal in there],
                    lacking, [self._why_absent(signal, found.taken, crop) for signal in lacking],
                    **metrics, **told,
                )
            )  # fmt: skip
        return rows

    def publish(
        self, tracker: str, wanted: str, seconds: float, run_id: str, known_costs: dict[str, float]
    ) -> PublishedTable:
        """Publish all rows with what the table tells of itself; `known_costs` are those of metrics that were not
        measured now."""
        settings = self.settings
        weights = signal_weights(settings.weight_set, settings.weights, settings.profile)
        found = combine(self.values, settings.signal_metrics(), weights, settings.rank_unproven, len(self.ids))
        # What could not be read now is tried again: the version is then not the wanted one.
        passing = {crop for crops in self.done.passing.values() for crop in crops}
        unmasked = {crop: why for crop, why in self.unmeasured.items() if why == NO_MASK}
        lost = unmasked | self.done.lost
        again = sorted({*lost, *passing})
        version = digest(wanted, "again", again) if again else wanted
        scored = np.isfinite(found.score)
        bands = [band_of(float(score), settings.bands) for score in found.score[scored]]
        facts = {
            "stage": TABLE, "run_id": run_id, "settings": _plain(settings), "wanted": wanted,
            "recipes": self.recipes,
            "crops": len(self.ids), "scored": int(scored.sum()), "vetoed": len(self.unmeasured) - len(unmasked),
            "lost": len(again), "lost_crops": dict(list(lost.items())[:_TOLD_LOST]),
            "taken": found.taken, "weights": found.weights, "absent": dict(sorted(self.absent.items())),
            "absent_signals": sorted({name for name, weight in weights.items() if weight > 0} - set(found.taken)),
            "bands": {name: bands.count(name) for name in BAND_NAMES},
            "marks": self._reached_marks(),
            "means": {name: float(np.nanmean(column)) for name, column in self._told_columns(found).items()},
            "computed": self.done.computed, "seconds_by_metric": self.done.seconds, "seconds": seconds,
            "ms_per_crop": known_costs | {
                name: 1000 * self.done.seconds[name] / count for name, count in self.done.computed.items() if count
            },
        }  # fmt: skip
        slices = (
            to_table(self._rows(found, weights, start, min(start + _SLICE, len(self.ids))), ImageQuality)
            for start in range(0, len(self.ids), _SLICE)
        )
        return self.store.publish(self.store.table_path(TABLE, tracker), ImageQuality, slices, version, facts)

    def _reached_marks(self) -> dict[str, dict[str, float]]:
        """For metrics with marks, the share of their values that reaches each mark."""
        reached: dict[str, dict[str, float]] = {}
        for name, column in self.values.items():
            there = column[np.isfinite(column)]
            if there.size and METRIC[name].marks:
                scale = METRIC[name].normalised(there)
                reached[name] = {f"{mark:g}": float((scale >= mark).mean()) for mark in METRIC[name].marks}
        return reached

    def _told_columns(self, found: Ensemble) -> dict[str, FloatArray]:
        """Columns with at least one value."""
        columns = {"score": found.score, "disagreement": found.disagreement, **self.values}
        return {name: column for name, column in columns.items() if np.isfinite(column).any()}


def _null(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def scored_crops_of(table: PublishedTable) -> list[tuple[str, float]]:
    """Crop ids with their scores, of the crops that have one."""
    return [
        (row["crop_id"], row["score"])
        for batch in table.batches(["crop_id", "score"])
        for row in batch.to_pylist()
        if row["score"] is not None
    ]
