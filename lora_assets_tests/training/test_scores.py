"""Scores agree with what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lora_assets.training.scores import FoundBoxes, matched, score_boxes

BOX = [0.0, 0.0, 10.0, 10.0]
APART = [50.0, 50.0, 60.0, 60.0]


def _frame(found: list[list[float]], confidences: list[float], true: list[list[float]]) -> FoundBoxes:
    return FoundBoxes(
        np.array(found, float).reshape(-1, 4), np.array(confidences, float), np.array(true, float).reshape(-1, 4)
    )


def test_a_true_box_is_given_once_to_the_surest():
    answers = matched(np.array([BOX, BOX]), np.array([0.4, 0.9]), np.array([BOX]), 0.5)
    assert answers.tolist() == [-1, 0]


def test_an_ignored_true_box_is_neither_missed_nor_false_when_found():
    near = [1.0, 1.0, 10.0, 10.0]
    frame = FoundBoxes(np.array([BOX, near, APART]), np.array([0.9, 0.8, 0.7]), np.array([BOX]), np.array([True]))
    score = score_boxes([frame])
    assert (score.true_boxes, score.found_boxes, score.recall, score.precision) == (0, 1, 1.0, 0.0)
    unfound = FoundBoxes(np.array([APART]), np.array([0.7]), np.array([BOX, APART]), np.array([True, False]))
    assert (score_boxes([unfound]).recall, score_boxes([unfound]).precision) == (1.0, 1.0)


def test_an_asked_true_box_goes_before_a_closer_ignored_one():
    answers = matched(
        np.array([BOX]), np.array([0.9]), np.array([BOX, [0.0, 0.0, 10.0, 8.0]]), 0.5, np.array([True, False])
    )
    assert answers.tolist() == [1]


def test_recall_precision_and_average_precision_by_hand():
    frames = [
        _frame([BOX, APART], [0.9, 0.8], [BOX]),
        _frame([BOX], [0.7], [BOX, APART]),
        _frame([APART], [0.1], [APART]),
    ]
    score = score_boxes(frames)
    assert (score.true_boxes, score.found_boxes) == (4, 3)
    assert score.recall == pytest.approx(2 / 4)
    assert score.precision == pytest.approx(2 / 3)
    assert score.average_precision == pytest.approx((1 + 3 / 4 + 3 / 4) / 4)


def test_nothing_true_and_nothing_found_is_perfect():
    score = score_boxes([_frame([], [], [])])
    assert (score.recall, score.precision, score.average_precision) == (1.0, 1.0, 1.0)


def test_found_where_nothing_is_true_counts_against():
    score = score_boxes([_frame([BOX], [0.9], [])])
    assert (score.precision, score.average_precision) == (0.0, 0.0)
