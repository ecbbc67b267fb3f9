"""The table `curated_dataset` as it was published last, with its readiness report: what pages and commands show.

Imports nothing that works on pictures, so that the pages start without it. How a dataset is made is in making.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lora_assets.curation.splitting import TRAIN, VALIDATION
from lora_assets.store import PublishedTable, Store
from lora_assets.tables import CuratedCrop, from_table


@dataclass(frozen=True, slots=True)
class MadeDataset:
    """What was published: the table, its rows, the readiness report as JSON values, and seconds."""

    table: PublishedTable
    rows: tuple[CuratedCrop, ...]
    report: Mapping[str, Any]
    seconds: float

    def numbers(self) -> dict[str, float]:
        """What is plotted over trackers, by name."""
        chosen = sum(row.chosen for row in self.rows)
        return {
            **{f"funnel_{stage}": float(count) for stage, count in self.report["funnel"].items()},
            "train": float(self.report["parts"].get(TRAIN, 0)),
            "validation": float(self.report["parts"].get(VALIDATION, 0)),
            "chosen_share": chosen / len(self.rows) if self.rows else 0.0,
            "mean_score": float(self.report["mean_score"] or 0.0),
            "pictures_an_epoch": float(self.report["pictures_an_epoch"]),
            "findings": float(len(self.report["findings"])),
            "seconds": self.seconds,
        }


def read_curated(store: Store, tracker: str) -> MadeDataset | None:
    """The dataset as it was published last; None when it never was. Raises StoreError for a damaged table."""
    table = store.published(store.table_path("curated_dataset", tracker))
    if table is None:
        return None
    rows = tuple(from_table(table.read(), CuratedCrop))
    return MadeDataset(table, rows, table.facts["report"], float(table.facts["seconds"]))
