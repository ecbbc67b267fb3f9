"""A second opinion on a mask, by other means than the segmenter's, and how far the two disagree.

GrabCut (colours of this one picture) costs no weights; a salient-object network (saliency_onnx) knows what a figure is.
What is done about a disagreement does not belong here (checks).
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.vision.boxes import FloatArray
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask, mask_iou

CODE_VERSION = "1"

SALIENT = 0.5
"""Where an answer of a salient-object network, 0 to 1, is cut into a mask."""
NONE = "none"
GRABCUT = "grabcut"

Opinion = Callable[[RgbImage, BoolMask, BoolMask, FloatArray], BoolMask | None]
"""A window of the frame HxWx3, the mask and the other characters' masks in it (HxW), and the box (x1, y1, x2, y2 in the
window's pixels) in; the character's mask HxW out, None where the method cannot say."""

_WORK_SIDE = 128
_ROUNDS = 2
_CORE_SHARE = 0.06
_LEAST_PIXELS = 12


def grabcut(image: RgbImage, mask: BoolMask, others: BoolMask, box: FloatArray) -> BoolMask | None:
    """GrabCut (Rother, Kolmogorov, Blake 2004) at 128 pixels: what the colours say of the pixels inside the box.

    Sure are only the outside of the box, the other characters, and the mask's core (eroded by 6 % of its longer side);
    the rest starts as the mask says and may change. None where no pixels are sure on either side, as for a mask of one
    pixel or of the whole frame.
    """
    scale = min(1.0, _WORK_SIDE / max(mask.shape))
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    inside, taken = (
        cv2.resize(each.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0 for each in (mask, others)
    )
    x1, y1, x2, y2 = (round(float(side) * scale) for side in box)
    boxed = np.zeros_like(inside)
    boxed[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = True
    width = max(1, round(_CORE_SHARE * max(x2 - x1, y2 - y1)))
    core = cv2.erode(inside.view(np.uint8), np.ones((3, 3), np.uint8), iterations=width) > 0
    labels = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[core] = cv2.GC_FGD
    labels[~boxed | (taken & ~inside)] = cv2.GC_BGD
    figure = int(np.count_nonzero(labels & 1))
    if min(figure, labels.size - figure) < _LEAST_PIXELS:
        return None
    # Its clusters start at random points: the same mask must always get the same answer, on every thread.
    cv2.setRNGSeed(0)
    cv2.grabCut(small, labels, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
    back = cv2.resize(labels & 1, (mask.shape[1], mask.shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.asarray(back) > 0


def salient(find: Callable[[RgbImage], npt.NDArray[np.float32]]) -> Opinion:
    """The opinion of a salient-object network: what it finds in the window, less the other characters."""

    def opinion(image: RgbImage, mask: BoolMask, others: BoolMask, box: FloatArray) -> BoolMask | None:
        del mask, box
        return (find(image) > SALIENT) & ~others

    return opinion


def disagreement(mask: BoolMask, opinion: BoolMask, box: FloatArray) -> float:
    """1 - IoU of two masks HxW inside a box (xyxy, pixels of the masks); 0 where both are empty there."""
    x1, y1 = (max(0, int(np.floor(side))) for side in box[:2])
    x2, y2 = (max(0, int(np.ceil(side))) for side in box[2:])
    return 1.0 - mask_iou(mask[y1:y2, x1:x2], opinion[y1:y2, x1:x2])
