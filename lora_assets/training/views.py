"""Views: what a training sees of a drawn frame, cut by a window, resized, padded, mirrored and recoloured.

Boxes and pixel owners follow the picture. Only shapes and colours are changed here; turning views into tensors and
losses does not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from lora_assets.training.rendered import RenderedFrame

VIEWS_PER_FRAME = 2
"""Views that a training cuts from a frame once it is read, as reading costs as much as cutting several."""
FEWEST_MASK_PIXELS = 48
SHORTEST_PERSON_SIDE = 7.0
SHORTEST_FACE_SIDE = 4.0
SMALLEST_SHARE_OF_HEAD = 0.45
PADDING_GREY = 114


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of a frame in xyxy pixels; it may reach outside, where the view is padded."""

    x1: float
    y1: float
    x2: float
    y2: float


@dataclass(frozen=True, slots=True)
class View:
    """A view of a frame.

    `image` uint8 HxWx3 RGB, `owners` uint8 HxW (0 background, k the k-th character), `inside` bool HxW where the frame
    is seen and not padding; boxes are float32 Nx4 xyxy in view pixels, NaN rows where too little is to be seen.
    """

    image: np.ndarray
    owners: np.ndarray
    inside: np.ndarray
    boxes: np.ndarray
    head_boxes: np.ndarray
    face_boxes: np.ndarray


def letterbox_window(frame_width: int, frame_height: int, width: int, height: int) -> Window:
    """The window that shows a whole frame centred in a view of `width` x `height`."""
    scale = min(width / frame_width, height / frame_height)
    half_width, half_height = width / scale / 2, height / scale / 2
    return Window(
        frame_width / 2 - half_width,
        frame_height / 2 - half_height,
        frame_width / 2 + half_width,
        frame_height / 2 + half_height,
    )


def random_window(
    rng: np.random.Generator,
    frame: RenderedFrame,
    width: int,
    height: int,
    closest: float = 0.35,
    farthest: float = 1.5,
) -> Window:
    """A window with the aspect of the view, its size log-uniform in [closest, farthest] of the letterbox window.

    Half of the closer ones are aimed at a character, so that close-ups of heads appear.
    """
    full = letterbox_window(frame.image.shape[1], frame.image.shape[0], width, height)
    size = float(np.exp(rng.uniform(np.log(closest), np.log(farthest))))
    window_width, window_height = (full.x2 - full.x1) * size, (full.y2 - full.y1) * size
    targets = np.concatenate([frame.boxes, frame.head_boxes])
    targets = targets[~np.isnan(targets[:, 0])]
    if size < 1 and len(targets) and rng.random() < 0.5:
        x1, y1, x2, y2 = targets[rng.integers(len(targets))]
        centre_x, centre_y = rng.uniform(x1, x2), rng.uniform(y1, y2)
    else:
        centre_x = _slide(rng, frame.image.shape[1], window_width)
        centre_y = _slide(rng, frame.image.shape[0], window_height)
    left, top = centre_x - window_width / 2, centre_y - window_height / 2
    return Window(left, top, left + window_width, top + window_height)


def cut_view(frame: RenderedFrame, window: Window, width: int, height: int, padding: int = PADDING_GREY) -> View:
    """The view of `window` in `width` x `height` pixels; what lies outside the frame is grey `padding`."""
    scale_x, scale_y = width / (window.x2 - window.x1), height / (window.y2 - window.y1)
    frame_height, frame_width = frame.image.shape[:2]
    left, top = max(0, round(window.x1)), max(0, round(window.y1))
    right, bottom = min(frame_width, round(window.x2)), min(frame_height, round(window.y2))
    image = np.full((height, width, 3), padding, np.uint8)
    owners = np.zeros((height, width), np.uint8)
    inside = np.zeros((height, width), bool)
    x1, x2 = (int(np.clip(round((x - window.x1) * scale_x), 0, width)) for x in (left, right))
    y1, y2 = (int(np.clip(round((y - window.y1) * scale_y), 0, height)) for y in (top, bottom))
    if right > left and bottom > top and x2 > x1 and y2 > y1:
        smooth = cv2.INTER_AREA if scale_x < 1 else cv2.INTER_LINEAR
        part = np.s_[top:bottom, left:right]
        image[y1:y2, x1:x2] = cv2.resize(frame.image[part], (x2 - x1, y2 - y1), interpolation=smooth)
        owners[y1:y2, x1:x2] = cv2.resize(frame.owners[part], (x2 - x1, y2 - y1), interpolation=cv2.INTER_NEAREST)
        inside[y1:y2, x1:x2] = True
    shift = np.array([window.x1, window.y1, window.x1, window.y1], np.float32)
    zoom = np.array([scale_x, scale_y, scale_x, scale_y], np.float32)
    return View(
        image=image,
        owners=owners,
        inside=inside,
        boxes=owner_boxes(owners, len(frame.boxes)),
        head_boxes=_clipped((frame.head_boxes - shift) * zoom, (x1, y1, x2, y2)),
        face_boxes=_clipped((frame.face_boxes - shift) * zoom, (x1, y1, x2, y2)),
    )


