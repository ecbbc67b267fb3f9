"""The benchmark of shots, characters and groups, on one short film."""

from __future__ import annotations

import re

from lora_assets.benchmarks.curation import Tally, measure_curation, shot_boundaries


def test_it_measures_a_film(tmp_path):
    lines = measure_curation(films=1, shots=3, size=(256, 144), seed=3, sheets=tmp_path)
    assert len(lines) == 4
    assert re.search(r" +3 +\d+ +\d+ +\d\.\d{3}/\d\.\d{3}", lines[2])
    assert lines[2].split()[-2] == "0"  # leaks
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "film3_characters.png", "film3_groups.png", "film3_chosen.png",
    }  # fmt: skip


def test_boundaries_count_within_two_frames():
    truth = [0] * 10 + [1] * 10 + [2] * 10
    found = shot_boundaries(truth, ["a"] * 11 + ["b"] * 4 + ["c"] * 15)
    assert (found.right, found.found, found.true) == (1, 2, 2)
    assert Tally().precision == Tally().recall == 1.0
