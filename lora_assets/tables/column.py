"""What a column of a table holds, and the columns that several tables share. Row types are beside this module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Column:
    """What a column holds: words for a person, and the range (inclusive) that every value must lie in."""

    doc: str
    low: float | None = None
    high: float | None = None


Sha256 = Annotated[str, Column("SHA-256 of the file's bytes, hex")]
Share = Annotated[float, Column("share from 0 to 1", 0.0, 1.0)]
Pixel = Annotated[float, Column("pixels of the upright full frame, x right, y down")]
Pixels = Annotated[int, Column("pixels", 0)]
Digest = Annotated[str, Column("short digest, hex")]
