"""Training of the starter YOLO: faces, heads and persons of drawn scenes, by a lean loop around Ultralytics' own loss.

`python -m lora_assets.training.detector --help`. Ultralytics' trainer is not used: it wants files, workers and a
network, and none of them is needed here. Running a detector on frames belongs to `lora_assets.vision.detect`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lora_assets.starter import STARTER_YOLO
from lora_assets.store import atomic_write, put_in_place
from lora_assets.training.card_entry import data_record, write_entry
from lora_assets.training.feeding import batches
from lora_assets.training.loop import LoopOptions, Trained, run_loop
from lora_assets.training.options import run_training
from lora_assets.training.rendered import FIRST_UNSEEN_SEED, RenderedFrame, frame_path, read_frame, render_frames
from lora_assets.training.schedule import TrainingError
from lora_assets.training.scores import DetectionScore, FoundBoxes, score_boxes
from lora_assets.training.views import VIEWS_PER_FRAME, View, random_view
from lora_assets.vision.detect_settings import DetectSettings
from lora_assets.vision.device import device
from lora_assets.vision.yolo import YoloLimits, import_ultralytics, load_yolo

if TYPE_CHECKING:
    import torch
    from ultralytics.nn.tasks import DetectionModel

LABELS = ("face", "head", "person")
HELD_OUT_SEEDS = range(FIRST_UNSEEN_SEED, FIRST_UNSEEN_SEED + 1_000)
"""Seeds that no training may draw; both trainings measure on the first `held_out` of them."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """How the starter YOLO is trained. `long_side` and `short_side` are the pixels of its 16:9 views."""

    frames: int = 6000
    first_seed: int = 0
    held_out: int = 64
    steps: int = 4000
    minutes: float = 60.0
    batch: int = 8
    long_side: int = 512
    short_side: int = 288
    peak_rate: float = 1.5e-3
    last_rate: float = 3e-5
    warmup_steps: int = 60
    hold: float = 0.4
    weight_decay: float = 5e-4
    seed: int = 0
    network: str = "yolov8n.yaml"


def view_shape(settings: DetectorSettings, rng: np.random.Generator) -> tuple[int, int]:
    """Width and height of the views of one batch: mostly lying 16:9, sometimes square or upright, of like area."""
    square = round(np.sqrt(settings.long_side * settings.short_side) / 32) * 32
    shapes = (
        (settings.long_side, settings.short_side),
        (square, square),
        (settings.short_side, settings.long_side),
    )
    return shapes[int(rng.choice(3, p=[0.65, 0.2, 0.15]))]


def view_targets(view: View) -> np.ndarray:
    """The boxes of a view as float32 Nx5 rows: label, then centre x, centre y, width, height as shares of the view."""
    height, width = view.image.shape[:2]
    rows = []
    for label, boxes in enumerate((view.face_boxes, view.head_boxes, view.boxes)):
        seen = boxes[~np.isnan(boxes[:, 0])]
        centres, sizes = (seen[:, :2] + seen[:, 2:]) / 2, seen[:, 2:] - seen[:, :2]
        rows.append(np.column_stack([np.full(len(seen), label), centres / (width, height), sizes / (width, height)]))
    return np.concatenate(rows).astype(np.float32)


def make_batch(views: Sequence[View]) -> dict[str, torch.Tensor]:
    """Views of one shape as the batch that Ultralytics' loss takes."""
    return batch_of([view.image for view in views], [view_targets(view) for view in views])


def batch_of(pictures: Sequence[np.ndarray], targets: Sequence[np.ndarray]) -> dict[str, torch.Tensor]:
    """Pictures (uint8 HxWx3 of one shape) and their rows as those of `view_targets`, as the batch that Ultralytics'
    loss takes (a dict, because its interface is one)."""
    import torch

    images = torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy())
    every = torch.from_numpy(np.concatenate(targets))
    owner = torch.from_numpy(np.repeat(np.arange(len(targets)), [len(rows) for rows in targets]).astype(np.float32))
    return {
        "img": images.float().div_(255).contiguous(memory_format=torch.channels_last),
        "batch_idx": owner,
        "cls": every[:, :1],
        "bboxes": every[:, 1:],
    }


