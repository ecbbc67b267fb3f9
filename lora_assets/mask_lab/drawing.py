"""Pictures of a sweep: mask, cut-out, overlay and zoom on an edge; the plot of coverage and of quality against time.

What belongs elsewhere: where the files lie (folders), the page (tracker).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from lora_assets.mask_lab.sweeping import JudgedMask, clipped
from lora_assets.tables import Mask
from lora_assets.tables.mask_lab import PresetResult
from lora_assets.vision.crops import contact_sheet, picture_markdown, sheet_jpeg
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import BoolMask, Window, mask_pixels, place_pixels, window_pixels
from lora_assets.vision.plot_fonts import font_families

GREEN = (40, 200, 90)
TRUTH_COLOUR = (255, 46, 138)
_OPACITY = 0.45
_AROUND = 0.12
_ZOOM = 4
_ZOOM_SIDE = 480
"""Pixels of the zoomed picture; a quarter of that is looked at."""
_NAME_LETTERS = 16
_FAR = 4.0
"""Times so many times apart are drawn on a logarithmic axis."""
_BAR_COLOURS = ("#0072b2", "#e69f00")
_FRONT, _NAMED, _GRID = "#009e73", "#1f1e1c", "#9a9a9a"
_WORDS = {
    "en": {
        "cover": "Coverage and bounding box, share of the frame",
        "coverage": "mask",
        "box": "bounding box",
        "pareto": "Quality against time",
        "time": "milliseconds per frame, on one core",
        "quality": "objective, 0 to 1 (mean over {judged} masks)",
        "front": "on the Pareto front",
        "behind": "others",
        "none": "no truth and no second opinion:\nquality is not known",
    },
    "ja": {
        "cover": "被覆率と外接矩形（フレームに対する割合）",
        "coverage": "マスク",
        "box": "外接矩形",
        "pareto": "品質と時間",
        "time": "1 フレームあたりミリ秒（1 コア）",
        "quality": "目的値 0～1（{judged} 個のマスクの平均）",
        "front": "パレート境界上",
        "behind": "その他",
        "none": "正解も第二の意見もないため\n品質は不明です",
    },
    "zh-TW": {
        "cover": "覆蓋率與外接框（佔畫面比例）",
        "coverage": "遮罩",
        "box": "外接框",
        "pareto": "品質與時間",
        "time": "每張畫面毫秒（單核心）",
        "quality": "目標值 0～1（{judged} 個遮罩的平均）",
        "front": "位於帕雷托前緣",
        "behind": "其他",
        "none": "沒有標準答案，也沒有第二意見：\n品質未知",
    },
}


def frame_mask(row: Mask, width: int, height: int) -> npt.NDArray[np.uint8]:
    """The mask on the whole frame: 255 on it, 0 elsewhere (height, width)."""
    return window_pixels(row, (0, 0, width, height)).astype(np.uint8) * np.uint8(255)


def overlay(image: RgbImage, row: Mask) -> RgbImage:
    """The frame with the mask in green over it, outlined."""
    found = image.copy()
    x, y, width, height = row.x, row.y, row.width, row.height
    pixels = mask_pixels(row)
    part = found[y : y + height, x : x + width]
    mixed = part[pixels] * (1 - _OPACITY) + np.array(GREEN) * _OPACITY
    part[pixels] = np.rint(mixed).astype(np.uint8)
    thick = max(1, round(max(image.shape[:2]) / 900))
    cv2.drawContours(found, _outlines(pixels, (x, y)), -1, GREEN, thick)
    return found


def _outlines(pixels: BoolMask, offset: tuple[int, int] = (0, 0)) -> Any:
    return cv2.findContours(pixels.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=offset)[0]


def edge_window(refined: Sequence[Mask], judged: JudgedMask) -> Window:
    """Where to look at the edge closely, the same place for every preset: the square in which they differ most."""
    frame = judged.sampled.frame
    side = min(_ZOOM_SIDE // _ZOOM, frame.width, frame.height)
    rows = [row for row in refined if row.area]
    if not rows:
        row = judged.sampled.row
        x, y = row.x + row.width // 2 - side // 2, row.y + row.height // 2 - side // 2
        return clipped((x, y, side, side), frame.width, frame.height)
    left, top = min(row.x for row in rows), min(row.y for row in rows)
    right, bottom = max(row.x + row.width for row in rows), max(row.y + row.height for row in rows)
    window = (left, top, right - left, bottom - top)
    masks = [place_pixels(mask_pixels(row), row.x, row.y, window) for row in rows]
    share = np.asarray(np.mean(masks, axis=0), np.float32)
    unlike = np.asarray(
        cv2.boxFilter(share * (1 - share), -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
    )
    y, x = np.unravel_index(int(unlike.argmax()), unlike.shape)
    x1 = int(np.clip(left + x - side // 2, 0, frame.width - side))
    y1 = int(np.clip(top + y - side // 2, 0, frame.height - side))
    return x1, y1, side, side


def close_window(refined: Sequence[Mask], judged: JudgedMask) -> Window:
    """The character with its surroundings, the same window for every preset."""
    rows = [row for row in refined if row.area] or [judged.sampled.row]
    left, top = min(row.x for row in rows), min(row.y for row in rows)
    right, bottom = max(row.x + row.width for row in rows), max(row.y + row.height for row in rows)
    reach = max(8, round(_AROUND * max(right - left, bottom - top)))
    frame = judged.sampled.frame
    window = (left - reach, top - reach, right - left + 2 * reach, bottom - top + 2 * reach)
    return clipped(window, frame.width, frame.height)


def edge_zoom(image: RgbImage, row: Mask, judged: JudgedMask, window: Window) -> RgbImage:
    """A part of the frame four times as large, with the mask's outline in green and the judge's in pink."""
    x, y, width, height = window
    part = np.ascontiguousarray(image[y : y + height, x : x + width])
    large = np.asarray(cv2.resize(part, (width * _ZOOM, height * _ZOOM), interpolation=cv2.INTER_NEAREST), np.uint8)

    def outline(pixels: BoolMask, colour: tuple[int, int, int], thick: int) -> None:
        # Widened by the pixels at the rim, so that the window's own edge is no outline.
        enlarged = np.pad(np.kron(pixels, np.ones((_ZOOM, _ZOOM), np.bool_)), _ZOOM, mode="edge")
        cv2.drawContours(large, _outlines(enlarged, (-_ZOOM, -_ZOOM)), -1, colour, thick)

    if judged.mask is not None:
        outline(place_pixels(judged.mask, *judged.window[:2], window), TRUTH_COLOUR, 2)
    outline(window_pixels(row, window), GREEN, 2)
    return large


def plot(results: Sequence[PresetResult], language: str = "en") -> bytes:
    """The plot as PNG: coverage and bounding box of the presets, and the objective against the seconds.

    Of a grid only the best preset is named. On a machine without a CJK font, CJK words are boxes.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    words, families = _WORDS[language], font_families(language)
    with warnings.catch_warnings(), matplotlib.rc_context({"font.family": families, "font.size": 10}):
        if len(families) < 2:
            warnings.filterwarnings("ignore", message="Glyph")
        figure = Figure(figsize=(13, 5.4), dpi=110)
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2, width_ratios=(2, 3))
        # Fixed margins: a layout that measures its words first draws everything twice.
        figure.subplots_adjust(left=0.1, right=0.98, top=0.92, bottom=0.12, wspace=0.2)
        _bars(left, [each for each in results if ":" not in each.preset] or results[:12], words)
        _scatter(right, results, words)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _bars(axes: Any, results: Sequence[PresetResult], words: dict[str, str]) -> None:
    places = np.arange(len(results))[::-1]
    for shift, colour, label, values in (
        (0.2, _BAR_COLOURS[0], words["coverage"], [100 * each.coverage for each in results]),
        (-0.2, _BAR_COLOURS[1], words["box"], [100 * each.box_share for each in results]),
    ):
        bars = axes.barh(places + shift, values, 0.38, color=colour, label=label)
        axes.bar_label(bars, fmt="%.1f %%", padding=3, fontsize=8, color="#555555")
    axes.set_yticks(places, [_short(each.preset, _NAME_LETTERS) for each in results])
    axes.set_title(words["cover"])
    axes.set_xlim(0, max((100 * each.box_share for each in results), default=1.0) * 1.2 + 0.5)
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=2, frameon=False)


