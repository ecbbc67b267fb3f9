"""Training of the starter SAM: masks of the characters of drawn scenes, asked for by boxes, points and rough masks.

`python -m lora_assets.training.segmenter --help`. The loss follows Kirillov et al., "Segment Anything", 2023:
cross-entropy and Dice on the single mask and on the best of three, and the error of the predicted IoU. The architecture
is `lora_assets.vision.starter_sam`; running a segmenter on frames belongs to `lora_assets.vision.segment`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lora_assets.starter import STARTER_SAM
from lora_assets.store import atomic_write, put_in_place
from lora_assets.training.card_entry import data_record, write_entry
from lora_assets.training.detector import HELD_OUT_SEEDS, check_frames
from lora_assets.training.feeding import batches, samples_of_frames
from lora_assets.training.loop import LoopOptions, Trained, run_loop
from lora_assets.training.options import run_training
from lora_assets.training.rendered import RenderedFrame, frame_path, read_frame, render_frames
from lora_assets.training.views import Window, cut_view, mirrored, owner_boxes, recoloured
from lora_assets.vision.device import device
from lora_assets.vision.masks import mask_iou
from lora_assets.vision.starter_sam import (
    LOOK_SIDE,
    PIXEL_MEAN,
    PIXEL_STD,
    architecture_numbers,
    build_starter_sam,
    load_starter_sam,
)

if TYPE_CHECKING:
    import torch
    from segment_anything.modeling import Sam

OUTSIDE_WEIGHT = 0.1
"""What a pixel outside the frame weighs beside one inside."""
CUT_SHARE = 0.25
"""How often the frame is made to end within the character."""
RECOLOURED_SHARE = 0.5
ROUGH_SIDE = 12
"""Cells per side of the rough masks that stand for an earlier answer."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SegmenterSettings:
    """How the starter SAM is trained.

    `share_of_points` of the prompts are a point in the whole frame, half as many a point in a box; `share_of_masks` of
    all come with a rough mask. `look_side` is the side of the looks in pixels, a multiple of 32: smaller ones are
    cheaper to learn the rough work from; the last phase should use `LOOK_SIDE`.
    """

    frames: int = 6000
    first_seed: int = 0
    held_out: int = 64
    steps: int = 6000
    minutes: float = 60.0
    batch: int = 16
    peak_rate: float = 2e-3
    last_rate: float = 2e-5
    warmup_steps: int = 60
    hold: float = 0.5
    weight_decay: float = 0.02
    share_of_points: float = 0.08
    share_of_masks: float = 0.1
    look_side: int = LOOK_SIDE
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One prompt and its truth.

    `picture` is what the network sees (float32 CxSxS, S the side of the look; see `LookNetwork`), `target` the coverage
    0..1 of the wanted mask per pixel of the logits (float32, S/2 a side), `inside` where the frame is (the same size, 0
    or 1).
    """

    picture: np.ndarray
    target: np.ndarray
    inside: np.ndarray


def jittered_boxes(rng: np.random.Generator, boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Boxes as a detector might give them: edges off by up to 15 % of the side, a fifth of the boxes loose as well."""
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    shift = np.clip(rng.normal(0, 0.04, boxes.shape), -0.15, 0.15)
    loose = (rng.random(len(boxes)) < 0.2) * rng.uniform(0, 0.25, len(boxes))
    moved = boxes + sides * (shift + loose[:, None] * np.array([-1.0, -1.0, 1.0, 1.0]))
    return np.clip(moved, 0, np.array([width, height, width, height])).astype(np.float32)


