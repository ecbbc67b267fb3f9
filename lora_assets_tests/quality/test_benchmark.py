from __future__ import annotations

import numpy as np

from lora_assets.benchmarks.quality import DAMAGES, drawn_crops, measure_quality
from lora_assets_tests.conftest import TEST_MODELS


def test_the_benchmark_times_every_model_and_damages_crops():
    lines = measure_quality(TEST_MODELS if TEST_MODELS.is_dir() else None, count=2)
    text = "\n".join(lines)
    assert "| figure | sharpness, lighting, contrast, noise |" in text
    assert "| drawn | noise | figure |" in text and "| - | musiq | absent |" in text
    if TEST_MODELS.is_dir():
        assert "| brisque | brisque |" in text and "| drawn | brisque | cutout |" in text


def test_damages_change_pictures_and_crops_have_exact_masks():
    (crop,) = drawn_crops(1)
    assert crop.mask.any() and not crop.mask.all() and crop.colour.shape[:2] == crop.mask.shape
    for name, damage in DAMAGES.items():
        harmed = damage(crop.colour)
        assert harmed.shape == crop.colour.shape and harmed.dtype == np.uint8, name
        assert not np.array_equal(harmed, crop.colour), name
