"""Tables and progress for a person: bars with rate and time left on a terminal, plain lines in a pipe.

What is told belongs to the commands.
"""

from __future__ import annotations

import sys
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from lora_assets.progress import Listener, Progress, nobody

_LINE_SECONDS = 10.0
_ENDLESS = 1_000_000
_NAME_KEPT = 40
_WORD_KEPT = 14
"""Longest word, in cells of the terminal, for which a column stays wide enough; paths and digests are longer."""


class _PlainLines:
    """One line every few seconds, and one at the end of a stage."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[float, int]] = {}
        self._told = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        # What was done before the first word, as by a training that is taken up again, tells nothing of the rate.
        began, before = self._began.setdefault(progress.stage, (now, progress.done))
        if progress.done == 0 or (progress.done < progress.total and now - self._told < _LINE_SECONDS):
            return
        self._told = now
        rate = (progress.done - before) / (now - began) if now > began else 0.0
        left = (
            f", {(progress.total - progress.done) / rate:.0f} s left" if rate and progress.done < progress.total else ""
        )
        speed = f" ({rate:.1f} {progress.unit}/s{left})" if rate else ""
        print(f"{progress.stage}: {progress.done} of {progress.total}{speed}", flush=True)


class _Bars:
    """One bar per stage."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, int] = {}

    def __call__(self, progress: Progress) -> None:
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bars.add_task(progress.stage, total=progress.total, rate="")
        task = self._bars.tasks[self._tasks[progress.stage]]
        speed = f"{task.speed:.1f} {progress.unit}/s" if task.speed else ""
        self._bars.update(task.id, completed=progress.done, total=progress.total, rate=speed)


@contextmanager
def shown_progress(*, quiet: bool = False) -> Iterator[Listener]:
    """A listener that shows progress as the output allows; `quiet` shows none, where another program reads."""
    if quiet:
        yield nobody
        return
    if not is_terminal():
        yield _PlainLines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Bars(*columns, TimeRemainingColumn(), console=Console()) as bars:
        yield _Bars(bars)


def is_terminal() -> bool:
    """True when a person reads the output, not a pipe or a file."""
    return sys.stdout.isatty()


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return plain(str(value))


def plain(text: str) -> str:
    """The text with control characters shown as escapes: a file's name may hold commands for the terminal."""
    return "".join(
        char if char.isprintable() or char in "\n\t" or unicodedata.category(char) == "Zs" else
        char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )  # fmt: skip


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> Table:
    """A table in which numbers stand to the right."""
    table = Table(title=title or None, title_justify="left")
    for index, heading in enumerate(headings):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        words = [word for cell in (heading, *(row[index] for row in rows)) for word in _text(cell).split()]
        # The first column holds what is copied into the next command.
        longest = _NAME_KEPT if index == 0 else _WORD_KEPT
        least = min(max(map(cell_len, words), default=1), longest)
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold", min_width=least)
    for row in rows:
        table.add_row(*map(_text, row))
    return table


def _needed_width(table: Table) -> int:
    endless = Console(width=_ENDLESS, highlight=False, markup=False)
    return max(Measurement.get(endless, endless.options, table).maximum, 1)


def _least_width(table: Table) -> int:
    """The width under which words would break: the least of each column, two blanks, and the lines between."""
    return sum((column.min_width or 1) + 3 for column in table.columns) + 1


def fits_terminal(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> bool:
    """True when the table needs no folding on this terminal."""
    return _needed_width(_table(headings, rows)) <= Console().width


def print_table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], title: str = "", *, if_none: str = ""
) -> None:
    """A table as wide as the terminal, or one block per row where words would break in it; in a pipe it is as wide as
    its content needs.

    Without rows `if_none` is printed instead: what there is none of, and how there will be some.
    """
    if if_none and not rows:
        print(if_none)
        return
    table = _table(headings, rows, title)
    if is_terminal() and rows and _least_width(table) > Console().width:
        if title:
            print(title)
        print_records(headings, rows)
        return
    width = None if is_terminal() else max(_needed_width(table), len(title))
    Console(width=width, highlight=False, markup=False).print(table)


def print_records(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """One block per row, one line `name: value` per column: for rows that are wider than the terminal."""
    longest = max(map(len, headings))
    for number, row in enumerate(rows, start=1):
        print(f"--- {number}")
        for heading, value in zip(headings, row, strict=True):
            print(f"{heading + ':':{longest + 1}} {_text(value)}")
