"""Segmenters that are asked by clicks: the protocol, the starter at several scales, Segment Anything's predictor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.models import ModelError
from lora_assets.scenes import draw_scene
from lora_assets.vision.click_sam import ClickedSam
from lora_assets.vision.click_walk import walk
from lora_assets.vision.prompted import Embedding, Prompted, PromptError, check_prompt, inside, open_prompted
from lora_assets_tests.vision.test_segment import _build_tiny

FRAME = Embedding(100, 80, 0, None)


@pytest.fixture(scope="module")
def starter(tmp_path_factory) -> Prompted:
    return open_prompted("starter-sam", tmp_path_factory.mktemp("clicks"))


@pytest.fixture(scope="module")
def scene():
    return draw_scene(960_010, 480, 270, looks="held_out")


def _iou(a, b) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def _largest_error(found, truth):
    """The middle of the largest wrong patch, and whether it is missing (1) or too much (0)."""
    import cv2

    reach = []
    for label, wrong in ((1, truth & ~found), (0, found & ~truth)):
        away = cv2.distanceTransform(np.pad(wrong, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
        y, x = np.unravel_index(int(away.argmax()), away.shape)
        reach.append((float(away.max()), (x + 0.5, y + 0.5), label))
    return max(reach)[1:]


@pytest.mark.parametrize(
    ("points", "labels", "box", "reason"),
    [
        ([], [], None, "nothing is asked"), ([[1, 1]], [0], None, "nothing is asked"), ([[1, 1]], [], None, "as many"),
        ([[np.nan, 1]], [1], None, "finite"), ([[1, 1]], [2], None, "labels"), ([[101, 1]], [1], None, "outside"),
        ([[1, -1]], [1], None, "outside"), ([["a", 1]], [1], None, "numbers"),
        ([[1, 1]] * 65, [1] * 65, None, "too many"),
        ([], [], [1, 1, 1, 9], "less than a pixel"), ([], [], [200, 0, 300, 9], "less than a pixel"),
        ([], [], [0, 0, np.inf, 9], "finite"), ([], [], [0, 0, 9], "four"),
    ],
)  # fmt: skip
def test_prompts_that_do_not_fit_are_told(points, labels, box, reason):
    with pytest.raises(PromptError, match=reason):
        check_prompt(points, labels, box, FRAME)


def test_a_box_is_clipped_to_the_frame():
    prompt = check_prompt([[3, 4]], [1], [-5, 2, 300, 40], FRAME)
    assert prompt.box is not None and prompt.box.tolist() == [0, 2, 100, 40]


def test_one_click_finds_what_stands_there_and_more_clicks_come_nearer(starter, scene):
    truth = max((one.mask for one in scene.characters), key=np.count_nonzero)
    embedding = starter.embed(scene.image)
    points, labels, carry, ious = [], [], None, []
    found = np.zeros_like(truth)
    for _ in range(5):
        point, label = _largest_error(found, truth)
        points.append(point)
        labels.append(label)
        told = starter.predict(embedding, points=points, labels=labels, mask_input=carry)
        assert told.masks.shape == (3, *truth.shape) and told.scores.shape == (3,)
        assert np.all(np.diff(told.scores) <= 0) and told.scores.min() >= 0 and told.scores.max() <= 1
        found, carry = told.masks[0], told.carry[0]
        ious.append(_iou(found, truth))
        for place, kind in zip(points, labels, strict=True):
            assert inside(found, place) == bool(kind), "the clicks hold"
    assert ious[-1] > 0.7 and ious[-1] >= ious[0]


def test_a_box_and_the_same_prompt_again_give_the_same(starter, scene):
    embedding = starter.embed(scene.image)
    one, other = (starter.predict(embedding, box=(60, 20, 300, 260)) for _ in range(2))
    np.testing.assert_array_equal(one.masks, other.masks)
    refined = starter.predict(embedding, box=(60, 20, 300, 260), points=[(180, 140)], labels=[1])
    assert inside(refined.masks[0], (180, 140))


@settings(max_examples=6, deadline=None)
@given(st.floats(0, 160), st.floats(0, 90), st.integers(0, 3))
def test_a_click_anywhere_has_three_answers_that_hold_it(starter, x, y, seed):
    """Also on nothing that the network knows: a patch of colour then."""
    image = np.random.default_rng(seed).integers(0, 255, (3, 4, 3), np.uint8).repeat(30, 0).repeat(40, 1)
    told = starter.predict(starter.embed(image), points=[(x, y)], labels=[1])
    assert told.masks.shape == (3, 90, 160)
    assert all(inside(mask, (x, y)) for mask in told.masks[:1])


def test_a_click_outside_the_window_reaches_there(starter, scene):
    embedding = starter.embed(scene.image)
    first = starter.predict(embedding, box=(20, 20, 80, 80))
    told = starter.predict(
        embedding, box=(20, 20, 80, 80), points=[(400, 200)], labels=[1], mask_input=first.carry[0]
    )  # fmt: skip
    assert inside(told.masks[0], (400, 200))


def test_segment_anything_answers_as_its_own_predictor():
    from segment_anything import SamPredictor

    sam = _build_tiny()
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    clicked, theirs = ClickedSam(sam, "tiny"), SamPredictor(sam)
    theirs.set_image(image)
    embedding = clicked.embed(image)
    prompt = {"points": [(30.0, 40.0)], "labels": [1]}
    masks, scores, logits = theirs.predict(np.array([[30.0, 40.0]]), np.array([1]))
    mine = clicked.predict(embedding, **prompt)
    order = np.argsort(-np.clip(scores, 0, 1), kind="stable")
    np.testing.assert_allclose(mine.scores, np.clip(scores[order], 0, 1), atol=1e-5)
    assert all(_iou(a, b) > 0.999 for a, b in zip(mine.masks, masks[order], strict=True))
    single, _, _ = theirs.predict(
        np.array([[30.0, 40.0]]), np.array([1]), np.array([10, 10, 90, 80]), np.asarray(logits)[order[0]][None], False
    )
    again = clicked.predict(embedding, **prompt, box=(10, 10, 90, 80), mask_input=mine.carry[0])
    assert _iou(again.masks[0], single[0]) > 0.999


def test_walks_stay_within_a_colour_and_clicks_always_hold():
    pixels = np.full((40, 40, 3), 230, np.uint8)
    pixels[:, 20:] = (20, 30, 200)
    belief = walk(pixels, np.full((40, 40), 0.4, np.float32), np.array([[30.0, 20.0]]), np.array([1]))
    assert (belief[:, 22:] > 0.5).all() and (belief[:, :18] < 0.5).all()
    sure = walk(pixels, np.ones((40, 40), np.float32), np.array([[5.0, 5.0], [30.0, 20.0]]), np.array([0, 1]))
    assert sure[5, 5] < 0.5 < sure[20, 30]


def test_weights_that_make_no_masks_are_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be asked by clicks"):
        open_prompted("starter-yolo", tmp_path)


def test_folding_the_norms_changes_nothing():
    torch = pytest.importorskip("torch")
    from lora_assets.vision.starter_layers import CHANNELS, LookNetwork
    from lora_assets.vision.starter_windows import without_norms

    torch.manual_seed(0)
    network = LookNetwork((8, 12, 16), (1, 2, 1)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(module.weight)
    folded = without_norms(network)
    looks = torch.randn(2, CHANNELS, 48, 48)
    with torch.inference_mode():
        for before, after in zip(network(looks), folded(looks), strict=True):
            assert torch.allclose(before, after, atol=1e-4, rtol=1e-4)
    norms = [type(module).__name__ for module in folded.modules()]
    assert norms.count("Identity") == 2 * 4 + 3 + 4 and "BatchNorm2d" not in norms
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
