"""Fits the numbers of vision/piece_evidence.py on drawn scenes: `python -m lora_assets.benchmarks.tier_pieces`.

Pieces along the outlines of drawn and damaged masks, with their signs as the checks see them; the truth is the
drawing's. Prints the two regressions as they stand there, whether they do, and their calibration on folds of other
scenes; nothing is set by hand. The defaults made the numbers there, in about four minutes of one core; after a change
of what finds the pieces, or of the scenes, they make others. The seeds are none of those on which the tiers are
measured. How well the checks do with them does not belong here (tiers).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.benchmarks.tier_bases import RIM
from lora_assets.benchmarks.tier_regression import evidence_line, fit, held_line, on_other_scenes, probability
from lora_assets.benchmarks.tier_rules import LabelledCrop
from lora_assets.benchmarks.tiers import cutout_of, drawn_crops
from lora_assets.vision.cutout import CutOut
from lora_assets.vision.lost_parts import end_pieces
from lora_assets.vision.mask_facts import ground_in_mask
from lora_assets.vision.masks import BoolMask
from lora_assets.vision.measures import lost_ends
from lora_assets.vision.outline_pieces import Pieces, around
from lora_assets.vision.piece_evidence import GROUND, LOST, Evidence

FIRST_SEED = 9_000_000
CROPS = {"LOST": 6000, "GROUND": 8000}
"""From how many crops each regression was fitted."""
_LEAST_SHARE = 0.004
_PAD = 0.2

Signs = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]


def lost_truth(cut: CutOut, figure: BoolMask) -> Signs | None:
    """The signs of the pieces outside a mask, and which of them are the figure's by half or more."""
    found = end_pieces(cut)
    if found is None or found.pieces is None:
        return None
    left, top, width, height = found.window
    return _told(found.pieces, figure[top : top + height, left : left + width])


def ground_truth(cut: CutOut, figure: BoolMask) -> Signs | None:
    """The signs of the pieces in a mask that look like the ground, and which of them are ground beyond the rim by half
    or more."""
    if not cut.area:
        return None
    window = around(cut.window, _PAD, *cut.frame_size)
    left, top, width, height = window
    mask, others = cut.subject.covers(window), np.zeros((height, width), np.bool_)
    for other in cut.others:
        others |= other.covers(window)
    frame = np.s_[top : top + height, left : left + width]
    found = ground_in_mask(cut.image[frame], mask, others & ~mask)
    if found is None or found.pieces is None:
        return None
    grown = cv2.dilate(figure[frame].astype(np.uint8), np.ones((2 * RIM + 1,) * 2, np.uint8)) > 0
    return _told(found.pieces, ~grown[found.part])


def _told(pieces: Pieces, truth: BoolMask) -> Signs:
    labels = pieces.labels
    small = cv2.resize(truth.astype(np.uint8), labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
    sizes = np.bincount(labels.reshape(-1))
    right = np.bincount(labels.reshape(-1), small.reshape(-1), len(sizes)) / np.maximum(sizes, 1)
    large = np.exp(pieces.signs[:, 0]) >= _LEAST_SHARE
    return pieces.signs[large], right[1:][large] >= 0.5


@dataclass(frozen=True, slots=True)
class Learned:
    """One regression with its calibration: for each tenth of the probability on scenes that it was not fitted on, the
    mean told and the share that is true, with how many pieces."""

    evidence: Evidence
    pieces: int
    true: float
    calibration: tuple[tuple[float, float, int], ...]


def collect(crops: Iterable[LabelledCrop]) -> dict[str, list[tuple[int, Signs]]]:
    """The signs and the truth of all pieces, with the seed of their scene, by the name of the regression, each from the
    first CROPS at most."""
    found: dict[str, list[tuple[int, Signs]]] = {"LOST": [], "GROUND": []}
    for number, crop in enumerate(crops):
        if crop.label.hides_all:
            continue
        cut = cutout_of(crop)
        # Where the checks do not look for pieces nothing is learned from them.
        if lost_ends(cut) is None:
            continue
        for name, of in (("LOST", lost_truth), ("GROUND", ground_truth)):
            told = of(cut, crop.figure) if number < CROPS[name] else None
            if told is not None and len(told[1]):
                found[name].append((crop.seed, told))
    return found


def learn(found: Sequence[tuple[int, Signs]]) -> Learned:
    """The regression over all pieces, and its calibration on folds of whole scenes."""
    signs = np.vstack([told[0] for _, told in found])
    true = np.concatenate([told[1] for _, told in found])
    seeds = np.concatenate([np.full(len(told[1]), seed) for seed, told in found])
    given = probability(on_other_scenes(signs, true, seeds))
    bins = np.minimum((given * 10).astype(int), 9)
    calibration = tuple(
        (float(given[bins == at].mean()), float(true[bins == at].mean()), int((bins == at).sum()))
        for at in range(10) if (bins == at).any()
    )  # fmt: skip
    return Learned(fit(signs, true), len(true), float(true.mean()), calibration)


def learned_lines(name: str, learned: Learned, held: Evidence) -> list[str]:
    """The regression as it stands in piece_evidence.py, whether it does, and its calibration."""
    fitted = evidence_line(name, learned.evidence)
    return [
        fitted,
        held_line(fitted, evidence_line(name, held), "vision/piece_evidence.py"),
        f"  {learned.pieces} pieces, {learned.true:.2f} of them true; told -> true: "
        + ", ".join(f"{told:.2f} -> {true:.2f} ({count})" for told, true, count in learned.calibration),
    ]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=int, default=max(CROPS.values()))
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    told = parser.parse_args()
    held = {"LOST": LOST, "GROUND": GROUND}
    for name, found in collect(drawn_crops(told.crops, told.first_seed)).items():
        print("\n".join(learned_lines(name, learn(found), held[name])))


if __name__ == "__main__":
    main()
