"""Row types of the branch that makes a dataset of crops: image quality, identity, groups of alike crops, the choice.

These tables belong to a whole tracker; they lie at `Store.table_path(name, tracker)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lora_assets.tables.column import Column, Digest, Sha256


@dataclass(frozen=True, slots=True)
class CropGroup:
    """Which shot a crop comes from, and with which other crops of the tracker it shows the same drawing."""

    crop_id: Digest
    frame_sha256: Sha256
    dataset: Annotated[str, Column("slug of the dataset")]
    shot: Annotated[str, Column("the shot of the frame: dataset and number")]
    group: Annotated[str, Column("id of the group of alike crops; a crop without another like it is alone in its own")]
    kind: Annotated[
        str, Column("how it is alike: leader, exact (same pixels), held (held frame of a shot), near or variant")
    ]
    distance: Annotated[float, Column("distance to the group's leader, 0 for itself", 0.0)]
