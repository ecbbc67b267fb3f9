"""A tracker's crops with what is said of them on top of the tables: the person's verdicts, the judge, alike crops, and
how far scores moved from the baseline.

None of it changes a result of the tracker. The tables themselves are in view, what a page writes of a crop is not here.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.specs import TrackerSpec
from lora_assets.store import PublishedTable, StoreError, digest
from lora_assets.tracker.cells import Cell, Cells, Memory, file_mark, state_of
from lora_assets.tracker.marking import Said, TrackerMarks, VerdictBook
from lora_assets.tracker.view import SORTS, UNMARKED, VERDICTS, Choice, TrackerView

if TYPE_CHECKING:
    from lora_assets.judge.judging import CropJudgement

JUDGE_SORTS = ("p_good", "queue")
BASELINE_SORT = "changed"
Made = TypeVar("Made")
_LOG = logging.getLogger(__name__)


class Once(Generic[Made]):
    """A value that is made when it is first asked for, by one thread; the others wait for it. A failure is kept too:
    what it would be made of does not change."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[Made] = []
        self._failure: Exception | None = None

    def __call__(self) -> Made:
        with self._lock:
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            if not self._made:
                try:
                    self._made.append(self._make())
                except Exception as error:
                    _LOG.exception("what a page shows beside the tables cannot be made")
                    self._failure = error
                    raise
            return self._made[0]

    @property
    def ready(self) -> bool:
        """True when the value is there."""
        return bool(self._made)

    @property
    def fault(self) -> str:
        """Why the value cannot be made; empty when it can, or when nobody has asked for it yet."""
        failure = self._failure
        return "" if failure is None else str(failure) or type(failure).__name__

    def begin(self) -> None:
        """Make the value in a thread, unless it is there, being made, or cannot be made."""
        if not self.ready and self._failure is None and not self._lock.locked():
            threading.Thread(target=self.value, daemon=True).start()

    def value(self) -> Made | None:
        """The value, or None when it cannot be made, which `fault` tells."""
        with suppress(Exception):
            return self()
        return None


