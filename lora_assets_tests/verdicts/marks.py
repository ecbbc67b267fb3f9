"""Marks and corrections for tests. It tests nothing itself."""

from __future__ import annotations

import itertools

import numpy as np

from lora_assets.verdicts import Mark
from lora_assets.verdicts.corrections import Correction, correction_of_mask

FRAME = "ab" * 32

_numbers = itertools.count()


def a_mark(value: str = "good", crop: str = "c1", **given) -> Mark:
    """A mark of its own request, with any part given."""
    told = {
        "tracker": "T1", "dataset": "film", "frame_sha256": "a" * 64, "box": (10.0, 20.0, 110.0, 220.0),
        "crop_id": crop, "value": value, "request_id": f"r{next(_numbers)}",
    }  # fmt: skip
    return Mark(**(told | given))


def a_correction(id_: str = "first", box=(10.0, 10.0, 50.0, 50.0), frame: str = FRAME) -> Correction:
    """A correction of a frame of 100 x 80 pixels: a rectangle."""
    mask = np.zeros((80, 100), bool)
    mask[12:40, 15:45] = True
    return correction_of_mask(mask, id=id_, tracker="T1", dataset="film", frame_sha256=frame, box=box, model="m")
