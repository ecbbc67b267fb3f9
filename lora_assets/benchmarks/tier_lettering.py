"""Fits FAINT_WORD of vision/lettering.py on drawn scenes: `python -m lora_assets.benchmarks.tier_lettering`.

Learned from the labelled crops of drawn scenes, with all their defects but subtitles, and from two figures of each
scene with a faint word over them, so that there are words enough. That makes words more frequent than they are: the
constant is lowered to the share that is expected (EXPECTED), the one number that is set by hand. Prints the regression,
whether it stands there, and for several shares how many figures folds of other scenes call lettered. The defaults made
the numbers there, in about two minutes of one core. The seeds are none of those on which the tiers are measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from lora_assets.benchmarks.tier_bases import Damaged, draw_base, drawn_mask, visible_bases
from lora_assets.benchmarks.tier_picture_damages import lay_watermark
from lora_assets.benchmarks.tier_regression import fit, held_line, numbers, on_other_scenes
from lora_assets.benchmarks.tier_rules import RULE
from lora_assets.benchmarks.tier_scenes import SIZE, labelled, labelled_crops
from lora_assets.benchmarks.tiers import cutout_of
from lora_assets.vision.lettering import FAINT_WORD, faint_signs

FIRST_SEED, SCENES = 9_300_000, 1000
# The share of all figures that a faint word lies over. As tier_scenes.DAMAGES has it; of the shares that fit_lines
# tries on folds of other scenes it makes the fewest errors per crop at that frequency.
EXPECTED = 0.03
_SHARES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.4)

Word = tuple[int, bool, npt.NDArray[np.float64] | None]
"""Seed of the scene, whether a word that one sees lies over the figure, and the signs (None: no second look)."""


def words(first_seed: int, scenes: int) -> Iterator[Word]:
    """The labelled crops of each scene that surely have a word or surely none, and two figures with a word."""
    for seed in range(first_seed, first_seed + scenes):
        for crop in labelled_crops(seed):
            told = crop.label.defects
            if not crop.label.hides_all and "text" not in told and told.get("watermark") != "unsure":
                yield seed, "watermark" in told, faint_signs(cutout_of(crop))
        frame = draw_base(seed, *SIZE)
        rng = np.random.default_rng([seed, 98])
        bases = visible_bases(frame)
        for base in (bases[int(at)] for at in rng.integers(len(bases), size=2)) if bases else ():
            mask, box = drawn_mask(base.figure, base.others, rng), base.characters[base.subject].box
            crop = Damaged(frame.image, mask, box, {}, base.figure, characters=frame.characters)
            if lay_watermark(crop, base, rng) and crop.strengths["watermark"] >= RULE["watermark"].mild:
                yield seed, True, faint_signs(cutout_of(labelled(seed, "watermark", crop, base, rng)))


def lowered(found: Sequence[Word], expected: float) -> float:
    """What is taken from the constant where a share `expected` (0..1) of all figures has a word: the difference of the
    logarithms of the odds in `found` and of the odds expected (prior correction; King and Zeng, Logistic regression in
    rare events data, 2001)."""
    written = sum(word[1] for word in found)
    return float(np.log(written / (len(found) - written)) - np.log(expected / (1.0 - expected)))


def fit_lines(found: Sequence[Word], held: tuple[Sequence[float], float], expected: float = EXPECTED) -> list[str]:
    """The regression, whether lettering.py holds it, and how many folds of other scenes call lettering."""
    known = [word for word in found if word[2] is not None]
    signs = np.array([word[2] for word in known], np.float64)
    written, seeds = np.array([word[1] for word in known]), np.array([word[0] for word in known])
    evidence = on_other_scenes(signs, written, seeds)
    learned = fit(signs, written)
    fitted = _line(learned.weights, learned.constant - lowered(found, expected))
    with_word = sum(word[1] for word in found)
    lines = [
        fitted,
        held_line(fitted, _line(*held), "vision/lettering.py"),
        f"  {len(found)} figures; called lettering on other scenes, by the share of words expected:",
    ]
    for share in _SHARES:
        called = evidence > lowered(found, share)
        lines.append(
            f"  {share:g} (constant {learned.constant - lowered(found, share):.4g}): "
            f"{int((called & written).sum())} of {with_word} with a word, "
            f"{int((called & ~written).sum())} of {len(found) - with_word} without"
        )
    return lines


def _line(weights: Sequence[float], constant: float) -> str:
    return f"FAINT_WORD = (({numbers(weights)}), {numbers([constant])})"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--expected", type=float, default=EXPECTED)
    told = parser.parse_args()
    print("\n".join(fit_lines(list(words(told.first_seed, told.scenes)), FAINT_WORD, told.expected)))


if __name__ == "__main__":
    main()
