"""Recipes: everything that can change a stage's result, as one record with a digest.

Results are stored under (frame hash, recipe digest). Two trackers that share a recipe share its results; two results
that differ can be traced by comparing recipes stage by stage. What belongs elsewhere: the settings and their defaults
(beside each algorithm in vision), what is missing (planning).
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from lora_assets.models import OpenWeights, resolve
from lora_assets.models.registry import CHECK, SALIENCY_ONNX, SAM2, STARTER_SAM, WEIGHTS, YOLO_ONNX
from lora_assets.specs import SpecError, TrackerSpec, section_settings
from lora_assets.store import Store, StoreError, atomic_write_json, digest
from lora_assets.verdicts.corrections import Kept
from lora_assets.vision import (
    checks,
    crops,
    detect,
    images,
    mask_facts,
    masks,
    matting,
    neighbours,
    refine,
    saliency_onnx,
    sam2,
    score,
    second_opinion,
    segment,
    starter_boxes,
    yolo_onnx,
)
from lora_assets.vision.body_box import DETECTED, FrameBoxes, Proportions, fit_proportions
from lora_assets.vision.detect import DetectSettings
from lora_assets.vision.detect_settings import looks_of
from lora_assets.vision.device import device
from lora_assets.vision.images import ReadSettings
from lora_assets.vision.last_resort import EDGES
from lora_assets.vision.refine import RefineSettings
from lora_assets.vision.score import ScoreSettings
from lora_assets.vision.segment import SegmentSettings
from lora_assets.vision.subjects import References, load_references

# The code that makes each stage's result, by the versions that stand beside the algorithms.
CODE_VERSIONS = {
    "raw_frames": images.CODE_VERSION,
    "detections": detect.CODE_VERSION,
    "segments": ".".join(
        module.CODE_VERSION for module in (segment, masks, neighbours, mask_facts, second_opinion, saliency_onnx)
    ),
    "masks": f"{refine.CODE_VERSION}.{masks.CODE_VERSION}.{mask_facts.CODE_VERSION}",
    "scored_crops": f"{score.CODE_VERSION}.{checks.CODE_VERSION}.{crops.CODE_VERSION}.{matting.CODE_VERSION}",
}
# Code that makes masks for one family of segmenters only: it counts where such a one is used.
_FAMILY_VERSIONS = {SAM2: f".sam2-{sam2.CODE_VERSION}", STARTER_SAM: f".starter-{starter_boxes.CODE_VERSION}"}


CHECKERS = tuple(weights.name for weights in WEIGHTS if weights.task == CHECK)
"""The packaged networks that the checks of crops ask. There are no others, so that nobody is told to fetch better."""


@dataclass(frozen=True, slots=True)
class UsedWeights:
    """The weights of a recipe: the name that the person gave, the file's SHA-256, and whether they are starters."""

    name: str
    sha256: str
    starter: bool


@dataclass(frozen=True)
class Recipe:
    """What makes a stage's result: stage, code version, settings, weights, runtime, and the recipe before it."""

    stage: str
    code_version: str
    settings: dict[str, Any]
    weights: tuple[UsedWeights, ...]
    runtime: str
    parent: str

    @property
    def digest(self) -> str:
        """The recipe's address in the store. The name of a weights file is not part of it, its content is."""
        hashes = [used.sha256 for used in self.weights]
        return digest(self.stage, self.code_version, self.settings, hashes, self.runtime, self.parent)

    def version_for(self, frames_version: str) -> str:
        """The version of a cell's table that holds every frame of that frames list under this recipe."""
        return digest(frames_version, self.digest)

    def facts(self) -> dict[str, Any]:
        """The recipe as JSON values, for published tables and for the recipe's own file."""
        return {**dataclasses.asdict(self), "recipe": self.digest}

    def keep(self, data: Path) -> None:
        """Write the recipe beside its results once, so that a difference can be traced years later."""
        path = data / "store" / self.stage / self.digest / "recipe.json"
        if not path.exists():
            atomic_write_json(path, self.facts(), recorded=True)


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """The checked settings of a tracker, stage by stage."""

    detect: DetectSettings
    segment: SegmentSettings
    refine: RefineSettings
    score: ScoreSettings


@dataclass(frozen=True, slots=True)
class CorrectedFrames:
    """What a person corrected in a dataset: standing corrections by frame hash, up to row `seq` of their log, and the
    recipes without them, which all other frames keep."""

    by_frame: Mapping[str, tuple[Kept, ...]]
    seq: int
    masks: Recipe
    scored_crops: Recipe


