"""Fits the numbers of vision/mask_evidence.py on drawn crops: `python -m lora_assets.benchmarks.tier_critic`.

For each defect of a mask that several signs tell of, what the checks measure and what the mask critic says (the last
sign): a logistic regression on the roots of the shares, written as a weighted power mean and the limits of its value.
Prints the blends, whether they stand there, and the precision that equals recall, of what the checks measure, of what
the critic says and of both, on folds of other scenes; only `Task.likely` is set by hand. Then, how much the critic
calls too much in things that its training was not told of (`HELD_OUT_THINGS`): whether it could speak for a character
that no head or face speaks for. The defaults made the numbers there, in about three minutes of one core; after another
training of the critic they are others. The seeds are none of those on which the tiers are measured.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lora_assets.benchmarks.tier_bases import Base, Damaged, draw_base, visible_bases
from lora_assets.benchmarks.tier_picture_damages import draw_one_of
from lora_assets.benchmarks.tier_regression import fit, held_line, numbers, on_other_scenes
from lora_assets.benchmarks.tier_rules import Label, LabelledCrop
from lora_assets.benchmarks.tier_scenes import SIZE, damaged_crop
from lora_assets.benchmarks.tiers import cutout_of, drawn_crops
from lora_assets.training.rendered import HELD_OUT_THINGS
from lora_assets.vision.cutout import CutOut
from lora_assets.vision.mask_critic import Doubts, doubts
from lora_assets.vision.mask_evidence import BACKGROUND, HOLES, LEFT_OUT, Blend
from lora_assets.vision.measures import ground_signs, hole_signs, lost_signs

FIRST_SEED, CROPS = 8_470_000, 4000
FIRST_THING_SEED, THING_SCENES = 9_500_000, 400
_TOO_MUCH = ("background", "several", "neighbour", "specks", "boxed", "bars")
_CUT = ("cut", "headless", "thin_ends")
_LOST = (*_CUT, "holes", "combs", "several", "neighbour")


@dataclass(frozen=True, slots=True)
class Task:
    """A blend: its signs, the critic's last, the defects that it tells of, and those whose crops are no examples of
    their absence either, and how likely one has to be to be told (0..1), the one number that is set by hand: a crop
    that is wrongly high is worse than a good one that is lost."""

    signs: Callable[[CutOut, Doubts], tuple[float | None, ...]]
    defects: tuple[str, ...]
    like: tuple[str, ...]
    likely: float
    held: Blend


TASKS: dict[str, Task] = {
    "BACKGROUND": Task(ground_signs, ("background", "several", "neighbour"), _TOO_MUCH, 0.35, BACKGROUND),
    "LEFT_OUT": Task(lost_signs, _CUT, _LOST, 0.4, LEFT_OUT),
    "HOLES": Task(hole_signs, ("holes",), _LOST, 0.3, HOLES),
}


@dataclass(frozen=True, slots=True)
class Known:
    """The label of a crop and its signs (shares 0..1)."""

    label: Label
    signs: tuple[float, ...]


def collect(crops: Iterable[LabelledCrop]) -> dict[str, list[Known]]:
    """The signs of all crops, by the name of the blend."""
    found: dict[str, list[Known]] = {name: [] for name in TASKS}
    for crop in crops:
        if crop.label.hides_all:
            continue
        cut = cutout_of(crop)
        told = doubts(cut)
        if told is None:
            continue
        for name, task in TASKS.items():
            signs = task.signs(cut, told)
            known = tuple(sign for sign in signs if sign is not None)
            if len(known) == len(signs):
                found[name].append(Known(crop.label, known))
    return found


def learn(found: Sequence[Known], task: Task) -> tuple[Blend, dict[str, float]]:
    """The blend of a task, and the precision that equals recall of its own signs, of the critic's and of all, on folds
    of other scenes. A sign that would count against the defect gets no weight."""
    known = [(each, truth) for each in found if (truth := _truth(each.label, task)) is not None]
    signs = np.sqrt(np.array([each.signs for each, _ in known], np.float64))
    grades = np.array([truth for _, truth in known])
    true, seeds = grades != "none", np.array([each.label.seed for each, _ in known])
    blend = _fitted(signs, true, grades, task.likely)
    told = {
        name: _balance(on_other_scenes(signs[:, columns], true, seeds), true)
        for name, columns in (("own", slice(0, -1)), ("critic", slice(-1, None)), ("both", slice(None)))
    }
    return blend, told


def _fitted(
    signs: npt.NDArray[np.float64], true: npt.NDArray[np.bool_], grades: npt.NDArray[np.str_], likely: float
) -> Blend:
    evidence = fit(signs, true)
    weights = np.maximum(np.array(evidence.weights), 1e-9)
    share = weights / weights.sum()
    mean = signs @ share
    line = fit(mean[:, None], true)
    # As many are called grave as there are.
    grave = float(np.quantile(mean[true], 1.0 - float((grades[true] == "grave").mean())))
    least = (math.log(likely / (1.0 - likely)) - line.constant) / line.weights[0]
    limits = (max(0.0, told) ** 2 for told in (least, grave))
    limit, most = (float(f"{value:.4g}") for value in limits)
    return Blend(tuple(float(f"{value:.4g}") for value in share), limit, most)


def _truth(label: Label, task: Task) -> str | None:
    """none, mild or grave; None where nothing is learned from the crop."""
    told = label.defects
    grades = [told[name] for name in task.defects if name in told]
    for grade in ("grave", "mild"):
        if grade in grades:
            return grade
    return None if any(name in told for name in (*task.defects, *task.like)) else "none"


def _balance(evidence: npt.NDArray[np.float64], true: npt.NDArray[np.bool_]) -> float:
    """Precision and recall 0..1 where as many are called as there are."""
    count = int(true.sum())
    return float(true[np.argsort(-evidence, kind="stable")[:count]].mean()) if count else 0.0


def held_out_things(first_seed: int, scenes: int) -> Iterator[LabelledCrop]:
    """A thing that no training was told of in the place of a character, for each scene that shows one."""
    names = sorted(HELD_OUT_THINGS)

    def draw(crop: Damaged, _base: Base, rng: np.random.Generator) -> bool:
        return draw_one_of(names, crop, rng)

    for seed in range(first_seed, first_seed + scenes):
        rng, bases = np.random.default_rng([seed, 96]), visible_bases(draw_base(seed, *SIZE))
        if bases:
            crop = damaged_crop(seed, "thing", draw, bases[int(rng.integers(len(bases)))], rng)
            if crop is not None:
                yield crop


def thing_line(things: Iterable[LabelledCrop], characters: Sequence[Known]) -> str:
    """What the critic calls too much in things, and in the clean ones of the characters known to the task BACKGROUND:
    percentiles, as shares 0..1 of the mask."""
    told = [each.too_much for crop in things if (each := doubts(cutout_of(crop))) is not None]
    clean = [each.signs[-1] for each in characters if not each.label.defects]
    parts = [
        f"{len(values)} {name} " + ", ".join(f"{value:.3f}" for value in np.percentile(values, (2, 10, 50, 90, 98)))
        for name, values in (("unknown things", told), ("clean characters", clean))
    ]
    return "called too much (percentiles 2, 10, 50, 90, 98): " + "; ".join(parts)


def _line(name: str, blend: Blend) -> str:
    return f"{name} = Blend(({numbers(blend.weights)}), {numbers([blend.limit])}, {numbers([blend.grave])})"


def lines(name: str, found: Sequence[Known], task: Task) -> list[str]:
    """The blend as it stands in mask_evidence.py, whether it does, and how well it tells."""
    blend, told = learn(found, task)
    fitted = _line(name, blend)
    signs = ", ".join(f"{sign} {value:.3f}" for sign, value in told.items())
    return [
        fitted,
        held_line(fitted, _line(name, task.held), "vision/mask_evidence.py"),
        f"  {len(found)} crops; precision = recall on other scenes: {signs}",
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=int, default=CROPS)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    told = parser.parse_args()
    found = collect(drawn_crops(told.crops, told.first_seed))
    for name, task in TASKS.items():
        print("\n".join(lines(name, found[name], task)))
    print(thing_line(held_out_things(FIRST_THING_SEED, THING_SCENES), found["BACKGROUND"]))


if __name__ == "__main__":
    main()
