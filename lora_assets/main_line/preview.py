"""Contact sheets of what a stage made, small enough to travel in Dagster's metadata."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from lora_assets.store import PublishedTable, Store
from lora_assets.vision.crops import contact_sheet, picture_markdown
from lora_assets.vision.picture_errors import UNREADABLE

_TILES = 24


def _spread(names: list[str], count: int) -> list[str]:
    """`count` names spread evenly over the list, so that a sheet shows the whole dataset and not its first shot."""
    if len(names) <= count:
        return names
    return [names[i * len(names) // count] for i in range(count)]


def _thumbs(store: Store, kind: str, names: Iterable[str]) -> list[np.ndarray]:
    """The thumbnails that can be read: one that a power cut left damaged must not fail the run that shows it."""
    found = []
    for name in names:
        try:
            with Image.open(store.picture(kind, name, ".webp")) as picture:
                found.append(np.asarray(picture.convert("RGBA")))
        except UNREADABLE:
            continue
    return found


def _markdown(store: Store, kind: str, names: list[str]) -> str:
    thumbs = _thumbs(store, kind, _spread(names, _TILES))
    if not thumbs:
        return "nothing to show"
    return picture_markdown("contact sheet", contact_sheet(thumbs))


def frames_preview(store: Store, frames: PublishedTable) -> str:
    """A contact sheet of a frames table, as Markdown with the picture inside."""
    hashes = [row["sha256"] for row in frames.read(["sha256", "quarantine_reason"]).to_pylist() if row["sha256"]]
    return _markdown(store, "frame_thumbs", hashes)


def found_preview(store: Store, rows: PublishedTable) -> str:
    """A contact sheet of the frames in which something was found."""
    hashes = sorted(set(rows.read(["frame_sha256"]).column("frame_sha256").to_pylist()))
    return _markdown(store, "frame_thumbs", hashes)


def crops_preview(store: Store, *tables: PublishedTable) -> str:
    """A contact sheet of one or more scored_crops tables, spread from the best to the worst crop."""
    rows = [row for table in tables for row in table.read(["crop_id", "score"]).to_pylist()]
    rows.sort(key=lambda row: -row["score"])
    return _markdown(store, "thumbs", [row["crop_id"] for row in rows])


def tracker_preview(store: Store, tracker: str) -> str:
    """A contact sheet of all crops of a tracker."""
    folder = store.data / "tables" / "scored_crops" / tracker
    tables = [store.cell_table("scored_crops", path.stem, tracker) for path in sorted(folder.glob("*.parquet"))]
    return crops_preview(store, *(table for table in tables if table is not None))
