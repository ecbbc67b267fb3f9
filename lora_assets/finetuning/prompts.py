"""Prompts as a person or a detector would give them: boxes that are a little off, clicks, clicks on what was wrong.

Kirillov et al., "Segment Anything", 2023, section 3 and appendix A: noise of the box's edges, a point anywhere inside,
corrections from the error region. Everything is a function of its random generator. Asking a model belongs to networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.masks import BoolMask
from lora_assets.vision.prompted import UNWANTED, WANTED

FloatArray = npt.NDArray[np.float32]

BOX, POINT, BOTH = "box", "point", "box and point"
_MOST_JITTER = 0.15
"""An edge is never off by more of the side: further out it would be a box of something else."""
_LEAST_SIDE = 2.0
_EDGE = 1e-6
"""Pixels by which a cell's edge may miss a pixel's: rounding, not a part of the next pixel."""


@dataclass(frozen=True, slots=True, eq=False)
class Prompts:
    """N prompts of one page, in its pixels: boxes (N,4) or None; points (N,P,2) with labels (N,P), P may be 0."""

    boxes: FloatArray | None
    points: FloatArray
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.points)

    def with_point(self, points: FloatArray, labels: npt.NDArray[np.int64]) -> Prompts:
        """The same prompts with one more point each: (N,2) and (N,)."""
        return Prompts(
            self.boxes,
            np.concatenate([self.points, points[:, None]], axis=1),
            np.concatenate([self.labels, labels[:, None]], axis=1),
        )


def mask_box(mask: BoolMask) -> FloatArray:
    """The box x1, y1, x2, y2 around a mask that is not empty; x2 and y2 are just outside."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def jittered_box(rng: np.random.Generator, box: FloatArray, size: tuple[int, int], jitter: float) -> FloatArray:
    """The box with each edge off by a normal share of its side, inside a page of `size` (width, height), at least two
    pixels wide and high where the page is."""
    sides = np.tile(box[2:] - box[:2], 2)
    moved = box + sides * np.clip(rng.normal(0, jitter, 4), -_MOST_JITTER, _MOST_JITTER) if jitter else box.copy()
    limit = np.array([*size, *size], np.float32)
    moved = np.clip(moved, 0, limit)
    short = moved[2:] - moved[:2] < _LEAST_SIDE
    return np.where(np.tile(short, 2), np.clip(box, 0, limit), moved).astype(np.float32)


def inner_point(rng: np.random.Generator, mask: BoolMask) -> FloatArray:
    """A pixel's middle (x, y) inside a mask that is not empty, not on its rim where it has an inside."""
    x1, y1, x2, y2 = mask_box(mask).astype(int)
    part = mask[y1:y2, x1:x2].astype(np.uint8)
    core = cv2.erode(part, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    rows, columns = np.nonzero(core if core.any() else part)
    index = int(rng.integers(len(rows)))
    return np.array([x1 + columns[index] + 0.5, y1 + rows[index] + 0.5], np.float32)


def first_prompts(
    rng: np.random.Generator, masks: list[BoolMask], size: tuple[int, int], kind: str, jitter: float
) -> Prompts:
    """A first prompt of `kind` for each mask of a page of `size` (width, height)."""
    boxes = np.stack([jittered_box(rng, mask_box(mask), size, jitter) for mask in masks]) if kind != POINT else None
    if kind == BOX:
        return Prompts(boxes, np.zeros((len(masks), 0, 2), np.float32), np.zeros((len(masks), 0), np.int64))
    points = np.stack([inner_point(rng, mask) for mask in masks])[:, None]
    return Prompts(boxes, points, np.full((len(masks), 1), WANTED, np.int64))


def corrections(
    rng: np.random.Generator,
    found: npt.NDArray[np.bool_],
    wanted: npt.NDArray[np.bool_],
    inside: npt.NDArray[np.bool_],
    windows: npt.NDArray[np.float64],
    masks: list[BoolMask],
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """A click on what is wrong of each answer: (N,2) in pixels of the page and (N,) labels.

    found, wanted and inside (where the page is) are (N,h,w) over `windows` (N,4); `masks` are the true masks of the
    page (H,W) each. The click lies in any cell of the error region, on a pixel of the thing where it is missed and
    beside it where the answer has too much; where nothing is wrong, in any cell of the wanted part, else inside the
    mask, else in the middle of the window.
    """
    points, labels = np.zeros((len(found), 2), np.float32), np.full(len(found), WANTED, np.int64)
    for index, (window, mask) in enumerate(zip(windows, masks, strict=True)):
        wrong = (found[index] ^ wanted[index]) & inside[index]
        among = wrong if wrong.any() else wanted[index] & inside[index]
        if not among.any():
            points[index] = inner_point(rng, mask) if mask.any() else _on_page((window[:2] + window[2:]) / 2, mask)
            continue
        rows, columns = np.nonzero(among)
        choice = int(rng.integers(len(rows)))
        row, column = int(rows[choice]), int(columns[choice])
        missed = bool(wanted[index, row, column])
        points[index] = _in_cell(
            rng, mask if missed else ~mask, window, (row, column), (found.shape[1], found.shape[2])
        )
        labels[index] = WANTED if missed else UNWANTED
    return points, labels


def _in_cell(
    rng: np.random.Generator,
    region: BoolMask,
    window: npt.NDArray[np.float64],
    cell: tuple[int, int],
    shape: tuple[int, int],
) -> FloatArray:
    """A point of the region inside a cell (row, column) of a plane of `shape` over the window; the cell's middle where
    the region has no pixel there."""
    step = (window[2:] - window[:2]) / np.array(shape[::-1])
    corner = window[:2] + np.array(cell[::-1]) * step
    limit = np.array(region.shape[::-1])
    x1, y1 = np.clip(np.floor(corner + _EDGE), 0, limit).astype(int)
    x2, y2 = np.clip(np.ceil(corner + step - _EDGE), 0, limit).astype(int)
    part = region[y1:y2, x1:x2]
    return (
        inner_point(rng, part) + np.array([x1, y1], np.float32) if part.any() else _on_page(corner + step / 2, region)
    )


def _on_page(point: npt.NDArray[np.float64], page: BoolMask) -> FloatArray:
    return np.clip(point, 0, np.array(page.shape[::-1]) - 1).astype(np.float32)
