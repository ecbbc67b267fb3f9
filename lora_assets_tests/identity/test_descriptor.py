"""The starter descriptor: who it is counts, size, light and what is cut off do not."""

from __future__ import annotations

import numpy as np
import pytest

from lora_assets.identity.descriptor import (
    ZONES,
    Descriptors,
    describe_figure,
    likenesses,
    mean_descriptor,
    shared_weight,
)
from lora_assets_tests.curation.dolls import LOOKS, Doll, draw_doll


def _cutout(who: str, head: float = 26.0, arms: float = 0.0, light: float = 1.0) -> tuple[np.ndarray, tuple]:
    image = np.zeros((200, 320, 3), np.uint8)
    mask = draw_doll(image, Doll(who, 160, 20, head, arms))
    rgba = np.dstack((np.clip(image * light, 0, 255).astype(np.uint8), mask.astype(np.uint8) * 255))
    rgba[~mask] = 0
    return rgba, (160 - head / 2, 20.0, 160 + head / 2, 20 + head)


def _described(*figures: tuple[np.ndarray, tuple | None]) -> Descriptors:
    vectors, weights = zip(*(describe_figure(rgba, head) for rgba, head in figures), strict=True)
    return Descriptors(np.stack(vectors), np.stack(weights))


def test_the_same_doll_is_alike_and_others_are_not():
    same = _described(*(_cutout("red", head, arms) for head, arms in ((26, 0), (20, 1), (30, 0.5))))
    others = _described(_cutout("green"), _cutout("violet"))
    assert likenesses(same, same).min() > 0.9
    assert likenesses(same, others).max() < 0.5
    assert likenesses(same, others) == pytest.approx(likenesses(others, same).T)


@pytest.mark.parametrize("who", LOOKS)
def test_a_darker_light_changes_little(who):
    both = _described(_cutout(who), _cutout(who, light=0.4))
    assert likenesses(both, both)[0, 1] > 0.75


def test_a_face_is_compared_with_a_whole_figure_by_what_both_show():
    whole, head = _cutout("red")
    face = whole.copy()
    face[46:] = 0
    both = _described((whole, head), (face, head))
    assert likenesses(both, both)[0, 1] > 0.9
    assert shared_weight(both, both)[0, 1] < shared_weight(both, both)[0, 0]


def test_without_a_head_a_likeness_rests_on_nothing():
    both = _described(_cutout("red"), (_cutout("red")[0], None))
    assert shared_weight(both, both)[0, 1] == 0.0
    assert both.weights[1, ZONES.index("all")] == 1.0


def test_an_empty_cutout_is_seen_nowhere():
    vectors, weights = describe_figure(np.zeros((40, 30, 4), np.uint8), None)
    assert not vectors.any()
    assert not weights.any()


def test_the_mean_of_a_track_is_not_moved_by_one_stray_crop():
    found = _described(*[_cutout("red", arms=arms) for arms in (0, 0.3, 0.6, 1)], _cutout("green"))
    vectors, weights = mean_descriptor(found)
    mean = Descriptors(vectors[None], weights[None])
    assert likenesses(mean, _described(_cutout("red")))[0, 0] > 0.95
    assert likenesses(mean, _described(_cutout("green")))[0, 0] < 0.45