def _scatter(axes: Any, results: Sequence[PresetResult], words: dict[str, str]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    rated = [each for each in results if each.objective is not None]
    axes.set_title(words["pareto"])
    axes.set_xlabel(words["time"])
    if not rated:
        axes.text(0.5, 0.5, words["none"], ha="center", va="center", fontsize=13, transform=axes.transAxes)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    axes.set_ylabel(words["quality"].format(judged=max(each.judged for each in rated)))
    front = sorted((each for each in rated if each.on_front), key=lambda each: each.seconds)
    behind = [each for each in rated if not each.on_front]

    def at(some: Sequence[PresetResult]) -> tuple[list[float], list[float]]:
        return [1000 * each.seconds for each in some], [each.objective or 0.0 for each in some]

    axes.scatter(
        *at(behind), s=34, c=[_GRID if ":" in each.preset else _NAMED for each in behind], label=words["behind"]
    )
    axes.step(*at(front), where="post", color=_FRONT, linewidth=1.4, alpha=0.7)
    axes.scatter(*at(front), s=64, c=_FRONT, label=words["front"], zorder=3)
    if max(each.seconds for each in rated) > _FAR * max(1e-9, min(each.seconds for each in rated)):
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.16, y=0.12)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    best = max(rated, key=lambda each: each.objective or 0.0)
    _name(axes, [each for each in rated if each is best or ":" not in each.preset])
    axes.legend(loc="lower right", frameon=True)


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _name(axes: Any, results: Sequence[PresetResult]) -> None:
    """The names beside their points, those that would lie on each other moved apart."""
    axes.autoscale_view()
    dots = [axes.transData.transform((1000 * each.seconds, each.objective)) for each in results]
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in dots]
    for each in sorted(results, key=lambda one: -(one.objective or 0.0)):
        x, y = axes.transData.transform((1000 * each.seconds, each.objective))
        name = _short(each.preset, 40)
        wide = 7.6 * len(name)
        for right, down in ((9, -4), (9, 9), (9, -17), (9, 22), (9, -30), (9, 35), (9, -43), (9, 48), (9, -56)):
            box = (x + right, y + down, x + right + wide, y + down + 13)
            if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
                break
        taken.append(box)
        arrow = {"arrowstyle": "-", "color": "#bbbbbb", "linewidth": 0.7} if abs(down) > 12 else None
        axes.annotate(
            name, (1000 * each.seconds, each.objective), (right * 72 / 110, down * 72 / 110), fontsize=9,
            textcoords="offset points", arrowprops=arrow,
        )  # fmt: skip


def plot_markdown(png: bytes, overlays: Sequence[RgbImage]) -> str:
    """Markdown with the plot, and a sheet of overlays below, small enough for Dagster's metadata."""
    with Image.open(io.BytesIO(png)) as picture:
        parts = [("quality against time", sheet_jpeg(np.asarray(picture.convert("RGB")), 120_000))]
    if overlays:
        parts.append(("overlays", sheet_jpeg(contact_sheet(list(overlays), 4, 240), 120_000)))
    return "\n\n".join(picture_markdown(name, content) for name, content in parts)