@dataclass(frozen=True, slots=True)
class TrackerRecipes:
    """The recipes of a tracker's stages. `segments` are the masks before refinement: a new preset re-uses them.

    `detectors` in the order of the settings, without "edges", which needs no weights; `references` are the pictures of
    the character that the settings name, None when they name none; `second_opinion` are the weights that are asked
    about each mask, None when no weights are needed for it.
    """

    settings: TrackerSettings
    detectors: tuple[OpenWeights, ...]
    segmenter: OpenWeights
    detections: Recipe
    segments: Recipe
    masks: Recipe
    scored_crops: Recipe
    references: References | None = None
    second_opinion: OpenWeights | None = None
    corrected: CorrectedFrames | None = None
    """of a cell's recipes: `masks` and `scored_crops` then hold corrections; None where the dataset has none"""


def read_settings(data: Path) -> ReadSettings:
    """The limits on pictures of every dataset: section [read] of `data/settings.toml`, or the defaults.

    Raises SpecError naming the entry that does not fit.
    """
    path = data / "settings.toml"
    if not path.exists():
        return ReadSettings()
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8")).get("read", {})
        return ReadSettings(**told)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise SpecError(
            f"{path}, section [read]: {error}; it may hold min_side, max_megapixels and max_seconds"
        ) from error


def tracker_settings(spec: TrackerSpec) -> TrackerSettings:
    """The settings of a tracker, checked. Raises SpecError naming the section, the setting and what is known."""
    return TrackerSettings(
        detect=section_settings(DetectSettings, spec, "detect"),
        segment=section_settings(SegmentSettings, spec, "segment"),
        refine=section_settings(RefineSettings, spec, "refine"),
        score=section_settings(ScoreSettings, spec, "score"),
    )


def _used(weights: OpenWeights) -> UsedWeights:
    return UsedWeights(weights.name, weights.sha256, weights.name.startswith("starter-"))


def _model_runtime(weights: Sequence[OpenWeights]) -> str:
    torch_line = ".".join(version("torch").split(".")[:2])
    runtime = f"torch {torch_line} {device()} float32"
    if not any(one.family in (YOLO_ONNX, SALIENCY_ONNX) for one in weights):
        return runtime
    return f"{runtime}, {_onnx_runtime()}"


def _onnx_runtime() -> str:
    import onnxruntime

    onnx_line = ".".join(onnxruntime.__version__.split(".")[:2])
    return f"onnxruntime {onnx_line} {yolo_onnx.execution_providers()[0]}"


