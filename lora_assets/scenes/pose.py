"""Poses, views and expressions of one drawn frame, as plain data with random draws. Lasting looks are in design.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOUTHS = ("smile", "open", "flat", "small", "frown", "grin")


@dataclass(frozen=True, slots=True)
class Expression:
    """Face of a moment; `lids` is how open the eyes are (0 closed, 1 wide)."""

    mouth: str = "smile"
    lids: float = 1.0
    brow: float = 0.0
    blush: bool = False
    gaze: tuple[float, float] = (0.0, 0.0)
    wink: bool = False


@dataclass(frozen=True, slots=True)
class Pose:
    """Joint angles in degrees; arms and legs as (screen-right limb, screen-left limb), each (upper, lower).

    Angle 0 hangs down, positive swings to the outside of the body. `yaw` 0 is the front, 90 the side, 180 the back;
    `mirrored` flips the whole figure, `roll` turns it around the chin. `foreshortening` is how long thighs and shins
    look (1 their full length); `hands` are names of HANDS, screen right first.
    """

    yaw: float
    mirrored: bool
    arms: tuple[tuple[float, float], tuple[float, float]]
    legs: tuple[tuple[float, float], tuple[float, float]]
    lean: float = 0.0
    head_tilt: float = 0.0
    expression: Expression = Expression()
    foreshortening: tuple[float, float] = (1.0, 1.0)
    hands: tuple[str, str] = ("relaxed", "relaxed")
    roll: float = 0.0


ARM_PAIRS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "stand": ((9, 4), (9, 4)),
    "wave": ((135, 165), (10, 5)),
    "cheer": ((150, 170), (150, 170)),
    "hip": ((42, -38), (8, 4)),
    "both_hips": ((42, -38), (42, -38)),
    "walk": ((28, 40), (-26, -8)),
    "clasped": ((14, -42), (14, -42)),
    "chin": ((20, -150), (12, -48)),
    "point": ((88, 92), (10, 6)),
    "open": ((55, 70), (55, 70)),
    "folded": ((17, -100), (17, -92)),
    "behind_head": ((138, -118), (138, -118)),
    "hands_up": ((162, 176), (162, 176)),
    "point_up": ((128, 172), (9, 4)),
    "salute": ((84, -140), (10, 5)),
    "flex": ((88, 176), (88, 176)),
    "fists": ((30, -165), (38, -160)),
    "reach": ((70, 84), (14, 8)),
    "shrug": ((30, 96), (30, 96)),
    "shy": ((18, -150), (18, -150)),
}
# Hands that go with arms; all others are relaxed.
ARM_HANDS: dict[str, tuple[str, str]] = {
    "wave": ("open", "relaxed"),
    "cheer": ("fist", "fist"),
    "point": ("point", "relaxed"),
    "open": ("open", "open"),
    "hands_up": ("open", "open"),
    "point_up": ("point", "relaxed"),
    "flex": ("fist", "fist"),
    "fists": ("fist", "fist"),
    "reach": ("open", "relaxed"),
    "shrug": ("open", "open"),
}
LEG_PAIRS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "stand": ((4, 2), (4, 2)),
    "wide": ((14, 10), (14, 10)),
    "walk": ((24, 12), (-20, -38)),
    "run": ((52, 10), (-30, -75)),
    "sit": ((82, 2), (74, -4)),
    "crossed": ((-4, -4), (6, 4)),
    "hop": ((3, 2), (12, -62)),
    "inward": ((9, -8), (9, -8)),
    "sit_front": ((26, 3), (26, 3)),
    "kneel_front": ((30, -10), (30, -10)),
    "crouch_front": ((62, -22), (62, -22)),
    "lotus": ((72, -84), (72, -84)),
    "lunge": ((48, 6), (-18, -26)),
    "kneel": ((16, -86), (6, -92)),
    "one_knee": ((84, 0), (4, -88)),
    "crouch": ((104, -30), (88, -44)),
    "floor": ((84, 82), (78, 86)),
    "jump": ((40, -50), (58, -36)),
}
# How long thighs and shins look where legs reach towards the viewer or away.
LEG_FORESHORTENING: dict[str, tuple[float, float]] = {
    "sit_front": (0.42, 0.95),
    "kneel_front": (0.62, 0.22),
    "crouch_front": (0.62, 0.62),
    "lotus": (0.72, 0.62),
}
LEGS_FROM_FRONT = (
    "stand", "stand", "stand", "stand", "wide", "crossed", "hop", "inward", "sit_front", "kneel_front", "crouch_front",
    "lotus",
)  # fmt: skip
LEGS_FROM_SIDE = (
    "stand", "stand", "walk", "walk", "run", "sit", "lunge", "kneel", "one_knee", "crouch", "floor", "jump",
)  # fmt: skip
LYING_SHARE = 0.025


def draw_pose(rng: np.random.Generator) -> Pose:
    """A random pose: front and three-quarter views mostly, some side views, few backs."""
    yaw = float(
        rng.choice([rng.uniform(0, 14), rng.uniform(18, 58), rng.uniform(70, 95), rng.uniform(140, 180)],
                   p=[0.3, 0.42, 0.15, 0.13])
    )  # fmt: skip
    sideways = 60 < yaw < 120
    arm = "walk" if sideways and rng.random() < 0.5 else str(rng.choice(list(ARM_PAIRS)))
    leg = str(rng.choice(LEGS_FROM_SIDE if sideways else LEGS_FROM_FRONT))
    jitter = rng.normal(0, 5, size=8)
    arms, legs = ARM_PAIRS[arm], LEG_PAIRS[leg]
    lying = leg == "stand" and rng.random() < LYING_SHARE
    return Pose(
        yaw=yaw,
        mirrored=bool(rng.random() < 0.5),
        arms=(
            (arms[0][0] + jitter[0], arms[0][1] + jitter[1]),
            (arms[1][0] + jitter[2], arms[1][1] + jitter[3]),
        ),
        legs=(
            (legs[0][0] + jitter[4] * 0.5, legs[0][1] + jitter[5] * 0.5),
            (legs[1][0] + jitter[6] * 0.5, legs[1][1] + jitter[7] * 0.5),
        ),
        lean=float(rng.normal(0, 4)),
        head_tilt=float(np.clip(rng.normal(0, 7), -20, 20)),
        expression=draw_expression(rng),
        foreshortening=LEG_FORESHORTENING.get(leg, (1.0, 1.0)),
        hands=ARM_HANDS.get(arm, ("relaxed", "relaxed")),
        roll=float(rng.choice([-1, 1]) * rng.uniform(70, 95)) if lying else 0.0,
    )


def draw_expression(rng: np.random.Generator) -> Expression:
    """A random expression; closed eyes in about one frame of eight."""
    lids = 0.0 if rng.random() < 0.12 else float(np.clip(rng.normal(0.95, 0.15), 0.45, 1.1))
    return Expression(
        mouth=str(rng.choice(MOUTHS)),
        lids=lids,
        brow=float(rng.normal(0, 0.5)),
        blush=bool(rng.random() < 0.3),
        gaze=(float(rng.normal(0, 0.35)), float(rng.normal(0, 0.2))),
        wink=bool(rng.random() < 0.04),
    )
