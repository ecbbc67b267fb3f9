"""Clothes on a skeleton: tops with collars and sleeves, skirts, trousers, socks, shoes, scarves.

The bare body is in body.py; things worn on the head are in accessories.py.
"""

from __future__ import annotations

import math

import skia

from lora_assets.scenes.body import Skeleton, arm_path, between, leg_path, limb_path, on_torso, torso_path
from lora_assets.scenes.design import Design
from lora_assets.scenes.ink import ARMS, LEGS, TORSO, Point, Rgb, Shape, smooth, toned

WHITE: Rgb = (246, 246, 248)
STEEL: Rgb = (176, 186, 200)


def torso_shapes(design: Design, bones: Skeleton) -> list[Shape]:
    """Neck and clothed trunk with the details of the outfit."""
    limb = bones.limb
    middle = (bones.shoulders[0][0] + bones.shoulders[1][0]) / 2
    neck = limb_path([(0.0, -0.14), (middle * 0.5, bones.shoulders[0][1] + limb * 0.2)], [limb * 1.1, limb * 1.25])
    trunk = torso_path(bones)
    shade = limb_path([(0.02, -0.14), (0.02, 0.02)], [limb * 1.3, limb * 1.3])
    shapes = [
        Shape(neck, design.skin, TORSO),
        Shape(shade, toned(design.skin, 0.8), line=0, shaded=False, clip=neck),
        Shape(trunk, design.cloth, TORSO),
    ]
    return shapes + _neckline(design, bones, trunk) + _front(design, bones, trunk)


def shoulder_patch(design: Design, bones: Skeleton, i: int) -> list[Shape]:
    """The trunk painted once more around a shoulder, so that no outline parts sleeve and trunk there."""
    if design.outfit == "armour" or 60 < bones.yaw < 120:
        return []
    spot = skia.Path()
    x, y = bones.shoulders[i]
    inward = -1 if i == 0 else 1
    spot.addCircle(x + inward * bones.limb * 0.2, y + bones.limb * 0.2, bones.limb * 0.95)
    return [Shape(torso_path(bones), design.cloth, line=0, clip=spot)]


def _poly(bones: Skeleton, *points: Point) -> skia.Path:
    path = skia.Path()
    path.addPoly([skia.Point(*on_torso(bones, u, v)) for u, v in points], True)
    return path


def _curve(bones: Skeleton, *points: Point) -> skia.Path:
    return smooth([on_torso(bones, u, v) for u, v in points])


def _line(bones: Skeleton, *points: Point) -> skia.Path:
    return smooth([on_torso(bones, u, v) for u, v in points], closed=False)


