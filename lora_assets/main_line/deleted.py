"""Frames that are listed no more because their files are gone: what counts as deleted, and how it is taken back.

A file counts as deleted only while its folder proves to be the one that was listed (folder_marks), its subfolder can be
read and is the disk that it was, and not most of the folder's frames are gone at once; until then, or until a person
says so, its row stays in the listing. A deleted frame's row is kept here with its time; its results stay in
the store, so that it is restored without any work: by itself when the file returns, or at a person's word, who then has
it listed although its file is gone. What belongs elsewhere: listing a folder (frames).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lora_assets.specs import SpecError
from lora_assets.store import Store, digest
from lora_assets.tables import DeletedFrame, RawFrame, from_table, to_table

TABLE = "deleted_frames"
# A disk or a share that lost a part of its folders is more likely than a person who deletes more than this at once.
_MOST_SHARE = 0.5
_FEW = 3
_RAW = tuple(field.name for field in dataclasses.fields(RawFrame))


@dataclass(frozen=True, slots=True)
class Absent:
    """What is to become of rows whose files are not there: kept as they are, or counted as deleted."""

    kept: dict[str, RawFrame]
    deleted: dict[str, RawFrame]
    held: frozenset[str] = frozenset()
    """Paths of those that are kept because too many are gone at once."""


def judge_absent(rows: Iterable[RawFrame], present: set[str], unknown: tuple[str, ...], *, proven: bool) -> Absent:
    """Part the rows of an earlier listing whose files are not `present`. Without proof of the folder all are kept, and
    so are those below the subfolders whose files are `unknown`."""
    kept: dict[str, RawFrame] = {}
    deleted: dict[str, RawFrame] = {}
    for row in rows:
        if row.path in present:
            continue
        hidden = any(row.path.startswith(f"{folder}/") for folder in unknown)
        (deleted if proven and not hidden else kept)[row.path] = row
    return Absent(kept, deleted)


def hold_many(absent: Absent, rows: Iterable[RawFrame], contents: set[str | None], held: frozenset[str]) -> Absent:
    """Keep what would count as deleted when it is most of the frames that were listed (`rows`), and several, at once.

    A frame whose content is there under another name (`contents`) is not lost. Those that are `held` already (paths)
    stay until their files are back or a person accepts, however many others come or return meanwhile.
    """
    lost = {path: row for path, row in absent.deleted.items() if _is_usable(row) and row.sha256 not in contents}
    frames = sum(_is_usable(row) and row.path not in held for row in rows)
    many = is_too_many(len(lost.keys() - held), frames)
    kept = {path: row for path, row in lost.items() if many or path in held}
    rest = {path: row for path, row in absent.deleted.items() if path not in kept}
    return Absent(absent.kept | kept, rest, frozenset(kept))


def is_too_many(lost: int, frames: int) -> bool:
    """True when so many of a folder's frames are gone at once that a person is asked before they count as deleted."""
    return lost > _FEW and lost > frames * _MOST_SHARE


def absent_words(dataset: str, facts: Mapping[str, Any]) -> str:
    """What a listing keeps of files that are not there, why, and the way out, in words; empty when it keeps none."""
    absent = int(facts.get("absent", 0))
    if not absent:
        return ""
    unproven = "its folder (or a disk below it) does not prove to be the one that was listed"
    why = "most of its frames went at once" if facts.get("held") else unproven
    return (
        f"{absent} files of {dataset} are not there now, and {why}: they stay listed. Bring them back (or mount the "
        f"disk), or if they were deleted on purpose: lora-assets deleted accept {dataset}"
    )


def _is_usable(row: RawFrame) -> bool:
    return row.sha256 is not None and row.quarantine_reason is None


def read_deleted(store: Store, dataset: str) -> list[DeletedFrame]:
    """The deleted frames of a dataset, by path; restored ones among them."""
    table = store.published(store.table_path(TABLE, dataset))
    return from_table(table.read(), DeletedFrame) if table else []


def _as_raw(row: DeletedFrame) -> RawFrame:
    return RawFrame(**{name: getattr(row, name) for name in _RAW})


def restored_rows(deleted: Iterable[DeletedFrame]) -> dict[str, RawFrame]:
    """The rows that a person wants listed although their files are gone, by path."""
    return {row.path: _as_raw(row) for row in deleted if row.restored}


def note_deleted(store: Store, dataset: str, deleted: Mapping[str, RawFrame], listed: Mapping[str, RawFrame]) -> int:
    """Remember newly deleted frames and forget those that are back, by name or by content; returns how many there are.

    Quarantined files have no results and are not remembered. `listed` are the rows whose files are there.
    """
    contents = {row.sha256 for row in listed.values()}
    before = read_deleted(store, dataset)
    now = {row.path: row for row in before if row.sha256 not in contents and row.path not in listed}
    at = time.time()
    for path, row in deleted.items():
        if _is_usable(row) and row.sha256 not in contents and path not in now:
            now[path] = DeletedFrame(**{name: getattr(row, name) for name in _RAW}, deleted_at=at, restored=False)
    _write(store, dataset, before, list(now.values()))
    return len(now)


def _write(store: Store, dataset: str, before: list[DeletedFrame], rows: list[DeletedFrame]) -> None:
    if rows == before:
        return
    rows = sorted(rows, key=lambda row: row.path)
    version = digest([[row.path, row.sha256, row.restored] for row in rows])
    facts = {"dataset": dataset, "frames": len(rows), "restored": sum(row.restored for row in rows)}
    store.publish(store.table_path(TABLE, dataset), DeletedFrame, [to_table(rows, DeletedFrame)], version, facts)


def _chosen(store: Store, dataset: str, paths: Iterable[str]) -> tuple[list[DeletedFrame], set[str]]:
    known = read_deleted(store, dataset)
    wanted = set(paths) or {row.path for row in known}
    unknown = sorted(wanted - {row.path for row in known})
    if unknown:
        raise SpecError(
            f"{dataset}: {', '.join(unknown[:3])} is not among the deleted frames; see them with: "
            f"lora-assets deleted list --dataset {dataset}"
        )
    return known, wanted


def _change(
    store: Store, dataset: str, paths: Iterable[str], change: Callable[[DeletedFrame], DeletedFrame | None]
) -> int:
    with store.lock(f"dataset-{dataset}"):
        known, wanted = _chosen(store, dataset, paths)
        changed = [change(row) if row.path in wanted else row for row in known]
        _write(store, dataset, known, [row for row in changed if row is not None])
    return len(wanted)


def restore(store: Store, dataset: str, paths: Iterable[str] = ()) -> int:
    """Have deleted frames (all without `paths`) listed again from the next listing on; returns how many.

    Raises SpecError for a path that is not among them.
    """
    return _change(store, dataset, paths, lambda row: dataclasses.replace(row, restored=True))


def forget(store: Store, dataset: str, paths: Iterable[str] = ()) -> int:
    """Take deleted frames (all without `paths`) off the list; a restored one counts as deleted again instead, since it
    leaves the listing first. Results stay in the store. Returns how many. Raises SpecError for a path that is not among
    them."""
    return _change(
        store, dataset, paths, lambda row: dataclasses.replace(row, restored=False) if row.restored else None
    )
