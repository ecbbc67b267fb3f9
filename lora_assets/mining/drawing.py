"""The map of objects and sheets of the kept ones as pictures, in English, Japanese and Traditional Chinese.

What belongs elsewhere: the interactive page (tracker), places and clusters (layout).
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from lora_assets.mining.embedding import object_picture
from lora_assets.store import Store
from lora_assets.tables.mining import MapPoint, MinedObject, RareObject
from lora_assets.vision.crops import contact_sheet, picture_markdown
from lora_assets.vision.images import RgbImage
from lora_assets.vision.plot_fonts import font_families, picture_font

_WORDS = {
    "en": {"title": "Objects by likeness", "count": "{kept} of {all} kept", "kept": "kept", "other": "others",
           "none": "nothing to show"},
    "ja": {"title": "物体の類似度マップ", "count": "{all} 件中 {kept} 件を保持", "kept": "保持", "other": "その他",
           "none": "表示するものがありません"},
    "zh-TW": {"title": "物件相似度地圖", "count": "{all} 件中保留 {kept} 件", "kept": "保留", "other": "其他",
              "none": "沒有可顯示的內容"},
}  # fmt: skip
# Okabe and Ito's colours, told apart with any colour vision; more clusters repeat them with another mark.
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c7a00")
_MARKS = ("o", "s", "^", "D", "v", "P", "X")
_MOST_NAMES = 24
_TILES, _COLUMNS, _TILE, _LINE = 24, 6, 128, 34


def draw_map(points: Sequence[MapPoint], language: str = "en", said: Sequence[str] = ()) -> bytes:
    """The map as PNG: colours and marks by cluster, kept objects large and outlined, clusters named.

    `said` stands below it. On a machine without a CJK font, CJK words are boxes (`lora-assets doctor` says so).
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    words = _WORDS[language]
    with warnings.catch_warnings(), matplotlib.rc_context({"font.family": font_families(language), "font.size": 11}):
        if len(font_families(language)) < 2:
            warnings.filterwarnings("ignore", message="Glyph")
        figure = Figure(figsize=(11, 8.5), dpi=110)
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        kept = sum(point.kept for point in points)
        axes.set_title(f"{words['title']}  ({words['count'].format(kept=kept, all=len(points))})")
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xticks([])
        axes.set_yticks([])
        if points:
            _scatter(axes, points, words)
            _write_names(axes, points)
        else:
            axes.text(0.5, 0.5, words["none"], ha="center", va="center", fontsize=16)
        if said:
            figure.text(0.02, 0.01, "\n".join(said)[:400], fontsize=8, color="#555555", wrap=True)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", bbox_inches="tight")
    return buffer.getvalue()


def _scatter(axes: Any, points: Sequence[MapPoint], words: Mapping[str, str]) -> None:
    for kept in (False, True):
        for number in sorted({point.cluster for point in points}):
            part = [point for point in points if point.kept is kept and point.cluster == number]
            if not part:
                continue
            colour = _COLOURS[number % len(_COLOURS)] if number >= 0 else "#9a9a9a"
            axes.scatter(
                [point.x for point in part], [point.y for point in part], s=54 if kept else 14, c=colour,
                marker=_MARKS[number // len(_COLOURS) % len(_MARKS)] if number >= 0 else "o",
                alpha=0.95 if kept else 0.45, edgecolors="#1f1e1c" if kept else "none", linewidths=1.1 if kept else 0,
            )  # fmt: skip
    axes.scatter([], [], s=54, c="#ffffff", edgecolors="#1f1e1c", linewidths=1.1, label=words["kept"])
    axes.scatter([], [], s=14, c="#9a9a9a", label=words["other"])
    axes.legend(loc="upper right", frameon=True)


def _write_names(axes: Any, points: Sequence[MapPoint]) -> None:
    names = {point.cluster: point.cluster_name for point in points if point.cluster >= 0}
    for number in sorted(names)[:_MOST_NAMES]:
        places = np.array([(point.x, point.y) for point in points if point.cluster == number])
        x, y = np.median(places, axis=0)
        axes.text(
            x, y, names[number], ha="center", va="center", fontsize=11, weight="bold",
            bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "alpha": 0.75, "edgecolor": "none"},
        )  # fmt: skip


