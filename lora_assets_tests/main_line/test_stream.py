from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.main_line.stream import side_by_side


@given(st.lists(st.integers(), max_size=40), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_results_come_in_the_order_of_the_items(items, workers):
    assert list(side_by_side(lambda item: item * 2, items, workers)) == [item * 2 for item in items]


def test_few_items_are_in_flight():
    taken = []

    def items():
        for number in range(50):
            taken.append(number)
            yield number

    stream = side_by_side(lambda item: item, items(), 2)
    next(stream)
    assert len(taken) <= 4
    stream.close()


def test_an_error_is_raised_in_order_and_the_rest_is_dropped():
    begun = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 3:
            raise ValueError("three")
        return item

    results = []
    with pytest.raises(ValueError, match="three"):
        for result in side_by_side(work, range(1000), 2):
            results.append(result)  # noqa: PERF402
    assert results == [0, 1, 2]
    assert len(begun) < 20


def test_the_items_are_worked_on_side_by_side():
    meeting = threading.Barrier(2, timeout=60)
    assert list(side_by_side(lambda _: meeting.wait() >= 0, range(4), 2)) == [True] * 4
