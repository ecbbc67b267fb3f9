"""A whole character from design and pose, as one list of shapes from back to front.

Body space: chin at (0, 0), one head height = 1, y down. Placing the figure in a frame is done in stage.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import skia

from lora_assets.scenes.accessories import behind_head, on_head
from lora_assets.scenes.body import skeleton_of
from lora_assets.scenes.design import Design
from lora_assets.scenes.features import brow_shapes, feature_shapes
from lora_assets.scenes.hair import back_hair, fringe_shadow, front_hair
from lora_assets.scenes.head import face_region, head_region, head_shapes
from lora_assets.scenes.ink import Shape
from lora_assets.scenes.pose import Pose
from lora_assets.scenes.wardrobe import (
    arm_shapes,
    leg_shapes,
    scarf_shapes,
    shoulder_patch,
    skirt_shapes,
    torso_shapes,
)

BEHIND = 112.0


@dataclass(frozen=True, slots=True)
class Figure:
    """The display list of a character and the regions its truth is read from, all in body space."""

    shapes: tuple[Shape, ...]
    head_place: skia.Matrix
    head_region: skia.Path
    face_region: skia.Path | None
    face_area: float
    height: float


def build_figure(design: Design, pose: Pose) -> Figure:
    """The display list of a character, back to front."""
    head_place = skia.Matrix()
    head_place.preRotate(pose.head_tilt, 0.0, -0.05)

    places: dict[int, skia.Matrix] = {}

    def worn(shapes: list[Shape]) -> list[Shape]:
        # Shapes that shared a place share it still: draw_shapes asks for that.
        for shape in shapes:
            places.setdefault(id(shape.place), skia.Matrix.Concat(head_place, shape.place))
        return [replace(shape, place=places[id(shape.place)]) for shape in shapes]

    hanging = worn(back_hair(design, pose.yaw))
    body, head = _body(design, pose), worn(_head(design, pose))
    behind = [] if pose.yaw > BEHIND else worn(behind_head(design, pose.yaw)) + hanging
    before = hanging if pose.yaw > BEHIND else []
    region = face_region(design, pose.yaw)
    area = 0.0 if region is None else 0.8 * region.getBounds().width() * region.getBounds().height()
    return Figure((*behind, *body, *head, *before), head_place, head_region(pose.yaw), region, area, design.heads)


def _head(design: Design, pose: Pose) -> list[Shape]:
    shapes = head_shapes(design, pose.yaw) + feature_shapes(design, pose.expression, pose.yaw)
    hair = front_hair(design, pose.yaw)
    shapes += fringe_shadow(design, pose.yaw, hair[0]) + hair + brow_shapes(design, pose.expression, pose.yaw)
    return shapes + on_head(design, pose.yaw)


def _body(design: Design, pose: Pose) -> list[Shape]:
    bones = skeleton_of(design, pose)
    far, near = arm_shapes(design, bones, 0), arm_shapes(design, bones, 1)
    turned = 20 < pose.yaw < 160
    shapes = far if turned else []
    shapes = shapes + leg_shapes(design, bones, 0) + leg_shapes(design, bones, 1)
    top, skirt = torso_shapes(design, bones), skirt_shapes(design, bones)
    shapes += top + skirt if design.outfit == "coat" or design.fringe_seed % 2 else skirt + top
    shapes += scarf_shapes(design, bones)
    if not turned:
        shapes += far + shoulder_patch(design, bones, 0)
    return shapes + near + shoulder_patch(design, bones, 1)
