"""Training of the letter finder: where lettering lies over a picture, learned from drawn frames with letters over them.

`python -m lora_assets.training.letter_finder --help`. A small network of convolutions at a half to a thirty-second of
the picture's size, put together again from coarse to fine at a quarter (after Ronneberger et al., "U-Net", 2015), so
small that it costs a few milliseconds a figure. Which letters it sees is in lettered_frames; how the finished network
is run is in `lora_assets.vision.letter_map`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.starter import STARTER_LETTERS
from lora_assets.store import atomic_write_bytes
from lora_assets.training.card_entry import write_entry
from lora_assets.training.export import OPSET, as_onnx
from lora_assets.training.feeding import batches
from lora_assets.training.lettered_frames import LetteredFrame, letter_frame
from lora_assets.training.loop import LoopOptions, Trained, run_loop
from lora_assets.training.options import run_training
from lora_assets.training.rendered import renderer_digest
from lora_assets.training.schedule import TrainingError
from lora_assets.vision.device import device
from lora_assets.vision.letter_map import CELL, HEIGHT, STEP

if TYPE_CHECKING:
    import torch
    from torch import nn

WIDTHS = (8, 16, 32, 48, 64)
"""Channels at a half, a quarter, an eighth, a sixteenth and a thirty-second of the picture's size."""
FIRST_UNSEEN_SEED = 9_490_000
"""Frames from here on are not trained on."""
VIEW = (224, 352)
"""Rows and columns of what is trained on at once."""
VIEWS_PER_FRAME = 2
_TONED_EVERY = 10
_POSITIVE_WEIGHT = 3.0

Picture = npt.NDArray[np.uint8]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FinderSettings:
    """How the letter finder is trained: `frames` drawn frames from `first_seed` on, `held_out` frames from
    FIRST_UNSEEN_SEED on to measure it by, and the course of the training (see `schedule`)."""

    frames: int = 3000
    first_seed: int = 9_400_000
    held_out: int = 200
    steps: int = 9000
    minutes: float = 25.0
    batch: int = 8
    peak_rate: float = 5e-3
    last_rate: float = 2e-5
    warmup_steps: int = 100
    hold: float = 0.35
    weight_decay: float = 0.01
    seed: int = 0


def build_network() -> nn.Module:
    """The letter finder with random weights: RGB from -0.5 to 0.5, Nx3xHxW (sides that STEP divides), to the logarithms
    of the odds of lines and of faint words in each cell, Nx2xH/CELLxW/CELL."""
    from torch import nn

    def block(before: int, after: int, step: int = 1, size: int = 3) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(before, after, size, step, size // 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()
        )

    class LetterNetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            half, quarter, *coarse = WIDTHS
            self.first = block(3, half, 2)
            self.fine = nn.Sequential(block(half, quarter, 2), block(quarter, quarter))
            sizes = (quarter, *coarse)
            self.down = nn.ModuleList(
                nn.Sequential(block(before, after, 2), block(after, after)) for before, after in pairwise(sizes)
            )
            self.up = nn.ModuleList(block(after, before, size=1) for before, after in pairwise(sizes))
            self.join = nn.ModuleList(block(size, size) for size in sizes[:-1])
            self.last = nn.Conv2d(quarter, 2, 1)

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            levels = [self.fine(self.first(picture))]
            for each in self.down:
                levels.append(each(levels[-1]))
            found = levels.pop()
            for up, join in zip(reversed(self.up), reversed(self.join), strict=True):
                found = nn.functional.interpolate(up(found), scale_factor=2.0, mode="nearest")
                found = join(levels.pop() + found)
            return self.last(found)

    return LetterNetwork()


def draw_ground(seed: int) -> Picture:
    """A drawn frame without lettering, HEIGHT pixels high, often with what weather, film and network do to it; every
    tenth is printed in screentone."""
    from lora_assets.scenes import draw_scene
    from lora_assets.scenes.effects import EFFECTS, apply_effect

    rng = np.random.default_rng([seed, 55])
    width, height = (640, HEIGHT) if rng.random() < 0.75 else (854, 480)
    style = "screentone" if seed % _TONED_EVERY == 0 else None
    looks = "training" if seed < FIRST_UNSEEN_SEED else "held_out"
    frame = draw_scene(seed, width, height, effects=False, style=style, looks=looks)
    for name, kind in EFFECTS.items() if rng.random() < 0.5 else ():
        if rng.random() < kind.share:
            frame = apply_effect(frame, name, float(rng.uniform(kind.weakest, kind.strongest)), rng)
    if height == HEIGHT:
        return frame.image
    size = (round(width * HEIGHT / height) // STEP * STEP, HEIGHT)
    return np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), np.uint8)


