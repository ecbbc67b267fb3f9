"""Row types of what goes to a trainer: tags and captions of crops, and how a trainer reads each finished export.

`captions` and `exports` belong to a whole tracker and lie at `Store.table_path(name, tracker)`; tags are on a shelf,
known by the crop's id.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as row_default
from typing import Annotated

from lora_assets.tables.column import Column, Digest, Sha256


@dataclass(frozen=True, slots=True)
class CropTags:
    """What a tagger says of a crop: every tag above a low floor, surest first, whatever the thresholds are."""

    crop_id: Digest
    tags: Annotated[list[str], Column("names of the tags as the tagger writes them, with underscores")]
    categories: Annotated[list[str], Column("general, character, rating or other, in the order of `tags`")]
    scores: Annotated[list[float], Column("the tagger's scores, in the order of `tags`", 0.0, 1.0)]


@dataclass(frozen=True, slots=True)
class CropCaption:
    """The caption of one crop of a tracker, and where it comes from."""

    crop_id: Digest
    frame_sha256: Sha256
    dataset: Annotated[str, Column("slug of the dataset")]
    caption: Annotated[str, Column("one line, the trigger first")]
    source: Annotated[str, Column("written (by a person), file (of one's own), tags, or template (no tags)")]
    origin: Annotated[str, Column("the file or the tagger that it is from; empty for a template alone")]
    tags: Annotated[list[str], Column("tags in the caption, in its order, as they are written there")] = row_default(
        default_factory=list
    )
    tag_scores: Annotated[list[float], Column("the tagger's scores, in the order of `tags`", 0.0, 1.0)] = row_default(
        default_factory=list
    )
    pruned: Annotated[list[str], Column("tags above the threshold that were left out, because they say who it is")] = (
        row_default(default_factory=list)
    )


@dataclass(frozen=True, slots=True)
class ExportReading:
    """One finished export as its trainer reads it. A count of losses above 0 comes with the reasons in `problems`."""

    format: Annotated[str, Column("the layout, such as onetrainer")]
    folder: Annotated[str, Column("where it lies")]
    version: Annotated[str, Column("digest of all that it was made of")]
    trigger: Annotated[str, Column("the word that the captions begin with")]
    images: Annotated[int, Column("pictures that the trainer learns from", 0)]
    validation_images: Annotated[int, Column("pictures that it validates with, or that lie apart for it", 0)]
    samples: Annotated[int, Column("pictures times repeats: what one epoch shows", 0)]
    dropped_samples: Annotated[int, Column("samples of an epoch that fill no batch and are left out", 0)]
    batches: Annotated[int, Column("batches of an epoch", 0)]
    captions: Annotated[int, Column("pictures with a caption, as read", 0)]
    masks_paired: Annotated[int, Column("pictures with their mask", 0)]
    masks_missing: Annotated[int, Column("pictures whose mask is not found", 0)]
    masks_extra: Annotated[int, Column("masks of no picture", 0)]
    buckets: Annotated[int, Column("sizes that the pictures are brought to; 0: the trainer has none", 0)]
    mean_head_cut: Annotated[float, Column("share of the heads that the bucket crop cuts off, mean", 0.0, 1.0)]
    worst_head_cut: Annotated[float, Column("the same, of the worst picture", 0.0, 1.0)]
    mean_mask_cut: Annotated[
        float,
        Column("share of the masks (without masks: of the figures' boxes) that the bucket crop cuts off", 0.0, 1.0),
    ]
    worst_mask_cut: Annotated[float, Column("the same, of the worst picture", 0.0, 1.0)]
    least_latent_mask: Annotated[
        float, Column("share of the mask in latent cells (8 pixels) that it half fills, worst picture", 0.0, 1.0)
    ]
    losses: Annotated[int, Column("what is lost or read otherwise than it was meant", 0)]
    problems: Annotated[list[str], Column("each loss in words: the file, the reason, the way out")]
    warnings: Annotated[list[str], Column("what is no loss, but worth knowing")]
