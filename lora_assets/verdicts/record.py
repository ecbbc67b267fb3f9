"""One verdict: what it says, of which pixels, and how it reads as a line of JSON.

A mark is what a person says; a verdict is a mark that the log has taken, with its time and the value before. How it is
kept does not belong here (log).
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lora_assets.specs import check_tracker_id
from lora_assets.store import StoreError

GOOD, BAD, EXCLUDE, CLEARED = "good", "bad", "exclude", "cleared"
VALUES = (GOOD, BAD, EXCLUDE, CLEARED)
NOTE_LIMIT = 4_000
_NAME_LIMIT = 200
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[0-9A-Za-z._:-]+")

Box = tuple[float, float, float, float]


class VerdictError(StoreError):
    """A verdict does not fit, or the log cannot take or give it; the text says which, why and the way out."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a person says of one crop, bound to its pixels.

    `box` is the detection's, xyxy pixels of the upright frame. `value` is good, bad, exclude (not to be used, whatever
    its quality) or cleared (no word any more). `request_id` is chosen by the sender: the same mark sent twice counts
    once. `undoes` is the request that an undo takes back. Raises VerdictError for a part that does not fit.
    """

    tracker: str
    dataset: str
    frame_sha256: str
    box: Box
    crop_id: str
    value: str
    request_id: str
    stars: int | None = None
    note: str = ""
    undoes: str | None = None

    def __post_init__(self) -> None:
        try:
            check_tracker_id(self.tracker)
        except (ValueError, TypeError) as error:
            raise VerdictError(str(error)) from error
        if not isinstance(self.frame_sha256, str) or not _SHA256.fullmatch(self.frame_sha256):
            raise VerdictError(f"frame {self.frame_sha256!r} is not a SHA-256 of 64 small hex digits")
        for name in ("dataset", "crop_id", "request_id", "undoes"):
            value = getattr(self, name)
            if value is None and name == "undoes":
                continue
            if not isinstance(value, str) or not _NAME.fullmatch(value) or len(value) > _NAME_LIMIT:
                raise VerdictError(f"{name} {value!r} does not fit: use 1 to {_NAME_LIMIT} of A-Z a-z 0-9 . _ : -")
        _check_box(self.box)
        if self.value not in VALUES:
            raise VerdictError(f"verdict {self.value!r} is unknown: use {', '.join(VALUES)}")
        if self.stars is not None and (type(self.stars) is not int or not 1 <= self.stars <= 5):
            raise VerdictError(f"{self.stars!r} stars: give 1 to 5, or none")
        _check_note(self.note)


def _check_box(box: Any) -> None:
    numbers = isinstance(box, tuple) and len(box) == 4 and all(type(side) in (int, float) for side in box)
    if not numbers or not all(math.isfinite(side) for side in box) or box[2] < box[0] or box[3] < box[1]:
        raise VerdictError(f"box {box!r} does not fit: give finite x1, y1, x2, y2 in pixels, x1 <= x2 and y1 <= y2")


def _check_note(note: Any) -> None:
    if not isinstance(note, str) or len(note) > NOTE_LIMIT:
        length = len(note) if isinstance(note, str) else 0
        raise VerdictError(f"the note has {length} characters: a note is a text of at most {NOTE_LIMIT}")
    try:
        note.encode()
    except UnicodeEncodeError as error:
        raise VerdictError("the note holds half a character (a lone surrogate): type it again") from error
    if "\0" in note:
        raise VerdictError("the note holds a NUL character: take it out")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A mark that the log has taken. `at` is UTC, ISO 8601 with microseconds; `previous` is the crop's value before."""

    mark: Mark
    at: str
    previous: str | None

    @property
    def crop_id(self) -> str:
        """The crop that was looked at."""
        return self.mark.crop_id

    @property
    def value(self) -> str:
        """good, bad, exclude or cleared."""
        return self.mark.value


def utc_text(moment: datetime) -> str:
    """A moment as the log writes it; texts sort as the moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def to_line(verdict: Verdict) -> str:
    """The verdict as one line of JSON."""
    told = dataclasses.asdict(verdict.mark) | {"at": verdict.at, "previous": verdict.previous}
    return json.dumps(told, ensure_ascii=False, sort_keys=True)


def from_line(line: str) -> Verdict:
    """The verdict of a line that `to_line` wrote. Raises VerdictError naming the part that does not fit."""
    try:
        told = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise VerdictError(f"not a line of JSON: {error}") from error
    if not isinstance(told, dict):
        raise VerdictError("not a JSON object")
    told = dict(told)
    known = {field.name for field in dataclasses.fields(Mark)} | {"at", "previous"}
    if unknown := sorted(set(told) - known):
        raise VerdictError(f"unknown entries {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    at, previous, box = told.pop("at", None), told.pop("previous", None), told.pop("box", None)
    if previous is not None and previous not in VALUES:
        raise VerdictError(f"previous value {previous!r} is unknown: use {', '.join(VALUES)} or null")
    try:
        moment = datetime.fromisoformat(at)
    except (TypeError, ValueError) as error:
        raise VerdictError(f"time {at!r} is not ISO 8601") from error
    if moment.tzinfo is None:
        raise VerdictError(f"time {at!r} has no offset: write UTC, for example 2026-11-21T14:00:00+00:00")
    try:
        mark = Mark(box=tuple(box) if isinstance(box, list) else box, **told)
    except TypeError as error:
        raise VerdictError(f"entries are missing: {error}") from error
    except OverflowError as error:
        raise VerdictError(f"the box holds a number that is too large: {error}") from error
    try:
        return Verdict(_float_box(mark), utc_text(moment), previous)
    except OverflowError as error:
        raise VerdictError(f"time {at!r} is outside the years 1 to 9999 in UTC") from error


def _float_box(mark: Mark) -> Mark:
    x1, y1, x2, y2 = mark.box
    return dataclasses.replace(mark, box=(float(x1), float(y1), float(x2), float(y2)))
