"""Pictures of a curated dataset: the funnel as a chart, contact sheets of chosen crops, characters and groups.

What they show is made elsewhere (readiness, making, groups); the page draws its own funnel.
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from lora_assets.curation.reasons import FUNNEL
from lora_assets.identity.descriptions import read_picture
from lora_assets.store import Store
from lora_assets.tables import CharacterCrop, CropGroup, CuratedCrop
from lora_assets.vision.crops import contact_sheet, picture_markdown

_WIDTH, _BAR, _LEFT, _RIGHT = 760, 34, 150, 110
_INK, _FAINT, _PAPER = (30, 34, 40), (110, 116, 125), (255, 255, 255)
_FIRST, _LAST = np.array([176, 199, 232]), np.array([31, 99, 190])
_TILE, _COLUMNS, _ROWS = 112, 8, 12


def draw_funnel(funnel: Mapping[str, int]) -> bytes:
    """The funnel as a PNG: one bar for each stage, as long as its count, with the share of the stage before."""
    picture = Image.new("RGB", (_WIDTH, 24 + len(FUNNEL) * (_BAR + 14)), _PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    most = max([funnel[stage] for stage in FUNNEL] or [0]) or 1
    before: int | None = None
    for number, stage in enumerate(FUNNEL):
        top, count = 14 + number * (_BAR + 14), funnel[stage]
        length = round((_WIDTH - _LEFT - _RIGHT) * count / most)
        shade = _FIRST + (_LAST - _FIRST) * number / (len(FUNNEL) - 1)
        pen.rectangle((_LEFT, top, _LEFT + max(length, 1), top + _BAR), fill=tuple(int(level) for level in shade))
        pen.text((_LEFT - 10, top + _BAR // 2), stage.replace("_", " "), fill=_INK, font=font, anchor="rm")
        share = f"  ({count / before:.0%})" if before and number > 1 else ""
        pen.text((_LEFT + length + 10, top + _BAR // 2), f"{count:,}{share}", fill=_FAINT, font=font, anchor="lm")
        before = count
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _thumbs(store: Store, names: Sequence[str]) -> list[npt.NDArray[np.uint8]]:
    found = (read_picture(store.picture("thumbs", name, ".webp")) for name in names)
    return [picture for picture in found if picture is not None]


def _spread(names: Sequence[str], count: int) -> list[str]:
    return list(names) if len(names) <= count else [names[place * len(names) // count] for place in range(count)]


def chosen_sheet(store: Store, rows: Sequence[CuratedCrop]) -> npt.NDArray[np.uint8]:
    """A contact sheet of the chosen crops in the order of choice, spread evenly where there are many."""
    chosen = [row.crop_id for row in sorted(rows, key=lambda row: row.rank) if row.chosen]
    return contact_sheet(_thumbs(store, _spread(chosen, _COLUMNS * _ROWS)), _COLUMNS, _TILE)


def characters_sheet(store: Store, rows: Sequence[CharacterCrop]) -> npt.NDArray[np.uint8]:
    """One row for each character, the largest first: its id, how many crops it has, and crops from all over the film;
    last those whom nobody knows."""
    members: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        members[row.character_id].append(row.crop_id)
    order = sorted(members, key=lambda id: (not id, -len(members[id]), id))
    return _rows_of(store, [(id or "unknown", members[id]) for id in order])


def groups_sheet(store: Store, rows: Sequence[CropGroup]) -> npt.NDArray[np.uint8]:
    """One row for each of the largest groups of alike crops, its leader first."""
    members: dict[str, list[CropGroup]] = defaultdict(list)
    for row in rows:
        members[row.group].append(row)
    sizes = Counter({group: len(inside) for group, inside in members.items()})
    largest = [group for group, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])) if size > 1]
    told = []
    for group in largest:
        inside = sorted(members[group], key=lambda row: (row.distance, row.crop_id != group, row.crop_id))
        kinds = Counter(row.kind for row in inside)
        told.append((", ".join(f"{n} {kind}" for kind, n in kinds.items()), [row.crop_id for row in inside]))
    return _rows_of(store, told)


def _rows_of(store: Store, told: Sequence[tuple[str, Sequence[str]]]) -> npt.NDArray[np.uint8]:
    font = ImageFont.load_default(14)
    parts = []
    for name, crops in told[:_ROWS]:
        sheet = contact_sheet(_thumbs(store, _spread(crops, _COLUMNS)), _COLUMNS, _TILE)
        whole = Image.new("RGB", (_COLUMNS * (_TILE + 4) + 4, sheet.shape[0] + 20), _PAPER)
        whole.paste(Image.fromarray(sheet), (0, 20))
        title = f"{name}: {len(crops)} crops".encode("ascii", "replace").decode()
        ImageDraw.Draw(whole).text((4, 2), title, fill=_INK, font=font)
        parts.append(np.asarray(whole))
    return np.concatenate(parts) if parts else contact_sheet([], _COLUMNS, _TILE)


def dataset_markdown(store: Store, rows: Sequence[CuratedCrop], funnel: Mapping[str, int]) -> str:
    """The funnel and the sheet of chosen crops, for Dagster's metadata."""
    sheet = picture_markdown("chosen crops", chosen_sheet(store, rows)) if any(row.chosen for row in rows) else ""
    return f"{picture_markdown('funnel', draw_funnel(funnel))}\n\n{sheet or 'no crop is chosen'}"
