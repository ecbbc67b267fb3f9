"""Training of the starter SAM: masks of the characters of drawn scenes, asked for by boxes and points.

`python -m lora_assets.training.segmenter --help`. One pass of the image encoder serves several prompts of a view. The
loss follows Kirillov et al., "Segment Anything", 2023: cross-entropy and Dice on the single mask and on the best of
three, and the error of the predicted IoU. The architecture is `lora_assets.vision.starter_sam`; running a segmenter on
frames belongs to `lora_assets.vision.segment`.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from lora_assets.starter import STARTER_SAM
from lora_assets.store import atomic_write
from lora_assets.training.card_entry import data_record, write_entry
from lora_assets.training.detector import HELD_OUT_SEEDS, check_frames
from lora_assets.training.options import add_training_options, settings_from_options
from lora_assets.training.rendered import RenderedFrame, frame_path, read_frame, render_frames
from lora_assets.training.schedule import (
    Checkpoint,
    Schedule,
    TrainingError,
    learning_rate,
    parameter_groups,
    progress,
    read_checkpoint,
    update_average,
    write_checkpoint,
)
from lora_assets.training.scores import mask_iou
from lora_assets.training.views import (
    VIEWS_PER_FRAME,
    View,
    cut_view,
    letterbox_window,
    mirrored,
    random_window,
    recoloured,
)
from lora_assets.vision.starter_sam import (
    IMAGE_SIZE,
    PATCH_SIZE,
    PIXEL_MEAN,
    PIXEL_STD,
    architecture_numbers,
    build_starter_sam,
    load_starter_sam,
)

if TYPE_CHECKING:
    import torch
    from segment_anything.modeling import Sam

MASK_STEP = 4
"""Input pixels per pixel of a low-resolution mask."""
OUTSIDE_WEIGHT = 0.1
NEAR_BOX = 0.2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SegmenterSettings:
    """How the starter SAM is trained.

    `prompts` is the most characters asked for in one view. `side` is the longest side of the views in pixels, a
    multiple of 64: small views are many times cheaper to learn the rough work from; the last
    phase should use `IMAGE_SIZE`.
    """

    frames: int = 6000
    first_seed: int = 0
    held_out: int = 64
    steps: int = 6000
    minutes: float = 60.0
    batch: int = 2
    prompts: int = 4
    peak_rate: float = 6e-4
    last_rate: float = 1e-5
    warmup_steps: int = 150
    hold: float = 0.5
    weight_decay: float = 0.02
    share_of_points: float = 0.15
    side: int = IMAGE_SIZE
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Prompts:
    """What is asked of one view, and the truth.

    Either `boxes` float32 Nx4 xyxy, or `points` float32 Nx2 inside the masks; `owners` are the N owner numbers asked
    for, and `true_boxes` their exact boxes.
    """

    boxes: np.ndarray | None
    points: np.ndarray | None
    owners: np.ndarray
    true_boxes: np.ndarray


def segmenter_view(rng: np.random.Generator, frame: RenderedFrame, side: int = IMAGE_SIZE) -> View:
    """A view whose longest side is `side`: the whole frame as at work, or a square window of it."""
    frame_height, frame_width = frame.image.shape[:2]
    if rng.random() < 0.4:
        scale = side / max(frame_height, frame_width)
        width, height = round(frame_width * scale), round(frame_height * scale)
        window = letterbox_window(frame_width, frame_height, width, height)
    else:
        width = height = side
        window = random_window(rng, frame, side, side, closest=0.3, farthest=1.0)
    view = cut_view(frame, window, width, height)
    if rng.random() < 0.5:
        view = mirrored(view)
    return recoloured(view, rng)


def jittered_boxes(rng: np.random.Generator, boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Boxes as a detector might give them: edges off by up to 15 % of the side, a fifth of the boxes loose as well."""
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    shift = np.clip(rng.normal(0, 0.05, boxes.shape), -0.15, 0.15)
    loose = (rng.random(len(boxes)) < 0.2) * rng.uniform(0, 0.25, len(boxes))
    moved = boxes + sides * (shift + loose[:, None] * np.array([-1.0, -1.0, 1.0, 1.0]))
    return np.clip(moved, 0, np.array([width, height, width, height])).astype(np.float32)


