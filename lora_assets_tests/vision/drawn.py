"""Rows and small pictures for the tests of vision. Drawing whole scenes belongs to lora_assets.scenes."""

from __future__ import annotations

import numpy as np

from lora_assets.scenes import SceneFrame
from lora_assets.tables import Detection, Mask
from lora_assets.vision.masks import BoolMask, encode_mask, mask_bounds

FRAME = "f" * 64


def mask_row(mask: BoolMask, name: str = "0000", frame: str = FRAME) -> Mask:
    """The row of a full-frame mask, in the window of its pixels (the whole frame when it has none)."""
    x, y, width, height = mask_bounds(mask) or (0, 0, mask.shape[1], mask.shape[0])
    kept = mask[y : y + height, x : x + width]
    area = int(kept.sum())
    return Mask(frame, name, x, y, width, height, encode_mask(kept), area, area / mask.size, 0.9, 0.9)


def detection_row(
    box: tuple[float, float, float, float], name: str = "0000", label: str = "person", confidence: float = 0.85
) -> Detection:
    """A detection row; faces and heads are not subjects."""
    return Detection(FRAME, name, label, confidence, *box, "drawn", label not in ("face", "head"))


def scene_rows(scene: SceneFrame) -> tuple[list[Detection], list[Mask]]:
    """What a perfect detector and a perfect segmenter would say of a scene."""
    detections: list[Detection] = []
    masks: list[Mask] = []
    for index, truth in enumerate(scene.characters):
        if not truth.mask.any():
            continue
        detections.append(detection_row(truth.box, f"{index:04d}"))
        masks.append(mask_row(truth.mask, f"{index:04d}"))
        for label, box in (("head", truth.head_box), ("face", truth.face_box)):
            if box is not None:
                detections.append(detection_row(box, f"{label}{index}", label))
    return detections, masks


def noise_mask(seed: int, height: int, width: int, share: float) -> BoolMask:
    """A mask of random blobs that may touch the frame's borders."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((max(1, height // 5), max(1, width // 5))) < share
    fine = np.kron(coarse, np.ones((5, 5), np.bool_))[:height, :width]
    found = np.zeros((height, width), np.bool_)
    found[: fine.shape[0], : fine.shape[1]] = fine
    return found ^ (rng.random((height, width)) < 0.02)
