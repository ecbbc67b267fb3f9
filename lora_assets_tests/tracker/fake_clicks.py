"""The clicking process with a model that costs nothing: discs around clicks, and boxes. It tests nothing itself.

A click in the left two columns ends the process as a crash does; one in the top two rows never returns.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import numpy as np

from lora_assets.vision.click_child import main
from lora_assets.vision.prompted import Candidates, Embedding, best_first, check_prompt

PROGRAM = "lora_assets_tests.tracker.fake_clicks"


class Discs:
    """As `Prompted`: discs of three sizes around the wanted points, without those around the others."""

    name = "discs"

    def embed(self, rgb: Any) -> Embedding:
        return Embedding(rgb.shape[1], rgb.shape[0], rgb.nbytes, None)

    def predict(self, embedding: Embedding, *, points=(), labels=(), box=None, mask_input=None) -> Candidates:
        prompt = check_prompt(points, labels, box, embedding)
        if len(prompt.points) and prompt.points[-1][0] < 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if len(prompt.points) and prompt.points[-1][1] < 2:
            threading.Event().wait()
        rows, columns = np.mgrid[: embedding.height, : embedding.width]
        masks = np.zeros((3, embedding.height, embedding.width), bool)
        for mask, reach in zip(masks, (20, 30, 12), strict=True):
            if prompt.box is not None:
                x1, y1, x2, y2 = prompt.box.astype(int)
                mask[y1:y2, x1:x2] = True
            for (x, y), label in zip(prompt.points, prompt.labels, strict=True):
                mask[(columns - x) ** 2 + (rows - y) ** 2 <= reach**2] = bool(label)
        if mask_input is not None:
            masks |= mask_input
        return best_first(masks, np.array([0.9, 0.7, 0.5]), tuple(masks))


if __name__ == "__main__":
    main(lambda name, data: Discs())