@dataclass(frozen=True, slots=True)
class Judged:
    """The judge's word by crop, and as columns in the rows' order: `p_good` 0..1 (NaN: none), `places` from 0 where
    the judge is least sure. `fault` says why the judge cannot be read."""

    words: dict[str, CropJudgement]
    p_good: npt.NDArray[np.float64]
    places: npt.NDArray[np.float64]
    abstained: npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedView(TrackerView):
    """A TrackerView that can also be filtered by verdict, sorted by the judge and by change, and folded by group."""

    review_state: str
    """changes with the tables, the judge, the groups and the baseline; not with verdicts"""
    marks: TrackerMarks
    has_judge: bool
    judge_fault: str
    """why the judge cannot be read; empty when it can, or when there is none"""
    judge: Once[Judged]
    changes: Once[npt.NDArray[np.float64]]
    """by how much each score moved from the baseline, without sign; NaN where the baseline has no such crop"""
    groups: npt.NDArray[np.int32]
    """code of each row's group of alike crops; -1 where it is alone"""

    @property
    def sorts(self) -> tuple[str, ...]:
        """The orders that this tracker's crops can be shown in."""
        judge = JUDGE_SORTS if self.has_judge and not self.judge.fault else ()
        return (*SORTS, *judge, *((BASELINE_SORT,) if self.spec.baseline else ()))

    @property
    def has_groups(self) -> bool:
        """True when crops of this tracker are alike, so that folding shows fewer."""
        return bool((self.groups >= 0).any())

    def said(self, crop_id: str) -> Said:
        """What the person said of a crop."""
        return self.marks.said(crop_id)

    def judged(self, crop_id: str) -> CropJudgement | None:
        """What the judge says of a crop; None where there is no judge, or none that can be asked."""
        said = self.judge.value() if self.has_judge else None
        return said.words.get(crop_id) if said else None

    @property
    def judge_problem(self) -> str:
        """Why there are no words of the judge although there should be; empty when there are, or may still come."""
        return self.judge_fault or self.judge.fault

    def judge_for(self, sort: str) -> Judged | None:
        """The judge's words when they are there, or when an order needs them; else None, and they are begun unless
        they cannot be had (`judge_problem`).

        Judging 15,000 crops takes about two seconds, once for each judge: a page does not wait for it.
        """
        if not self.has_judge:
            return None
        if self.judge.ready or sort in JUDGE_SORTS:
            return self.judge.value()
        self.judge.begin()
        return None

    def matching(self, choice: Choice, without: str = "") -> npt.NDArray[np.bool_]:
        """Which crops a choice takes; `without` names one of tier, flag, dataset and verdict that is not looked at."""
        # Not super(): a dataclass with slots is made anew, and super() would look for the class before it.
        found = TrackerView.matching(self, choice, without)
        if choice.verdict and without != "verdict":
            wanted = "" if choice.verdict == UNMARKED else choice.verdict
            found &= self.marks.codes == VERDICTS.index(wanted)
        return found

    def order(self, choice: Choice) -> npt.NDArray[np.int64]:
        """Row numbers of the chosen crops in their order."""
        seen = self.marks.seq if choice.verdict else 0
        return self.orders.get((choice, seen), lambda: self._order(choice))

    def sort_keys(self, sort: str) -> npt.NDArray[np.float64]:
        """A number of each crop, small first, for one of `sorts`; ties stand by path, crops without a number last."""
        if sort in JUDGE_SORTS:
            said = self.judge.value()
            if said is None:
                # Its failure was not known yet when the order was chosen.
                return TrackerView.sort_keys(self, SORTS[0])
            return np.nan_to_num(-said.p_good, nan=1.0) if sort == "p_good" else said.places
        if sort == BASELINE_SORT:
            return np.nan_to_num(-self.changes(), nan=1.0)
        return TrackerView.sort_keys(self, sort)

    def folded(self, order: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The rows of an order with only the first of each group, and how many crops each of them stands for."""
        groups = self.groups[order].astype(np.int64)
        alone = groups < 0
        groups[alone] = -1 - np.arange(np.count_nonzero(alone))
        _, first, numbers = np.unique(groups, return_index=True, return_counts=True)
        places = np.argsort(first)
        return order[first[places]], numbers[places]


class Reviews:
    """Makes reviewed views, and keeps them while nothing under them changes. Safe to share among threads."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._book = VerdictBook(cells.data)
        self._marks = Memory(64)
        self._views = Memory(8)

    @property
    def book(self) -> VerdictBook:
        """The verdicts of all trackers."""
        return self._book

    def marks(self, spec: TrackerSpec) -> TrackerMarks:
        """The verdicts on a tracker's crops, as far as the log can be read."""
        marks = self._marks_of(spec.id, self._cells.of(spec))
        marks.try_follow()
        return marks

    def _marks_of(self, tracker: str, found: Sequence[Cell]) -> TrackerMarks:
        make = lambda: TrackerMarks(self._cells, tracker, found, self._book)  # noqa: E731
        return self._marks.get((tracker, state_of(found)), make, tracker)

    def of(self, view: TrackerView) -> ReviewedView:
        """The tracker with all that is said of it now. What cannot be read is left out and told by its `fault`."""
        tracker = view.spec.id
        judge = _mark_of(self._judge_path(tracker))
        groups = self._cells.published(self._cells.store.table_path("crop_groups", tracker))
        told = groups and (groups.version, groups.facts.get("published_at"))
        # Where the originals lie is in no table, and a folder may be moved.
        places = tuple((str(cell.folder), cell.name) for cell in view.cells)
        key = (tracker, repr(view.spec), view.state, places, judge, told, self._baseline_state(view))
        make = lambda: self._reviewed(view, digest(key), groups)  # noqa: E731
        reviewed = self._views.get(key, make, tracker)
        reviewed.marks.try_follow()
        return reviewed

    def _judge_path(self, tracker: str) -> Path:
        from lora_assets.judge.making import judge_path

        return judge_path(self._cells.store, tracker)

    def _judge_of(self, tracker: str) -> tuple[bool, str]:
        """Is there a judge with a model, and why it cannot be read."""
        from lora_assets.judge.making import read_judge

        try:
            judge = read_judge(self._cells.store, tracker)
        except StoreError as error:
            return False, str(error)
        return judge is not None and judge.model is not None, ""

    def _baseline_state(self, view: TrackerView) -> tuple[str, ...]:
        if not view.spec.baseline:
            return ()
        found = (self._cells.store.cell_table("scored_crops", slug, view.spec.baseline) for slug in view.slugs)
        return tuple(table.version if table else "" for table in found)

    def _reviewed(self, view: TrackerView, state: str, groups: PublishedTable | None) -> ReviewedView:
        has_judge, fault = self._judge_of(view.spec.id)
        told = {one.name: getattr(view, one.name) for one in fields(TrackerView) if one.name != "orders"}
        return ReviewedView(
            **told,
            orders=Memory(32),
            review_state=state,
            marks=self._marks_of(view.spec.id, view.cells),
            has_judge=has_judge,
            judge_fault=fault,
            judge=Once(lambda: self._judged(view)),
            changes=Once(lambda: self._changes(view)),
            groups=self._groups(view, groups),
        )

    def _judged(self, view: TrackerView) -> Judged:
        from lora_assets.judge.judging import least_sure_order
        from lora_assets.judge.making import judge_tracker

        crops = view.crops.column("crop_id").to_pylist()
        words = judge_tracker(self._cells.store, view.spec.id)
        names = list(words)
        place_of = {names[number]: place for place, number in enumerate(least_sure_order(list(words.values())))}
        p_good = np.array([words[crop].p_good if crop in words else np.nan for crop in crops], dtype=np.float64)
        places = np.array([place_of.get(crop, len(names)) for crop in crops], dtype=np.float64)
        abstained = np.array([crop in words and words[crop].abstained is not None for crop in crops], dtype=np.int8)
        return Judged(words, p_good, places, abstained)

    def _changes(self, view: TrackerView) -> npt.NDArray[np.float64]:
        """Scores less those of the same crops (frame and box) in the baseline."""
        from lora_assets.comparing.cell_rows import read_cell
        from lora_assets.comparing.matching import code_frames, match_crops

        moved = np.full(len(view.scores), np.nan)
        for code, slug in enumerate(view.slugs):
            rows = np.flatnonzero(view.datasets == code)
            after = read_cell(self._cells.store, slug, view.spec.id)
            before = read_cell(self._cells.store, slug, view.spec.baseline)
            if after is None or before is None or len(after.crops) != len(rows):
                continue
            matches = match_crops(before, after, code_frames(before, after))
            old = before.crops.column("score").to_numpy()[matches.before]
            new = after.crops.column("score").to_numpy()[matches.after]
            moved[rows[matches.after]] = np.abs(new - old)
        return moved

    def _groups(self, view: TrackerView, table: PublishedTable | None) -> npt.NDArray[np.int32]:
        codes = np.full(len(view.tiers), -1, dtype=np.int32)
        if table is None or not len(codes):
            return codes
        told = self._cells.columns(table, ("crop_id", "group"))
        found = pc.index_in(view.crops.column("crop_id"), value_set=told.column("crop_id").combine_chunks())  # pyright: ignore
        names = told.column("group").combine_chunks().dictionary_encode()
        known = pc.is_valid(found).to_numpy(zero_copy_only=False)  # pyright: ignore
        taken = names.indices.take(found.filter(pa.array(known))).to_numpy()  # pyright: ignore
        codes[known] = taken
        numbers = np.bincount(codes[known], minlength=1)
        codes[known] = np.where(numbers[codes[known]] > 1, codes[known], -1)
        return codes


def _mark_of(path: Path) -> tuple[str, int, int, int] | None:
    try:
        return file_mark(path)
    except OSError:
        return None
