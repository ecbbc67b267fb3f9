"""Pose confidence: how surely the 17 key points of COCO are found, by RTMPose or from the detections table.

RTMPose (Jiang et al. 2023) as exported by its authors: `input[N,3,h,w]` (RGB, ImageNet's mean and deviation in
levels) -> `simcc_x[N,17,2w]`, `simcc_y[N,17,2h]` (SimCC, Li et al. 2022). Its zip file is read as it comes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.models import ModelError
from lora_assets.quality.answers import NO_WINDOW, Answer, MeasureCrops, checked
from lora_assets.quality.batches import Batches
from lora_assets.quality.pictures import QualityCrop
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import mask_bounds
from lora_assets.vision.yolo_onnx import execution_providers, open_session

CODE_VERSION = "1"

KEY_POINTS = 17
_SURE = 0.3
_PADDING = 1.25
_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
_STD = np.array([58.395, 57.12, 57.375], np.float32)

FloatArray = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]


def pose_answer(confidences: npt.NDArray[Any]) -> Answer:
    """The answer for 17 confidences: their mean (0..1), and the share that was found (surer than 0.3)."""
    sure = np.clip(np.asarray(confidences, np.float64), 0.0, 1.0)
    return checked(float(sure.mean()), (float((sure >= _SURE).mean()),))


def pose_of_table(crop: QualityCrop) -> Answer:
    """Pose confidence from the key points of the detections table."""
    if crop.key_points is None:
        return Answer(None, "the detections hold no key points of it: name a pose model in section [detect]")
    return pose_answer(crop.key_points[:, 2])


def person_pixels(picture: RgbImage, box: Box, size: tuple[int, int]) -> tuple[FloatArray, npt.NDArray[np.float64]]:
    """The network's input (3, height, width) of `size` (width, height) for a box, grown by a quarter and to the input's
    shape, black outside the picture; and the 2x3 matrix from the picture to the input."""
    width, height = size
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    wide, tall = (box[2] - box[0]) * _PADDING, (box[3] - box[1]) * _PADDING
    wide = max(wide, tall * width / height, 1.0)
    scale = width / wide
    matrix = np.array(
        [[scale, 0.0, width / 2 - scale * centre[0]], [0.0, scale, height / 2 - scale * centre[1]]], np.float64
    )
    fitted = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR)
    return np.ascontiguousarray(((np.asarray(fitted, np.float32) - _MEAN) / _STD).transpose(2, 0, 1)), matrix


def decode_simcc(
    across: FloatArray, down: FloatArray, size: tuple[int, int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Points (n, 17, 2) in the input's pixels and confidences (n, 17) of the two answers (n, 17, bins): the place of
    each maximum over the bins per pixel, and the smaller of both maxima."""
    places = np.stack(
        [across.argmax(axis=2) * size[0] / across.shape[2], down.argmax(axis=2) * size[1] / down.shape[2]], axis=2
    )
    return places.astype(np.float64), np.minimum(across.max(axis=2), down.max(axis=2)).astype(np.float64)


def open_pose(path: Path, threads: int) -> Any:
    """A session of an .onnx file, or of the one inside the authors' .zip. Raises ModelError, naming the file."""
    if path.suffix.lower() != ".zip":
        return open_session(path, threads)
    import onnxruntime

    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".onnx"))
            content = archive.read(name)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        return onnxruntime.InferenceSession(content, options, providers=execution_providers())
    except Exception as error:
        raise ModelError(f"{path} holds no readable ONNX file ({error}): fetch or copy the file again") from error


def rtmpose_measure(path: Path, *, picture: str, threads: int, batches: Batches) -> MeasureCrops:
    """What measures `pose_rtmpose` with the network of a file. Raises ModelError when its signature is another."""
    session = open_pose(path, threads)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape = list(inputs[0].shape)
    bins = [list(each.shape) for each in outputs]
    fits = len(inputs) == 1 and len(shape) == 4 and shape[1] == 3 and all(isinstance(n, int) for n in shape[2:])
    if not fits or len(bins) != 2 or any(len(each) != 3 or each[1] != KEY_POINTS for each in bins):
        raise ModelError(
            f"{path} is no RTMPose network of {KEY_POINTS} key points ({shape} -> {bins}; expected [N,3,256,192] -> "
            "simcc_x [N,17,384], simcc_y [N,17,512]): choose other weights in section [quality], pose_model"
        )
    size = (int(shape[3]), int(shape[2]))
    one_by_one = shape[0] == 1
    names_out = [each.name for each in outputs]

    def confidences(people: Sequence[FloatArray]) -> Sequence[npt.NDArray[np.float64]]:
        fed = np.stack(people)
        parts = [fed[i : i + 1] for i in range(len(fed))] if one_by_one else [fed]
        found = []
        for part in parts:
            across, down = session.run(names_out, {inputs[0].name: part})
            found.extend(decode_simcc(across, down, size)[1])
        return found

    def measure(crops: Sequence[QualityCrop], names: Sequence[str]) -> dict[str, list[Answer]]:
        answers = [Answer(None, NO_WINDOW) for _ in crops]
        people, places = [], []
        for place, crop in enumerate(crops):
            shown, bounds = crop.shown(picture), mask_bounds(crop.mask)
            if shown is None or bounds is None:
                continue
            x, y, width, height = bounds
            people.append(person_pixels(shown, (x, y, x + width, y + height), size)[0])
            places.append(place)
        for place, found in zip(places, batches.run(confidences, people), strict=True):
            answers[place] = pose_answer(found) if np.isfinite(found).all() else checked(float("nan"))
        return dict.fromkeys(names, answers)

    return measure
