"""Crops of a stage that is still being made: what its finished chunks hold, read like a published table.

Only pages look at it: what is published, and everything that is built on it, waits for the whole stage. How far the
stage is says under_way; what a page tells of that is in progress.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lora_assets.store import PublishedTable, Shelf, Store, StoreError, digest
from lora_assets.tables import ScoredCrop, arrow_schema
from lora_assets.under_way import StageState

CROPS = "scored_crops"


@dataclass(frozen=True, slots=True)
class UnfinishedTable(PublishedTable):
    """The rows of `frames` in chunks that will not change any more. `path` is the folder of the shelf."""

    row_type: type
    chunks: tuple[tuple[Path, tuple[str, ...]], ...]
    """each chunk with those frames of the dataset that are read from it"""

    @property
    def rows(self) -> int:
        """How many rows there are by now."""
        return len(self.read(["frame_sha256"]))

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return arrow_schema(self.row_type).names

    def batches(self, names: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows, or the named columns only, chunk by chunk. Raises StoreError for a damaged file."""
        wanted = list(names) if names else self.columns
        for path, frames in self.chunks:
            try:
                # A name given twice is read once.
                found = pq.read_table(path, columns=list(dict.fromkeys([*wanted, "frame_sha256"])), partitioning=None)  # pyright: ignore
            except (OSError, pa.ArrowException) as error:
                raise StoreError(f"{path} is damaged or gone ({error}): run the tracker again") from error
            found = found.filter(pc.is_in(found.column("frame_sha256"), pa.array(frames)))  # pyright: ignore
            yield found.select(wanted).replace_schema_metadata(None)

    def read(self, names: Sequence[str] | None = None) -> pa.Table:
        """The rows, or the named columns only. Raises StoreError for a damaged file."""
        schema = arrow_schema(self.row_type)
        empty = pa.schema([schema.field(name) for name in names] if names else schema).empty_table()
        return pa.concat_tables([empty.replace_schema_metadata(None), *self.batches(names)])

    def rows_of(self, frame: str) -> pa.Table:
        """The rows of one frame."""
        here = tuple((path, (frame,)) for path, frames in self.chunks if frame in frames)
        return UnfinishedTable(self.path, self.version, self.facts, self.row_type, here).read()


def crops_so_far(
    store: Store, state: StageState, frames: Sequence[str], made: PublishedTable | None
) -> PublishedTable | None:
    """The crops of finished chunks of a stage that is under way or was stopped, else `made`, the published table.

    What was published by another recipe stays until the stage is through: a page shows no mixture of two settings.
    `frames` are the hashes of the cell's frames.
    """
    if not state.recipe or (made is not None and made.facts.get("recipe") != state.recipe):
        return made
    shelf = store.shelf(CROPS, state.recipe, ScoredCrop)
    wanted = set(frames)
    chunks: list[tuple[Path, tuple[str, ...]]] = []
    for path, answered in shelf.chunk_frames().items():
        here = tuple(frame for frame in answered if frame in wanted)
        wanted.difference_update(here)
        if here:
            chunks.append((path, here))
    if not chunks:
        return made
    # A shelf is shared: other cells have other frames of the same chunks, perhaps as many.
    version = digest("unfinished", [[path.name, *here] for path, here in chunks])
    told = {"recipe": state.recipe, "run_id": state.run_id, "tracker": state.tracker, "dataset": state.dataset}
    facts = {**_recipe(shelf), **told, "unfinished": True}
    return UnfinishedTable(shelf.folder, version, facts, ScoredCrop, tuple(chunks))


def _recipe(shelf: Shelf) -> dict[str, object]:
    try:
        told = json.loads((shelf.folder / "recipe.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}
