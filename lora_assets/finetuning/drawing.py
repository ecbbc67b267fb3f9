"""Pictures of a tuning: its course, and the report with bars by category and the best, worst and most changed masks."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from lora_assets.finetuning.judging import ALL, BOUNDARY, HEAD, IOU, Judged, Verdict
from lora_assets.finetuning.prompts import BOX, POINT, mask_box
from lora_assets.models.tuned import BETTER
from lora_assets.tables.segmenters import CategoryFigure
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import decode_mask
from lora_assets.vision.plot_fonts import picture_font

Colour = tuple[int, int, int]
_INK, _FAINT, _GRID, _PAPER = (30, 34, 40), (110, 116, 125), (222, 225, 230), (255, 255, 255)
_BASE, _TUNED, _TRUE, _BAD = (214, 120, 20), (31, 99, 190), (0, 150, 60), (190, 50, 60)
_WIDTH, _GAP, _TILE = 1120, 20, 250
_TILES = 4
_LINE = 150
"""Characters of the verdict's reason in a line."""
_SMOOTHED = 20
"""Steps whose mean the course shows."""
_AROUND = 0.35
"""How much of the page is shown around a thing, in its longer sides."""


def _write(
    pen: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    colour: Colour = _INK,
    size: int = 14,
    anchor: str = "la",
) -> None:
    pen.text(place, text, fill=colour, font=picture_font(size), anchor=anchor)


def _png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG", optimize=True)
    return content.getvalue()


def draw_course(name: str, lines: Sequence[dict[str, Any]], base_iou: float | None) -> bytes:
    """The loss and the IoUs of a training over its steps, as PNG; `lines` as the history has them."""
    picture = Image.new("RGB", (_WIDTH, 380), _PAPER)
    pen = ImageDraw.Draw(picture)
    last = max([line["step"] for line in lines], default=1) or 1
    losses = _smoothed([(line["step"], line["loss"]) for line in lines if line.get("loss") is not None])
    top = max([value for _, value in losses], default=1.0) or 1.0
    _axes(
        pen,
        (70, 60, 520, 320),
        f"{name}: loss",
        last,
        0,
        top,
        [(f"training pages (mean of {_SMOOTHED} steps)", _BASE, losses)],
    )
    seen = _smoothed([(line["step"], line["iou"]) for line in lines if line.get("iou") is not None])
    valid = [(line["step"], line["val_iou"]) for line in lines if line.get("val_iou") is not None]
    dots = [
        (f"training pages (best candidate, mean of {_SMOOTHED})", _BASE, seen),
        ("val, boxes, mean over categories", _TUNED, valid),
    ]
    _axes(pen, (630, 60, 1080, 320), "IoU", last, 0, 1, dots, base_iou)
    return _png(picture)