def cut_frame(rng: np.random.Generator, frame: RenderedFrame, index: int) -> RenderedFrame:
    """The frame, ending on one side within character `index` so that 40 % to 95 % of its box are left."""
    x1, y1, x2, y2 = frame.boxes[index]
    height, width = frame.owners.shape
    kept = float(rng.uniform(0.4, 0.95))
    side = int(rng.integers(4))
    left, top, right, bottom = 0, 0, width, height
    if side == 0:
        left = int(x2 - kept * (x2 - x1))
    elif side == 1:
        top = int(y2 - kept * (y2 - y1))
    elif side == 2:
        right = math.ceil(x1 + kept * (x2 - x1))
    else:
        bottom = math.ceil(y1 + kept * (y2 - y1))
    owners = frame.owners[top:bottom, left:right]
    return replace(
        frame,
        image=frame.image[top:bottom, left:right],
        owners=owners,
        things=frame.things[top:bottom, left:right],
        boxes=owner_boxes(owners, len(frame.boxes)),
    )


def choose_character(
    rng: np.random.Generator, frame: RenderedFrame, cut_share: float
) -> tuple[RenderedFrame, int] | None:
    """One of the characters of a frame, large ones more often, and the frame, which is made to end within it in
    `cut_share` of the cases; None when the frame shows nobody."""
    seen = np.flatnonzero(~np.isnan(frame.boxes[:, 0]))
    if len(seen) == 0:
        return None
    sides = np.sqrt((frame.boxes[seen, 2:] - frame.boxes[seen, :2]).prod(axis=1))
    index = int(rng.choice(seen, p=sides / sides.sum()))
    if rng.random() < cut_share:
        cut = cut_frame(rng, frame, index)
        frame = frame if np.isnan(cut.boxes[index, 0]) else cut
    return frame, index


def make_sample(rng: np.random.Generator, frame: RenderedFrame, settings: SegmenterSettings) -> Sample | None:
    """A prompt for one of the characters of a frame; None when it shows nobody."""
    import torch

    from lora_assets.vision.starter_layers import drawn_box, drawn_points, look_around
    from lora_assets.vision.starter_prompts import WANTED

    chosen = choose_character(rng, frame, CUT_SHARE)
    if chosen is None:
        return None
    frame, index = chosen
    height, width = frame.owners.shape
    by_point = rng.random()
    box = jittered_boxes(rng, frame.boxes[index : index + 1], width, height)[0]
    if by_point < settings.share_of_points or min(box[2:] - box[:2]) < 2:
        box = np.array([0, 0, width, height], np.float32)
    with_point = by_point < 1.5 * settings.share_of_points
    look = look_around(*(float(value) for value in box))
    window = Window(look.left, look.top, look.left + look.side, look.top + look.side)
    side = settings.look_side
    view = cut_view(frame, window, side, side)
    if rng.random() < RECOLOURED_SHARE:
        view = recoloured(view, rng)
    scale = side / look.side
    asked = (box - np.tile([look.left, look.top], 2)) * scale
    if rng.random() < 0.5:
        view = mirrored(view)
        asked = np.array([side - asked[2], asked[1], side - asked[0], asked[3]])
    mask = view.owners == index + 1
    if not mask.any():
        return None
    points = torch.zeros(0, 3)
    if with_point:
        points = torch.tensor([[*_inner_point(rng, mask), float(WANTED)]])
    rough = np.zeros(mask.shape, np.float32)
    if rng.random() < settings.share_of_masks:
        rough = _rough_mask(rng, mask)
    pixels = (view.image - np.array(PIXEL_MEAN, np.float32)) / np.array(PIXEL_STD, np.float32)
    pixels[~view.inside] = 0
    picture = np.concatenate([
        pixels.transpose(2, 0, 1),
        drawn_box(torch.from_numpy(asked.astype(np.float32)), side)[None].numpy(),
        drawn_points(points, side)[None].numpy(),
        rough[None],
        view.inside[None].astype(np.float32),
    ])  # fmt: skip
    return Sample(picture, _coverage(mask), _coverage(view.inside).round())


