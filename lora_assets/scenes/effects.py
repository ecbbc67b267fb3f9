"""Effects over a finished picture, as data: what can be done to a frame, how often, and what was done to this one.

Everything here leaves the geometry, and so the masks, as it is; each frame says in `SceneFrame.effects` what was done.
The effects themselves are in optics.py, transmission.py and weather.py, text in lettering.py. Bars hide pixels and are
laid by stage.py, as are blurs of the background or of one figure alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import skia

from lora_assets.scenes import optics, transmission, weather
from lora_assets.scenes.lettering import (
    draw_caption,
    draw_credits,
    draw_logo,
    draw_subtitle,
    draw_title,
    draw_watermark,
)
from lora_assets.scenes.truth import Box, Effect, SceneFrame

INVISIBLE = 0.9
"""A frame of which more than this share is faded away shows nobody, and says so in its truth."""
Apply = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
Letter = Callable[[skia.Canvas, np.random.Generator, int, int], list[Box]]


@dataclass(frozen=True, slots=True)
class EffectKind:
    """An effect as data: how it is done, in which share of random scenes, and between which strengths."""

    apply: Apply
    share: float
    weakest: float = 0.15
    strongest: float = 1.0


def faded(image: np.ndarray, share: float, *, white: bool = False) -> np.ndarray:
    """Mixed towards black (or white); `share` 1 leaves the picture as it is."""
    return cv2.convertScaleAbs(image, alpha=share, beta=255 * (1 - share) if white else 0)


def _to_black(image: np.ndarray, strength: float, _rng: np.random.Generator) -> np.ndarray:
    return faded(image, 1 - strength)


def _to_white(image: np.ndarray, strength: float, _rng: np.random.Generator) -> np.ndarray:
    return faded(image, 1 - strength, white=True)


EFFECTS: dict[str, EffectKind] = {
    "coloured_light": EffectKind(optics.coloured_light, 0.1, 0.1, 0.8),
    "graded": EffectKind(optics.graded, 0.3),
    "bloom": EffectKind(optics.bloom, 0.06),
    "light_leak": EffectKind(optics.light_leak, 0.05, 0.2),
    "lens_flare": EffectKind(optics.lens_flare, 0.03, 0.3),
    "rain": EffectKind(weather.rain, 0.025),
    "snowfall": EffectKind(weather.snowfall, 0.025),
    "petals": EffectKind(weather.petals, 0.03),
    "sparkles": EffectKind(weather.sparkles, 0.03),
    "speed_lines": EffectKind(weather.speed_lines, 0.025),
    "vignette": EffectKind(optics.vignette, 0.07, 0.2),
    "focus_blur": EffectKind(optics.focus_blur, 0.09, 0.1),
    "motion_blur": EffectKind(optics.motion_blur, 0.035, 0.2),
    "halftone": EffectKind(transmission.halftone, 0.025, 0.4),
    "fade_to_black": EffectKind(_to_black, 0.04, 0.15, 0.75),
    "fade_to_white": EffectKind(_to_white, 0.025, 0.15, 0.75),
    "dust": EffectKind(weather.dust, 0.02),
    "upscaled": EffectKind(transmission.upscaled, 0.09, 0.05, 0.8),
    "chroma_blur": EffectKind(transmission.chroma_blur, 0.07),
    "interlaced": EffectKind(transmission.interlaced, 0.03, 0.05, 0.8),
    "film_grain": EffectKind(transmission.film_grain, 0.2, 0.12),
    "banded": EffectKind(transmission.banded, 0.02),
    "scan_lines": EffectKind(transmission.scan_lines, 0.015),
    "compressed": EffectKind(transmission.compressed, 0.22, 0.0, 0.9),
    "recompressed": EffectKind(transmission.recompressed, 0.03, 0.1, 0.85),
}
LETTERING: dict[str, tuple[Letter, float]] = {
    "title": (draw_title, 0.02),
    "credits": (draw_credits, 0.02),
    "watermark": (draw_watermark, 0.025),
    "logo": (draw_logo, 0.09),
}
SUBTITLE_SHARE = 0.15


def apply_effect(frame: SceneFrame, name: str, strength: float, rng: np.random.Generator) -> SceneFrame:
    """The frame with the named effect (a key of EFFECTS) at a strength of 0 to 1, written into its truth."""
    image = EFFECTS[name].apply(frame.image, strength, rng)
    done = replace(frame, image=image, effects=(*frame.effects, Effect(name, round(strength, 4))))
    if name in ("fade_to_black", "fade_to_white") and strength > INVISIBLE:
        return replace(done, characters=(), things=())
    return done


def apply_effects(frame: SceneFrame, rng: np.random.Generator, bar: int) -> SceneFrame:
    """A random handful of effects; `bar` is the height of the frame's letterbox bars in pixels."""
    for name, kind in EFFECTS.items():
        if rng.random() < kind.share:
            strength = float(rng.uniform(kind.weakest, kind.strongest))
            if name.startswith("fade") and rng.random() < 0.12:
                strength = float(rng.uniform(INVISIBLE + 0.03, 1.0))
            frame = apply_effect(frame, name, strength, rng)
        if name == "fade_to_white":
            # Text lies over fades, and under everything that tape and network do.
            frame = random_lettering(frame, rng, bar)
    return frame


