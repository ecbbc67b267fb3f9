"""Weighted box fusion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.vision.boxes import Boxes, FoundBox, no_boxes
from lora_assets.vision.fusion import trust_by_rank, weighted_boxes_fusion

Row = tuple[float, float, float, float, float, str]


def _boxes(rows: list[Row], detector: str = "net") -> Boxes:
    return Boxes(
        np.array([row[:4] for row in rows], np.float64).reshape(-1, 4),
        np.array([row[4] for row in rows], np.float64),
        tuple(row[5] for row in rows),
        (detector,) * len(rows),
    )


@st.composite
def _finds(draw: st.DrawFn) -> list[list[Row]]:
    """Boxes of some detectors inside a frame of 200 x 100."""
    box = st.tuples(
        st.integers(0, 180), st.integers(0, 80), st.integers(1, 90), st.integers(1, 60),
        st.floats(0, 1), st.sampled_from(["person", "face"]),
    ).map(lambda r: (float(r[0]), float(r[1]), min(200.0, r[0] + r[2]), min(100.0, r[1] + r[3]), *r[4:]))  # fmt: skip
    return draw(st.lists(st.lists(box, max_size=6), min_size=1, max_size=3))


def _plain(found: list[FoundBox]) -> list[tuple[object, ...]]:
    return [(box.xyxy, box.confidence, box.label, box.votes) for box in found]


def test_two_boxes_of_one_thing_give_the_papers_mean() -> None:
    found = weighted_boxes_fusion(
        [_boxes([(0, 0, 100, 100, 0.9, "person")], "a"), _boxes([(10, 0, 110, 100, 0.3, "person")], "b")], [1.0, 1.0]
    )
    assert len(found) == 1 and np.allclose(found[0].xyxy, (2.5, 0, 102.5, 100))
    assert found[0].confidence == pytest.approx(0.6) and found[0].votes == (("a", 0.9), ("b", 0.3))


def test_trust_decides_who_wins() -> None:
    finds = [_boxes([(0, 0, 100, 100, 0.5, "person")], "a"), _boxes([(10, 0, 110, 100, 0.8, "person")], "b")]
    assert trust_by_rank(3) == (1.0, 0.5, 1 / 3)
    assert weighted_boxes_fusion(finds, [1.0, 0.5])[0].votes[0][0] == "a"
    assert weighted_boxes_fusion(finds, [1.0, 1.0])[0].votes[0][0] == "b"


def test_other_labels_and_places_stay_apart() -> None:
    found = weighted_boxes_fusion(
        [_boxes([(0, 0, 100, 100, 0.9, "person"), (0, 0, 100, 100, 0.8, "face"), (90, 0, 190, 100, 0.7, "person")])],
        [1.0],
    )
    assert [box.label for box in found] == ["person", "face", "person"]
    assert weighted_boxes_fusion([], []) == [] and weighted_boxes_fusion([no_boxes()], [1.0]) == []


@pytest.mark.parametrize("trust", [[1.0, 1.0], [0.0], [float("nan")], [-1.0], []])
def test_unfit_trust_is_refused(trust: list[float]) -> None:
    with pytest.raises(ValueError, match="weights above 0"):
        weighted_boxes_fusion([no_boxes()], trust)


@settings(deadline=None, max_examples=80)
@given(_finds(), st.randoms(use_true_random=False))
def test_the_order_of_boxes_and_of_detectors_does_not_matter(rows: list[list[Row]], random: object) -> None:
    pairs = [(_boxes(find, f"d{number}"), 1.0 / (number + 1)) for number, find in enumerate(rows)]
    expected = _plain(weighted_boxes_fusion(*map(list, zip(*pairs, strict=True))))  # pyright: ignore
    turned = [(boxes.take(np.arange(len(boxes))[::-1]), trust) for boxes, trust in pairs]
    random.shuffle(turned)  # pyright: ignore[reportAttributeAccessIssue]
    assert _plain(weighted_boxes_fusion(*map(list, zip(*turned, strict=True)))) == expected  # pyright: ignore


@settings(deadline=None, max_examples=80)
@given(_finds())
def test_boxes_stay_in_the_frame_with_finite_confidences(rows: list[list[Row]]) -> None:
    finds = [_boxes(find, f"d{number}") for number, find in enumerate(rows)]
    found = weighted_boxes_fusion(finds, trust_by_rank(len(finds)))
    assert len(found) <= sum(map(len, finds))
    for box in found:
        x1, y1, x2, y2 = box.xyxy
        assert 0 <= x1 < x2 <= 200 and 0 <= y1 < y2 <= 100 and 0 <= box.confidence <= 1
    assert [box.confidence for box in found] == sorted((box.confidence for box in found), reverse=True)


@settings(deadline=None, max_examples=60)
@given(_finds(), st.integers(2, 4))
def test_equal_finds_change_nothing(rows: list[list[Row]], copies: int) -> None:
    once = weighted_boxes_fusion([_boxes(rows[0], "d")], [1.0], least_iou=0.999)
    again = weighted_boxes_fusion([_boxes(rows[0], f"d{i}") for i in range(copies)], [1.0] * copies, least_iou=0.999)
    assert [box.xyxy for box in again] == [box.xyxy for box in once]
    assert np.allclose([box.confidence for box in again], [box.confidence for box in once])


def test_the_key_points_of_a_pose_model_survive_fusion() -> None:
    points = np.full((1, 17, 3), 0.9)
    pose = Boxes(np.array([[0.0, 0, 90, 100]]), np.array([0.4]), ("person",), ("pose",), points)
    (found,) = weighted_boxes_fusion([_boxes([(0, 0, 100, 100, 0.9, "person")]), pose], [1.0, 1.0])
    assert found.key_points is not None and np.array_equal(found.key_points, points[0])
