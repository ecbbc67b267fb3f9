"""reregister: tell a new or lost Dagster instance what the store holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from lora_assets.cli.project import enter_project
from lora_assets.cli.runs import open_instance
from lora_assets.dashboards import dashboard_numbers
from lora_assets.specs import known_tracker_ids
from lora_assets.store import PublishedTable, Store
from lora_assets.tables import TRACKER_TABLES
from lora_assets.tracker.summary import read_dashboard

if TYPE_CHECKING:
    from dagster import DagsterInstance

_CELL_TABLES = ("detections", "masks", "scored_crops")
# The tables of a whole tracker that are called otherwise than their asset; the last is a second one of its asset.
_ASSETS_OF_TABLES = {"captions": "crop_captions", "object_captions": "captions", "refinement_presets": ""}


def _report(instance: DagsterInstance, asset: str, partition: Any, version: str, facts: dict[str, Any]) -> None:
    import dagster as dg
    from dagster._core.definitions.data_version import DATA_VERSION_TAG

    numbers = {name: float(value) for name, value in facts.items() if isinstance(value, int | float)}
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            asset, partition=partition, metadata={**numbers, "reregistered": True}, tags={DATA_VERSION_TAG: version}
        )
    )


def _cells(store: Store, datasets: list[str], trackers: list[str]) -> list[tuple[str, str, str, PublishedTable]]:
    found = []
    for tracker in trackers:
        for dataset in datasets:
            for table in _CELL_TABLES:
                published = store.cell_table(table, dataset, tracker)
                if published is not None:
                    found.append((table, dataset, tracker, published))
    return found


def reregister() -> None:
    """Report every table of datasets and trackers to Dagster, for a new or lost instance, which then shows them.

    Deleting runs in Dagster deletes their materializations; the store is the truth, and this brings them back.
    """
    import dagster as dg

    project = enter_project()
    store = Store(project.data)
    instance = open_instance(project)
    datasets = sorted(path.stem for path in (project.data / "tables" / "raw_frames").glob("*.parquet"))
    trackers = known_tracker_ids(project.data)
    for name, keys in (("dataset", datasets), ("tracker", trackers)):
        instance.add_dynamic_partitions(name, keys)
    count = 0
    for dataset in datasets:
        frames = store.frames_of(dataset)
        if frames is not None:
            _report(instance, "raw_frames", dataset, frames.version, frames.facts)
            count += 1
    for table, dataset, tracker, published in _cells(store, datasets, trackers):
        key = dg.MultiPartitionKey({"dataset": dataset, "tracker": tracker})
        _report(instance, table, key, published.version, published.facts)
        count += 1
    for tracker in trackers:
        made = read_dashboard(project.data, tracker)
        if made is not None:
            _report(instance, "tracker_dashboard", tracker, made.version, dict(dashboard_numbers(made)))
            count += 1
        for table in TRACKER_TABLES:
            published = store.published(store.table_path(table, tracker))
            if published is not None and (asset := _ASSETS_OF_TABLES.get(table, table)):
                _report(instance, asset, tracker, published.version, published.facts)
                count += 1
    instance.dispose()
    typer.echo(f"reported {count} materializations of {len(datasets)} datasets and {len(trackers)} trackers")


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.command()(reregister)
