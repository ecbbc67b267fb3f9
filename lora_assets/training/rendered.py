"""Drawn frames with their truth, kept on disk so that a training draws every scene once.

One file holds one frame: the picture as JPEG, who owns each pixel as PNG, and the boxes. What a training cuts from a
frame is made in `lora_assets.training.views`; how scenes look is decided in `lora_assets.scenes`, never here.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lora_assets.store import atomic_write_bytes

if TYPE_CHECKING:
    from lora_assets.scenes import SceneFrame

FRAME_SIZES = ((854, 480), (854, 480), (854, 480), (854, 480), (640, 480), (480, 640), (600, 600), (1024, 440))
"""Widths and heights that frames are drawn in, in turn by seed: mostly 16:9, some old, upright, square, wide."""
JPEG_QUALITY = 92
FIRST_UNSEEN_SEED = 900_000
"""Frames with seeds from here on are never trained on, and their characters have held-out hair, clothes and colours."""
HELD_OUT_THINGS = frozenset(
    {"dog", "penguin", "robot", "bag", "guitar", "bicycle", "table", "lamp_post", "trunk", "streamers"}
)
"""Things whose pixels no training is told of, so that it can be measured what it makes of a thing that it was not."""
RENDERER_NOTE = "renderers.txt"
"""Beside the frames: which versions of the renderer drew them."""

DrawScene = Callable[[int, int, int], "SceneFrame"]


@dataclass(frozen=True, slots=True)
class RenderedFrame:
    """A drawn frame with its truth as arrays.

    `image` is uint8 HxWx3 RGB; `owners` uint8 HxW, 0 for background and k for the k-th character; `things` uint8 HxW
    the same for what is no character (nothing in frames that were kept before things were); the boxes are float32 Nx4
    xyxy pixels, NaN rows where a head or face is not visible.
    """

    seed: int
    image: np.ndarray
    owners: np.ndarray
    things: np.ndarray
    boxes: np.ndarray
    head_boxes: np.ndarray
    face_boxes: np.ndarray


def rendered_frame(scene: SceneFrame) -> RenderedFrame:
    """The arrays of a drawn scene. Raises ValueError when two claim one pixel, or there are more than 255."""
    owners = np.zeros(scene.image.shape[:2], np.uint8)
    if len(scene.characters) > 255:
        raise ValueError(f"scene {scene.seed} has {len(scene.characters)} characters; a frame file holds 255 at most")
    for number, character in enumerate(scene.characters, start=1):
        if owners[character.mask].any():
            raise ValueError(f"scene {scene.seed}: character {number} claims pixels of another; masks must be disjoint")
        owners[character.mask] = number
    things = np.zeros_like(owners)
    for number, thing in enumerate([each for each in scene.things if each.name not in HELD_OUT_THINGS][:255], start=1):
        things[thing.mask] = number
    return RenderedFrame(
        seed=scene.seed,
        image=scene.image,
        owners=owners,
        things=things,
        boxes=_box_rows([character.box for character in scene.characters]),
        head_boxes=_box_rows([character.head_box for character in scene.characters]),
        face_boxes=_box_rows([character.face_box for character in scene.characters]),
    )


def frame_path(folder: Path, seed: int) -> Path:
    """Where the frame of `seed` lies under `folder`."""
    return folder / f"frame_{seed:09d}.npz"


def write_frame(path: Path, frame: RenderedFrame) -> None:
    """Write one frame atomically; the picture loses a little to JPEG, as video frames do."""
    jpeg = cv2.imencode(".jpg", frame.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    owners, things = (
        cv2.imencode(".png", layer, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1] for layer in (frame.owners, frame.things)
    )
    content = io.BytesIO()
    np.savez(
        content,
        seed=np.int64(frame.seed),
        jpeg=jpeg.reshape(-1),
        owners=owners.reshape(-1),
        things=things.reshape(-1),
        boxes=frame.boxes,
        head_boxes=frame.head_boxes,
        face_boxes=frame.face_boxes,
    )
    atomic_write_bytes(path, content.getvalue())


def read_frame(path: Path) -> RenderedFrame:
    """Read what `write_frame` wrote. Raises OSError when the file is missing and ValueError when it is damaged."""
    with np.load(path, allow_pickle=False) as stored:
        image = cv2.imdecode(stored["jpeg"], cv2.IMREAD_COLOR)
        owners = cv2.imdecode(stored["owners"], cv2.IMREAD_GRAYSCALE)
        if image is None or owners is None:
            raise ValueError(f"{path.name} is damaged: delete it, and it will be drawn again")
        things = cv2.imdecode(stored["things"], cv2.IMREAD_GRAYSCALE) if "things" in stored else np.zeros_like(owners)
        if things is None:
            raise ValueError(f"{path.name} is damaged: delete it, and it will be drawn again")
        return RenderedFrame(
            seed=int(stored["seed"]),
            image=np.ascontiguousarray(image[..., ::-1]),
            owners=owners.reshape(owners.shape[:2]),
            things=things.reshape(owners.shape[:2]),
            boxes=stored["boxes"],
            head_boxes=stored["head_boxes"],
            face_boxes=stored["face_boxes"],
        )


def frame_size(seed: int) -> tuple[int, int]:
    """Width and height that the frame of `seed` is drawn in."""
    return FRAME_SIZES[seed % len(FRAME_SIZES)]


def draw_frame(seed: int, draw: DrawScene | None = None) -> RenderedFrame:
    """The frame of `seed` in its own size, drawn by `lora_assets.scenes` unless another `draw` is given."""
    if draw is None:
        from lora_assets.scenes import draw_scene

        draw = partial(draw_scene, looks="training" if seed < FIRST_UNSEEN_SEED else "held_out")
    width, height = frame_size(seed)
    return rendered_frame(draw(seed, width, height))


def render_frames(folder: Path, seeds: Sequence[int], draw: DrawScene | None = None, processes: int = 1) -> list[Path]:
    """Draw the frames of `seeds` that `folder` lacks, and return the files of all, in the order of `seeds`."""
    missing = [seed for seed in seeds if not frame_path(folder, seed).exists()]
    if missing:
        _note_renderer(folder)
    work = partial(_render_one, folder, draw)
    if processes > 1 and missing:
        with ProcessPoolExecutor(max_workers=min(processes, os.cpu_count() or 1)) as pool:
            for _ in pool.map(work, missing, chunksize=16):
                pass
    else:
        for seed in missing:
            work(seed)
    return [frame_path(folder, seed) for seed in seeds]


def renderer_digest() -> str:
    """SHA-256 over the source of `lora_assets.scenes`: which drawing frames come from."""
    spec = find_spec("lora_assets.scenes")
    folders = [Path(place) for place in spec.submodule_search_locations or ()] if spec else []
    state = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.glob("*.py")):
        state.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return state.hexdigest()


def drawn_by(folder: Path) -> list[str]:
    """The renderer digests that drew frames of `folder`, sorted; more than one when the drawing changed meanwhile."""
    note = folder / RENDERER_NOTE
    return sorted(note.read_text(encoding="utf-8").split()) if note.exists() else []


def _note_renderer(folder: Path) -> None:
    digests = sorted({*drawn_by(folder), renderer_digest()})
    atomic_write_bytes(folder / RENDERER_NOTE, "\n".join(digests).encode())


def _render_one(folder: Path, draw: DrawScene | None, seed: int) -> None:
    write_frame(frame_path(folder, seed), draw_frame(seed, draw))


def _box_rows(boxes: Sequence[tuple[float, float, float, float] | None]) -> np.ndarray:
    rows = [(np.nan,) * 4 if box is None else box for box in boxes]
    return np.array(rows, np.float32).reshape(-1, 4)
