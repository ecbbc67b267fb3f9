"""Networks that say who is shown, as ONNX files: CCIP for drawn characters, ArcFace for photographed faces.

`load_ccip`: deepghs' CCIP (caformer-24-randaug-pruned), `input` [N,3,384,384] -> `output` [N,768]; preprocessing as in
deepghs/imgutils (stretched to the square, bilinear, mean and deviation of CLIP), the figure over white. `load_arcface`:
insightface's w600k_r50 (Deng et al. 2019), [N,3,112,112] -> [N,512], RGB, (x - 127.5) / 127.5, of the face's square.
What belongs elsewhere: which network is asked, and what is kept (embedding).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.identity.descriptor import Xyxy
from lora_assets.models import ModelError
from lora_assets.vision.yolo_onnx import open_session

CODE_VERSION = "1"

FloatArray = npt.NDArray[np.floating]
Rgba = npt.NDArray[np.uint8]
Embed = Callable[[Sequence[Rgba], Sequence[Xyxy | None]], FloatArray]
"""Cut-outs HxWx4 with the head's box of each (pixels of the cut-out, None: not found) in; (N, D) float32 out, each row
of length 1, or 0 where there was nothing to look at. The dot product of two rows is their likeness."""

CCIP_SIDE, CCIP_SIZE = 384, 768
ARCFACE_SIDE, ARCFACE_SIZE = 112, 512
_BATCH = 8
_CLIP_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_CLIP_STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
_FACE_OF_HEAD = 0.75


def load_ccip(path: Path, threads: int = 1) -> Embed:
    """CCIP's feature network. Raises ModelError when the file is damaged or has another signature."""
    session = _open(path, CCIP_SIDE, CCIP_SIZE, threads, "ccip")

    def embed(cutouts: Sequence[Rgba], heads: Sequence[Xyxy | None]) -> FloatArray:
        del heads
        return _run(session, path, CCIP_SIZE, [_for_ccip(cutout) for cutout in cutouts])

    return embed


def load_arcface(path: Path, threads: int = 1) -> Embed:
    """ArcFace's network of faces. Raises ModelError when the file is damaged or has another signature."""
    session = _open(path, ARCFACE_SIDE, ARCFACE_SIZE, threads, "arcface")

    def embed(cutouts: Sequence[Rgba], heads: Sequence[Xyxy | None]) -> FloatArray:
        found = np.zeros((len(cutouts), ARCFACE_SIZE), np.float32)
        faces = [_for_arcface(cutout, head) for cutout, head in zip(cutouts, heads, strict=True)]
        shown = [place for place, face in enumerate(faces) if face is not None]
        if shown:
            found[shown] = _run(session, path, ARCFACE_SIZE, [face for face in faces if face is not None])
        return found

    return embed


def _open(path: Path, side: int, size: int, threads: int, name: str) -> Any:
    session = open_session(path, threads)
    inputs, outputs = session.get_inputs(), session.get_outputs()
    into, out = list(inputs[0].shape), list(outputs[0].shape)
    fits = len(inputs) == 1 and inputs[0].type == "tensor(float)" and into[1:] == [3, side, side]
    if not fits or len(out) != 2 or out[1] != size:
        raise ModelError(
            f"{path} is no {name} network ({into} -> {out}; expected [N,3,{side},{side}] -> [N,{size}]): fetch it with "
            f"lora-assets models pull {name}"
        )
    return session


def _run(session: Any, path: Path, size: int, pictures: Sequence[FloatArray]) -> FloatArray:
    feed, answer = session.get_inputs()[0], session.get_outputs()[0].name
    batch = feed.shape[0] if isinstance(feed.shape[0], int) else _BATCH
    found = []
    for start in range(0, len(pictures), batch):
        part = np.stack(pictures[start : start + batch]).astype(np.float32)
        full = np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), np.float32)])
        given = full if isinstance(feed.shape[0], int) else part
        output = np.asarray(session.run([answer], {feed.name: given})[0], np.float32)[: len(part)]
        if output.shape != (len(part), size) or not np.isfinite(output).all():
            raise ModelError(f"{path} answers with shape {output.shape} or with what is no number: fetch it again")
        found.append(output)
    vectors = np.concatenate(found) if found else np.zeros((0, size), np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _over_white(rgba: Rgba) -> FloatArray:
    alpha = rgba[..., 3:].astype(np.float32) / np.float32(255.0)
    return rgba[..., :3].astype(np.float32) * alpha + np.float32(255.0) * (1 - alpha)


def _for_ccip(rgba: Rgba) -> FloatArray:
    small = np.asarray(cv2.resize(_over_white(rgba), (CCIP_SIDE, CCIP_SIDE), interpolation=_interpolation(rgba)))
    return ((small / np.float32(255.0) - _CLIP_MEAN) / _CLIP_STD).transpose(2, 0, 1)


def _interpolation(rgba: Rgba) -> int:
    """Pillow's bilinear averages when it shrinks, which is what OpenCV calls area."""
    return cv2.INTER_AREA if max(rgba.shape[:2]) > CCIP_SIDE else cv2.INTER_LINEAR


def _for_arcface(rgba: Rgba, head: Xyxy | None) -> FloatArray | None:
    """The face's square: three quarters of the head's width, its lower edge the chin. Without key points of the face it
    is not rotated upright, which costs a network made for aligned faces some of its sureness."""
    if head is None:
        return None
    x1, y1, x2, y2 = head
    half = max(x2 - x1, y2 - y1) * _FACE_OF_HEAD / 2
    middle_x, middle_y = (x1 + x2) / 2, y2 - half
    matrix = np.array([[2 * half / ARCFACE_SIDE, 0, middle_x - half], [0, 2 * half / ARCFACE_SIDE, middle_y - half]])
    face = cv2.warpAffine(
        _over_white(rgba), matrix, (ARCFACE_SIDE, ARCFACE_SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(255.0, 255.0, 255.0),
    )  # fmt: skip
    return ((np.asarray(face, np.float32) - 127.5) / 127.5).transpose(2, 0, 1)
