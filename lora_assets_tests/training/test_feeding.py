"""Batches come in the order of their steps, whoever makes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
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


def number_of_the_process(_step: int) -> int:
    return os.getpid()


@pytest.mark.slow
def test_feeders_end_with_a_training_that_is_killed():
    program = (
        "import time\nfrom lora_assets.training.feeding import batches\n"
        "from lora_assets_tests.training.test_feeding import number_of_the_process\n"
        "feed = batches(number_of_the_process, 0, 1)\nprint(next(feed), flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout is not None
        feeder = int(training.stdout.readline())
        os.kill(feeder, 0)
        training.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 60
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(feeder, 0)
            time.sleep(0.1)


def test_on_a_processor_the_training_makes_its_own_batches(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LORA_ASSETS_DEVICE", "cpu")
    assert usual_feeders() == 0
    monkeypatch.setenv("LORA_ASSETS_DEVICE", "cuda")
    assert usual_feeders() >= 1
