"""Eyes, brows, nose, mouth, blush and glasses of a face. The head under them is in head.py."""

from __future__ import annotations

import math
from dataclasses import replace

import skia

from lora_assets.scenes.design import Design
from lora_assets.scenes.head import face_path, on_face
from lora_assets.scenes.ink import Rgb, Shape, smooth, toned
from lora_assets.scenes.pose import Expression

EYE_LINE = -0.37
REALISTIC_RISE = 0.075
EYE_LONGITUDE = 27.0
DARK: Rgb = (46, 30, 36)


def eye_radius(yaw: float) -> float:
    """Distance of the eyes from the head's axis: they lie less far forward than the cheeks in turned views."""
    return 0.43 - 0.095 * math.sin(math.radians(yaw))


def eye_line(design: Design) -> float:
    """Height of the eyes on the face: lower in cartoons, nearer the middle of the head in realistic drawings."""
    return EYE_LINE - REALISTIC_RISE * design.realism


def feature_shapes(design: Design, expression: Expression, yaw: float) -> list[Shape]:
    """All features that this view of the face shows, back to front."""
    if yaw > 112:
        return []
    face = face_path(yaw, design.jaw)
    shapes = [_inside(shape, face) for shape in _blush(expression, yaw)]
    shapes += [_inside(shape, face) for shape in _beard(design, yaw) + _mouth(design, expression, yaw)]
    shapes += _moustache(design, yaw) + (_wrinkles(design, yaw) if design.elder else [])
    shapes += _nose(design, yaw)
    for side in (-1, 1):
        x, depth = on_face(side * EYE_LONGITUDE, yaw, eye_radius(yaw))
        if depth > 0.2:
            eye = _eye(design, expression, side, x, depth)
            shapes += [_inside(shape, face) for shape in eye] if side * yaw > 25 else eye
    if design.glasses:
        shapes += _glasses(design, yaw)
    return shapes


def _inside(shape: Shape, face: skia.Path) -> Shape:
    """The shape clipped by the face outline, so that nothing of a turned face stands out over its edge."""
    inverse = skia.Matrix()
    shape.place.invert(inverse)
    edge = skia.Path()
    face.transform(inverse, edge)
    return replace(shape, edge=edge)


def brow_shapes(design: Design, expression: Expression, yaw: float) -> list[Shape]:
    """Brows, which drawn faces show through the fringe."""
    shapes = []
    thick = 1.1 + 1.3 * design.realism + (0.8 if design.beard else 0.0)
    y = -0.535 if design.realism == 0.0 else eye_line(design) - 0.05 - 0.14 * design.eye_size
    for side in (-1, 1):
        x, depth = on_face(side * EYE_LONGITUDE, yaw, eye_radius(yaw))
        if yaw > 112 or depth < 0.2:
            continue
        path = skia.Path()
        lift = 0.03 * expression.brow
        path.moveTo(x - side * 0.1 * depth, y - lift)
        raised, lowered = max(lift, 0.0), min(lift, 0.0)
        path.quadTo(x, y - 0.04 - raised, x + side * 0.12 * depth, y - 0.005 - 0.4 * raised + 0.6 * lowered)
        shapes.append(Shape(path, None, line=thick, line_rgb=toned(design.hair, 0.5)))
    return shapes


