"""A whole character from design and pose, as one list of shapes from back to front.

Body space: chin at (0, 0), one head height = 1, y down. Placing the figure in a frame is done in stage.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import skia

from lora_assets.scenes.accessories import behind_head, on_head
from lora_assets.scenes.body import Skeleton, skeleton_of, sole_depth
from lora_assets.scenes.design import Design
from lora_assets.scenes.features import EYE_LONGITUDE, brow_shapes, eye_line, eye_radius, feature_shapes
from lora_assets.scenes.hair import fringe_shadow, front_hair
from lora_assets.scenes.head import face_region, head_region, head_shapes, on_face
from lora_assets.scenes.ink import Shape
from lora_assets.scenes.outfits import cut_of, shoulder_patch, torso_shapes
from lora_assets.scenes.pose import Pose
from lora_assets.scenes.tresses import back_hair, hair_before_body
from lora_assets.scenes.wardrobe import (
    arm_shapes,
    bag_before,
    bag_behind,
    cape_shapes,
    leg_shapes,
    mantle_shapes,
    scarf_shapes,
    skirt_shapes,
)

BEHIND = 112.0


@dataclass(frozen=True, slots=True)
class Figure:
    """The display list of a character and the regions its truth is read from, all in body space.

    `key_points` is float32 17x3 in COCO order (nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles; the
    character's own left before its right): x, y and 1 where the view shows the point, 0 where the head hides it.
    `ground` is how far the lowest foot or knee of an upright pose lies below the chin (head heights).
    """

    shapes: tuple[Shape, ...]
    head_place: skia.Matrix
    head_region: skia.Path
    face_region: skia.Path | None
    face_area: float
    height: float
    key_points: np.ndarray
    ground: float


def build_figure(design: Design, pose: Pose) -> Figure:
    """The display list of a character, back to front."""
    whole = skia.Matrix()
    if pose.roll:
        whole.preRotate(pose.roll)
    head_place = skia.Matrix()
    head_place.preConcat(whole)
    head_place.preRotate(pose.head_tilt, 0.0, -0.05)
    head_place.preScale(design.head_width, 1.0)

    from_behind = pose.yaw > BEHIND
    bones = skeleton_of(design, pose)
    hanging = _placed(back_hair(design, pose.yaw), head_place)
    body, head = _placed(_body(design, bones), whole), _placed(_head(design, pose), head_place)
    cloth = _placed(cape_shapes(design, bones) + bag_behind(design, bones), whole)
    if from_behind:
        shapes = (*body, *cloth, *head, *hanging)
    else:
        shapes = (*cloth, *_placed(behind_head(design, pose.yaw), head_place), *hanging, *body,
                  *_placed(hair_before_body(design, pose.yaw), head_place), *head)  # fmt: skip
    region = face_region(design, pose.yaw)
    area = 0.0 if region is None else 0.8 * region.getBounds().width() * region.getBounds().height()
    points = key_points(design, pose, bones, head_place, whole)
    return Figure(
        shapes, head_place, head_region(pose.yaw), region, area * design.head_width, design.heads, points,
        sole_depth(bones),
    )  # fmt: skip


def key_points(design: Design, pose: Pose, bones: Skeleton, head_place: skia.Matrix, whole: skia.Matrix) -> np.ndarray:
    """The 17 key points of a posed figure in body space, as `Figure.key_points` describes them."""
    on_head: list[tuple[float, float, float]] = []
    x, depth = on_face(0, pose.yaw, 0.42)
    on_head.append((x, -0.22, depth))
    for longitude, y in ((EYE_LONGITUDE, eye_line(design)), (88.0, -0.36)):
        for side in (1, -1):
            radius = eye_radius(min(pose.yaw, 90.0)) if longitude == EYE_LONGITUDE else 0.44
            x, depth = on_face(side * longitude, pose.yaw, radius)
            on_head.append((x, y, depth))
    placed = [head_place.mapXY(x, y) for x, y, _ in on_head]
    seen = [1.0 if depth > (0.0 if i < 3 else -0.3) else 0.0 for i, (_, _, depth) in enumerate(on_head)]
    # Seen from the front the limb on screen right is the character's own left one, seen from behind its right one.
    order = (0, 1) if pose.yaw <= 90 else (1, 0)
    joints = (bones.shoulders, bones.elbows, bones.hands, bones.hips, bones.knees, bones.feet)
    placed += [whole.mapXY(*joint[i]) for joint in joints for i in order]
    points = np.array([(p.x(), p.y(), 1.0) for p in placed], np.float32)
    points[:5, 2] = seen
    if pose.mirrored:
        # A mirrored figure shows its left as its right.
        points[1:] = points[1:].reshape(8, 2, 3)[:, ::-1].reshape(16, 3)
    return points


def _placed(shapes: list[Shape], place: skia.Matrix) -> list[Shape]:
    """The shapes under a common placement; shapes that shared a place share it still, as draw_shapes asks for."""
    if place.isIdentity():
        return shapes
    places: dict[int, skia.Matrix] = {}
    placed = []
    for s in shapes:
        own = places.get(id(s.place))
        if own is None:
            own = places[id(s.place)] = skia.Matrix.Concat(place, s.place)
        placed.append(Shape(s.path, s.fill, s.part, s.line, own, s.clip, s.edge, s.line_rgb, s.alpha))
    return placed


def _head(design: Design, pose: Pose) -> list[Shape]:
    shapes = head_shapes(design, pose.yaw) + feature_shapes(design, pose.expression, pose.yaw)
    hair = front_hair(design, pose.yaw)
    if hair:
        shapes += fringe_shadow(design, pose.yaw, hair[0]) + hair
    shapes += brow_shapes(design, pose.expression, pose.yaw)
    return shapes + on_head(design, pose.yaw)


def _body(design: Design, bones: Skeleton) -> list[Shape]:
    far, near = arm_shapes(design, bones, 0), arm_shapes(design, bones, 1)
    turned = 20 < bones.yaw < 160
    shapes = far if turned else []
    shapes = shapes + leg_shapes(design, bones, 0) + leg_shapes(design, bones, 1)
    top, skirt = torso_shapes(design, bones), skirt_shapes(design, bones)
    over = cut_of(design).tails or cut_of(design).below == "robe" or design.fringe_seed % 2
    shapes += top + skirt if over else skirt + top
    shapes += scarf_shapes(design, bones) + bag_before(design, bones)
    if not turned:
        shapes += far + shoulder_patch(design, bones, 0)
    return shapes + near + shoulder_patch(design, bones, 1) + mantle_shapes(design, bones)
