"""Batches made ahead of a training by other processes, in the order of its steps.

A batch depends on its step alone, so that it does not matter who makes it, nor where a killed training goes on. What a
batch holds is decided by the trainings.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np

from lora_assets.training.rendered import RenderedFrame, read_frame
from lora_assets.training.schedule import TrainingError
from lora_assets.vision import parent_watch
from lora_assets.vision.device import device

Batch = TypeVar("Batch")
Sample = TypeVar("Sample")

AHEAD = 3
"""Batches that wait for each process."""
SAMPLES_PER_FRAME = 2
"""Samples taken from a frame once it is read, as reading costs as much as making one."""


def usual_feeders() -> int:
    """Processes that make batches unless somebody says otherwise: none on a CPU, where the model needs all cores."""
    return max(1, (os.cpu_count() or 1) - 1) if device() == "cuda" else 0


def samples_of_frames(
    rng: np.random.Generator,
    paths: Sequence[Path],
    count: int,
    make_sample: Callable[[RenderedFrame], Sample | None],
) -> list[Sample]:
    """`count` samples of drawn frames taken at random, SAMPLES_PER_FRAME of each; `make_sample` answers None where a
    frame gives none. Raises TrainingError when hardly any frame gives one."""
    samples: list[Sample] = []
    for _ in range(100 * count):
        frame = read_frame(paths[int(rng.integers(len(paths)))])
        made = (make_sample(frame) for _ in range(SAMPLES_PER_FRAME))
        samples += [sample for sample in made if sample is not None]
        if len(samples) >= count:
            return samples[:count]
    raise TrainingError("the drawn frames show hardly anybody: draw more frames, or look at how scenes are drawn")


def batches(make: Callable[[int], Batch], first: int, feeders: int | None = None) -> Generator[Batch, None, None]:
    """`make(first)`, `make(first + 1)`, ... without end, made by `feeders` processes, or here with 0; None: as many as
    help.

    `make` must be picklable. What it raises, is raised where its batch is due.
    """
    if feeders is None:
        feeders = usual_feeders()
    if feeders < 1:
        yield from map(make, count(first))
        return
    pool = ProcessPoolExecutor(feeders, get_context("spawn"), _begin_feeding, (os.getpid(),))
    try:
        waiting = deque(pool.submit(make, step) for step in range(first, first + AHEAD * feeders))
        for step in count(first + AHEAD * feeders):
            yield waiting.popleft().result()
            waiting.append(pool.submit(make, step))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_feeding(parent: int) -> None:
    import cv2
    import torch

    # Processes of a pool wait for work for ever when the training is killed.
    parent_watch.end_with(parent)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
