"""Fits CUT_HEAD of vision/body_checks.py on drawn heads: `python -m lora_assets.benchmarks.tier_heads`.

Each fully visible head of drawn scenes is cut by the frame at several heights. Prints the regression and how many heads
it calls cut at each of them, on folds of other scenes. The seeds are none of those on which the tiers are measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from lora_assets.benchmarks.tier_bases import Damaged, draw_base, drawn_mask, visible_bases
from lora_assets.benchmarks.tier_picture_damages import take_rows
from lora_assets.benchmarks.tier_scenes import SIZE, labelled
from lora_assets.benchmarks.tiers import cutout_of
from lora_assets.vision.body_checks import head_at_edge

FIRST_SEED = 9_200_000
SHARES = (0.0, 0.03, 0.06, 0.1, 0.2, 0.28, 0.4, 0.6)
_WHOLE, _CUT = 0.04, 0.15

Sign = tuple[int, float, float, float]
"""Seed of the scene, share cut off, share of the head along the edge, height of its box over its width."""


def signs(first_seed: int, scenes: int) -> Iterator[Sign]:
    """The signs of all heads at the upper edge, cut at each of SHARES."""
    for seed in range(first_seed, first_seed + scenes):
        frame = draw_base(seed, *SIZE)
        rng = np.random.default_rng([seed, 99])
        for base in visible_bases(frame):
            for share in SHARES:
                mask = drawn_mask(base.figure, base.others, rng)
                crop = Damaged(frame.image, mask, base.characters[base.subject].box, {}, base.figure,
                               characters=frame.characters)  # fmt: skip
                top = round(base.head[1] + share * (base.head[3] - base.head[1]))
                if take_rows(crop, base, slice(top, None), top):
                    told = head_at_edge(cutout_of(labelled(seed, "by_the_frame", crop, base, rng)))
                    if told is not None:
                        yield seed, share, *told


def fit(found: Sequence[Sign]) -> tuple[float, float, float]:
    """Weights of the two signs and the constant, from heads that are surely whole or surely cut."""
    from sklearn.linear_model import LogisticRegression

    told = np.array(found)
    sure = (told[:, 1] <= _WHOLE) | (told[:, 1] >= _CUT)
    model = LogisticRegression(C=10.0).fit(told[sure, 2:], told[sure, 1] >= _CUT)
    return float(model.coef_[0, 0]), float(model.coef_[0, 1]), float(model.intercept_[0])


def fit_lines(found: Sequence[Sign], limit: float = 0.3, folds: int = 5) -> list[str]:
    """The regression, and for each share the part of the heads that folds of other scenes call cut."""
    told = np.array(found)
    given = np.zeros(len(told))
    for each in range(folds):
        out = told[:, 0] % folds == each
        chord, aspect, constant = fit([sign for sign in found if sign[0] % folds != each])
        given[out] = 1.0 / (1.0 + np.exp(-(told[out, 2:] @ (chord, aspect) + constant)))
    shares = ", ".join(
        f"{share:g} {np.mean(given[told[:, 1] == share] > limit):.2f}"
        for share in SHARES
        if (told[:, 1] == share).any()
    )
    numbers = ", ".join(f"{number:.2f}" for number in fit(found))
    return [f"CUT_HEAD = ({numbers})", f"{len(told)} heads; called cut over {limit}, by the share cut off: {shares}"]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    told = parser.parse_args()
    print("\n".join(fit_lines(list(signs(told.first_seed, told.scenes)))))


if __name__ == "__main__":
    main()
