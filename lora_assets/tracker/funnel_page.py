"""What the page of a tracker's dataset says: readiness, the funnel as a picture, coverage, and why crops are in or out.

Reads the published table `curated_dataset` only. How it was chosen is not here (curation).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from lora_assets.curation.made import MadeDataset, read_curated
from lora_assets.curation.reasons import FUNNEL, REASONS
from lora_assets.specs import TrackerSpec
from lora_assets.store import Store
from lora_assets.tables import CuratedCrop

TILES = 96
WIDTH, STEP, BAR, LEFT, RIGHT = 870, 46, 32, 300, 130


@dataclass(frozen=True, slots=True)
class FunnelBar:
    """One stage in the picture: its name, how many are left, of the stage before (None for the first two), and where
    the bar lies (pixels of the picture)."""

    stage: str
    count: int
    share: float | None
    top: int
    length: float
    outline: str
    """points of the slope to the next bar, "" for the last"""

    @property
    def percent(self) -> float:
        """Its length in percent of the longest bar's."""
        return 100 * self.length / (WIDTH - LEFT - RIGHT)


@dataclass(frozen=True, slots=True)
class ReasonLine:
    """One reason with its count, the address that shows its crops, and whether they are shown."""

    code: str
    takes_in: bool
    count: int
    url: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class DatasetTile:
    """One crop shown: addresses of picture and page, and what the table says of it."""

    row: CuratedCrop
    thumb_url: str
    crop_url: str


@dataclass(frozen=True, slots=True)
class DatasetPage:
    """The page `/tracker/<ID>/dataset`; `report` is None before a dataset was chosen."""

    spec: TrackerSpec
    url: str
    tracker_url: str
    report: Mapping[str, Any] | None
    settings: Mapping[str, Any]
    bars: tuple[FunnelBar, ...]
    left: int
    """where the bars begin; their names end before it"""
    width: int
    height: int
    reasons: tuple[ReasonLine, ...]
    shown: str
    """code of the reason whose crops are shown; empty: the chosen ones"""
    tiles: tuple[DatasetTile, ...]
    matching: int


def dataset_page(store: Store, spec: TrackerSpec, query: Mapping[str, str]) -> DatasetPage:
    """The page of a tracker's dataset; an unknown reason in `query` shows the chosen crops. Raises StoreError for a
    damaged table."""
    url = f"/tracker/{quote(spec.id)}/dataset"
    made = read_curated(store, spec.id)
    height = 12 + STEP * len(FUNNEL)
    if made is None:
        return DatasetPage(spec, url, f"/tracker/{quote(spec.id)}", None, {}, (), LEFT, WIDTH, height, (), "", (), 0)
    asked = query.get("reason", "")
    shown = asked if asked in REASONS else ""
    rows = _shown(made, shown)
    return DatasetPage(
        spec=spec,
        url=url,
        tracker_url=f"/tracker/{quote(spec.id)}",
        report=made.report,
        settings=made.table.facts["settings"],
        bars=funnel_bars(made.report["funnel"]),
        left=LEFT,
        width=WIDTH,
        height=height,
        reasons=_reasons(made, url, shown),
        shown=shown,
        tiles=tuple(_tile(spec.id, row) for row in rows[:TILES]),
        matching=len(rows),
    )


def funnel_bars(funnel: Mapping[str, int]) -> tuple[FunnelBar, ...]:
    """The bars of the funnel, the longest as wide as the picture allows, each sloping into the next."""
    most = max(max(funnel[stage] for stage in FUNNEL), 1)
    lengths = [(WIDTH - LEFT - RIGHT) * funnel[stage] / most for stage in FUNNEL]
    bars = []
    for number, stage in enumerate(FUNNEL):
        top, length = 6 + number * STEP, max(lengths[number], 1.0)
        outline = ""
        if number + 1 < len(FUNNEL):
            after = max(lengths[number + 1], 1.0)
            low, high = top + BAR, top + STEP
            outline = f"{LEFT},{low} {LEFT + length:.1f},{low} {LEFT + after:.1f},{high} {LEFT},{high}"
        had = funnel[FUNNEL[number - 1]] if number > 1 else 0
        share = funnel[stage] / had if had else None
        bars.append(FunnelBar(stage, funnel[stage], share, top, length, outline))
    return tuple(bars)


def _shown(made: MadeDataset, reason: str) -> list[CuratedCrop]:
    if not reason:
        return sorted((row for row in made.rows if row.chosen), key=lambda row: row.rank)
    return sorted((row for row in made.rows if row.reason == reason), key=lambda row: (row.rank, -row.score))


def _reasons(made: MadeDataset, url: str, shown: str) -> tuple[ReasonLine, ...]:
    counts = Counter(row.reason for row in made.rows)
    order = [code for code in REASONS if counts[code]]
    return tuple(
        ReasonLine(code, REASONS[code].takes_in, counts[code], f"{url}?{urlencode({'reason': code})}", code == shown)
        for code in order
    )


def _tile(tracker: str, row: CuratedCrop) -> DatasetTile:
    base = f"/tracker/{quote(tracker)}"
    return DatasetTile(row, f"{base}/thumb/{row.crop_id}.webp", f"{base}/crop/{row.crop_id}")
