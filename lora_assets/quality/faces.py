"""Face quality: detector's confidence, size and pose, with sharpness, even lighting and visibility as further parts.

Faces come from the detections table (drawings: whatever face detector the tracker names) or from YuNet (photographs).
A crop without a face has no face quality: a figure seen from behind is not a bad one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.models import ModelError
from lora_assets.quality.answers import NO_WINDOW, Answer, MeasureCrops
from lora_assets.quality.figure import sharpness
from lora_assets.quality.pictures import Box, QualityCrop
from lora_assets.quality.settings import FACE_PARTS
from lora_assets.vision.masks import BoolMask

CODE_VERSION = "1"

PARTS = tuple(FACE_PARTS)
_LEAST_SIDE, _FULL_SIDE = 28.0, 128.0
_LEAST_COVER = 0.5
_NOSE, _EYES = 0, (1, 2)
_SURE_POINT = 0.3
_YUNET_SIDE = 640
_YUNET_SCORE = 0.6

Points = npt.NDArray[np.float64]


def size_part(side: float) -> float:
    """0..1 of the face's longer side in pixels of the frame: 0 up to 28 (nothing of it can be learned), 1 from 128."""
    return float(np.clip(math.log(max(side, 1.0) / _LEAST_SIDE) / math.log(_FULL_SIDE / _LEAST_SIDE), 0.0, 1.0))


def pose_part(eyes: Points, nose: Points) -> float:
    """0..1: 1 for a face turned to the viewer, from both eyes (2, 2) and the nose (2,).

    Turned aside: the nose leaves the middle between the eyes, along their line, in half distances of the eyes.
    Tilted: cosine of the eyes' line.
    """
    line = eyes[1] - eyes[0]
    distance = float(np.hypot(*line))
    if distance < 1e-6:
        return 0.0
    aside = abs(float(np.dot(nose - eyes.mean(axis=0), line))) / (0.5 * distance * distance)
    return max(0.0, 1.0 - aside) * abs(float(line[0])) / distance


def lighting_part(grey: npt.NDArray[np.uint8], inside: BoolMask) -> float | None:
    """0..1: how evenly the face is lit: the darker of its left and right half over the lighter, mean luminance of what
    the mask holds; None where a half is empty or both are black."""
    half = grey.shape[1] // 2
    left, right = grey[:, :half][inside[:, :half]], grey[:, half:][inside[:, half:]]
    if not left.size or not right.size:
        return None
    darker, lighter = sorted((float(left.mean()), float(right.mean())))
    return darker / lighter if lighter > 0 else None


