"""The switches by which the libraries underneath stay off the network, run no code of a file and unpack no bomb.

Nothing here talks to the network but `models pull`, a caption service and a tracker of experiments that a person named.
Libraries read these switches when they are imported, so they are set before that: by the commands and by the
definitions. What Ultralytics needs beyond them is in vision.yolo.
"""

from __future__ import annotations

import os

SWITCHES = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "DO_NOT_TRACK": "1",
    "ULTRALYTICS_SAFE_LOAD": "1",
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
    "OPENCV_IO_MAX_IMAGE_PIXELS": "200000000",
}
"""Name and value of each switch. TORCH_FORCE_WEIGHTS_ONLY_LOAD makes torch refuse every pickle, also in a call that
forgot to ask for it. OPENCV_IO_MAX_IMAGE_PIXELS holds for pictures that OpenCV opens by itself (its own bound is 5
times as high); a person's files are opened by vision.images, under its own limits."""


def keep_offline() -> None:
    """Set the switches for this process and those that it starts, whatever they were."""
    os.environ.update(SWITCHES)
