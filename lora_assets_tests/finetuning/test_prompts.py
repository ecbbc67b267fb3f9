from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.finetuning.planes import counted, coverage
from lora_assets.finetuning.prompts import BOTH, BOX, POINT, corrections, first_prompts, inner_point, mask_box
from lora_assets.vision.prompted import UNWANTED, WANTED

SIZE = (50, 40)


@st.composite
def masks(draw):
    x, y = draw(st.integers(0, 45)), draw(st.integers(0, 35))
    wide, high = draw(st.integers(1, 50 - x)), draw(st.integers(1, 40 - y))
    mask = np.zeros((40, 50), bool)
    mask[y : y + high, x : x + wide] = True
    return mask


@given(masks(), st.integers(0, 10_000), st.sampled_from([0.0, 0.05, 0.4]))
@settings(max_examples=60, deadline=None)
def test_first_prompts_lie_on_the_page_and_points_inside(mask, seed, jitter):
    for kind in (BOX, POINT, BOTH):
        prompts = first_prompts(np.random.default_rng(seed), [mask, mask], SIZE, kind, jitter)
        assert len(prompts) == 2
        assert (prompts.boxes is None) == (kind == POINT)
        if prompts.boxes is not None:
            assert (prompts.boxes[:, 2:] > prompts.boxes[:, :2]).all()
            assert prompts.boxes.min() >= 0
            assert (prompts.boxes[:, 2:] <= SIZE).all()
        assert prompts.points.shape[1] == (0 if kind == BOX else 1)
        for (x, y), label in zip(prompts.points.reshape(-1, 2), prompts.labels.reshape(-1), strict=True):
            assert mask[int(y), int(x)]
            assert label == WANTED


@given(masks(), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_without_jitter_the_box_is_the_masks_and_the_same_seed_gives_the_same(mask, seed):
    rng = np.random.default_rng(seed)
    prompts = first_prompts(rng, [mask], SIZE, BOX, 0.0)
    assert prompts.boxes is not None
    assert prompts.boxes[0].tolist() == mask_box(mask).tolist()
    points = [inner_point(np.random.default_rng(seed), mask).tolist() for _ in range(2)]
    assert points[0] == points[1]


@given(masks(), masks(), st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_corrections_click_on_what_is_wrong(found, wanted, seed):
    windows = np.array([[0.0, 0.0, *SIZE]])
    inside = np.ones((1, 40, 50), bool)
    (point,), (label,) = corrections(np.random.default_rng(seed), found[None], wanted[None], inside, windows, [wanted])
    place = int(point[1]), int(point[0])
    if (found != wanted).any():
        assert found[place] != wanted[place]
        assert label == (WANTED if wanted[place] else UNWANTED)
    else:
        assert wanted[place]
        assert label == WANTED


def test_nothing_wanted_and_nothing_found_still_gives_a_click_on_the_page():
    nothing = np.zeros((1, 8, 8), bool)
    points, labels = corrections(
        np.random.default_rng(0),
        nothing,
        nothing,
        nothing,
        np.array([[-100.0, -100.0, 900.0, 900.0]]),
        [np.zeros((40, 50), bool)],
    )
    assert (points <= np.array(SIZE)).all()
    assert labels.tolist() == [WANTED]


@given(st.integers(0, 38), st.integers(0, 48), st.booleans(), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_click_on_a_thing_smaller_than_a_cell_is_on_it_and_one_on_too_much_beside_it(row, column, empty, seed):
    mask = np.zeros((40, 50), bool)
    mask[row : row + 2, column : column + 2] = True
    windows = np.array([[0.0, 0.0, *SIZE]])
    wanted = counted(coverage(mask, windows[0], (5, 5))[None])
    assert wanted.any()
    found = np.zeros_like(wanted) if empty else np.ones_like(wanted)
    inside = np.ones_like(wanted)
    (point,), (label,) = corrections(np.random.default_rng(seed), found, wanted, inside, windows, [mask])
    assert mask[int(point[1]), int(point[0])] == empty
    assert label == (WANTED if empty else UNWANTED)


def test_a_thing_whose_cells_are_off_the_plane_is_still_clicked_on():
    mask = np.zeros((40, 50), bool)
    mask[30:33, 40:44] = True
    nothing = np.zeros((1, 8, 8), bool)
    windows = np.array([[0.0, 0.0, 16.0, 16.0]])
    points, labels = corrections(np.random.default_rng(0), nothing, nothing, ~nothing, windows, [mask])
    assert mask[int(points[0, 1]), int(points[0, 0])]
    assert labels.tolist() == [WANTED]
