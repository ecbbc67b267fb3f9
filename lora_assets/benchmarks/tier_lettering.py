"""Fits FAINT_WORD of vision/lettering.py on drawn scenes: `python -m lora_assets.benchmarks.tier_lettering`.

Frames with and without a faint word laid through a figure. Prints the regression, and how many of both it calls
lettering on folds of other scenes. The seeds are none of those on which the tiers are measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from lora_assets.benchmarks.tier_bases import Damaged, draw_base, drawn_mask, visible_bases
from lora_assets.benchmarks.tier_picture_damages import lay_watermark
from lora_assets.benchmarks.tier_rules import RULE
from lora_assets.benchmarks.tier_scenes import SIZE, labelled
from lora_assets.benchmarks.tiers import cutout_of
from lora_assets.vision.lettering import faint_signs

FIRST_SEED = 9_300_000

Word = tuple[int, bool, npt.NDArray[np.float64] | None]
"""Seed of the scene, whether a word that one sees lies over the figure, and the signs (None: no second look)."""


def words(first_seed: int, scenes: int) -> Iterator[Word]:
    """One figure of each scene without, and two with a faint word over it."""
    for seed in range(first_seed, first_seed + scenes):
        frame = draw_base(seed, *SIZE)
        rng = np.random.default_rng([seed, 98])
        bases = visible_bases(frame)
        for written in (False, True, True) if bases else ():
            base = bases[int(rng.integers(len(bases)))]
            mask, box = drawn_mask(base.figure, base.others, rng), base.characters[base.subject].box
            crop = Damaged(frame.image, mask, box, {}, base.figure, characters=frame.characters)
            if written:
                lay_watermark(crop, base, rng)
            strength = crop.strengths.get("watermark", 0.0)
            if not written or strength >= RULE["watermark"].mild:
                yield seed, written, faint_signs(cutout_of(labelled(seed, "watermark", crop, base, rng)))


def fit(signs: npt.NDArray[np.float64], written: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.float64], float]:
    """Weights and constant."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = signs.mean(axis=0), np.maximum(signs.std(axis=0), 1e-6)
    model = LogisticRegression(C=0.5, max_iter=3000).fit((signs - mean) / spread, written)
    weights = model.coef_[0] / spread
    return weights, float(model.intercept_[0] - weights @ mean)


def fit_lines(found: Sequence[Word], folds: int = 8) -> list[str]:
    """The regression, and what folds of other scenes call lettering with a probability over 0.7."""
    known = [word for word in found if word[2] is not None]
    signs = np.array([word[2] for word in known], np.float64)
    written, fold = np.array([word[1] for word in known]), np.array([word[0] % folds for word in known])
    evidence = np.zeros(len(known))
    for each in range(folds):
        weights, constant = fit(signs[fold != each], written[fold != each])
        evidence[fold == each] = signs[fold == each] @ weights + constant
    called = evidence > np.log(0.7 / 0.3)
    with_word = sum(word[1] for word in found)
    weights, constant = fit(signs, written)
    return [
        f"weights {', '.join(f'{weight:.3f}' for weight in weights)}, constant {constant:.2f}",
        f"called lettering: {int((called & written).sum())} of {with_word} with a word, "
        f"{int((called & ~written).sum())} of {len(found) - with_word} without",
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=700)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    told = parser.parse_args()
    print("\n".join(fit_lines(list(words(told.first_seed, told.scenes)))))


if __name__ == "__main__":
    main()
