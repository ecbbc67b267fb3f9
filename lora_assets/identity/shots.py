"""Where the shots of a film begin: frames in their order, told apart by how their colours lie in the picture.

A frame becomes a small signature (`frame_signature`); `shot_numbers` compares signatures along the order of the paths.
Stills that belong to no film come out as shots of one frame. Which crops of a shot belong together is not here
(tracks).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.images import RgbImage

CODE_VERSION = "1"

FloatArray = npt.NDArray[np.floating]

BLACK_LEVEL = 14 / 255
"""A frame whose 95th percentile of luminance lies under it shows nothing: it belongs to the shot before it."""
CUT_DISTANCE = 0.21
"""Distance of two frames side by side from which on a cut lies between them."""
MOST_OVER_MOTION = 2.5
"""A cut must also be so many times as far as the steps around it: fast pans are even, cuts are not."""
DISSOLVE_DISTANCE = 0.3
"""Distance of the two ends of a dissolve."""
DISSOLVE_RESIDUE = 0.45
"""How far the middle of a dissolve may lie from the mean of its ends, over half their difference: 0 for a pure one."""
MOST_OF_A_STEP = 0.7
"""No single step of a dissolve is so much of the way from end to end: what jumps is a cut."""
DISSOLVE_REACHES = (2, 4, 6)
"""Half lengths of dissolves that are looked for, in frames."""

_ROWS, _COLUMNS = 3, 4
_BINS = 6
_SIDE = (96, 54)
_GREY = (24, 14)
_BLOCKS = _ROWS * _COLUMNS
_COLOURS = _BLOCKS * 3 * _BINS
SIGNATURE_SIZE = _COLOURS + _GREY[0] * _GREY[1] + 1


def frame_signature(image: RgbImage) -> FloatArray:
    """(SIGNATURE_SIZE,) float32 of a frame HxWx3: in 3 x 4 blocks the square roots of the shares of luminance and
    chroma (CIELAB, soft bins); the grey picture at 24 x 14, 0..1; the 95th percentile of luminance, 0..1.

    The blocks see the picture stretched to its own white, so that a fade changes little but the rest.
    """
    small = np.asarray(cv2.resize(image, _SIDE, interpolation=cv2.INTER_AREA), np.float32) / np.float32(255.0)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
    white = float(np.percentile(grey, 95))
    lab = np.asarray(cv2.cvtColor(np.clip(small / max(white, 0.06), 0.0, 1.0).astype(np.float32), cv2.COLOR_RGB2LAB))
    parts = (lab[..., 0] / 100.0, (lab[..., 1] + 64.0) / 128.0, (lab[..., 2] + 64.0) / 128.0)
    tiny = np.asarray(cv2.resize(grey, _GREY, interpolation=cv2.INTER_AREA))
    return np.concatenate(
        [*(_soft_shares(np.asarray(part, np.float32)).ravel() for part in parts), tiny.ravel(), [white]]
    ).astype(np.float32)


def _soft_shares(values: FloatArray) -> FloatArray:
    """(blocks, bins): square roots of the shares of values from 0 to 1, each value shared by its two nearest bins."""
    place = np.clip(values, 0.0, 1.0) * (_BINS - 1)
    low = np.minimum(place.astype(np.int64), _BINS - 2)
    share = place - low
    height, width = values.shape
    block = (np.arange(height) * _ROWS // height)[:, None] * _COLUMNS + (np.arange(width) * _COLUMNS // width)[None]
    counts = np.bincount((block * _BINS + low).ravel(), (1 - share).ravel(), _BLOCKS * _BINS)
    counts += np.bincount((block * _BINS + low + 1).ravel(), share.ravel(), _BLOCKS * _BINS)
    counts = counts.reshape(_BLOCKS, _BINS)
    return np.sqrt(counts / counts.sum(axis=1, keepdims=True))


def signature_distance(one: FloatArray, other: FloatArray) -> FloatArray:
    """Distance of signatures (..., SIGNATURE_SIZE), 0 to 1: the root of 1 - the mean Bhattacharyya coefficient of the
    blocks (Hellinger distance)."""
    same = (one[..., :_COLOURS] * other[..., :_COLOURS]).sum(axis=-1) / (3 * _BLOCKS)
    return np.sqrt(np.clip(1.0 - same, 0.0, 1.0))


def shot_numbers(signatures: FloatArray) -> npt.NDArray[np.int64]:
    """The shot of each frame, counted from 0, of (frames, SIGNATURE_SIZE) in the order of the film."""
    signatures = np.asarray(signatures, np.float32).reshape(-1, SIGNATURE_SIZE)
    lit = np.flatnonzero(signatures[:, -1] >= BLACK_LEVEL)
    starts = np.zeros(len(signatures), np.int64)
    if len(lit) > 1:
        shown = signatures[lit]
        begins = _cuts(shown)
        for first, last in _dissolves(shown):
            begins[first + 1 : last + 1] = False
            begins[first + 1] = True
        starts[lit[begins]] = 1
    return np.cumsum(starts)


def mixed_frames(signatures: FloatArray) -> npt.NDArray[np.bool_]:
    """(frames,) True for a frame inside a dissolve: it shows two shots at once."""
    signatures = np.asarray(signatures, np.float32).reshape(-1, SIGNATURE_SIZE)
    found = np.zeros(len(signatures), np.bool_)
    lit = np.flatnonzero(signatures[:, -1] >= BLACK_LEVEL)
    if len(lit) > 1:
        for first, last in _dissolves(signatures[lit]):
            found[lit[first + 1 : last]] = True
    return found


def _cuts(shown: FloatArray) -> npt.NDArray[np.bool_]:
    """True for a frame before which a cut lies."""
    steps = np.concatenate([[0.0], signature_distance(shown[1:], shown[:-1])])
    around = np.zeros_like(steps)
    for place in range(1, len(steps)):
        near = np.concatenate([steps[max(1, place - 4) : place], steps[place + 1 : place + 5]])
        around[place] = np.median(near) if len(near) else 0.0
    # Stills follow each other like cuts without end: there the steps around say nothing.
    motion = np.where(around < CUT_DISTANCE, around, 0.0)
    return (steps >= CUT_DISTANCE) & (steps >= MOST_OVER_MOTION * motion)


def _dissolves(shown: FloatArray) -> list[tuple[int, int]]:
    """The last frame before and the first after each dissolve: a run whose middle frame is the mean of the two ends."""
    grey = shown[:, _COLOURS:-1]
    steps = signature_distance(shown[1:], shown[:-1])
    candidates: list[tuple[float, int, int]] = []
    for reach in DISSOLVE_REACHES:
        for middle in range(reach, len(shown) - reach):
            first, last = middle - reach, middle + reach
            ends = float(signature_distance(shown[first], shown[last]))
            if ends < DISSOLVE_DISTANCE or steps[first:last].max() > MOST_OF_A_STEP * ends:
                continue
            half = float(np.linalg.norm(grey[last] - grey[first])) / 2
            residue = float(np.linalg.norm(grey[middle] - (grey[first] + grey[last]) / 2)) / max(half, 1e-6)
            if residue <= DISSOLVE_RESIDUE:
                candidates.append((residue, first, last))
    taken = np.zeros(len(shown), np.bool_)
    found: list[tuple[int, int]] = []
    for _, first, last in sorted(candidates):
        if not taken[first : last + 1].any():
            taken[first : last + 1] = True
            way = steps[first:last]
            moving = np.flatnonzero(way >= way.max() / 3)
            found.append((first + int(moving[0]), first + int(moving[-1]) + 1))
    return found
