from __future__ import annotations

import pytest

from lora_assets.benchmarks.mask_lab import measure_mask_lab


@pytest.mark.slow
def test_every_contestant_gives_the_same_pixels_and_is_told():
    told = "\n".join(measure_mask_lab(1, 1, (640, 360)))
    for words in ("| aggressive |", "| **mean** |", "a million frames, extrapolated", "thin kept at 1/8", "not run"):
        assert words in told