def owner_boxes(owners: np.ndarray, count: int) -> np.ndarray:
    """Bounds of the pixels of owners 1..count, float32 Nx4 xyxy; NaN rows for those of whom too little is seen."""
    boxes = np.full((count, 4), np.nan, np.float32)
    for index in range(count):
        mask = owners == index + 1
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        if len(columns) == 0 or np.count_nonzero(mask) < FEWEST_MASK_PIXELS:
            continue
        box = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        if min(box[2] - box[0], box[3] - box[1]) >= SHORTEST_PERSON_SIDE:
            boxes[index] = box
    return boxes


def mirrored(view: View) -> View:
    """The view with left and right exchanged."""
    width = view.image.shape[1]

    def flip(boxes: np.ndarray) -> np.ndarray:
        return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)

    return View(
        image=np.ascontiguousarray(view.image[:, ::-1]),
        owners=np.ascontiguousarray(view.owners[:, ::-1]),
        inside=np.ascontiguousarray(view.inside[:, ::-1]),
        boxes=flip(view.boxes),
        head_boxes=flip(view.head_boxes),
        face_boxes=flip(view.face_boxes),
    )


def recoloured(view: View, rng: np.random.Generator) -> View:
    """The view with another hue, saturation and brightness, sometimes grey, blurred or noisy."""
    image = view.image
    if rng.random() < 0.7:
        hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV))
        hue = (hue.astype(np.int16) + int(rng.integers(-20, 21))) % 180
        saturation = saturation * rng.uniform(0.5, 1.4)
        value = value * rng.uniform(0.6, 1.3)
        parts = [np.clip(part, 0, 255).astype(np.uint8) for part in (hue, saturation, value)]
        image = cv2.cvtColor(cv2.merge(parts), cv2.COLOR_HSV2RGB)
    if rng.random() < 0.08:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.4)))
    if rng.random() < 0.15:
        noise = rng.normal(0, rng.uniform(1, 7), image.shape[:2])[..., None]
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return replace(view, image=image)


def random_view(
    rng: np.random.Generator, frame: RenderedFrame, width: int, height: int, share_of_whole: float = 0.55
) -> View:
    """A training view: the whole frame letterboxed in `share_of_whole` of the cases, otherwise a random window."""
    if rng.random() < share_of_whole:
        window = letterbox_window(frame.image.shape[1], frame.image.shape[0], width, height)
    else:
        window = random_window(rng, frame, width, height)
    view = cut_view(frame, window, width, height)
    if rng.random() < 0.5:
        view = mirrored(view)
    return recoloured(view, rng)


def _slide(rng: np.random.Generator, frame_side: int, window_side: float) -> float:
    low, high = sorted((window_side / 2, frame_side - window_side / 2))
    return float(rng.uniform(low, high))


def _clipped(boxes: np.ndarray, seen: tuple[int, int, int, int]) -> np.ndarray:
    x1, y1, x2, y2 = seen
    clipped = np.clip(boxes, np.array([x1, y1, x1, y1]), np.array([x2, y2, x2, y2])).astype(np.float32)
    size, area = clipped[:, 2:] - clipped[:, :2], np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    with np.errstate(invalid="ignore"):
        lost = (np.prod(size, axis=1) < SMALLEST_SHARE_OF_HEAD * area) | (size.min(axis=1) < SHORTEST_FACE_SIDE)
    clipped[lost] = np.nan
    return clipped
