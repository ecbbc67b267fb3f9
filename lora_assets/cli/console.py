"""Tables and progress for a person: bars with rate and time left on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from lora_assets.main_line.progress import Listener, Progress

_LINE_SECONDS = 10.0


class _PlainLines:
    """One line every few seconds, and one at the end of a stage."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._told = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        began = self._began.setdefault(progress.stage, now)
        if progress.done == 0 or (progress.done < progress.total and now - self._told < _LINE_SECONDS):
            return
        self._told = now
        rate = progress.done / (now - began) if now > began else 0.0
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
def shown_progress() -> Iterator[Listener]:
    """A listener that shows progress as the output allows."""
    if not sys.stdout.isatty():
        yield _PlainLines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Bars(*columns, TimeRemainingColumn(), console=Console()) as bars:
        yield _Bars(bars)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """A table in which numbers stand to the right; in a pipe it is as wide as its content needs."""
    table = Table(title=title or None, title_justify="left")
    for index, heading in enumerate(headings):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row))
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False, markup=False).print(table)
