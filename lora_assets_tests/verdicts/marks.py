"""Marks for tests. It tests nothing itself."""

from __future__ import annotations

import itertools

from lora_assets.verdicts import Mark

_numbers = itertools.count()


def a_mark(value: str = "good", crop: str = "c1", **given) -> Mark:
    """A mark of its own request, with any part given."""
    told = {
        "tracker": "T1", "dataset": "film", "frame_sha256": "a" * 64, "box": (10.0, 20.0, 110.0, 220.0),
        "crop_id": crop, "value": value, "request_id": f"r{next(_numbers)}",
    }  # fmt: skip
    return Mark(**(told | given))
