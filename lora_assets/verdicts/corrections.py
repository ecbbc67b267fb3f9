"""Masks that a person made by hand: the append-only log of corrections, and which boxes of a frame they apply to.

One SQLite file, `data/corrections/corrections.sqlite`, kept as the log of verdicts is (write-ahead log, FULL sync, rows
never changed or deleted). A correction is bound to pixels: the frame's hash and a box. It stands until it is withdrawn
by a later row. What a stage makes of it belongs to main_line.corrections.
"""

from __future__ import annotations

import dataclasses
import math
import re
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from lora_assets.specs import check_tracker_id
from lora_assets.store import digest
from lora_assets.verdicts.local_disk import share_type
from lora_assets.verdicts.log import LogUnusable
from lora_assets.verdicts.matching import IOU_LIMIT
from lora_assets.verdicts.record import Box, VerdictError, utc_text
from lora_assets.vision.boxes import box_iou
from lora_assets.vision.masks import BoolMask, Window, decode_mask, encode_mask, mask_bounds

CHARACTER = "character"
_FORMAT = 1
_BUSY_MS = 30_000
_NAME = re.compile(r"[0-9A-Za-z._:-]{1,200}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_TEXT = 200
_COLUMNS = (
    "id", "at", "tracker", "dataset", "frame_sha256", "frame_width", "frame_height", "x1", "y1", "x2", "y2",
    "category", "model", "x", "y", "width", "height", "rle", "withdraws",
)  # fmt: skip
_ALL = ", ".join(_COLUMNS)
_SCHEMA = f"""
CREATE TABLE correction (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at TEXT NOT NULL,
    tracker TEXT NOT NULL,
    dataset TEXT NOT NULL,
    frame_sha256 TEXT NOT NULL,
    frame_width INTEGER NOT NULL, frame_height INTEGER NOT NULL,
    x1 REAL NOT NULL, y1 REAL NOT NULL, x2 REAL NOT NULL, y2 REAL NOT NULL,
    category TEXT NOT NULL,
    model TEXT NOT NULL,
    x INTEGER NOT NULL, y INTEGER NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    rle BLOB NOT NULL,
    withdraws TEXT
) STRICT;
CREATE INDEX correction_of_frame ON correction (frame_sha256, seq);
CREATE TRIGGER corrections_are_never_changed BEFORE UPDATE ON correction
    BEGIN SELECT RAISE(ABORT, 'corrections are never changed: append another'); END;
CREATE TRIGGER corrections_are_never_deleted BEFORE DELETE ON correction
    BEGIN SELECT RAISE(ABORT, 'corrections are never deleted: withdraw them'); END;
PRAGMA user_version = {_FORMAT};
"""


class CorrectionError(VerdictError):
    """A correction does not fit, or there is none of that name; the text says which, why and the way out."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A mask that a person accepted for the thing in a box of a frame.

    id: chosen by the sender, so that one sent twice counts once. box: xyxy pixels of the upright frame. window: x, y,
    width, height in the frame, rle: COCO compressed run lengths in it (column-major). model: what the clicks were put
    to. Raises CorrectionError for a part that does not fit.
    """

    id: str
    tracker: str
    dataset: str
    frame_sha256: str
    frame_size: tuple[int, int]
    box: Box
    window: Window
    rle: bytes
    category: str = CHARACTER
    model: str = ""

    def __post_init__(self) -> None:
        try:
            check_tracker_id(self.tracker)
        except (ValueError, TypeError) as error:
            raise CorrectionError(str(error)) from error
        for name in ("id", "dataset"):
            if not isinstance(getattr(self, name), str) or not _NAME.fullmatch(getattr(self, name)):
                raise CorrectionError(
                    f"{name} {getattr(self, name)!r} does not fit: use A-Z a-z 0-9 . _ : -, up to 200"
                )
        if not isinstance(self.frame_sha256, str) or not _SHA256.fullmatch(self.frame_sha256):
            raise CorrectionError(f"frame {self.frame_sha256!r} is not a SHA-256 of 64 small hex digits")
        for name in ("category", "model"):
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > _LONGEST_TEXT or "\0" in text:
                raise CorrectionError(f"the {name} is a text of at most {_LONGEST_TEXT} characters")
        self._check_places()

    def _check_places(self) -> None:
        width, height = self.frame_size
        if not all(isinstance(side, (int, float)) and math.isfinite(side) for side in self.box):
            raise CorrectionError(f"box {self.box!r} does not fit: give four finite numbers")
        x1, y1, x2, y2 = self.box
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise CorrectionError(f"box {self.box!r} does not lie in the frame of {width} x {height} pixels")
        x, y, w, h = self.window
        if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
            raise CorrectionError(f"window {self.window!r} does not lie in the frame of {width} x {height} pixels")
        try:
            pixels = decode_mask(self.rle, h, w)
        except (ValueError, TypeError) as error:
            raise CorrectionError(f"the mask does not fit its window: {error}") from error
        if not pixels.any():
            raise CorrectionError("the mask is empty: click on what belongs to it, then accept again")

    @property
    def pixels(self) -> BoolMask:
        """The mask in its window, bool (height, width)."""
        return decode_mask(self.rle, self.window[3], self.window[2])


def correction_of_mask(mask: BoolMask, **told: Any) -> Correction:
    """The correction of a mask of the whole frame (H,W); `told` are the other fields. Raises CorrectionError."""
    bounds = mask_bounds(mask)
    if bounds is None:
        raise CorrectionError("the mask is empty: click on what belongs to it, then accept again")
    x, y, width, height = bounds
    rle = encode_mask(np.ascontiguousarray(mask[y : y + height, x : x + width]))
    return Correction(window=bounds, rle=rle, frame_size=(mask.shape[1], mask.shape[0]), **told)


@dataclass(frozen=True, slots=True)
class Kept:
    """A correction that the log has taken: row number and time (UTC, ISO 8601 with microseconds). `withdrawn_at` is
    empty while it stands."""

    correction: Correction
    seq: int
    at: str
    withdrawn_at: str = ""

    @property
    def id(self) -> str:
        """The correction's id."""
        return self.correction.id


@dataclass(frozen=True, slots=True)
class Applied:
    """Which correction applies to which box, by (frame hash, detection id), and those that apply to none with the
    reason in words."""

    by_box: dict[tuple[str, str], Kept]
    unmatched: tuple[tuple[Kept, str], ...]


def corrections_path(data: Path) -> Path:
    """Where the log of a project lies."""
    return data / "corrections" / "corrections.sqlite"


class CorrectionLog:
    """The log in one file; may be used by several threads and processes at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        if share := share_type(path.parent):
            raise CorrectionError(
                f"{path.parent} lies on a share ({share}), where SQLite cannot keep corrections safe: move the project "
                "to a disk of this machine, or make data/corrections a link to a folder on one"
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = apsw.Connection(str(path))
            self._db.set_busy_timeout(_BUSY_MS)
            self._db.pragma("journal_mode", "wal")
            self._db.pragma("synchronous", "full")
            if self._db.pragma("user_version") == 0:
                with self._transaction():
                    if self._db.pragma("user_version") == 0:
                        self._db.execute(_SCHEMA)
        except (OSError, apsw.Error) as error:
            raise _unusable(path, error) from error
        if (found := self._db.pragma("user_version")) != _FORMAT:
            raise CorrectionError(f"{path} has format {found}, this version reads {_FORMAT}: use the newer version")

    def __enter__(self) -> CorrectionLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was taken is on disk already."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except apsw.Error as error:
                raise _unusable(self.path, error) from error

    def append(self, correction: Correction) -> Kept:
        """Take a correction; it is on disk when this returns. One sent again is returned as first taken.

        Raises CorrectionError when the id was used for another one, LogUnusable when nothing was saved.
        """
        with self._transaction():
            known = self._rows("WHERE id = ?", (correction.id,))
            if known:
                if known[0][1] != correction:
                    raise CorrectionError(f"id {correction.id} was taken for another correction: choose a new one")
                seq, found, at, _ = known[0]
                return Kept(found, seq, at)
            at = self._insert(correction, None)
            return Kept(correction, self._db.last_insert_rowid(), at)

    def withdraw(self, id_: str, tracker: str = "") -> Kept:
        """Withdraw a correction; one that is withdrawn already is returned as it is. Raises CorrectionError when there
        is none of that id, LogUnusable when nothing was saved."""
        with self._transaction():
            found = {kept.id: kept for kept in self._all()}
            if id_ not in found:
                raise CorrectionError(f"there is no correction {str(id_)[:80]!r}: lora-assets corrections list")
            kept = found[id_]
            if kept.withdrawn_at:
                return kept
            name = f"withdraw-{secrets.token_hex(8)}"
            told = dataclasses.replace(kept.correction, id=name, tracker=tracker or kept.correction.tracker)
            return dataclasses.replace(kept, withdrawn_at=self._insert(told, id_))

    def _insert(self, correction: Correction, withdraws: str | None) -> str:
        last = self._db.execute("SELECT max(at) FROM correction").fetchone()
        now = datetime.now(UTC)
        if last is not None and last[0] is not None:
            now = max(now, datetime.fromisoformat(last[0]) + timedelta(microseconds=1))
        one, at = correction, utc_text(now)
        row = (
            one.id, at, one.tracker, one.dataset, one.frame_sha256, *one.frame_size, *map(float, one.box),
            one.category, one.model, *one.window, one.rle, withdraws,
        )  # fmt: skip
        self._db.execute(f"INSERT INTO correction ({_ALL}) VALUES ({', '.join('?' * len(_COLUMNS))})", row)
        return at

    def _rows(self, where: str = "", values: tuple[Any, ...] = ()) -> list[tuple[int, Correction, str, str | None]]:
        found = []
        for seq, *row in self._db.execute(f"SELECT seq, {_ALL} FROM correction {where} ORDER BY seq", values):
            told = dict(zip(_COLUMNS, row, strict=True))
            correction = Correction(
                told["id"], told["tracker"], told["dataset"], told["frame_sha256"],
                (told["frame_width"], told["frame_height"]), (told["x1"], told["y1"], told["x2"], told["y2"]),
                (told["x"], told["y"], told["width"], told["height"]), told["rle"], told["category"], told["model"],
            )  # fmt: skip
            found.append((seq, correction, told["at"], told["withdraws"]))
        return found

    def _all(self, as_of: int | None = None) -> list[Kept]:
        rows = self._rows("" if as_of is None else "WHERE seq <= ?", () if as_of is None else (as_of,))
        withdrawn = {name: at for _, _, at, name in rows if name is not None}
        return [Kept(one, seq, at, withdrawn.get(one.id, "")) for seq, one, at, name in rows if name is None]

    def all(self, as_of: int | None = None) -> list[Kept]:
        """Every correction, oldest first, also those withdrawn; as it was at row `as_of`. Raises LogUnusable."""
        with self._lock:
            try:
                return self._all(as_of)
            except apsw.Error as error:
                raise _unusable(self.path, error) from error

    def last_row(self) -> int:
        """The number of the last row; 0 when there is none. Raises LogUnusable."""
        with self._lock:
            try:
                found = self._db.execute("SELECT max(seq) FROM correction").fetchone()
            except apsw.Error as error:
                raise _unusable(self.path, error) from error
        return int(found[0] or 0) if found else 0


def read_corrections(data: Path, as_of: int | None = None) -> tuple[list[Kept], int]:
    """Every correction of a project (see `CorrectionLog.all`) and the number of the last row; nothing where nobody
    corrected anything. Raises VerdictError when the log cannot be used."""
    path = corrections_path(data)
    if not path.exists():
        return [], 0
    with CorrectionLog(path) as log:
        last = log.last_row()
        return log.all(as_of), last if as_of is None else min(last, as_of)


def standing(kept: Iterable[Kept]) -> list[Kept]:
    """Those that are not withdrawn."""
    return [one for one in kept if not one.withdrawn_at]


def digest_of(kept: Sequence[Kept]) -> str:
    """What tells these corrections from others."""
    places = [(one.id, one.correction.frame_sha256, one.correction.box, one.correction.window) for one in kept]
    return digest(places, [one.correction.rle.hex() for one in kept])


def match_corrections(
    kept: Sequence[Kept], boxes: Mapping[str, Sequence[tuple[str, Box]]], iou_limit: float = IOU_LIMIT
) -> Applied:
    """Give standing corrections (in the order of time) to boxes by frame: `boxes` are detection id and xyxy.

    A box takes the latest correction that overlaps it by the limit or more; of several boxes a correction takes the
    one it overlaps most.
    """
    by_box: dict[tuple[str, str], Kept] = {}
    reasons: dict[int, str] = {}
    for one in sorted(kept, key=lambda one: -one.seq):
        frame = one.correction.frame_sha256
        here = boxes.get(frame, ())
        if not here:
            reasons[one.seq] = "the tracker has no box in this frame"
            continue
        iou = box_iou(np.array([one.correction.box], np.float64), np.array([box for _, box in here], np.float64))[0]
        fitting = [int(place) for place in np.argsort(-iou, kind="stable") if iou[place] >= iou_limit]
        free = [place for place in fitting if (frame, here[place][0]) not in by_box]
        if free:
            by_box[frame, here[free[0]][0]] = one
        elif fitting:
            reasons[one.seq] = f"a later correction stands for its box (IoU {iou[fitting[0]]:.2f})"
        else:
            reasons[one.seq] = f"no box of the frame overlaps it by {iou_limit:g} (best IoU {iou.max():.2f})"
    lost = tuple((one, reasons[one.seq]) for one in kept if one.seq in reasons)
    return Applied(by_box, lost)


def _unusable(path: Path, error: Exception) -> LogUnusable:
    full = isinstance(error, apsw.FullError)
    way_out = "the disk is full: free space, then try again" if full else "see that the folder can be written"
    return LogUnusable(f"the corrections in {path} cannot be used: {error}; {way_out}", disk_full=full)
