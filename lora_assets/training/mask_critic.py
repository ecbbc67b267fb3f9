"""Training of the mask critic: which pixels of a given mask are wrong, and which ones it lacks, seen in the picture.

`python -m lora_assets.training.mask_critic --help`. It learns from drawn scenes whose masks were made wrong on purpose
(`critic_samples`) or answered by the starter SAM, whose network it begins with; the loss is cross-entropy and Dice over
the two maps. Running a critic, and what is measured in its maps, belong to `lora_assets.vision.mask_critic`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lora_assets.scenes.truth import SceneFrame
from lora_assets.starter import STARTER_CRITIC, STARTER_SAM
from lora_assets.starter.card import file_digest
from lora_assets.store import atomic_write_bytes
from lora_assets.training.card_entry import data_record, write_entry
from lora_assets.training.critic_samples import Sample, make_sample, starter_network
from lora_assets.training.detector import HELD_OUT_SEEDS, check_frames
from lora_assets.training.export import as_onnx, in_half_precision
from lora_assets.training.feeding import batches, samples_of_frames
from lora_assets.training.loop import LoopOptions, Trained, run_loop
from lora_assets.training.options import run_training
from lora_assets.training.rendered import RenderedFrame, frame_path, read_frame, render_frames
from lora_assets.vision.critic_look import CHANNELS, LOOK_SIDE, LOOK_STEP, MARGIN
from lora_assets.vision.device import device

if TYPE_CHECKING:
    import torch

    from lora_assets.training.critic_network import CriticNetwork

FIRST_PLAIN_SEED = 12_000_000
"""Seeds of the plain frames: drawn like the others, but nothing hides their one to three characters."""
POSITIVE_WEIGHT = 2.0
DICE_WEIGHT = 0.3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CriticSettings:
    """How the mask critic is trained. Of `plain_frames` frames nothing hides the characters; `share_of_answers` of the
    masks are what the starter SAM answers to a box that is a little off, `share_of_nobody` show no character."""

    frames: int = 6300
    first_seed: int = 0
    plain_frames: int = 1600
    held_out: int = 64
    steps: int = 6000
    minutes: float = 60.0
    batch: int = 16
    peak_rate: float = 1.5e-3
    last_rate: float = 2e-5
    warmup_steps: int = 60
    hold: float = 0.4
    weight_decay: float = 0.02
    share_of_answers: float = 0.15
    share_of_nobody: float = 0.12
    seed: int = 0


def plain_scene(seed: int, width: int, height: int) -> SceneFrame:
    """One to three characters of the looks that trainings see, without effects, at three quarters of the size."""
    from lora_assets.scenes import draw_scene

    return draw_scene(seed, 3 * width // 4, 3 * height // 4, characters=1 + seed % 3, effects=False, looks="training")


def critic_loss(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor
) -> tuple[torch.Tensor, tuple[float, float]]:
    """The loss of Bx2xTxT logits, and the IoU over the batch of what is too much and of what is missing.

    Cells count by what they hold of the mask, or of its surroundings; both sums are shares of the mask's area.
    """
    import torch
    from torch.nn import functional

    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    entropy = entropy * weights * (1.0 + (POSITIVE_WEIGHT - 1.0) * targets)
    area = weights[:, :1].sum(dim=(2, 3)).clamp(min=20.0)
    told, true = logits.sigmoid() * weights, targets * weights
    overlap = (logits.sigmoid() * true).sum(dim=(0, 2, 3))
    dice = 1 - (2 * overlap + 1) / (told.sum(dim=(0, 2, 3)) + true.sum(dim=(0, 2, 3)) + 1)
    with torch.no_grad():
        found, real = (logits > 0) * weights, (targets > 0.5) * weights
        both = torch.minimum(found, real).sum(dim=(0, 2, 3))
        iou = both / torch.maximum(found, real).sum(dim=(0, 2, 3)).clamp(min=1e-6)
    loss = (entropy.sum(dim=(2, 3)) / area).sum(dim=1).mean() + DICE_WEIGHT * dice.sum()
    return loss, (float(iou[0]), float(iou[1]))


def train_critic(
    frames_folder: Path,
    out: Path,
    settings: CriticSettings = CriticSettings(),
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    start: Path | None = None,
    publish_minutes: float = 10.0,
    processes: int = 1,
    feeders: int | None = None,
) -> float:
    """Train the mask critic and write it to `out` as ONNX, and its entry into the card beside it.

    The other arguments are those of `train_detector`. Returns the mean IoU of both maps on held-out frames. Raises
    TrainingError when it cannot start.
    """
    import torch

    from lora_assets.training.critic_network import CriticNetwork, begin_with

    check_frames(settings.frames, settings.first_seed, settings.held_out)
    state_path = checkpoint or frames_folder / f"{out.stem}.training"
    seeds = range(settings.first_seed, settings.first_seed + settings.frames)
    plain = range(FIRST_PLAIN_SEED, FIRST_PLAIN_SEED + settings.plain_frames)
    paths = render_frames(frames_folder, seeds, None, processes)
    paths += render_frames(frames_folder, plain, plain_scene, processes)
    render_frames(frames_folder, HELD_OUT_SEEDS[: settings.held_out], None, processes)
    torch.manual_seed(settings.seed)
    network = CriticNetwork()
    begin_with(network, starter_network())  # pyright: ignore[reportArgumentType]
    network = network.train().to(device()).to(memory_format=torch.channels_last)
    figures: dict[str, float] = {}

    def publish(average: CriticNetwork, trained: Trained) -> None:
        figures.update(_publish(average, out, settings, frames_folder, trained))

    run_loop(
        network,
        settings,
        LoopOptions(state_path, resume, start, publish_minutes),
        lambda step: batches(partial(_samples, paths, settings), step, feeders),
        _train_step,
        ("loss", "IoU too much", "IoU missing"),
        publish,
    )
    return (figures["held_out_iou_too_much"] + figures["held_out_iou_missing"]) / 2


def write_critic(path: Path, network: CriticNetwork) -> None:
    """Write a critic as ONNX, its numbers in half precision: `images[1,7,S,S]` to `maps[1,2,S/2,S/2]`, logits."""
    import torch

    example = torch.zeros(1, CHANNELS, LOOK_SIDE, LOOK_SIDE)
    atomic_write_bytes(path, in_half_precision(as_onnx(deepcopy(network).cpu(), example, "maps", {})))


def measure_critic(network: CriticNetwork, frames: Sequence[RenderedFrame], seed: int = 0) -> dict[str, float]:
    """IoU of both maps over damaged masks of `frames`, four of each frame, and how large a share of
    the mask is called wrong where nothing is."""
    import torch

    rng, place = np.random.default_rng(seed), next(network.parameters()).device
    both, either, told, good = np.zeros(2), np.zeros(2), np.zeros(2), 0
    for frame in frames:
        for _ in range(4):
            sample = make_sample(rng, frame, 0.0, 0.0)
            if sample is None:
                continue
            with torch.inference_mode():
                given = network(torch.from_numpy(sample.layers[None]).to(place)).sigmoid()[0].cpu().numpy()
            found, real = (given > 0.5) * sample.weights, (sample.targets > 0.5) * sample.weights
            both += np.minimum(found, real).sum(axis=(1, 2))
            either += np.maximum(found, real).sum(axis=(1, 2))
            if not real.any():
                told += (given * sample.weights).sum(axis=(1, 2)) / max(1.0, sample.weights[0].sum())
                good += 1
    iou, wrongly = both / np.maximum(either, 1e-6), told / max(1, good)
    return {
        "held_out_iou_too_much": round(float(iou[0]), 4),
        "held_out_iou_missing": round(float(iou[1]), 4),
        "held_out_share_too_much_of_good_masks": round(float(wrongly[0]), 4),
        "held_out_share_missing_of_good_masks": round(float(wrongly[1]), 4),
    }


def _train_step(
    network: CriticNetwork, optimizer: torch.optim.Optimizer, samples: Sequence[Sample]
) -> tuple[float, float, float]:
    import torch

    place = next(network.parameters()).device
    layers, targets, weights = (
        torch.from_numpy(np.stack([getattr(sample, name) for sample in samples])).to(place)
        for name in ("layers", "targets", "weights")
    )
    loss, iou = critic_loss(network(layers.contiguous(memory_format=torch.channels_last)).float(), targets, weights)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach()), *iou


def _samples(paths: Sequence[Path], settings: CriticSettings, step: int) -> list[Sample]:
    rng = np.random.default_rng((settings.seed, step))
    shares = settings.share_of_answers, settings.share_of_nobody
    return samples_of_frames(rng, paths, settings.batch, lambda frame: make_sample(rng, frame, *shares))


def _publish(
    average: CriticNetwork, out: Path, settings: CriticSettings, frames_folder: Path, trained: Trained
) -> dict[str, float]:
    write_critic(out, average)
    held_out = [read_frame(frame_path(frames_folder, seed)) for seed in HELD_OUT_SEEDS[: settings.held_out]]
    figures = measure_critic(average, held_out)
    data = data_record(frames_folder, settings.first_seed, settings.frames, HELD_OUT_SEEDS[: settings.held_out])
    plain = [FIRST_PLAIN_SEED, FIRST_PLAIN_SEED + settings.plain_frames]
    write_entry(
        out,
        "what is too much in the mask of a character, and what is missing (maps for the checks of crops)",
        seconds_trained=trained.seconds,
        data=data | {"plain_seeds": plain, "begun_with": STARTER_SAM.name, "begun_sha256": file_digest(STARTER_SAM)},
        architecture=architecture_numbers() | {"parameters": sum(each.numel() for each in average.parameters())},
        settings=asdict(settings) | {"steps_done": trained.steps, "phases": list(trained.phases)},
        figures=figures,
    )
    _log.info("published after %d steps: %s", trained.steps, figures)
    return figures


def architecture_numbers() -> dict[str, object]:
    """Every number that fixes the shape of the network."""
    from lora_assets.training.critic_network import BLOCKS, WIDTHS

    return {
        "widths": list(WIDTHS), "blocks": list(BLOCKS), "channels": CHANNELS, "look_side": LOOK_SIDE,
        "look_step": LOOK_STEP, "look_margin": MARGIN,
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: options of `train_critic` and `CriticSettings`."""
    run_training(
        arguments,
        train_critic,
        CriticSettings(),
        weights_name=STARTER_CRITIC.name,
        module="lora_assets.training.mask_critic",
        description=__doc__,
    )


if __name__ == "__main__":
    main()