def random_prompts(rng: np.random.Generator, view: View, settings: SegmenterSettings) -> Prompts | None:
    """Prompts for up to `settings.prompts` characters of a view; None when it shows nobody."""
    seen = np.flatnonzero(~np.isnan(view.boxes[:, 0]))
    if len(seen) == 0:
        return None
    chosen = rng.permutation(seen)[: settings.prompts]
    true_boxes = view.boxes[chosen]
    if rng.random() < settings.share_of_points:
        points = np.stack([_inner_point(rng, view.owners == index + 1) for index in chosen])
        return Prompts(None, points, chosen + 1, true_boxes)
    height, width = view.image.shape[:2]
    return Prompts(jittered_boxes(rng, true_boxes, width, height), None, chosen + 1, true_boxes)


def input_tensor(image: np.ndarray, side: int) -> torch.Tensor:
    """An RGB view as `Sam.preprocess` makes it: normalised, padded right and below with zeros, 3 x side x side."""
    import torch

    padded = np.zeros((side, side, 3), np.float32)
    padded[: image.shape[0], : image.shape[1]] = (image - np.array(PIXEL_MEAN)) / np.array(PIXEL_STD)
    return torch.from_numpy(padded.transpose(2, 0, 1).copy())


def target_masks(view: View, prompts: Prompts, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Coverage 0..1 of the wanted masks and the weight of each pixel, both NxTxT with T = `side` / `MASK_STEP`.

    Padding weighs nothing, the surroundings of the box 1, the rest little; weights sum to 1 for each mask. Coverage and
    not yes or no, because where bilinear enlargement of its logits crosses zero is then where the true edge lies.
    """
    import torch

    low_side = side // MASK_STEP
    inside = _coverage(view.inside, side)
    coverage = np.stack([_coverage(view.owners == owner, side) for owner in prompts.owners])
    weights = np.full_like(coverage, OUTSIDE_WEIGHT)
    for weight, box in zip(weights, prompts.true_boxes, strict=True):
        margin = NEAR_BOX * np.tile(box[2:] - box[:2], 2) * (-1, -1, 1, 1)
        x1, y1, x2, y2 = np.clip((box + margin) / MASK_STEP, 0, low_side).round().astype(int)
        weight[y1:y2, x1:x2] = 1.0
    weights *= inside
    weights /= weights.sum(axis=(1, 2), keepdims=True)
    return torch.from_numpy(coverage), torch.from_numpy(weights.astype(np.float32))


def encode_views(sam: Sam, images: torch.Tensor) -> torch.Tensor:
    """`sam.image_encoder` for squares of any multiple of 64 pixels, its position embedding resized to them, BxCxhxw."""
    from torch.nn import functional

    encoder = sam.image_encoder
    tokens = encoder.patch_embed(images)
    positions = encoder.pos_embed
    if positions is None:
        raise TrainingError("the starter encoder has lost its position embedding: restore vision/starter_sam.py")
    if positions.shape[1:3] != tokens.shape[1:3]:
        channels_first = positions.permute(0, 3, 1, 2)
        positions = functional.interpolate(channels_first, tokens.shape[1:3], mode="area").permute(0, 2, 3, 1)
    tokens = tokens + positions
    for block in encoder.blocks:
        tokens = block(tokens)
    return encoder.neck(tokens.permute(0, 3, 1, 2))


def fit_prompts(sam: Sam, side: int) -> None:
    """Let the prompt encoder of `sam` take positions in squares of `side` pixels, as shares of the square."""
    tokens = side // PATCH_SIZE
    sam.prompt_encoder.input_image_size = (side, side)
    sam.prompt_encoder.image_embedding_size = (tokens, tokens)
    sam.prompt_encoder.mask_input_size = (side // MASK_STEP, side // MASK_STEP)


def decode_prompts(sam: Sam, embeddings: torch.Tensor, asked: Sequence[Prompts]) -> tuple[torch.Tensor, torch.Tensor]:
    """Decode the prompts of several encoded views (BxCxhxw) at once, as `MaskDecoder.predict_masks` does for one view.

    Returns all four mask logits (Nx4xTxT: the single mask, then three) and predicted IoUs (Nx4), view after view.
    """
    import torch

    decoder = sam.mask_decoder
    told = [_prompt_embeddings(sam, prompts) for prompts in asked]
    own = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    sparse, dense = torch.cat([sparse for sparse, _ in told]), torch.cat([dense for _, dense in told])
    tokens = torch.cat([own.expand(len(sparse), -1, -1), sparse], dim=1)
    counts = torch.tensor([len(prompts.owners) for prompts in asked])
    image = embeddings.repeat_interleave(counts, dim=0) + dense
    position = sam.prompt_encoder.get_dense_pe().expand_as(image)
    answers, image_tokens = decoder.transformer(image, position, tokens)
    picture = decoder.output_upscaling(image_tokens.transpose(1, 2).reshape(image.shape))
    kernels = [mlp(answers[:, 1 + index]) for index, mlp in enumerate(decoder.output_hypernetworks_mlps)]
    masks = torch.einsum("nmc,nchw->nmhw", torch.stack(kernels, dim=1), picture)
    return masks, decoder.iou_prediction_head(answers[:, 0])


def prompt_loss(
    logits: torch.Tensor, predicted_iou: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> tuple[torch.Tensor, float]:
    """The loss of N prompts, and the mean IoU of its single masks, both at low resolution."""
    import torch
    from torch.nn import functional

    wanted = target[:, None].expand_as(logits)
    area = weight[:, None]
    entropy = (functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * area).sum(dim=(2, 3))
    valid = (area > 0).float()
    share = logits.sigmoid() * valid
    overlap = (share * wanted).sum(dim=(2, 3))
    dice = 1 - (2 * overlap + 1) / (share.sum(dim=(2, 3)) + wanted.sum(dim=(2, 3)) + 1)
    each = entropy + dice
    with torch.no_grad():
        found, real = (logits > 0) & (valid > 0), wanted > 0.5
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
    sam = build_starter_sam().train()
    sam.image_encoder.to(memory_format=torch.channels_last)
    fit_prompts(sam, settings.side)
    average = deepcopy(sam).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(parameter_groups(sam, settings.weight_decay), lr=settings.peak_rate)
    step, phase_seconds, seconds_before = 0, 0.0, 0.0
    if resume and state_path.exists():
        past = read_checkpoint(state_path)
        sam.load_state_dict(past.model)
        average.load_state_dict(past.average)
        optimizer.load_state_dict(dict(past.optimizer))
        step, phase_seconds, seconds_before = past.step, past.phase_seconds, past.seconds - past.phase_seconds
    elif start is not None:
        past = read_checkpoint(start)
        sam.load_state_dict(past.average)
        average.load_state_dict(past.average)
        seconds_before = past.seconds
    schedule = Schedule(
        settings.steps,
        settings.minutes,
        settings.peak_rate,
        settings.last_rate,
        settings.warmup_steps,
        settings.hold,
    )
    begun, saved, published = time.monotonic() - phase_seconds, time.monotonic(), time.monotonic()
    shown: list[tuple[float, float]] = []
    while (done := progress(schedule, step, time.monotonic() - begun)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(schedule, step, done)
        shown.append(_train_step(sam, optimizer, _asked_views(paths, settings, step), settings.side))
        update_average(average, sam, step)
        step += 1
        if len(shown) == 50:
            _log.info("step %d, %.0f %%: loss %.3f, mask IoU %.3f", step, 100 * done, *np.mean(shown, axis=0))
            shown.clear()
        if time.monotonic() - saved > 30:
            phase_seconds = time.monotonic() - begun
            write_checkpoint(state_path, _state(step, phase_seconds, seconds_before, sam, average, optimizer))
            saved = time.monotonic()
        if time.monotonic() - published > 60 * publish_minutes:
            _publish(average, out, settings, frames_folder, step, seconds_before + time.monotonic() - begun)
            published = time.monotonic()
    phase_seconds = time.monotonic() - begun
    write_checkpoint(state_path, _state(step, phase_seconds, seconds_before, sam, average, optimizer))
    return _publish(average, out, settings, frames_folder, step, seconds_before + phase_seconds)


def write_segmenter(path: Path, sam: Sam) -> None:
    """Write the weights of `sam` in half precision as a plain dictionary of tensors."""
    import torch

    weights = {
        name: (value.half() if value.is_floating_point() else value).contiguous().clone()
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


def _train_step(
    sam: Sam, optimizer: torch.optim.Optimizer, asked: Sequence[tuple[View, Prompts]], side: int
) -> tuple[float, float]:
    import torch

    images = torch.stack([input_tensor(view.image, side) for view, _ in asked])
    embeddings = encode_views(sam, images.contiguous(memory_format=torch.channels_last))
    logits, predicted_iou = decode_prompts(sam, embeddings, [prompts for _, prompts in asked])
    targets = [target_masks(view, prompts, side) for view, prompts in asked]
    coverage, weight = torch.cat([target for target, _ in targets]), torch.cat([weight for _, weight in targets])
    total, iou = prompt_loss(logits, predicted_iou, coverage, weight)
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    torch.nn.utils.clip_grad_norm_(sam.parameters(), 1.0)
    optimizer.step()
    return float(total.detach()), iou


def _asked_views(paths: Sequence[Path], settings: SegmenterSettings, step: int) -> list[tuple[View, Prompts]]:
    rng = np.random.default_rng((settings.seed, step))
    asked: list[tuple[View, Prompts]] = []
    for _ in range(100 * settings.batch):
        frame = read_frame(paths[int(rng.integers(len(paths)))])
        for _ in range(VIEWS_PER_FRAME):
            view = segmenter_view(rng, frame, settings.side)
            prompts = random_prompts(rng, view, settings)
            if prompts is not None:
                asked.append((view, prompts))
        if len(asked) >= settings.batch:
            return asked[: settings.batch]
    raise TrainingError("the drawn frames show hardly anybody: draw more frames, or look at how scenes are drawn")


def _publish(
    average: Sam, out: Path, settings: SegmenterSettings, frames_folder: Path, step: int, seconds: float
) -> float:
    candidate = out.with_name(f"candidate-{out.name}")
    write_segmenter(candidate, average)
    held_out = [read_frame(frame_path(frames_folder, seed)) for seed in HELD_OUT_SEEDS[: settings.held_out]]
    scores = measure_segmenter(candidate, held_out)
    figures = {
        "held_out_mask_iou_true_boxes": round(float(np.mean(scores)), 4),
        "held_out_mask_iou_true_boxes_worst_tenth": round(float(np.quantile(scores, 0.1)), 4),
        "held_out_masks": float(len(scores)),
    }
    candidate.replace(out)
    write_entry(
        out,
        "masks of drawn characters from boxes and points (segment_anything Sam)",
        seconds_trained=seconds,
        data=data_record(frames_folder, settings.first_seed, settings.frames, HELD_OUT_SEEDS[: settings.held_out]),
        architecture=architecture_numbers() | {"parameters": sum(value.numel() for value in average.parameters())},
        settings=asdict(settings) | {"steps_done": step},
        figures=figures,
    )
    _log.info("published after %d steps: %s", step, figures)
    return figures["held_out_mask_iou_true_boxes"]


def _state(
    step: int,
    phase_seconds: float,
    seconds_before: float,
    sam: Sam,
    average: Sam,
    optimizer: torch.optim.Optimizer,
) -> Checkpoint:
    return Checkpoint(
        step=step,
        phase_seconds=phase_seconds,
        seconds=seconds_before + phase_seconds,
        model=sam.state_dict(),
        average=average.state_dict(),
        optimizer=optimizer.state_dict(),
    )


def _prompt_embeddings(sam: Sam, prompts: Prompts) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    boxes = None if prompts.boxes is None else torch.from_numpy(prompts.boxes)
    points = None
    if prompts.points is not None:
        points = (torch.from_numpy(prompts.points)[:, None], torch.ones(len(prompts.points), 1, dtype=torch.int))
    return sam.prompt_encoder(points=points, boxes=boxes, masks=None)


def _inner_point(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    rows, columns = np.nonzero(core if core.any() else mask)
    index = int(rng.integers(len(rows)))
    return np.array([columns[index] + 0.5, rows[index] + 0.5], np.float32)


def _coverage(mask: np.ndarray, side: int) -> np.ndarray:
    canvas = np.zeros((side, side), np.float32)
    canvas[: mask.shape[0], : mask.shape[1]] = mask
    low_side = side // MASK_STEP
    return cv2.resize(canvas, (low_side, low_side), interpolation=cv2.INTER_AREA)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: options of `train_segmenter` and `SegmenterSettings`."""
    parser = argparse.ArgumentParser(prog="python -m lora_assets.training.segmenter", description=__doc__)
    add_training_options(parser, STARTER_SAM, SegmenterSettings())
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train_segmenter(
        chosen.frames_folder,
        chosen.out,
        settings_from_options(chosen, SegmenterSettings()),
        checkpoint=chosen.checkpoint,
        resume=chosen.resume,
        start=chosen.start,
        publish_minutes=chosen.publish_minutes,
        processes=chosen.processes,
    )


if __name__ == "__main__":
    main()
