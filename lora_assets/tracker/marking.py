"""The person's verdicts on the crops of one tracker, kept up with the log as it grows.

A verdict finds its crop by frame and box (verdicts.matching); only frames with a new row are matched again, so that a
mark costs the same with one verdict and with fifteen thousand. How verdicts are kept is in verdicts, how they are asked
for and answered is in routes_verdicts.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.tables import ScoredCrop, arrow_schema
from lora_assets.tracker.cells import Cell, Cells, state_of
from lora_assets.tracker.view import VERDICTS
from lora_assets.verdicts import CropPlace, Mark, Verdict, VerdictError, VerdictLog, match_verdicts
from lora_assets.verdicts.log import LogUnusable, log_path
from lora_assets.verdicts.record import CLEARED, GOOD, Box

_BOX_COLUMNS = ("frame_sha256", "detection_id", "x1", "y1", "x2", "y2")
_CROP_COLUMNS = ("crop_id", "frame_sha256", "detection_id", "is_valid_content")
_NO_CROPS = pa.schema([arrow_schema(ScoredCrop).field(name) for name in _CROP_COLUMNS]).empty_table()


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said of a crop. `value` is empty when there is no verdict; stars and a note may stand alone.

    `overrules` is True for a good word on a crop that the rules vetoed. `at` is UTC, ISO 8601.
    """

    value: str = ""
    stars: int | None = None
    note: str = ""
    overrules: bool = False
    at: str = ""


SAID_NOTHING = Said()


class UnknownCrop(LookupError):
    """Every crop that a request names is one that the tracker does not have; `refused` says so of each, in words."""

    def __init__(self, refused: dict[str, str]) -> None:
        super().__init__(next(iter(refused.values())))
        self.refused = refused


