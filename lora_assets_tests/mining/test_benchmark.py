from __future__ import annotations

from lora_assets.benchmarks.mining import draw_street, measure_many, measure_mining
from lora_assets.store import Store


def test_planted_things_are_counted_by_contender(tmp_path):
    store = Store(tmp_path / "data")
    street = draw_street(store, 6, 0.5)
    assert len(street.source.frames) == 6
    assert set(street.planted.values()) == {"rare class", "stranger"}
    assert street.source.pixels(next(iter(street.source.frames))).shape == (360, 640, 3)
    told = "\n".join(measure_mining(8, 0.2))
    for contender in ("IsolationForest alone", "LOF alone", "rare classes alone", "the union", "chance"):
        assert f"| {contender} | " in told
    assert "| rare_objects | " in told


def test_many_vectors_are_timed():
    (line,) = measure_many(300, 16)
    assert line.startswith("300 vectors of 16 numbers in 4 datasets")
