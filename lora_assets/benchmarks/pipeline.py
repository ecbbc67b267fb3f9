"""The whole line against its models alone, and against the loop that most tutorials show, in one run on one machine.

The peer is `ultralytics.YOLO.predict` and `segment_anything.SamPredictor`, one frame after the other, crops and masks
written as PNG by Pillow, with the same weights. It does less than the line (no hashes, no scores, no tables, no
thumbnails). All contestants work on the same files; they take turns, and medians are told.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lora_assets.benchmarks.inputs import draw_frames
from lora_assets.benchmarks.workplace import frames_folder, run_once
from lora_assets.main_line.stream import side_by_side
from lora_assets.recipes import tracker_recipes
from lora_assets.specs import TrackerSpec
from lora_assets.vision.detect import Detector, detect_frame, load_detector
from lora_assets.vision.device import device, worker_count
from lora_assets.vision.images import decode_image
from lora_assets.vision.sam import load_sam
from lora_assets.vision.segment import Segmenter, load_segmenter
from lora_assets.vision.threads import one_thread_per_call
from lora_assets.vision.yolo import import_ultralytics


def _models_alone(
    images: Sequence[np.ndarray], detectors: Sequence[Detector], segmenter: Segmenter, settings: Any
) -> float:
    """Wall time of the models on decoded frames, side by side as the line runs them."""

    def work(image: np.ndarray) -> int:
        found = [box for box in detect_frame(image, "0" * 64, detectors, settings) if box.is_subject]
        boxes = np.array([[box.x1, box.y1, box.x2, box.y2] for box in found]).reshape(-1, 4)
        return len(segmenter(image, boxes)) if len(boxes) else 0

    began = time.perf_counter()
    for _ in side_by_side(work, images, worker_count()):
        pass
    return time.perf_counter() - began


def _tutorial(folder: Path, out: Path, yolo: Any, predictor: Any, imgsz: int, persons: set[int]) -> float:
    """The peer: read, predict, segment each box, write mask and crop, one frame after the other."""
    from PIL import Image

    began = time.perf_counter()
    for path in sorted(folder.iterdir()):
        image = np.array(Image.open(path).convert("RGB"))
        boxes = yolo.predict(image[..., ::-1], conf=0.25, iou=0.45, imgsz=imgsz, verbose=False)[0].boxes
        chosen = [
            box
            for box, kind in zip(boxes.xyxy.cpu().numpy(), boxes.cls.cpu().numpy(), strict=True)
            if int(kind) in persons
        ]
        if not chosen:
            continue
        predictor.set_image(image)
        for number, box in enumerate(chosen):
            masks, scores, _ = predictor.predict(box=box, multimask_output=True)
            mask = masks[int(np.argmax(scores))]
            Image.fromarray((mask * 255).astype(np.uint8)).save(out / f"{path.stem}_{number}_mask.png")
            x1, y1, x2, y2 = box.astype(int)
            rgba = np.dstack([image, mask.astype(np.uint8) * 255])[y1:y2, x1:x2]
            if rgba.size:
                Image.fromarray(rgba).save(out / f"{path.stem}_{number}.png")
    return time.perf_counter() - began


def measure_pipeline(frames: int, repeats: int, size: tuple[int, int], detector: str, segmenter_name: str) -> list[str]:
    """Wall time of the models alone, the line and the peer, over `frames` drawn frames, `repeats` times in turn."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        given = {"detect": {"weights": [detector]}, "segment": {"weights": segmenter_name}}
        recipes = tracker_recipes(TrackerSpec("MEASURED", settings=given), root)
        settings = recipes.settings
        detectors = tuple(load_detector(each, settings.detect) for each in recipes.detectors)
        segmenter = load_segmenter(recipes.segmenter, settings.segment, recipes.second_opinion)
        import_ultralytics()
        from ultralytics import YOLO

        yolo = YOLO(str(recipes.detectors[0].path))
        from segment_anything import SamPredictor

        predictor = SamPredictor(load_sam(recipes.segmenter.path).to(device()).eval())
        persons = {kind for kind, name in yolo.names.items() if name == "person"}
        imgsz = int(getattr(yolo.model, "args", {}).get("imgsz", 640))
        source = root / "frames"
        draw_frames(source, frames, different=frames, size=size)
        images = [decode_image(path.read_bytes()).pixels for path in sorted(source.iterdir())]
        taken: dict[str, list[float]] = {"models": [], "line": [], "tutorial": []}
        one_thread_per_call()
        _models_alone(images[:2], detectors, segmenter, settings.detect)
        for repeat in range(repeats):
            data = root / f"run{repeat}"
            frames_folder(data).parent.mkdir(parents=True)
            frames_folder(data).symlink_to(source)
            one_thread_per_call()
            taken["models"].append(_models_alone(images, detectors, segmenter, settings.detect))
            taken["line"].append(_line(data, detectors, segmenter))
            out = root / f"tutorial{repeat}"
            out.mkdir()
            torch.set_num_threads(worker_count())  # the peer has all cores inside each operation
            taken["tutorial"].append(_tutorial(source, out, yolo, predictor, imgsz, persons))
    return _told(taken, frames, size)


def _line(data: Path, detectors: Sequence[Detector], segmenter: Segmenter) -> float:
    open_detectors: Callable[[], Sequence[Detector]] = lambda: detectors  # noqa: E731
    return run_once(data, open_detectors, lambda: segmenter).total


def _told(taken: dict[str, list[float]], frames: int, size: tuple[int, int]) -> list[str]:
    median = {name: statistics.median(values) for name, values in taken.items()}
    lines = [
        f"{name:9} {median[name] / frames * 1e3:7.1f} ms per frame   (runs: {', '.join(f'{v:.1f}' for v in values)} s)"
        for name, values in taken.items()
    ]
    return [
        f"{frames} drawn frames of {size[0]}x{size[1]}, {worker_count()} workers on {device()}",
        *lines,
        f"line / models alone: {median['line'] / median['models']:.3f}",
        f"tutorial / line:     {median['tutorial'] / median['line']:.2f} times",
    ]