def _eye(design: Design, expression: Expression, side: int, x: float, depth: float) -> list[Shape]:
    """One eye around (x, eye_line), drawn in units of its own half size."""
    squeeze = 0.25 + 0.75 * depth
    place = skia.Matrix()
    place.preTranslate(x, eye_line(design))
    place.preRotate(math.degrees(design.eye_tilt * side) * -0.6)
    place.preScale(0.115 * design.eye_size * squeeze * side, 0.125 * design.eye_size * design.eye_height)
    lids = 0.0 if expression.wink and side > 0 else expression.lids
    if lids < 0.15:
        return [_closed_lid(expression, place)]
    if design.eye_style == "dot":
        return _dot_eye(lids, side, place)
    if design.eye_style == "round":
        return _round_eye(lids, expression, side, place)
    top = -0.95 * lids
    white = smooth([(-0.92, 0.15), (-0.6, top * 0.75), (0.05, top), (0.72, top * 0.72), (1.0, 0.0),
                    (0.72, 0.72), (0.0, 0.98), (-0.68, 0.74)])  # fmt: skip
    gaze = (expression.gaze[0] * 0.3 * side, expression.gaze[1] * 0.25)
    shapes = [Shape(white, (250, 250, 252), line=0, place=place)]
    shapes += _iris(design, gaze, white, place, side)
    lash = skia.Path()
    lash.moveTo(-1.0, 0.28)
    lash.cubicTo(-0.85, top * 0.95, -0.3, top * 1.22, 0.1, top * 1.18)
    lash.cubicTo(0.6, top * 1.12, 0.95, top * 0.5, 1.28, -0.12 + top * 0.12)
    lash.cubicTo(1.12, 0.05, 1.05, 0.1, 1.0, 0.3)
    lash.cubicTo(0.9, top * 0.35, 0.5, top * 0.8, 0.05, top * 0.84)
    lash.cubicTo(-0.4, top * 0.84, -0.75, top * 0.5, -1.0, 0.28)
    shapes.append(Shape(lash, DARK, line=0, place=place))
    lower = skia.Path()
    lower.moveTo(-0.45, 1.02)
    lower.quadTo(0.3, 1.16, 0.8, 0.72)
    lower.quadTo(0.3, 1.02, -0.45, 1.02)
    shapes.append(Shape(lower, DARK, line=0, place=place))
    fold = skia.Path()
    fold.moveTo(-0.7, top - 0.28)
    fold.quadTo(0.1, top - 0.55, 0.9, top * 0.6 - 0.3)
    shapes.append(Shape(fold, None, line=0, place=place, line_rgb=toned(design.skin, 0.55)))
    return shapes


def _oval(x: float, y: float, rx: float, ry: float) -> skia.Path:
    path = skia.Path()
    path.addOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry))
    return path


def _dot_eye(lids: float, side: int, place: skia.Matrix) -> list[Shape]:
    """The plain dark eye of simple drawings."""
    return [
        Shape(_oval(0.0, 0.1, 0.5, 0.85 * lids), DARK, line=0, place=place),
        Shape(_oval(-0.18 * side, -0.25, 0.16, 0.2 * lids), (255, 255, 255), line=0, place=place),
    ]


def _round_eye(lids: float, expression: Expression, side: int, place: skia.Matrix) -> list[Shape]:
    """The round white eye with a small pupil of comic strips."""
    x, y = expression.gaze[0] * 0.3 * side, 0.05 + expression.gaze[1] * 0.3
    white = _oval(0.0, 0.05, 0.82, 0.95 * lids)
    return [
        Shape(white, (252, 252, 252), line=0.8, line_rgb=DARK, place=place),
        Shape(_oval(x, y, 0.3, 0.36), DARK, line=0, place=place, clip=white),
        Shape(_oval(x - 0.1 * side, y - 0.12, 0.1, 0.1), (255, 255, 255), line=0, place=place, clip=white),
    ]


def _iris(design: Design, gaze: tuple[float, float], white: skia.Path, place: skia.Matrix, side: int) -> list[Shape]:
    eye = design.eye
    gx, gy = gaze[0], 0.06 + gaze[1]
    layers: list[tuple[skia.Path, Rgb]] = [
        (_oval(gx, gy, 0.66, 0.92), toned(eye, 0.42)),
        (_oval(gx, gy + 0.06, 0.57, 0.82), eye),
        (_oval(gx, gy - 0.42, 0.62, 0.55), toned(eye, 0.55)),
        (_oval(gx, gy + 0.55, 0.38, 0.26), toned(eye, 1.9)),
        (_oval(gx, gy, 0.26, 0.4), toned(eye, 0.22)),
        (_oval(gx - 0.26 * side, gy - 0.4, 0.22, 0.26), (255, 255, 255)),
        (_oval(gx + 0.3 * side, gy + 0.42, 0.11, 0.13), (255, 255, 255)),
    ]
    if design.eye_style == "shiny":
        layers += [
            (_oval(gx + 0.02 * side, gy + 0.3, 0.42, 0.4), toned(eye, 1.5)),
            (_oval(gx, gy, 0.24, 0.38), toned(eye, 0.22)),
            (_oval(gx - 0.24 * side, gy - 0.42, 0.3, 0.34), (255, 255, 255)),
            (_oval(gx + 0.28 * side, gy + 0.38, 0.17, 0.2), (255, 255, 255)),
            (_oval(gx - 0.34 * side, gy + 0.3, 0.09, 0.1), (255, 255, 255)),
        ]
        del layers[4:7]
    if design.eye_style == "small":
        layers = [(_oval(gx, gy - 0.1, 0.5, 0.86), toned(eye, 0.45)), (_oval(gx, gy - 0.06, 0.4, 0.72), eye),
                  (_oval(gx, gy - 0.1, 0.2, 0.34), toned(eye, 0.2)),
                  (_oval(gx - 0.14 * side, gy - 0.36, 0.14, 0.18), (255, 255, 255))]  # fmt: skip
    if design.eye_style == "flat":
        layers = [layers[0], layers[1], layers[4], layers[5]]
    shapes = [Shape(path, rgb, line=0, place=place, clip=white) for path, rgb in layers]
    cast = skia.Path()
    cast.addRect(skia.Rect.MakeLTRB(-1.2, -1.3, 1.2, -0.52))
    shapes.insert(1, Shape(cast, (206, 206, 226), line=0, place=place, clip=white))
    return shapes


