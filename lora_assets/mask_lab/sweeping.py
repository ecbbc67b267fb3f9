"""The sweep: every preset on every sampled mask, timed, measured, and compared by objective and Pareto front.

Presets take turns on one thread, and the fastest turn of each counts, so that their times can be compared on a machine
that does other things too. What belongs elsewhere: the sample
(sample), pictures and files (drawing, folders), published tables (making).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lora_assets.mask_lab.frames import LabSource, open_network
from lora_assets.mask_lab.grid import count_presets, must_be_asked_for, planned_presets, refusal, tried_presets
from lora_assets.mask_lab.measures import Agreement, agreement
from lora_assets.mask_lab.sample import RANDOM, SMALLEST, SampledMask
from lora_assets.mask_lab.settings import MaskLabSettings
from lora_assets.mask_lab.truth import open_truth, truth_of_row
from lora_assets.progress import Listener, Progress, nobody
from lora_assets.quality.pictures import PictureLost
from lora_assets.tables import Mask
from lora_assets.tables.mask_lab import PresetResult, SweptMask
from lora_assets.vision import matting
from lora_assets.vision.crops import crop_window
from lora_assets.vision.images import RgbImage
from lora_assets.vision.mask_facts import measure_shape
from lora_assets.vision.masks import BoolMask, Window, mask_bounds, mask_pixels, place_pixels, window_pixels
from lora_assets.vision.refine import RefineSettings, refine_rows
from lora_assets.vision.refine_presets import Preset
from lora_assets.vision.saliency_onnx import load_saliency
from lora_assets.vision.second_opinion import GRABCUT, NONE, Opinion, grabcut, salient

CODE_VERSION = "2"

TRUTH = "truth"
_AROUND = 0.2
_LEAST_AROUND = 16
_TRIED = 3


@dataclass(frozen=True, slots=True, eq=False)
class JudgedMask:
    """A sampled mask with the mask that it is compared with: `judge` is "truth", the name of a second opinion, or
    empty, then `mask` is None. `window` (x, y, width, height of the frame) is that of `mask`."""

    sampled: SampledMask
    judge: str = ""
    mask: BoolMask | None = None
    window: Window = (0, 0, 0, 0)
    holes: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """A finished sweep. `said`: in words, what could not be done; `lost`: what of it may be there at the next run."""

    settings: MaskLabSettings
    sample: list[JudgedMask]
    masks_known: int
    presets: list[Preset]
    rows: list[SweptMask]
    results: list[PresetResult]
    spare_neighbours: bool
    seconds: float
    said: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    @property
    def best(self) -> PresetResult | None:
        """The preset with the highest objective; None without a judge."""
        rated = [result for result in self.results if result.objective is not None]
        return max(rated, key=lambda result: (result.objective, -result.seconds), default=None)

    def preset(self, name: str) -> Preset:
        """A swept preset by its name."""
        return next(preset for preset in self.presets if preset.name == name)


@contextmanager
def one_thread() -> Iterator[None]:
    """OpenCV on one thread while the body runs, as in the pipeline, where frames go side by side."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def judge_sample(
    sample: Sequence[SampledMask], settings: MaskLabSettings, data: Path, listen: Listener = nobody
) -> tuple[list[JudgedMask], list[str]]:
    """Each sampled mask with its truth or second opinion; and, in words, which have none.

    Raises ModelError for weights of the second opinion that are unknown or absent, StoreError for a broken truth.
    """
    opinion = _opinion(settings, data)
    sources = {sampled.source.dataset: sampled.source for sampled in sample}
    truths = {name: open_truth(settings.truth, source) for name, source in sources.items()}
    judged: list[JudgedMask] = []
    said: list[str] = []
    for done, sampled in enumerate(sample):
        listen(Progress("truth and second opinions", done, len(sample), "masks"))
        truth = truths[sampled.source.dataset]
        frame = sampled.frame
        masks, apart = truth.masks_of(frame.names, frame.width, frame.height) if truth else ([], False)
        others = [row for row in sampled.rows if row is not sampled.row]
        true = truth_of_row(masks, apart, sampled.row, others, sampled.source.whole)
        if true is not None:
            judged.append(_judged(sampled, TRUTH, true, (0, 0, frame.width, frame.height)))
        elif masks:
            said.append(f"{sampled.told}: its truth has no such character; not compared")
            judged.append(JudgedMask(sampled))
        elif opinion is None:
            judged.append(JudgedMask(sampled))
        else:
            judged.append(_asked(sampled, settings.second_opinion, opinion, said))
    listen(Progress("truth and second opinions", len(sample), len(sample), "masks"))
    if not any(each.judge for each in judged):
        said.append("no mask has a truth or a second opinion: presets are told by coverage and time only")
    return judged, said


