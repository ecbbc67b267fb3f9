"""What must hold of any two cells: every crop is told once, and turning the trackers round turns the answer round."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.comparing.cell_rows import row_hashes
from lora_assets.comparing.changes import DETECTION, MASK, SCORING, StageRecord
from lora_assets.comparing.matching import IOU_LIMIT, code_frames, match_crops
from lora_assets.comparing.settings import CompareSettings
from lora_assets.comparing.tracing import CHANGES, CellChanges, directions, judged_directions, trace_cell
from lora_assets.vision.boxes import box_iou
from lora_assets_tests.comparing.cells import Crop, in_memory

EXAMPLES = settings(deadline=None, max_examples=20)
RECORDS = {
    stage: StageRecord({"x": 1}, code={stage: "1"}, digests={stage: "d"}) for stage in (DETECTION, MASK, SCORING)
}
sides = st.integers(0, 12)


@st.composite
def crops(draw: st.DrawFn) -> list[Crop]:
    """Crops of up to three frames; boxes are near enough to each other to be taken for one another."""
    found: dict[str, Crop] = {}
    for _ in range(draw(st.integers(0, 8))):
        x, y = draw(sides), draw(sides)
        box = (float(x), float(y), 60.0 + draw(sides), 70.0 + draw(sides))
        score = draw(st.sampled_from([0.1, 0.5, 0.51, 0.79, 0.8, 0.95]))
        crop = Crop(draw(st.integers(0, 2)), box, score, mask=draw(st.sampled_from([b"a", b"b"])))
        found[crop.detection_id] = crop
    return list(found.values())


@st.composite
def cells(draw: st.DrawFn):
    """Crops, the files of the frames (one may hold other bytes under its name), and what was said of each crop."""
    made = draw(crops())
    content = [draw(st.sampled_from([number, f"changed {number}"])) for number in range(3)]
    made = [Crop(content[int(crop.frame)], crop.box, crop.score, mask=crop.mask) for crop in made]
    words = np.array([draw(st.integers(0, 3)) for _ in made], np.int8)
    return in_memory(made, [(f"{number}.png", content[number]) for number in range(3)]), words


def traced(first, second) -> CellChanges:
    return trace_cell(first[0], second[0], (RECORDS, RECORDS), (first[1], second[1]), CompareSettings())


def told(found: CellChanges, *, turned: bool = False) -> set[tuple[int, int, str]]:
    """Each crop with what became of it."""
    opposite = {"better": "worse", "worse": "better", "gone": "new", "new": "gone", "same": "same"}
    rows = (found.after, found.before) if turned else (found.before, found.after)
    names = [CHANGES[code] for code in found.change]
    names = [opposite[name] for name in names] if turned else names
    return set(zip(rows[0].tolist(), rows[1].tolist(), names, strict=True))


@EXAMPLES
@given(cells(), cells())
def test_every_crop_is_told_once_and_every_change_has_a_cause(first, second):
    found = traced(first, second)
    for rows, (cell, _) in ((found.before, first), (found.after, second)):
        assert sorted(rows[rows >= 0].tolist()) == list(range(len(cell.crops)))
    counts = {name: int(np.count_nonzero(found.change == code)) for code, name in enumerate(CHANGES)}
    paired = int(np.count_nonzero((found.before >= 0) & (found.after >= 0)))
    assert counts["better"] + counts["worse"] + counts["same"] == paired
    assert paired + counts["gone"] == len(first[0].crops)
    assert paired + counts["new"] == len(second[0].crops)
    changed = found.change != CHANGES.index("same")
    assert ((found.cause >= 0) == changed).all()
    assert ((found.stage >= 0) == changed).all()
    assert ((found.how > 0) == changed).all()


@EXAMPLES
@given(cells(), cells())
def test_what_is_better_one_way_is_worse_the_other_way(first, second):
    assert told(traced(first, second)) == told(traced(second, first), turned=True)


@EXAMPLES
@given(cells())
def test_a_tracker_is_the_same_as_itself(cell):
    found = traced(cell, cell)
    assert {name for _, _, name in told(found)} <= {"same"}
    assert (found.before == found.after).all()


@EXAMPLES
@given(crops(), crops())
def test_pairs_overlap_and_no_two_crops_are_left_that_could_be_one(first, second):
    frames = [(f"{number}.png", number) for number in range(3)]
    before, after = in_memory(first, frames), in_memory(second, frames)
    pairs = match_crops(before, after, code_frames(before, after))
    iou = box_iou(before.boxes, after.boxes)
    hashes = [np.array(cell.crops.column("frame_sha256").to_pylist(), dtype=object) for cell in (before, after)]
    iou[hashes[0][:, None] != hashes[1][None, :]] = 0.0
    assert (iou[pairs.before, pairs.after] >= IOU_LIMIT).all()
    assert (np.abs(iou[pairs.before, pairs.after] - pairs.iou) < 1e-12).all()
    assert (iou[np.ix_(pairs.alone_before, pairs.alone_after)] < IOU_LIMIT).all()
    for a, b, own in zip(pairs.before, pairs.after, pairs.iou, strict=True):
        better = iou[a, pairs.alone_after].max(initial=0.0), iou[pairs.alone_before, b].max(initial=0.0)
        assert max(better) <= own + 1e-12


codes = st.integers(-1, 2)
scores = st.floats(0, 1)


@EXAMPLES
@given(st.lists(st.tuples(codes, codes, scores, scores, st.integers(0, 3), st.integers(0, 3)), max_size=8))
def test_directions_turn_round_with_the_trackers(rows):
    columns = list(zip(*rows, strict=True)) or [()] * 6
    tiers = tuple(np.array(column, np.int8) for column in columns[:2])
    values = tuple(np.array(column, np.float64) for column in columns[2:4])
    words = tuple(np.array(column, np.int8) for column in columns[4:])
    there = directions(tiers, values, 0.02)  # pyright: ignore
    back = directions(tiers[::-1], values[::-1], 0.02)  # pyright: ignore
    assert (there == -back).all()
    judged = judged_directions(there, tiers, words)  # pyright: ignore
    assert (judged == -judged_directions(back, tiers[::-1], words[::-1])).all()  # pyright: ignore


cell_values = st.tuples(
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
    st.one_of(st.none(), st.text(max_size=3)),
    st.one_of(st.none(), st.lists(st.sampled_from([0.0, 1.0, 2.0]), max_size=3)),
    st.binary(max_size=2),
    st.booleans(),
    st.integers(-3, 3),
)
TYPES = (pa.float64(), pa.string(), pa.list_(pa.float64()), pa.binary(), pa.bool_(), pa.int64())


@EXAMPLES
@given(st.lists(cell_values, min_size=1, max_size=12))
def test_digests_of_rows_tell_rows_apart(rows):
    columns = [pa.array([row[place] for row in rows], kind) for place, kind in enumerate(TYPES)]
    names = [f"c{place}" for place in range(len(TYPES))]
    table = pa.table(dict(zip(names, columns, strict=True)))
    hashes = row_hashes(table, names)
    turned = row_hashes(table.take(pa.array(range(len(rows))[::-1])), names)
    assert (hashes[::-1] == turned).all()
    # 0.0 and -0.0 are equal in Python and here.
    for first in range(len(rows)):
        for second in range(len(rows)):
            assert (hashes[first] == hashes[second]) == (rows[first] == rows[second])