def draw_sheet(store: Store, named: Sequence[tuple[str, str]]) -> RgbImage:
    """The small pictures of objects (id, words) on one sheet, the words below each; an absent picture is an empty
    square."""
    shown = list(named)[:_TILES]
    thumbs = []
    for name, _ in shown:
        try:
            with Image.open(object_picture(store, name)) as picture:
                thumbs.append(np.asarray(picture.convert("RGB")))
        except OSError:
            thumbs.append(np.full((_TILE, _TILE, 3), 238, np.uint8))
    columns = min(_COLUMNS, max(1, len(shown)))
    lines = max(1, math.ceil(len(shown) / columns))
    step = _TILE + 4
    sheet = Image.new("RGB", (columns * step + 4, lines * (step + _LINE) + 4), "white")
    pen, font = ImageDraw.Draw(sheet), picture_font(12)
    for number, (thumb, (_, words)) in enumerate(zip(thumbs, shown, strict=True)):
        left, top = number % columns * step, number // columns * (step + _LINE)
        sheet.paste(Image.fromarray(contact_sheet([thumb], 1, _TILE)), (left, top))
        for row, line in enumerate(words.split("\n")[:2]):
            pen.text((left + 6, top + step + row * 15), _fitting(line, font), fill=(30, 34, 40), font=font)
    return np.asarray(sheet)


def _fitting(line: str, font: Any) -> str:
    while line and font.getlength(line) > _TILE - 4:
        line = line[:-2].rstrip() + "…" if not line.endswith("…") else line[:-2] + "…"
        if len(line) <= 2:
            break
    return line


def oddest_first(rated: Sequence[RareObject]) -> list[RareObject]:
    """The kept objects: those with most reasons first, then by IsolationForest, then by the rarity of the class."""
    return sorted(
        (each for each in rated if each.kept),
        key=lambda each: (-len(each.reasons), -(each.isolation_score or 0.0), -each.rarity_bits, each.object_id),
    )


_SHORT = {"isolation_forest": "forest", "lof": "LOF", "rare_class": "class", "keyword": "keyword"}


def sheet_markdown(store: Store, rated: Sequence[RareObject], captions: Mapping[str, str] | None = None) -> str:
    """Markdown with a sheet of the kept objects inside; says so when there is none."""
    told = captions or {}
    named = [
        (each.object_id, f"{told.get(each.object_id, each.label)}\n{'+'.join(_SHORT[name] for name in each.reasons)}")
        for each in oddest_first(rated)
    ]
    if not named:
        return "nothing is kept"
    return picture_markdown("kept objects", draw_sheet(store, named))


def objects_markdown(store: Store, rows: Sequence[MinedObject]) -> str:
    """Markdown with a sheet of objects inside, spread over all of them; says so when there is none."""
    if not rows:
        return "no object"
    count = min(_TILES, len(rows))
    spread = [rows[number * len(rows) // count] for number in range(count)]
    return picture_markdown(
        "objects", draw_sheet(store, [(row.object_id, f"{row.label}\n{row.passed_as}") for row in spread])
    )


def map_markdown(png: bytes) -> str:
    """Markdown with the map inside, small enough for Dagster's metadata."""
    with Image.open(io.BytesIO(png)) as picture:
        return picture_markdown("map of objects", np.asarray(picture.convert("RGB")))


def map_path(data: Path, tracker: str, language: str) -> Path:
    """Where the map of a tracker lies as PNG."""
    return data / "pages" / "mining" / f"{tracker}.{language}.png"
