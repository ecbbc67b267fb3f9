"""What the judge looks at: the measured columns of scored crops as numbers, standardised as plain figures.

Columns are taken by what they are, not by a fixed list: every number or truth value of a row is a measurement unless
its name says that it is a place, a name or an answer of the rules' last step. Flags are taken by name, with how far the
value lies past its limit. A null, a NaN or a missing column is *absent*, which is a measurement of its own.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

CODE_VERSION = "1"

# Places and names say where a crop lies, not how good it is; the last two repeat `is_valid_content` and `tier`.
NOT_MEASURED = (
    "x", "y", "x1", "y1", "x2", "y2", "*_x", "*_y", "*.x", "*.y", "*_id", "*_index", "*_ns", "*_at", "*seed*", "inode",
    "bytes", "shot", "p_good", "has_picture", "lora_suitable",
)  # fmt: skip
# Sizes and counts span orders of magnitude: their logarithm is what differs between a small and a large figure.
COUNTED = ("width", "height", "area", "*.area", "*_count", "*_pixels", "*.sharpness")
RULES_SCORE = "score"
_FLAG = "flag:"
_PAST = "past limit:"
_PAST_MOST = 5.0
# No count or share of a picture is larger; squares and sums of it stay finite.
_MOST = 1e15
_TALL = "height over width"

Row = Mapping[str, Any]


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _number(value: Any) -> float:
    """A finite number, or NaN (absent) for anything else and for what no picture can measure."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if abs(number) <= _MOST else math.nan


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float | np.bool_ | np.number)


def measured_names(rows: Sequence[Row]) -> list[str]:
    """The names of the measured columns of rows, sorted: columns with a number in any row, and flags in any row."""
    numeric: set[str] = set()
    flags: set[str] = set()
    for row in rows:
        numeric.update(name for name, value in row.items() if name not in numeric and _is_number(value))
        flags.update(row.get("flags") or ())
    names = {name for name in numeric if not _fits(name, NOT_MEASURED)}
    names |= {f"{kind}{flag}" for flag in flags for kind in (_FLAG, _PAST)}
    if {"width", "height"} <= numeric:
        names.add(_TALL)
    return sorted(names)


def _past_limit(row: Row, flag: str) -> float:
    """How far a flag's value lies past its limit, as a share of the limit, 0..5; 0 without the flag."""
    flags = list(row.get("flags") or ())
    values, limits = row.get("flag_values") or (), row.get("flag_limits") or ()
    index = flags.index(flag) if flag in flags else -1
    if index < 0:
        return 0.0
    if index >= len(values) or index >= len(limits):
        return math.nan
    value, limit = _number(values[index]), _number(limits[index])
    return min(_PAST_MOST, abs(value - limit) / max(abs(limit), 1e-6)) if math.isfinite(value + limit) else math.nan


def _values(rows: Sequence[Row], name: str) -> list[float]:
    if name.startswith(_FLAG):
        flag = name.removeprefix(_FLAG)
        return [1.0 if flag in (row.get("flags") or ()) else 0.0 for row in rows]
    if name.startswith(_PAST):
        return [_past_limit(row, name.removeprefix(_PAST)) for row in rows]
    if name == _TALL:
        sides = [(_number(row.get("height")), _number(row.get("width"))) for row in rows]
        return [math.log(h / w) if h > 0 and w > 0 else math.nan for h, w in sides]
    values = [_number(row.get(name)) for row in rows]
    return [math.log1p(max(0.0, value)) for value in values] if _fits(name, COUNTED) else values


def in_plain_units(name: str, value: float) -> float:
    """A measured value as the table has it: logarithms are undone."""
    if name == _TALL:
        return math.exp(value)
    return math.expm1(value) if _fits(name, COUNTED) else value


def measurements(rows: Sequence[Row], names: Sequence[str]) -> FloatArray:
    """The measured values (rows, names) float64; NaN where a value is absent."""
    if not rows:
        return np.zeros((0, len(names)))
    return np.array([_values(rows, name) for name in names], np.float64).reshape(len(names), len(rows)).T


@dataclass(frozen=True, slots=True)
class SeenColumn:
    """What the judged crops showed of one column: mean and spread of the values, their range, the marks at which a
    tenth lies below and above, and whether any value was absent or present. All but the last two in measured units."""

    name: str
    mean: float
    spread: float
    low: float
    high: float
    tenth: float
    ninetieth: float
    absent_seen: bool
    present_seen: bool

    @property
    def varies(self) -> bool:
        """True when the judge can learn from the column's values."""
        return self.present_seen and self.spread > 0.0


def see_columns(names: Sequence[str], values: FloatArray) -> tuple[SeenColumn, ...]:
    """The facts of every column of `values` (rows, names)."""
    seen = []
    for name, column in zip(names, values.T, strict=True):
        present = column[np.isfinite(column)]
        if not present.size:
            seen.append(SeenColumn(name, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, bool(column.size), False))
            continue
        low, high = float(present.min()), float(present.max())
        spread = float(present.std()) if high - low > 1e-9 * max(1.0, abs(low), abs(high)) else 0.0
        tenth, ninetieth = (float(mark) for mark in np.quantile(present, (0.1, 0.9)))
        absent = present.size < column.size
        seen.append(SeenColumn(name, float(present.mean()), spread, low, high, tenth, ninetieth, absent, True))
    return tuple(seen)


def standardised(columns: Sequence[SeenColumn], values: FloatArray) -> FloatArray:
    """(rows, 2 x columns): each value clipped to the range seen, minus mean, over spread (0 where absent or constant);
    then 1 where it is absent and absence was seen beside presence, else 0."""
    size = len(columns)
    matrix = np.zeros((values.shape[0], 2 * size))
    absent = ~np.isfinite(values)
    for index, column in enumerate(columns):
        if column.varies:
            clipped = np.clip(values[:, index], column.low, column.high)
            matrix[:, index] = np.where(absent[:, index], 0.0, (clipped - column.mean) / column.spread)
        if column.absent_seen and column.present_seen:
            matrix[:, size + index] = absent[:, index]
    return matrix


def outside_seen(columns: Sequence[SeenColumn], values: FloatArray, weights: FloatArray) -> FloatArray:
    """How much the part of each row that lies outside the judged crops could move the answer, (rows,) in log odds.

    A value beyond the range seen counts by its distance in spreads times its weight. A value that differs where all
    judged crops were alike (a flag never judged), and an absence or a presence never seen, count as infinite:
    `weights` (columns,) cannot tell what they mean.
    """
    excess = np.zeros(values.shape[0])
    for index, column in enumerate(columns):
        value = values[:, index]
        absent = ~np.isfinite(value)
        if not column.absent_seen:
            excess[absent] = np.inf
        if not column.present_seen:
            excess[~absent] = np.inf
            continue
        beyond = np.maximum(0.0, np.maximum(value - column.high, column.low - value))
        beyond[absent] = 0.0
        if column.varies:
            excess += abs(weights[index]) * beyond / column.spread
        else:
            excess[beyond > 1e-6 * max(1.0, abs(column.low))] = np.inf
    return excess
