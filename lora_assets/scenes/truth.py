"""Records of what a drawn frame really shows: boxes, masks and visible parts. Nothing that draws belongs here."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class CharacterTruth:
    """One drawn character as it is visible in its frame.

    `box`, `head_box` and `face_box` are xyxy pixels clipped to the frame, x2/y2 exclusive. The head box bounds skull,
    hair around it and worn things on it, but not hair hanging below the chin, tails or buns. The face box reaches from
    the forehead to the chin between the cheeks (fringe over the forehead counts as inside). `key_points` is float32
    17x3 in COCO order (nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles; left before
    right, as the character has them): x, y in frame pixels and COCO's visibility: 2 seen, 1 hidden, 0 outside the frame
    (then x = y = 0).
    """

    identity: int
    box: Box
    head_box: Box | None
    face_box: Box | None
    mask: np.ndarray
    visible_parts: tuple[str, ...]
    cut_by_frame: bool
    key_points: np.ndarray = field(default_factory=lambda: np.zeros((17, 3), np.float32))


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing done to a finished picture: a key of `effects.EFFECTS` or of `stage.py`, and how much of it.

    `strength` runs from 0 (nothing) to 1 (the strongest that is drawn). For `fade_to_black` and `fade_to_white` it is
    the share of the picture that is gone: at 1 the frame is black (white), at 0.95 nobody can be told in it. For text
    and for bars it is the share of the frame that they cover.
    """

    name: str
    strength: float


@dataclass(frozen=True, slots=True)
class ThingTruth:
    """A visible thing or animal that is no character: its key in `props.PROPS`, its box (xyxy pixels, as above) and its
    visible pixels (bool HxW)."""

    name: str
    box: Box
    mask: np.ndarray


@dataclass(frozen=True, slots=True)
class SceneFrame:
    """A drawn RGB frame (uint8 HxWx3) with its characters from back to front and the seed that made it.

    `effects` lists what was done to the picture, in order; `lettering` the boxes of text over it (xyxy pixels, clipped
    to the frame); `things` what stands about that is no character; `style` the name of the drawing style.
    """

    image: np.ndarray
    characters: tuple[CharacterTruth, ...]
    seed: int
    effects: tuple[Effect, ...] = ()
    lettering: tuple[Box, ...] = ()
    things: tuple[ThingTruth, ...] = ()
    style: str = ""

    def strength(self, effect: str) -> float:
        """The strongest use of the named effect in this frame, 0 where it is absent."""
        return max((each.strength for each in self.effects if each.name == effect), default=0.0)


def mask_bounds(mask: np.ndarray) -> Box | None:
    """Bounds of the True pixels of a bool HxW mask as xyxy with exclusive ends; None when there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    return (float(columns[0]), float(top), float(columns[-1] + 1), float(bottom))
