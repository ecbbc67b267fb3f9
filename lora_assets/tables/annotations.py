"""Row types of annotated comic pages: what a set holds, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lora_assets.tables.column import Column, Pixels, Sha256

ImageId = Annotated[int, Column("id of the page in annotations.json", 0)]
Split = Annotated[str, Column("train or val")]
Title = Annotated[str, Column("work that the page belongs to; pages of one title share a split")]


@dataclass(frozen=True, slots=True)
class AnnotatedThing:
    """One usable annotation of a set."""

    annotation_id: Annotated[int, Column("id of the annotation in annotations.json", 0)]
    image_id: ImageId
    file: Annotated[str, Column("the page's file, from the set's folder where it lies in there")]
    page_sha256: Sha256
    split: Split
    title: Title
    category: Annotated[str, Column("panel, bubble, character, text, or the set's own")]
    x: Annotated[float, Column("left edge of the box, pixels of the page")]
    y: Annotated[float, Column("upper edge of the box, pixels of the page")]
    width: Annotated[float, Column("pixels", 0.0)]
    height: Annotated[float, Column("pixels", 0.0)]
    mask_pixels: Pixels
    page_share: Annotated[float, Column("share of the page that the mask covers", 0.0, 1.0)]
    is_crowd: Annotated[bool, Column("a crowd: no single thing")]


@dataclass(frozen=True, slots=True)
class AnnotationProblem:
    """One thing that is wrong in a set."""

    place: Annotated[str, Column("file, and id of the annotation, picture, category or split")]
    kind: Annotated[str, Column("a key of annotations.reading.KINDS")]
    severity: Annotated[str, Column("error: an entry is left out or no training may start; warning: nothing is lost")]
    reason: Annotated[str, Column("what is wrong")]
    way_out: Annotated[str, Column("what to do")]
