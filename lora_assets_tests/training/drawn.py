"""Small drawn frames for the tests of this folder: coloured figures whose truth is known by construction.

The renderer itself is tested elsewhere; nothing here draws like it.
"""

from __future__ import annotations

import numpy as np

from lora_assets.scenes import CharacterTruth, SceneFrame
from lora_assets.scenes.truth import mask_bounds


def draw_blocks(seed: int, width: int, height: int) -> SceneFrame:
    """Two upright blocks, each with a square head on top and a face in it, side by side on a plain ground."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), rng.integers(0, 90, 3), np.uint8)
    characters = []
    for number in range(2):
        left = (0.1 + 0.45 * number) * width
        x1, x2 = round(left), round(left + 0.3 * width)
        head, body, bottom = round(0.15 * height), round(0.45 * height), round(0.9 * height)
        inset = (x2 - x1) // 5
        mask = np.zeros((height, width), bool)
        mask[body:bottom, x1:x2] = True
        mask[head:body, x1 + inset : x2 - inset] = True
        image[mask] = rng.integers(120, 255, 3)
        face = (x1 + 2 * inset, head + inset, x2 - 2 * inset, body - inset // 2)
        image[face[1] : face[3], face[0] : face[2]] = (250, 220, 190)
        box = mask_bounds(mask)
        if box is None:
            raise ValueError(f"a frame of {width} x {height} is too small for the test figures")
        characters.append(
            CharacterTruth(
                identity=number,
                box=box,
                head_box=(float(x1 + inset), float(head), float(x2 - inset), float(body)),
                face_box=tuple(float(value) for value in face) if number == 0 else None,
                mask=mask,
                visible_parts=("head", "torso"),
                cut_by_frame=False,
            )
        )
    return SceneFrame(image=image, characters=tuple(characters), seed=seed)
