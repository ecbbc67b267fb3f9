"""Fits OUTLINED_LINE and FAINT_WORD of vision/lettering.py on drawn scenes: `python -m
lora_assets.benchmarks.tier_lettering`.

Learned from the labelled crops of drawn scenes with all their defects, and, so that there is lettering enough, from a
subtitle and two faint words laid over figures of each scene. That makes lettering more frequent than it is: the
constants are lowered to the share that is expected (EXPECTED), the one number that is set by hand. Prints each
regression with the meaning of its signs, whether it stands in the module, and for several shares how much folds of
other scenes call lettering. The defaults made the numbers there, in about two minutes of one core. The seeds are none
of those on which the tiers are measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.benchmarks.tier_bases import Base, Damage, Damaged, draw_base, drawn_mask, visible_bases
from lora_assets.benchmarks.tier_picture_damages import lay_subtitle, lay_watermark
from lora_assets.benchmarks.tier_regression import fit, held_line, numbers, on_other_scenes
from lora_assets.benchmarks.tier_rules import RULE, LabelledCrop
from lora_assets.benchmarks.tier_scenes import SIZE, labelled, labelled_crops
from lora_assets.benchmarks.tiers import cutout_of
from lora_assets.vision import faint_words, outlined_lines
from lora_assets.vision.lettering import FAINT_WORD, OUTLINED_LINE, Regression, line_candidates, word_candidate

FIRST_SEED, SCENES = 9_300_000, 600
# The share of the candidates that are lettering. Among the labelled crops it is 0.2 of the lines and 0.03 of the words;
# a word that is missed makes a crop wrongly high, which is worse than a good crop lost.
EXPECTED = 0.1
_SHARES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.4)
# A pixel that a subtitle changes by so much is its; a candidate is a line of it from this share of its pixels on.
_CHANGED, _OF_LINE, _OF_NONE = 40, 0.1, 0.01


@dataclass(frozen=True, slots=True)
class Candidate:
    """Seed of the scene, whether it is lettering that one sees, and its signs (None: no candidate was found)."""

    seed: int
    written: bool
    signs: npt.NDArray[np.float64] | None


def candidates(first_seed: int, scenes: int) -> Iterator[tuple[str, Candidate]]:
    """What may be lettering over the figures of each scene: "line" or "word", and the candidate. Left out is what
    nobody can tell: lines half hidden, and words over too little of the figure."""
    for seed in range(first_seed, first_seed + scenes):
        frame = draw_base(seed, *SIZE)
        for crop in labelled_crops(seed):
            yield from _lines(crop, frame.image)
            yield from _words(crop)
        rng = np.random.default_rng([seed, 98])
        bases = visible_bases(frame)
        if not bases:
            continue
        for name, lay in (("watermark", lay_watermark), ("watermark", lay_watermark), ("subtitle", lay_subtitle)):
            crop = _lettered(seed, name, lay, bases[int(rng.integers(len(bases)))], rng)
            if crop is not None:
                yield from _lines(crop, frame.image) if name == "subtitle" else _words(crop)


def _lettered(seed: int, name: str, lay: Damage, base: Base, rng: np.random.Generator) -> LabelledCrop | None:
    mask, box = drawn_mask(base.figure, base.others, rng), base.characters[base.subject].box
    crop = Damaged(base.image, mask, box, {}, base.figure, characters=base.characters)
    return labelled(seed, name, crop, base, rng) if lay(crop, base, rng) else None


def _lines(crop: LabelledCrop, before: npt.NDArray[np.uint8]) -> Iterator[tuple[str, Candidate]]:
    text = np.zeros(crop.image.shape[:2], np.bool_)
    if crop.kind == "subtitle":
        text = cv2.absdiff(crop.image, before).max(axis=2) >= _CHANGED
    for row in line_candidates(cutout_of(crop)) if not crop.label.hides_all else ():
        share = float(text[row.under].mean())
        if share >= _OF_LINE or share < _OF_NONE:
            yield "line", Candidate(crop.seed, share >= _OF_LINE, row.signs)


def _words(crop: LabelledCrop) -> Iterator[tuple[str, Candidate]]:
    written = crop.strengths.get("watermark", 0.0) >= RULE["watermark"].mild
    if crop.label.hides_all or crop.kind == "subtitle" or (crop.kind == "watermark" and not written):
        return
    word = word_candidate(cutout_of(crop))
    yield "word", Candidate(crop.seed, written, None if word is None else word.signs)


def lowered(found: Sequence[Candidate], expected: float) -> float:
    """What is taken from the constant where a share `expected` (0..1) of all is lettering: the difference of the
    logarithms of the odds in `found` and of the odds expected (prior correction; King and Zeng, Logistic regression in
    rare events data, 2001)."""
    share = sum(each.written for each in found) / len(found)
    return float(np.log(share / (1.0 - share)) - np.log(expected / (1.0 - expected)))


def fit_lines(
    name: str, found: Sequence[Candidate], held: Regression, expected: float, signs: Sequence[str] = ()
) -> list[str]:
    """The regression, the meaning of its signs, whether lettering.py holds it, and how many folds of other scenes call
    lettering."""
    known = [each for each in found if each.signs is not None]
    rows = np.array([each.signs for each in known], np.float64)
    written, seeds = np.array([each.written for each in known]), np.array([each.seed for each in known])
    evidence = on_other_scenes(rows, written, seeds)
    learned = fit(rows, written)
    fitted = _line(name, learned.weights, learned.constant - lowered(found, expected))
    with_letters = sum(each.written for each in found)
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
            f"{int((called & written).sum())} of {with_letters} with lettering, "
            f"{int((called & ~written).sum())} of {len(found) - with_letters} without"
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
    lines = [each for kind, each in found if kind == "line"]
    words = [each for kind, each in found if kind == "word"]
    print("\n".join(fit_lines("OUTLINED_LINE", lines, OUTLINED_LINE, told.expected, outlined_lines.SIGNS)))
    print("\n".join(fit_lines("FAINT_WORD", words, FAINT_WORD, told.expected, faint_words.SIGNS)))


if __name__ == "__main__":
    main()
