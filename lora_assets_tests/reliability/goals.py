"""The goals G1 to G17 and the kits that measure them: one record of figures for all, one list to run them by.

A kit is a module of this folder with a function `run(level) -> Figures`. The quick level belongs to the suite and takes
seconds; the full level belongs to `make soak`. Kits are named here as text and imported only when they are run, so that
a kit whose needs are not there (a browser, weights) stops no other.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Level = Literal["quick", "full"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What one kit measured.

    `goal` is the number (G5), `how` one sentence on how it was tried, `tried` and `failed` are counts of trials,
    `seeded_fault_caught` tells whether the fault that the kit was given on purpose was noticed (None where the kit was
    skipped), `seconds` is wall time. `notes` holds further measured numbers; `skipped` is the reason why nothing (or
    less) was tried, empty otherwise.
    """

    goal: str
    how: str
    tried: int
    failed: int
    seeded_fault_caught: bool | None
    seconds: float
    seeded_fault: str = ""
    notes: tuple[str, ...] = ()
    skipped: str = ""
    failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Nothing failed, something was tried, and the seeded fault was noticed."""
        return self.failed == 0 and self.tried > 0 and self.seeded_fault_caught is True


@dataclass(frozen=True, slots=True)
class Kit:
    """Where the measurement of one goal lies: `module` of this package has `run(level) -> Figures`. `remark` says what
    the numbers of its row do not."""

    goal: str
    promise: str
    module: str
    remark: str = ""

    def run(self, level: Level) -> Figures:
        """Import the kit and run it. Raises what the import raises, for a kit whose needs are not installed."""
        measure: Callable[[Level], Figures] = importlib.import_module(f"{__package__}.{self.module}").run
        return measure(level)


KITS: tuple[Kit, ...] = (
    Kit("G1", "hostile files: no run dies, each is read or refused with a reason, no other verdict changes",
        "files_hostile"),
    Kit("G2", "planted aborts, hangs, kills and crashes of the decoder: each named, the rest identical",
        "processes_decoder_deaths"),
    Kit("G3", "truncated copies and copies with a zero tail: none is taken in", "files_cut_copies"),
    Kit("G4", "decompression bombs: refused within 1 s and 100 MiB on every path", "files_bombs"),
    Kit("G5", "kill, full disk or I/O error at every system call of a write: nothing half-written, no silent success",
        "files_syscall_faults"),
    Kit("G6", "random kills of a batch: after a re-run every output is byte-identical", "processes_random_kills",
        "kills of one batch are judged together: its 60 batches are the independent trials, which alone prove no more "
        "than at most 5 %"),
    Kit("G7", "kills of the whole process tree: work resumes by itself, no run stuck, no partition dropped",
        "processes_tree_kills"),
    Kit("G8", "marks under kills of the server: no answered mark is lost, none is doubled, synced before the answer",
        "web_verdicts",
        "marks between two kills share their fate: the 60 kills are the independent trials, which alone prove no more "
        "than at most 5 %"),
    Kit("G9", "slow copies and replacements in place: none early, none missed, a new hash is processed again",
        "files_slow_copies"),
    Kit("G10", "input folders that vanish, empty or unmount: nothing counts as deleted, recovery within one look",
        "files_vanishing_roots"),
    Kit("G11", "no route answers without the password, and no hostile address, name, origin, host or body gets through",
        "web_attacks"),
    Kit("G12", "no other web page can read or drive Dagster's UI, and nothing listens beside the two guarded servers",
        "web_dagster"),
    Kit("G13", "16 connections are served nearly as fast as by a bare server, and 500 half-open ones hold nobody up",
        "web_load"),
    Kit("G14", "one look at 100,000 files", "files_many"),
    Kit("G15", "verify names every file in which one bit was flipped", "files_flipped_bytes"),
    Kit("G16", "no installed package of the table of versions has a known hole, and none of them is passed over in "
        "silence", "web_versions", "packages that are not in that table were not looked at"),
    Kit("G17", "a whole batch passes with no network at all, and nothing tries to reach it", "web_network"),
    Kit("W21", "weights with one changed byte are refused before any parser sees them; no pickle is run",
        "web_weights"),
)  # fmt: skip


def kit_of(goal: str) -> Kit:
    """The kit of one goal; raises KeyError for a goal without one."""
    for kit in KITS:
        if kit.goal == goal:
            return kit
    raise KeyError(goal)


class Trials:
    """Counts the trials of one kit and makes its figures; what failed is kept in words, the first few of it."""

    _MOST_WORDS = 20

    def __init__(self, goal: str, how: str, seeded_fault: str) -> None:
        self.goal, self.how, self.seeded_fault = goal, how, seeded_fault
        self.tried = self.failed = 0
        self.failures: list[str] = []
        self.notes: list[str] = []
        self.caught: bool | None = None
        self._began = time.monotonic()

    def check(self, holds: bool, what: str) -> None:
        """One trial: it failed when `holds` is False, and `what` says which it was."""
        self.tried += 1
        if not holds:
            self.failed += 1
            if len(self.failures) < self._MOST_WORDS:
                self.failures.append(what)

    def figures(self, skipped: str = "") -> Figures:
        """What was measured until now."""
        return Figures(
            self.goal, self.how, self.tried, self.failed, self.caught, time.monotonic() - self._began,
            self.seeded_fault, tuple(self.notes), skipped, tuple(self.failures),
        )  # fmt: skip