def _clipped(box: Box, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    left, top = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    return left, top, max(left, min(shape[1], math.ceil(box[2]))), max(top, min(shape[0], math.ceil(box[3])))


def cover_of(crop: QualityCrop, box: Box) -> float:
    """Share 0..1 of the oval in a face's box that the mask holds; what lies outside the crop counts as hidden."""
    left, top, right, bottom = _clipped(box, crop.mask.shape)
    if right <= left or bottom <= top:
        return 0.0
    down, across = np.mgrid[top:bottom, left:right]
    half_wide, half_tall = max((box[2] - box[0]) / 2, 0.5), max((box[3] - box[1]) / 2, 0.5)
    oval = ((across + 0.5 - (box[0] + box[2]) / 2) / half_wide) ** 2 + (
        (down + 0.5 - (box[1] + box[3]) / 2) / half_tall
    ) ** 2 <= 1.0
    held = int(np.count_nonzero(oval & crop.mask[top:bottom, left:right]))
    return min(1.0, held / max(math.pi * half_wide * half_tall, 1.0))


def face_answer(
    crop: QualityCrop, box: Box, confidence: float, pose: float | None, weights: Mapping[str, float]
) -> Answer:
    """Face quality of one face (box in the crop's pixels): the weighted mean of its parts that could be told."""
    left, top, right, bottom = _clipped(box, crop.mask.shape)
    grey, inside = crop.grey[top:bottom, left:right], crop.mask[top:bottom, left:right]
    sharp = sharpness(grey, inside)[0] if inside.any() else None
    parts: dict[str, float | None] = {
        "confidence": float(np.clip(confidence, 0.0, 1.0)),
        "size": size_part(max(box[2] - box[0], box[3] - box[1]) / crop.scale),
        "pose": pose,
        "sharpness": sharp,
        "lighting": lighting_part(grey, inside),
        "visible": cover_of(crop, box),
    }
    told = {name: value for name, value in parts.items() if value is not None and weights[name] > 0}
    given = tuple(math.nan if parts[name] is None else float(parts[name] or 0.0) for name in PARTS)
    if not told:
        return Answer(None, "none of the parts of the face that weigh something could be told", given)
    total = sum(weights[name] for name in told)
    return Answer(sum(weights[name] * value for name, value in told.items()) / total, "", given)


def face_of_table(crop: QualityCrop, weights: Mapping[str, float]) -> Answer:
    """Face quality from the detections: the largest face whose oval the mask holds, posed by the key points."""
    held = [(box, sure) for box, sure in crop.faces if cover_of(crop, box) >= _LEAST_COVER]
    if not held:
        return Answer(None, "no face was detected in it" if not crop.faces else "the detected faces are of others")
    box, confidence = max(held, key=lambda face: (face[0][2] - face[0][0]) * (face[0][3] - face[0][1]))
    points = crop.key_points
    pose = None
    if points is not None and min(points[place, 2] for place in (_NOSE, *_EYES)) >= _SURE_POINT:
        pose = pose_part(points[list(_EYES), :2], points[_NOSE, :2])
    return face_answer(crop, box, confidence, pose, weights)


def yunet_measure(path: Path, weights: Mapping[str, float]) -> MeasureCrops:
    """What measures `face_yunet` with the network of an ONNX file (github.com/opencv/opencv_zoo, 2023mar).

    Raises ModelError, naming the file, when OpenCV cannot read it as YuNet.
    """
    level = cv2.utils.logging.getLogLevel()
    try:
        # OpenCV warns of a choice of its own at every opening.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        detector = cv2.FaceDetectorYN.create(str(path), "", (320, 320), _YUNET_SCORE)
        detector.detect(np.zeros((320, 320, 3), np.uint8))
    except (cv2.error, AttributeError) as error:
        raise ModelError(
            f"{path} is no face detector of the YuNet family ({error}): fetch it with lora-assets models pull yunet"
        ) from error
    finally:
        cv2.utils.logging.setLogLevel(level)

    def one(crop: QualityCrop) -> Answer:
        if not crop.has_background:
            return Answer(None, NO_WINDOW)
        picture = crop.colour
        scale = min(1.0, _YUNET_SIDE / max(picture.shape[:2]))
        size = (max(16, round(picture.shape[1] * scale)), max(16, round(picture.shape[0] * scale)))
        small = np.ascontiguousarray(np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))[..., ::-1])
        detector.setInputSize(size)
        _, found = detector.detect(small)
        back = np.array([picture.shape[1] / size[0], picture.shape[0] / size[1]])
        best: tuple[float, Box, float, float] | None = None
        for row in np.asarray(found, np.float64) if found is not None else ():
            corner, extent = row[0:2] * back, row[2:4] * back
            box = (corner[0], corner[1], corner[0] + extent[0], corner[1] + extent[1])
            if not np.isfinite(row).all() or cover_of(crop, box) < _LEAST_COVER:
                continue
            points = row[4:14].reshape(5, 2) * back
            area = float(extent[0] * extent[1])
            if best is None or area > best[0]:
                best = (area, box, float(row[14]), pose_part(points[:2], points[2]))
        if best is None:
            return Answer(None, "no face was found in it")
        return face_answer(crop, best[1], best[2], best[3], weights)

    def measure(crops: Sequence[QualityCrop], names: Sequence[str]) -> dict[str, list[Answer]]:
        answers = [one(crop) for crop in crops]
        return dict.fromkeys(names, answers)

    return measure
