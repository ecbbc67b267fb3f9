"""Which flags came and went among pairs of crops, counted by group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.comparing.cell_rows import Rows


@dataclass(frozen=True, slots=True)
class FlagCount:
    """In how many crops of a group a flag came (`appeared`) or went."""

    group: int
    name: str
    appeared: bool
    count: int


def _matrix(crops: pa.Table, rows: Rows, names: pa.Array) -> npt.NDArray[np.bool_]:
    """(rows, names): which flags the crops of these rows have."""
    flags = crops.column("flags").take(pa.array(rows)).combine_chunks()
    found = np.zeros((len(rows), len(names)), bool)
    parents = pc.list_parent_indices(flags).to_numpy()  # pyright: ignore
    places = pc.index_in(pc.list_flatten(flags), value_set=names).to_numpy(zero_copy_only=False)  # pyright: ignore
    found[parents, places.astype(np.int64)] = True
    return found


def count_flags(
    before: pa.Table, after: pa.Table, rows: tuple[Rows, Rows], groups: npt.NDArray[np.integer]
) -> Iterator[FlagCount]:
    """Count the flags of pairs of rows of two tables of crops, group by group; flags that stayed are not told."""
    told = [pc.list_flatten(crops.column("flags")).unique() for crops in (before, after)]  # pyright: ignore
    names = pa.concat_arrays(told).unique()
    old, new = _matrix(before, rows[0], names), _matrix(after, rows[1], names)
    for appeared, changed in ((True, new & ~old), (False, old & ~new)):
        pair, flag = np.nonzero(changed)
        keys, counts = np.unique(np.stack([groups[pair], flag], axis=1), axis=0, return_counts=True)
        for (group, place), count in zip(keys.tolist(), counts.tolist(), strict=True):
            yield FlagCount(group, names[place].as_py(), appeared, count)