def prompt_loss(
    logits: torch.Tensor, predicted_iou: torch.Tensor, target: torch.Tensor, inside: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """The loss of N prompts from logits NxMxTxT, predicted IoUs NxM, coverage NxTxT and where the frame is NxTxT.

    Also the mean IoU of the single masks, at the size of the logits. Coverage and not yes or no, because where bilinear
    enlargement of its logits crosses zero is then where the true edge lies.
    """
    import torch
    from torch.nn import functional

    wanted = target[:, None].expand_as(logits)
    area = inside[:, None]
    weight = OUTSIDE_WEIGHT + (1 - OUTSIDE_WEIGHT) * area
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * weight
    entropy = entropy.sum(dim=(2, 3)) / weight.sum(dim=(2, 3))
    share = logits.sigmoid() * area
    overlap = (share * wanted).sum(dim=(2, 3))
    dice = 1 - (2 * overlap + 1) / (share.sum(dim=(2, 3)) + wanted.sum(dim=(2, 3)) + 1)
    each = entropy + dice
    with torch.no_grad():
        found, real = (logits > 0) & (area > 0), wanted > 0.5
        iou = (found & real).sum(dim=(2, 3)) / (found | real).sum(dim=(2, 3)).clamp(min=1)
    best_of_three = each[:, 1:].min(dim=1).values + 0.05 * each[:, 1:].mean(dim=1)
    loss = each[:, 0] + best_of_three + (predicted_iou - iou).square().mean(dim=1)
    return loss.mean(), float(iou[:, 0].mean())


def train_segmenter(
    frames_folder: Path,
    out: Path,
    settings: SegmenterSettings = SegmenterSettings(),
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    start: Path | None = None,
    publish_minutes: float = 10.0,
    processes: int = 1,
    feeders: int | None = None,
) -> float:
    """Train the starter SAM and write its weights to `out` and its entry into the card beside them.

    The other arguments are those of `train_detector`. Returns the mean mask IoU from true boxes on held-out frames.
    Raises TrainingError when it cannot start.
    """
    import torch

    check_frames(settings.frames, settings.first_seed, settings.held_out)
    state_path = checkpoint or frames_folder / f"{out.stem}.training"
    paths = render_frames(
        frames_folder, range(settings.first_seed, settings.first_seed + settings.frames), None, processes
    )
    render_frames(frames_folder, HELD_OUT_SEEDS[: settings.held_out], None, processes)
    torch.manual_seed(settings.seed)
    sam = build_starter_sam().train().to(device())
    sam.to(memory_format=torch.channels_last)
    figures: dict[str, float] = {}

    def publish(average: Sam, trained: Trained) -> None:
        figures.update(_publish(average, out, settings, frames_folder, trained))

    run_loop(
        sam,
        settings,
        LoopOptions(state_path, resume, start, publish_minutes),
        lambda step: batches(partial(_samples, paths, settings), step, feeders),
        _train_step,
        ("loss", "mask IoU"),
        publish,
    )
    return figures["held_out_mask_iou_true_boxes"]


def write_segmenter(path: Path, sam: Sam) -> None:
    """Write the weights of `sam` in half precision as a plain dictionary of tensors."""
    import torch

    weights = {
        name: (value.half() if value.is_floating_point() else value).cpu().contiguous().clone()
        for name, value in sam.state_dict().items()
    }
    atomic_write(path, lambda handle: torch.save(weights, handle))


def find_masks(sam: Sam, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The single masks that `sam` gives for xyxy `boxes` of an RGB image: bool NxHxW, through `SamPredictor`."""
    import torch
    from segment_anything import SamPredictor

    if len(boxes) == 0:
        return np.zeros((0, *image.shape[:2]), bool)
    predictor = SamPredictor(sam)
    predictor.set_image(image)
    asked = predictor.transform.apply_boxes_torch(torch.from_numpy(boxes.astype(np.float32)), image.shape[:2])
    masks, _, _ = predictor.predict_torch(None, None, boxes=asked, multimask_output=False)
    return masks[:, 0].numpy()


def measure_segmenter(weights: Path, frames: Sequence[RenderedFrame]) -> list[float]:
    """IoU of the mask of every visible character of `frames`, asked for by its true box."""
    sam = load_starter_sam(weights)
    scores: list[float] = []
    for frame in frames:
        seen = np.flatnonzero(~np.isnan(frame.boxes[:, 0]))
        masks = find_masks(sam, frame.image, frame.boxes[seen])
        scores += [mask_iou(mask, frame.owners == index + 1) for mask, index in zip(masks, seen, strict=True)]
    return scores


def _train_step(sam: Sam, optimizer: torch.optim.Optimizer, samples: Sequence[Sample]) -> tuple[float, float]:
    import torch

    place = next(sam.parameters()).device
    pictures, targets, inside = (
        torch.from_numpy(np.stack([getattr(sample, name) for sample in samples])).to(place)
        for name in ("picture", "target", "inside")
    )
    with torch.autocast(place.type, torch.bfloat16, enabled=place.type == "cuda"):
        logits, predicted_iou = sam.mask_decoder.network(pictures.contiguous(memory_format=torch.channels_last))  # pyright: ignore[reportCallIssue]
    total, iou = prompt_loss(logits.float(), predicted_iou.float(), targets, inside)
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    torch.nn.utils.clip_grad_norm_(sam.parameters(), 1.0)
    optimizer.step()
    return float(total.detach()), iou


def _samples(paths: Sequence[Path], settings: SegmenterSettings, step: int) -> list[Sample]:
    rng = np.random.default_rng((settings.seed, step))
    return samples_of_frames(rng, paths, settings.batch, lambda frame: make_sample(rng, frame, settings))


def _publish(
    average: Sam, out: Path, settings: SegmenterSettings, frames_folder: Path, trained: Trained
) -> dict[str, float]:
    candidate = out.with_name(f"candidate-{out.name}")
    write_segmenter(candidate, average)
    held_out = [read_frame(frame_path(frames_folder, seed)) for seed in HELD_OUT_SEEDS[: settings.held_out]]
    scores = measure_segmenter(candidate, held_out)
    figures = {
        "held_out_mask_iou_true_boxes": round(float(np.mean(scores)), 4),
        "held_out_mask_iou_true_boxes_worst_tenth": round(float(np.quantile(scores, 0.1)), 4),
        "held_out_masks": float(len(scores)),
    }
    put_in_place(candidate, out)
    write_entry(
        out,
        "masks of drawn characters from boxes and points (segment_anything Sam)",
        seconds_trained=trained.seconds,
        data=data_record(frames_folder, settings.first_seed, settings.frames, HELD_OUT_SEEDS[: settings.held_out]),
        architecture=architecture_numbers() | {"parameters": sum(value.numel() for value in average.parameters())},
        settings=asdict(settings) | {"steps_done": trained.steps, "phases": list(trained.phases)},
        figures=figures,
    )
    _log.info("published after %d steps: %s", trained.steps, figures)
    return figures


def _inner_point(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    rows, columns = np.nonzero(core if core.any() else mask)
    index = int(rng.integers(len(rows)))
    return np.array([columns[index] + 0.5, rows[index] + 0.5], np.float32)


def _rough_mask(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """A coarse and partly wrong copy of a mask, -1 or 1."""
    small = cv2.resize(mask.astype(np.float32), (ROUGH_SIDE, ROUGH_SIDE), interpolation=cv2.INTER_AREA)
    small += rng.normal(0, 0.25, small.shape).astype(np.float32)
    large = cv2.resize(small, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.where(large > 0.5, 1.0, -1.0).astype(np.float32)


def _coverage(mask: np.ndarray) -> np.ndarray:
    from lora_assets.vision.starter_layers import LOOK_STEP

    low_side = len(mask) // LOOK_STEP
    return cv2.resize(mask.astype(np.float32), (low_side, low_side), interpolation=cv2.INTER_AREA)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: options of `train_segmenter` and `SegmenterSettings`."""
    run_training(
        arguments,
        train_segmenter,
        SegmenterSettings(),
        weights_name=STARTER_SAM.name,
        module="lora_assets.training.segmenter",
        description=__doc__,
    )


if __name__ == "__main__":
    main()
