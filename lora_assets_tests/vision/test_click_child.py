"""What the clicking process keeps between clicks, asked without a process."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lora_assets.vision.click_child import ChildSettings, Clicks
from lora_assets_tests.tracker.fake_clicks import Discs


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Any]:
    """A request about a picture."""
    path = tmp_path / "frame.png"
    cv2.imwrite(str(path), np.full((80, 100, 3), 90, np.uint8))
    frame = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"do": "ask", "tracker": "T", "frame": frame, "path": str(path), "labels": [1]}


def _clicks(folder: Path, gone_on_from: list[bool]) -> Clicks:
    class Listening(Discs):
        def predict(self, embedding, *, mask_input=None, **asked):
            gone_on_from.append(mask_input is not None)
            return super().predict(embedding, mask_input=mask_input, **asked)

    return Clicks(ChildSettings(str(folder)), opener=lambda name, data: Listening())


def test_a_click_goes_on_from_the_answer_that_it_names(tmp_path, asked):
    heard: list[bool] = []
    clicks = _clicks(tmp_path, heard)
    first = clicks.answer({**asked, "points": [[20, 20]]})["answer"]
    clicks.answer({**asked, "points": [[20, 20], [60, 60]], "labels": [1, 1], "after": [first, 1]})
    assert heard == [False, True]


def test_a_page_of_the_process_before_goes_on_from_nobodys_mask(tmp_path, asked):
    old = _clicks(tmp_path, []).answer({**asked, "points": [[20, 20]]})["answer"]
    heard: list[bool] = []
    new = _clicks(tmp_path, heard)
    others = new.answer({**asked, "points": [[60, 60]]})["answer"]
    new.answer({**asked, "points": [[20, 20], [30, 20]], "labels": [1, 1], "after": [old, 0]})
    assert heard == [False, False] and others != old
    assert 0 < old < 2**53, "a whole number in JavaScript too"
