"""RTMPose and the aesthetic classifier as tiny ONNX files of the true signatures."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from lora_assets.models import ModelError
from lora_assets.quality.anime_aesthetic import CLASSES, anime_aesthetic_measure, class_pixels, expected_class
from lora_assets.quality.answers import NO_WINDOW
from lora_assets.quality.batches import Batches
from lora_assets.quality.pose import decode_simcc, person_pixels, pose_of_table, rtmpose_measure
from lora_assets_tests.quality.tiny import nan_classifier, plain_crop, tiny_classifier, tiny_simcc

WHITE = np.full((120, 60, 3), 255, np.uint8)
POINTS = np.stack([np.linspace(20, 170, 17), np.linspace(30, 240, 17)], axis=1)


# --- the aesthetic classifier ----------------------------------------------------------------------------------------


def _plain_expected(logits: np.ndarray) -> float:
    raised = [np.exp(v) for v in logits]
    worth = {"masterpiece": 6, "best": 5, "great": 4, "good": 3, "normal": 2, "low": 1, "worst": 0}
    return sum(worth[name] * v / sum(raised) for name, v in zip(CLASSES, raised, strict=True))


def test_the_expected_class_of_shares_and_of_logits() -> None:
    logits = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    plain = [_plain_expected(row) for row in logits]
    np.testing.assert_allclose(expected_class(logits), plain, rtol=1e-5)
    np.testing.assert_allclose(expected_class(shares), plain, rtol=1e-5)
    assert expected_class(np.eye(7, dtype=np.float32)).tolist() == [6, 5, 4, 3, 2, 1, 0]


def test_pictures_are_squeezed_to_minus_one_to_one() -> None:
    pixels = class_pixels(WHITE, (24, 20))
    assert pixels.shape == (3, 20, 24) and pixels.min() == pixels.max() == 1.0


@pytest.mark.parametrize("batch", ["N", 1])
def test_bright_pictures_are_better_to_this_classifier(tmp_path: Path, batch: int | str) -> None:
    path = tiny_classifier(tmp_path / "aesthetic.onnx", batch=batch)
    measure = anime_aesthetic_measure(path, picture="window", threads=1, batches=Batches(2))
    levels = (0, 128, 255)
    crops = [plain_crop(np.full((40, 30, 3), level, np.uint8)) for level in levels]
    crops.insert(1, plain_crop(WHITE, has_background=False))
    answers = measure(crops, ["anime_aesthetic"])["anime_aesthetic"]
    assert answers.pop(1).reason == NO_WINDOW
    plain = [_plain_expected(np.linspace(4, -4, 7) * (level / 127.5 - 1)) for level in levels]
    assert [answer.value for answer in answers] == pytest.approx(plain, abs=1e-4)


def test_nan_is_absent(tmp_path: Path) -> None:
    path = nan_classifier(tmp_path / "nan.onnx")
    measure = anime_aesthetic_measure(path, picture="window", threads=1, batches=Batches(2))
    (answer,) = measure([plain_crop(WHITE)], ["anime_aesthetic"])["anime_aesthetic"]
    assert answer.value is None and "no finite number" in answer.reason


def test_another_signature_is_named(tmp_path: Path) -> None:
    path = tiny_classifier(tmp_path / "five.onnx", classes=5)
    with pytest.raises(ModelError, match=r"five.onnx is no aesthetic classifier .*\[N,7\]"):
        anime_aesthetic_measure(path, picture="window", threads=1, batches=Batches(2))
    pose = tiny_simcc(tmp_path / "pose.onnx", POINTS, 0.9)
    with pytest.raises(ModelError, match=r"pose.onnx is no aesthetic classifier"):
        anime_aesthetic_measure(pose, picture="window", threads=1, batches=Batches(2))
    with pytest.raises(ModelError, match=r"five.onnx is no RTMPose network"):
        rtmpose_measure(path, picture="window", threads=1, batches=Batches(2))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no onnx")
    with pytest.raises(ModelError, match=r"broken.onnx"):
        rtmpose_measure(broken, picture="window", threads=1, batches=Batches(2))


# --- pose ------------------------------------------------------------------------------------------------------------


def test_simcc_is_decoded_to_the_place_of_the_maxima() -> None:
    across, down = np.zeros((1, 17, 384), np.float32), np.zeros((1, 17, 512), np.float32)
    for place, (x, y) in enumerate(POINTS.round()):
        across[0, place, int(2 * x)], down[0, place, int(2 * y)] = 0.9, 0.7
    points, sure = decode_simcc(across, down, (192, 256))
    np.testing.assert_allclose(points[0], POINTS.round())
    np.testing.assert_allclose(sure, 0.7, rtol=1e-6)


@pytest.mark.parametrize(("box", "size"), [((10, 20, 50, 110), (192, 256)), ((0, 0, 60, 12), (192, 256))])
def test_a_person_is_grown_by_a_quarter_and_fitted(box: tuple, size: tuple[int, int]) -> None:
    """mmpose's rule: the box times 1.25, grown to the input's shape around its middle."""
    pixels, matrix = person_pixels(WHITE, box, size)
    assert pixels.shape == (3, 256, 192)
    middle = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 1.0])
    np.testing.assert_allclose(matrix @ middle, [96, 128])
    wide, tall = 1.25 * (box[2] - box[0]), 1.25 * (box[3] - box[1])
    fitted = max(wide, tall * 192 / 256)
    edge = np.array([(box[0] + box[2]) / 2 - fitted / 2, middle[1], 1.0])
    np.testing.assert_allclose(matrix @ edge, [0, 128], atol=1e-9)


@pytest.mark.parametrize(("batch", "packed"), [("N", False), (1, True)])
def test_pose_confidence_is_the_mean_of_the_key_points(tmp_path: Path, batch: int | str, packed: bool) -> None:
    path = tiny_simcc(tmp_path / "pose.onnx", POINTS, 0.8, batch)
    if packed:
        with zipfile.ZipFile(tmp_path / "pose.zip", "w") as archive:
            archive.write(path, "20230504/rtmpose/end2end.onnx")
        path = tmp_path / "pose.zip"
    measure = rtmpose_measure(path, picture="window", threads=1, batches=Batches(2))
    hidden = plain_crop(WHITE, has_background=False)
    answers = measure([plain_crop(WHITE), hidden, plain_crop(0 * WHITE), plain_crop(WHITE)], ["pose_rtmpose"])
    told = answers["pose_rtmpose"]
    assert told[0].value == told[3].value == pytest.approx(0.8) and told[0].parts == (1.0,)
    assert told[1].reason == NO_WINDOW and told[2].value == 0.0


def test_a_zip_without_a_network_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pose.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(ModelError, match=r"pose.zip holds no readable ONNX file"):
        rtmpose_measure(tmp_path / "pose.zip", picture="window", threads=1, batches=Batches(2))


def test_key_points_of_the_detections() -> None:
    points = np.zeros((17, 3))
    points[:, 2] = np.linspace(0, 1, 17)
    answer = pose_of_table(plain_crop(WHITE, key_points=points))
    assert answer.value == pytest.approx(0.5) and answer.parts[0] == pytest.approx(12 / 17)
    assert "no key points" in pose_of_table(plain_crop(WHITE)).reason
