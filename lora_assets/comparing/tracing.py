"""What became of each crop of a cell, the first stage in which it differs, and what differed there.

The own lineage of a crop is looked at first: bytes, box, mask, scores. Where a stage's recipe is the same, the other
boxes and masks of the frame are looked at, which masks and scores depend on. Whatever may have had a part is named
together; nothing is guessed. Matching and reading are not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.comparing.causes import MADE, CauseKey, Codes, Traced, cause_of
from lora_assets.comparing.cell_rows import (
    CellRows,
    Hashes,
    Rows,
    detection_columns,
    mask_columns,
    place_columns,
    row_hashes,
)
from lora_assets.comparing.changes import (
    DETECTION,
    FRAME,
    MASK,
    SCORING,
    UNKNOWN,
    VERDICT,
    Change,
    StageRecord,
    stage_changes,
)
from lora_assets.comparing.matching import FrameCodes, Matches, code_frames, match_crops
from lora_assets.comparing.settings import CompareSettings
from lora_assets.comparing.unmatched import Side, trace_alone
from lora_assets.comparing.verdicts_of_crops import VERDICTS

WORSE, GONE, NEW, BETTER, SAME = "worse", "gone", "new", "better", "same"
CHANGES = (WORSE, GONE, NEW, BETTER, SAME)
"""What may have become of a crop, in the order in which a person wants to see it."""
TIERS = ("low", "medium", "high")
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class CellChanges:
    """Every crop of both sides of one dataset, once: pairs first, then gone, then new. All arrays are (crops,).

    `before` and `after` are row numbers, -1 on the side that has no such crop; `cause` is a place in `causes`, -1 for
    crops that are the same.
    """

    before: Rows
    after: Rows
    iou: npt.NDArray[np.float64]
    change: Codes
    stage: Codes
    how: Codes
    cause: npt.NDArray[np.int32]
    tier_before: Codes
    tier_after: Codes
    score_before: npt.NDArray[np.float64]
    score_after: npt.NDArray[np.float64]
    verdict_before: Codes
    verdict_after: Codes
    causes: tuple[CauseKey, ...]


def tier_codes(crops: pa.Table) -> Codes:
    """The place of each crop's tier in TIERS, -1 for one that is none of them."""
    found = pc.index_in(crops.column("tier"), value_set=pa.array(TIERS))  # pyright: ignore
    return pc.fill_null(found, -1).to_numpy().astype(np.int8)  # pyright: ignore


# --- better or worse -------------------------------------------------------------------------------------------------


def directions(
    tiers: tuple[Codes, Codes], scores: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]], least: float
) -> Codes:
    """1 for better, -1 for worse, 0 for the same by the rules: the tier first, then the score beyond `least`."""
    by_tier = np.sign(tiers[1] - tiers[0])
    difference = scores[1] - scores[0]
    by_score = np.where(np.abs(difference) > least, np.sign(difference), 0)
    return np.where(by_tier != 0, by_tier, by_score).astype(np.int8)


def judged_directions(rules: Codes, tiers: tuple[Codes, Codes], verdicts: tuple[Codes, Codes]) -> Codes:
    """The directions as a person's word turns them.

    A word that both crops have: of a good one more is better, of a bad one less, and an excluded one is the same
    whatever happens to it. A word that only one of them has, or two different ones: good stands for high, bad and
    exclude for low, and the rules decide only between equal ones that nobody called bad or excluded.
    """
    before, after = verdicts
    bad, exclude = VERDICTS.index("bad"), VERDICTS.index("exclude")
    turned = np.where(before == bad, -rules, np.where(before == exclude, 0, rules))
    ranks = []
    for tier, verdict in zip(tiers, verdicts, strict=True):
        spoken = np.where(verdict == VERDICTS.index("good"), TIERS.index("high"), TIERS.index("low"))
        ranks.append(np.where(verdict == 0, tier, spoken))
    by_word = np.sign(ranks[1] - ranks[0])
    refused = np.maximum(before, after) >= bad
    one_sided = np.where((by_word == 0) & ~refused, rules, by_word)
    return np.where(before == after, turned, one_sided).astype(np.int8)


# --- one cell --------------------------------------------------------------------------------------------------------


