"""Folders of drawn frames for measurements."""

from __future__ import annotations

from pathlib import Path

import numpy as np

_JPEG_QUALITY = 90


def _with_comment(jpeg: bytes, text: str) -> bytes:
    """The same picture with other bytes: a comment segment after the start marker (JPEG, ISO 10918-1, B.2.4.5)."""
    comment = text.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + jpeg[2:]


def draw_frames(folder: Path, count: int, *, start: int = 0, different: int = 100, size: tuple[int, int]) -> None:
    """Write `count` JPEG frames of `size` (width, height): `different` drawn scenes, in turn, no two files alike."""
    import cv2

    from lora_assets.scenes import draw_scene

    folder.mkdir(parents=True, exist_ok=True)
    scenes: list[bytes] = []
    for seed in range(min(different, count)):
        image = draw_scene(seed, *size).image
        done, encoded = cv2.imencode(
            ".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        )
        if not done:
            raise RuntimeError(f"drawn scene {seed} could not be encoded as JPEG")
        scenes.append(encoded.tobytes())
    for number in range(start, start + count):
        (folder / f"frame_{number:06d}.jpg").write_bytes(_with_comment(scenes[number % len(scenes)], str(number)))
