"""Skeleton of a posed character and the bare shapes of torso and limbs. Clothes on them are in wardrobe.py.

Body space: chin at (0, 0), one head height = 1, y down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import skia

from lora_assets.scenes.design import Design
from lora_assets.scenes.ink import Point, smooth
from lora_assets.scenes.pose import Pose


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Joints in body space; index 0 is the limb on screen right (far limb in turned views), 1 on screen left."""

    yaw: float
    shoulders: tuple[Point, Point]
    elbows: tuple[Point, Point]
    hands: tuple[Point, Point]
    waist: Point
    hips: tuple[Point, Point]
    knees: tuple[Point, Point]
    feet: tuple[Point, Point]
    shoulder_half: float
    hip_half: float
    limb: float
    ground: float
    belly: float = 0.0
    hand_kinds: tuple[str, str] = ("relaxed", "relaxed")

    @property
    def hip_y(self) -> float:
        """Height of the hip joints."""
        return self.hips[0][1]

    @property
    def hip_x(self) -> float:
        """Middle between the hip joints."""
        return (self.hips[0][0] + self.hips[1][0]) / 2


def skeleton_of(design: Design, pose: Pose) -> Skeleton:
    """Joint positions of a posed design."""
    body = design.heads - 1.0
    flat = max(abs(math.cos(math.radians(pose.yaw))), 0.42)
    sideways = 60 < pose.yaw < 120
    shoulder_half = (0.2 + 0.058 * body) * design.build * flat
    hip_half = (0.17 + 0.042 * body) * min(design.build, 1.15) * max(flat, 0.62)
    shoulder_y, hip_y = 0.035 + 0.04 * body, 0.06 + 0.4 * body
    hips_x = -math.tan(math.radians(pose.lean)) * hip_y
    arm, leg = 0.18 * body + 0.06, (body - hip_y) * 0.5

    def reach(start: Point, angles: tuple[float, float], lengths: Point, side: int) -> tuple[Point, Point]:
        a, b = (math.radians(angle) * (1 if sideways else side) for angle in angles)
        upper, lower = lengths
        middle = (start[0] + math.sin(a) * upper, start[1] + math.cos(a) * upper)
        return middle, (middle[0] + math.sin(b) * lower, middle[1] + math.cos(b) * lower)

    spread = 0.04 if sideways else hip_half * 0.5
    shoulders = ((0.07, shoulder_y), (-0.03, shoulder_y)) if sideways else (
        (shoulder_half, shoulder_y), (-shoulder_half, shoulder_y))  # fmt: skip
    hips = ((hips_x + spread, hip_y), (hips_x - spread, hip_y))
    arms = [reach(shoulders[i], pose.arms[i], (arm, arm), 1 - 2 * i) for i in (0, 1)]
    shares = (leg * pose.foreshortening[0], leg * pose.foreshortening[1])
    legs = [reach(hips[i], pose.legs[i], shares, 1 - 2 * i) for i in (0, 1)]
    bulge = 0.5 * hip_half * design.belly * math.sin(math.radians(pose.yaw))
    return Skeleton(
        yaw=pose.yaw, shoulders=shoulders, elbows=(arms[0][0], arms[1][0]), hands=(arms[0][1], arms[1][1]),
        waist=(hips_x * 0.6 + bulge, hip_y * 0.66), hips=hips, knees=(legs[0][0], legs[1][0]),
        feet=(legs[0][1], legs[1][1]), shoulder_half=shoulder_half, hip_half=hip_half,
        limb=(0.06 + 0.0125 * body) * min(design.build, 1.15) * design.limb_scale, ground=body, belly=design.belly,
        hand_kinds=pose.hands,
    )  # fmt: skip


def limb_path(joints: Sequence[Point], radii: Sequence[float]) -> skia.Path:
    """A tapered limb through the joints: one tapered capsule per segment, all wound the same way."""
    path = skia.Path()
    for i in range(len(joints) - 1):
        _add_capsule(path, joints[i], joints[i + 1], radii[i], radii[i + 1])
    return path


def _add_capsule(path: skia.Path, start: Point, end: Point, a: float, b: float) -> None:
    """The hull of two discs as one closed contour."""
    (x0, y0), (x1, y1) = start, end
    length = math.hypot(x1 - x0, y1 - y0)
    if length <= abs(a - b) + 1e-6:
        x, y, radius = (x0, y0, a) if a >= b else (x1, y1, b)
        path.addCircle(x, y, radius)
        return
    turn = math.degrees(math.atan2(y1 - y0, x1 - x0))
    open_angle = math.degrees(math.acos((a - b) / length))
    path.arcTo(skia.Rect.MakeLTRB(x0 - a, y0 - a, x0 + a, y0 + a), turn + open_angle, 360 - 2 * open_angle, True)
    path.arcTo(skia.Rect.MakeLTRB(x1 - b, y1 - b, x1 + b, y1 + b), turn - open_angle, 2 * open_angle, False)
    path.close()


def between(start: Point, end: Point, share: float) -> Point:
    """The point `share` of the way from start to end."""
    return (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)


