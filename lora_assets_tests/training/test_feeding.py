"""Batches come in the order of their steps, whoever makes them."""

from __future__ import annotations

from itertools import islice

import pytest

from lora_assets.training.feeding import batches, usual_feeders


def _square(step: int) -> int:
    if step == 7:
        raise RuntimeError("seven")
    return step * step


@pytest.mark.parametrize("feeders", [0, 2])
def test_batches_come_in_order_and_errors_where_they_are_due(feeders: int):
    feed = batches(_square, 3, feeders)
    assert list(islice(feed, 4)) == [9, 16, 25, 36]
    with pytest.raises(RuntimeError, match="seven"):
        next(feed)


def test_on_a_processor_the_training_makes_its_own_batches(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LORA_ASSETS_DEVICE", "cpu")
    assert usual_feeders() == 0
    monkeypatch.setenv("LORA_ASSETS_DEVICE", "cuda")
    assert usual_feeders() >= 1
