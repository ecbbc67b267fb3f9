"""Masks that a person made by hand: the append-only log of corrections, and which boxes of a frame they apply to.

One SQLite file, `data/corrections/corrections.sqlite`, kept, carried away and backed up as the log of verdicts is
(append_only). A correction is bound to pixels: the frame's hash and a box. It stands until it is withdrawn by a later
row. What a stage makes of it belongs to main_line.corrections.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lora_assets.specs import check_tracker_id
from lora_assets.store import digest
from lora_assets.verdicts.append_only import AppendOnlyLog
from lora_assets.verdicts.matching import IOU_LIMIT
from lora_assets.verdicts.record import Box, VerdictError, utc_text
from lora_assets.vision.boxes import box_iou
from lora_assets.vision.masks import BoolMask, Window, decode_mask, encode_mask, mask_bounds

CHARACTER = "character"
_NAME = re.compile(r"[0-9A-Za-z._:-]{1,200}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_TEXT = 200
_UNFIT_SIGNS = re.compile("[\0\ud800-\udfff]")
_LONGEST_SIDE = 1_000_000
# As vision.images reads at most: the run lengths of a small line must not become more memory than a picture does.
_MOST_PIXELS = 1_000_000_000
_COLUMNS = (
    "id", "at", "tracker", "dataset", "frame_sha256", "frame_width", "frame_height", "x1", "y1", "x2", "y2",
    "category", "model", "x", "y", "width", "height", "rle", "withdraws",
)  # fmt: skip
_ALL = ", ".join(_COLUMNS)
# As in the log of verdicts: time orders, the row number breaks ties.
_ORDER = "at, seq"
_SCHEMA = """
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
"""


class CorrectionError(VerdictError):
    """A correction does not fit, or there is none of that name; the text says which, why and the way out."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A mask that a person accepted for the thing in a box of a frame.

    id: chosen by the sender, so that one sent twice counts once. box: xyxy pixels of the upright frame. window: x, y,
    width, height in the frame, rle: COCO compressed run lengths in it (column-major). model: what the clicks were put
    to. Raises CorrectionError for a part that does not fit; the run lengths are looked at by `check_mask`, once, before
    the log takes them.
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
            if not isinstance(text, str) or len(text) > _LONGEST_TEXT or _UNFIT_SIGNS.search(text):
                raise CorrectionError(f"the {name} is a text of at most {_LONGEST_TEXT} whole characters")
        self._check_places()

    def _check_places(self) -> None:
        width, height = self.frame_size
        if not all(isinstance(side, (int, float)) and math.isfinite(side) for side in self.box):
            raise CorrectionError(f"box {self.box!r} does not fit: give four finite numbers")
        x1, y1, x2, y2 = self.box
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            raise CorrectionError(f"box {self.box!r} does not lie in the frame of {width} x {height} pixels")
        if width * height > _MOST_PIXELS:
            raise CorrectionError(f"a frame of {width} x {height} pixels is larger than any that is read")
        x, y, w, h = self.window
        if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
            raise CorrectionError(f"window {self.window!r} does not lie in the frame of {width} x {height} pixels")

    def check_mask(self) -> None:
        """Raise CorrectionError unless the run lengths fill the window and hold a pixel."""
        if not self.pixels.any():
            raise CorrectionError("the mask is empty: click on what belongs to it, then accept again")

    @property
    def pixels(self) -> BoolMask:
        """The mask in its window, bool (height, width). Raises CorrectionError when the run lengths do not fit it."""
        try:
            return decode_mask(self.rle, self.window[3], self.window[2])
        except (ValueError, TypeError) as error:
            raise CorrectionError(f"the mask does not fit its window: {error}") from error


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


