from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.vision.boundary import Border, boundary_f, tolerance_of
from lora_assets_tests.vision.drawn import noise_mask


def plain(found: np.ndarray, true: np.ndarray, share: float, border: Border) -> float:
    """The same, written once more on the whole array, distance by distance."""
    height, width = true.shape
    rims = []
    for mask in (found, true):
        around = np.pad(mask, 1) if border == "outline" else np.pad(mask, 1, mode="edge")
        rims.append([
            (y, x) for y in range(height) for x in range(width)
            if mask[y, x] and not around[y : y + 3, x : x + 3].all()
        ])  # fmt: skip
    if not rims[0] or not rims[1]:
        return float(bool(rims[0]) == bool(rims[1]))
    rows, columns = np.nonzero(true)
    reach = max(1.0, share * float(np.hypot(np.ptp(rows) + 1, np.ptp(columns) + 1)))
    one, other = (
        np.mean([min((y - v) ** 2 + (x - u) ** 2 for v, u in theirs) <= reach**2 + 1e-6 for y, x in own])
        for own, theirs in (rims, rims[::-1])
    )
    return float(2 * one * other / (one + other)) if one + other else 0.0


@given(
    st.integers(0, 2**31), st.integers(1, 14), st.integers(1, 14), st.sampled_from((0.0, 0.3, 0.8, 1.0)),
    st.sampled_from((0.0, 0.2)), st.sampled_from(("outline", "open")),
)  # fmt: skip
@settings(deadline=None, max_examples=80)
def test_the_boundary_f_is_what_its_definition_says(seed, height, width, density, share, border):
    found, true = noise_mask(seed, height, width, 0.6), noise_mask(seed + 1, height, width, density)
    assert boundary_f(found, true, share, border) == pytest.approx(plain(found, true, share, border))


def test_the_border_ends_a_panel_and_cuts_a_figure():
    mask, other = np.zeros((2, 60, 60), np.bool_)
    mask[20:] = True
    other[20:, :40] = True
    assert boundary_f(mask, mask, 0.0, "outline") == boundary_f(mask, mask, 0.0, "open") == 1.0
    # Ended by the border, the two share three sides; open, only a part of the upper edge.
    assert boundary_f(mask, other, 0.0, "outline") > boundary_f(mask, other, 0.0, "open")
    whole = np.ones((60, 60), np.bool_)
    assert boundary_f(whole, whole, 0.0, "open") == 1.0 and boundary_f(whole, mask, 0.0, "open") == 0.0


def test_the_tolerance_goes_by_the_true_box():
    true = np.zeros((400, 400), np.uint8)
    cv2.rectangle(true, (10, 20), (309, 319), 1, -1)
    assert tolerance_of(true > 0, 0.02) == pytest.approx(0.02 * np.hypot(300, 300))
    assert tolerance_of(true > 0, 0.0) == tolerance_of(np.zeros((3, 3), np.bool_), 0.5) == 1.0
