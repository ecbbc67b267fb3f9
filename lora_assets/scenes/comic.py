"""Drawn comic pages with truth: panels, bubbles, characters and text, each with its mask and box.

The page is put together here; layouts are in comic_layout.py, panels in comic_panel.py, bubbles in comic_bubbles.py,
lettering in comic_lettering.py, stories in comic_scripts.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lora_assets.scenes.scene import LARGEST_SEED, check_name
from lora_assets.scenes.truth import Box, mask_bounds

PANEL, BUBBLE, CHARACTER, TEXT = "panel", "bubble", "character", "text"
COMIC_CATEGORIES = (PANEL, BUBBLE, CHARACTER, TEXT)
LEAST_PAGE = 240
MOST_PIXELS = 40_000_000
LAYOUT_CHOICES = ("training", "held_out", "all")


@dataclass(frozen=True, slots=True)
class ComicInstance:
    """One thing on a page.

    `mask` is bool HxW of the page, `bbox` its xyxy bounds (exclusive ends). A panel's mask is its whole area, with what
    lies over it, but without panels that lie over it; a bubble's holds body, tail and text; a character's what is seen
    of it under bubbles and sounds, inside its panel; a text's the region of its letters with small gaps closed.
    `parent` is the place in the page's instances of the panel or bubble that holds it, None for a panel. `words` are
    those of a text.
    """

    category: str
    mask: np.ndarray
    bbox: Box
    parent: int | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class ComicPage:
    """A drawn page (uint8 RGB HxWx3) and its truth: panels in the order of reading, then all others."""

    image: np.ndarray
    instances: tuple[ComicInstance, ...]
    seed: int
    layout: str
    direction: str
    style: str

    def of(self, category: str) -> list[ComicInstance]:
        """The instances of a category."""
        return [instance for instance in self.instances if instance.category == category]


def draw_comic_page(
    seed: int, width: int = 720, height: int = 1024, *, layouts: str = "training", style: str | None = None,
    direction: str | None = None, language: str | None = None,
) -> ComicPage:  # fmt: skip
    """Draw a random comic page with its truth; the same arguments give the same page, byte for byte.

    `layouts` is "training", "held_out" (families of layouts, hair, outfits and palettes that training pages never
    have), "all", or the name of one family (comic_layout.LAYOUTS, HELD_OUT_LAYOUTS); `style` names a key of
    comic_page.STYLES, `direction` is "ltr" or "rtl", `language` "en" or "ja"; None draws one at random. Raises
    ValueError for any other value, a seed outside 0..2**31-1, a side below 240 pixels or more than 40 megapixels.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed is {seed}, but it must lie in 0..{LARGEST_SEED}; use seed % {LARGEST_SEED + 1}")
    if min(width, height) < LEAST_PAGE or width * height > MOST_PIXELS:
        raise ValueError(
            f"the page is {width} x {height}, but both sides must be at least {LEAST_PAGE} pixels and the whole at "
            f"most {MOST_PIXELS // 10**6} megapixels"
        )
    from lora_assets.scenes.comic_layout import HELD_OUT_LAYOUTS, LAYOUTS, LEFT_TO_RIGHT, RIGHT_TO_LEFT
    from lora_assets.scenes.comic_page import STYLES, compose_page

    families = [*LAYOUTS, *HELD_OUT_LAYOUTS]
    check_name("layouts", layouts, (*LAYOUT_CHOICES, *families))
    for argument, value, known in (
        ("style", style, tuple(STYLES)),
        ("direction", direction, (LEFT_TO_RIGHT, RIGHT_TO_LEFT)),
        ("language", language, ("en", "ja")),
    ):
        if value is not None:
            check_name(argument, value, known)
    asked = [
        [*LAYOUT_CHOICES, *families].index(layouts),
        0 if style is None else 1 + list(STYLES).index(style),
        0 if direction is None else 1 + int(direction == RIGHT_TO_LEFT),
        0 if language is None else 1 + int(language == "ja"),
    ]
    rng = np.random.default_rng([seed, width, height, *asked, 4_219])
    return compose_page(rng, seed, width, height, layouts, style, direction, language)


def instance(category: str, mask: np.ndarray, parent: int | None = None, words: str = "") -> ComicInstance | None:
    """An instance of a mask; None when nothing of it is left."""
    bounds = mask_bounds(mask)
    return None if bounds is None else ComicInstance(category, mask, bounds, parent, words)
