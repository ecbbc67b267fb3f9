"""What an asset tells Dagster of its rows, its work and itself. No `from __future__ import annotations` in assets/."""

import time
from typing import Any

import dagster as dg

from lora_assets.main_line.stages import StageUpdate
from lora_assets.progress import Progress, tell
from lora_assets.tables import columns

_LOG_SECONDS = 10.0


def column_schema(row_type: type) -> dg.TableSchema:
    """A row type as Dagster's column schema: types, nullability and the words of each column."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name, str(field.type), column.doc, constraints=dg.TableColumnConstraints(nullable=field.nullable)
            )
            for name, (field, column) in columns(row_type).items()
        ]
    )


def stage_metadata(update: StageUpdate, preview: str) -> dict[str, Any]:
    """Counts, timings, recipe and picture of a stage's update; floats are plotted by the UI."""
    facts = update.table.facts
    known = max(update.frames, 1)
    return {
        "dagster/row_count": update.rows,
        "frames": float(update.frames),
        "rows": float(update.rows),
        "computed": float(update.computed),
        "reused": float(update.reused),
        "dropped": float(len(update.dropped)),
        "reused_share": update.reused / known,
        "seconds": float(update.seconds),
        "frames_per_second": update.computed / update.seconds if update.seconds and update.computed else 0.0,
        "recipe": str(facts.get("recipe", "")),
        "settings": dg.MetadataValue.json(facts.get("settings", {})),
        "weights": dg.MetadataValue.json(list(facts.get("weights", ()))),
        "starter_models": any(used["starter"] for used in facts.get("weights", ())),
        "table": dg.MetadataValue.path(str(update.table.path)),
        "preview": dg.MetadataValue.md(preview),
    }


class LogListener:
    """Tells a run's log how far a stage is, every few seconds, and a command that waits for the run every time."""

    def __init__(self, log: dg.DagsterLogManager) -> None:
        self._log = log
        self._told = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Log the progress when the last word is old enough or the stage is finished."""
        tell(progress)
        if 0 < progress.total == progress.done or time.monotonic() - self._told > _LOG_SECONDS:
            self._told = time.monotonic()
            self._log.info(f"{progress.stage}: {progress.done} of {progress.total} {progress.unit}")
