"""Edges and SAM's automatic masks where nothing else was found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lora_assets.vision.boxes import box_iou
from lora_assets.vision.last_resort import MOST_CONFIDENCE, best_mask_box, edge_box, likeness, load_automatic_masks


def _region(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros((100, 160), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_a_standing_figure_is_likelier_than_ground_sky_or_a_speck() -> None:
    assert likeness(_region(20, 90, 60, 95)) == pytest.approx(1.0)
    assert likeness(_region(60, 100, 0, 160)) == likeness(_region(50, 54, 80, 84)) == 0
    assert likeness(np.zeros((100, 160), bool)) == likeness(np.ones((100, 160), bool)) == 0
    assert 0 < likeness(_region(20, 90, 110, 150)) < 1


def test_edges_find_a_figure_before_a_plain_background() -> None:
    image = np.full((180, 320, 3), (200, 220, 240), np.uint8)
    image[40:180, 130:190] = (120, 40, 40)
    found = edge_box(image)
    assert box_iou(found.xyxy, np.array([[130.0, 40, 190, 180]])).max() > 0.9
    assert 0 < found.confidence[0] <= MOST_CONFIDENCE


@pytest.mark.parametrize("kind", ["black", "gradient", "noise", "tiny", "line"])
def test_edges_find_nothing_where_nothing_stands_out(kind: str) -> None:
    image = {
        "black": np.zeros((90, 160, 3), np.uint8),
        "gradient": np.tile(np.linspace(0, 255, 160).astype(np.uint8)[None, :, None], (90, 1, 3)),
        "noise": np.random.default_rng(1).integers(0, 256, (90, 160, 3)).astype(np.uint8),
        "tiny": np.full((1, 1, 3), 255, np.uint8),
        "line": np.full((3, 4000, 3), 255, np.uint8),
    }[kind]
    assert len(edge_box(image)) == 0


def test_the_most_figure_like_mask_makes_the_box() -> None:
    masks = [
        {"segmentation": _region(50, 100, 0, 160), "predicted_iou": 0.99},
        {"segmentation": _region(20, 90, 60, 95), "predicted_iou": 0.8},
        {"segmentation": _region(20, 90, 62, 90), "predicted_iou": float("nan")},
    ]
    found = best_mask_box(masks, "sam")
    assert found.xyxy.tolist() == [[60, 20, 95, 90]] and found.confidence[0] == pytest.approx(0.8 * MOST_CONFIDENCE)
    assert len(best_mask_box(masks[:1], "sam")) == len(best_mask_box([], "sam")) == 0


def test_a_segment_anything_model_answers_as_a_detector(tmp_path: Path) -> None:
    import torch

    from lora_assets.vision.starter_sam import build_starter_sam

    path = tmp_path / "sam.pt"
    torch.manual_seed(0)
    torch.save(build_starter_sam().state_dict(), path)
    detector = load_automatic_masks(path, "sam", points_per_side=2)
    found = detector(np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8))
    assert (detector.name, detector.body_from) == ("sam", "sam") and len(found) <= 1
