"""The one way to check, write and read rows: every promise of a row type is held at every write."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from dataclasses import MISSING, fields
from functools import cache
from typing import Annotated, Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from lora_assets.tables.column import Column


class TableError(ValueError):
    """A table breaks its row type: a missing column, a null, a NaN or a value out of range."""


Row = TypeVar("Row")

_ARROW_TYPES: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    bytes: pa.binary(),
    list[str]: pa.list_(pa.string()),
    list[float]: pa.list_(pa.float64()),
}


def _unwrap(annotation: Any) -> tuple[Any, Column, bool]:
    """The plain type, the column's meaning and whether null is allowed."""
    nullable = False
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        arms = [a for a in typing.get_args(annotation) if a is not type(None)]
        nullable, annotation = True, arms[0]
    column = Column("")
    if typing.get_origin(annotation) is Annotated:
        plain, *notes = typing.get_args(annotation)
        column = next((n for n in notes if isinstance(n, Column)), column)
        annotation = plain
    return annotation, column, nullable


@cache
def columns(row_type: type) -> dict[str, tuple[pa.Field, Column]]:
    """Arrow field and meaning of each column of a row type, in order."""
    hints = typing.get_type_hints(row_type, include_extras=True)
    found: dict[str, tuple[pa.Field, Column]] = {}
    for field in fields(row_type):
        plain, column, nullable = _unwrap(hints[field.name])
        found[field.name] = (pa.field(field.name, _ARROW_TYPES[plain], nullable=nullable), column)
    return found


@cache
def arrow_schema(row_type: type) -> pa.Schema:
    """The Arrow schema of a row type."""
    return pa.schema([field for field, _ in columns(row_type).values()])


def _check_column(name: str, values: pa.ChunkedArray, field: pa.Field, column: Column) -> None:
    if not field.nullable and values.null_count:
        raise TableError(f"column {name}: {values.null_count} of {len(values)} values are missing")
    flat = values.combine_chunks().flatten() if pa.types.is_list(field.type) else values
    if pa.types.is_floating(flat.type) and pc.any(pc.invert(pc.is_finite(flat))).as_py():  # pyright: ignore
        raise TableError(f"column {name}: holds a NaN or an infinite value")
    if (column.low is None and column.high is None) or not len(flat):
        return
    bounds = pc.min_max(flat).as_py()  # pyright: ignore
    least, most = bounds["min"], bounds["max"]
    if column.low is not None and least is not None and least < column.low:
        raise TableError(f"column {name}: {least} is below {column.low}")
    if column.high is not None and most is not None and most > column.high:
        raise TableError(f"column {name}: {most} is above {column.high}")


def check_table(table: pa.Table, row_type: type) -> pa.Table:
    """The same table when it keeps its row type's promises; TableError, naming column and value, when not."""
    expected = arrow_schema(row_type)
    if table.schema.names != expected.names:
        raise TableError(f"{row_type.__name__}: columns are {table.schema.names}, expected {expected.names}")
    for name, (field, column) in columns(row_type).items():
        if table.schema.field(name).type != field.type:
            raise TableError(f"column {name}: type is {table.schema.field(name).type}, expected {field.type}")
        _check_column(name, table.column(name), field, column)
    return table


def to_table(rows: Iterable[Any], row_type: type) -> pa.Table:
    """A checked Arrow table from rows of `row_type`. Raises TableError when a value breaks the row type."""
    rows = list(rows)
    try:
        arrays = [
            pa.array([getattr(row, name) for row in rows], type=field.type)
            for name, (field, _) in columns(row_type).items()
        ]
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError, OverflowError) as error:
        raise TableError(f"{row_type.__name__}: {error}") from error
    return check_table(pa.Table.from_arrays(arrays, schema=arrow_schema(row_type)), row_type)


def with_defaults(table: pa.Table, row_type: type) -> pa.Table:
    """The table with the columns that it lacks and that have a default, in the order of the row type; columns that the
    row type does not know come last."""
    types, names = columns(row_type), list(table.column_names)
    for column in fields(row_type):  # pyright: ignore
        given = column.default if column.default is not MISSING else None
        if column.default_factory is not MISSING:
            given = column.default_factory()
        elif column.default is MISSING:
            continue
        if column.name not in names:
            values = pa.array([given] * table.num_rows, types[column.name][0].type)
            table = table.append_column(types[column.name][0], values)
    known = [name for name in types if name in table.column_names]
    return table.select([*known, *(name for name in names if name not in types)])


def from_table(table: pa.Table, row_type: type[Row]) -> list[Row]:
    """The rows of a table, in order. A column that a table of an earlier version lacks takes the row type's default."""
    names = [field.name for field in fields(row_type) if field.name in table.column_names]  # pyright: ignore
    values = [table.column(name).to_pylist() for name in names]
    return [row_type(**dict(zip(names, row, strict=True))) for row in zip(*values, strict=True)]


def empty_table(row_type: type) -> pa.Table:
    """A table of `row_type` without rows."""
    return arrow_schema(row_type).empty_table()