def check_frames(frames: int, first_seed: int, held_out: int) -> None:
    """Raise TrainingError unless there are frames to train on, and other ones to measure on."""
    if frames < 1 or held_out < 1 or first_seed < 0:
        raise TrainingError(
            f"{frames} frames from seed {first_seed}, {held_out} held out: none may be below 1, the seed not below 0"
        )
    if held_out > len(HELD_OUT_SEEDS) or first_seed + frames > HELD_OUT_SEEDS.start:
        raise TrainingError(
            f"training seeds end at {first_seed + frames}, but those from {HELD_OUT_SEEDS.start} on are held out, "
            f"{len(HELD_OUT_SEEDS)} at most: choose a smaller --first-seed, --frames or --held-out"
        )


def build_detector(settings: DetectorSettings) -> DetectionModel:
    """A new detector with random weights for `LABELS`."""
    return new_network(settings.network, LABELS, settings.seed)


def new_network(network: str, labels: Sequence[str], seed: int) -> DetectionModel:
    """An Ultralytics network with random weights for the labels, in the order of their numbers."""
    import_ultralytics()
    import torch
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(seed)
    model = DetectionModel(network, nc=len(labels), verbose=False)
    model.names = dict(enumerate(labels))
    model.args = get_cfg(overrides={"task": "detect", "mode": "train"})  # pyright: ignore[reportArgumentType]
    return model.to(memory_format=torch.channels_last)


def train_detector(
    frames_folder: Path,
    out: Path,
    settings: DetectorSettings = DetectorSettings(),
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    start: Path | None = None,
    publish_minutes: float = 10.0,
    processes: int = 1,
    feeders: int | None = None,
) -> DetectionScore:
    """Train the starter YOLO and write its weights to `out` and its entry into the card beside them.

    Frames are drawn into `frames_folder` unless they are there. Every half minute the state goes to `checkpoint`
    (default: `<out>.training` among the frames), from where `resume=True` goes on after a kill. `start` takes the
    averaged weights of an earlier checkpoint and begins a new schedule. Weights and card are also written every
    `publish_minutes`. `processes` draw frames, `feeders` make batches (None: as many as help). Returns the person score
    on held-out frames. Raises TrainingError when it cannot start.
    """

    check_frames(settings.frames, settings.first_seed, settings.held_out)
    state_path = checkpoint or frames_folder / f"{out.stem}.training"
    paths = render_frames(
        frames_folder, range(settings.first_seed, settings.first_seed + settings.frames), None, processes
    )
    render_frames(frames_folder, HELD_OUT_SEEDS[: settings.held_out], None, processes)
    model = build_detector(settings).to(device())
    scores: dict[str, DetectionScore] = {}

    def publish(average: DetectionModel, trained: Trained) -> None:
        scores.update(_publish(average, out, settings, frames_folder, trained))

    run_loop(
        model,
        settings,
        LoopOptions(state_path, resume, start, publish_minutes),
        lambda step: batches(partial(_views, paths, settings), step, feeders),
        _train_step,
        ("box", "class", "edge"),
        publish,
    )
    return scores["person"]


def write_detector(path: Path, model: DetectionModel, settings: DetectorSettings) -> None:
    """Write the starter YOLO as `write_network` does."""
    write_network(path, model, settings.long_side, settings.network, settings.batch, settings.seed)


def write_network(path: Path, model: DetectionModel, input_size: int, network: str, batch: int, seed: int) -> None:
    """Write `model` in half precision as the checkpoint that `ultralytics.YOLO(path)` opens, also in its safe mode."""
    import torch
    import ultralytics

    stored = deepcopy(model).cpu().half().eval()
    stored.criterion = None
    stored.args = {"task": "detect", "mode": "train", "imgsz": input_size, "model": network}  # pyright: ignore[reportArgumentType]
    content = {
        "epoch": -1,
        "best_fitness": None,
        "model": stored,
        "ema": None,
        "updates": None,
        "optimizer": None,
        "train_args": dict(stored.args) | {"batch": batch, "seed": seed},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": ultralytics.__version__,
        "license": "AGPL-3.0",
    }
    atomic_write(path, lambda handle: torch.save(content, handle))


def measure_detector(
    weights: Path, images: Sequence[np.ndarray], truths: Sequence[Sequence[np.ndarray]], input_size: int
) -> dict[str, DetectionScore]:
    """Score a detector file on RGB `images` by label; `truths` holds per image the face, head and person boxes."""
    found = find_boxes(weights, images, input_size)
    scores = {}
    for label, name in enumerate(LABELS):
        frames = [
            FoundBoxes(rows[rows[:, 5] == label, :4], rows[rows[:, 5] == label, 4], truth[label])
            for rows, truth in zip(found, truths, strict=True)
        ]
        scores[name] = score_boxes(frames)
    return scores


