"""Records of what a drawn frame really shows: boxes, masks and visible parts. Nothing that draws belongs here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class CharacterTruth:
    """One drawn character as it is visible in its frame.

    `box`, `head_box` and `face_box` are xyxy pixels clipped to the frame, x2/y2 exclusive. The head box bounds skull,
    hair around it and worn things on it, but not hair hanging below the chin, tails or buns. The face box reaches from
    the forehead to the chin between the cheeks (fringe over the forehead counts as inside).
    """

    identity: int
    box: Box
    head_box: Box | None
    face_box: Box | None
    mask: np.ndarray
    visible_parts: tuple[str, ...]
    cut_by_frame: bool


@dataclass(frozen=True, slots=True)
class SceneFrame:
    """A drawn RGB frame (uint8 HxWx3) with its characters from back to front and the seed that made it."""

    image: np.ndarray
    characters: tuple[CharacterTruth, ...]
    seed: int


def mask_bounds(mask: np.ndarray) -> Box | None:
    """Bounds of the True pixels of a bool HxW mask as xyxy with exclusive ends; None when there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    return (float(columns[0]), float(top), float(columns[-1] + 1), float(bottom))