def _smoothed(values: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Means over the last steps: a step sees a page or two, by one kind of prompt."""
    found = [value for _, value in values]
    return [
        (step, float(np.mean(found[max(0, place + 1 - _SMOOTHED) : place + 1])))
        for place, (step, _) in enumerate(values)
    ]


def _axes(
    pen: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    title: str,
    last: int,
    low: float,
    high: float,
    curves: Sequence[tuple[str, Colour, Sequence[tuple[float, float]]]],
    base: float | None = None,
) -> None:
    left, top, right, bottom = box
    _write(pen, (left, top - 42), title, size=16)

    def place(step: float, value: float) -> tuple[float, float]:
        share = (min(max(value, low), high) - low) / (high - low)
        return left + step / last * (right - left), bottom - share * (bottom - top)

    for part in range(5):
        value = low + part / 4 * (high - low)
        y = place(0, value)[1]
        pen.line((left, y, right, y), fill=_GRID)
        _write(pen, (left - 8, y), f"{value:.2f}", _FAINT, anchor="rm")
        _write(pen, (left + part / 4 * (right - left), bottom + 8), f"{part / 4 * last:.0f}", _FAINT, anchor="ma")
    _write(pen, ((left + right) / 2, bottom + 28), "steps", _FAINT, anchor="ma")
    if base is not None:
        y = place(0, base)[1]
        pen.line((left, y, right, y), fill=_INK)
        _write(pen, (right, y - 3), f"val before: {base:.3f}", _INK, anchor="rb")
    across = float(left)
    for words, colour, values in curves:
        _write(pen, (across, top - 20), words, colour, 13)
        across += picture_font(13).getlength(words) + 16
        places = [place(step, value) for step, value in values]
        if len(places) > 1:
            pen.line(places, fill=colour, width=2, joint="curve")
        if len(places) < 40:
            for x, y in places:
                pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)


def draw_report(
    name: str,
    base: str,
    verdict: Verdict,
    figures: Sequence[CategoryFigure],
    judged: Sequence[Judged],
    page_of: Callable[[int], RgbImage],
) -> bytes:
    """The report as PNG: bars by category, then the best, worst and most changed answers to boxes.

    `page_of` gives the pixels of a page by its id.
    """
    chosen = _chosen(judged)
    row_height = _TILE + 62
    picture = Image.new("RGB", (_WIDTH, 430 + row_height * len(chosen)), _PAPER)
    pen = ImageDraw.Draw(picture)
    good = verdict.verdict == BETTER
    _write(
        pen,
        (_GAP, 14),
        f"{name}: {verdict.verdict}" + (f" than {base}" if good else f" {base}"),
        _TRUE if good else _BAD,
        20,
    )
    for place, line in enumerate(textwrap.wrap(verdict.reason, _LINE)[:3]):
        _write(pen, (_GAP, 42 + 17 * place), line, _FAINT)
    for place, (figure, prompt, words) in enumerate(_CHARTS):
        bars = [one for one in figures if one.figure == figure and one.prompt == prompt]
        _bars(pen, (60 + place * 275, 120, 255 + place * 275, 340), words, bars)
    _write(pen, (_GAP, 392), "base", _BASE, 15)
    _write(pen, (_GAP + 50, 392), "tuned", _TUNED, 15)
    _write(pen, (_GAP + 105, 392), "(thin line: 95 % interval of the gain, on the tuned bar); in the pictures", _FAINT)
    _write(pen, (_GAP + 575, 392), "green: the true outline", _TRUE)
    top = 430
    for title, some in chosen:
        _write(pen, (_GAP, top), title, size=16)
        for place, one in enumerate(some):
            _tile(picture, pen, (_GAP + place * (_TILE + _GAP), top + 24), one, page_of(one.row.image_id))
        top += row_height
    return _png(picture)


_CHARTS = (
    (IOU, BOX, "IoU, asked by boxes"),
    (IOU, POINT, "IoU, asked by a click"),
    (BOUNDARY, BOX, "boundary F, boxes"),
    (HEAD, BOX, "error of predicted IoU"),
)


def _bars(
    pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], title: str, figures: Sequence[CategoryFigure]
) -> None:
    left, top, right, bottom = box
    _write(pen, (left - 30, top - 34), title, size=15)
    for part in range(5):
        y = bottom - part / 4 * (bottom - top)
        pen.line((left, y, right, y), fill=_GRID)
        _write(pen, (left - 6, y), f"{part / 4:.2f}", _FAINT, 12, "rm")
    wide = (right - left) / max(1, len(figures))
    for place, one in enumerate(figures):
        x = left + place * wide
        for shift, value, colour in ((0.1, one.base, _BASE), (0.5, one.tuned, _TUNED)):
            pen.rectangle(
                (x + shift * wide, bottom - value * (bottom - top), x + (shift + 0.38) * wide, bottom), fill=colour
            )
        middle = x + 0.69 * wide
        ends = [bottom - min(1.0, max(0.0, one.base + gain)) * (bottom - top) for gain in (one.low, one.high)]
        pen.line((middle, ends[0], middle, ends[1]), fill=_INK)
        words = one.category if len(one.category) < 10 else f"{one.category[:9]}."
        _write(
            pen, (x + wide / 2, bottom + 6 + 15 * (place % 2)), words, _INK if one.category == ALL else _FAINT, 12, "ma"
        )


def _chosen(judged: Sequence[Judged]) -> list[tuple[str, list[Judged]]]:
    """The rows of pictures: each thing once, of as many categories as there are."""
    boxed = [one for one in judged if one.row.prompt == BOX]
    change = {id(one): one.row.iou_tuned - one.row.iou_base for one in boxed}
    rows = (
        ("Best answers of the tuned network", sorted(boxed, key=lambda one: -one.row.iou_tuned)),
        ("Worst answers of the tuned network", sorted(boxed, key=lambda one: one.row.iou_tuned)),
        ("Most gained", sorted(boxed, key=lambda one: -change[id(one)])),
        ("Most lost", [one for one in sorted(boxed, key=lambda one: change[id(one)]) if change[id(one)] < 0]),
    )
    return [(title, _spread(ordered)) for title, ordered in rows if ordered]


def _spread(ordered: Sequence[Judged]) -> list[Judged]:
    """The first few, each category's first before any second."""
    ranks: dict[str, int] = {}
    ranked = []
    for place, one in enumerate(ordered):
        rank = ranks[one.row.category] = ranks.get(one.row.category, -1) + 1
        ranked.append((rank, place, one))
    return [one for _, _, one in sorted(ranked, key=lambda entry: entry[:2])[:_TILES]]


def _tile(picture: Image.Image, pen: ImageDraw.ImageDraw, place: tuple[int, int], one: Judged, page: RgbImage) -> None:
    """Base and tuned side by side in a tile."""
    height, width = page.shape[:2]
    true, base, tuned = (decode_mask(rle, height, width) for rle in (one.true, one.base, one.tuned))
    part = _window(mask_box(true), width, height)
    half = (_TILE - 4) // 2
    for number, (mask, colour, iou) in enumerate(((base, _BASE, one.row.iou_base), (tuned, _TUNED, one.row.iou_tuned))):
        shown = _laid(page[part], mask[part], true[part], colour, half, _TILE - 24)
        left = place[0] + number * (half + 4)
        picture.paste(shown, (left + (half - shown.width) // 2, place[1] + (_TILE - 24 - shown.height) // 2))
        _write(pen, (left, place[1] + _TILE - 20), f"IoU {iou:.3f}", colour, 13)
    _write(pen, (place[0], place[1] + _TILE - 4), f"{one.row.category}, {one.row.page}"[:36], _FAINT, 12)


def _window(box: npt.NDArray[np.float32], width: int, height: int) -> tuple[slice, slice]:
    reach = _AROUND * float(max(box[2] - box[0], box[3] - box[1])) + 4
    x1, y1 = (max(0, int(value - reach)) for value in box[:2])
    x2, y2 = (min(limit, int(value + reach) + 1) for value, limit in zip(box[2:], (width, height), strict=True))
    return slice(y1, y2), slice(x1, x2)


def _laid(
    page: RgbImage, mask: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_], colour: Colour, wide: int, high: int
) -> Image.Image:
    scale = min(wide / page.shape[1], high / page.shape[0])
    size = (max(1, int(page.shape[1] * scale)), max(1, int(page.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    shown = np.array(cv2.resize(page, size, interpolation=how))
    small, outline = (cv2.resize(each.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) for each in (mask, true))
    shown[small > 0] = (0.5 * shown[small > 0] + 0.5 * np.array(colour)).astype(np.uint8)
    contours, _ = cv2.findContours(outline, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(shown, contours, -1, _TRUE, 1)
    return Image.fromarray(shown)
