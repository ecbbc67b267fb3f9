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
from lora_assets.scenes.pose import Pose
from lora_assets.scenes.props import draw_prop
from lora_assets.scenes.reading import Window, figure_window, read_truth
from lora_assets.scenes.truth import CharacterTruth, SceneFrame


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


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything of a scene before drawing; `items` from back to front.

    `scenery` is (name, mood) or None for a random background. `view` is zoom and shift (x, y in frame widths) of the
    background alone. `bar` is the height of letterbox bars in pixels.
    """

    items: tuple[Cast | Prop, ...]
    background_seed: int
    scenery: tuple[str, str] | None = None
    view: tuple[float, float, float] = (1.0, 0.0, 0.0)
    bar: int = 0


@dataclass(frozen=True, slots=True)
class _Layer:
    """One drawn item: its window in the frame, which pixels of the window it covers, and its figure if it has one."""

    window: Window
    solid: np.ndarray
    actor: tuple[Cast, Figure] | None


def placement(cast: Cast) -> skia.Matrix:
    """The matrix from body space to frame pixels."""
    matrix = skia.Matrix()
    matrix.preTranslate(*cast.chin)
    matrix.preScale(-cast.head_height if cast.pose.mirrored else cast.head_height, cast.head_height)
    return matrix


def render_stage(stage: Stage, width: int, height: int, seed: int) -> SceneFrame:
    """Draw a stage and read its truth; masks and boxes leave out what letterbox bars and nearer items hide."""
    frame, surface = raster(width, height)
    frame[:] = _background(stage.background_seed, stage.scenery, stage.view, width, height)
    canvas = surface.getCanvas()
    laid = [_lay(canvas, item, width, height) for item in stage.items]
    covered = np.zeros((height, width), bool)
    if stage.bar > 0:
        frame[: stage.bar] = frame[height - stage.bar :] = 0
        covered[: stage.bar] = covered[height - stage.bar :] = True
    truths = [_uncover(layer, covered) for layer in reversed(laid) if layer is not None]
    characters = tuple(truth for truth in reversed(truths) if truth is not None)
    return SceneFrame(cv2.cvtColor(frame, cv2.COLOR_BGRA2RGB), characters, seed)


def _uncover(layer: _Layer, covered: np.ndarray) -> CharacterTruth | None:
    """The truth of a layer's character under what is already covered; the layer's own pixels join the covered ones."""
    hidden = covered[layer.window.rows, layer.window.columns]
    visible = layer.solid & ~hidden
    hidden |= layer.solid
    if layer.actor is None:
        return None
    cast, figure = layer.actor
    size = (covered.shape[1], covered.shape[0])
    return read_truth(cast.design.identity, figure, placement(cast), cast.ink, visible, layer.window, size)


@lru_cache(maxsize=2)
def _background(
    seed: int, scenery: tuple[str, str] | None, view: tuple[float, float, float], width: int, height: int
) -> np.ndarray:
    """The background alone (BGRA), kept for the next frame of the same shot."""
    pixels, surface = raster(width, height)
    canvas = surface.getCanvas()
    zoom, dx, dy = view
    canvas.translate(width * (0.5 + dx), height * 0.5 + width * dy)
    canvas.scale(zoom, zoom)
    canvas.translate(-width * 0.5, -height * 0.5)
    rng = np.random.default_rng([seed, 29])
    if scenery is None:
        draw_background(canvas, rng, width, height)
    else:
        draw_scenery(canvas, *scenery, rng, width, height)
    pixels.setflags(write=False)
    return pixels


def _lay(canvas: skia.Canvas, item: Cast | Prop, width: int, height: int) -> _Layer | None:
    """Draw an item on its own and lay it over the frame; None when it lies wholly outside."""
    figure: Figure | None = None
    if isinstance(item, Cast):
        figure = build_figure(item.design, item.pose)
        window = figure_window(figure, placement(item), item.ink, width, height)
    else:
        (x, y), reach = item.foot, item.size * 3.3
        window = Window.around(x - reach, y - item.size * 1.3, x + reach, y + item.size * 0.1, width, height)
    if window is None:
        return None
    pixels, surface = raster(window.right - window.left, window.bottom - window.top)
    layer = surface.getCanvas()
    layer.translate(-window.left, -window.top)
    actor = None
    if isinstance(item, Prop):
        draw_prop(layer, item.name, item.seed, item.foot, item.size)
    elif figure is not None:
        layer.concat(placement(item))
        draw_shapes(layer, figure.shapes, item.ink)
        actor = (item, figure)
    surface.draw(canvas, window.left, window.top)
    return _Layer(window, pixels[:, :, 3] > 127, actor)