def arm_path(bones: Skeleton, i: int) -> skia.Path:
    """A bare arm with its hand: a mitten with a thumb, a fist, a flat hand with spread fingers, or a pointing one."""
    limb = bones.limb
    elbow, wrist = bones.elbows[i], bones.hands[i]
    tip = between(elbow, wrist, 1.0 + 0.9 * limb / max(math.dist(elbow, wrist), 1e-6))
    path = limb_path([bones.shoulders[i], elbow, wrist, tip], [limb, limb * 0.82, limb * 0.66, limb * 0.62])
    kind = bones.hand_kinds[i]
    path.addCircle(tip[0], tip[1], limb * {"open": 0.74, "fist": 0.94}.get(kind, 0.84))
    turn = math.atan2(wrist[1] - elbow[1], wrist[0] - elbow[0])
    side = -1 if i == 0 else 1
    _add_finger(path, wrist, turn + side * 0.75, limb, 1.25, 0.45)
    for spread, length in FINGERS.get(kind, ()):
        _add_finger(path, tip, turn + side * spread, limb, length, 0.27)
    return path


# Spread (radians, away from the thumb negative) and length (limb radii) of the fingers that stand out.
FINGERS: dict[str, tuple[tuple[float, float], ...]] = {
    "open": ((0.42, 1.75), (0.12, 1.95), (-0.16, 1.85), (-0.46, 1.55)),
    "point": ((0.1, 2.1),),
}


def _add_finger(path: skia.Path, start: Point, turn: float, limb: float, length: float, radius: float) -> None:
    end = (start[0] + math.cos(turn) * limb * length, start[1] + math.sin(turn) * limb * length)
    _add_capsule(path, start, end, limb * radius, limb * radius * 0.8)


def finger_lines(bones: Skeleton, i: int) -> skia.Path | None:
    """The lines between closed fingers; None for a hand whose fingers are spread."""
    if bones.hand_kinds[i] == "open":
        return None
    limb, elbow, wrist = bones.limb, bones.elbows[i], bones.hands[i]
    turn = math.atan2(wrist[1] - elbow[1], wrist[0] - elbow[0])
    along, across = (math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))
    path = skia.Path()
    for shift in (-0.3, 0.02, 0.34):
        x, y = (wrist[k] + limb * (across[k] * shift) for k in (0, 1))
        path.moveTo(x + along[0] * limb * 1.15, y + along[1] * limb * 1.15)
        path.lineTo(x + along[0] * limb * 1.55, y + along[1] * limb * 1.55)
    return path


def leg_path(bones: Skeleton, i: int) -> skia.Path:
    """A bare leg with a slight calf, without the foot."""
    limb, hip, knee, foot = bones.limb, bones.hips[i], bones.knees[i], bones.feet[i]
    joints = [hip, between(hip, knee, 0.4), knee, between(knee, foot, 0.3), foot]
    return limb_path(joints, [limb * 1.7, limb * 1.62, limb * 1.14, limb * 1.16, limb * 0.76])


def torso_outline(bones: Skeleton) -> list[Point]:
    """The outline of the trunk from the neck down to the hips."""
    limb, waist_half = bones.limb, bones.hip_half * 0.84 * (1 + 0.55 * bones.belly)
    left, right = bones.shoulders[1], bones.shoulders[0]
    middle, hem = (left[0] + right[0]) / 2, bones.hip_y + 0.5 * limb
    half = bones.shoulder_half
    return [
        (middle, right[1] - limb * 0.9), (middle + half * 0.5, right[1] - limb * 0.95),
        (middle + half + limb * 0.45, right[1] - limb * 0.1), (middle + half + limb * 0.1, right[1] + limb * 2.4),
        (bones.waist[0] + waist_half, bones.waist[1]), (bones.hip_x + bones.hip_half + limb * 0.25, hem),
        (bones.hip_x, hem + limb * 0.8),
        (bones.hip_x - bones.hip_half - limb * 0.25, hem), (bones.waist[0] - waist_half, bones.waist[1]),
        (middle - half - limb * 0.1, right[1] + limb * 2.4), (middle - half - limb * 0.45, right[1] - limb * 0.1),
        (middle - half * 0.5, right[1] - limb * 0.95),
    ]  # fmt: skip


def torso_path(bones: Skeleton) -> skia.Path:
    """The trunk as a closed curve."""
    return smooth(torso_outline(bones))


def on_torso(bones: Skeleton, u: float, v: float) -> Point:
    """A point of the trunk's front: u -1..1 across the front (0 breastbone), v 0 at the shoulders, 1 at the hips."""
    turned = math.asin(max(-1.0, min(1.0, u))) * 0.9 + math.radians(bones.yaw)
    top = bones.shoulders[0][1] - bones.limb * 0.6
    y = top + (bones.hip_y - top) * v
    middle = (bones.shoulders[0][0] + bones.shoulders[1][0]) / 2
    if v < 0.62:
        share = v / 0.62
        waist = bones.hip_half * 0.84 * (1 + 0.55 * bones.belly)
        half = bones.shoulder_half + (waist - bones.shoulder_half) * share
        x = middle + (bones.waist[0] - middle) * share
    else:
        share = min((v - 0.62) / 0.38, 1.6)
        half = bones.hip_half * (0.84 * (1 + 0.55 * bones.belly * max(0.0, 1 - share)) + 0.2 * share)
        x = bones.waist[0] + (bones.hip_x - bones.waist[0]) * share
    return (x + half * math.sin(turned), y)


def sole_depth(bones: Skeleton) -> float:
    """How far the lowest foot or knee of a pose lies below the chin (head heights); `heads - 1` when standing."""
    return max(y for _, y in (*bones.feet, *bones.knees)) + bones.limb
