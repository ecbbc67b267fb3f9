"""The small networks of the package that the checks ask, by onnxruntime: one picture in, maps of how likely things are.

One session of each file, with one thread, opened at the first question, serves all threads of a process. What goes in
and what the maps mean is each network's own matter (mask_critic, letter_map).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from lora_assets.vision.yolo_onnx import open_session

_opening = Lock()
_LOGIT_LIMIT = 30.0


def likely_maps(weights: Path, layers: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What the network of an ONNX file answers to `layers` (CxHxW): its logits as chances 0..1, MxRxS.

    Raises ModelError when the file is missing or damaged.
    """
    # Threads that ask first at once would open a session each.
    with _opening:
        session, feed, answer = _opened(weights)
    told = np.asarray(session.run([answer], {feed: layers[None]})[0], np.float32)[0]
    return 1.0 / (1.0 + np.exp(-np.clip(told, -_LOGIT_LIMIT, _LOGIT_LIMIT)))


@cache
def _opened(weights: Path) -> tuple[Any, str, str]:
    session = open_session(weights)
    return session, session.get_inputs()[0].name, session.get_outputs()[0].name
