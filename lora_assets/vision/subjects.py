"""Which of the bodies in a frame are cut out, what else speaks for each, and likeness to reference pictures.

The likeness here is one of colours; a model of identity takes its place through the same interface (`Describe`). What
belongs elsewhere: finding bodies (detect), what a lack of support costs a crop (score).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lora_assets.vision.body_box import FACE, FROM_FACE, FROM_HEAD, HEAD, SURE_POINT
from lora_assets.vision.boxes import FloatArray, FoundBox, inside_share, xyxy_of
from lora_assets.vision.images import ImageRefused, RgbImage, decode_image, read_file

ALL, LARGEST, CENTRAL, SUREST, REFERENCES = "all", "largest", "central", "surest", "references"
CHOICES = (ALL, LARGEST, CENTRAL, SUREST, REFERENCES)

_INSIDE_SHARE = 0.5
_HEAD_REACH = 0.6
_TORSO_HEADS, _TORSO_WIDTH_HEADS = 3.5, 2.0
_UPPER_SHARE = 0.5
_BINS = (12, 4, 4)
_SIDE = 128


# --- support ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Support:
    """What else speaks for a body: confidence of its head and its face (None: none found), and `agreement`, how sure
    the evidence beside the winning detector is, 0 (it stands alone) to 1."""

    head: float | None
    face: float | None
    agreement: float


def support_of(body: FoundBox, boxes: Sequence[FoundBox]) -> Support:
    """The support of a body among the boxes of its frame.

    A head or face counts when half of it lies in the body's box and its middle in the upper 60 %. Agreement is
    1 - product of (1 - confidence) over the other detectors, the head, the face, and the surest half of the key points
    of the head: independent witnesses (noisy or, Pearl 1988). The box that a body was made from is no witness.
    """
    head, face = (_surest_at_top(body, [box for box in boxes if box.label == label]) for label in (HEAD, FACE))
    witnesses = [confidence for _, confidence in body.votes[1:]]
    witnesses += [head or 0.0] if body.body_from != FROM_HEAD else []
    witnesses += [face or 0.0] if body.body_from != FROM_FACE else []
    if body.key_points is not None:
        sure = np.sort(body.key_points[:5, 2])[-3:]
        witnesses.append(float(sure.mean()) if sure[0] >= SURE_POINT else 0.0)
    doubt = float(np.prod([1.0 - float(np.clip(value, 0.0, 1.0)) for value in witnesses]))
    return Support(head, face, float(np.clip(1.0 - doubt, 0.0, 1.0)))


def _surest_at_top(body: FoundBox, boxes: Sequence[FoundBox]) -> float | None:
    if not boxes:
        return None
    _, y1, _, y2 = body.xyxy
    xyxy = xyxy_of(boxes)
    middle = (xyxy[:, 1] + xyxy[:, 3]) / 2
    fits = inside_share(xyxy, np.array(body.xyxy)[None])[:, 0] >= _INSIDE_SHARE
    fits &= middle <= y1 + _HEAD_REACH * (y2 - y1)
    return max((box.confidence for box, fit in zip(boxes, fits, strict=True) if fit), default=None)


# --- reference pictures ----------------------------------------------------------------------------------------------

Describe = Callable[[RgbImage], FloatArray]
"""A picture in, a vector of length D out whose dot product with another is their likeness, 0 to 1."""


def colour_histogram(image: RgbImage) -> FloatArray:
    """The square roots of the shares of 12 x 4 x 4 bins of hue, saturation and value, inside an ellipse of the picture.

    The dot product of two such vectors is the Bhattacharyya coefficient (1943): 1 for the same colours, 0 for none in
    common. The ellipse leaves most of the background of a box out.
    """
    size = (min(_SIDE, image.shape[1]), min(_SIDE, image.shape[0]))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    inside = np.zeros(small.shape[:2], np.uint8)
    half = (max(1, size[0] // 2), max(1, size[1] // 2))
    cv2.ellipse(inside, (size[0] // 2, size[1] // 2), half, 0, 0, 360, 1, -1)
    hsv = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
    counts = np.asarray(cv2.calcHist([hsv], [0, 1, 2], inside, list(_BINS), [0, 180, 0, 256, 0, 256])).ravel()
    return np.sqrt(counts.astype(np.float64) / max(1.0, float(counts.sum())))


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """Pictures of one character as vectors (N,D) of `describe`; `sha256` tells the pictures' bytes."""

    vectors: FloatArray
    describe: Describe
    sha256: str

    def similarity(self, image: RgbImage) -> float:
        """Likeness of a picture to the most alike reference picture, 0 to 1."""
        return float(np.clip((self.vectors @ self.describe(image)).max(), 0.0, 1.0))


