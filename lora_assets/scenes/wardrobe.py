"""Clothes on the limbs of a skeleton: sleeves, skirts, trousers, socks, shoes, scarves, capes and bags.

The bare body is in body.py, tops are in outfits.py; things worn on the head are in accessories.py.
"""

from __future__ import annotations

import math

import skia

from lora_assets.scenes.body import Skeleton, arm_path, between, finger_lines, leg_path, limb_path, on_torso
from lora_assets.scenes.design import Design
from lora_assets.scenes.ink import ARMS, LEGS, TORSO, TRAIL, Point, Rgb, Shape, smooth, toned
from lora_assets.scenes.outfits import STEEL, WHITE, cut_of, wears_skirt


def arm_shapes(design: Design, bones: Skeleton, i: int) -> list[Shape]:
    """A bare arm with its sleeve and cuff."""
    cut = cut_of(design)
    limb, shoulder, elbow, wrist = bones.limb, bones.shoulders[i], bones.elbows[i], bones.hands[i]
    shapes = [Shape(arm_path(bones, i), design.skin, ARMS)]
    fingers = finger_lines(bones, i)
    if fingers is not None:
        shapes.append(Shape(fingers, None, line=0.45, line_rgb=toned(design.skin, 0.6)))
    if cut.sleeves == "none":
        return shapes
    tone = design.cloth_two if design.outfit == "overalls" else design.cloth
    if cut.sleeves == "short" or (cut.sleeves == "puff" and design.fringe_seed % 3):
        puff = 1.55 if cut.sleeves == "puff" else 1.25
        sleeve = limb_path([shoulder, between(shoulder, elbow, 0.62)], [limb * 1.2, limb * puff])
        return [*shapes, Shape(sleeve, tone, ARMS)]
    end = between(elbow, wrist, 0.9)
    if cut.sleeves == "wide":
        return [*shapes, *_wide_sleeve(design, bones, i)]
    if cut.sleeves == "plate":
        tone = toned(design.cloth_two, 0.9)
    loose = cut.loose
    sleeve = limb_path([shoulder, elbow, end], [limb * 1.2, limb * loose * 0.95, limb * loose * 0.92])
    cuff = limb_path([between(elbow, wrist, 0.78), end], [limb * loose, limb * loose])
    cuff_tone = STEEL if cut.sleeves == "plate" else toned(design.cloth, 0.82)
    shapes += [Shape(sleeve, tone, ARMS), Shape(cuff, cuff_tone, line=0.7)]
    if design.outfit == "tracksuit":
        stripe = smooth([shoulder, elbow, end], closed=False)
        shapes.append(Shape(stripe, None, line=1.6, line_rgb=design.accent))
    if cut.sleeves == "plate":
        cap = limb_path([shoulder, between(shoulder, elbow, 0.25)], [limb * 1.6, limb * 1.45])
        shapes.append(Shape(cap, STEEL, ARMS))
    return shapes


def _wide_sleeve(design: Design, bones: Skeleton, i: int) -> list[Shape]:
    """A kimono sleeve: a bag of cloth that hangs from the forearm."""
    limb, shoulder, elbow, wrist = bones.limb, bones.shoulders[i], bones.elbows[i], bones.hands[i]
    end, drop = between(elbow, wrist, 0.92), limb * 4.2
    whole = limb_path([shoulder, elbow, end], [limb * 1.25, limb * 1.5, limb * 1.5])
    left, right = sorted((between(elbow, end, -0.1), end))
    low = max(left[1], right[1]) + drop
    hanging = skia.Path()
    hanging.addPoly([skia.Point(*point) for point in (left, right, (right[0], low), (left[0], low))], True)
    whole.addPath(hanging)
    hem = skia.Path()
    hem.moveTo(left[0], low - limb * 0.35)
    hem.lineTo(right[0], low - limb * 0.35)
    return [Shape(whole, design.cloth, ARMS), Shape(hem, None, line=1.6, line_rgb=design.cloth_two, clip=whole)]


def leg_shapes(design: Design, bones: Skeleton, i: int) -> list[Shape]:
    """A leg with trousers or shorts, sock and shoe."""
    limb, hip, knee, foot = bones.limb, bones.hips[i], bones.knees[i], bones.feet[i]
    below = cut_of(design).below
    shapes = [Shape(leg_path(bones, i), design.skin, LEGS)]
    if below == "bare":
        return shapes + _foot(design, bones, i)
    skirted = wears_skirt(design)
    trousered = below == "trousers" or (not skirted and design.legwear == "trousers")
    if trousered:
        cloth = limb_path([hip, between(hip, knee, 0.45), knee, between(knee, foot, 0.94)],
                          [limb * 1.85, limb * 1.75, limb * 1.42, limb * 1.28])  # fmt: skip
        tone = design.cloth if below == "trousers" else design.cloth_two
        shapes.append(Shape(cloth, tone, LEGS))
        if design.outfit == "tracksuit":
            stripe = smooth([hip, knee, between(knee, foot, 0.94)], closed=False)
            shapes.append(Shape(stripe, None, line=1.6, line_rgb=design.accent))
    else:
        shapes += _sock(design, bones, i)
        if not skirted:
            shorts = limb_path([hip, between(hip, knee, 0.62)], [limb * 1.9, limb * 1.85])
            shapes.append(Shape(shorts, design.cloth_two, LEGS))
    return shapes + _shoe(design, bones, i)


