"""Frames worked on side by side, results in order, memory bounded by the number of frames in flight.

Threads, not processes: decoding, models and encoding all release the interpreter lock, and a process pool would copy
frames and models (see docs/BENCHMARKS.md). What belongs elsewhere: what is done with a frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """`work` of each item, in order of the items, on `workers` threads with at most `workers + 1` items waiting.

    An exception of `work` is raised here, in the order of its item; items not begun are dropped then, also when the
    caller stops early or is interrupted.
    """
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="frame") as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
