"""Row types of every table, and the one way to check, write and read them.

A table is a frozen dataclass: its columns, units, ranges and nullability are written here once and are checked at
every write, so that no stage can store a NaN, a score of 1.3 or a box without a frame. Code inside one image works on
arrays; code over a whole table works on the Arrow table of the same schema. What belongs elsewhere: where files lie and
how they are replaced (store), what the numbers mean for a person (vision, tracker).
"""

from lora_assets.tables.checking import (
    TableError,
    arrow_schema,
    check_table,
    columns,
    empty_table,
    from_table,
    to_table,
)
from lora_assets.tables.column import Column, Digest, Pixel, Pixels, Sha256, Share
from lora_assets.tables.curation import CropGroup
from lora_assets.tables.main_line import Detection, Mask, RawFrame, ScoredCrop

TABLES: dict[str, type] = {
    "raw_frames": RawFrame,
    "detections": Detection,
    "masks": Mask,
    "scored_crops": ScoredCrop,
}
"""Tables of a dataset or of one cell."""

TRACKER_TABLES: dict[str, type] = {
    "crop_groups": CropGroup,
}
"""Tables of a whole tracker, at `Store.table_path(name, tracker)`."""

__all__ = [
    "TABLES",
    "TRACKER_TABLES",
    "Column",
    "CropGroup",
    "Detection",
    "Digest",
    "Mask",
    "Pixel",
    "Pixels",
    "RawFrame",
    "ScoredCrop",
    "Sha256",
    "Share",
    "TableError",
    "arrow_schema",
    "check_table",
    "columns",
    "empty_table",
    "from_table",
    "to_table",
]
