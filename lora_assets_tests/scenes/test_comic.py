from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.scenes.comic import BUBBLE, CHARACTER, COMIC_CATEGORIES, PANEL, TEXT, ComicPage, draw_comic_page
from lora_assets.scenes.comic_bubbles import KINDS, body_half, draw_bubble, make_bubble
from lora_assets.scenes.comic_layout import HELD_OUT_LAYOUTS, LAYOUTS, clip_half, draw_layout
from lora_assets.scenes.comic_lettering import HANDS, block_region, can_letter, set_columns, set_latin, set_rows
from lora_assets.scenes.comic_page import STYLES
from lora_assets.scenes.comic_scripts import LATER, SCRIPTS, SOUNDS
from lora_assets.scenes.ink import raster
from lora_assets.scenes.props import PROPS
from lora_assets.scenes.truth import mask_bounds

SIZE = (300, 420)


@pytest.fixture(scope="module")
def pages() -> list[ComicPage]:
    """A page of every style and of every layout."""
    by_style = [draw_comic_page(seed, *SIZE, style=style) for seed, style in enumerate(STYLES)]
    families = enumerate([*LAYOUTS, *HELD_OUT_LAYOUTS], start=50)
    return [*by_style, *(draw_comic_page(seed, *SIZE, layouts=name) for seed, name in families)]


def test_masks_lie_inside_the_page_and_boxes_around_them(pages):
    for page in pages:
        assert page.image.shape == (SIZE[1], SIZE[0], 3) and page.image.dtype == np.uint8
        assert {one.category for one in page.instances} <= set(COMIC_CATEGORIES)
        for one in page.instances:
            assert one.mask.shape == (SIZE[1], SIZE[0]) and one.mask.dtype == bool
            assert one.bbox == mask_bounds(one.mask)
        assert any(page.of(PANEL))


def test_panels_are_disjoint(pages):
    for page in pages:
        assert np.sum([panel.mask for panel in page.of(PANEL)], axis=0).max() == 1


def test_text_of_bubbles_lies_inside_them_and_bubbles_do_not_share_pixels(pages):
    held = 0
    for page in pages:
        bubbles = page.of(BUBBLE)
        if bubbles:
            assert np.sum([bubble.mask for bubble in bubbles], axis=0).max() == 1
        for text in page.of(TEXT):
            assert text.words
            parent = None if text.parent is None else page.instances[text.parent]
            if parent is not None and parent.category == BUBBLE:
                assert not (text.mask & ~parent.mask).any()
                assert np.count_nonzero(text.mask) < 0.9 * np.count_nonzero(parent.mask)
                held += 1
            else:
                assert not any((text.mask & bubble.mask).any() for bubble in bubbles)
    assert held > 20


def test_characters_lie_in_their_panels_and_under_bubbles(pages):
    found = 0
    for page in pages:
        bubbles = page.of(BUBBLE)
        for character in page.of(CHARACTER):
            panel = page.instances[character.parent] if character.parent is not None else None
            assert panel is not None and panel.category == PANEL
            assert not (character.mask & ~panel.mask).any()
            assert not any((character.mask & bubble.mask).any() for bubble in bubbles)
            found += 1
    assert found > 20


def test_letters_are_darker_or_lighter_than_the_bubble_around_them(pages):
    """The truth is where the ink is: the region of a text has far more contrast than the bubble without it."""
    for page in pages:
        grey = page.image.astype(float).mean(axis=2)
        for text in page.of(TEXT):
            parent = page.instances[text.parent] if text.parent is not None else None
            if parent is None or parent.category != BUBBLE or np.count_nonzero(text.mask) < 60:
                continue
            assert grey[text.mask].std() > 25, text.words


@pytest.mark.parametrize("arguments", [{}, {"layouts": "held_out"}, {"language": "ja", "direction": "ltr"}])
def test_the_same_arguments_give_the_same_page(arguments):
    first, second = (draw_comic_page(5, 260, 340, **arguments) for _ in range(2))
    assert (first.image == second.image).all()
    assert [(one.category, one.bbox, one.words) for one in first.instances] == [
        (one.category, one.bbox, one.words) for one in second.instances
    ]
    assert not (first.image == draw_comic_page(6, 260, 340, **arguments).image).all()


