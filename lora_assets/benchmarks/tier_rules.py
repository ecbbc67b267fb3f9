"""The written rules of the tiers: which defect makes a crop medium or low, from which strength on, and a labelled crop.

The written rules. A person looks at the crop as it would be trained on: the figure on a plain ground.
- high (train as it is): one character, as complete as the frame shows it, sharp, lit, nothing written over it. What the
  frame cuts off below the head is no defect: bust and half pictures are good pictures. A rim of background
  of up to 4 pixels (1.5 % of the longer side), grain, compression, a colour cast and a vignette are no defects either.
- medium (small mending by hand): exactly one mild defect.
- low: one grave defect, or two mild ones.
- Between "none" and "mild" of a defect, two careful people differ. Such a crop is *unsure* in that defect: its flag is
  neither right nor wrong there, and the crop counts neither for nor against its tier. The share of such crops is told.

The marks stand in RULES: a strength below `none` is no defect, from `mild` on mild, from `grave` on grave. Where nobody
can be told at all (black, white, flat, empty, a thing), no other defect is judged.

How a crop is drawn and damaged does not belong here (tier_scenes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lora_assets.tables import Detection, Mask
from lora_assets.vision.masks import BoolMask

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Rule:
    """A defect: what its strength is, the marks of none, mild and grave, the flags one of which must name it, and the
    flags that are right beside them, as they name a part of it."""

    defect: str
    strength: str
    none: float
    mild: float
    grave: float
    flags: tuple[str, ...]
    also: tuple[str, ...] = ()


_NEVER = 9e9
_LEAK = ("background_left", "outside_box", "box_shaped")
_CUT = ("cut_body", "incomplete_body", "left_out", "missing_head", "headless", "box_gap")
# A neighbour of whom the mask took only a part: the rest of them is left out, and the box that holds both not reached.
_HALF = ("box_gap", "left_out")
RULES: tuple[Rule, ...] = (
    Rule("black", "share faded to black", 0.85, 0.92, 0.92, ("black", "flat")),
    Rule("white", "share faded to white", 0.8, 0.93, 0.93, ("flat", "faded")),
    Rule("flat", "1: the frame is one colour", 0.5, 0.5, 0.5, ("flat", "black")),
    Rule("empty", "1: fewer than 300 pixels are left", 0.5, 0.5, 0.5, ("empty",)),
    Rule("thing", "1: a thing or an animal, no character", 0.5, 0.5, 0.5, ("no_character", "unsupported"),
         ("bad_shape", "frayed")),
    Rule("several", "share of another one's head in the mask", 0.1, 0.6, 0.6,
         ("several_characters",), ("neighbour_left", *_LEAK, "specks", "frayed", "head_cut", *_HALF)),
    Rule("neighbour", "share of the mask on another one", 0.03, 0.12, 0.35,
         ("neighbour_left", "several_characters"), (*_LEAK, "specks", "frayed", *_HALF)),
    Rule("dark", "share faded to black", 0.5, 0.78, _NEVER, ("too_dark", "black")),
    Rule("pale", "share faded to white", 0.5, 0.78, 0.93, ("faded", "flat")),
    Rule("cut", "share of the visible figure that is cut off straight", 0.04, 0.2, 0.45, _CUT, ("specks",)),
    Rule("headless", "share of the visible head that the mask leaves out", 0.1, 0.6, 0.6, _CUT,
         ("specks", "unsupported")),
    Rule("head_out", "share of the head that the frame cuts off", 0.06, 0.15, 0.35, ("head_cut", "headless"),
         ("unsupported",)),
    Rule("blur", "sigma in pixels", 0.75, 2.0, 3.4, ("blurred",)),
    Rule("text", "share of the figure under lines of subtitle", 0.004, 0.03, 0.12, ("text_over",)),
    Rule("watermark", "share of the figure that faint strokes change by 20 levels", 0.002, 0.012, _NEVER,
         ("text_over",)),
    # The mask is one field's: strips of the other field, as wide as the shift, lie outside of it.
    Rule("combs", "pixels between the two fields", 0.5, 2.0, 8.0, ("interlaced",), ("left_out",)),
    Rule("bars", "share of the mask on black bars", 0.004, 0.03, 0.2, ("bar_in_crop",), ("background_left",)),
    Rule("background", "share of the mask on background beyond the rim", 0.03, 0.1, 0.3, _LEAK, ("cut_body",)),
    Rule("holes", "share of the figure missing inside", 0.012, 0.05, 0.2, ("holes",),
         ("missing_head", "left_out", "frayed")),
    Rule("specks", "share of the mask in stray pieces", 0.012, 0.05, 0.2, ("specks",), (*_LEAK, "frayed")),
    Rule("boxed", "1: the mask is its box", 0.5, 0.5, 0.5, ("box_shaped",), (*_LEAK, "cut_body")),
    Rule("thin_ends", "share of the figure missing at thin ends", 0.02, 0.06, 0.3, ("left_out", "box_gap"),
         ("specks",)),
    Rule("small", "256 / longer side of the figure", 1.0, 1.0001, 1.6, ("small", "empty")),
)  # fmt: skip
RULE = {rule.defect: rule for rule in RULES}
_HIDES_ALL = ("black", "white", "flat", "empty", "thing")


def defects_of(strengths: Mapping[str, float]) -> dict[str, str]:
    """mild, grave or unsure for each defect that a crop has or may have, from the strengths of its defects."""
    found = {}
    for name, strength in strengths.items():
        rule = RULE[name]
        if strength >= rule.none:
            found[name] = "grave" if strength >= rule.grave else "mild" if strength >= rule.mild else "unsure"
    hidden = [name for name in _HIDES_ALL if found.get(name) == "grave"]
    return {name: found[name] for name in hidden} if hidden else found


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of a crop: the seed of its scene, what was done to it, and the strength of each defect (those that
    are absent are left out)."""

    seed: int
    kind: str
    strengths: dict[str, float] = field(default_factory=dict)

    @property
    def defects(self) -> dict[str, str]:
        """mild, grave or unsure for each defect that the crop has or may have."""
        return defects_of(self.strengths)

    @property
    def hides_all(self) -> bool:
        """True when nobody can be told in it, so that other defects are not judged."""
        return any(self.defects.get(name) == "grave" for name in _HIDES_ALL)

    @property
    def tiers(self) -> tuple[str, ...]:
        """The tiers that careful people would give; one unless it is unsure."""
        told = list(self.defects.values())
        lowest = told.count("grave") * 2 + told.count("mild") + told.count("unsure")
        highest = told.count("grave") * 2 + told.count("mild")
        names = ("high", "medium", "low")
        return names[min(2, highest) : min(2, lowest) + 1]

    @property
    def is_vetoed(self) -> bool:
        """True for what must never be high: black, white, flat, empty, a thing, several characters."""
        return any(self.defects.get(name) == "grave" for name in (*_HIDES_ALL, "several"))


@dataclass(frozen=True, slots=True, eq=False)
class LabelledCrop:
    """A crop before it is judged: seed of its scene, what was done to it, its frame, the rows that a detector and a
    segmenter would give (the first of the masks is judged), which pixels show the character (none of a thing), and the
    strength of each defect."""

    seed: int
    kind: str
    image: Picture
    detections: tuple[Detection, ...]
    masks: tuple[Mask, ...]
    figure: BoolMask
    strengths: dict[str, float] = field(default_factory=dict)

    @property
    def label(self) -> Label:
        """What is known of it."""
        return Label(self.seed, self.kind, self.strengths)