def _foot(design: Design, bones: Skeleton, i: int) -> list[Shape]:
    """A bare foot."""
    limb, (x, y) = bones.limb, bones.feet[i]
    ahead = math.sin(math.radians(bones.yaw)) * limb * 1.3
    foot = limb_path([(x, y), (x + ahead + (0.3 if i == 0 else -0.3) * limb, y + limb * 0.5)], [limb * 0.7, limb * 0.6])
    return [Shape(foot, design.skin, LEGS)]


def _sock(design: Design, bones: Skeleton, i: int) -> list[Shape]:
    limb, hip, knee, foot = bones.limb, bones.hips[i], bones.knees[i], bones.feet[i]
    tone: Rgb = ((250, 250, 252), (44, 42, 54), design.accent)[design.fringe_seed % 3]
    kind = design.fringe_seed % 4
    if design.fringe_seed // 64 % 5 == 0:
        joints = [hip, between(hip, knee, 0.4), knee, between(knee, foot, 0.3), foot]
        return [Shape(limb_path(joints, [limb * r for r in (1.72, 1.64, 1.17, 1.19, 0.8)]), tone, LEGS)]
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
    if cut_of(design).boots:
        knee = bones.knees[i]
        boot = limb_path([between(knee, (x, y), 0.45), (x, y)], [limb * 1.42, limb * 1.08])
        shapes.append(Shape(boot, design.boots, LEGS))
    return [*shapes, Shape(shoe, design.boots, LEGS)]


def skirt_shapes(design: Design, bones: Skeleton) -> list[Shape]:
    """The skirt, or the tails of a coat, hung over the thighs in any pose; nothing for other clothes."""
    cut = cut_of(design)
    if wears_skirt(design):
        dressed = cut.below in ("dress", "robe")
        share = (1.75 if cut.below == "robe" else 1.0) if dressed else 0.5 + 0.08 * (design.fringe_seed % 5)
        tone = design.cloth if dressed else design.cloth_two
    elif cut.tails:
        share, tone = cut.tails, design.cloth
    else:
        return []
    limb = bones.limb
    if 60 < bones.yaw < 120 and bones.knees[0][1] - bones.hip_y < 0.5 * (bones.knees[0][0] - bones.hip_x):
        ends = [bones.waist, bones.hips[0], between(bones.hips[0], bones.knees[0], min(share, 0.85))]
        return [Shape(limb_path(ends, [bones.hip_half * 0.8, limb * 2.4, limb * 2.2]), tone, LEGS)]
    waist_half = bones.hip_half * 0.86 * (1 + 0.55 * bones.belly)
    hem = [_hem_point(bones, i, share, limb * (2.0 + 1.1 * min(share, 0.9))) for i in (0, 1)]
    right, left = (hem[0], hem[1]) if hem[0][0] > hem[1][0] else (hem[1], hem[0])
    dip = max(right[1], left[1])
    middle = ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2 + limb * 0.35)
    top = bones.waist[1] + (0.0 if not cut.tails else limb)
    points = [(bones.waist[0] - waist_half, top), (bones.waist[0] + waist_half, top),
              (bones.hip_x + bones.hip_half * 1.22, bones.hip_y + limb * 0.2), right,
              between(right, middle, 0.5), middle, between(left, middle, 0.5), left,
              (bones.hip_x - bones.hip_half * 1.22, bones.hip_y + limb * 0.2)]  # fmt: skip
    path = smooth(points, tension=0.1)
    shapes = [Shape(path, tone, LEGS)]
    if cut.below == "robe":
        fold = smooth([(bones.waist[0] + waist_half * 0.2, top), between(left, right, 0.6)], closed=False)
        return [*shapes, Shape(fold, None, line=0.8, line_rgb=toned(tone, 0.6), clip=path)]
    waist = (bones.waist[0], top)
    pleats = skia.Path()
    for share_x in (0.2, 0.4, 0.6, 0.8):
        foot = between(left, right, share_x)
        pleats.moveTo(*between((waist[0] + (share_x - 0.5) * waist_half * 1.6, waist[1]), foot, 0.3))
        pleats.lineTo(foot[0], max(foot[1], dip) + limb)
    shapes.append(Shape(pleats, None, line=0.55, line_rgb=toned(tone, 0.66), clip=path))
    if design.outfit == "maid":
        apron = smooth([(waist[0] - waist_half * 0.6, top), (waist[0] + waist_half * 0.6, top),
                        between(left, right, 0.78), between(left, right, 0.22)], tension=0.1)  # fmt: skip
        return [*shapes, Shape(apron, WHITE, line=0.8, clip=path)]
    if design.outfit == "dress" or design.fringe_seed % 2:
        edge = smooth([left, middle, right], closed=False)
        shapes.append(Shape(edge, None, line=2.6, line_rgb=design.accent, clip=path))
    return shapes


