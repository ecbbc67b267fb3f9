"""Fits CUT_HEAD of vision/body_checks.py on drawn heads: `python -m lora_assets.benchmarks.tier_heads`.

Each fully visible head of drawn scenes is cut by the frame at several heights. Prints the regression, whether it stands
there, and how many heads are called cut at each height, on folds of other scenes; nothing is set by hand. The defaults
made the numbers there, in about a minute of one core. The seeds are none of those on which the tiers are measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from lora_assets.benchmarks.tier_bases import Damaged, draw_base, drawn_mask, visible_bases
from lora_assets.benchmarks.tier_picture_damages import take_rows
from lora_assets.benchmarks.tier_regression import fit, held_line, numbers, on_other_scenes, probability
from lora_assets.benchmarks.tier_scenes import SIZE, labelled
from lora_assets.benchmarks.tiers import cutout_of
from lora_assets.vision.body_checks import CUT_HEAD, head_at_edge
from lora_assets.vision.checks import CHECKS

FIRST_SEED, SCENES = 9_200_000, 1000
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


def fit_lines(found: Sequence[Sign], held: tuple[float, float, float]) -> list[str]:
    """The regression on heads that are surely whole or surely cut, whether body_checks.py holds it, and for each share
    the part of all heads that is called cut, by regressions on other scenes, at the limit of the check."""
    seeds, shares = np.array([seed for seed, *_ in found]), np.array([share for _, share, *_ in found])
    told = np.array([sign[2:] for sign in found])
    sure, cut = (shares <= _WHOLE) | (shares >= _CUT), shares >= _CUT
    given = probability(on_other_scenes(told, cut, seeds, sure))
    limit = next(check.limit for check in CHECKS if check.name == "head_cut")
    called = ", ".join(
        f"{share:g} {np.mean(given[shares == share] > limit):.2f} ({np.count_nonzero(shares == share)})"
        for share in SHARES
        if (shares == share).any()
    )
    evidence = fit(told[sure], cut[sure])
    fitted = _line((*evidence.weights, evidence.constant))
    return [
        fitted,
        held_line(fitted, _line(held), "vision/body_checks.py"),
        f"  {len(found)} heads; called cut over {limit}, by the share cut off: {called}",
    ]


def _line(values: Sequence[float]) -> str:
    return f"CUT_HEAD = ({numbers(values)})"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    told = parser.parse_args()
    print("\n".join(fit_lines(list(signs(told.first_seed, told.scenes)), CUT_HEAD)))


if __name__ == "__main__":
    main()
