"""Everything that is no character and may stand in front of or behind one: the table of props, and street and garden.

Each prop is drawn one unit high with its foot at (0, 0), y down. Animals are in animals.py, objects in objects.py, what
only looks like limbs or hair in clutter.py. None shows a human face, not even as a picture: that would be a character
which the truth leaves out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import skia

from lora_assets.scenes import animals, clutter, objects
from lora_assets.scenes.brush import fill, mixed, oval, polygon, rect, some, stroke
from lora_assets.scenes.ink import Rgb, smooth, toned
from lora_assets.scenes.landscape import LEAVES, draw_tree
from lora_assets.scenes.lettering import glyph_line
from lora_assets.scenes.objects import PAINTS
from lora_assets.scenes.town import draw_picture


def _tree(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    draw_tree(canvas, rng, 0, 0, 1.0, some(rng, LEAVES), (106, 78, 60))


def _bush(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    leaf = some(rng, LEAVES[:4])
    path = skia.Path()
    for x in np.linspace(-0.8, 0.8, 7):
        path.addCircle(float(x), -0.4 + float(rng.uniform(-0.1, 0.12)), 0.34 + 0.14 * float(rng.random()))
    canvas.clipRect(skia.Rect.MakeLTRB(-2, -2, 2, 0))
    fill(canvas, path, toned(leaf, 0.72))
    canvas.clipPath(path, doAntiAlias=True)
    path = skia.Path(path)
    path.offset(-0.06, -0.1)
    fill(canvas, path, leaf)


def _lamp_post(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    tone = some(rng, ((70, 74, 80), (60, 84, 76), (110, 112, 116)))
    fill(canvas, rect(-0.016, -0.95, 0.016, 0), tone)
    fill(canvas, rect(-0.04, -0.06, 0.04, 0), tone)
    fill(canvas, rect(-0.1, -0.95, 0.1, -0.93), tone)
    for x in (-0.1, 0.1):
        fill(canvas, oval(x, -0.9, 0.034, 0.045), (255, 240, 190))
        fill(canvas, polygon([(x - 0.04, -0.93), (x + 0.04, -0.93), (x, -0.98)]), tone)


def _car(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    paint = some(rng, PAINTS)
    dark: Rgb = (40, 40, 46)
    body = smooth([(-1.35, -0.22), (-1.3, -0.55), (-0.85, -0.62), (-0.5, -0.98), (0.45, -1.0), (0.85, -0.62),
                   (1.3, -0.52), (1.38, -0.22)], tension=0.09)  # fmt: skip
    fill(canvas, body, paint)
    canvas.save()
    canvas.clipPath(body, doAntiAlias=True)
    fill(canvas, rect(-2, -0.36, 2, 0), toned(paint, 0.75))
    canvas.restore()
    fill(canvas, polygon([(-0.68, -0.6), (-0.42, -0.9), (-0.04, -0.91), (-0.04, -0.6)]), (190, 216, 230))
    fill(canvas, polygon([(0.04, -0.6), (0.04, -0.91), (0.4, -0.92), (0.68, -0.6)]), (190, 216, 230))
    stroke(canvas, body, toned(paint, 0.35), 0.025)
    for x in (-0.8, 0.82):
        fill(canvas, oval(x, -0.2, 0.22, 0.2), dark)
        fill(canvas, oval(x, -0.2, 0.11, 0.1), (180, 182, 188))
    fill(canvas, oval(1.3, -0.42, 0.06, 0.07), (255, 240, 170))


def _ball(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    tone, other = some(rng, PAINTS), some(rng, PAINTS)
    ball = oval(0, -0.5, 0.5, 0.5)
    fill(canvas, ball, tone)
    canvas.save()
    canvas.clipPath(ball, doAntiAlias=True)
    fill(canvas, oval(-0.5, -0.5, 0.4, 0.7), other)
    fill(canvas, oval(0.55, -0.6, 0.3, 0.7), other)
    shade = oval(-0.12, -0.6, 0.5, 0.5)
    shade.toggleInverseFillType()
    fill(canvas, shade, (30, 20, 50), 70)
    canvas.restore()
    stroke(canvas, ball, toned(tone, 0.35), 0.04)


def _poster(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    draw_picture(canvas, rng, -0.35, -1.0, 0.7, 1.0)


def _sign(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    fill(canvas, rect(-0.025, -0.7, 0.025, 0), (150, 150, 156))
    tone = some(rng, PAINTS)
    plate = oval(0, -0.8, 0.2, 0.2) if rng.random() < 0.5 else rect(-0.26, -0.98, 0.26, -0.66)
    fill(canvas, plate, tone)
    stroke(canvas, plate, (250, 250, 250), 0.03)
    fill(canvas, polygon([(-0.1, -0.77), (0.04, -0.77), (0.04, -0.85), (0.14, -0.8), (0.04, -0.72), (-0.1, -0.74)]),
         (250, 250, 250))  # fmt: skip


def _plant(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    leaf = some(rng, LEAVES[:3])
    for turn in np.linspace(-70, 70, 8) + rng.normal(0, 6, 8):
        canvas.save()
        canvas.translate(0, -0.3)
        canvas.rotate(float(turn))
        fill(canvas, oval(0, -0.36, 0.08, 0.34), toned(leaf, float(rng.uniform(0.75, 1.2))))
        canvas.restore()
    pot = some(rng, ((196, 110, 76), (230, 226, 220), (90, 110, 140)))
    fill(canvas, polygon([(-0.22, -0.36), (0.22, -0.36), (0.16, 0), (-0.16, 0)]), pot)
    fill(canvas, rect(-0.25, -0.4, 0.25, -0.32), toned(pot, 0.85))


def _table(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    wood = some(rng, ((176, 130, 90), (220, 190, 150), (120, 84, 62)))
    for x in (-1.05, 0.95):
        fill(canvas, rect(x, -0.8, x + 0.1, 0), toned(wood, 0.7))
    fill(canvas, rect(-1.25, -0.95, 1.25, -0.75), wood)
    fill(canvas, rect(-1.25, -0.8, 1.25, -0.75), toned(wood, 0.75))
    mug = some(rng, PAINTS)
    fill(canvas, rect(-0.5, -1.17, -0.3, -0.95), mug)
    stroke(canvas, oval(-0.28, -1.06, 0.07, 0.07), mug, 0.035)


def _fence(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    tone = some(rng, ((240, 236, 228), (150, 112, 80), (110, 120, 126)))
    for y in (-0.75, -0.35):
        fill(canvas, rect(-3.2, y, 3.2, y + 0.1), toned(tone, 0.82))
    for i in range(-9, 10):
        x = i * 0.34
        fill(canvas, polygon([(x - 0.09, 0), (x - 0.09, -0.88), (x, -1.0), (x + 0.09, -0.88), (x + 0.09, 0)]), tone)


def _flower(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    tone = some(rng, ((240, 120, 150), (250, 210, 90), (240, 240, 250), (170, 130, 220)))
    stem = skia.Path()
    stem.moveTo(0, 0)
    stem.quadTo(0.06, -0.4, 0, -0.75)
    stroke(canvas, stem, (90, 150, 80), 0.05)
    for turn in range(0, 360, 60):
        canvas.save()
        canvas.translate(0, -0.78)
        canvas.rotate(turn)
        fill(canvas, oval(0, -0.13, 0.08, 0.12), tone)
        canvas.restore()
    fill(canvas, oval(0, -0.78, 0.07, 0.07), mixed(tone, (250, 180, 60), 0.8))


def _speech_bubble(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    wide = float(rng.uniform(0.4, 0.75))
    tail = polygon([(-0.1, -0.4), (0.12, -0.36), (-0.2, 0.0)])
    bubble = oval(0, -0.62, wide, 0.36)
    for path in (tail, bubble):
        stroke(canvas, path, (24, 22, 26), 0.03)
    for path in (bubble, tail):
        fill(canvas, path, (252, 252, 250))
    for row in range(3):
        count = max(2, round(wide * (9, 11, 8)[row]))
        line = glyph_line(rng, count, -count * 0.062, -0.7 + 0.15 * row, 0.11)
        stroke(canvas, line, (30, 28, 32), 0.016)


def _shadow(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    # Three ovals for a soft edge: skia's blur costs ten times as much.
    for share in (1.0, 0.9, 0.78):
        fill(canvas, oval(0, 0, 1.08 * share, 0.14 * share), (24, 16, 44), int(rng.integers(20, 45)))


STREET: dict[str, Callable[[skia.Canvas, np.random.Generator], None]] = {
    "tree": _tree,
    "bush": _bush,
    "lamp_post": _lamp_post,
    "car": _car,
    "ball": _ball,
    "poster": _poster,
    "sign": _sign,
    "plant": _plant,
    "table": _table,
    "fence": _fence,
    "flower": _flower,
}
ANIMALS: dict[str, Callable[[skia.Canvas, np.random.Generator], None]] = {
    "cat": animals.draw_cat,
    "dog": animals.draw_dog,
    "bird": animals.draw_bird,
    "horse": animals.draw_horse,
    "rabbit": animals.draw_rabbit,
    "fox": animals.draw_fox,
    "fish": animals.draw_fish,
    "penguin": animals.draw_penguin,
    "teddy": animals.draw_teddy,
    "robot": animals.draw_robot,
}
OBJECTS: dict[str, Callable[[skia.Canvas, np.random.Generator], None]] = {
    "bus": objects.draw_bus,
    "bicycle": objects.draw_bicycle,
    "plane": objects.draw_plane,
    "chair": objects.draw_chair,
    "umbrella": objects.draw_umbrella,
    "balloons": objects.draw_balloons,
    "hung_clothes": objects.draw_hung_clothes,
    "fruit": objects.draw_fruit,
    "cake": objects.draw_cake,
    "bowl": objects.draw_bowl,
    "guitar": objects.draw_guitar,
    "bag": objects.draw_bag,
    "lantern": objects.draw_lantern,
    "vase": objects.draw_vase,
}
CLUTTER: dict[str, Callable[[skia.Canvas, np.random.Generator], None]] = {
    "roots": clutter.draw_roots,
    "trunk": clutter.draw_trunk,
    "rope": clutter.draw_rope,
    "curtain": clutter.draw_curtain,
    "blobs": clutter.draw_blobs,
    "streamers": clutter.draw_streamers,
    "flags": clutter.draw_flags,
}
PROPS: dict[str, Callable[[skia.Canvas, np.random.Generator], None]] = {
    **STREET,
    **ANIMALS,
    **OBJECTS,
    **CLUTTER,
    "speech_bubble": _speech_bubble,
    "shadow": _shadow,
}


Bounds = tuple[float, float, float]
PROP_BOUNDS: dict[str, Bounds] = {
    "fence": (3.3, 1.05, 0.02), "flags": (2.3, 1.05, 0.02), "car": (1.55, 1.08, 0.02), "bus": (1.5, 1.08, 0.02),
    "plane": (1.4, 1.03, 0.02), "bush": (1.4, 1.05, 0.02), "hung_clothes": (1.35, 1.05, 0.02),
    "table": (1.35, 1.22, 0.02), "rope": (1.6, 1.15, 0.1), "lantern": (1.3, 1.05, 0.02), "roots": (1.35, 1.25, 0.14),
    "bird": (1.2, 1.0, 0.02), "shadow": (1.1, 0.15, 0.15), "dog": (1.0, 1.05, 0.06), "bicycle": (0.97, 1.07, 0.05),
    "horse": (0.92, 1.15, 0.05), "tree": (0.5, 1.05, 0.02), "lamp_post": (0.2, 1.02, 0.02), "ball": (0.56, 1.05, 0.05),
    "penguin": (0.6, 1.05, 0.05), "teddy": (0.6, 1.25, 0.07), "robot": (0.5, 1.15, 0.05), "poster": (0.42, 1.05, 0.05),
    "sign": (0.34, 1.05, 0.02), "guitar": (0.34, 1.05, 0.03), "flower": (0.3, 1.06, 0.04), "bag": (0.52, 1.1, 0.05),
}  # fmt: skip
"""How far a prop reaches to each side of its foot, above and below it, in heights; OTHER_BOUNDS for all others."""
OTHER_BOUNDS: Bounds = (1.05, 1.2, 0.12)


def draw_prop(
    canvas: skia.Canvas, name: str, seed: int, foot: tuple[float, float], size: float, *, mirrored: bool = False
) -> None:
    """Draw the named prop, `size` pixels high, standing at `foot`; the seed picks its colours and details."""
    canvas.save()
    canvas.translate(*foot)
    canvas.scale(-size if mirrored else size, size)
    PROPS[name](canvas, np.random.default_rng([seed, 23]))
    canvas.restore()
