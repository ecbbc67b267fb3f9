"""Tests of the mask critic: what it says of good and of damaged masks, its looks, and odd input."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.models import ModelError, resolve
from lora_assets.recipes import CHECKERS
from lora_assets.scenes import draw_scene
from lora_assets.scenes.truth import CharacterTruth
from lora_assets.starter import STARTER_CARD, STARTER_CRITIC
from lora_assets.starter.card import check_file, read_card
from lora_assets.tables import Detection
from lora_assets.vision import checking_maps
from lora_assets.vision.critic_look import CHANNELS, LOOK_SIDE, look_around, paint
from lora_assets.vision.cutout import CutOut, make_cutout, make_subject
from lora_assets.vision.detect import DetectSettings, load_detector
from lora_assets.vision.mask_critic import criticise, doubts
from lora_assets.vision.masks import BoolMask
from lora_assets.vision.score import ScoreSettings, score_cutout
from lora_assets.vision.segment import SegmentSettings, load_segmenter
from lora_assets.vision.yolo_onnx import open_session
from lora_assets_tests.vision.drawn import detection_row, mask_row

SEEDS = (12_700_001, 12_700_004, 12_700_007, 12_700_013)


@pytest.fixture(scope="module")
def people() -> list[tuple[np.ndarray, CharacterTruth]]:
    """One character each, of looks that the critic was trained on, in frames that it was not."""
    scenes = [draw_scene(seed, 480, 360, characters=1, effects=False, looks="training") for seed in SEEDS]
    return [(scene.image, scene.characters[0]) for scene in scenes]


def cut_of(image: np.ndarray, mask: BoolMask, box: tuple[float, float, float, float]) -> CutOut:
    detection: Detection = detection_row(box)
    return make_cutout(image, make_subject(image, mask_row(mask), detection), (), ())


def test_the_file_of_the_package_is_the_one_of_its_card():
    entry = read_card(STARTER_CARD)[STARTER_CRITIC.name]
    check_file(STARTER_CRITIC, entry)
    assert entry.bytes < 3_000_000 and entry.seconds_trained > 0
    assert entry.architecture["look_side"] == LOOK_SIDE and entry.architecture["channels"] == CHANNELS


def test_it_sees_background_gaps_and_cuts(people: list[tuple[np.ndarray, CharacterTruth]]):
    told = []
    for image, truth in people:
        mask, (x1, y1, _, y2) = truth.mask, truth.box
        disc = np.zeros(mask.shape, np.uint8)
        cv2.circle(disc, (int(x1), int(y1 + y2) // 2), int(0.2 * (y2 - y1)), 1, -1)
        inner = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
        pierced = mask.astype(np.uint8)
        row, column = np.unravel_index(int(inner.argmax()), inner.shape)
        cv2.circle(pierced, (int(column), int(row)), int(0.8 * inner.max()), 0, -1)
        short = mask.copy()
        short[int(0.4 * y1 + 0.6 * y2) :] = False
        each = [doubts(cut_of(image, one, truth.box)) for one in (mask, mask | (disc > 0), pierced > 0, short)]
        told.append([one for one in each if one is not None])
    good, wide, holed, cut = (list(column) for column in zip(*told, strict=True))
    assert np.median([one.too_much for one in good]) < 0.05 < np.median([one.too_much for one in wide])
    assert np.median([one.in_gaps for one in good]) < 0.01 < np.median([one.in_gaps for one in holed])
    assert np.median([one.beyond for one in good]) < 0.05 < np.median([one.beyond for one in cut])


@pytest.mark.parametrize("name", CHECKERS)
def test_the_networks_of_the_checks_find_no_boxes_and_make_no_masks(tmp_path: Path, name: str):
    weights = resolve(name, tmp_path)
    assert weights.task == "check"
    with pytest.raises(ModelError, match=f"{name} .* finds no boxes"):
        load_detector(weights, DetectSettings())
    with pytest.raises(ModelError, match=f"{name} .* makes no masks"):
        load_segmenter(weights, SegmentSettings())


def test_threads_share_one_session(monkeypatch: pytest.MonkeyPatch):
    image, mask = np.full((60, 80, 3), 90, np.uint8), np.zeros((60, 80), np.bool_)
    mask[20:40, 30:50] = True
    opened = []
    monkeypatch.setattr(checking_maps, "open_session", lambda path: opened.append(path) or open_session(path))
    checking_maps._opened.cache_clear()
    cuts = [cut_of(image, mask, (30.0, 20.0, 50.0, 40.0)) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        told = set(pool.map(doubts, cuts))
    assert len(told) == 1 and opened == [STARTER_CRITIC]


def test_it_answers_the_same_again(people: list[tuple[np.ndarray, CharacterTruth]]):
    image, truth = people[0]
    first, second = (criticise(cut_of(image, truth.mask, truth.box)) for _ in range(2))
    assert first is not None and second is not None
    assert np.array_equal(first.too_much, second.too_much) and np.array_equal(first.missing, second.missing)
    assert first.too_much.shape == first.held.shape == (LOOK_SIDE // 2, LOOK_SIDE // 2)


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (90, 120), (400, 2)], ids=str)
@pytest.mark.parametrize(
    "box", [(0, 0, 0, 0), (-900.0, -900.0, -800.0, -700.0), (5e6, 5e6, 6e6, 7e6), (50, 40, 10, 5), (np.nan,) * 4],
    ids=["empty", "outside", "far", "inside out", "nan"],
)  # fmt: skip
def test_odd_masks_and_boxes_are_told_something_and_nothing_is_raised(shape, box):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    one = np.zeros(shape, np.bool_)
    one[-1, -1] = True
    for mask in (one, np.ones(shape, np.bool_)):
        told = doubts(cut_of(image, mask, box))
        assert told is not None
        assert all(0.0 <= value <= 1.0 for value in dataclasses.astuple(told))
        if np.isfinite(box).all():
            assert np.isfinite(score_cutout(cut_of(image, mask, box), ScoreSettings()).score)
    assert doubts(cut_of(image, np.zeros(shape, np.bool_), box)) is None


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(0, 300), st.integers(0, 200), st.integers(1, 300), st.integers(1, 200)),
    st.tuples(*[st.floats(-500, 900)] * 4),
)
def test_a_look_holds_the_whole_mask(bounds, box):
    width, height = 600, 400
    look = look_around(bounds, box, width, height)
    x, y, wide, tall = look.part(width, height)
    assert x <= bounds[0] and y <= bounds[1]
    assert x + wide >= bounds[0] + bounds[2] and y + tall >= bounds[1] + bounds[3]
    assert look.side <= 1 + (1 + 2 * 0.6) * 1.4 * max(32, *bounds[2:])
    mask = np.zeros((height, width), np.bool_)
    mask[bounds[1] : bounds[1] + bounds[3], bounds[0] : bounds[0] + bounds[2]] = True
    part = mask[y : y + tall, x : x + wide]
    canvas = paint(look, (width, height), np.zeros((tall, wide, 3), np.uint8), part, ~part, box)
    layers = canvas.layers()
    assert layers.shape == (CHANNELS, LOOK_SIDE, LOOK_SIDE) and layers.dtype == np.float32
    assert np.isfinite(layers).all()
    area = bounds[2] * bounds[3]
    if min(bounds[2:]) * look.scale > 8:
        assert canvas.mask.sum() / look.scale**2 == pytest.approx(area, rel=0.15)
    assert (canvas.mask + canvas.others <= canvas.inside + 1e-2).all()
