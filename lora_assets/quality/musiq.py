"""MUSIQ (Ke et al., ICCV 2021) by the package pyiqa, which is under a noncommercial licence and no part of the core.

pyiqa only builds the network here: its own download checks no hash and unpickles freely, so the weights are those of
`data/models`, checked by their hash and read with `weights_only`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lora_assets.models import ModelError
from lora_assets.quality.answers import NO_WINDOW, Answer, MeasureCrops, checked
from lora_assets.quality.batches import Batches
from lora_assets.quality.pictures import QualityCrop
from lora_assets.vision.images import RgbImage

CODE_VERSION = "1"

MISSING = "the package pyiqa is not installed (noncommercial licence): pip install 'lora_assets[iqa]'"
_LEAST_SIDE = 32


def is_installed() -> bool:
    """True when pyiqa can be imported; told without importing it."""
    return importlib.util.find_spec("pyiqa") is not None


def musiq_measure(path: Path, *, picture: str, device: str, half: bool, batches: Batches) -> MeasureCrops:
    """What measures `musiq` (0..100) with the weights of a file. Raises ModelError, naming it, when they do not fit.

    Pictures of one size run together, others alone: the network reads each at several scales of its own.
    """
    import pyiqa  # pyright: ignore[reportMissingImports]
    import torch

    half = half and device == "cuda"
    metric: Any = pyiqa.create_metric("musiq", device=device, pretrained=False)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        metric.net.load_state_dict(state.get("params", state) if isinstance(state, dict) else state)
    except Exception as error:
        raise ModelError(
            f"{path} holds no weights of MUSIQ that can be read safely ({error}): fetch it again"
        ) from error
    metric.net.eval()
    if half:
        metric.net.half()

    def score(pictures: Sequence[RgbImage]) -> Sequence[float]:
        if len({each.shape for each in pictures}) > 1:
            return [value for each in pictures for value in score([each])]
        fed = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(device)
        with torch.inference_mode():
            found = metric.net((fed.half() if half else fed.float()) / 255.0)
        return [float(value) for value in found.reshape(-1).float().cpu()]

    def measure(crops: Sequence[QualityCrop], names: Sequence[str]) -> dict[str, list[Answer]]:
        answers = [Answer(None, NO_WINDOW) for _ in crops]
        shown = {place: crop.shown(picture) for place, crop in enumerate(crops)}
        for place, each in shown.items():
            if each is not None and min(each.shape[:2]) < _LEAST_SIDE:
                answers[place] = Answer(None, f"smaller than {_LEAST_SIDE} pixels")
                shown[place] = None
        there = [place for place, each in shown.items() if each is not None]
        found = batches.run(score, [each for each in shown.values() if each is not None])
        for place, value in zip(there, found, strict=True):
            answers[place] = checked(value)
        return dict.fromkeys(names, answers)

    return measure
