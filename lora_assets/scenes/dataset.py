"""Drawn frames as files for others: pictures and one COCO-like truth.json, and the contact sheet of random scenes.

The format is that of COCO instances (cocodataset.org/#format-data): `images`, `annotations`, `categories`, masks as
uncompressed run lengths in column order, with what COCO has no field for beside it (identity, head and face boxes,
effects, lettering, things; shot, held drawing and camera of films).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from lora_assets.run_lengths import run_lengths
from lora_assets.scenes.scene import draw_scene
from lora_assets.scenes.shots import FilmFrame
from lora_assets.scenes.truth import Box, SceneFrame
from lora_assets.store import StoreError, atomic_write_bytes, atomic_write_json

TRUTH_FILE = "truth.json"
KEY_POINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
GAP = 4
GAP_RGB = (24, 22, 28)
LONGEST_SHEET_SIDE = 65_500
MOST_SHEET_PIXELS = 256_000_000


def write_dataset(
    folder: Path, frames: Iterable[SceneFrame | FilmFrame], told: Callable[[int], None] | None = None
) -> Path:
    """Write frames as PNG files and their truth as truth.json into `folder`, and return the truth's path.

    The truth is written last and at once: a folder with a truth.json is complete, and an earlier run's truth, and its
    frames that the new one does not name, are removed. `told` hears the number of frames written after each. Raises
    StoreError when a file cannot be written or removed.
    """
    _remove([folder / TRUTH_FILE])
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, drawn in enumerate(frames, start=1):
        frame = drawn.frame if isinstance(drawn, FilmFrame) else drawn
        name = f"frame_{number:06d}.png"
        done, content = cv2.imencode(".png", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
        if not done:
            raise RuntimeError(f"{name} could not be encoded as PNG")
        atomic_write_bytes(folder / name, content.tobytes(), durable=False)
        film = _film_fields(drawn) if isinstance(drawn, FilmFrame) else {}
        images.append({"id": number, "file_name": name, **_image_fields(frame), **film})
        annotations += [
            {"id": len(annotations) + place, "image_id": number, **fields}
            for place, fields in enumerate(_annotation_fields(frame), start=1)
        ]
        if told is not None:
            told(number)
    categories = [{"id": 1, "name": "character", "supercategory": "character", "keypoints": list(KEY_POINTS)}]
    path = folder / TRUTH_FILE
    _remove(sorted(set(folder.glob(f"frame_{'[0-9]' * 6}.png")) - {folder / image["file_name"] for image in images}))
    atomic_write_json(path, {"images": images, "annotations": annotations, "categories": categories})
    return path


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{path} of an earlier run cannot be removed ({error}): name another folder") from error


def _image_fields(frame: SceneFrame) -> dict[str, Any]:
    return {
        "width": frame.image.shape[1],
        "height": frame.image.shape[0],
        "seed": frame.seed,
        "style": frame.style,
        "effects": [{"name": effect.name, "strength": effect.strength} for effect in frame.effects],
        "lettering": [_xywh(box) for box in frame.lettering],
        "things": [{"name": thing.name, "bbox": _xywh(thing.box)} for thing in frame.things],
    }


def _film_fields(film: FilmFrame) -> dict[str, Any]:
    return {
        "shot": film.shot,
        "step": film.step,
        "held": film.held,
        "camera": {"zoom": film.camera.zoom, "x": film.camera.x, "y": film.camera.y},
        "move": film.move,
        "transition": film.transition,
        "repeats": film.repeats,
    }


def _annotation_fields(frame: SceneFrame) -> list[dict[str, Any]]:
    return [
        {
            "category_id": 1,
            "bbox": _xywh(character.box),
            "area": int(np.count_nonzero(character.mask)),
            "segmentation": {"size": list(character.mask.shape), "counts": run_lengths(character.mask)},
            "iscrowd": 0,
            "identity": character.identity,
            "head_bbox": None if character.head_box is None else _xywh(character.head_box),
            "face_bbox": None if character.face_box is None else _xywh(character.face_box),
            "num_keypoints": int(np.count_nonzero(character.key_points[:, 2])),
            "keypoints": character.key_points.astype(float).round(2).reshape(-1).tolist(),
            "visible_parts": list(character.visible_parts),
            "cut_by_frame": character.cut_by_frame,
        }
        for character in frame.characters
    ]


def _xywh(box: Box) -> list[float]:
    return [round(box[0], 2), round(box[1], 2), round(box[2] - box[0], 2), round(box[3] - box[1], 2)]


def contact_sheet(
    seed: int, columns: int, rows: int, *, style: str | None = None, looks: str = "all", tile_width: int = 320
) -> np.ndarray:
    """Random scenes of the seeds from `seed` on, side by side: uint8 RGB.

    Raises ValueError as `draw_scene` does, and for a sheet over 65,500 pixels a side (no PNG or JPEG reader takes more)
    or 256 megapixels.
    """
    if columns < 1 or rows < 1:
        raise ValueError(f"a sheet of {columns} x {rows} scenes shows nothing; both must be at least 1")
    height = round(tile_width * 9 / 16)
    down, across = rows * (height + GAP) + GAP, columns * (tile_width + GAP) + GAP
    if max(down, across) > LONGEST_SHEET_SIDE or down * across > MOST_SHEET_PIXELS:
        raise ValueError(
            f"the sheet would be {across} x {down} pixels, but {LONGEST_SHEET_SIDE} a side and "
            f"{MOST_SHEET_PIXELS // 10**6} megapixels are the most: ask for fewer or smaller scenes"
        )
    sheet = np.full((down, across, 3), GAP_RGB, np.uint8)
    for place in range(columns * rows):
        image = draw_scene(seed + place, tile_width * 2, height * 2, style=style, looks=looks).image
        row, column = divmod(place, columns)
        y, x = GAP + row * (height + GAP), GAP + column * (tile_width + GAP)
        sheet[y : y + height, x : x + tile_width] = cv2.resize(
            image, (tile_width, height), interpolation=cv2.INTER_AREA
        )
    return sheet
