"""The sigmoid of the starter's estimates: fitted on drawn boxes, and held against the module's numbers."""

from __future__ import annotations

import numpy as np
import pytest

from lora_assets.benchmarks.starter_estimates import Asked, asked_boxes, fit, fit_lines


def test_every_box_is_asked_as_it_is_and_moved_and_comes_again():
    asked = list(asked_boxes(21_003, 1))
    assert asked and len(asked) % 2 == 0 and {each.seed for each in asked} == {21_003}
    assert all(0 <= each.told <= 1 and 0 <= each.iou <= 1 for each in asked)
    assert asked == list(asked_boxes(21_003, 1))


def test_the_sigmoid_that_made_the_numbers_is_found_and_held():
    told = np.random.default_rng(1).random(200)
    ious = 1 / (1 + np.exp(-(6 * told - 2.5)))
    weight, constant = fit(told, ious)
    assert weight == pytest.approx(6, rel=1e-3) and constant == pytest.approx(-2.5, rel=1e-3)
    asked = [Asked(seed, float(one), float(iou)) for seed, (one, iou) in enumerate(zip(told, ious, strict=True))]
    lines = fit_lines(asked, (1.0, 0.0))
    assert lines[0] == "ESTIMATE = (6, -2.5)" and lines[1].endswith("holds others: ESTIMATE = (1, 0)")
    assert "holds these numbers" in fit_lines(asked, (6.0, -2.5))[1]
    assert "200 boxes" in lines[2] and lines[2].endswith("0.000 off")
    sure = int((ious >= 0.8).sum())
    assert lines[3].startswith(f"  IoU of 0.8 or more: {sure} of {sure} ") and " 0 of " in lines[3]


def test_masks_that_are_all_good_or_all_bad_give_finite_numbers():
    told = np.linspace(0.2, 0.9, 30)
    for ious in (np.zeros(30), np.ones(30)):
        assert np.isfinite(fit(told, ious)).all()
