"""Row types of every table, and the one way to check, write and read them.

A table is a frozen dataclass: its columns, units, ranges and nullability are written here once and are checked at
every write, so that no stage can store a NaN, a score of 1.3 or a box without a frame. Code inside one image works on
arrays; code over a whole table works on the Arrow table of the same schema. What belongs elsewhere: where files lie and
how they are replaced (store), what the numbers mean for a person (vision, tracker).
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, slots=True)
class Column:
    """What a column holds: words for a person, and the range (inclusive) that every value must lie in."""

    doc: str
    low: float | None = None
    high: float | None = None


class TableError(ValueError):
    """A table breaks its row type: a missing column, a null, a NaN or a value out of range."""


Sha256 = Annotated[str, Column("SHA-256 of the file's bytes, hex")]
Share = Annotated[float, Column("share from 0 to 1", 0.0, 1.0)]
Pixel = Annotated[float, Column("pixels of the upright full frame, x right, y down")]
Pixels = Annotated[int, Column("pixels", 0)]
Digest = Annotated[str, Column("short digest, hex")]


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One file of a dataset. A file that could not be used has a `quarantine_reason` and no picture facts."""

    path: Annotated[str, Column("path inside the dataset's folder, / as separator")]
    sha256: Sha256 | None
    bytes: Annotated[int, Column("file size in bytes", 0)]
    mtime_ns: Annotated[int, Column("modification time, ns since 1970")]
    inode: Annotated[int, Column("inode number: tells a file replaced under the same name and time")]
    width: Annotated[int, Column("upright width, pixels", 1)] | None
    height: Annotated[int, Column("upright height, pixels", 1)] | None
    format: Annotated[str, Column("format of the content, whatever the name says")] | None
    mean_luminance: Share | None
    black_share: Annotated[float, Column("share of pixels darker than 10 of 255", 0.0, 1.0)] | None
    sharpness: Annotated[float, Column("variance of the Laplacian of the 640-pixel grey picture", 0.0)] | None
    phash: Annotated[str, Column("64-bit perceptual hash (imagehash.phash), hex")] | None
    quarantine_reason: Annotated[str, Column("why the file is not used; null for a frame")] | None


@dataclass(frozen=True, slots=True)
class Detection:
    """One box found in a frame. Boxes with `is_subject` get a mask and a crop."""

    frame_sha256: Sha256
    detection_id: Digest
    label: Annotated[str, Column("face, head or person, or the class name of the weights")]
    confidence: Share
    x1: Pixel
    y1: Pixel
    x2: Pixel
    y2: Pixel
    detector: Annotated[str, Column("name of the detector that found it")]
    is_subject: Annotated[bool, Column("true when the box is a character to cut out")]


@dataclass(frozen=True, slots=True)
class Mask:
    """The pixels of one subject, as COCO run lengths inside a window of the frame."""

    frame_sha256: Sha256
    detection_id: Digest
    x: Annotated[int, Column("left edge of the window in the frame, pixels", 0)]
    y: Annotated[int, Column("top edge of the window in the frame, pixels", 0)]
    width: Annotated[int, Column("width of the window, pixels", 1)]
    height: Annotated[int, Column("height of the window, pixels", 1)]
    rle: Annotated[bytes, Column("COCO compressed run lengths of the window, column-major")]
    area: Pixels
    coverage: Annotated[float, Column("mask area / frame area", 0.0, 1.0)]
    predicted_iou: Annotated[float, Column("the segmenter's own estimate of its IoU", 0.0, 1.0)]
    stability: Annotated[float, Column("IoU of the mask cut at logit -1 and at +1", 0.0, 1.0)]


@dataclass(frozen=True, slots=True)
class ScoredCrop:
    """One cut-out with its three layers of judgement and its tier."""

    frame_sha256: Sha256
    detection_id: Digest
    crop_id: Annotated[str, Column("digest of frame, window and mask: the name of the crop's picture")]
    x: Annotated[int, Column("left edge of the crop in the frame, pixels", 0)]
    y: Annotated[int, Column("top edge of the crop in the frame, pixels", 0)]
    width: Annotated[int, Column("width of the crop, pixels", 1)]
    height: Annotated[int, Column("height of the crop, pixels", 1)]
    has_picture: Annotated[bool, Column("true when the RGBA PNG is written; vetoed crops are drawn on demand")]
    tier: Annotated[str, Column("high, medium or low")]
    score: Annotated[float, Column("L1 times the penalties of L2, capped by a veto", 0.0, 1.0)]
    technical_score: Annotated[float, Column("L1: weighted mean of the five parts", 0.0, 1.0)]
    area_ratio: Annotated[float, Column("L1 part: is the subject large enough in the frame", 0.0, 1.0)]
    detector_confidence: Annotated[float, Column("L1 part: the detector's confidence", 0.0, 1.0)]
    aspect_ratio: Annotated[float, Column("L1 part: is the shape of the box a character's", 0.0, 1.0)]
    edge_quality: Annotated[float, Column("L1 part: is the outline smooth and on an edge of the picture", 0.0, 1.0)]
    mask_completeness: Annotated[float, Column("L1 part: is the mask whole, without holes and specks", 0.0, 1.0)]
    is_valid_content: Annotated[bool, Column("L2: no veto")]
    pixel_count: Annotated[int, Column("pixels of the mask", 0)]
    black_share: Annotated[float, Column("share of the mask's pixels darker than 10 of 255", 0.0, 1.0)]
    character_count: Annotated[int, Column("characters inside the cut-out", 0)]
    body_completeness: Annotated[float, Column("share of the body that the cut-out holds", 0.0, 1.0)]
    visible_cut: Annotated[float, Column("share of the crop's inner edges that the mask runs along", 0.0, 1.0)]
    lora_suitable: Annotated[bool, Column("L3: fit for training as it is")]
    reasons: Annotated[list[str], Column("L3: why it is not suitable, in words")]
    flags: Annotated[list[str], Column("named defects of L2")]
    flag_values: Annotated[list[float], Column("measured value of each flag, in the order of `flags`")]
    flag_limits: Annotated[list[float], Column("limit that each value crossed, in the order of `flags`")]


TABLES: dict[str, type] = {
    "raw_frames": RawFrame,
    "detections": Detection,
    "masks": Mask,
    "scored_crops": ScoredCrop,
}

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


def from_table(table: pa.Table, row_type: type[Row]) -> list[Row]:
    """The rows of a table, in order."""
    names = [field.name for field in fields(row_type)]  # pyright: ignore
    values = [table.column(name).to_pylist() for name in names]
    return [row_type(*row) for row in zip(*values, strict=True)]


def empty_table(row_type: type) -> pa.Table:
    """A table of `row_type` without rows."""
    return arrow_schema(row_type).empty_table()
