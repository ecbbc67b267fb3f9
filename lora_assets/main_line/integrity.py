"""What must hold of published tables, as findings with numbers; Dagster shows them as asset checks."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow.compute as pc

from lora_assets.store import PublishedTable, StoreError
from lora_assets.tables import TableError, check_table, with_defaults

QUARANTINE_LIMIT = 0.05


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check: whether it passed, in words, and the numbers it was decided on."""

    passed: bool
    text: str
    numbers: dict[str, float] = field(default_factory=dict)


def schema_holds(table: PublishedTable | None, row_type: type) -> Finding:
    """The published table can be read and keeps every promise of its row type.

    A table of an earlier version may lack columns that have a default: they are read as that.
    """
    if table is None:
        return Finding(False, "the table is not there or cannot be read: materialize it again")
    rows = 0
    try:
        for batch in table.batches():
            rows += len(check_table(with_defaults(batch, row_type), row_type))
    except (StoreError, TableError) as error:
        return Finding(False, str(error))
    return Finding(True, f"{rows} rows keep the row type {row_type.__name__}", {"rows": float(rows)})


def frames_answered(table: PublishedTable | None) -> Finding:
    """Every frame of the frames list has an answer; frames that changed or went away while they were read have none."""
    if table is None:
        return Finding(False, "the table is not there or cannot be read: materialize it again")
    dropped = int(table.facts.get("dropped", 0))
    reasons = "; ".join(sorted(set(dict(table.facts.get("dropped_frames", {})).values()))[:3])
    text = f"{dropped} of {table.facts.get('frames', 0)} frames have no answer" + (f": {reasons}" if reasons else "")
    return Finding(dropped == 0, text, {"dropped": float(dropped)})


def no_veto_in_high(crops: PublishedTable | None) -> Finding:
    """No crop with a veto is in the high tier."""
    if crops is None:
        return Finding(False, "the table is not there or cannot be read: materialize it again")
    rows = crops.read(["tier", "is_valid_content"])
    vetoed = pc.and_(pc.equal(rows.column("tier"), "high"), pc.invert(rows.column("is_valid_content")))  # pyright: ignore
    count = int(pc.sum(vetoed).as_py() or 0)  # pyright: ignore
    return Finding(count == 0, f"{count} vetoed crops in the high tier", {"vetoed_high": float(count)})


def quarantine_share(frames: PublishedTable | None) -> Finding:
    """No more than a twentieth of the files had to be quarantined."""
    if frames is None:
        return Finding(False, "the table is not there or cannot be read: materialize it again")
    files, quarantined = int(frames.facts.get("files", 0)), int(frames.facts.get("quarantined", 0))
    share = quarantined / files if files else 0.0
    text = f"{quarantined} of {files} files are quarantined (limit {QUARANTINE_LIMIT:.0%}); the tracker page lists them"
    return Finding(share <= QUARANTINE_LIMIT, text, {"share": share, "quarantined": float(quarantined)})


def dataset_readable(frames: PublishedTable | None) -> Finding:
    """At least one file of the dataset is a usable frame."""
    if frames is None:
        return Finding(False, "the table is not there or cannot be read: materialize it again")
    usable = int(frames.facts.get("frames", 0))
    text = f"{usable} usable frames" if usable else "no file of this dataset can be used: see the reasons of its files"
    return Finding(usable > 0, text, {"frames": float(usable)})
