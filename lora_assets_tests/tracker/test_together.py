"""Who asks for the same at the same time shares one answer, and never one that began before the question."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lora_assets.tracker.together import Together


def test_those_who_come_meanwhile_share_the_next_call():
    together, calls = Together(), []
    entered, go_on = threading.Event(), threading.Event()

    def slow() -> int:
        calls.append(len(calls))
        if len(calls) == 1:
            entered.set()
            go_on.wait(60)
        return calls[-1]

    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(together.call, "page", slow)
        assert entered.wait(60)
        later = [pool.submit(together.call, "page", slow) for _ in range(8)]
        # All of them wait before the first is let go, so that they must share one call.
        while len([future for future in later if future.running()]) < 8 or "page" not in together._next:
            threading.Event().wait(0.001)
        go_on.set()
        assert first.result(60) == 0
        assert {future.result(60) for future in later} <= {1, 2}
    assert len(calls) <= 3
    assert together.call("page", slow) == len(calls) - 1, "a later question is answered anew"


def test_an_error_is_told_to_all_and_the_next_call_is_tried():
    together = Together()

    def fails() -> None:
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        together.call("page", fails)
    assert together.call("page", lambda: "well") == "well"


def test_nobody_is_told_what_is_older_than_the_question():
    together, number = Together(), [0]

    def worker(_: int) -> bool:
        number[0] += 1
        asked = number[0]
        return together.call("page", lambda: number[0]) >= asked

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(worker, range(2000)))


def test_keys_do_not_wait_for_each_other_for_ever():
    together = Together()
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda n: together.call(n % 97, lambda: n % 97), range(2000))) == [
            n % 97 for n in range(2000)
        ]