def _json_settings(settings: Any, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    plain = {name: value for name, value in dataclasses.asdict(settings).items() if name not in leave_out}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def _detect_facts(
    settings: DetectSettings, references: References | None, detectors: Sequence[OpenWeights]
) -> dict[str, Any]:
    """The settings of detections as the recipe keeps them: pictures and measured numbers by content, not by name."""
    facts = _json_settings(settings, ("weights", "references", "proportions_from", "looks"))
    edges = settings.weights.index(EDGES) if EDGES in settings.weights else None
    looks = [list(looks_of(settings, weights.sha256)) for weights in detectors]
    # Named only where there are several: the results of all other trackers stay what they are.
    told = {"looks": looks} if any(looks) else {}
    return {**facts, **told, "edges_place": edges, "references": references.sha256 if references else None}


def _segment_facts(settings: SegmentSettings) -> dict[str, Any]:
    """The settings of segments as the recipe keeps them; weights of a second opinion are known by content too."""
    facts = _json_settings(settings, ("weights",))
    return facts if settings.opinion_weights is None else {**facts, "second_opinion": "weights"}


@lru_cache(maxsize=16)
def _known_references(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> References:
    """The pictures of a folder, read again only when one of its files changed."""
    del stamps
    return load_references(folder)


def _references(settings: DetectSettings, spec: TrackerSpec, data: Path) -> References | None:
    if not settings.references:
        return None
    folder = data / "references" / settings.references
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        stamps = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        return _known_references(folder, tuple(stamps))
    except (ValueError, OSError) as error:
        raise SpecError(f"tracker {spec.id}, section [detect], references: {error}") from error


def _with_measured_proportions(settings: DetectSettings, spec: TrackerSpec, data: Path) -> DetectSettings:
    """The settings with the proportions that the detections of the named tracker show; SpecError when it has none."""
    source = settings.proportions_from
    if not source:
        return settings
    if source == spec.id:
        raise SpecError(f"tracker {spec.id}, section [detect]: proportions_from must name another tracker")
    paths = sorted(p for p in Store(data).table_path("detections", "any", source).parent.glob("*.parquet"))
    slugs = [path.stem for path in paths if not path.name.startswith(".") and spec.covers(path.stem)]
    if not slugs:
        raise SpecError(
            f"tracker {spec.id}, section [detect]: proportions_from names {source}, which has no detections of these "
            f"datasets yet: run it first, or leave the setting out"
        )
    stamps = tuple((path.stem, path.stat().st_mtime_ns, path.stat().st_size) for path in paths if path.stem in slugs)
    shown = _known_proportions(data, source, stamps, settings.proportions)
    return dataclasses.replace(settings, **dataclasses.asdict(shown))


@lru_cache(maxsize=16)
def _known_proportions(
    data: Path, source: str, stamps: tuple[tuple[str, int, int], ...], start: Proportions
) -> Proportions:
    """What the detections of a tracker show, read again only when one of its tables changed: recipes are asked for at
    every tick of a sensor."""
    frames = [frame for slug, _, _ in stamps for frame in _found_frames(Store(data), slug, source)]
    return fit_proportions(frames, start).proportions


def _found_frames(store: Store, slug: str, tracker: str) -> list[FrameBoxes]:
    """The detected boxes of a published cell, frame by frame. Raises StoreError for a damaged table.

    Tables of earlier versions do not say how a body box came about: all of theirs were detected.
    """
    boxes, frames = store.cell_table("detections", slug, tracker), store.frames_of(slug, tracker)
    if boxes is None or frames is None:
        raise StoreError(f"{slug}|{tracker}: its detections or its frames list are damaged: materialize it again")
    sizes = frames.read(["sha256", "width", "height"]).to_pylist()
    size_of = {row["sha256"]: (row["width"], row["height"]) for row in sizes if row["width"]}
    rows: dict[str, list[dict[str, Any]]] = {}
    names = ["frame_sha256", "label", "x1", "y1", "x2", "y2"]
    names += ["body_from"] if "body_from" in boxes.columns else []
    for row in boxes.read(names).to_pylist():
        if row.get("body_from") in (None, DETECTED) and row["frame_sha256"] in size_of:
            rows.setdefault(row["frame_sha256"], []).append(row)
    return [
        FrameBoxes(
            np.array([[row[name] for name in ("x1", "y1", "x2", "y2")] for row in found], np.float64),
            tuple(row["label"] for row in found),
            *size_of[sha256],
        )
        for sha256, found in rows.items()
    ]


def tracker_recipes(spec: TrackerSpec, data: Path) -> TrackerRecipes:
    """The recipes of a tracker's stages, with the digests of its weights as they lie on disk.

    Raises SpecError for a setting and ModelError for weights that are unknown, absent or not what the registry says.
    """
    settings = tracker_settings(spec)
    settings = dataclasses.replace(settings, detect=_with_measured_proportions(settings.detect, spec, data))
    references = _references(settings.detect, spec, data)
    detectors = tuple(resolve(name, data) for name in settings.detect.weights if name != EDGES)
    segmenter = resolve(settings.segment.weights, data)
    opinion_name = settings.segment.opinion_weights
    opinion = resolve(opinion_name, data) if opinion_name is not None else None
    checkers = [resolve(name, data) for name in CHECKERS]
    read = digest("read", CODE_VERSIONS["raw_frames"])
    # The weights' names stay out of the settings: a recipe knows them by content.
    detections = Recipe(
        "detections",
        CODE_VERSIONS["detections"],
        _detect_facts(settings.detect, references, detectors),
        tuple(_used(weights) for weights in detectors),
        _model_runtime(detectors),
        read,
    )
    segments = Recipe(
        "segments",
        # Its own code counts only where it is used: other trackers' results stay what they are.
        CODE_VERSIONS["segments"] + _FAMILY_VERSIONS.get(segmenter.family, ""),
        _segment_facts(settings.segment),
        (_used(segmenter),) if opinion is None else (_used(segmenter), _used(opinion)),
        _model_runtime([segmenter] if opinion is None else [segmenter, opinion]),
        detections.digest,
    )
    refined = Recipe(
        "masks", CODE_VERSIONS["masks"], refine.recipe_facts(settings.refine), (), "opencv", segments.digest
    )
    scored = Recipe(
        "scored_crops",
        CODE_VERSIONS["scored_crops"],
        _json_settings(settings.score),
        tuple(UsedWeights(one.name, one.sha256, starter=False) for one in checkers),
        f"opencv, {_onnx_runtime()}",
        refined.digest,
    )
    return TrackerRecipes(settings, detectors, segmenter, detections, segments, refined, scored, references, opinion)
