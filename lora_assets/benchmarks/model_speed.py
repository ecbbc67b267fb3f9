"""Milliseconds per frame of the starter models on a CPU, batch 1, by runtime and by threads.

The contestants of one table run in turn, so that what else happens on the machine meets all of them alike. What belongs
elsewhere: the whole line (pipeline).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from lora_assets.scenes import draw_scene
from lora_assets.starter import STARTER_LOOKS
from lora_assets.training.export import export_image_encoder
from lora_assets.training.schedule import TrainingError
from lora_assets.vision.detect_settings import DetectSettings
from lora_assets.vision.sam import load_sam
from lora_assets.vision.segment import SegmentSettings
from lora_assets.vision.several_looks import read_look
from lora_assets.vision.starter_boxes import BoxedStarter
from lora_assets.vision.yolo import YoloLimits, import_ultralytics, load_yolo
from lora_assets.vision.yolo_onnx import load_yolo_onnx, open_session

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

FRAME = (1280, 720)
THREADS = (1, 2)
REPEATS = 20

_WARM_UP = 2
_SEED = 5
_HEAD = "| what | runtime | threads | ms | times as fast as the first |"


@contextmanager
def threads_of(count: int) -> Iterator[None]:
    """Let torch and OpenCV use `count` threads inside."""
    import torch

    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def median_milliseconds(contestants: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The median time of each contestant over `repeats` turns, in which all run one after the other."""
    for _ in range(_WARM_UP):
        for run in contestants.values():
            run()
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            begun = time.perf_counter()
            run()
            taken[name].append(1000 * (time.perf_counter() - begun))
    return {name: median(times) for name, times in taken.items()}


def model_speed_table(yolo: Path, yolo_onnx: Path, sam: Path, repeats: int = REPEATS) -> list[str]:
    """The table of both starters as lines of Markdown: frame in, boxes out; normalised square in, embedding out;
    boxes in, small masks out, or what masks are cut from."""
    lines = [
        f"milliseconds per call on the CPU, batch 1, one frame of {FRAME[0]}x{FRAME[1]}, median of {repeats} turns",
        "",
        _HEAD,
        "|---|---|---|---|---|",
    ]
    for count in THREADS:
        with threads_of(count):
            lines += _rows("detector", count, _detectors(yolo, yolo_onnx, count), repeats)
            with tempfile.TemporaryDirectory(prefix="lora_assets-encoder-") as folder:
                contestants, missing = _encoders(sam, Path(folder) / "encoder.onnx", count)
                lines += _rows("segmenter, encoder (full square)", count, contestants, repeats)
                lines += [f"| segmenter, encoder (full square) | {reason} | {count} | | |" for reason in missing]
            for boxes in (1, 4):
                what = f"segmenter, decoder ({boxes} box{'es' if boxes > 1 else ''})"
                lines += _rows(what, count, _decoders(sam, boxes), repeats)
    return lines


def _rows(what: str, count: int, contestants: Mapping[str, Callable[[], object]], repeats: int) -> list[str]:
    import torch

    with torch.inference_mode():
        times = median_milliseconds(contestants, repeats)
    first = next(iter(times.values()))
    return [f"| {what} | {name} | {count} | {time:.1f} | {first / time:.2f} |" for name, time in times.items()]


def _detectors(yolo: Path, yolo_onnx: Path, count: int) -> dict[str, Callable[[], object]]:
    image = draw_scene(_SEED, *FRAME).image
    settings = DetectSettings()
    limits = YoloLimits(settings.conf, settings.iou, settings.max_det, imgsz=0)
    import_ultralytics()
    from ultralytics import YOLO

    plain = YOLO(str(yolo))
    network: Any = plain.model
    side = int(network.args["imgsz"])
    fused, exported = load_yolo(yolo, limits), load_yolo_onnx(yolo_onnx, limits, count)
    several = replace(limits, looks=tuple(read_look(look) for look in STARTER_LOOKS))
    looking = load_yolo_onnx(yolo_onnx, several, count)
    bgr = np.ascontiguousarray(image[..., ::-1])
    return {
        "torch, Ultralytics predict": lambda: plain.predict(
            bgr, conf=limits.conf, iou=limits.iou, imgsz=side, device="cpu", verbose=False
        ),
        "torch, fused, channels last": lambda: fused.find(image),
        "ONNX Runtime, float32": lambda: exported.find(image),
        "the same, the starter's three looks": lambda: looking.find(image),
    }


def _encoders(sam_file: Path, exported: Path, count: int) -> tuple[dict[str, Callable[[], object]], list[str]]:
    import torch

    plain, last = load_sam(sam_file), load_sam(sam_file).to(memory_format=torch.channels_last)
    side = plain.image_encoder.img_size
    pixels = torch.full((1, 3, side, side), 0.5)
    pixels_last = pixels.contiguous(memory_format=torch.channels_last)
    contestants: dict[str, Callable[[], object]] = {
        "torch": lambda: plain.image_encoder(pixels),
        "torch, channels last": lambda: last.image_encoder(pixels_last),
    }
    try:
        export_image_encoder(plain, exported)
    except TrainingError as error:
        return contestants, [f"ONNX Runtime: left out, {error}"]
    session, fed = open_session(exported, count), {"images": pixels.numpy()}
    return contestants | {"ONNX Runtime, float32": lambda: session.run(None, fed)}, []


def _decoders(sam_file: Path, boxes: int) -> dict[str, Callable[[], object]]:
    import torch

    plain, last = load_sam(sam_file), load_sam(sam_file).to(memory_format=torch.channels_last)
    image, starter = draw_scene(_SEED, *FRAME).image, BoxedStarter(last)
    width, height = FRAME
    batch = SegmentSettings().decoder_batch
    asked = np.tile([[0.2 * width, 0.1 * height, 0.7 * width, 0.9 * height]], (boxes, 1))
    return {
        "torch": _decoder(plain, boxes),
        "torch, channels last": _decoder(last, boxes),
        "as the main line asks it, from the frame": lambda: starter.answer(image, asked, batch),
    }


def _decoder(sam: Sam, boxes: int) -> Callable[[], Any]:
    import torch

    side = float(sam.image_encoder.img_size)
    with torch.inference_mode():
        embedding = sam.image_encoder(torch.full((1, 3, int(side), int(side)), 0.5))
        position = sam.prompt_encoder.get_dense_pe()
    asked = torch.tensor([[0.2, 0.1, 0.7, 0.9]]).repeat(boxes, 1) * side

    def decode() -> Any:
        sparse, dense = sam.prompt_encoder(points=None, boxes=asked, masks=None)
        return sam.mask_decoder(
            image_embeddings=embedding,
            image_pe=position,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )

    return decode
