"""WD taggers (SmilingWolf/wd-*-tagger, as ONNX): pictures in, Danbooru tags with scores out.

Input NHWC float32 of BGR levels 0 to 255, the picture centred on a white square; one output [N, tags] of scores 0 to 1,
in the order of `selected_tags.csv` (tag_id, name, category, count; category 0 general, 4 character, 9 rating). As the
author's own demonstration reads it (huggingface.co/spaces/SmilingWolf/wd-tagger). Which tags become a caption does not
belong here (exports).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.models import ModelError
from lora_assets.vision.images import RgbImage
from lora_assets.vision.yolo_onnx import open_session

CODE_VERSION = "1"

FLOOR = 0.1
"""Tags under this score are not kept; thresholds of captions lie above it."""

GENERAL, CHARACTER, RATING, OTHER = "general", "character", "rating", "other"
_CATEGORIES = {"0": GENERAL, "4": CHARACTER, "9": RATING}
_WHITE = 255
_FALLBACK_SIDE = 448
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag of a picture: its name with underscores, its category, its score 0..1."""

    name: str
    category: str
    score: float


Tagger = Callable[[Sequence[RgbImage]], list[list[Tag]]]
"""Pictures HxWx3 of any sizes in; for each its tags from FLOOR on, surest first."""


def read_tag_list(path: Path) -> list[tuple[str, str]]:
    """Name and category of every tag of a `selected_tags.csv`, in order. Raises ModelError for another kind of file."""
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = [(row["name"], _CATEGORIES.get(row["category"], OTHER)) for row in csv.DictReader(handle)]
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise ModelError(
            f"{path} is no list of tags with the columns name and category ({type(error).__name__}: {error}): fetch "
            "the selected_tags.csv of the tagger and lay it beside its model"
        ) from error
    if not rows:
        raise ModelError(f"{path} names no tags: fetch the selected_tags.csv of the tagger again")
    return rows


def load_tagger(model: Path, tag_list: Path, threads: int = 1) -> Tagger:
    """The tagger of an ONNX file and its list of tags. Raises ModelError, naming file, reason and way out, when one is
    damaged or they do not belong together."""
    tags = read_tag_list(tag_list)
    session = open_session(model, threads)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shape = list(inputs[0].shape)
    if len(inputs) != 1 or len(shape) != 4 or shape[3] != 3 or inputs[0].type != "tensor(float)":
        told = [(one.name, one.shape, one.type) for one in inputs]
        raise ModelError(
            f"{model} is no WD tagger ({told}; expected one input [batch,448,448,3] of floats): choose another file"
        )
    answered = outputs[0].shape[-1]
    if isinstance(answered, int) and answered != len(tags):
        raise ModelError(
            f"{model} answers with {answered} scores, but {tag_list} names {len(tags)} tags: they do not belong "
            "together, fetch both anew"
        )
    side = shape[1] if isinstance(shape[1], int) else _FALLBACK_SIDE
    most = shape[0] if isinstance(shape[0], int) else 0
    feed, answer = inputs[0].name, outputs[0].name

    def ask(images: Sequence[RgbImage]) -> list[list[Tag]]:
        found: list[list[Tag]] = []
        step = most or max(1, len(images))
        for start in range(0, len(images), step):
            part = images[start : start + step]
            pixels = np.stack([as_tagger_input(image, side) for image in part])
            if most and len(part) < most:
                pixels = np.concatenate([pixels, np.repeat(pixels[-1:], most - len(part), axis=0)])
            scores = np.asarray(session.run([answer], {feed: pixels})[0], np.float32)[: len(part)]
            _check_scores(scores, len(part), len(tags), model)
            found.extend(_tags_of(row, tags) for row in scores)
        return found

    return ask


def as_tagger_input(image: RgbImage, side: int) -> npt.NDArray[np.float32]:
    """A picture HxWx3 as the tagger takes it: centred on a white square, `side` pixels, BGR levels 0..255, float32."""
    height, width = image.shape[:2]
    longest = max(height, width)
    square = np.full((longest, longest, 3), _WHITE, np.uint8)
    top, left = (longest - height) // 2, (longest - width) // 2
    square[top : top + height, left : left + width] = image
    if longest != side:
        method = cv2.INTER_AREA if longest > side else cv2.INTER_CUBIC
        square = np.asarray(cv2.resize(square, (side, side), interpolation=method))
    return np.ascontiguousarray(square[:, :, ::-1], np.float32)


def _check_scores(scores: npt.NDArray[np.float32], pictures: int, tags: int, model: Path) -> None:
    if scores.shape != (pictures, tags):
        raise ModelError(f"{model} answers with shape {scores.shape}, not {(pictures, tags)}: choose another file")
    if not np.isfinite(scores).all() or scores.min() < -_ROUNDING or scores.max() > 1 + _ROUNDING:
        raise ModelError(
            f"{model} answers with values from {scores.min():.3g} to {scores.max():.3g}, and scores lie from 0 to 1: "
            "it was exported without its last sigmoid, choose the author's own file"
        )


def _tags_of(scores: npt.NDArray[np.float32], tags: Sequence[tuple[str, str]]) -> list[Tag]:
    order = np.argsort(-scores, kind="stable")
    kept = order[scores[order] >= FLOOR]
    return [Tag(*tags[int(index)], float(np.clip(scores[index], 0.0, 1.0))) for index in kept]
