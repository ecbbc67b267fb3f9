"""Damages of a crop's picture: fades, blur, lettering, combs, bars, a smaller frame, a thing in the character's place.

Each writes the strength that it made. Damages of the mask do not belong here (tier_mask_damages).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from lora_assets.benchmarks.tier_bases import Base, Damaged, bounds_of, pick
from lora_assets.scenes.truth import Box
from lora_assets.vision.masks import BoolMask

_VISIBLE = 20


def _fade(crop: Damaged, white: bool, share: float) -> None:
    crop.image = cv2.convertScaleAbs(crop.image, alpha=1 - share, beta=255 * share if white else 0)  # pyright: ignore
    for name in ("white", "pale") if white else ("black", "dark"):
        crop.strengths[name] = share
    crop.found = share < 0.9


def fade_to_black(crop: Damaged, _base: Base, rng: np.random.Generator) -> bool:
    """A fade to black; from 0.9 on no head is found."""
    _fade(crop, False, pick(rng, 0.2, 0.4, 0.65, 0.8, 0.83, 0.88, 0.93, 0.96, 0.98, 1.0))
    return True


def fade_to_white(crop: Damaged, _base: Base, rng: np.random.Generator) -> bool:
    """A fade to white; from 0.9 on no head is found."""
    _fade(crop, True, pick(rng, 0.2, 0.4, 0.65, 0.8, 0.85, 0.94, 0.97, 1.0))
    return True


def make_flat(crop: Damaged, _base: Base, rng: np.random.Generator) -> bool:
    """The frame is one colour, with noise of up to two levels."""
    noise = int(rng.integers(0, 3))
    image = np.full_like(crop.image, rng.integers(0, 256, 3, dtype=np.uint8))
    if noise:
        image = cv2.add(image, rng.integers(0, noise + 1, image.shape, dtype=np.uint8))
    crop.image, crop.found = np.asarray(image, np.uint8), False
    crop.strengths["flat"] = 1.0
    return True


def cut_by_the_frame(crop: Damaged, base: Base, rng: np.random.Generator) -> bool:
    """The frame itself is made smaller, so that it cuts the head, or the body below it."""
    if rng.random() < 0.6:
        share = pick(rng, 0.03, 0.2, 0.28, 0.4, 0.6)
        top = round(base.head[1] + share * (base.head[3] - base.head[1]))
        crop.strengths["head_out"] = share
        rows = slice(top, None)
    else:
        low = max(base.head[3] + 8, np.quantile(np.nonzero(base.figure)[0], rng.uniform(0.4, 0.9)))
        rows, top = slice(0, int(low)), 0
    return take_rows(crop, base, rows, top)


def take_rows(crop: Damaged, base: Base, rows: slice, top: int) -> bool:
    """Makes a band of rows, which begins at row `top`, the whole frame; False when too little is left."""
    crop.image = np.ascontiguousarray(crop.image[rows])
    crop.mask = np.ascontiguousarray(crop.mask[rows])
    crop.figure = np.ascontiguousarray(crop.figure[rows])
    height = crop.image.shape[0]
    if height < 64 or not crop.mask.any():
        return False
    # A detector's box ends where the visible figure does.
    crop.box = bounds_of(base.figure[rows])
    crop.characters = tuple(
        replace(
            each, mask=each.mask[rows], box=_shifted(each.box, top, height),
            head_box=_shifted_part(each.head_box, top, height), face_box=_shifted_part(each.face_box, top, height),
        )
        for each in crop.characters
    )  # fmt: skip
    return True


def _shifted(box: Box, top: int, height: int) -> Box:
    return box[0], float(np.clip(box[1] - top, 0, height)), box[2], float(np.clip(box[3] - top, 0, height))


def _shifted_part(box: Box | None, top: int, height: int) -> Box | None:
    moved = None if box is None else _shifted(box, top, height)
    return moved if moved and box and moved[3] - moved[1] > 0.3 * (box[3] - box[1]) else None


def blur(crop: Damaged, _base: Base, rng: np.random.Generator) -> bool:
    """A Gaussian blur of 0.5 to 6 pixels."""
    sigma = pick(rng, 0.5, 0.7, 1.4, 2.0, 2.5, 3.0, 4.0, 6.0)
    crop.image = np.asarray(cv2.GaussianBlur(crop.image, (0, 0), sigma), np.uint8)
    crop.strengths["blur"] = sigma
    return True


def _lettered(crop: Damaged, draw: Callable[..., list[Box]], *more: object) -> list[Box]:
    from lora_assets.scenes.weather import laid_over

    boxes: list[Box] = []
    crop.image = laid_over(crop.image, lambda canvas, width, height: boxes.extend(draw(canvas, *more, width, height)))
    return boxes


def lay_subtitle(crop: Damaged, base: Base, rng: np.random.Generator) -> bool:
    """Lines of subtitle somewhere in the lower 40 % of the frame."""
    from lora_assets.scenes.lettering import draw_subtitle

    height = crop.image.shape[0]
    foot = height * float(rng.uniform(0.6, 0.97))

    def draw(canvas: object, width: int, rows: int) -> list[Box]:
        return draw_subtitle(canvas, rng, width, rows, foot)  # pyright: ignore[reportArgumentType]

    under = np.zeros_like(crop.mask)
    boxes = _lettered(crop, draw)
    for box in boxes:
        under[max(0, int(box[1])) : int(box[3]) + 1, max(0, int(box[0])) : int(box[2]) + 1] = True
    share = float((under & base.figure).sum() / base.figure.sum())
    left, top, right, bottom = (int(value) for value in base.head)
    if under[(top + bottom) // 2 : bottom, left:right].mean() > 0.3:
        share = max(share, 0.12)
    crop.strengths["text"] = share
    return True


def lay_watermark(crop: Damaged, base: Base, rng: np.random.Generator) -> bool:
    """A slanting line of white words across the frame, laid through the figure, more or less faint."""
    import skia

    from lora_assets.scenes.lettering import WORDS, latin_line, latin_width
    from lora_assets.scenes.weather import laid_over

    alpha = int(pick(rng, 30, 90, 120, 160))
    text = WORDS[int(rng.integers(len(WORDS)))]
    ys, xs = np.nonzero(base.figure)
    width = base.figure.shape[1]
    size = width * float(rng.uniform(0.6, 0.9)) / max(latin_width(text, 1.0), 4.0)
    path = latin_line(text, width * 0.1, float(np.median(ys)) + size / 2, size)
    turn = skia.Matrix()
    turn.setRotate(float(rng.uniform(-25, 25)), float(np.median(xs)), float(np.median(ys)))
    path.transform(turn)

    def draw(canvas: skia.Canvas, _width: int, _height: int) -> None:
        paint = skia.Paint(AntiAlias=True, Color=skia.Color(255, 255, 255, alpha), Style=skia.Paint.kStroke_Style)
        paint.setStrokeWidth(size * 0.12)
        canvas.drawPath(path, paint)

    before = crop.image
    crop.image = laid_over(before, draw)
    # White over white is nothing that a person could see: only what the strokes change counts.
    seen = cv2.absdiff(crop.image, before).max(axis=2) >= _VISIBLE
    share = float((seen & base.figure).sum() / base.figure.sum())
    crop.strengths["watermark"] = share if alpha >= 80 else min(share, 0.011)
    return True


def comb(crop: Damaged, base: Base, rng: np.random.Generator) -> bool:
    """Every other row is 1 to 14 pixels from its place."""
    shift = int(pick(rng, 1, 2, 3, 5, 9, 14))
    image = crop.image.copy()
    image[1::2, shift:] = crop.image[1::2, :-shift]
    crop.image = image
    crop.figure = crop.figure.copy()
    crop.figure[1::2, shift:] |= base.figure[1::2, :-shift]
    crop.strengths["combs"] = float(shift)
    return True


def lay_bars(crop: Damaged, base: Base, rng: np.random.Generator) -> bool:
    """Black bars over the frame's ends; the mask stops at the lower one, or runs on over it. Raised arms may lie in the
    upper one."""
    height = crop.image.shape[0]
    bottom = int(np.flatnonzero(base.figure.any(axis=1))[-1])
    bar = int(height * rng.uniform(0.08, 0.16))
    if bottom < height - bar or base.head[3] > height - bar or base.head[1] < bar:
        return False
    image = crop.image.copy()
    image[:bar], image[height - bar :] = 0, 0
    crop.image, mask = image, crop.mask.copy()
    crop.figure = crop.figure.copy()
    crop.figure[:bar], crop.figure[height - bar :] = False, False
    end = height - bar + round(bar * pick(rng, 0.0, 0.0, 0.5, 1.0))
    mask[end:] = False
    on_bars = int(mask[:bar].sum()) + int(mask[height - bar :].sum())
    crop.strengths["bars"] = float(on_bars / max(1, mask.sum()))
    crop.mask, crop.box = mask, bounds_of(_above(base.figure, max(end, 1)))
    crop.characters = tuple(replace(each, mask=_above(each.mask, height - bar)) for each in crop.characters)
    return bool(mask.any())


def _above(mask: BoolMask, row: int) -> BoolMask:
    kept = mask.copy()
    kept[row:] = False
    return kept


def draw_thing(crop: Damaged, _base: Base, rng: np.random.Generator) -> bool:
    """Instead of the character: a thing or an animal drawn over the place, found as a person."""
    from lora_assets.scenes.props import ANIMALS, CLUTTER, OBJECTS, STREET

    return draw_one_of(sorted({*ANIMALS, *CLUTTER, *OBJECTS, *STREET}), crop, rng)


def draw_one_of(names: Sequence[str], crop: Damaged, rng: np.random.Generator) -> bool:
    """One of the named things (`scenes.props`) over the place of the character, found as a person."""
    from lora_assets.scenes.ink import raster
    from lora_assets.scenes.props import draw_prop

    name = names[int(rng.integers(len(names)))]
    height, width = crop.mask.shape
    pixels, surface = raster(width, height)
    size = height * float(rng.uniform(0.5, 0.8))
    foot = (width * float(rng.uniform(0.35, 0.65)), height * 0.92)
    with surface as canvas:
        draw_prop(canvas, name, int(rng.integers(1 << 30)), foot, size, mirrored=bool(rng.random() < 0.5))
    mask = pixels[..., 3] > 127
    if mask.sum() < 4000:
        return False
    image = crop.image.copy()
    image[mask] = pixels[mask][:, 2::-1]
    crop.image, crop.mask, crop.box = image, mask, bounds_of(mask)
    crop.figure = np.zeros_like(mask)
    crop.characters = tuple(
        replace(
            each,
            mask=each.mask & ~mask,
            head_box=_uncovered(each.head_box, mask),
            face_box=_uncovered(each.face_box, mask),
        )
        for each in crop.characters
    )
    crop.strengths["thing"] = 1.0
    return True


def _uncovered(box: Box | None, mask: BoolMask) -> Box | None:
    """The box, unless a mask laid over it hides a fifth of it."""
    if box is None:
        return None
    hidden = mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])]
    return None if hidden.size and hidden.mean() > 0.2 else box
