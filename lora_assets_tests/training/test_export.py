"""The exported detector answers as its source does, and nothing else ever takes its place."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from lora_assets.scenes import draw_scene
from lora_assets.starter import STARTER_CARD, STARTER_YOLO, STARTER_YOLO_ONNX
from lora_assets.starter.card import CardError, file_digest, read_card
from lora_assets.training import export
from lora_assets.training.export import (
    LARGEST_BOX_DIFFERENCE,
    Agreement,
    compare_detectors,
    export_detector,
    export_image_encoder,
    export_starter,
    is_exported,
)
from lora_assets.training.schedule import TrainingError
from lora_assets.vision.yolo import YoloLimits
from lora_assets.vision.yolo_onnx import load_yolo_onnx, open_session

LIMITS = YoloLimits(conf=0.25, iou=0.45, max_det=50, imgsz=0)


def _frames() -> list[np.ndarray]:
    return [draw_scene(seed, *size, characters=2).image for seed, size in ((1, (640, 360)), (2, (300, 400)))]


def test_the_shipped_forms_of_the_starter_agree():
    agreement = compare_detectors(STARTER_YOLO, STARTER_YOLO_ONNX, _frames())
    assert agreement.boxes > 0 and agreement.unmatched == 0
    assert agreement.box_difference <= LARGEST_BOX_DIFFERENCE


def test_an_export_opens_with_its_names_and_size_for_frames_of_any_shape(tmp_path: Path):
    out = tmp_path / "net.onnx"
    agreement = export_detector(STARTER_YOLO, out, _frames())
    assert agreement.unmatched == 0 and agreement.boxes > 0
    assert load_yolo_onnx(out, LIMITS).names == ("face", "head", "person")
    session = open_session(out)
    assert [(value.name, value.shape[:2]) for value in session.get_inputs()] == [("images", [1, 3])]
    side = read_card(STARTER_CARD)[STARTER_YOLO.name].architecture["input_size"]
    metadata = session.get_modelmeta().custom_metadata_map
    assert metadata["imgsz"] == str([side, side]) and metadata["exported_from"] == file_digest(STARTER_YOLO)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def _small(*_: object) -> bytes:
    return b"exported"


@pytest.mark.parametrize("agreement", [Agreement(9, 1, 0.0, 0.0), Agreement(9, 0, 3.0, 0.0)])
def test_a_form_that_answers_otherwise_takes_no_place(
    agreement: Agreement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "net.onnx"
    out.write_bytes(b"before")
    monkeypatch.setattr(export, "_detector_as_onnx", _small)
    monkeypatch.setattr(export, "compare_detectors", lambda *_: agreement)
    with pytest.raises(TrainingError, match="does not answer as"):
        export_detector(STARTER_YOLO, out, [])
    assert out.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_a_file_too_large_for_the_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(export, "_detector_as_onnx", _small)
    monkeypatch.setattr(export, "LARGEST_STARTER_BYTES", 3)
    with pytest.raises(TrainingError, match="8 bytes as ONNX"):
        export_detector(STARTER_YOLO, tmp_path / "net.onnx", [])
    assert not list(tmp_path.iterdir())


def test_a_missing_exporter_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(TrainingError, match="pip install onnx"):
        export_detector(STARTER_YOLO, tmp_path / "net.onnx", [])


def test_a_starter_is_exported_once_and_again_when_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for path in (STARTER_YOLO, STARTER_CARD):
        shutil.copyfile(path, tmp_path / path.name)
    made: list[Path] = []

    def small_export(weights: Path, out: Path, frames: object) -> Agreement:
        made.append(weights)
        out.write_bytes(b"exported")
        return Agreement(4, 0, 0.25, 0.0)

    monkeypatch.setattr(export, "export_detector", small_export)
    monkeypatch.setattr(export, "COMPARED_SEEDS", range(0))
    entry = export_starter(tmp_path)
    source, out = read_card(tmp_path / STARTER_CARD.name)[STARTER_YOLO.name], tmp_path / STARTER_YOLO_ONNX.name
    assert entry.exported_from == source.sha256 and entry.figures["export_largest_box_difference_pixels"] == 0.25
    assert export_starter(tmp_path) == entry and len(made) == 1
    assert is_exported(out, {out.name: entry}, source)
    assert not is_exported(out, {out.name: entry}, replace(source, sha256="0" * 64))
    out.write_bytes(b"expo")
    export_starter(tmp_path)
    assert len(made) == 2 and out.read_bytes() == b"exported"
    (tmp_path / STARTER_YOLO.name).write_bytes(b"half")
    with pytest.raises(CardError, match="is not the file of its card"):
        export_starter(tmp_path)


def test_weights_without_an_entry_are_not_exported(tmp_path: Path):
    with pytest.raises(CardError, match="does not name"):
        export_starter(tmp_path)


def test_an_image_encoder_answers_the_same_in_its_other_form(tmp_path: Path):
    import torch

    torch.manual_seed(5)
    encoder = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 16, stride=16), torch.nn.GELU()).eval()
    encoder.img_size = 64  # type: ignore[assignment]
    path = tmp_path / "encoder.onnx"
    export_image_encoder(SimpleNamespace(image_encoder=encoder), path)  # type: ignore[arg-type]
    pixels = torch.randn(1, 3, 64, 64)
    (answer,) = open_session(path).run(None, {"images": pixels.numpy()})
    with torch.inference_mode():
        assert np.allclose(answer, encoder(pixels).numpy(), atol=1e-5)