def _told_by(row: tuple[Any, ...]) -> tuple[Correction, str, str | None]:
    """The correction of a row's columns, its time, and which one it withdraws."""
    told = dict(zip(_COLUMNS, row, strict=True))
    correction = Correction(
        told["id"], told["tracker"], told["dataset"], told["frame_sha256"],
        (told["frame_width"], told["frame_height"]), (told["x1"], told["y1"], told["x2"], told["y2"]),
        (told["x"], told["y"], told["width"], told["height"]), told["rle"], told["category"], told["model"],
    )  # fmt: skip
    return correction, told["at"], told["withdraws"]


def _row(one: Correction, at: str, withdraws: str | None) -> tuple[Any, ...]:
    return (
        one.id, at, one.tracker, one.dataset, one.frame_sha256, *one.frame_size, *map(float, one.box),
        one.category, one.model, *one.window, one.rle, withdraws,
    )  # fmt: skip


def to_line(correction: Correction, at: str, withdraws: str | None) -> str:
    """A row of the log as one line of JSON. COCO's run lengths are ASCII."""
    told = dataclasses.asdict(correction) | {"rle": correction.rle.decode("ascii"), "at": at, "withdraws": withdraws}
    return json.dumps(told, ensure_ascii=False, sort_keys=True)


def from_line(line: str) -> tuple[Correction, str, str | None]:
    """The row of a line that `to_line` wrote. Raises CorrectionError naming the part that does not fit."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorrectionError(f"not a line of JSON: {error}") from error
    names = {field.name for field in dataclasses.fields(Correction)} | {"at", "withdraws"}
    if not isinstance(told, dict) or set(told) != names:
        raise CorrectionError(f"no line of a correction: it has the entries {', '.join(sorted(names))}")
    at, withdraws, rle = told.pop("at"), told.pop("withdraws"), told.pop("rle")
    try:
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None or utc_text(moment) != at:
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        raise CorrectionError(f"time {at!r} is not UTC as 2026-11-21T14:00:00.000000+00:00") from error
    if withdraws is not None and (not isinstance(withdraws, str) or not _NAME.fullmatch(withdraws)):
        raise CorrectionError(f"withdraws {withdraws!r}: give an id, or null")
    for name, count in (("frame_size", 2), ("window", 4)):
        told[name] = _numbers(told, name, count, (int,))
    told["box"] = tuple(map(float, _numbers(told, "box", 4, (int, float))))
    if not isinstance(rle, str) or not rle.isascii():
        raise CorrectionError("rle is a text of ASCII: COCO's compressed run lengths")
    correction = Correction(rle=rle.encode("ascii"), **told)
    correction.check_mask()
    return correction, at, withdraws


def _numbers(told: dict[str, Any], name: str, count: int, types: tuple[type, ...]) -> tuple[Any, ...]:
    found = told[name]
    fits = isinstance(found, list) and len(found) == count and all(type(one) in types for one in found)
    if not fits or not all(abs(one) <= _LONGEST_SIDE for one in found):
        raise CorrectionError(f"{name} is {count} numbers of pixels, each at most {_LONGEST_SIDE:,}")
    return tuple(found)


def corrections_path(data: Path) -> Path:
    """Where the log of a project lies."""
    return CorrectionLog.path_in(data)


class CorrectionLog(AppendOnlyLog):
    """The log in one file; may be used by several threads and processes at once."""

    things = "corrections"
    table = "correction"
    columns = _COLUMNS
    schema = _SCHEMA

    def _line(self, row: tuple[Any, ...]) -> str:
        correction, at, withdraws = _told_by(row)
        correction.check_mask()
        return to_line(correction, at, withdraws)

    def _take_line(self, line: str) -> bool:
        correction, at, withdraws = from_line(line)
        there = self._rows("WHERE id = ?", (correction.id,))
        if there:
            if there[0][1:] != (correction, at, withdraws):
                raise CorrectionError(f"correction {correction.id} is in the log with other content")
            return False
        self._check_time(at)
        if withdraws is not None and not self._rows("WHERE id = ? AND withdraws IS NULL", (withdraws,)):
            raise CorrectionError(f"it withdraws {withdraws}, which is not in the log: take the line of that one first")
        self._insert(_row(correction, at, withdraws))
        return True

    def append(self, correction: Correction) -> Kept:
        """Take a correction; it is on disk when this returns. One sent again is returned as first taken.

        Raises CorrectionError when its mask does not fit or the id was used for another one, LogUnusable when nothing
        was saved.
        """
        correction.check_mask()
        with self._transaction():
            known = self._rows("WHERE id = ?", (correction.id,))
            if known:
                if known[0][1] != correction:
                    raise CorrectionError(f"id {correction.id} was taken for another correction: choose a new one")
                seq, found, at, _ = known[0]
                withdrawal = self._db.execute("SELECT at FROM correction WHERE withdraws = ?", (found.id,)).fetchone()
                return Kept(found, seq, at, withdrawal[0] if withdrawal else "")
            at = self._take(correction, None)
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
            return dataclasses.replace(kept, withdrawn_at=self._take(told, id_))

    def _take(self, correction: Correction, withdraws: str | None) -> str:
        at = self._next_time()
        self._insert(_row(correction, at, withdraws))
        return at

    def _rows(self, where: str = "", values: tuple[Any, ...] = ()) -> list[tuple[int, Correction, str, str | None]]:
        found = self._db.execute(f"SELECT seq, {_ALL} FROM correction {where} ORDER BY {_ORDER}", values)
        return [(row[0], *_told_by(tuple(row[1:]))) for row in found]

    def _all(self, as_of: int | None = None) -> list[Kept]:
        rows = self._rows("" if as_of is None else "WHERE seq <= ?", () if as_of is None else (as_of,))
        withdrawn = {name: at for _, _, at, name in rows if name is not None}
        return [Kept(one, seq, at, withdrawn.get(one.id, "")) for seq, one, at, name in rows if name is None]

    def all(self, as_of: int | None = None) -> list[Kept]:
        """Every correction, oldest first, also those withdrawn; as it was at row `as_of`. Raises LogUnusable."""
        with self._lock, self._reading():
            return self._all(as_of)

    def last_until(self, as_of: int | None = None) -> tuple[int, str, str]:
        """Number, id and time of the last row, of those up to `as_of`; 0 and "" when there is none. Raises
        LogUnusable."""
        where, values = ("", ()) if as_of is None else ("WHERE seq <= ?", (as_of,))
        with self._lock, self._reading():
            query = f"SELECT seq, id, at FROM correction {where} ORDER BY seq DESC LIMIT 1"
            return self._db.execute(query, values).fetchone() or (0, "", "")


def read_corrections(data: Path, as_of: int | None = None) -> tuple[list[Kept], int]:
    """Every correction of a project (see `CorrectionLog.all`) and the number of the last row; nothing where nobody
    corrected anything. Raises VerdictError when the log cannot be used."""
    path = corrections_path(data)
    if not path.exists():
        return [], 0
    with CorrectionLog(path) as log:
        last = log.last_until(as_of)
    return list(_kept_until(path, *last)), last[0]


@lru_cache(maxsize=4)
def _kept_until(path: Path, seq: int, id_: str, at: str) -> tuple[Kept, ...]:
    """The corrections up to a row. Rows are never changed: number, id and time of the last one tell which they are, so
    that the cells of a plan read them once, and what is added meanwhile is in none of them."""
    del id_, at
    with CorrectionLog(path) as log:
        return tuple(log.all(seq))


def standing(kept: Iterable[Kept]) -> list[Kept]:
    """Those that are not withdrawn."""
    return [one for one in kept if not one.withdrawn_at]


def digest_of(kept: Sequence[Kept]) -> str:
    """What tells these corrections from others."""
    return _digest_of(tuple(kept))


@lru_cache(maxsize=64)
def _digest_of(kept: tuple[Kept, ...]) -> str:
    """Kept because every plan asks for the same ones, whose run lengths are long."""
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
    for one in sorted(kept, key=lambda one: (one.at, one.seq), reverse=True):
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
