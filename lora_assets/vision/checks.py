"""L2, the checks of a cut-out's content, as data: what is measured, its range, the limits, the penalty or veto, why.

Each line of CHECKS stands for a function of `measures.MEASURES`. How the parts become one score and a tier does not
belong here (score).
"""

from __future__ import annotations

from dataclasses import dataclass

from lora_assets.vision.mask_evidence import BACKGROUND, HOLES, LEFT_OUT

# Also of the measures in measures, body_checks, character_counts, picture_flaws, lettering, faint_words, letter_map,
# lost_parts, outline_pieces, piece_evidence, mask_evidence, mask_critic, checking_maps, critic_look and screentone, and
# of the second try in extract_again. Weights of the networks that are asked count by their digests (recipes.CHECKERS).
CODE_VERSION = "11"

# One mild finding makes a good crop medium, two make it low; a grave one makes it low by itself (the rules of
# benchmarks.tier_rules): 0.7 x 1 >= 0.5 > 0.7 x 0.7 and 0.45 x 1.
MILD, GRAVE = 0.7, 0.45


@dataclass(frozen=True, slots=True)
class Check:
    """One check: crossing `limit` in `direction` (above or below) multiplies the score by `penalty`, crossing `grave`
    as well multiplies it by GRAVE instead; a `veto` caps the score under 0.5. `low` and `high` are the values' range
    (None: open), `column` the column of ScoredCrop that holds the value. Of several findings of one
    `group` only the strongest counts: they are signs of one defect."""

    name: str
    group: str
    column: str
    direction: str
    low: float
    high: float | None
    limit: float
    grave: float | None
    penalty: float
    veto: bool
    why: str

    def crossed(self, value: float, limit: float) -> bool:
        """True when the value is a finding."""
        return value > limit if self.direction == "above" else value < limit

    def penalty_for(self, value: float) -> float:
        """What a value that crossed the limit multiplies the score by."""
        return min(self.penalty, GRAVE) if self.grave is not None and self.crossed(value, self.grave) else self.penalty


CHECKS: tuple[Check, ...] = (
    Check("black", "light", "dark_share", "above", 0, 1, 0.93, None, 0.3, True, "the cut-out is black or nearly black"),
    Check("empty", "empty", "pixel_count", "below", 0, None, 400, None, 0.3, True,
          "almost no pixels are left in the mask"),
    Check("flat", "light", "colour_spread", "below", 0, 128, 3, None, 0.3, True, "the cut-out is one flat colour"),
    Check("several_characters", "others", "character_count", "above", 0, None, 1, None, 0.5, True,
          "more than one character is in the cut-out"),
    Check("no_character", "thing", "is_thing", "above", 0, 1, 0.5, None, 0.5, True,
          "the detector says that this is a thing, and no head is in it"),
    Check("unsupported", "thing", "support", "below", 0, 1, 0.5, 0.2, MILD, False,
          "hardly any head, face, key point or other detector speaks for a character here"),
    Check("neighbour_left", "others", "neighbour_share", "above", 0, 1, 0.06, 0.35, MILD, False,
          "pixels of another character are left in the cut-out"),
    Check("missing_head", "body", "missing_head", "above", 0, 1, 0.5, None, GRAVE, False,
          "a head was found in the box, and the mask leaves it out"),
    Check("headless", "head", "headless", "above", 0, 1, 0.15, None, GRAVE, False,
          "the frame's top edge cuts the figure, and no head is in it"),
    Check("head_cut", "head", "head_cut", "above", 0, 1, 0.5, None, MILD, False, "the frame's edge cuts the head"),
    Check("outside_box", "leak", "outside_box", "above", 0, 1, 0.12, 0.35, MILD, False,
          "much of the mask lies outside the box that it was made from"),
    Check("cut_body", "body", "visible_cut", "above", 0, 1, 0.27, None, MILD, False,
          "the body goes on in the frame where the mask is cut off"),
    Check("box_gap", "body", "box_gap", "above", 0, 1, 0.085, 0.4, MILD, False,
          "the mask ends well before the box in which the body was found"),
    Check("incomplete_body", "body", "body_completeness", "below", 0, 1, 0.3, None, MILD, False,
          "only a small part of the body is there, with room for more"),
    Check("left_out", "body", "left_out", "above", 0, 1, LEFT_OUT.limit, LEFT_OUT.grave, MILD, False,
          "parts of the figure (hair tips, limbs) are outside the mask"),
    Check("holes", "holes", "lost_in_holes", "above", 0, 1, HOLES.limit, HOLES.grave, MILD, False,
          "the mask has holes in the figure"),
    Check("frayed", "holes", "raggedness", "above", 1, None, 2.3, None, MILD, False,
          "the mask is frayed: its outline runs to and fro through the figure"),
    Check("specks", "specks", "speck_share", "above", 0, 1, 0.03, 0.2, MILD, False,
          "stray pieces lie beside the figure"),
    Check("background_left", "leak", "background_left", "above", 0, 1, BACKGROUND.limit, BACKGROUND.grave, MILD, False,
          "background is left in the cut-out"),
    Check("box_shaped", "leak", "box_fill", "above", 0, 1, 0.95, None, GRAVE, False,
          "the mask is a filled box, not a figure"),
    Check("bad_shape", "shape", "elongation", "above", 1, None, 6, None, 0.5, False,
          "the shape is too long and thin for a character"),
    Check("small", "size", "longest_side", "below", 0, None, 256, 160, MILD, False,
          "the figure is small: training has to enlarge it"),
    Check("too_dark", "light", "brightness", "below", 0, 1, 0.31, None, MILD, False, "nothing in the cut-out is lit"),
    Check("faded", "light", "contrast", "below", 0, 1, 0.2, 0.1, MILD, False, "light and dark have nearly faded away"),
    Check("blurred", "blur", "sharpness", "below", 0, 1, 0.35, 0.09, MILD, False,
          "the outlines inside the cut-out are blurred"),
    Check("text_over", "text", "text_share", "above", 0, 1, 0.008, 0.12, MILD, False, "lettering lies over the figure"),
    Check("interlaced", "combs", "comb_ratio", "above", 0, 1, 0.08, None, MILD, False,
          "rows of two moments alternate in the figure (interlacing)"),
    Check("bar_in_crop", "bars", "bar_share", "above", 0, 1, 0.015, 0.2, MILD, False,
          "a black bar of the frame is in the cut-out"),
)  # fmt: skip
