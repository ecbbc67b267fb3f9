"""Recipes: everything that can change a stage's result, as one record with a digest.

Results are stored under (frame hash, recipe digest). Two trackers that share a recipe share its results; two results
that differ can be traced by comparing recipes stage by stage. What belongs elsewhere: the settings and their defaults
(beside each algorithm in vision), what is missing (planning).
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from lora_assets.models import OpenWeights, resolve
from lora_assets.specs import SpecError, TrackerSpec
from lora_assets.store import atomic_write_json, digest
from lora_assets.vision import checks, crops, detect, images, masks, refine, score, segment
from lora_assets.vision.detect import DetectSettings
from lora_assets.vision.device import device
from lora_assets.vision.images import ReadSettings
from lora_assets.vision.refine import RefineSettings
from lora_assets.vision.score import ScoreSettings
from lora_assets.vision.segment import SegmentSettings

Settings = TypeVar("Settings")

# The code that makes each stage's result, by the versions that stand beside the algorithms.
CODE_VERSIONS = {
    "raw_frames": images.CODE_VERSION,
    "detections": detect.CODE_VERSION,
    "segments": f"{segment.CODE_VERSION}.{masks.CODE_VERSION}",
    "masks": f"{refine.CODE_VERSION}.{masks.CODE_VERSION}",
    "scored_crops": f"{score.CODE_VERSION}.{checks.CODE_VERSION}.{crops.CODE_VERSION}",
}


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
            atomic_write_json(path, self.facts())


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """The checked settings of a tracker, stage by stage."""

    detect: DetectSettings
    segment: SegmentSettings
    refine: RefineSettings
    score: ScoreSettings


@dataclass(frozen=True, slots=True)
class TrackerRecipes:
    """The recipes of a tracker's stages. `segments` are the masks before refinement: a new preset re-uses them."""

    settings: TrackerSettings
    detectors: tuple[OpenWeights, ...]
    segmenter: OpenWeights
    detections: Recipe
    segments: Recipe
    masks: Recipe
    scored_crops: Recipe


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
        raise SpecError(f"{path}, section [read]: {error}; it may hold min_side and max_megapixels") from error


def _section(settings_type: type[Settings], values: dict[str, Any], section: str, tracker: str) -> Settings:
    """One section of a tracker's file as its settings type; SpecError names tracker, section and entry."""
    known = {field.name: field for field in dataclasses.fields(settings_type)}  # pyright: ignore[reportArgumentType]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise SpecError(
            f"tracker {tracker}, section [{section}]: unknown setting {', '.join(unknown)}; known: {', '.join(known)}"
        )
    # TOML has lists only; settings hold tuples, so that they can be hashed and compared.
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    try:
        return settings_type(**given)
    except (TypeError, ValueError) as error:
        raise SpecError(f"tracker {tracker}, section [{section}]: {error}") from error


def tracker_settings(spec: TrackerSpec) -> TrackerSettings:
    """The settings of a tracker, checked. Raises SpecError naming the section, the setting and what is known."""
    given = spec.settings
    return TrackerSettings(
        detect=_section(DetectSettings, given.get("detect", {}), "detect", spec.id),
        segment=_section(SegmentSettings, given.get("segment", {}), "segment", spec.id),
        refine=_section(RefineSettings, given.get("refine", {}), "refine", spec.id),
        score=_section(ScoreSettings, given.get("score", {}), "score", spec.id),
    )


def _used(weights: OpenWeights) -> UsedWeights:
    return UsedWeights(weights.name, weights.sha256, weights.name.startswith("starter-"))


def _model_runtime() -> str:
    torch_line = ".".join(version("torch").split(".")[:2])
    return f"torch {torch_line} {device()} float32"


def _json_settings(settings: Any, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    plain = {name: value for name, value in dataclasses.asdict(settings).items() if name not in leave_out}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}


def tracker_recipes(spec: TrackerSpec, data: Path) -> TrackerRecipes:
    """The recipes of a tracker's stages, with the digests of its weights as they lie on disk.

    Raises SpecError for a setting and ModelError for weights that are unknown, absent or not what the registry says.
    """
    settings = tracker_settings(spec)
    detectors = tuple(resolve(name, data) for name in settings.detect.weights)
    segmenter = resolve(settings.segment.weights, data)
    runtime = _model_runtime()
    read = digest("read", CODE_VERSIONS["raw_frames"])
    # The weights' names stay out of the settings: a recipe knows them by content.
    detections = Recipe(
        "detections",
        CODE_VERSIONS["detections"],
        _json_settings(settings.detect, ("weights",)),
        tuple(_used(weights) for weights in detectors),
        runtime,
        read,
    )
    segments = Recipe(
        "segments",
        CODE_VERSIONS["segments"],
        _json_settings(settings.segment, ("weights",)),
        (_used(segmenter),),
        runtime,
        detections.digest,
    )
    refined = Recipe("masks", CODE_VERSIONS["masks"], _json_settings(settings.refine), (), "opencv", segments.digest)
    scored = Recipe(
        "scored_crops", CODE_VERSIONS["scored_crops"], _json_settings(settings.score), (), "opencv", refined.digest
    )
    return TrackerRecipes(settings, detectors, segmenter, detections, segments, refined, scored)
