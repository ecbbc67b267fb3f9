"""Where a crop comes from: each step from the frame's file to the score, with what could have made it different.

Read from the facts of the published tables and from the recipes that are kept beside results on the shelves. What a
page says of the crop itself is in crop_page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_assets.specs import TrackerSpec
from lora_assets.store import PublishedTable
from lora_assets.tracker.cells import Cell
from lora_assets.tracker.pages import RunLink, partition_url, run_link
from lora_assets.tracker.summary import WeightFacts, stage_facts

_RECIPE = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class SettingLine:
    """A setting as it was used; `given` when the tracker's file names it, so that it may differ from the default."""

    name: str
    value: str
    given: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `name` is a stage (`segments`: masks before refinement); what was not told is empty or 0."""

    name: str
    made: bool
    recipe: str = ""
    code_version: str = ""
    runtime: str = ""
    weights: tuple[WeightFacts, ...] = ()
    settings: tuple[SettingLine, ...] = ()
    frames: int = 0
    computed: int = 0
    reused: int = 0
    seconds: float = 0.0
    made_at: float = 0.0
    run: RunLink | None = None
    asset_url: str = ""

    @property
    def given(self) -> tuple[SettingLine, ...]:
        """The settings that the tracker's file names."""
        return tuple(setting for setting in self.settings if setting.given)

    @property
    def rest(self) -> tuple[SettingLine, ...]:
        """The other settings."""
        return tuple(setting for setting in self.settings if not setting.given)

    @property
    def rate(self) -> float | None:
        """Frames a second of what was computed; None when nothing was."""
        return self.computed / self.seconds if self.computed and self.seconds > 0 else None


def steps_of(data: Path, spec: TrackerSpec, cell: Cell, dagster_url: str) -> dict[str, Step]:
    """The steps of a cell by name, in their order: frames, detections, segments, masks, scored_crops."""

    both = f"{cell.dataset}|{spec.id}"
    steps = {
        "frames": _step("frames", cell.frames, {}, dagster_url, partition_url(dagster_url, "raw_frames", cell.dataset)),
        "detections": _step(
            "detections",
            cell.detections,
            spec.settings.get("detect", {}),
            dagster_url,
            partition_url(dagster_url, "detections", both),
        ),
    }
    masks = _step("masks", cell.masks, {}, dagster_url, partition_url(dagster_url, "masks", both))
    steps["segments"], steps["masks"] = _mask_steps(data, spec, cell.masks, masks)
    steps["scored_crops"] = _step(
        "scored_crops",
        cell.scored_crops,
        spec.settings.get("score", {}),
        dagster_url,
        partition_url(dagster_url, "scored_crops", both),
    )
    return steps


def _step(name: str, table: PublishedTable | None, given: Mapping[str, Any], dagster_url: str, asset_url: str) -> Step:
    told = stage_facts(name, table)
    if table is None:
        return Step(name, made=False, asset_url=asset_url)
    return Step(
        name=name,
        made=told.made,
        recipe=told.recipe,
        code_version=str(table.facts.get("code_version") or ""),
        runtime=str(table.facts.get("runtime") or ""),
        weights=told.weights,
        settings=_setting_lines(told.settings, given),
        frames=int(table.facts.get("frames") or 0),
        computed=told.computed,
        reused=told.reused,
        seconds=told.seconds,
        made_at=told.published_at,
        run=run_link(dagster_url, told.run_id) if told.run_id else None,
        asset_url=asset_url,
    )


def _mask_steps(data: Path, spec: TrackerSpec, table: PublishedTable | None, both: Step) -> tuple[Step, Step]:
    """The masks before refinement and the refined ones, which one table tells together.

    Their own recipes are on the shelves; where these were cleared away, all settings are told with the segmenter.
    """
    segment, refine = spec.settings.get("segment", {}), spec.settings.get("refine", {})
    if table is None:
        return Step("segments", made=False, asset_url=both.asset_url), both
    first = read_recipe(data, "segments", str(table.facts.get("segments_recipe") or ""))
    second = read_recipe(data, "masks", both.recipe)
    settings = {line.name: line.value for line in both.settings}
    own = _settings_in(second)
    before = _settings_in(first)
    if not before:
        before = {name: value for name, value in settings.items() if name not in own}
    segments = Step(
        name="segments",
        made=True,
        recipe=str(table.facts.get("segments_recipe") or ""),
        code_version=str(first.get("code_version") or ""),
        runtime=str(first.get("runtime") or ""),
        weights=both.weights,
        settings=_setting_lines(before, segment),
        frames=both.frames,
        computed=int(table.facts.get("segmented") or 0),
        made_at=both.made_at,
        run=both.run,
        asset_url=both.asset_url,
    )
    refined = Step(
        name="masks",
        made=True,
        recipe=both.recipe,
        code_version=both.code_version,
        runtime=both.runtime,
        settings=_setting_lines(own, refine),
        frames=both.frames,
        computed=both.computed,
        reused=both.reused,
        seconds=both.seconds,
        made_at=both.made_at,
        run=both.run,
        asset_url=both.asset_url,
    )
    return segments, refined


def read_recipe(data: Path, stage: str, recipe: str) -> dict[str, Any]:
    """The recipe kept beside results on the shelf; empty when it is gone or cannot be read."""
    if not _RECIPE.fullmatch(recipe):
        return {}
    try:
        told = json.loads((data / "store" / stage / recipe / "recipe.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _settings_in(recipe: Mapping[str, Any]) -> dict[str, Any]:
    settings = recipe.get("settings")
    return settings if isinstance(settings, dict) else {}


def _setting_lines(settings: Mapping[str, Any], given: Mapping[str, Any]) -> tuple[SettingLine, ...]:
    return tuple(
        SettingLine(str(name), _text(value), name in given) for name, value in settings.items() if value is not None
    )


def _text(value: Any) -> str:
    """A setting in a line: lists and tables without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "–"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items()) or "–"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)