def _closed_lid(expression: Expression, place: skia.Matrix) -> Shape:
    bend = 0.75 if expression.mouth in ("smile", "open", "grin") else -0.55
    lid = skia.Path()
    lid.moveTo(-1.0, 0.3)
    lid.quadTo(0.0, 0.3 - bend * 1.3, 1.1, 0.25)
    lid.quadTo(0.0, 0.02 - bend * 1.25, -1.0, 0.3)
    return Shape(lid, DARK, line=0.2, place=place)


def _nose(design: Design, yaw: float) -> list[Shape]:
    if yaw > 75:
        return []
    x, _ = on_face(0, yaw, 0.42)
    path = skia.Path()
    if design.realism and yaw > 40:
        return []
    if design.realism:
        top = eye_line(design) + 0.06
        path.moveTo(x * 0.96 + 0.03, top)
        path.quadTo(x * 1.05 + 0.035, -0.26, x * 1.08 + 0.03, -0.225)
        path.quadTo(x * 1.02 + 0.01, -0.19, x * 1.02 - 0.045, -0.215)
        return [Shape(path, None, line=0.6, line_rgb=toned(design.skin, 0.5))]
    path.moveTo(x * 1.02, -0.235)
    path.lineTo(x * 1.02 + 0.018, -0.205)
    path.lineTo(x * 1.02 - 0.012, -0.2)
    return [Shape(path, None, line=0.45, line_rgb=toned(design.skin, 0.55))]


def _beard(design: Design, yaw: float) -> list[Shape]:
    """A beard along the jaw; stubble is a shade of it."""
    if design.beard not in ("beard", "goatee", "stubble"):
        return []
    x, depth = on_face(0, yaw * 0.9, 0.34)
    if design.beard == "goatee":
        half = 0.11 * (0.5 + 0.5 * max(depth, 0.0))
        path = smooth([(x - half, -0.09), (x, -0.085), (x + half, -0.09), (x + half * 0.7, 0.02), (x, 0.05),
                       (x - half * 0.7, 0.02)])  # fmt: skip
        return [Shape(path, design.hair, line=0.6)]
    mask = skia.Path()
    lip = 0.14 * (0.5 + 0.5 * max(depth, 0.0))
    mask.addPoly(
        [
            skia.Point(*point)
            for point in (
                (-0.6, -0.42),
                (-0.36 - 0.1 * math.sin(math.radians(yaw)), -0.36),
                (x - lip * 1.6, -0.16),
                (x - lip, -0.18),
                (x + lip, -0.18),
                (x + lip * 1.6, -0.16),
                (0.38, -0.36),
                (0.6, -0.42),
                (0.6, 0.2),
                (-0.6, 0.2),
            )
        ],
        True,
    )
    rgb = design.hair if design.beard == "beard" else toned(design.skin, 0.72)
    return [
        Shape(mask, rgb, line=0.5 if design.beard == "beard" else 0.0, alpha=255 if design.beard == "beard" else 130)
    ]


