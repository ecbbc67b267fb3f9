"""Named drawing styles: how each draws an ink at random, and which whole-image print it wants (tone.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lora_assets.scenes.ink import Ink, Point, Rgb

LINE_RGBS: tuple[Rgb | None, ...] = (None, None, (26, 20, 26), (70, 40, 40), (40, 44, 80))


@dataclass(frozen=True, slots=True)
class Style:
    """One style: a draw of its ink, how often random scenes use it, and its finish (a key of tone.FINISHES or "")."""

    draw: Callable[[np.random.Generator], Ink]
    share: float
    finish: str = ""


def ink_of(style: str, rng: np.random.Generator) -> Ink:
    """An ink of a named style. Raises ValueError for a name that is not in STYLES."""
    return _style(style).draw(rng)


def finish_of(style: str) -> str:
    """The whole-image print that a style wants, "" for none. Raises ValueError for a name that is not in STYLES."""
    return _style(style).finish


def draw_style(rng: np.random.Generator) -> str:
    """A random style by the shares of STYLES."""
    shares = np.array([style.share for style in STYLES.values()])
    return str(rng.choice(list(STYLES), p=shares / shares.sum()))


def _style(name: str) -> Style:
    if name not in STYLES:
        raise ValueError(f"style is {name!r}, but it must be one of {', '.join(STYLES)}")
    return STYLES[name]


def _light(rng: np.random.Generator) -> Point:
    return (float(rng.choice([-1, 1]) * rng.uniform(0.02, 0.09)), float(rng.uniform(-0.09, -0.02)))


def _line_rgb(rng: np.random.Generator) -> Rgb | None:
    return LINE_RGBS[int(rng.integers(len(LINE_RGBS)))]


def _cel(rng: np.random.Generator) -> Ink:
    width = rng.uniform(0.006, 0.014) if rng.random() < 0.55 else rng.uniform(0.014, 0.028)
    return Ink(float(width), _line_rgb(rng), float(rng.uniform(0.2, 0.5)), float(rng.uniform(0.62, 0.9)), _light(rng))


def _film(rng: np.random.Generator) -> Ink:
    return Ink(
        float(rng.uniform(0.005, 0.011)), (34, 24, 30) if rng.random() < 0.5 else None, float(rng.uniform(0.2, 0.4)),
        float(rng.uniform(0.66, 0.84)), _light(rng), second=float(rng.uniform(0.7, 0.86)),
        rim_light=float(rng.uniform(0.15, 0.55)) if rng.random() < 0.7 else 0.0,
    )  # fmt: skip


def _soft(rng: np.random.Generator) -> Ink:
    return Ink(
        float(rng.uniform(0.004, 0.014)), None, float(rng.uniform(0.35, 0.6)), float(rng.uniform(0.55, 0.8)),
        (_light(rng)[0] * 1.5, -0.1), soft=True, rim_light=float(rng.uniform(0.0, 0.35)),
    )  # fmt: skip


def _painted(rng: np.random.Generator) -> Ink:
    return Ink(
        0.0, None, 0.5, float(rng.uniform(0.5, 0.75)), (_light(rng)[0] * 1.6, -0.12), soft=True,
        second=float(rng.uniform(0.75, 0.9)), rim_light=float(rng.uniform(0.1, 0.4)),
    )  # fmt: skip


def _vector(rng: np.random.Generator) -> Ink:
    return Ink(0.0, None, float(rng.uniform(0.3, 0.5)), 1.0 if rng.random() < 0.6 else float(rng.uniform(0.8, 0.9)))


def _bold(rng: np.random.Generator) -> Ink:
    shadow = 1.0 if rng.random() < 0.4 else float(rng.uniform(0.7, 0.9))
    return Ink(float(rng.uniform(0.028, 0.05)), (22, 18, 24), 0.2, shadow, _light(rng))


def _pen(rng: np.random.Generator) -> Ink:
    return Ink(
        float(rng.uniform(0.007, 0.014)), _line_rgb(rng), float(rng.uniform(0.15, 0.35)), float(rng.uniform(0.7, 1.0)),
        _light(rng), weight=float(rng.uniform(0.5, 1.0)),
    )  # fmt: skip


def _sketch(rng: np.random.Generator) -> Ink:
    return Ink(
        float(rng.uniform(0.01, 0.018)), (48, 42, 48) if rng.random() < 0.6 else None, 0.3,
        1.0 if rng.random() < 0.4 else float(rng.uniform(0.75, 0.9)), _light(rng),
        wobble=float(rng.uniform(0.006, 0.014)),
    )  # fmt: skip


def _coloured(rng: np.random.Generator) -> Ink:
    rgb = tuple(int(value) for value in rng.integers(20, 150, 3))
    return Ink(
        float(rng.uniform(0.008, 0.02)), (rgb[0], rgb[1], rgb[2]), 0.3, float(rng.uniform(0.7, 0.9)), _light(rng)
    )


def _line_art(rng: np.random.Generator) -> Ink:
    return Ink(
        float(rng.uniform(0.008, 0.02)), (30, 28, 34) if rng.random() < 0.7 else (60, 70, 130), 0.2, 1.0, paper=True,
        weight=float(rng.choice([0.0, 0.7])), wobble=float(rng.choice([0.0, 0.0, 0.008])),
    )  # fmt: skip


def _comic(rng: np.random.Generator) -> Ink:
    return Ink(
        float(rng.uniform(0.01, 0.022)), (16, 16, 18), 0.15, float(rng.uniform(0.55, 0.75)), _light(rng),
        weight=float(rng.choice([0.0, 0.6])),
    )  # fmt: skip


STYLES: dict[str, Style] = {
    "cel": Style(_cel, 0.33),
    "film": Style(_film, 0.22),
    "soft": Style(_soft, 0.08),
    "painted": Style(_painted, 0.03),
    "vector": Style(_vector, 0.06),
    "bold": Style(_bold, 0.04),
    "pen": Style(_pen, 0.07),
    "sketch": Style(_sketch, 0.04),
    "coloured": Style(_coloured, 0.04),
    "line_art": Style(_line_art, 0.03),
    "grey": Style(_cel, 0.02, "grey"),
    "old_film": Style(_film, 0.01, "sepia"),
    "screentone": Style(_comic, 0.03, "screentone"),
}
