from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.judge.groups import frame_groups, grouped_folds

FAR = ["0000000000000000", "ffffffffffffffff", "00000000ffffffff", "ffffffff00000000", "0f0f0f0f0f0f0f0f"]


def frames(*hashes, **more):
    return [{"path": f"f{n}.png", "sha256": f"s{n}", "phash": phash} | more for n, phash in enumerate(hashes)]


def together(groups, a, b):
    return groups[a] == groups[b]


def test_consecutive_frames_of_near_hashes_are_one_run():
    rows = frames(FAR[0], "0000000000000fff", "0000000000ffffff", FAR[1])
    groups = frame_groups({"film": rows}, {"s0", "s2", "s3"})
    assert together(groups, "s0", "s2")  # by way of s1, although they are 24 bits apart
    assert not together(groups, "s0", "s3")


def test_frames_are_consecutive_by_their_numbers_whatever_the_digits():
    # A pan: each drawing is 8 bits from the one before, so that only the run holds the ends together.
    rows = frames(*(f"{(1 << 8 * n) - 1:016x}" for n in range(8)))
    for n, row in enumerate(rows):
        row["path"] = f"shot/{n + 5}.png"
    by_name = sorted(rows, key=lambda row: row["path"])
    assert by_name[0]["path"] == "shot/10.png"
    groups = frame_groups({"film": by_name}, {row["sha256"] for row in rows})
    assert len(set(groups.values())) == 1


def test_near_duplicates_are_one_group_wherever_they_stand():
    one = frames(FAR[0], FAR[1], "000000000000003f")
    groups = frame_groups(
        {"film": one, "other": [{"path": "t.png", "sha256": "t0", "phash": "ffffffffffffff0f"}]},
        {"s0", "s1", "s2", "t0"},
    )
    assert together(groups, "s0", "s2")
    assert together(groups, "s1", "t0")
    assert not together(groups, "s0", "s1")


def test_a_shot_column_decides_where_there_is_one():
    rows = [one | {"shot": shot} for one, shot in zip(frames(*FAR[:3]), [4, 4, 5], strict=True)]
    groups = frame_groups({"film": rows}, {"s0", "s1", "s2"})
    assert together(groups, "s0", "s1")
    assert not together(groups, "s1", "s2")


def test_frames_without_a_hash_or_out_of_the_list_stand_alone():
    rows = [*frames(FAR[0]), {"path": "bad", "sha256": None}, {"path": "s9", "sha256": "s9", "phash": None}]
    groups = frame_groups({"film": rows}, {"s0", "s9", "gone"})
    assert len(set(groups.values())) == 3


def test_many_frames_are_compared_in_parts():
    rng = np.random.default_rng(0)
    rows = frames(*(f"{int(rng.integers(0, 2**63)):016x}" for _ in range(1200)))
    rows[1100]["phash"] = rows[3]["phash"]
    groups = frame_groups({"film": rows}, {row["sha256"] for row in rows})
    assert together(groups, "s3", "s1100")
    assert len(set(groups.values())) == 1199


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1)), min_size=1, max_size=60),
    st.integers(2, 6),
    st.integers(0, 3),
)
def test_no_group_is_parted_and_no_fold_is_empty(rows, folds, seed):
    groups = [row[0] for row in rows]
    labels = np.array([float(row[1]) for row in rows])
    fold_of = grouped_folds(groups, labels, folds, seed)
    for group in set(groups):
        assert len({int(fold) for fold, other in zip(fold_of, groups, strict=True) if other == group}) == 1
    assert set(fold_of.tolist()) == set(range(min(folds, len(set(groups)))))
    assert (fold_of == grouped_folds(groups, labels, folds, seed)).all()


def test_goods_and_bads_are_spread():
    labels = np.array([1.0] * 20 + [0.0] * 80)
    fold_of = grouped_folds(list(range(100)), labels, 5, 0)
    assert [labels[fold_of == fold].sum() for fold in range(5)] == pytest.approx([4] * 5, abs=1)