def random_lettering(frame: SceneFrame, rng: np.random.Generator, bar: int) -> SceneFrame:
    """Subtitles, titles, credits, a watermark, a logo: each now and then."""
    for name, (_, share) in LETTERING.items():
        if rng.random() < share:
            frame = with_lettering(frame, name, rng)
    if rng.random() < SUBTITLE_SHARE:

        def subtitle(canvas: skia.Canvas, width: int, height: int) -> list[Box]:
            return draw_subtitle(canvas, rng, width, height, height * 0.94 - bar * 0.5)

        frame = _lettered(frame, "subtitle", subtitle)
    return frame


def with_lettering(frame: SceneFrame, name: str, rng: np.random.Generator) -> SceneFrame:
    """The frame with the named lettering (a key of LETTERING) over it."""
    letter = LETTERING[name][0]
    return _lettered(frame, name, lambda canvas, width, height: letter(canvas, rng, width, height))


def lettered(frame: SceneFrame, text: str, size: float, foot: float) -> SceneFrame:
    """A centred line of lower-case letters over the picture; size and foot in frame heights."""

    def caption(canvas: skia.Canvas, width: int, height: int) -> list[Box]:
        return [draw_caption(canvas, text, width, height * size, height * foot)]

    return _lettered(frame, "caption", caption)


def _lettered(frame: SceneFrame, name: str, draw: Callable[[skia.Canvas, int, int], list[Box]]) -> SceneFrame:
    boxes: list[Box] = []
    image = weather.laid_over(frame.image, lambda canvas, width, height: boxes.extend(draw(canvas, width, height)))
    height, width = image.shape[:2]
    clipped = [(max(0.0, x0), max(0.0, y0), min(float(width), x1), min(float(height), y1)) for x0, y0, x1, y1 in boxes]
    inside = [box for box in clipped if box[0] < box[2] and box[1] < box[3]]
    covered = min(1.0, sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in inside) / (width * height))
    return replace(
        frame, image=image, effects=(*frame.effects, Effect(name, round(covered, 4))),
        lettering=(*frame.lettering, *inside),
    )  # fmt: skip


def tinted(image: np.ndarray, rgb: tuple[int, int, int], share: float) -> np.ndarray:
    """Everything in a common light: each pixel mixed with itself multiplied by the light's colour."""
    gains = [1 - share + share * value / 255 * 1.15 for value in rgb]
    table = np.stack([np.clip(np.arange(256) * gain, 0, 255) for gain in gains], axis=1).astype(np.uint8)
    return cv2.LUT(image, table.reshape(1, 256, 3))
