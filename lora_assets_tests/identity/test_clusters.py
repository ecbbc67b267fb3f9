"""Clusters keep to must-link and cannot-link, and to what likeness says beyond them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.identity.clusters import Limits, cluster_tracks, memberships
from lora_assets.identity.tracks import Figure, link_tracks

LIMITS = Limits(core=0.75, join=0.6)


def _likeness(labels: list[int], inside: float = 0.9, between: float = 0.3) -> np.ndarray:
    same = np.equal.outer(labels, labels)
    found = np.where(same, inside, between)
    np.fill_diagonal(found, 1.0)
    return found


def _cluster(likeness, barred=(), together=()) -> list[int]:
    no = np.zeros(likeness.shape, bool)
    for one, other in barred:
        no[one, other] = no[other, one] = True
    return cluster_tracks(likeness, np.ones(likeness.shape), no, together, LIMITS).tolist()


def test_groups_are_found_and_numbered_by_their_first_track():
    assert _cluster(_likeness([4, 4, 2, 2, 4, 7])) == [0, 0, 1, 1, 0, 2]


def test_two_figures_of_one_frame_never_meet():
    labels = _cluster(_likeness([0, 0, 0, 0]), barred=[(0, 1)])
    assert labels[0] != labels[1]
    assert len(set(labels)) == 2


def test_pictures_of_one_reference_stay_together():
    labels = _cluster(_likeness([0, 0, 0, 1, 1, 1]), together=[[2, 3]])
    assert labels[2] == labels[3]


def test_what_rests_on_nothing_links_nothing():
    likeness = _likeness([0, 0, 0])
    labels = cluster_tracks(likeness, np.zeros((3, 3)), np.zeros((3, 3), bool), (), LIMITS)
    assert labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_tracks(count):
    assert _cluster(_likeness([0] * count) if count else np.zeros((0, 0))) == [0] * count


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 14))
def test_cannot_link_holds_for_any_likeness(seed, count):
    rng = np.random.default_rng(seed)
    likeness = rng.uniform(0, 1, (count, count))
    likeness = (likeness + likeness.T) / 2
    np.fill_diagonal(likeness, 1.0)
    barred = np.triu(rng.random((count, count)) < 0.3, 1)
    barred |= barred.T
    labels = cluster_tracks(likeness, rng.uniform(0, 1, (count, count)), barred, (), LIMITS)
    assert not (barred & np.equal.outer(labels, labels)).any()
    found = memberships(likeness, labels)
    assert ((found >= 0) & (found <= 1)).all()


def test_limits_must_fit():
    with pytest.raises(ValueError, match="join <= core"):
        Limits(core=0.5, join=0.6)


def _figure(frame: int, x: float, shot: str = "a") -> Figure:
    return Figure(shot, frame, (x, 0.0, x + 10.0, 20.0))


def test_tracks_follow_boxes_over_a_gap_and_end_with_the_shot():
    figures = [_figure(0, 0), _figure(0, 40), _figure(1, 42), _figure(1, 2), _figure(4, 4), _figure(5, 4, "b")]
    assert link_tracks(figures).tolist() == [0, 1, 1, 0, 0, 2]


def test_tracks_do_not_go_on_as_somebody_else():
    figures = [_figure(0, 0), _figure(1, 1)]
    assert link_tracks(figures, lambda a, b: np.full((len(a), len(b)), 0.1)).tolist() == [0, 1]
    assert link_tracks(figures, lambda a, b: np.full((len(a), len(b)), np.nan)).tolist() == [0, 0]