def test_training_pages_and_held_out_pages_share_no_layout():
    assert not set(LAYOUTS) & set(HELD_OUT_LAYOUTS)
    assert {draw_comic_page(seed, 240, 240).layout for seed in range(4)} <= set(LAYOUTS)
    assert {draw_comic_page(seed, 240, 240, layouts="held_out").layout for seed in range(4)} <= set(HELD_OUT_LAYOUTS)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31 - 1), st.integers(240, 1400), st.integers(240, 1400),
    st.sampled_from([*LAYOUTS, *HELD_OUT_LAYOUTS]), st.sampled_from(["ltr", "rtl"]),
)  # fmt: skip
def test_layouts_stay_on_the_page_whatever_its_shape(seed, width, height, name, direction):
    layout = draw_layout(np.random.default_rng(seed), width, height, name, direction)
    assert layout.panels and not layout.panels[0].inset
    for panel in layout.panels:
        x0, y0, x1, y1 = panel.bounds
        assert len(panel.corners) >= 3
        assert -0.5 <= x0 < x1 <= width + 0.5 and -0.5 <= y0 < y1 <= height + 0.5


def test_panels_are_read_from_the_side_that_the_direction_says():
    for seed in range(12):
        panels = draw_layout(np.random.default_rng(seed), 600, 800, "grid", "ltr").panels
        mirrored = draw_layout(np.random.default_rng(seed), 600, 800, "grid", "rtl").panels
        assert panels[0].bounds[0] < panels[1].bounds[0] or panels[0].bounds[1] < panels[1].bounds[1] - 40
        assert mirrored[0].bounds[0] >= panels[0].bounds[0]


def test_a_half_plane_keeps_its_side():
    square = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
    left = clip_half(square, (4.0, 0.0), (-1.0, 0.0))
    assert sorted(left) == [(0.0, 0.0), (0.0, 10.0), (4.0, 0.0), (4.0, 10.0)]
    assert clip_half(square, (-1.0, 0.0), (-1.0, 0.0)) == ()


def test_everything_that_is_said_can_be_lettered():
    told = [text for script in SCRIPTS
            for text in (*script.english, *script.japanese, *script.narration, *script.sounds)]  # fmt: skip
    told += [text for pair in (*SOUNDS, *LATER) for text in pair]
    assert [text for text in told if not can_letter(text)] == []
    assert {script.prop for script in SCRIPTS} <= set(PROPS)
    assert not can_letter("馬")


@pytest.mark.parametrize("hand", list(HANDS))
def test_a_block_tells_where_its_letters_are(hand):
    rng = np.random.default_rng(3)
    blocks = (
        set_latin("who ate my cake?!", 20, HANDS[hand], rng, 9),
        set_rows("ケーキがない！", 24, HANDS[hand], rng, 5),
        set_columns("だれがたべたの？", 24, HANDS[hand], rng, 4),
    )
    for block in blocks:
        inked, region = block_region(block, (150, 120), 300, 240)
        assert inked.any() and not (inked & ~region).any()
        x0, y0, x1, y1 = mask_bounds(region) or (0, 0, 0, 0)
        assert 150 - block.half[0] - 3 <= x0 and x1 <= 150 + block.half[0] + 3
        assert 120 - block.half[1] - 3 <= y0 and y1 <= 120 + block.half[1] + 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seed": -1}, "seed"),
        ({"seed": 1, "width": 100}, "240"),
        ({"seed": 1, "layouts": "round"}, "layouts"),
        ({"seed": 1, "style": "oil"}, "style"),
        ({"seed": 1, "direction": "up"}, "direction"),
        ({"seed": 1, "language": "fr"}, "language"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        draw_comic_page(**arguments)


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_holds_its_text(kind):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        block = (
            set_latin("you have cream on your nose!", 13, HANDS["bold"], rng, int(rng.integers(6, 20)))
            if seed % 2
            else set_columns("はなにクリームついてる！", 17, HANDS["italic"], rng, int(rng.integers(3, 9)))
        )
        half = body_half(kind, block.half, 5.0)
        bubble = make_bubble(rng, kind, (200, 200), half, 2.0, (380, 390), (255, 255, 255))
        pixels, surface = raster(400, 400)
        draw_bubble(surface.getCanvas(), bubble)
        _, region = block_region(block, (200, 200), 400, 400)
        assert not (region & (pixels[:, :, 3] < 128)).any()
        assert (pixels[:, :, 3] > 127)[200:, 200:].sum() > (pixels[:, :, 3] > 127)[:200, :200].sum() or kind == "box"
