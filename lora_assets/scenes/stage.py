"""The stage: figures and props laid over each other from back to front into a frame, with the truth read on the way.

What stands where is decided by layout.py or film.py; the truth of one layer is read by reading.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import skia

from lora_assets.scenes.background import draw_background, draw_scenery
from lora_assets.scenes.design import Design
from lora_assets.scenes.figure import Figure, build_figure
from lora_assets.scenes.ink import Ink, draw_shapes, raster
from lora_assets.scenes.optics import motion_kernel
from lora_assets.scenes.pose import Pose
from lora_assets.scenes.props import OTHER_BOUNDS, PROP_BOUNDS, draw_prop
from lora_assets.scenes.reading import Window, figure_window, read_truth
from lora_assets.scenes.truth import CharacterTruth, Effect, SceneFrame, ThingTruth, mask_bounds

MOST_BLUR, MOST_SMEAR = 0.02, 0.04
"""Blur of the background and smear of the figures at strength 1, in frame heights."""
UNNAMED = ("shadow",)
"""Props that are no things of their own and have no truth."""


@dataclass(frozen=True, slots=True)
class Cast:
    """One character of a scene: design, pose, ink and where the chin lies (frame pixels) at which head height."""

    design: Design
    pose: Pose
    ink: Ink
    chin: tuple[float, float]
    head_height: float


@dataclass(frozen=True, slots=True)
class Prop:
    """One thing of a scene: a key of PROPS, the seed of its looks, where its foot stands and its height in pixels."""

    name: str
    seed: int
    foot: tuple[float, float]
    size: float
    mirrored: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything of a scene before drawing; `items` from back to front.

    `scenery` is (name, mood) or None for a random background. `view` is zoom and shift (x, y in frame widths) of the
    background alone. `bar` and `side_bar` are the height and width of black bars at the edges in pixels.
    `background_blur` (0 to 1) puts the background out of focus; `smear` is the strength (0 to 1) and direction
    (radians) of motion blur on the figures alone.
    """

    items: tuple[Cast | Prop, ...]
    background_seed: int
    scenery: tuple[str, str] | None = None
    view: tuple[float, float, float] = (1.0, 0.0, 0.0)
    bar: int = 0
    side_bar: int = 0
    background_blur: float = 0.0
    smear: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One drawn item: its window in the frame, which pixels of the window it covers, and its figure if it has one."""

    window: Window
    solid: np.ndarray
    actor: tuple[Cast, Figure] | None
    prop: Prop | None


def placement(cast: Cast) -> skia.Matrix:
    """The matrix from body space to frame pixels."""
    matrix = skia.Matrix()
    matrix.preTranslate(*cast.chin)
    matrix.preScale(-cast.head_height if cast.pose.mirrored else cast.head_height, cast.head_height)
    return matrix


def render_stage(stage: Stage, width: int, height: int, seed: int, backdrop: np.ndarray | None = None) -> SceneFrame:
    """Draw a stage and read its truth; masks and boxes leave out what bars and nearer items hide.

    `backdrop` (uint8 BGRA HxWx4) takes the place of the stage's own background.
    """
    frame, surface = raster(width, height)
    frame[:] = (
        _background(stage.background_seed, stage.scenery, stage.view, stage.background_blur, width, height)
        if backdrop is None
        else backdrop
    )
    canvas = surface.getCanvas()
    kernel = motion_kernel(height * MOST_SMEAR * stage.smear[0], stage.smear[1]) if stage.smear[0] > 0 else None
    laid = [_lay(canvas, item, width, height, kernel) for item in stage.items]
    covered = np.zeros((height, width), bool)
    for bar in _bars(stage, width, height):
        frame[bar] = (0, 0, 0, 255)
        covered[bar] = True
    characters: list[CharacterTruth] = []
    things: list[ThingTruth] = []
    for layer in reversed(laid):
        truth = None if layer is None else _uncover(layer, covered)
        if isinstance(truth, CharacterTruth):
            characters.append(truth)
        elif truth is not None:
            things.append(truth)
    return SceneFrame(
        image=cv2.cvtColor(frame, cv2.COLOR_BGRA2RGB),
        characters=tuple(reversed(characters)),
        seed=seed,
        effects=_effects(stage, width, height),
        things=tuple(reversed(things)),
    )


def _bars(stage: Stage, width: int, height: int) -> list[tuple[slice, slice]]:
    bars = []
    if stage.bar > 0:
        bars += [(slice(0, stage.bar), slice(None)), (slice(height - stage.bar, None), slice(None))]
    if stage.side_bar > 0:
        bars += [(slice(None), slice(0, stage.side_bar)), (slice(None), slice(width - stage.side_bar, None))]
    return bars


def _effects(stage: Stage, width: int, height: int) -> tuple[Effect, ...]:
    """What the stage itself does to the picture, as data."""
    done = {
        "background_blur": stage.background_blur,
        "figure_motion_blur": stage.smear[0],
        "letterbox": 2 * stage.bar / height,
        "pillarbox": 2 * stage.side_bar / width,
    }
    return tuple(Effect(name, round(strength, 4)) for name, strength in done.items() if strength > 0)


def _uncover(layer: _Layer, covered: np.ndarray) -> CharacterTruth | ThingTruth | None:
    """The truth of a layer under what is already covered; the layer's own pixels join the covered ones."""
    hidden = covered[layer.window.rows, layer.window.columns]
    visible = layer.solid & ~hidden
    hidden |= layer.solid
    if layer.actor is not None:
        cast, figure = layer.actor
        size = (covered.shape[1], covered.shape[0])
        return read_truth(cast.design.identity, figure, placement(cast), cast.ink, visible, layer.window, size)
    if layer.prop is None or layer.prop.name in UNNAMED:
        return None
    box = mask_bounds(visible)
    if box is None:
        return None
    mask = np.zeros_like(covered)
    mask[layer.window.rows, layer.window.columns] = visible
    return ThingTruth(layer.prop.name, layer.window.shifted(box), mask)


