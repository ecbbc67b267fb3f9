from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from lora_assets.models import ModelError
from lora_assets.quality.answers import NO_WINDOW
from lora_assets.quality.faces import (
    PARTS,
    cover_of,
    face_of_table,
    lighting_part,
    pose_part,
    size_part,
    yunet_measure,
)
from lora_assets.quality.settings import FACE_PARTS
from lora_assets_tests.conftest import TEST_IMAGES, TEST_MODELS
from lora_assets_tests.quality.tiny import plain_crop

YUNET = TEST_MODELS / "face_detection_yunet_2023mar.onnx"
PHOTO = TEST_IMAGES / "photos" / "zidane.jpg"
needs_yunet = pytest.mark.skipif(
    not (YUNET.is_file() and PHOTO.is_file()), reason="no YuNet or no photograph (LORA_ASSETS_TEST_MODELS, _IMAGES)"
)


def test_size_grows_with_the_face_and_ends_at_both_ends() -> None:
    sizes = [size_part(side) for side in (0, 5, 28, 40, 64, 100, 128, 500)]
    assert sizes == sorted(sizes) and sizes[:3] == [0, 0, 0] and sizes[-2:] == [1, 1]


def test_pose_is_full_from_the_front_and_falls_when_turned_or_tilted() -> None:
    eyes = np.array([[0.0, 0.0], [40.0, 0.0]])
    turned = [pose_part(eyes, np.array([20.0 + x, 25.0])) for x in (0, 5, 10, 20, 30)]
    assert turned[0] == 1.0 and turned == sorted(turned, reverse=True) and turned[-1] == 0.0
    for angle in (0.3, 0.8):
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        tilted = pose_part(eyes @ turn.T, np.array([20.0, 25.0]) @ turn.T)
        assert tilted == pytest.approx(math.cos(angle))
    assert pose_part(np.zeros((2, 2)), np.array([1.0, 1.0])) == 0.0


def test_light_from_one_side_is_uneven() -> None:
    face, whole = np.full((20, 20), 200, np.uint8), np.ones((20, 20), np.bool_)
    assert lighting_part(face, whole) == 1.0
    face[:, :10] = 50
    assert lighting_part(face, whole) == 0.25
    assert lighting_part(face, np.arange(20)[None, :].repeat(20, 0) > 10) is None


def _crop(box: tuple[float, float, float, float], **more: object):
    picture = np.random.default_rng(1).integers(0, 256, (100, 80, 3)).astype(np.uint8)
    mask = np.zeros((100, 80), np.bool_)
    mask[:, 20:] = True
    return plain_crop(picture, mask, faces=((box, 0.8),), **more)


def test_a_face_is_seen_as_far_as_the_mask_holds_it() -> None:
    inside, half, outside = (cover_of(_crop(box), box) for box in ((30, 10, 70, 60), (0, 10, 40, 60), (0, 0, 15, 20)))
    assert inside == pytest.approx(1.0, abs=0.03)
    assert half == pytest.approx(0.5, abs=0.03)
    assert outside == 0.0


def test_a_face_of_the_detections_is_the_weighted_mean_of_its_parts() -> None:
    points = np.zeros((17, 3))
    points[:3] = [(50, 40, 0.9), (60, 30, 0.9), (40, 30, 0.9)]
    answer = face_of_table(_crop((30, 10, 70, 60), key_points=points, scale=0.5), FACE_PARTS)
    parts = dict(zip(PARTS, answer.parts, strict=True))
    assert parts["confidence"] == 0.8 and parts["pose"] == 1.0 and parts["size"] == pytest.approx(size_part(100))
    assert answer.value == pytest.approx(0.4 * 0.8 + 0.3 * parts["size"] + 0.3)
    without = face_of_table(_crop((30, 10, 70, 60), scale=0.5), FACE_PARTS)
    assert math.isnan(without.parts[PARTS.index("pose")])
    assert without.value == pytest.approx((0.4 * 0.8 + 0.3 * parts["size"]) / 0.7)
    only_seen = face_of_table(_crop((30, 10, 70, 60)), {**dict.fromkeys(PARTS, 0.0), "visible": 1.0})
    assert only_seen.value == pytest.approx(1.0, abs=0.03)


def test_no_face_is_absent_not_bad() -> None:
    assert face_of_table(plain_crop(np.zeros((9, 9, 3), np.uint8)), FACE_PARTS).reason == "no face was detected in it"
    assert "of others" in face_of_table(_crop((0, 0, 15, 20)), FACE_PARTS).reason


@needs_yunet
def test_yunet_finds_the_face_that_the_mask_holds() -> None:
    picture = np.asarray(Image.open(PHOTO).convert("RGB"))
    measure = yunet_measure(YUNET, FACE_PARTS)
    left, right = np.zeros(picture.shape[:2], np.bool_), np.zeros(picture.shape[:2], np.bool_)
    left[:, :800], right[:, 800:] = True, True
    found = [measure([plain_crop(picture, mask)], ["face_yunet"])["face_yunet"][0] for mask in (left, right)]
    # Which of both men is the more turned aside can be seen; the detector's own confidence is about 0.9 for both.
    assert all(answer.value is not None and 0.5 < answer.value < 1.0 for answer in found)
    assert found[0].parts != found[1].parts
    nobody = plain_crop(np.full((90, 70, 3), 128, np.uint8))
    hidden = plain_crop(picture, has_background=False)
    empty, gone = measure([nobody, hidden], ["face_yunet"])["face_yunet"]
    assert empty.value is None and "no face" in empty.reason and gone.reason == NO_WINDOW
    one = np.zeros((1, 1, 3), np.uint8)
    assert measure([plain_crop(one)], ["face_yunet"])["face_yunet"][0].value is None


@needs_yunet
def test_a_dark_or_small_face_is_not_better() -> None:
    photo = Image.open(PHOTO).convert("RGB").crop((800, 0, 1280, 400))
    measure = yunet_measure(YUNET, FACE_PARTS)

    def quality(picture: Image.Image, scale: float = 1.0) -> float:
        crop = plain_crop(np.asarray(picture), scale=scale)
        return measure([crop], ["face_yunet"])["face_yunet"][0].value or 0.0

    assert quality(ImageEnhance.Brightness(photo).enhance(0.1)) <= quality(photo)
    assert quality(photo, scale=4.0) < quality(photo)


def test_another_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "faces.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(ModelError, match=r"faces.onnx is no face detector"):
        yunet_measure(path, FACE_PARTS)
