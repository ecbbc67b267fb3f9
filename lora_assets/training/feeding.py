"""Batches made ahead of a training by other processes, in the order of its steps.

A batch depends on its step alone, so that it does not matter who makes it, nor where a killed training goes on. What a
batch holds is decided by the trainings.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from typing import TypeVar

from lora_assets.vision.device import device

Batch = TypeVar("Batch")

AHEAD = 3
"""Batches that wait for each process."""


def usual_feeders() -> int:
    """Processes that make batches unless somebody says otherwise: none on a CPU, where the model needs all cores."""
    return max(1, (os.cpu_count() or 1) - 1) if device() == "cuda" else 0


def batches(make: Callable[[int], Batch], first: int, feeders: int) -> Generator[Batch, None, None]:
    """`make(first)`, `make(first + 1)`, ... without end, made by `feeders` processes, or here with 0.

    `make` must be picklable. What it raises, is raised where its batch is due.
    """
    if feeders < 1:
        yield from map(make, count(first))
        return
    pool = ProcessPoolExecutor(feeders, get_context("spawn"), _one_thread)
    try:
        waiting = deque(pool.submit(make, step) for step in range(first, first + AHEAD * feeders))
        for step in count(first + AHEAD * feeders):
            yield waiting.popleft().result()
            waiting.append(pool.submit(make, step))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
