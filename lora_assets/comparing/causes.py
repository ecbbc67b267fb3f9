"""What explains a crop's change: the first stage that differs together with what differed, and by which way it came.

Which crop gets which cause is in tracing and unmatched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lora_assets.comparing.cell_rows import Rows
from lora_assets.comparing.changes import (
    CONTENT,
    DETECTION,
    FRAME,
    MASK,
    NOTHING,
    SCORING,
    STAGES,
    VERDICT,
    VERDICT_REACH,
    Change,
)

Codes = npt.NDArray[np.int8]
MADE = (DETECTION, MASK, SCORING)
"""The stages that have a recipe."""
HOWS = (
    "", "bytes", "box", "evidence", "mask", "other_boxes", "other_masks", "extracted_again", "score", "verdict",
    "rows_gone", "frame_removed", "frame_added", "quarantined", "unreadable", "below_conf", "not_subject", "joined",
    "moved", "no_box", "no_mask", "not_made",
)  # fmt: skip
"""By which way a cause reached a crop: through its own box or mask, through what speaks for its box (how sure detectors
are, heads and faces in it), through others of the frame, and so on."""


@dataclass(frozen=True, slots=True, order=True)
class CauseKey:
    """What tells one cause from another: `stage` is the first that differs, `changes` what differed there (together
    with what else had a part), `later` what differs in the stages after it as well."""

    stage: str
    changes: tuple[Change, ...]
    later: tuple[Change, ...] = ()


@dataclass(slots=True)
class Traced:
    """Stage, way and cause of some rows, filled group by group; a row is taken once."""

    stage: Codes
    how: Codes
    cause: npt.NDArray[np.int32]
    causes: dict[CauseKey, int] = field(default_factory=dict)

    def put(self, rows: Rows, key: CauseKey, how: str) -> None:
        """Give the cause to those of the rows that have none yet."""
        rows = rows[self.cause[rows] < 0]
        if len(rows):
            self.stage[rows] = STAGES.index(key.stage)
            self.how[rows] = HOWS.index(how)
            self.cause[rows] = self.causes.setdefault(key, len(self.causes))


def cause_of(stages: tuple[str, ...], recipes: Mapping[str, tuple[Change, ...]], first: str = "") -> CauseKey:
    """The cause of a crop that differs in these stages, in the order of stages (or with `first` as the stage)."""
    stage = first or stages[0]
    changes = [change for one in stages for change in _stage_cause(one, recipes)]
    after = [one for one in MADE if STAGES.index(one) > STAGES.index(stage) and one not in stages]
    later = tuple(change for one in after for change in recipes[one])
    return CauseKey(stage, tuple(changes), later)


def _stage_cause(stage: str, recipes: Mapping[str, tuple[Change, ...]]) -> tuple[Change, ...]:
    if stage == FRAME:
        return (Change(FRAME, CONTENT, "bytes"),)
    if stage == VERDICT:
        return (Change(VERDICT, VERDICT_REACH),)
    return recipes[stage] or (Change(stage, NOTHING),)