def drawn_grounds(folder: Path, seeds: Sequence[int]) -> list[Path]:
    """The files of the frames of `seeds` in `folder`, drawn where they are not there yet."""
    paths = [folder / f"ground_{seed:09d}.png" for seed in seeds]
    for seed, path in zip(seeds, paths, strict=True):
        if not path.exists():
            # Lossless: letters over a picture that was compressed before would be the only smooth things in it.
            done, content = cv2.imencode(".png", draw_ground(seed)[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
            if not done:
                raise TrainingError(f"{path} cannot be written as PNG: choose another folder")
            atomic_write_bytes(path, content.tobytes())
    return paths


def train_letter_finder(
    frames_folder: Path,
    out: Path,
    settings: FinderSettings = FinderSettings(),
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    start: Path | None = None,
    publish_minutes: float = 10.0,
    processes: int = 1,
    feeders: int | None = None,
) -> dict[str, float]:
    """Train the letter finder and write it to `out` as ONNX and its entry into the card beside it.

    The other arguments are those of `train_detector`; frames are drawn by one process. Returns the figures of held-out
    frames. Raises TrainingError when it cannot start.
    """
    import torch

    if settings.first_seed + settings.frames > FIRST_UNSEEN_SEED:
        raise TrainingError(f"frames from {FIRST_UNSEEN_SEED} on are kept to measure: lower --frames or --first-seed")
    if processes != 1:
        raise TrainingError("frames are drawn by one process here: leave out --processes")
    paths = drawn_grounds(frames_folder, range(settings.first_seed, settings.first_seed + settings.frames))
    held_out = drawn_grounds(frames_folder, range(FIRST_UNSEEN_SEED, FIRST_UNSEEN_SEED + settings.held_out))
    torch.manual_seed(settings.seed)
    network = build_network().train().to(device())
    network.to(memory_format=torch.channels_last)
    figures: dict[str, float] = {}

    def publish(average: nn.Module, trained: Trained) -> None:
        figures.update(_publish(average, out, settings, held_out, trained))

    run_loop(
        network,
        settings,
        LoopOptions(checkpoint or frames_folder / f"{out.stem}.training", resume, start, publish_minutes),
        lambda step: batches(partial(make_batch, paths, settings), step, feeders),
        _train_step,
        ("loss", "recall of lines", "recall of words"),
        publish,
    )
    return figures


def make_batch(paths: Sequence[Path], settings: FinderSettings, step: int) -> list[LetteredFrame]:
    """The views of a step: of each frame two, most of which show letters where it has some."""
    rng = np.random.default_rng((settings.seed, step))
    views: list[LetteredFrame] = []
    while len(views) < settings.batch:
        ground = _varied(read_ground(paths[int(rng.integers(len(paths)))]), rng)
        frame = letter_frame(ground, rng)
        views += [_view(frame, rng) for _ in range(VIEWS_PER_FRAME)]
    return views[: settings.batch]


@lru_cache(maxsize=64)
def read_ground(path: Path) -> Picture:
    """A drawn frame (HxWx3, RGB). Raises TrainingError for a damaged file."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise TrainingError(f"{path} is damaged: delete it, and it will be drawn again")
    return np.ascontiguousarray(image[..., ::-1], np.uint8)


def _varied(image: Picture, rng: np.random.Generator) -> Picture:
    """The frame with what happens to pictures before letters are laid over them: mirrored, larger, grey, combed,
    blurred, with bars."""
    if rng.random() < 0.5:
        image = image[:, ::-1]
    if rng.random() < 0.3:
        height, width = image.shape[:2]
        share = float(rng.uniform(0.6, 1.0))
        rows, columns = round(height * share), round(width * share)
        top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        part = np.ascontiguousarray(image[top : top + rows, left : left + columns])
        image = np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    image = np.ascontiguousarray(image)
    kind = float(rng.random())
    if kind < 0.06:
        shift = int(rng.integers(1, 15))
        combed = image.copy()
        combed[1::2, shift:] = image[1::2, :-shift]
        return combed
    if kind < 0.12:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 5.0))), np.uint8)
    if kind < 0.16:
        bar = int(rng.integers(16, 60))
        image = image.copy()
        image[:bar], image[-bar:] = 0, 0
        return image
    if kind < 0.22:
        return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    return image


def _view(frame: LetteredFrame, rng: np.random.Generator) -> LetteredFrame:
    rows, columns = (side // CELL for side in VIEW)
    most_down, most_right = frame.truth.shape[1] - rows, frame.truth.shape[2] - columns
    top, left = int(rng.integers(most_down + 1)), int(rng.integers(most_right + 1))
    places = np.argwhere(frame.truth.max(axis=0) > 0)
    if len(places) and rng.random() < 0.75:
        y, x = places[int(rng.integers(len(places)))]
        top = int(np.clip(y - int(rng.integers(rows)), 0, most_down))
        left = int(np.clip(x - int(rng.integers(columns)), 0, most_right))
    cells = np.s_[:, top : top + rows, left : left + columns]
    image = frame.image[top * CELL : (top + rows) * CELL, left * CELL : (left + columns) * CELL]
    if rng.random() < 0.15:
        quality = int(rng.integers(45, 96))
        coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return LetteredFrame(image, frame.truth[cells], frame.weight[cells])


def _train_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, views: Sequence[LetteredFrame]
) -> tuple[float, float, float]:
    import torch
    from torch.nn import functional

    place = next(network.parameters()).device
    pictures = np.stack([view.image for view in views]).transpose(0, 3, 1, 2).astype(np.float32) / 255.0 - 0.5
    truth = torch.from_numpy(np.stack([view.truth for view in views])).to(place)
    weight = torch.from_numpy(np.stack([view.weight for view in views])).to(place)
    logits = network(torch.from_numpy(pictures).to(place, memory_format=torch.channels_last))
    positive = torch.tensor(_POSITIVE_WEIGHT, device=place)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, weight, pos_weight=positive)
    # Overlap as well: faint words are few cells among many.
    share = logits.sigmoid() * weight
    both = (share * truth).sum(dim=(0, 2, 3))
    dice = 1 - (2 * both + 1) / (share.sum(dim=(0, 2, 3)) + (truth * weight).sum(dim=(0, 2, 3)) + 1)
    loss = 4 * entropy + 0.5 * dice.mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
    optimizer.step()
    with torch.no_grad():
        there = truth * weight
        recall = ((logits > 0) * there).sum(dim=(0, 2, 3)) / there.sum(dim=(0, 2, 3)).clamp(min=1)
    return float(loss.detach()), float(recall[0]), float(recall[1])


def measure_letter_finder(network: nn.Module, paths: Sequence[Path], seed: int = 0) -> dict[str, float]:
    """Recall and precision of cells with lines and with faint words, over whole frames lettered by `seed`."""
    import torch

    place = next(network.parameters()).device
    counts = np.zeros((2, 3))
    for number, path in enumerate(paths):
        frame = letter_frame(read_ground(path), np.random.default_rng([seed, number, 9]))
        rows, columns = (side // STEP * STEP for side in frame.image.shape[:2])
        picture = frame.image[:rows, :columns].transpose(2, 0, 1)[None].astype(np.float32) / 255.0 - 0.5
        with torch.inference_mode():
            found = (network(torch.from_numpy(picture).to(place))[0] > 0).cpu().numpy()
        cells = np.s_[:, : rows // CELL, : columns // CELL]
        truth, weight = frame.truth[cells] > 0, frame.weight[cells] > 0
        counts += np.array([
            [(said & true & sure).sum(), (true & sure).sum(), (said & sure).sum()]
            for said, true, sure in zip(found, truth, weight, strict=True)
        ])  # fmt: skip
    told = {}
    for name, (both, true, said) in zip(("lines", "words"), counts, strict=True):
        told[f"held_out_{name}_recall"] = round(float(both / max(1.0, true)), 4)
        told[f"held_out_{name}_precision"] = round(float(both / max(1.0, said)), 4)
    return told


def _publish(
    average: nn.Module, out: Path, settings: FinderSettings, held_out: Sequence[Path], trained: Trained
) -> dict[str, float]:
    import torch

    figures = measure_letter_finder(average, held_out) | {"held_out_frames": float(len(held_out))}
    moving = {"images": {2: "height", 3: "width"}, "letters": {2: "rows", 3: "columns"}}
    atomic_write_bytes(out, as_onnx(average.cpu().eval(), torch.zeros(1, 3, 64, 96), "letters", moving))
    average.to(device())
    write_entry(
        out,
        "where lettering lies over a picture: lines of subtitles, strokes of faint words",
        seconds_trained=trained.seconds,
        data={
            "renderer": "lora_assets.training.letter_finder.draw_ground",
            "renderer_sha256": [renderer_digest()],
            "train_seeds": [settings.first_seed, settings.first_seed + settings.frames],
            "held_out_seeds": [FIRST_UNSEEN_SEED, FIRST_UNSEEN_SEED + settings.held_out],
        },
        architecture={
            "widths": list(WIDTHS), "cell": CELL, "height": HEIGHT,
            "parameters": sum(value.numel() for value in average.parameters()),
        },
        settings=asdict(settings) | {"opset": OPSET, "steps_done": trained.steps, "phases": list(trained.phases)},
        figures=figures,
    )  # fmt: skip
    _log.info("published after %d steps: %s", trained.steps, figures)
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: options of `train_letter_finder` and `FinderSettings`."""
    run_training(
        arguments,
        train_letter_finder,
        FinderSettings(),
        weights_name=STARTER_LETTERS.name,
        module="lora_assets.training.letter_finder",
        description=__doc__,
    )


if __name__ == "__main__":
    main()
