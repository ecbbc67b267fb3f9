"""How the panels of a comic page are set off: their borders, what lies between them, and pictures like paintings.

Where panels lie is in comic_layout.py; what is drawn in them in comic_panel.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import skia

from lora_assets.scenes.brush import polygon, some_tone
from lora_assets.scenes.comic_layout import Polygon
from lora_assets.scenes.ink import Rgb, colour

LINE, THICK, THIN, DOUBLE, ROUGH, ROUNDED, NONE = "line", "thick", "thin", "double", "rough", "rounded", "none"
KINDS = {LINE: 0.52, THICK: 0.12, THIN: 0.11, DOUBLE: 0.05, ROUGH: 0.07, ROUNDED: 0.07, NONE: 0.06}
"""Kinds of borders of a page with the share of pages that have them."""
WIDTHS = {
    LINE: (0.003, 0.0065), THICK: (0.0065, 0.014), THIN: (0.0012, 0.003), DOUBLE: (0.007, 0.012),
    ROUGH: (0.003, 0.007), ROUNDED: (0.003, 0.008), NONE: (0.003, 0.0065),
}  # fmt: skip
"""Widths of borders by kind, as shares of the page's short side; of NONE the pen's, which draws bubbles."""
PAPERS: tuple[Rgb, ...] = ((255, 255, 255), (255, 255, 255), (252, 250, 244), (244, 240, 228))
DARK: Rgb = (10, 10, 12)
LIGHT: Rgb = (240, 240, 240)


@dataclass(frozen=True, slots=True)
class Frame:
    """The borders of a page: their kind, width in pixels and colour, the colour of the gutters, and of rounded corners
    the radius in pixels. `seed` makes rough lines the same again."""

    kind: str
    width: float
    ink: Rgb
    gutter: Rgb
    radius: float
    seed: int

    def outline(self, corners: Polygon) -> skia.Path:
        """The path of a panel's picture."""
        path = polygon(corners)
        return _bent(path, skia.CornerPathEffect.Make(self.radius)) if self.kind == ROUNDED else path

    def draw(self, canvas: skia.Canvas, corners: Polygon) -> None:
        """Draw the border around a panel."""
        path, width = self.outline(corners), self.width
        if self.kind == ROUGH:
            # Short pieces: the corners between them are lost.
            path = _bent(path, skia.DiscretePathEffect.Make(3 * width, 0.35 * width, self.seed))
        canvas.drawPath(path, _pen(self.ink, width))
        if self.kind == DOUBLE:
            canvas.drawPath(path, _pen(self.gutter, width * 0.4))


def _pen(ink: Rgb, width: float) -> skia.Paint:
    return skia.Paint(
        AntiAlias=True, Color=colour(ink), Style=skia.Paint.kStroke_Style, StrokeWidth=width,
        StrokeJoin=skia.Paint.kMiter_Join,
    )  # fmt: skip


def _bent(path: skia.Path, effect: skia.PathEffect) -> skia.Path:
    bent = skia.Path()
    skia.Paint(PathEffect=effect).getFillPath(path, bent)
    return bent


def draw_frame(rng: np.random.Generator, width: int, height: int, *, coloured: bool, paper_prints: bool) -> Frame:
    """Random borders for a page. Where a print leaves light areas paper (`paper_prints`) there are always borders:
    without any, nobody could tell where a panel ends."""
    shares = {kind: share for kind, share in KINDS.items() if kind != NONE or not paper_prints}
    weights = np.array(list(shares.values()))
    kind = str(rng.choice(list(shares), p=weights / weights.sum()))
    short = min(width, height)
    line = max(1.0, short * float(rng.uniform(*WIDTHS[kind])))
    chance = float(rng.random())
    gutter = PAPERS[int(rng.integers(len(PAPERS)))]
    if chance < 0.1:
        gutter = DARK
    elif chance < 0.2:
        level = int(rng.integers(120, 246))
        gutter = some_tone(rng, 90, 246) if coloured else (level, level, level)
    ink = LIGHT if gutter == DARK else DARK
    if coloured and gutter != DARK and rng.random() < 0.12:
        ink = some_tone(rng, 10, 100)
    return Frame(kind, line, ink, gutter, short * float(rng.uniform(0.012, 0.04)), int(rng.integers(1 << 30)))


def clouds(rng: np.random.Generator, width: int, height: int, finest: int = 6) -> np.ndarray:
    """Smooth noise of many scales (float32 HxW, 0 to 1), coarse ones strongest, as light in photographs falls."""
    field = np.zeros((height, width), np.float32)
    weight, cells = 1.0, 2
    while cells <= max(2, max(width, height) // finest):
        small = rng.random((cells, cells), np.float32)
        field += weight * np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))
        weight, cells = weight * 0.62, cells * 2
    low, high = float(field.min()), float(field.max())
    return (field - low) / max(1e-6, high - low)


def as_photograph(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture (uint8 RGB) with uneven light, soft lines, a dark rim and grain, as photographs in panels have."""
    height, width = image.shape[:2]
    rows, columns = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    rim = 1 - float(rng.uniform(0.0, 0.35)) * np.clip(rows**2 + columns**2, 0, 1.6)
    light = (0.55 + 0.8 * clouds(rng, width, height)) * rim
    soft = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.6, 1.6)))
    grain = rng.normal(0, float(rng.uniform(3, 9)), (height, width))
    return np.clip(soft * light[..., None] + grain[..., None], 0, 255).astype(np.uint8)


def as_painting(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture (uint8 RGB) in flat dabs of a broad brush, uneven in tone, whose lines are gone."""
    height, width = image.shape[:2]
    size = max(3, round(min(width, height) * float(rng.uniform(0.015, 0.035)))) | 1
    dabs = np.asarray(cv2.medianBlur(np.ascontiguousarray(image), min(size, 15)))
    streaks = cv2.resize(rng.random((max(2, height // 3), max(2, width // 22)), np.float32), (width, height))
    shade = 0.72 + 0.3 * clouds(rng, width, height) + 0.22 * (np.asarray(streaks) - 0.5)
    return np.clip(dabs * shade[..., None], 0, 255).astype(np.uint8)


SURFACES = (as_photograph, as_painting)