@lru_cache(maxsize=2)
def _background(
    seed: int, scenery: tuple[str, str] | None, view: tuple[float, float, float], blur: float, width: int, height: int
) -> np.ndarray:
    """The background alone (BGRA), kept for the next frame of the same shot."""
    zoom, dx, dy = view
    rng = np.random.default_rng([seed, 29])
    if scenery is None:
        pixels = draw_background(rng, width, height)
        if view != (1.0, 0.0, 0.0):
            shift = (width * (0.5 + dx) - zoom * width * 0.5, height * 0.5 + width * dy - zoom * height * 0.5)
            matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]], np.float32)
            pixels = cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    else:
        pixels, surface = raster(width, height)
        canvas = surface.getCanvas()
        canvas.translate(width * (0.5 + dx), height * 0.5 + width * dy)
        canvas.scale(zoom, zoom)
        canvas.translate(-width * 0.5, -height * 0.5)
        draw_scenery(canvas, *scenery, rng, width, height)
    if blur > 0:
        pixels = _out_of_focus(pixels, height * MOST_BLUR * blur)
    pixels.setflags(write=False)
    return pixels


def _out_of_focus(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """A wide blur, done on a quarter of the size: the picture keeps no detail that would tell."""
    height, width = pixels.shape[:2]
    if sigma < 4:
        return cv2.GaussianBlur(pixels, (0, 0), max(0.4, sigma))
    small = cv2.resize(pixels, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 4), (width, height), interpolation=cv2.INTER_LINEAR)


def _lay(canvas: skia.Canvas, item: Cast | Prop, width: int, height: int, kernel: np.ndarray | None) -> _Layer | None:
    """Draw an item on its own and lay it over the frame; None when it lies wholly outside. `kernel` smears figures."""
    figure: Figure | None = None
    if isinstance(item, Cast):
        figure = build_figure(item.design, item.pose)
        window = figure_window(figure, placement(item), item.ink, width, height)
    else:
        (x, y), bounds = item.foot, PROP_BOUNDS.get(item.name, OTHER_BOUNDS)
        side, above, below = (item.size * reach for reach in bounds)
        window = Window.around(x - side, y - above, x + side, y + below, width, height)
    if window is None:
        return None
    pixels, surface = raster(window.right - window.left, window.bottom - window.top)
    layer = surface.getCanvas()
    layer.translate(-window.left, -window.top)
    actor = None
    if isinstance(item, Prop):
        draw_prop(layer, item.name, item.seed, item.foot, item.size, mirrored=item.mirrored)
    elif figure is not None:
        layer.concat(placement(item))
        draw_shapes(layer, figure.shapes, item.ink)
        actor = (item, figure)
    solid = cv2.extractChannel(pixels, 3) > 127
    if kernel is not None and actor is not None:
        # Smeared past its window a figure would end in a straight edge: only the window's inside is smeared.
        pixels[:] = cv2.filter2D(pixels, -1, kernel, borderType=cv2.BORDER_CONSTANT)
    surface.draw(canvas, window.left, window.top)
    return _Layer(window, solid, actor, item if isinstance(item, Prop) else None)
