"""Fits LINES and WORDS of vision/lettering.py on drawn scenes: `python -m lora_assets.benchmarks.tier_lettering`.

Learned from the labelled crops of drawn scenes with all their defects, and, so that there is lettering enough, from a
subtitle and two faint words laid over figures of each scene. That makes lettering more frequent than it is: the
constants are lowered to the share that is expected (EXPECTED), the one number that is set by hand. Prints each
regression with the meaning of its signs, whether it stands in the module, and for several shares how much folds of
other scenes call lettering. The defaults made the numbers there, in about three minutes of one core. The seeds are none
of those on which the tiers are measured, and none of those that the letter finder learned from.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lora_assets.benchmarks.tier_bases import draw_base, visible_bases
from lora_assets.benchmarks.tier_picture_damages import lay_subtitle, lay_watermark
from lora_assets.benchmarks.tier_regression import fit, held_line, numbers, on_other_scenes
from lora_assets.benchmarks.tier_rules import LabelledCrop
from lora_assets.benchmarks.tier_scenes import SIZE, damaged_crop, labelled_crops
from lora_assets.benchmarks.tiers import cutout_of
from lora_assets.vision.lettering import LINE_SIGNS, LINES, WORD_SIGNS, WORDS, Regression, find_letters

FIRST_SEED, SCENES = 9_300_000, 420
# The share of the crops that have lettering of a kind over them. Among the labelled crops it is about 0.03 of each; a
# word that is missed makes a crop wrongly high, which is worse than a good crop lost.
EXPECTED = 0.2
_SHARES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
# The defect that a kind of lettering is in the rules.
_DEFECTS = {"lines": "text", "words": "watermark"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """Seed of the scene, whether there is lettering that one sees, and its signs."""

    seed: int
    written: bool
    signs: npt.NDArray[np.float64]


def candidates(first_seed: int, scenes: int) -> Iterator[tuple[str, Candidate]]:
    """What may be lettering over the figures of each scene: "lines" or "words", and the candidate."""
    for seed in range(first_seed, first_seed + scenes):
        for crop in labelled_crops(seed):
            yield from _candidates_of(crop)
        rng = np.random.default_rng([seed, 98])
        bases = visible_bases(draw_base(seed, *SIZE))
        if not bases:
            continue
        for name, lay in (("watermark", lay_watermark), ("watermark", lay_watermark), ("subtitle", lay_subtitle)):
            crop = damaged_crop(seed, name, lay, bases[int(rng.integers(len(bases)))], rng)
            if crop is not None:
                yield from _candidates_of(crop)


def _candidates_of(crop: LabelledCrop) -> Iterator[tuple[str, Candidate]]:
    """A crop as both kinds of candidate. Left out is what nobody can tell (letters over too little of the figure),
    what shows hardly anything like letters, and a crop with lettering of one kind as a candidate of the other."""
    told = {kind: crop.label.defects.get(defect) for kind, defect in _DEFECTS.items()}
    found = None if crop.label.hides_all or "unsure" in told.values() else find_letters(cutout_of(crop))
    if found is None:
        return
    for kind, signs in zip(_DEFECTS, (found.line_signs, found.word_signs), strict=True):
        if signs is not None and (told[kind] is not None or not any(told.values())):
            yield kind, Candidate(crop.seed, told[kind] is not None, signs)


def lowered(found: Sequence[Candidate], expected: float) -> float:
    """What is taken from the constant where a share `expected` (0..1) of all is lettering: the difference of the
    logarithms of the odds in `found` and of the odds expected (prior correction; King and Zeng, Logistic regression in
    rare events data, 2001)."""
    share = sum(each.written for each in found) / len(found)
    return float(np.log(share / (1.0 - share)) - np.log(expected / (1.0 - expected)))


def fit_lines(
    name: str, found: Sequence[Candidate], held: Regression, expected: float, signs: Sequence[str]
) -> list[str]:
    """The regression, the meaning of its signs, whether lettering.py holds it, and how many folds of other scenes call
    lettering."""
    rows = np.array([each.signs for each in found], np.float64)
    written, seeds = np.array([each.written for each in found]), np.array([each.seed for each in found])
    evidence = on_other_scenes(rows, written, seeds)
    learned = fit(rows, written)
    fitted = _line(name, learned.weights, learned.constant - lowered(found, expected))
    told = [f"    {weight:8.4g} x {sign}" for weight, sign in zip(learned.weights, signs, strict=False)]
    lines = [
        fitted,
        held_line(fitted, _line(name, *held), "vision/lettering.py"),
        *told,
        f"  {len(found)} candidates; called lettering on other scenes, by the share that is expected:",
    ]
    for share in sorted({*_SHARES, round(expected, 3)}):
        called = evidence > lowered(found, share)
        lines.append(
            f"  {share:g} (constant {learned.constant - lowered(found, share):.4g}): "
            f"{int((called & written).sum())} of {int(written.sum())} with lettering, "
            f"{int((called & ~written).sum())} of {int((~written).sum())} without"
        )
    return lines


def _line(name: str, weights: Sequence[float], constant: float) -> str:
    return f"{name} = (({numbers(weights)}), {numbers([constant])})"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--expected", type=float, default=EXPECTED)
    told = parser.parse_args()
    found = list(candidates(told.first_seed, told.scenes))
    for kind, name, held, signs in (("lines", "LINES", LINES, LINE_SIGNS), ("words", "WORDS", WORDS, WORD_SIGNS)):
        print("\n".join(fit_lines(name, [each for of, each in found if of == kind], held, told.expected, signs)))


if __name__ == "__main__":
    main()