def _neckline(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    """Bare skin or shirt in the opening at the throat."""
    if bones.yaw > 100:
        return []
    deep = {"uniform": 0.2, "dress": 0.14, "coat": 0.3, "shirt": 0.1, "hoodie": 0.08, "armour": 0.08}[design.outfit]
    tone = design.skin if design.outfit in ("dress", "shirt") or design.legwear == "skirt" else WHITE
    opening = _poly(bones, (-0.34, -0.1), (0.34, -0.1), (0.0, deep))
    return [Shape(opening, tone, line=0.6, clip=trunk)]


def _front(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    if bones.yaw > 100:
        return _back(design, bones, trunk)
    draw = {"uniform": _uniform, "dress": _dress, "hoodie": _hoodie, "coat": _coat, "armour": _armour, "shirt": _shirt}
    return draw[design.outfit](design, bones, trunk)


def _back(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    if design.outfit == "uniform" and bones.yaw > 140:
        flap = _poly(bones, (-0.75, -0.05), (0.75, -0.05), (0.7, 0.26), (-0.7, 0.26))
        return [Shape(flap, design.cloth_two, line=0.8, clip=trunk)]
    if design.outfit in ("dress", "armour"):
        return [_belt(design, bones, trunk)]
    return []


def _belt(design: Design, bones: Skeleton, trunk: skia.Path) -> Shape:
    y, half = bones.waist[1], bones.hip_half
    band = skia.Path()
    band.addRect(skia.Rect.MakeLTRB(bones.waist[0] - half * 1.3, y - bones.limb * 0.4, bones.waist[0] + half * 1.3,
                                    y + bones.limb * 0.4))  # fmt: skip
    return Shape(band, design.accent, line=0.7, clip=trunk)


def _bow(bones: Skeleton, u: float, v: float, size: float, tone: Rgb) -> list[Shape]:
    x, y = on_torso(bones, u, v)
    wide = size * max(0.45, math.cos(math.radians(bones.yaw)))
    shapes = []
    for side in (-1, 1):
        tail = smooth([(x, y), (x + side * wide * 0.55, y + size * 1.2), (x + side * wide * 0.15, y + size * 1.05)],
                      tension=0.08)  # fmt: skip
        loop = smooth([(x, y), (x + side * wide, y - size * 0.5), (x + side * wide * 1.05, y + size * 0.5)],
                      tension=0.12)  # fmt: skip
        shapes += [Shape(tail, toned(tone, 0.9), line=0.7), Shape(loop, tone, line=0.8)]
    knot = skia.Path()
    knot.addCircle(x, y, size * 0.26)
    return [*shapes, Shape(knot, tone, line=0.7)]


def _uniform(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    limb = bones.limb
    if design.legwear == "trousers":
        shapes = [
            Shape(_poly(bones, (-0.5, -0.1), (-0.3, -0.1), (0.0, 0.34), (-0.32, 0.26)), toned(design.cloth, 0.85),
                  line=0.7, clip=trunk),
            Shape(_poly(bones, (0.5, -0.1), (0.3, -0.1), (0.0, 0.34), (0.32, 0.26)), toned(design.cloth, 0.85),
                  line=0.7, clip=trunk),
            Shape(_poly(bones, (-0.05, -0.01), (0.05, -0.01), (0.09, 0.24), (0.0, 0.32), (-0.09, 0.24)), design.accent,
                  line=0.6, clip=trunk),
            Shape(_line(bones, (0.0, 0.34), (0.02, 0.7), (0.0, 1.1)), None, line=0.7,
                  line_rgb=toned(design.cloth, 0.5), clip=trunk),
        ]  # fmt: skip
        return shapes + [_button(bones, 0.1, v, limb * 0.16, (230, 200, 110)) for v in (0.5, 0.66)]
    shapes = []
    for side in (-1, 1):
        flap = _poly(bones, (side * 0.3, -0.12), (side * 0.78, -0.1), (side * 0.72, 0.16), (side * 0.05, 0.27))
        inner = _line(bones, (side * 0.68, 0.11), (side * 0.06, 0.22))
        shapes.append(Shape(flap, design.cloth_two, line=0.8, clip=trunk))
        shapes.append(Shape(inner, None, line=0.7, line_rgb=WHITE, clip=trunk))
    return shapes + _bow(bones, 0.0, 0.26, limb * 1.2, design.accent)


def _button(bones: Skeleton, u: float, v: float, radius: float, tone: Rgb) -> Shape:
    path = skia.Path()
    path.addCircle(*on_torso(bones, u, v), radius)
    return Shape(path, tone, line=0.5, shaded=False)


def _dress(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    shapes = [_belt(design, bones, trunk)]
    for side in (-1, 1):
        flap = _poly(bones, (side * 0.3, -0.12), (side * 0.6, -0.08), (side * 0.42, 0.14), (side * 0.03, 0.12))
        shapes.append(Shape(flap, WHITE, line=0.7, clip=trunk))
    return shapes + [_button(bones, 0.0, v, bones.limb * 0.14, design.accent) for v in (0.26, 0.38, 0.5)]


def _hoodie(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    limb = bones.limb
    pocket = _poly(bones, (-0.5, 0.62), (0.5, 0.62), (0.72, 0.92), (-0.72, 0.92))
    roll = _curve(bones, (-0.5, -0.03), (-0.26, 0.11), (0.0, 0.15), (0.26, 0.11), (0.5, -0.03), (0.24, 0.03),
                  (0.0, 0.06), (-0.24, 0.03))  # fmt: skip
    shapes = [Shape(pocket, toned(design.cloth, 0.9), line=0.7, clip=trunk), Shape(roll, design.cloth, line=0.8)]
    cords = [_line(bones, (u, 0.12), (u * 1.2, 0.34)) for u in (-0.12, 0.12)]
    shapes += [Shape(cord, None, line=1.0, line_rgb=WHITE) for cord in cords]
    hem = skia.Path()
    hem.addRect(skia.Rect.MakeLTRB(bones.hip_x - 2, bones.hip_y, bones.hip_x + 2, bones.hip_y + limb * 2))
    return [*shapes, Shape(hem, toned(design.cloth, 0.82), line=0.6, clip=trunk)]


def _coat(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    shapes = []
    for side in (-1, 1):
        lapel = _poly(bones, (side * 0.3, -0.12), (side * 0.62, -0.1), (side * 0.55, 0.2), (0.0, 0.38))
        shapes.append(Shape(lapel, toned(design.cloth, 0.86), line=0.8, clip=trunk))
    shapes.append(Shape(_line(bones, (0.02, 0.36), (0.04, 0.7), (0.02, 1.2)), None, line=0.8,
                        line_rgb=toned(design.cloth, 0.45), clip=trunk))  # fmt: skip
    tone: Rgb = (226, 196, 120)
    return shapes + [_button(bones, u, v, bones.limb * 0.17, tone) for u in (-0.2, 0.22) for v in (0.46, 0.62, 0.8)]


def _armour(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    plate = _curve(bones, (-0.8, -0.02), (0.0, 0.1), (0.8, -0.02), (0.92, 0.34), (0.6, 0.6), (0.0, 0.68), (-0.6, 0.6),
                   (-0.92, 0.34))  # fmt: skip
    ridge = _line(bones, (0.0, 0.12), (0.02, 0.4), (0.0, 0.66))
    return [
        Shape(plate, STEEL, line=0.9, clip=trunk),
        Shape(ridge, None, line=0.7, line_rgb=toned(STEEL, 0.6), clip=trunk),
        _belt(design, bones, trunk),
        _button(bones, 0.0, 0.66, bones.limb * 0.36, (226, 196, 110)),
    ]


def _shirt(design: Design, bones: Skeleton, trunk: skia.Path) -> list[Shape]:
    if design.fringe_seed % 2:
        bands = [_line(bones, (-1.0, v), (0.0, v + 0.03), (1.0, v)) for v in (0.34, 0.5)]
        return [Shape(band, None, line=3.0, line_rgb=design.accent, clip=trunk) for band in bands]
    shapes = []
    for side in (-1, 1):
        flap = _poly(bones, (side * 0.26, -0.12), (side * 0.5, -0.1), (side * 0.4, 0.1), (side * 0.02, 0.06))
        shapes.append(Shape(flap, toned(design.cloth, 1.3), line=0.7, clip=trunk))
    seam = _line(bones, (0.0, 0.08), (0.02, 0.6), (0.0, 1.2))
    return [*shapes, Shape(seam, None, line=0.6, line_rgb=toned(design.cloth, 0.55), clip=trunk)]


def arm_shapes(design: Design, bones: Skeleton, i: int) -> list[Shape]:
    """A bare arm with its sleeve and cuff."""
    limb, shoulder, elbow, wrist = bones.limb, bones.shoulders[i], bones.elbows[i], bones.hands[i]
    shapes = [Shape(arm_path(bones, i), design.skin, ARMS)]
    if design.outfit == "shirt" or (design.outfit == "dress" and design.fringe_seed % 3):
        puff = 1.55 if design.outfit == "dress" else 1.25
        sleeve = limb_path([shoulder, between(shoulder, elbow, 0.62)], [limb * 1.2, limb * puff])
        return [*shapes, Shape(sleeve, design.cloth, ARMS)]
    loose = {"hoodie": 1.38, "coat": 1.34}.get(design.outfit, 1.15)
    end = between(elbow, wrist, 0.9)
    tone = toned(design.cloth_two, 0.9) if design.outfit == "armour" else design.cloth
    sleeve = limb_path([shoulder, elbow, end], [limb * 1.2, limb * loose * 0.95, limb * loose * 0.92])
    cuff = limb_path([between(elbow, wrist, 0.78), end], [limb * loose, limb * loose])
    cuff_tone = STEEL if design.outfit == "armour" else toned(design.cloth, 0.82)
    shapes += [Shape(sleeve, tone, ARMS), Shape(cuff, cuff_tone, line=0.7)]
    if design.outfit == "armour":
        cap = limb_path([shoulder, between(shoulder, elbow, 0.25)], [limb * 1.6, limb * 1.45])
        shapes.append(Shape(cap, STEEL, ARMS))
    return shapes


def leg_shapes(design: Design, bones: Skeleton, i: int) -> list[Shape]:
    """A leg with trousers or shorts, sock and shoe."""
    limb, hip, knee, foot = bones.limb, bones.hips[i], bones.knees[i], bones.feet[i]
    shapes = [Shape(leg_path(bones, i), design.skin, LEGS)]
    skirted = wears_skirt(design)
    if not skirted and design.legwear == "trousers":
        cloth = limb_path([hip, between(hip, knee, 0.45), knee, between(knee, foot, 0.94)],
                          [limb * 1.85, limb * 1.75, limb * 1.42, limb * 1.28])  # fmt: skip
        shapes.append(Shape(cloth, design.cloth_two, LEGS))
    else:
        shapes += _sock(design, bones, i)
    if not skirted and design.legwear == "shorts":
        shorts = limb_path([hip, between(hip, knee, 0.62)], [limb * 1.9, limb * 1.85])
        shapes.append(Shape(shorts, design.cloth_two, LEGS))
    return shapes + _shoe(design, bones, i)


def _sock(design: Design, bones: Skeleton, i: int) -> list[Shape]:
    limb, hip, knee, foot = bones.limb, bones.hips[i], bones.knees[i], bones.feet[i]
    tone: Rgb = ((250, 250, 252), (44, 42, 54), design.accent)[design.fringe_seed % 3]
    kind = design.fringe_seed % 4
    if kind == 0:
        return []
    if kind == 3:
        joints = [between(hip, knee, 0.72), knee, between(knee, foot, 0.3), foot]
        radii = [limb * 1.42, limb * 1.17, limb * 1.19, limb * 0.8]
    else:
        start = 0.15 if kind == 1 else 0.7
        joints = [between(knee, foot, start), between(knee, foot, max(0.35, start)), foot]
        radii = [limb * 1.2, limb * 1.16, limb * 0.82]
    return [Shape(limb_path(joints, radii), tone, line=0.9, part=LEGS)]


def _shoe(design: Design, bones: Skeleton, i: int) -> list[Shape]:
    limb, (x, y) = bones.limb, bones.feet[i]
    ahead = math.sin(math.radians(bones.yaw)) * limb * 1.3
    outward = (1 if i == 0 else -1) * limb * 0.35 * abs(math.cos(math.radians(bones.yaw)))
    toe = x + ahead + outward
    low = y + limb * 1.0
    shoe = smooth([(x - limb * 0.95, y - limb * 0.7), (x + limb * 0.95, y - limb * 0.7),
                   (max(toe, x) + limb * 1.15, low - limb * 0.5), (max(toe, x) + limb * 0.8, low),
                   (min(toe, x) - limb * 0.9, low), (min(toe, x) - limb * 1.1, low - limb * 0.5)],
                  tension=0.13)  # fmt: skip
    shapes = []
    if design.outfit in ("armour", "coat"):
        knee = bones.knees[i]
        boot = limb_path([between(knee, (x, y), 0.45), (x, y)], [limb * 1.42, limb * 1.08])
        shapes.append(Shape(boot, design.boots, LEGS))
    return [*shapes, Shape(shoe, design.boots, LEGS)]


def wears_skirt(design: Design) -> bool:
    """Whether a skirt or the skirt of a dress covers the thighs."""
    return design.outfit == "dress" or design.legwear == "skirt"


def skirt_shapes(design: Design, bones: Skeleton) -> list[Shape]:
    """The skirt, or the tails of a coat, hung over the thighs in any pose; nothing for other clothes."""
    if wears_skirt(design):
        share = 1.0 if design.outfit == "dress" else 0.5 + 0.08 * (design.fringe_seed % 5)
        tone = design.cloth if design.outfit == "dress" else design.cloth_two
    elif design.outfit == "coat":
        share, tone = 0.85, design.cloth
    else:
        return []
    limb = bones.limb
    if 60 < bones.yaw < 120 and bones.knees[0][1] - bones.hip_y < 0.5 * (bones.knees[0][0] - bones.hip_x):
        ends = [bones.waist, bones.hips[0], between(bones.hips[0], bones.knees[0], min(share, 0.85))]
        return [Shape(limb_path(ends, [bones.hip_half * 0.8, limb * 2.4, limb * 2.2]), tone, LEGS)]
    waist_half = bones.hip_half * 0.86
    hem = [_hem_point(bones, i, share, limb * (2.0 + 1.1 * share)) for i in (0, 1)]
    right, left = (hem[0], hem[1]) if hem[0][0] > hem[1][0] else (hem[1], hem[0])
    dip = max(right[1], left[1])
    middle = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2 + limb * 0.35)
    top = bones.waist[1] + (0.0 if design.outfit != "coat" else limb)
    points = [(bones.waist[0] - waist_half, top), (bones.waist[0] + waist_half, top),
              (bones.hip_x + bones.hip_half * 1.22, bones.hip_y + limb * 0.2), right,
              between(right, middle, 0.5), middle, between(left, middle, 0.5), left,
              (bones.hip_x - bones.hip_half * 1.22, bones.hip_y + limb * 0.2)]  # fmt: skip
    path = smooth(points, tension=0.1)
    shapes = [Shape(path, tone, LEGS)]
    waist = (bones.waist[0], top)
    pleats = skia.Path()
    for share_x in (0.2, 0.4, 0.6, 0.8):
        foot = between(left, right, share_x)
        pleats.moveTo(*between((waist[0] + (share_x - 0.5) * waist_half * 1.6, waist[1]), foot, 0.3))
        pleats.lineTo(foot[0], max(foot[1], dip) + limb)
    shapes.append(Shape(pleats, None, line=0.55, line_rgb=toned(tone, 0.66), clip=path))
    if design.outfit == "dress" or design.fringe_seed % 2:
        edge = smooth([left, middle, right], closed=False)
        shapes.append(Shape(edge, None, line=2.6, line_rgb=design.accent, clip=path))
    return shapes


def _hem_point(bones: Skeleton, i: int, share: float, outward: float) -> Point:
    x, y = between(bones.hips[i], bones.knees[i], share)
    side = 1 if i == 0 else -1
    sideways = 60 < bones.yaw < 120
    if sideways:
        side = 1 if bones.knees[i][0] >= bones.knees[1 - i][0] else -1
    return (x + side * outward * (0.75 if sideways else 1.0), y)


def scarf_shapes(design: Design, bones: Skeleton) -> list[Shape]:
    """A scarf round the neck with one end hanging; nothing for a design without one."""
    if not design.scarf:
        return []
    limb, y = bones.limb, bones.shoulders[0][1]
    roll = limb_path([(-limb * 1.5, y - limb * 1.1), (0.0, y - limb * 0.5), (limb * 1.5, y - limb * 1.1)], [limb] * 3)
    side = -1 if bones.yaw < 90 else 1
    tail = limb_path([(side * limb * 1.2, y - limb * 0.3), (side * limb * 1.5, y + limb * 4.5)], [limb * 0.8, limb])
    return [Shape(tail, toned(design.accent, 0.92), TORSO), Shape(roll, design.accent, TORSO)]
