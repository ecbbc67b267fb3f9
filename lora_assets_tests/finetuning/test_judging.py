from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.finetuning.judging import (
    ALL,
    BOUNDARY,
    HEAD,
    IOU,
    boundary_f,
    category_figures,
    find_figure,
    verdict_of,
)
from lora_assets.finetuning.prompts import BOX, POINT
from lora_assets.models.tuned import BETTER, WORSE
from lora_assets.tables.segmenters import JudgedAnnotation


def _disc(x: float, y: float, radius: float) -> np.ndarray:
    ys, xs = np.mgrid[:100, :100]
    return (xs - x) ** 2 + (ys - y) ** 2 < radius**2


def test_boundary_f_is_1_for_the_same_0_for_another_place_and_between_for_a_shift():
    true = _disc(50, 50, 20)
    assert boundary_f(true, true) == 1
    assert boundary_f(np.zeros_like(true), true) == 0
    assert boundary_f(_disc(10, 10, 8), true) == 0
    assert boundary_f(_disc(51, 50, 20), true) == 1
    assert 0.05 < boundary_f(_disc(56, 50, 20), true) < 0.7
    # A hole is wrong as well.
    assert boundary_f(true & ~_disc(50, 50, 8), true) < 0.9
    assert boundary_f(np.zeros((5, 5), bool), np.zeros((5, 5), bool)) == 1


@given(st.floats(25, 75), st.floats(25, 75), st.floats(4, 20))
@settings(max_examples=20, deadline=None)
def test_boundary_f_reads_both_ways_alike_for_things_of_one_size(x, y, radius):
    one, other = _disc(x, y, radius), _disc(50, 50, radius)
    if one.any() and other.any():
        assert boundary_f(one, other) == pytest.approx(boundary_f(other, one), abs=0.12)


def _row(page: int, category: str, base: float, tuned: float, prompt: str = BOX) -> JudgedAnnotation:
    return JudgedAnnotation(
        annotation_id=page * 100 + hash(category) % 50, image_id=page, page=f"{page}.png", category=category,
        prompt=prompt, iou_base=base, iou_tuned=tuned, boundary_base=base / 2, boundary_tuned=tuned / 2,
        predicted_base=0.5, predicted_tuned=tuned,
    )  # fmt: skip


def test_all_is_the_mean_over_categories_whatever_their_counts():
    rows = [_row(page, "text", 0.2, 0.4) for page in range(9)] + [_row(0, "panel", 0.8, 0.7)]
    figures = category_figures(rows)
    whole = find_figure(figures, BOX, ALL, IOU)
    assert whole is not None
    assert (whole.base, whole.tuned) == (pytest.approx(0.5), pytest.approx(0.55))
    assert whole.gain == pytest.approx(0.05)
    assert whole.annotations == 10
    text = find_figure(figures, BOX, "text", IOU)
    assert text is not None
    assert (text.low, text.high) == (pytest.approx(0.2), pytest.approx(0.2))
    head = find_figure(figures, BOX, "text", HEAD)
    assert head is not None
    assert (head.base, head.tuned) == (pytest.approx(0.3), pytest.approx(0))
    assert find_figure(figures, BOX, "text", BOUNDARY) is not None
    assert find_figure(figures, POINT, ALL, IOU) is None


def test_the_interval_holds_the_gain_and_is_wider_for_few_pages():
    gains = {}
    for pages in (4, 64):
        rows = [_row(page, "text", 0.5, 0.7 if page % 2 else 0.4) for page in range(pages)]
        whole = find_figure(category_figures(rows), BOX, ALL, IOU)
        assert whole is not None
        assert whole.low <= whole.gain <= whole.high
        gains[pages] = whole.high - whole.low
    assert gains[4] > 2 * gains[64]


def test_the_verdict_goes_by_the_gain_and_says_when_it_is_not_sure():
    better = verdict_of(category_figures([_row(page, "text", 0.5, 0.6) for page in range(5)]))
    assert (better.verdict, better.sure) == (BETTER, True)
    assert "+0.100" in better.reason
    mixed = [_row(page, "text", 0.5, 0.9 if page % 2 else 0.12) for page in range(6)]
    unsure = verdict_of(category_figures(mixed))
    assert (unsure.verdict, unsure.sure) == (BETTER, False)
    assert "not surely better" in unsure.reason
    assert verdict_of(category_figures([_row(1, "text", 0.5, 0.5)])).verdict == WORSE
    worse = verdict_of(category_figures([_row(page, "text", 0.5, 0.4) for page in range(5)]))
    assert (worse.verdict, worse.sure) == (WORSE, True)
    few = verdict_of(category_figures([_row(page, "text", 0.5, 0.6) for page in range(4)]))
    assert (few.verdict, few.sure) == (BETTER, False)
    assert "judge on 5 pages" in few.reason
    assert not verdict_of(category_figures([_row(1, "text", 0.5, 0.4)])).sure
    with pytest.raises(ValueError, match="boxes"):
        verdict_of(category_figures([_row(1, "text", 0.5, 0.5, POINT)]))


def test_a_gain_is_not_sure_where_no_drawing_of_the_pages_holds_every_category():
    rows = [_row(page, f"kind {page}", 0.5, 0.6) for page in range(12)]
    figures = category_figures(rows)
    whole = find_figure(figures, BOX, ALL, IOU)
    assert whole is not None and (whole.low, whole.high) == (-1.0, 1.0)
    told = verdict_of(figures)
    assert (told.verdict, told.sure) == (BETTER, False)


def test_a_category_that_is_called_all_is_not_the_mean_over_categories():
    rows = [_row(page, name, 0.5, tuned) for page in range(6) for name, tuned in ((ALL, 0.9), ("text", 0.2))]
    figures = category_figures(rows)
    whole, own = find_figure(figures, BOX, ALL, IOU), find_figure(figures, BOX, "all (category)", IOU)
    assert whole is not None and whole.gain == pytest.approx(0.05)
    assert own is not None and own.gain == pytest.approx(0.4)


def test_what_is_better_for_boxes_and_surely_worse_for_points_is_refused():
    boxes = [_row(page, "text", 0.6, 0.605) for page in range(6)]
    clicks = [_row(page, "text", 0.6, 0.1, POINT) for page in range(6)]
    told = verdict_of(category_figures(boxes + clicks))
    assert (told.verdict, told.sure) == (WORSE, True)
    assert "IoU of points on val 0.600 -> 0.100" in told.reason
    # A loss that is not sure does not refuse.
    some = [_row(page, "text", 0.6, 0.8 if page % 2 else 0.35, POINT) for page in range(6)]
    assert verdict_of(category_figures(boxes + some)).verdict == BETTER


def test_a_category_that_is_surely_lost_is_not_made_up_for_by_others():
    rows = [_row(page, "text", 0.2, 0.9) for page in range(6)] + [_row(page, "panel", 0.9, 0.5) for page in range(6)]
    told = verdict_of(category_figures(rows))
    assert (told.verdict, told.sure) == (WORSE, True)
    assert "boxes of panel on val 0.900 -> 0.500" in told.reason
    assert told.gain > 0
    even = [_row(0, "panel", 0.5, 0.6), _row(0, "panel", 0.5, 0.4), _row(0, "panel", 0.1, 0.1)]
    assert verdict_of(category_figures([*rows[:6], *even])).verdict == BETTER
