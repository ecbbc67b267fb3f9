"""A person's masks in the main line: the recipes of a cell with them, and how they lie over the other results.

Only frames that were corrected are made anew: their rows lie on shelves of their own, under recipes that name the
corrections, and all other frames keep the rows that they have. The log itself belongs to verdicts.corrections.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.recipes import CorrectedFrames, TrackerRecipes
from lora_assets.store import PublishedTable, Shelf, Store
from lora_assets.tables import Detection, Mask, with_defaults
from lora_assets.verdicts.corrections import Applied, Kept, digest_of, match_corrections, read_corrections, standing
from lora_assets.verdicts.record import VerdictError
from lora_assets.vision.mask_facts import measure_shape
from lora_assets.vision.masks import encode_mask, mask_bounds


@lru_cache(maxsize=64)
def _frames_among(path: Path, version: str, wanted: frozenset[str]) -> frozenset[str]:
    """Which of the wanted hashes a published frames list holds as usable frames."""
    del version
    table = PublishedTable(path, "", {}).read(["sha256", "quarantine_reason"])
    known = pc.is_in(table.column("sha256"), pa.array(sorted(wanted)))  # pyright: ignore
    usable = pc.is_null(table.column("quarantine_reason"))  # pyright: ignore
    here = pc.and_(known, usable)  # pyright: ignore
    return frozenset(table.filter(here).column("sha256").to_pylist())


def dataset_corrections(store: Store, dataset: str, as_of: int | None = None) -> tuple[tuple[Kept, ...], int]:
    """The standing corrections of a dataset's frames, oldest first, and the row of the log up to which they were read.

    Raises VerdictError when the log cannot be used, StoreError for a damaged frames list.
    """
    kept, seq = read_corrections(store.data, as_of)
    stand = standing(kept)
    frames = store.frames_of(dataset) if stand else None
    if frames is None:
        return (), seq
    wanted = frozenset(one.correction.frame_sha256 for one in stand)
    here = _frames_among(frames.path, frames.version, wanted)
    return tuple(one for one in stand if one.correction.frame_sha256 in here), seq


def cell_recipes(recipes: TrackerRecipes, store: Store, dataset: str, as_of: int | None = None) -> TrackerRecipes:
    """The recipes of a tracker for one dataset: the same where nobody corrected a frame of it, else those of masks and
    scored crops name the corrections. Raises as `dataset_corrections`."""
    plain = without_corrections(recipes)
    kept, seq = dataset_corrections(store, dataset, as_of)
    if not kept:
        return plain
    by_frame: dict[str, tuple[Kept, ...]] = {}
    for one in kept:
        frame = one.correction.frame_sha256
        by_frame[frame] = (*by_frame.get(frame, ()), one)
    told = {**plain.masks.settings, "corrections": f"{len(kept)} ({digest_of(kept)})"}
    masks = replace(plain.masks, settings=told)
    crops = replace(plain.scored_crops, parent=masks.digest)
    corrected = CorrectedFrames(by_frame, seq, plain.masks, plain.scored_crops)
    return replace(plain, masks=masks, scored_crops=crops, corrected=corrected)


def usable_recipes(
    recipes: TrackerRecipes, store: Store, dataset: str, tracker: str
) -> tuple[TrackerRecipes, VerdictError | None]:
    """The recipes of a cell as far as they can be known: `cell_recipes`, or those without corrections, and why, where
    the log cannot be used.

    Raises VerdictError for a cell whose masks were made with corrections: made without them it would lose a person's
    work. What is made without them now takes them up once the log is well again.
    """
    try:
        return cell_recipes(recipes, store, dataset), None
    except VerdictError as error:
        made = store.cell_table("masks", dataset, tracker)
        if made is not None and made.facts.get("corrections_seq") is not None:
            raise
        return without_corrections(recipes), error


def without_corrections(recipes: TrackerRecipes) -> TrackerRecipes:
    """The recipes as they are for a dataset that nobody corrected."""
    if recipes.corrected is None:
        return recipes
    return replace(
        recipes, masks=recipes.corrected.masks, scored_crops=recipes.corrected.scored_crops, corrected=None
    )  # fmt: skip


def as_masks_were_made(
    recipes: TrackerRecipes, store: Store, dataset: str, made: PublishedTable | None
) -> TrackerRecipes:
    """The recipes with the corrections that the cell's published masks were made with.

    A person goes on correcting while a run is under way: its crops belong to its masks, and what was added since is the
    next run's, also the first correction of a dataset: masks that tell of no row of the log were made without any.
    """
    if made is None:
        return recipes
    seq = made.facts.get("corrections_seq")
    if not isinstance(seq, int):
        return without_corrections(recipes)
    return cell_recipes(recipes, store, dataset, as_of=seq)


class OverlaidShelf:
    """Two shelves as one, for reading: the rows of `frames` lie on `top`, those of all others on `below`.

    Rows of earlier versions get the columns that they lack.
    """

    def __init__(self, below: Shelf, top: Shelf, frames: Iterable[str]) -> None:
        self.below = below
        self.top = top
        self.frames = frozenset(frames)
        self.row_type = below.row_type

    def parts(self, frames: Iterable[str]) -> list[tuple[Shelf, set[str]]]:
        """The shelves and which of the frames belong on each; none that has nothing of them."""
        wanted = set(frames)
        split = [(self.below, wanted - self.frames), (self.top, wanted & self.frames)]
        return [(shelf, some) for shelf, some in split if some]

    def missing(self, frames: Iterable[str]) -> set[str]:
        """The frames that have no result where theirs belongs."""
        return {frame for shelf, some in self.parts(frames) for frame in some - shelf.done()}

    def read(self, frames: Iterable[str]) -> Iterator[tuple[list[str], pa.Table]]:
        """As `Shelf.read`."""
        for shelf, some in self.parts(frames):
            for answered, table in shelf.read(some):
                yield answered, with_defaults(table, self.row_type)


def overlaid(below: Shelf, top: Shelf | None, corrected: CorrectedFrames | None) -> OverlaidShelf:
    """The shelf as it is read: with the corrected frames on `top`, where there are some."""
    return OverlaidShelf(below, top or below, corrected.by_frame if corrected and top is not None else ())


def boxes_by_frame(rows: Iterable[Detection]) -> dict[str, list[tuple[str, Any]]]:
    """Detection id and box of every subject, by frame hash: what corrections are matched with."""
    found: dict[str, list[tuple[str, Any]]] = {}
    for row in rows:
        if row.is_subject:
            found.setdefault(row.frame_sha256, []).append((row.detection_id, (row.x1, row.y1, row.x2, row.y2)))
    return found


def correct_rows(
    rows: Sequence[Mask], boxes: Sequence[Detection], kept: Sequence[Kept], frame_width: int, frame_height: int
) -> list[Mask]:
    """The refined masks of one frame, in order, with the person's pixels where a correction applies; all other rows
    are the very same."""
    applied = match_corrections(kept, boxes_by_frame(boxes))
    return [
        row if (one := applied.by_box.get((row.frame_sha256, row.detection_id))) is None
        else _corrected(row, one, frame_width, frame_height)
        for row in rows
    ]  # fmt: skip


def _corrected(row: Mask, kept: Kept, frame_width: int, frame_height: int) -> Mask:
    """The row with the pixels of a correction, trimmed and measured. What the segmenter told of its own pixels and is
    not true of these (neighbours' share, second opinion, background) is taken back."""
    pixels, (left, top, _, _) = kept.correction.pixels, kept.correction.window
    x, y, width, height = mask_bounds(pixels) or (0, 0, *pixels.shape[::-1])
    pixels = np.ascontiguousarray(pixels[y : y + height, x : x + width])
    shape = measure_shape(pixels, left + x, top + y, frame_width, frame_height)
    area = int(np.count_nonzero(pixels))
    return replace(
        row, x=left + x, y=top + y, width=width, height=height, rle=encode_mask(pixels), area=area,
        coverage=area / (frame_width * frame_height), taken_share=0.0, disagreement=None, background_left=None,
        holes=shape.holes, specks=shape.specks, speck_share=shape.speck_share, edge_contact=list(shape.edge_contact),
        corrected=kept.id,
    )  # fmt: skip


def applied_in_cell(store: Store, dataset: str, tracker: str) -> Applied:
    """Which correction of a dataset's frames applies to which box of a tracker, by its published detections.

    Raises as `dataset_corrections`, and StoreError for a damaged table.
    """
    kept, _ = dataset_corrections(store, dataset)
    table = store.cell_table("detections", dataset, tracker)
    if table is None or not kept:
        return match_corrections(kept, {})
    wanted = pa.array(sorted({one.correction.frame_sha256 for one in kept}))
    names = ["frame_sha256", "detection_id", "x1", "y1", "x2", "y2", "is_subject"]
    found = table.read(names)
    boxes: dict[str, list[tuple[str, Any]]] = {}
    for row in found.filter(pc.is_in(found.column("frame_sha256"), wanted)).to_pylist():  # pyright: ignore
        if row["is_subject"]:
            box = (row["x1"], row["y1"], row["x2"], row["y2"])
            boxes.setdefault(row["frame_sha256"], []).append((row["detection_id"], box))
    return match_corrections(kept, boxes)


def waiting_in_cell(store: Store, dataset: str, tracker: str) -> int:
    """How many boxes of a tracker have another mask in its published table than the corrections say now: those that
    were made since, and those that were withdrawn since. 0 before the cell has masks.

    Raises as `applied_in_cell`.
    """
    table = store.cell_table("masks", dataset, tracker)
    if table is None:
        return 0
    wanted = {box: one.id for box, one in applied_in_cell(store, dataset, tracker).by_box.items()}
    if not wanted and table.facts.get("corrections_seq") is None:
        return 0
    rows = with_defaults(table.read(), Mask).select(["frame_sha256", "detection_id", "corrected"]).to_pylist()
    found = {(row["frame_sha256"], row["detection_id"]): row["corrected"] for row in rows}
    return sum(wanted.get(box) != corrected for box, corrected in found.items())
