"""What a person said of each crop of a cell, as codes. A verdict is bound to pixels, so that it counts in every tracker
whose box fits it. Matching itself is in verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.comparing.cell_rows import CellRows
from lora_assets.verdicts import CropPlace, Verdict, match_verdicts, open_log
from lora_assets.verdicts.log import log_path
from lora_assets.verdicts.record import BAD, CLEARED, EXCLUDE, GOOD

VERDICTS = ("", GOOD, BAD, EXCLUDE)


def current_verdicts(data: Path) -> list[Verdict]:
    """The last word on each crop, in the order of time; empty, and nothing is made, where nobody has said any.

    Raises VerdictError when the log cannot be read.
    """
    if not log_path(data).exists():
        return []
    with open_log(data) as log:
        return list(log.current().values())


def verdict_codes(cell: CellRows, verdicts: Sequence[Verdict]) -> npt.NDArray[np.int8]:
    """For each crop of a cell the place of its verdict in VERDICTS. Boxes with the same pixels share their crop's."""
    codes = np.zeros(len(cell.crops), np.int8)
    frames = pa.array(sorted({verdict.mark.frame_sha256 for verdict in verdicts}), pa.string())
    judged = pc.is_in(cell.crops.column("frame_sha256"), value_set=frames).to_numpy()  # pyright: ignore
    rows = np.flatnonzero(judged)
    if not len(rows):
        return codes
    named = cell.crops.select(["frame_sha256", "detection_id", "crop_id"]).take(pa.array(rows)).to_pylist()
    places = [
        # Of which dataset the rows are, matching does not look at.
        CropPlace("", one["frame_sha256"], one["detection_id"], one["crop_id"], _box(cell, row))
        for row, one in zip(rows.tolist(), named, strict=True)
    ]
    said = {crop: verdict.value for crop, verdict in match_verdicts(verdicts, places).by_crop().items()}
    for row, one in zip(rows.tolist(), named, strict=True):
        value = said.get(one["crop_id"], CLEARED)
        codes[row] = 0 if value == CLEARED else VERDICTS.index(value)
    return codes


def _box(cell: CellRows, row: int) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = cell.boxes[row].tolist()
    return x1, y1, x2, y2