def load_references(folder: Path, describe: Describe = colour_histogram) -> References:
    """The reference pictures in a folder, one character each, ideally head and torso. Of a picture 1.3 times as high as
    wide the upper half is taken. Raises ValueError when the folder is missing or holds no picture that can be read."""
    seen = hashlib.sha256()
    vectors: list[FloatArray] = []
    for path in sorted(p for p in folder.glob("*") if p.is_file() and not p.name.startswith(".")):
        try:
            content = read_file(path)
            pixels = decode_image(content).pixels
        except ImageRefused:
            continue
        seen.update(hashlib.sha256(content).digest())
        height, width = pixels.shape[:2]
        vectors.append(describe(pixels[: height // 2] if height > 1.3 * width else pixels))
    if not vectors:
        raise ValueError(f"{folder} holds no picture of the character: put some there, one character on each")
    return References(np.stack(vectors), describe, seen.hexdigest())


def head_and_torso(image: RgbImage, body: FoundBox, boxes: Sequence[FoundBox]) -> RgbImage:
    """The part of a frame with a body's head and torso: 3.5 heads high and 2 wide from the head found at its top, or
    the upper half of its box. At least one pixel."""
    x1, y1, x2, y2 = body.xyxy
    heads = [box for box in boxes if box.label == HEAD and _surest_at_top(body, [box]) is not None]
    if heads:
        hx1, hy1, hx2, hy2 = max(heads, key=lambda box: box.confidence).xyxy
        unit, middle = hy2 - hy1, (hx1 + hx2) / 2
        half = _TORSO_WIDTH_HEADS * unit / 2
        x1, x2, y1, y2 = max(x1, middle - half), min(x2, middle + half), hy1, min(y2, hy1 + _TORSO_HEADS * unit)
    elif y2 - y1 > 1.3 * (x2 - x1):
        y2 = y1 + _UPPER_SHARE * (y2 - y1)
    left, top = min(int(x1), image.shape[1] - 1), min(int(y1), image.shape[0] - 1)
    return image[top : max(top + 1, int(np.ceil(y2))), left : max(left + 1, int(np.ceil(x2)))]


# --- choice ----------------------------------------------------------------------------------------------------------


def choose_subjects(
    bodies: Sequence[FoundBox], choice: str, size: tuple[int, int], similarities: Sequence[float | None]
) -> list[bool]:
    """Which bodies of a frame of `size` (width, height) are cut out: all, or the one that the choice means.

    largest: by area; central: by the distance of the middles, as a share of the frame's sides; surest: by confidence;
    references: by likeness. Of equals the first. Raises ValueError for an unknown choice.
    """
    if choice == ALL:
        return [True] * len(bodies)
    if choice not in CHOICES:
        raise ValueError(f"there is no choice of subject {choice!r}: choose {', '.join(CHOICES)}")
    if not bodies:
        return []
    xyxy = xyxy_of(bodies)
    if choice == LARGEST:
        rank = (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1)
    elif choice == CENTRAL:
        middles = (xyxy[:, :2] + xyxy[:, 2:]) / 2 / np.array(size, np.float64)
        rank = -np.hypot(*(middles - 0.5).T)
    elif choice == SUREST:
        rank = np.array([body.confidence for body in bodies])
    else:
        rank = np.array([-1.0 if value is None else value for value in similarities])
    chosen = int(np.argmax(rank))
    return [number == chosen for number in range(len(bodies))]