def find_boxes(weights: Path, images: Sequence[np.ndarray], input_size: int) -> list[np.ndarray]:
    """What the detector file finds in each RGB image: float Nx6 rows of xyxy, confidence (>= 0.05), label.

    The file is run by `lora_assets.vision.yolo`, as any other detector is.
    """
    yolo = load_yolo(weights, YoloLimits(conf=0.05, iou=DetectSettings().iou, max_det=100, imgsz=input_size))
    answers = [yolo.find(image) for image in images]
    return [np.column_stack([answer.xyxy, answer.confidence, answer.classes]) for answer in answers]


def _views(paths: Sequence[Path], settings: DetectorSettings, step: int) -> list[View]:
    rng = np.random.default_rng((settings.seed, step))
    width, height = view_shape(settings, rng)
    chosen = rng.integers(len(paths), size=math.ceil(settings.batch / VIEWS_PER_FRAME))
    views = [
        random_view(rng, frame, width, height)
        for frame in (read_frame(paths[index]) for index in chosen)
        for _ in range(VIEWS_PER_FRAME)
    ]
    return views[: settings.batch]


def _train_step(model: DetectionModel, optimizer: torch.optim.Optimizer, views: Sequence[View]) -> list[float]:
    return learn_batch(model, optimizer, make_batch(views))


def learn_batch(
    model: DetectionModel, optimizer: torch.optim.Optimizer, made: Mapping[str, torch.Tensor]
) -> list[float]:
    """One step of learning from a batch as `batch_of` makes it; the parts of the loss (boxes, classes, edges)."""
    import torch

    model.train()
    place = next(model.parameters()).device
    batch = {name: value.to(place) for name, value in made.items()}
    with torch.autocast(place.type, torch.bfloat16, enabled=place.type == "cuda"):
        loss, parts = model(batch)
    optimizer.zero_grad(set_to_none=True)
    (loss.sum() / len(batch["img"])).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    optimizer.step()
    values = parts.values() if isinstance(parts, dict) else parts
    return [float(value) for value in values]


def frame_truth(frame: RenderedFrame) -> list[np.ndarray]:
    """The true face, head and person boxes of a frame, each float Nx4 xyxy."""
    return [boxes[~np.isnan(boxes[:, 0])] for boxes in (frame.face_boxes, frame.head_boxes, frame.boxes)]


def score_figures(scores: Mapping[str, DetectionScore], prefix: str) -> dict[str, float]:
    """Scores by label as the flat figures of a card."""
    figures: dict[str, float] = {}
    for label, score in scores.items():
        figures[f"{prefix}_{label}_recall"] = round(score.recall, 4)
        figures[f"{prefix}_{label}_precision"] = round(score.precision, 4)
        figures[f"{prefix}_{label}_ap50"] = round(score.average_precision, 4)
        figures[f"{prefix}_{label}_boxes"] = float(score.true_boxes)
    return figures


def _publish(
    average: DetectionModel, out: Path, settings: DetectorSettings, frames_folder: Path, trained: Trained
) -> dict[str, DetectionScore]:
    held_out = [read_frame(frame_path(frames_folder, seed)) for seed in HELD_OUT_SEEDS[: settings.held_out]]
    candidate = out.with_name(f"candidate-{out.name}")
    write_detector(candidate, average, settings)
    scores = measure_detector(
        candidate, [frame.image for frame in held_out], [frame_truth(frame) for frame in held_out], settings.long_side
    )
    figures = score_figures(scores, "held_out")
    put_in_place(candidate, out)
    write_entry(
        out,
        "finds faces, heads and persons in drawn frames (Ultralytics YOLO)",
        seconds_trained=trained.seconds,
        data=data_record(frames_folder, settings.first_seed, settings.frames, HELD_OUT_SEEDS[: settings.held_out]),
        architecture={
            "network": settings.network,
            "labels": list(LABELS),
            "input_size": settings.long_side,
            "parameters": sum(value.numel() for value in average.parameters()),
        },
        settings=asdict(settings) | {"steps_done": trained.steps, "phases": list(trained.phases)},
        figures=figures,
    )
    _log.info("published after %d steps: %s", trained.steps, figures)
    return scores


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: options of `train_detector` and `DetectorSettings`."""
    run_training(
        arguments,
        train_detector,
        DetectorSettings(),
        weights_name=STARTER_YOLO.name,
        module="lora_assets.training.detector",
        description=__doc__,
    )


if __name__ == "__main__":
    main()