def trace_cell(
    before: CellRows,
    after: CellRows,
    records: tuple[Mapping[str, StageRecord], Mapping[str, StageRecord]],
    verdicts: tuple[Codes, Codes],
    settings: CompareSettings,
) -> CellChanges:
    """Compare one dataset of two trackers. `records` are `changes.cell_records` of each side, `verdicts` the codes of
    each side's crops."""
    frames = code_frames(before, after)
    pairs = match_crops(before, after, frames, settings.same_box)
    recipes = {stage: stage_changes(stage, records[0][stage], records[1][stage]) for stage in MADE}
    counts = (len(pairs.before), len(pairs.alone_before), len(pairs.alone_after))
    none_before, none_after = (np.full(count, -1, np.int64) for count in (counts[2], counts[1]))
    rows_before = np.concatenate([pairs.before, pairs.alone_before, none_before])
    rows_after = np.concatenate([pairs.after, none_after, pairs.alone_after])
    tiers = (_of_rows(tier_codes(before.crops), rows_before, -1), _of_rows(tier_codes(after.crops), rows_after, -1))
    scores = (
        _of_rows(before.crops.column("score").to_numpy(), rows_before, np.nan),
        _of_rows(after.crops.column("score").to_numpy(), rows_after, np.nan),
    )
    words = (_of_rows(verdicts[0], rows_before, 0), _of_rows(verdicts[1], rows_after, 0))
    paired = slice(0, counts[0])
    rules = directions(
        (tiers[0][paired], tiers[1][paired]), (scores[0][paired], scores[1][paired]), settings.least_difference
    )
    ways = judged_directions(rules, (tiers[0][paired], tiers[1][paired]), (words[0][paired], words[1][paired]))
    change = np.full(len(rows_before), CHANGES.index(SAME), np.int8)
    change[paired][ways > 0] = CHANGES.index(BETTER)
    change[paired][ways < 0] = CHANGES.index(WORSE)
    change[counts[0] : counts[0] + counts[1]] = CHANGES.index(GONE)
    change[counts[0] + counts[1] :] = CHANGES.index(NEW)
    total = len(change)
    traced = Traced(np.full(total, -1, np.int8), np.zeros(total, np.int8), np.full(total, -1, np.int32))
    _trace_pairs(traced, before, after, frames, pairs, np.flatnonzero(ways), rules, recipes)
    gone = np.arange(counts[0], counts[0] + counts[1])
    new = np.arange(counts[0] + counts[1], total)
    sides = (records[0][DETECTION], records[1][DETECTION])
    trace_alone(traced, gone, Side(before, pairs.alone_before, sides[0]), Side(after, pairs.alone_after, sides[1]),
                 frames, recipes, settings, turned=False)  # fmt: skip
    trace_alone(traced, new, Side(after, pairs.alone_after, sides[1]), Side(before, pairs.alone_before, sides[0]),
                 frames, recipes, settings, turned=True)  # fmt: skip
    iou = np.concatenate([pairs.iou, np.full(counts[1] + counts[2], np.nan)])
    return CellChanges(
        rows_before, rows_after, iou, change, traced.stage, traced.how, traced.cause, *tiers, *scores, *words,
        tuple(traced.causes),
    )  # fmt: skip


def _of_rows(values: npt.NDArray, rows: Rows, absent: float) -> npt.NDArray:
    if not len(values):
        return np.full(len(rows), absent, values.dtype)
    return np.where(rows >= 0, values[rows], absent).astype(values.dtype)


# --- pairs -----------------------------------------------------------------------------------------------------------


def _row_differences(
    tables: tuple[pa.Table, pa.Table], names: Sequence[str], rows: tuple[Rows, Rows], codes: tuple[Rows, Rows],
    frames: FrameCodes, wanted: Rows,
) -> tuple[Bools, Bools, Bools]:  # fmt: skip
    """For pairs of rows: are both there, do they differ, and do the rows of the whole frame differ.

    `rows` are row numbers or -1, `codes` the frame of every row of each table, `wanted` the frame of each pair.
    """
    hashes = tuple(row_hashes(table, names) for table in tables)
    known = (rows[0] >= 0) & (rows[1] >= 0)
    differ = np.zeros(len(known), bool)
    differ[known] = hashes[0][rows[0][known]] != hashes[1][rows[1][known]]
    sums = tuple(_frame_sums(of_rows, code, len(frames.names)) for of_rows, code in zip(hashes, codes, strict=True))
    return known, differ, (sums[0] != sums[1])[wanted]


def _frame_sums(hashes: Hashes, codes: Rows, frames: int) -> Hashes:
    sums = np.zeros(frames, np.uint64)
    with np.errstate(over="ignore"):
        np.add.at(sums, codes, hashes)
    return sums


