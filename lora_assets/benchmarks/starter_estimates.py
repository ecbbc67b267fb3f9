"""Fits ESTIMATE of vision/starter_boxes.py on drawn scenes: `python -m lora_assets.benchmarks.starter_estimates`.

The starter is asked for every visible character by its true box and by one that is moved a little, as a detector's are.
Prints the numbers, whether they stand in the module, and how far what is expected lies from the truth on folds of other
scenes; nothing is set by hand. The defaults made the numbers there, in about a minute of one core. Run it again when
the starter SAM was trained anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lora_assets.benchmarks.tier_regression import held_line, numbers, probability
from lora_assets.scenes import draw_scene
from lora_assets.starter import STARTER_SAM
from lora_assets.training.rendered import frame_size
from lora_assets.vision.masks import mask_iou
from lora_assets.vision.sam import load_sam
from lora_assets.vision.segment import SegmentSettings
from lora_assets.vision.starter_boxes import ESTIMATE, BoxedStarter

FIRST_SEED, SCENES = 21_000, 150
_MOVED = 0.06
"""Standard deviation of how far the sides of a box are moved, in its sides."""
_SMALLEST, _FOLDS, _ROUNDS = 10.0, 5, 30
_GOOD = 0.8

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Asked:
    """A box that was asked: seed of the scene, what the network told of its mask's IoU, and the true one, 0 to 1."""

    seed: int
    told: float
    iou: float


def asked_boxes(first_seed: int, scenes: int) -> Iterator[Asked]:
    """The boxes of all characters of the scenes that one sees."""
    starter, batch = BoxedStarter(load_sam(STARTER_SAM)), SegmentSettings().decoder_batch
    for seed in range(first_seed, first_seed + scenes):
        scene = draw_scene(seed, *frame_size(seed), looks="training")
        rng = np.random.default_rng([seed, 77])
        height, width = scene.image.shape[:2]
        boxes, masks = [], []
        for character in scene.characters:
            box = np.array(character.box, np.float64)
            sides = box[2:] - box[:2]
            if character.visible_parts and sides.min() >= _SMALLEST:
                moved = box + np.tile(sides, 2) * rng.normal(0, _MOVED, 4)
                boxes += [box, np.clip(moved, 0, [width, height, width, height])]
                masks += [character.mask] * 2
        for answer, mask in zip(starter.answer(scene.image, np.array(boxes), batch), masks, strict=True):
            found = answer.part(0, 0, width, height)[:, :] > 0
            yield Asked(seed, answer.told, mask_iou(found, mask))


def fit(told: Values, ious: Values) -> tuple[float, float]:
    """Weight and constant of the sigmoid that gives `ious` (N, 0 to 1) from what was told (N), by Newton's method
    (Papke and Wooldridge, "Econometric Methods for Fractional Response Variables", 1996)."""
    rows, found = np.column_stack([told, np.ones_like(told)]), np.zeros(2)
    for _ in range(_ROUNDS):
        given = probability(rows @ found)
        bend = (rows * (given * (1 - given))[:, None]).T @ rows + 1e-6 * np.eye(2)
        found += np.linalg.solve(bend, rows.T @ (ious - given))
    return float(found[0]), float(found[1])


def fit_lines(asked: Sequence[Asked], held: tuple[float, float]) -> list[str]:
    """The numbers, whether starter_boxes.py holds them, and what they gain on other scenes."""
    told, ious = np.array([each.told for each in asked]), np.array([each.iou for each in asked])
    folds = np.array([each.seed % _FOLDS for each in asked])
    expected = np.zeros_like(told)
    for fold in range(_FOLDS):
        inside = folds == fold
        if inside.any():
            weight, constant = fit(told[~inside], ious[~inside])
            expected[inside] = probability(weight * told[inside] + constant)
    fitted = _line(fit(told, ious))
    sure, good = expected >= _GOOD, ious >= _GOOD
    return [
        fitted,
        held_line(fitted, _line(held), "vision/starter_boxes.py"),
        f"  {len(asked)} boxes, mean IoU {ious.mean():.3f}; mean told {told.mean():.3f}, {_off(told, ious):.3f} off; "
        f"expected on other scenes {expected.mean():.3f}, {_off(expected, ious):.3f} off",
        f"  IoU of {_GOOD:g} or more: {int((sure & good).sum())} of {int(sure.sum())} that are expected to have it, "
        f"{int((~sure & good).sum())} of {int((~sure).sum())} others",
    ]


def _off(values: Values, ious: Values) -> float:
    return float(np.abs(values - ious).mean())


def _line(values: Sequence[float]) -> str:
    return f"ESTIMATE = ({numbers(values)})"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    told = parser.parse_args()
    print("\n".join(fit_lines(list(asked_boxes(told.first_seed, told.scenes)), ESTIMATE)))


if __name__ == "__main__":
    main()