class DetectionsUnderWay(VerdictError):
    """The boxes of a crop are being published anew: the same mark works once the run is through."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a mark changes of a crop; None leaves it as it is. `stars` 0 takes the stars away."""

    crop_id: str
    value: str | None = None
    stars: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Verdicts by crop as they were before a request and as they are after it, up to row `seq` of the log; crops that
    could not be marked are in `refused`, with the reason in words."""

    before: dict[str, Said]
    now: dict[str, Said]
    seq: int
    refused: dict[str, str]


@dataclass(frozen=True, slots=True)
class News:
    """The crops whose verdict changed after row `after` of the log, up to and with row `seq`; `after` 0: all."""

    after: int
    seq: int
    crops: dict[str, Said]


class VerdictBook:
    """The log's last row of each crop, by frame, followed row by row; shared by all trackers of a server."""

    def __init__(self, data: Path) -> None:
        self._path = log_path(data)
        self._log: VerdictLog | None = None
        self._lock = threading.RLock()
        self._latest: dict[str, tuple[int, Verdict]] = {}
        self._standing: dict[str, set[str]] = {}
        self._undone: set[str] = set()
        self._crops_of: dict[str, set[str]] = {}
        self._touched: list[tuple[int, str]] = []
        self._file: tuple[int, int] | None = None
        self._replaced: list[VerdictLog] = []
        self.seq = 0
        """the log's last row that is taken in"""
        self.edition = 0
        """changes when the log is replaced by another, such as a backup"""
        self.marking = threading.RLock()
        """held while what stands is read and a mark is made of it: marks of one crop may come by several trackers"""

    def log(self) -> VerdictLog:
        """The log, opened when it is first written. Raises VerdictError when it cannot be used."""
        with self._lock:
            if self._log is None:
                self._log = VerdictLog(self._path)
                self._file = self._file_now()
            return self._log

    def _file_now(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            raise LogUnusable(
                f"{self._path} is gone ({error}): put it or a backup of it back, or start this server again to begin a "
                "new log"
            ) from error
        return found.st_dev, found.st_ino

    def follow(self) -> int:
        """Take in the rows that any process has added; the number of the last row. Raises VerdictError."""
        with self._lock:
            if self._log is None and not self._path.exists():
                return 0
            if self._log is not None and self._file_now() != self._file:
                # Closing it would let SQLite delete the write-ahead log of the file that now has its name.
                self._replaced.append(self._log)
                self._log = None
                self._forget()
            elif self.log().last_row() < self.seq:
                self._forget()
            number, rows = self.log().since(self.seq)
            for verdict in rows:
                self._take_in(number, verdict)
            self.seq = number
            return number

    def _forget(self) -> None:
        self._latest, self._crops_of, self._touched = {}, {}, []
        self._standing, self._undone = {}, set()
        self.seq = 0
        self.edition += 1

    def _take_in(self, number: int, verdict: Verdict) -> None:
        known = self._latest.get(verdict.crop_id)
        # An import may bring rows that are older than those that are there.
        if known is None or known[1].at <= verdict.at:
            self._latest[verdict.crop_id] = (number, verdict)
        standing = self._standing.setdefault(verdict.crop_id, set())
        if verdict.mark.undoes is not None:
            # Of an import the row that is taken back may still follow.
            self._undone.add(verdict.mark.undoes)
            standing.discard(verdict.mark.undoes)
        elif verdict.mark.request_id not in self._undone:
            standing.add(verdict.mark.request_id)
        self._crops_of.setdefault(verdict.mark.frame_sha256, set()).add(verdict.crop_id)
        self._touched.append((number, verdict.mark.frame_sha256))

    def frames(self, after: int) -> set[str]:
        """The frames with rows after a number."""
        with self._lock:
            found = set()
            for number, frame in reversed(self._touched):
                if number <= after:
                    break
                found.add(frame)
            return found

    def rows_of_frame(self, frame_sha256: str) -> list[Verdict]:
        """Every row of the log about a frame, oldest first. Raises VerdictError."""
        with self._lock:
            if self._log is None and not self._path.exists():
                return []
            return self.log().of_frame(frame_sha256)

    def of_frame(self, frame_sha256: str) -> list[Verdict]:
        """The last verdict of each crop of a frame, in the order of time; as `VerdictLog.current` without those of
        which every mark was undone."""
        with self._lock:
            crops = self._crops_of.get(frame_sha256, ())
            found = [self._latest[crop] for crop in crops if self._standing[crop]]
            return [verdict for _, verdict in sorted(found, key=lambda pair: (pair[1].at, pair[0]))]


class TrackerMarks:
    """The verdicts on a tracker's crops as its tables are now; made anew when a table is."""

    def __init__(self, cells: Cells, tracker: str, found: Sequence[Cell], book: VerdictBook) -> None:
        self.tracker = tracker
        self.epoch = state_of(found)
        """changes with every table of the tracker"""
        self.seq = 0
        """the log's last row that is taken in"""
        self.fault = ""
        """why the verdicts cannot be read at the moment; empty when they can"""
        made = [(cell, cells.columns(cell.scored_crops, _CROP_COLUMNS)) for cell in found if cell.scored_crops]
        self._crops = pa.concat_tables([_NO_CROPS, *(table for _, table in made)])
        self.codes: npt.NDArray[np.int8] = np.zeros(len(self._crops), dtype=np.int8)
        """place in VERDICTS of each crop's verdict, cell by cell in the order of the tables; replaced, never changed"""
        self._slugs = [cell.dataset for cell, _ in made]
        self._cell_of_row = np.repeat(np.arange(len(made)), [len(table) for _, table in made])
        boxes = [cell.detections for cell, _ in made]
        self._boxes = [cells.columns(table, _BOX_COLUMNS) if table else None for table in boxes]
        self.book = book
        self._edition = book.edition
        self._lock = threading.RLock()
        self._said: dict[str, Said] = {}
        self._changed_at: dict[str, int] = {}

    # --- following the log -------------------------------------------------------------------------------------------

    def follow(self) -> int:
        """Bring the verdicts up to the log's last row, whose number is returned. Raises VerdictError."""
        self.book.follow()
        with self._lock:
            # In this order: of a log that is replaced meanwhile, the next call takes in all.
            edition, last = self.book.edition, self.book.seq
            if self._edition != edition:
                codes = self.codes.copy()
                self._match(set(self._crops.column("frame_sha256").to_pylist()), last, codes)
                # All of them are told again: the numbers of the rows before mean nothing in this log.
                self._changed_at = dict.fromkeys(self._said, last)
                self.codes, self.seq, self._edition = codes, last, edition
            elif last > self.seq:
                codes = self.codes.copy()
                self._match(self.book.frames(self.seq), last, codes)
                self.codes, self.seq = codes, last
            return self.seq

    def try_follow(self) -> None:
        """As `follow`; when the log cannot be read, `fault` tells why and the verdicts stay as they were."""
        try:
            self.follow()
            self.fault = ""
        except VerdictError as error:
            self.fault = str(error)

    def _match(self, frames: set[str], number: int, codes: npt.NDArray[np.int8]) -> None:
        """Match the verdicts of some frames anew; what changed is noted under the number of a row of the log."""
        rows, crops = self._rows("frame_sha256", frames)
        places = self._places(rows, crops)
        verdicts = [
            verdict for frame in {crop["frame_sha256"] for crop in crops} for verdict in self.book.of_frame(frame)
        ]
        matched = match_verdicts(verdicts, [place for place in places if place]).by_crop()
        for row, crop in zip(rows, crops, strict=True):
            name = crop["crop_id"]
            said = _said(matched.get(name), crop["is_valid_content"])
            codes[row] = VERDICTS.index(said.value)
            if said != self.said(name):
                self._said[name] = said
                self._changed_at[name] = number

    def _rows(self, column: str, values: Iterable[str]) -> tuple[list[int], list[dict[str, Any]]]:
        """Numbers and content of the rows whose column holds one of the values."""
        found = pc.is_in(self._crops.column(column), value_set=pa.array(list(values), pa.string()))  # pyright: ignore
        numbers = np.flatnonzero(found.to_numpy())
        return numbers.tolist(), self._crops.take(pa.array(numbers, pa.int64())).to_pylist()

    def _places(self, rows: Sequence[int], crops: Sequence[Mapping[str, Any]]) -> list[CropPlace | None]:
        """Where the crops lie in their frames; None while the detections of a crop are being published anew."""
        boxes: dict[tuple[int, str, str], Box] = {}
        for code in {int(self._cell_of_row[row]) for row in rows}:
            wanted = {crop["frame_sha256"] for crop in crops}
            boxes.update({(code, *key): box for key, box in _boxes_of(self._boxes[code], wanted)})
        places: list[CropPlace | None] = []
        for row, crop in zip(rows, crops, strict=True):
            code = int(self._cell_of_row[row])
            frame, detection = crop["frame_sha256"], crop["detection_id"]
            box = boxes.get((code, frame, detection))
            places.append(CropPlace(self._slugs[code], frame, detection, crop["crop_id"], box) if box else None)
        return places

    # --- asking ------------------------------------------------------------------------------------------------------

    def said(self, crop_id: str) -> Said:
        """What was said of a crop."""
        return self._said.get(crop_id, SAID_NOTHING)

    def since(self, number: int) -> dict[str, Said]:
        """The crops whose verdict changed after row `number` of the log; all that have or had one for 0."""
        with self._lock:
            return {crop: self._said[crop] for crop, at in self._changed_at.items() if at > number}

    def news(self, number: int) -> News:
        """What changed after row `number`, or all when the log has no such row."""
        with self._lock:
            after = number if 0 < number <= self.seq else 0
            return News(after, self.seq, self.since(after))

    def counts(self) -> dict[str, int]:
        """How many crops there are of each of VERDICTS."""
        numbers = np.bincount(self.codes, minlength=len(VERDICTS))
        return {value: int(number) for value, number in zip(VERDICTS, numbers, strict=True)}

    # --- saying ------------------------------------------------------------------------------------------------------

    def mark(self, request_id: str, changes: Sequence[Change]) -> Answer:
        """Say something of crops; on disk when this returns. A request that was taken before changes nothing.

        Crops that the tracker does not have are refused, and the others are marked. Raises UnknownCrop when it has none
        of them, DetectionsUnderWay when the same may work later, and VerdictError when nothing was saved.
        """
        with self.book.marking, self._lock:
            self.follow()
            log = self.book.log()
            places = self._places_of_crops([change.crop_id for change in changes])
            refused = {
                change.crop_id: f"tracker {self.tracker} has no crop {change.crop_id} (any more): reload the page"
                for change in changes
                if change.crop_id not in places
            }
            if not places:
                raise UnknownCrop(refused)
            before = {crop: self.said(crop) for crop in places}
            taken = log.taken(f"{request_id}:{crop}" for crop in places)
            marks = [
                self._mark(f"{request_id}:{change.crop_id}", change, places[change.crop_id])
                for change in changes
                if change.crop_id in places
            ]
            log.append(*(mark for mark in marks if mark.request_id not in taken))
            return self._answer(before, refused)

    def undo(self, request_id: str) -> Answer:
        """Take back the person's last action on this tracker. Raises VerdictError when none is left."""
        with self.book.marking, self._lock:
            self.follow()
            crops = [verdict.crop_id for verdict in self.book.log().undo_last(request_id, self.tracker)]
            # A crop that was made anew since has another id: then its change alone is told, where it shows.
            _, here = self._rows("crop_id", crops)
            answer = self._answer({crop["crop_id"]: self.said(crop["crop_id"]) for crop in here}, {})
            return answer if answer.now else self._answer({crop: self.said(crop) for crop in crops}, {})

    def _answer(self, before: dict[str, Said], refused: dict[str, str]) -> Answer:
        """With the crops that the new rows changed beside those asked for: a frame's verdicts share its boxes out."""
        seq = self.seq
        self.follow()
        now = {crop: self.said(crop) for crop in before} | self.since(seq)
        return Answer(before, now, self.seq, refused)

    def _places_of_crops(self, crop_ids: Sequence[str]) -> dict[str, CropPlace]:
        """Where those of the crops lie that the tracker has. Raises DetectionsUnderWay."""
        rows, crops = self._rows("crop_id", crop_ids)
        found = {crop["crop_id"] for crop in crops}
        # Two boxes with the same pixels share their crop and its verdict: the first one names the place.
        places = {place.crop_id: place for place in reversed(self._places(rows, crops)) if place}
        if unplaced := found - places.keys():
            raise DetectionsUnderWay(
                f"the detections of crop {min(unplaced)} are being made anew: wait for the run, then mark again"
            )
        return places

    def _mark(self, request_id: str, change: Change, place: CropPlace) -> Mark:
        said = self.said(change.crop_id)
        return Mark(
            tracker=self.tracker,
            dataset=place.dataset,
            frame_sha256=place.frame_sha256,
            box=place.box,
            crop_id=change.crop_id,
            value=(said.value or CLEARED) if change.value is None else change.value,
            request_id=request_id,
            stars=said.stars if change.stars is None else change.stars or None,
            note=said.note if change.note is None else change.note,
        )


def _boxes_of(table: pa.Table | None, frames: set[str]) -> list[tuple[tuple[str, str], Box]]:
    """Frame and detection with their box, of the frames that are asked for."""
    if table is None:
        return []
    wanted = pc.is_in(table.column("frame_sha256"), value_set=pa.array(list(frames), pa.string()))  # pyright: ignore
    rows = zip(*(column.to_pylist() for column in table.filter(wanted).columns), strict=True)
    return [((frame, detection), (x1, y1, x2, y2)) for frame, detection, x1, y1, x2, y2 in rows]


def _said(verdict: Verdict | None, valid: bool) -> Said:
    if verdict is None:
        return SAID_NOTHING
    mark = verdict.mark
    value = "" if mark.value == CLEARED else mark.value
    return Said(value, mark.stars, mark.note, value == GOOD and not valid, verdict.at)


def as_json(said: Mapping[str, Said] | Iterable[tuple[str, Said]]) -> dict[str, list[Any]]:
    """Verdicts by crop as scripts read them: value, stars, note, overrules."""
    return {crop: [*dataclasses.astuple(one)[:4]] for crop, one in dict(said).items()}