def _hem_point(bones: Skeleton, i: int, share: float, outward: float) -> Point:
    if share > 1.0:
        x, y = between(bones.knees[i], bones.feet[i], share - 1.0)
    else:
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


def cape_shapes(design: Design, bones: Skeleton) -> list[Shape]:
    """The sheet of a cloak that hangs from the shoulders to the calves; nothing for other outfits."""
    if design.outfit != "cloak":
        return []
    limb, y = bones.limb, bones.shoulders[0][1]
    half = bones.shoulder_half + limb * 1.6
    back = -math.sin(math.radians(bones.yaw)) * limb * 2.5
    lowest = max(y for _, y in (*bones.feet, *bones.knees)) - limb
    low = min(bones.hip_y + (bones.ground - bones.hip_y) * 0.72, max(lowest, bones.hip_y))
    sheet = smooth([(-half * 0.6, y - limb * 1.2), (half * 0.6, y - limb * 1.2), (half, y + limb * 0.8),
                    (half * 1.25 + back, (y + low) / 2), (half * 1.5 + back, low), (back, low + limb * 0.7),
                    (-half * 1.5 + back, low), (-half * 1.25 + back, (y + low) / 2), (-half, y + limb * 0.8)],
                   tension=0.14)  # fmt: skip
    folds = skia.Path()
    for share in (-0.6, -0.2, 0.25, 0.65):
        folds.moveTo(half * share * 0.7, y + limb * 2)
        folds.lineTo(half * share * 1.6 + back, low)
    tone = design.accent
    return [Shape(sheet, tone, TRAIL), Shape(folds, None, line=0.7, line_rgb=toned(tone, 0.6), clip=sheet)]


def mantle_shapes(design: Design, bones: Skeleton) -> list[Shape]:
    """The collar of a cloak over the shoulders, with its clasp."""
    if design.outfit != "cloak":
        return []
    limb, y = bones.limb, bones.shoulders[0][1]
    half = bones.shoulder_half + limb * 1.1
    collar = smooth([(-half * 0.5, y - limb * 1.3), (half * 0.5, y - limb * 1.3), (half, y + limb * 0.2),
                     (half * 0.9, y + limb * 1.4), (0.0, y + limb * 1.0), (-half * 0.9, y + limb * 1.4),
                     (-half, y + limb * 0.2)], tension=0.14)  # fmt: skip
    shapes = [Shape(collar, toned(design.accent, 0.85), TORSO)]
    if bones.yaw < 100:
        clasp = skia.Path()
        clasp.addCircle(*on_torso(bones, 0.0, 0.08), limb * 0.32)
        shapes.append(Shape(clasp, (226, 196, 110), line=0.6))
    return shapes


def bag_behind(design: Design, bones: Skeleton) -> list[Shape]:
    """A pack on the back: behind the body in front views, before it in back views (the caller decides)."""
    if design.bag != "backpack":
        return []
    limb, y = bones.limb, bones.shoulders[0][1]
    half = (bones.shoulder_half + limb) * (0.9 if abs(math.cos(math.radians(bones.yaw))) > 0.5 else 0.7)
    x = -math.sin(math.radians(bones.yaw)) * (bones.shoulder_half + limb * 1.6)
    path = skia.Path()
    path.addRoundRect(skia.Rect.MakeLTRB(x - half, y - limb * 0.4, x + half, bones.hip_y), limb, limb)
    flap = skia.Path()
    flap.addRoundRect(skia.Rect.MakeLTRB(x - half, y - limb * 0.4, x + half, y + limb * 2.2), limb, limb)
    return [Shape(path, design.boots, TORSO), Shape(flap, toned(design.boots, 0.8), line=0.8, clip=path)]


def bag_before(design: Design, bones: Skeleton) -> list[Shape]:
    """Straps over the chest and a bag at the hip."""
    if not design.bag or bones.yaw > 100:
        return []
    limb, tone = bones.limb, toned(design.boots, 0.85)
    straps = skia.Path()
    if design.bag == "backpack":
        for side in (-1, 1):
            straps.moveTo(*on_torso(bones, side * 0.6, -0.06))
            straps.quadTo(*on_torso(bones, side * 0.62, 0.3), *on_torso(bones, side * 0.85, 0.6))
        return [Shape(straps, None, line=3.0, line_rgb=tone)]
    straps.moveTo(*on_torso(bones, -0.55, -0.08))
    straps.lineTo(*on_torso(bones, 0.8, 1.0))
    x, y = on_torso(bones, 0.95, 1.1)
    bag = skia.Path()
    bag.addRoundRect(skia.Rect.MakeLTRB(x - limb * 2, y - limb, x + limb * 2, y + limb * 2.6), limb * 0.5, limb * 0.5)
    flap = skia.Path()
    flap.addRoundRect(skia.Rect.MakeLTRB(x - limb * 2, y - limb, x + limb * 2, y + limb * 0.6), limb * 0.5, limb * 0.5)
    return [Shape(straps, None, line=2.4, line_rgb=tone), Shape(bag, design.boots, TORSO),
            Shape(flap, tone, line=0.8)]  # fmt: skip