def _trace_pairs(
    traced: Traced,
    before: CellRows,
    after: CellRows,
    frames: FrameCodes,
    pairs: Matches,
    changed: Rows,
    rules: Codes,
    recipes: Mapping[str, tuple[Change, ...]],
) -> None:
    """Find the causes of the pairs `changed` (row numbers among the pairs)."""
    if not len(changed):
        return
    rows = (pairs.before[changed], pairs.after[changed])
    wanted = frames.numbers(before.crops.column("frame_sha256"))[rows[0]]
    tables = (before.detections, after.detections)
    found = (before.detection_of[rows[0]], after.detection_of[rows[1]])
    codes = _codes(frames, tables)
    box_known, box_differs, _ = _row_differences(tables, place_columns(before, after), found, codes, frames, wanted)
    names = detection_columns(before, after)
    _, evidence_differs, boxes_differ = _row_differences(tables, names, found, codes, frames, wanted)
    tables = (before.masks, after.masks)
    mask_known, mask_differs, masks_differ = _row_differences(
        tables, mask_columns(before, after), (before.mask_of[rows[0]], after.mask_of[rows[1]]),
        _codes(frames, tables), frames, wanted,
    )  # fmt: skip
    of = _Explained(traced, changed, recipes)

    def unknown(known: Bools, stage: str) -> None:
        """Without its row nobody can say whether the stage differs; nor whether a later one is the first."""
        of.put(~known, CauseKey(stage, (Change(stage, UNKNOWN),), cause_of((stage,), recipes).later), "rows_gone")

    of.explain(frames.changed[wanted], (FRAME,), "bytes")
    word = rules[changed] == 0
    of.explain(word & box_differs, (VERDICT, DETECTION), "verdict", first=VERDICT)
    of.explain(word, (VERDICT,), "verdict")
    of.explain(box_differs, (DETECTION,), "box")
    unknown(box_known, DETECTION)
    # The box is the same. Its mask is not the work of the detector then, but its score may be.
    both = (DETECTION, MASK) if recipes[MASK] else (DETECTION,)
    of.explain(mask_differs & evidence_differs, both, "evidence")
    of.explain(mask_differs & boxes_differ, both, "other_boxes")
    of.explain(mask_differs, (MASK,), "mask")
    unknown(mask_known, MASK)
    again = _extracted_again(before, after, rows)
    _explain_scores(of, evidence_differs, boxes_differ, masks_differ, again)
    of.explain(np.ones(len(changed), bool), (SCORING,), "score")


def _codes(frames: FrameCodes, tables: tuple[pa.Table, pa.Table]) -> tuple[Rows, Rows]:
    first, second = (frames.numbers(table.column("frame_sha256")) for table in tables)
    return first, second


def _extracted_again(before: CellRows, after: CellRows, rows: tuple[Rows, Rows]) -> Bools:
    """Pairs of which a second mask, of a wider box, was tried on either side."""
    again = np.zeros(len(rows[0]), bool)
    for cell, numbers in zip((before, after), rows, strict=True):
        if "extracted_again" in cell.crops.column_names:
            again |= cell.crops.column("extracted_again").to_numpy()[numbers]
    return again


def _explain_scores(
    of: _Explained, evidence_differs: Bools, boxes_differ: Bools, masks_differ: Bools, again: Bools
) -> None:
    """Own box and own mask are the same: what else the scores depend on, in every combination that is there."""
    has_mask, has_score = bool(of.recipes[MASK]), bool(of.recipes[SCORING])
    # A second mask is made while scoring, by the segmenter and refinement of the recipe of masks.
    by_mask = (masks_differ & (has_mask | ~boxes_differ)) | (again & has_mask)
    for boxes in (True, False):
        for masks in (True, False):
            parts = ((DETECTION,) if boxes else ()) + ((MASK,) if masks else ()) + ((SCORING,) if has_score else ())
            rows = (boxes_differ == boxes) & (by_mask == masks)
            if not boxes and not masks:
                if has_score:
                    of.explain(rows, (SCORING,), "score")
                continue
            of.explain(rows & evidence_differs, parts, "evidence")
            of.explain(rows & again & (not boxes), parts, "extracted_again")
            of.explain(rows, parts, "other_boxes" if boxes else "other_masks")


@dataclass(slots=True)
class _Explained:
    """Gives causes to pairs; `rows` are the places of the pairs among all crops."""

    traced: Traced
    rows: Rows
    recipes: Mapping[str, tuple[Change, ...]]

    def put(self, wanted: Bools, key: CauseKey, how: str) -> None:
        """Give a cause to the wanted pairs that have none."""
        self.traced.put(self.rows[wanted], key, how)

    def explain(self, wanted: Bools, stages: tuple[str, ...], how: str, first: str = "") -> None:
        """The recipe changes of these stages together are the cause; the first of them is where the crop differs."""
        if wanted.any():
            self.put(wanted, cause_of(stages, self.recipes, first), how)