def _moustache(design: Design, yaw: float) -> list[Shape]:
    if design.beard not in ("moustache", "beard", "goatee") or yaw > 100:
        return []
    x, depth = on_face(0, yaw * 0.9, 0.36)
    half = (0.15 if design.beard == "moustache" else 0.11) * (0.45 + 0.55 * max(depth, 0.0))
    path = smooth([(x - half, -0.125), (x - half * 0.4, -0.18), (x, -0.168), (x + half * 0.4, -0.18),
                   (x + half, -0.125), (x + half * 0.4, -0.145), (x, -0.14), (x - half * 0.4, -0.145)],
                  tension=0.12)  # fmt: skip
    return [Shape(path, design.hair, line=0.5)]


def _wrinkles(design: Design, yaw: float) -> list[Shape]:
    """Lines of age beside the mouth and under the eyes."""
    path = skia.Path()
    for side in (-1, 1):
        x, depth = on_face(side * 30, yaw, 0.4)
        if depth < 0.3:
            continue
        path.moveTo(x - side * 0.06, -0.24)
        path.quadTo(x + side * 0.02, -0.18, x - side * 0.01, -0.11)
        y = eye_line(design) + 0.14 * design.eye_size
        path.moveTo(x - side * 0.07, y)
        path.quadTo(x, y + 0.035, x + side * 0.07, y)
    return [Shape(path, None, line=0.5, line_rgb=toned(design.skin, 0.6))]


def _mouth(design: Design, expression: Expression, yaw: float) -> list[Shape]:
    x, depth = on_face(0, yaw * 0.9, 0.34)
    width = 0.1 * (0.4 + 0.6 * max(depth, 0.0))
    path = skia.Path()
    line: Rgb = toned(design.skin, 0.42)
    kind = expression.mouth
    if kind == "open":
        path.moveTo(x - width, -0.15)
        path.quadTo(x, -0.132, x + width, -0.15)
        path.cubicTo(x + width * 0.8, -0.06, x - width * 0.8, -0.06, x - width, -0.15)
        tongue = skia.Path()
        tongue.addOval(skia.Rect.MakeLTRB(x - width * 0.6, -0.105, x + width * 0.6, -0.055))
        return [Shape(path, (166, 62, 70), line=0.5, line_rgb=line),
                Shape(tongue, (236, 130, 130), line=0, clip=path)]  # fmt: skip
    if kind == "grin":
        path = smooth([(x - width, -0.14), (x, -0.125), (x + width, -0.14), (x + width * 0.5, -0.09),
                       (x - width * 0.5, -0.09)])  # fmt: skip
        return [Shape(path, (252, 250, 248), line=0.5, line_rgb=line)]
    bend = {"smile": 0.05, "flat": 0.0, "small": 0.02, "frown": -0.035}[kind]
    half = width * (0.5 if kind == "small" else 0.9)
    path.moveTo(x - half, -0.12)
    path.quadTo(x, -0.12 + bend, x + half, -0.12)
    return [Shape(path, None, line=0.6, line_rgb=line)]


def _blush(expression: Expression, yaw: float) -> list[Shape]:
    shapes = []
    for side in (-1, 1):
        x, depth = on_face(side * 36, yaw, 0.42)
        if expression.blush and depth > 0.2:
            path = skia.Path()
            path.addOval(skia.Rect.MakeLTRB(x - 0.09 * depth, -0.245, x + 0.09 * depth, -0.175))
            shapes.append(Shape(path, (255, 120, 120), line=0, alpha=110))
    return shapes


def _glasses(design: Design, yaw: float) -> list[Shape]:
    path = skia.Path()
    y = eye_line(design)
    for side in (-1, 1):
        x, depth = on_face(side * EYE_LONGITUDE, yaw, eye_radius(yaw) + 0.015)
        if depth > 0.2:
            half = 0.15 * (0.25 + 0.75 * depth)
            path.addRoundRect(skia.Rect.MakeLTRB(x - half, y - 0.12, x + half, y + 0.14), 0.07, 0.09)
    lenses = skia.Path()
    lenses.addPath(path)
    bridge, depth = on_face(0, yaw, 0.45)
    path.moveTo(bridge - 0.05 * depth, y - 0.02)
    path.lineTo(bridge + 0.05 * depth, y - 0.02)
    frame = Shape(path, None, line=1.0, line_rgb=toned(design.accent, 0.5))
    return [Shape(lenses, (34, 32, 44), line=0, alpha=235), frame] if design.dark_lenses else [frame]
