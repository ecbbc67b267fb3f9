"""How far a stage is: one call per finished frame, told to a terminal, a log or nobody by whoever listens.

The state that lies on disk for other processes belongs to under_way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` frames (`unit` says of what else) are finished; `stage` names the work for a person.

    A stage that has something to do begins with `done` 0, so that its rate counts from there.
    """

    stage: str
    done: int
    total: int
    unit: str = "frames"


Listener = Callable[[Progress], None]


def nobody(_: Progress) -> None:
    """The listener that does not listen."""


_listener: ContextVar[Listener] = ContextVar("listener", default=nobody)


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """While the body runs, `tell` reaches `listener`: how a command hears of stages that Dagster runs for it."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(progress: Progress) -> None:
    """Pass the progress to whoever listens in this context."""
    _listener.get()(progress)
