"""Masks as plain run lengths, column by column, as COCO writes them: of pages, of drawn scenes, of files of others.

The compressed form, and the windows in which masks are stored, belong to vision.masks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def run_lengths(mask: npt.NDArray[np.bool_]) -> list[int]:
    """Alternating counts of False and True pixels of a bool HxW mask, column by column, beginning with False."""
    flat = mask.reshape(-1, order="F")
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate(([0], turns, [flat.size]))).tolist()
    return [0, *counts] if flat.size and flat[0] else counts


def mask_of_runs(runs: Sequence[int] | npt.NDArray[np.int64], height: int, width: int) -> npt.NDArray[np.bool_]:
    """The bool mask (height, width) of `run_lengths`. Raises ValueError when they do not fill that size."""
    counts = np.asarray(runs, np.int64)
    # Each by itself first: large ones may add up to the right sum modulo 2**64, and repeat then writes past its memory.
    if (
        counts.ndim != 1
        or not len(counts)
        or counts.min() < 0
        or counts.max() > height * width
        or int(counts.sum()) != height * width
    ):
        raise ValueError(f"the run lengths of a mask do not fill its window of {width} x {height} pixels")
    values = np.arange(len(counts)) % 2 == 1
    return np.ascontiguousarray(np.repeat(values, counts).reshape(width, height).T)