def _opinion(settings: MaskLabSettings, data: Path) -> Opinion | None:
    if settings.second_opinion == NONE:
        return None
    if settings.second_opinion == GRABCUT:
        return grabcut
    return salient(load_saliency(open_network(settings.second_opinion, data).path))


def _judged(sampled: SampledMask, name: str, mask: BoolMask, window: Window) -> JudgedMask:
    shape = measure_shape(mask, window[0], window[1], sampled.frame.width, sampled.frame.height)
    bounds = mask_bounds(mask) or (0, 0, 1, 1)
    x, y, width, height = bounds
    part = np.ascontiguousarray(mask[y : y + height, x : x + width])
    return JudgedMask(sampled, name, part, (window[0] + x, window[1] + y, width, height), shape.holes)


def _asked(sampled: SampledMask, name: str, opinion: Opinion, said: list[str]) -> JudgedMask:
    """The second opinion on the mask before refinement, the same for every preset."""
    row, frame = sampled.row, sampled.frame
    reach = max(_LEAST_AROUND, round(_AROUND * max(row.width, row.height)))
    window = clipped(
        (row.x - reach, row.y - reach, row.width + 2 * reach, row.height + 2 * reach), frame.width, frame.height
    )
    try:
        image = sampled.source.pixels(sampled.frame_sha256)
    except PictureLost as lost:
        said.append(f"{sampled.told}: no second opinion: {lost}")
        return JudgedMask(sampled)
    x, y, width, height = window
    own = window_pixels(row, window)
    others = np.zeros_like(own)
    for other in sampled.rows:
        if other is not row:
            others |= window_pixels(other, window)
    bx, by, bw, bh = mask_bounds(own) or (0, 0, width, height)
    box = np.array([bx - reach / 3, by - reach / 3, bx + bw + reach / 3, by + bh + reach / 3])
    found = opinion(np.ascontiguousarray(image[y : y + height, x : x + width]), own, others & ~own, box)
    if found is None or not found.any():
        said.append(f"{sampled.told}: {name} could not say anything of it")
        return JudgedMask(sampled)
    return _judged(sampled, name, found, window)


def clipped(window: Window, width: int, height: int) -> Window:
    """The part of a window (x, y, width, height) that lies in a frame of that size."""
    x, y = max(0, window[0]), max(0, window[1])
    return x, y, max(1, min(width, window[0] + window[2]) - x), max(1, min(height, window[1] + window[3]) - y)


def sweep(
    sample: Sequence[JudgedMask],
    settings: MaskLabSettings,
    *,
    spare_neighbours: bool = True,
    masks_known: int = 0,
    said: Sequence[str] = (),
    listen: Listener = nobody,
) -> Sweep:
    """Every preset of the settings on every mask of the sample.

    Raises SweepRefused, with the count and the time it would take, for a large sweep that was not asked for.
    """
    began = time.perf_counter()
    rows: list[SweptMask] = []
    with one_thread():
        if must_be_asked_for(settings):
            raise refusal(count_presets(settings), len(sample), estimate_seconds(sample, settings))
        presets = planned_presets(settings)
        for done, each in enumerate(sample):
            listen(Progress("presets", done, len(sample), "masks"))
            rows += _swept(each, presets, settings, spare_neighbours)
        listen(Progress("presets", len(sample), len(sample), "masks"))
    results = compare_presets(presets, rows, settings)
    seconds = time.perf_counter() - began
    return Sweep(
        settings, list(sample), masks_known, presets, rows, results, spare_neighbours, seconds, list(said)
    )  # fmt: skip


def _soft_picture(sampled: SampledMask) -> RgbImage | None:
    """The frame for presets with a soft edge; None where it is gone."""
    try:
        return sampled.source.pixels(sampled.frame_sha256)
    except PictureLost:
        return None


