"""MUSIQ through a stand-in for pyiqa with its calls: the package is under a noncommercial licence and not here."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from lora_assets.models import ModelError
from lora_assets.quality.answers import NO_WINDOW
from lora_assets.quality.batches import Batches
from lora_assets.quality.musiq import is_installed, musiq_measure
from lora_assets_tests.quality.tiny import plain_crop


class _Brightness(torch.nn.Module):
    """Takes pictures N,3,h,w from 0 to 1, as pyiqa's networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        assert float(pictures.min()) >= 0 and float(pictures.max()) <= 1
        return self.scale * pictures.mean(dim=(1, 2, 3), keepdim=False)[:, None]


@pytest.fixture
def pyiqa(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    asked: list[tuple] = []

    def create_metric(name: str, device: str, pretrained: bool) -> types.SimpleNamespace:
        asked.append((name, device, pretrained))
        return types.SimpleNamespace(net=_Brightness())

    module = types.ModuleType("pyiqa")
    module.__spec__ = importlib.machinery.ModuleSpec("pyiqa", None)
    module.create_metric = create_metric  # pyright: ignore
    monkeypatch.setitem(sys.modules, "pyiqa", module)
    return asked


def test_the_weights_of_the_file_are_used_and_pyiqa_downloads_nothing(tmp_path: Path, pyiqa: list[tuple]) -> None:
    assert is_installed()
    torch.save({"params": {"scale": torch.tensor(80.0)}}, tmp_path / "musiq.pth")
    measure = musiq_measure(
        tmp_path / "musiq.pth", picture="window", device="cpu", half=True, batches=Batches(3)
    )  # fmt: skip
    assert pyiqa == [("musiq", "cpu", False)]
    sizes = ((40, 40), (40, 40), (50, 33), (40, 20))
    crops = [plain_crop(np.full((*size, 3), 102, np.uint8)) for size in sizes]
    crops.append(plain_crop(np.zeros((40, 40, 3), np.uint8), has_background=False))
    answers = measure(crops, ["musiq"])["musiq"]
    assert [answer.value for answer in answers[:3]] == pytest.approx([32.0] * 3)
    assert answers[3].reason == "smaller than 32 pixels" and answers[4].reason == NO_WINDOW


def test_weights_that_do_not_fit_are_named(tmp_path: Path, pyiqa: list[tuple]) -> None:
    torch.save({"params": {"other": torch.tensor(1.0)}}, tmp_path / "musiq.pth")
    with pytest.raises(ModelError, match=r"musiq.pth holds no weights of MUSIQ"):
        musiq_measure(tmp_path / "musiq.pth", picture="window", device="cpu", half=False, batches=Batches(3))