def estimate_seconds(sample: Sequence[JudgedMask], settings: MaskLabSettings) -> float:
    """How long the whole sweep would take, by a few presets from its middle and both ends on a few masks."""
    tried = tried_presets(settings)
    if not sample:
        return 0.0
    masks = {place * (len(sample) - 1) // max(1, _TRIED - 1) for place in range(_TRIED)}
    began = time.perf_counter()
    for place in masks:
        _swept(sample[place], tried, settings, True)
    return (time.perf_counter() - began) / (len(tried) * len(masks)) * count_presets(settings) * len(sample)


def refined_row(sampled: SampledMask, preset: Preset, spare_neighbours: bool) -> Mask:
    """The sampled mask as a preset refines it, with its neighbours in the frame."""
    chosen = RefineSettings(preset.name, spare_neighbours)
    return refine_rows(sampled.rows, sampled.frame.width, sampled.frame.height, chosen)[sampled.index]


def _swept(
    each: JudgedMask, presets: Sequence[Preset], settings: MaskLabSettings, spare_neighbours: bool
) -> list[SweptMask]:
    """One mask under every preset."""
    sampled = each.sampled
    picture = _soft_picture(sampled) if any(preset.matting != matting.NONE for preset in presets) else None
    seconds = dict.fromkeys((preset.name for preset in presets), np.inf)
    refined: dict[str, Mask] = {}
    for _ in range(settings.repeats):
        for preset in presets:
            began = time.perf_counter()
            row = refined_row(sampled, preset, spare_neighbours)
            if picture is not None and preset.matting != matting.NONE and row.area:
                _soften(row, picture)
            seconds[preset.name] = min(seconds[preset.name], time.perf_counter() - began)
            refined[preset.name] = row
    return [_measured(each, preset, refined[preset.name], float(seconds[preset.name]), settings) for preset in presets]


def _measured(each: JudgedMask, preset: Preset, row: Mask, seconds: float, settings: MaskLabSettings) -> SweptMask:
    sampled, frame = each.sampled, each.sampled.frame
    agreed = _agreement(row, each)
    return SweptMask(
        image=sampled.number, dataset=sampled.source.dataset, path=sampled.path, frame_sha256=sampled.frame_sha256,
        detection_id=row.detection_id, preset=preset.name, seconds=seconds, area=row.area,
        coverage=row.coverage, box_share=row.width * row.height / (frame.width * frame.height) if row.area else 0.0,
        specks=row.specks or 0, speck_share=row.speck_share or 0.0, holes=row.holes or 0.0, judge=each.judge,
        iou=agreed.iou if agreed else None, covered=agreed.covered if agreed else None,
        exact=agreed.exact if agreed else None, boundary_f=agreed.boundary_f if agreed else None,
        thin_kept=agreed.thin_kept if agreed else None,
        objective=_objective(agreed, row, each, settings.objective), chosen_for=list(sampled.chosen_for),
    )  # fmt: skip


def _soften(row: Mask, picture: RgbImage) -> None:
    """The soft edge of the crop, for its time."""
    x, y, width, height = window = crop_window(row, picture.shape[1], picture.shape[0])
    matting.soft_alpha(picture[y : y + height, x : x + width], window_pixels(row, window), row.matting)


def _agreement(row: Mask, each: JudgedMask) -> Agreement | None:
    if each.mask is None:
        return None
    jx, jy, jw, jh = each.window
    left, top = min(row.x, jx) - 1, min(row.y, jy) - 1
    right, bottom = max(row.x + row.width, jx + jw) + 1, max(row.y + row.height, jy + jh) + 1
    window = clipped((left, top, right - left, bottom - top), each.sampled.frame.width, each.sampled.frame.height)
    own = place_pixels(mask_pixels(row), row.x, row.y, window)
    return agreement(own, place_pixels(each.mask, jx, jy, window))


def _objective(agreed: Agreement | None, row: Mask, each: JudgedMask, weights: Mapping[str, float]) -> float | None:
    """The weighted mean of the parts that there are; None without a judge."""
    if agreed is None:
        return None
    untidy = (row.speck_share or 0.0) + max(0.0, (row.holes or 0.0) - each.holes)
    parts = {
        "iou": agreed.iou, "boundary_f": agreed.boundary_f, "thin_kept": agreed.thin_kept, "covered": agreed.covered,
        "clean": 1.0 - min(1.0, untidy),
    }  # fmt: skip
    present = {name: value for name, value in parts.items() if value is not None and weights.get(name, 0)}
    total = sum(weights[name] for name in present)
    return min(1.0, sum(weights[name] * value for name, value in present.items()) / total) if total else None


def compare_presets(
    presets: Sequence[Preset], rows: Sequence[SweptMask], settings: MaskLabSettings
) -> list[PresetResult]:
    """Means of each preset over the sample, and which of them lie on the Pareto front of objective and seconds."""
    of_preset: dict[str, list[SweptMask]] = {}
    for row in rows:
        of_preset.setdefault(row.preset, []).append(row)
    results = [_result(preset, of_preset.get(preset.name, [])) for preset in presets]
    front = pareto_front([(r.objective, r.seconds) for r in results])
    best = sorted(results, key=lambda r: (":" in r.preset, -(r.objective or 0.0), r.seconds))
    pictured = {result.preset for result in best[: settings.pictures]}
    return [
        replace(result, on_front=on, has_pictures=result.preset in pictured)
        for result, on in zip(results, front, strict=True)
    ]


def _result(preset: Preset, rows: Sequence[SweptMask]) -> PresetResult:
    def mean(measure: Callable[[SweptMask], float | None], of: Sequence[SweptMask] = rows) -> float | None:
        values = [value for row in of if (value := measure(row)) is not None]
        return float(np.mean(values)) if values else None

    hard = [row for row in rows if row.chosen_for != [RANDOM]]
    smallest = min(rows, key=lambda row: (SMALLEST not in row.chosen_for, row.image), default=None)
    return PresetResult(
        preset=preset.name, slug=preset.slug, steps=preset.steps, parameters=json.dumps(preset.parameters),
        images=len(rows), seconds=mean(lambda r: r.seconds) or 0.0, coverage=mean(lambda r: r.coverage) or 0.0,
        box_share=mean(lambda r: r.box_share) or 0.0, hard_coverage=smallest.coverage if smallest else 0.0,
        specks=mean(lambda r: r.specks) or 0.0, holes=mean(lambda r: r.holes) or 0.0,
        judged=sum(bool(row.judge) for row in rows), iou=mean(lambda r: r.iou), covered=mean(lambda r: r.covered),
        exact=mean(lambda r: r.exact), boundary_f=mean(lambda r: r.boundary_f), thin_kept=mean(lambda r: r.thin_kept),
        objective=mean(lambda r: r.objective), hard_objective=mean(lambda r: r.objective, hard), on_front=None,
        has_pictures=False,
    )  # fmt: skip


def pareto_front(points: Sequence[tuple[float | None, float]]) -> list[bool | None]:
    """Of (quality, cost) pairs, which no other beats in one without losing in the other; None without a quality."""
    rated = sorted((cost, -quality, place) for place, (quality, cost) in enumerate(points) if quality is not None)
    front: dict[int, bool] = {}
    best, best_cost = -np.inf, np.inf
    for cost, worse, place in rated:
        front[place] = -worse > best or (-worse == best and cost == best_cost)
        if -worse > best:
            best, best_cost = -worse, cost
    return [front.get(place) for place in range(len(points))]


def sample_facts(sample: Sequence[JudgedMask]) -> list[dict[str, Any]]:
    """The sample as JSON values: what was looked at, and why."""
    return [
        {
            "image": each.sampled.number, "dataset": each.sampled.source.dataset, "path": each.sampled.path,
            "frame_sha256": each.sampled.frame_sha256, "detection_id": each.sampled.row.detection_id,
            "chosen_for": list(each.sampled.chosen_for), "detail": each.sampled.detail,
            "width": each.sampled.frame.width, "height": each.sampled.frame.height, "judge": each.judge,
        }
        for each in sample
    ]  # fmt: skip


def sources_said(sources: Sequence[LabSource]) -> list[str]:
    """In words, which datasets have no masks to sweep."""
    return [f"{source.name}: {source.why}" for source in sources if source.why]
