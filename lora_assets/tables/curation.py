"""Row types of the branch that makes a dataset of crops: image quality, identity, groups of alike crops, the choice.

These tables belong to a whole tracker; they lie at `Store.table_path(name, tracker)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lora_assets.tables.column import Column, Digest, Sha256, Share


@dataclass(frozen=True, slots=True)
class FrameSignature:
    """How a frame looks, for finding shots. Of a shelf, by frame hash."""

    frame_sha256: Sha256
    values: Annotated[bytes, Column("identity.shots.frame_signature as float16")]


@dataclass(frozen=True, slots=True)
class CropDescription:
    """How a crop looks, without any weights. Of a shelf, by identity.descriptions.look_id."""

    look_id: Digest
    vectors: Annotated[bytes, Column("identity.descriptor.describe_figure: zones x bins as float16")]
    zone_weights: Annotated[list[float], Column("how much of each zone is seen", 0.0, 1.0)]
    tiny: Annotated[bytes, Column("identity.likeness.tiny_picture as uint8; empty: there was no picture")]
    phash: Annotated[str, Column("64-bit perceptual hash of the cut-out, hex; empty: there was no picture")]
    pixels: Annotated[str, Column("digest of the cut-out's size and pixels; empty: there was no picture")]
    medium: Annotated[str, Column("drawn, photograph or unsure")]
    head: Annotated[list[float], Column("box of its own head in pixels of the crop, xyxy; empty: none was found")]


@dataclass(frozen=True, slots=True)
class CropEmbedding:
    """A crop as a network of identity sees it. Of a shelf, by identity.descriptions.look_id."""

    look_id: Digest
    vector: Annotated[bytes, Column("the network's answer, of length 1, as float16; empty: nothing to look at")]


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
    drawing: Annotated[str, Column("id of the very drawing inside the group: all but variants share the leader's")] = ""


@dataclass(frozen=True, slots=True)
class CharacterCrop:
    """Who a crop shows: the character that it was given, how surely, and its likeness to the reference pictures."""

    crop_id: Digest
    frame_sha256: Sha256
    dataset: Annotated[str, Column("slug of the dataset")]
    shot: Annotated[str, Column("the shot of the frame: dataset and number")]
    track: Annotated[str, Column("the figure inside its shot: crops of one track show one character")]
    character_id: Annotated[str, Column("the character's lasting id; empty: too few crops, or none can be told")]
    character_name: Annotated[str, Column("the name that a person gave the character; empty: none yet")]
    membership: Annotated[float, Column("how surely the crop belongs to its character", 0.0, 1.0)]
    reference: Annotated[str, Column("the character whose reference pictures are most alike; empty: there are none")]
    similarity: Share | None
    is_reference_match: Annotated[
        bool, Column("true when its character, or the crop itself, is surely that of the reference pictures")
    ]
    medium: Annotated[str, Column("drawn, photograph or unsure")]
    embedding: Annotated[str, Column("what described the crop: starter, ccip or arcface; empty: nothing could")]


@dataclass(frozen=True, slots=True)
class CuratedCrop:
    """A crop in or out of the dataset, and why. Every crop of the tracker has one row."""

    crop_id: Digest
    frame_sha256: Sha256
    dataset: Annotated[str, Column("slug of the dataset")]
    chosen: Annotated[bool, Column("true when the crop is part of the dataset")]
    part: Annotated[str, Column("train or validation; empty for a crop that is left out")]
    repeats: Annotated[float, Column("how often a trainer should show it in an epoch; 0 when left out", 0.0)]
    rank: Annotated[int, Column("place in the order of choice, from 1; 0: the crop never came up", 0)]
    reason: Annotated[str, Column("code of why it is in or out: a key of curation.reasons.REASONS")]
    reason_value: Annotated[float, Column("the value that decided; null: nothing was measured")] | None
    reason_limit: Annotated[float, Column("the limit that it was held against; null: there is none")] | None
    score: Annotated[float, Column("the score that ranks it, 0 to 10", 0.0, 10.0)]
    score_source: Annotated[str, Column("where the score is from: image_quality or rules")]
    tier: Annotated[str, Column("tier by the rules: high, medium or low")]
    verdict: Annotated[str, Column("the person's word: good, bad, exclude; empty: none")]
    character_id: Annotated[str, Column("id of the character; empty: not known")]
    character_name: Annotated[str, Column("name of the character; empty: none")]
    shot: Annotated[str, Column("the shot of the frame")]
    group: Annotated[str, Column("group of alike crops")]
    framing: Annotated[str, Column("face, bust, half, full, or unknown")]
    view: Annotated[str, Column("front, side or back; empty: not measured")]
    expression: Annotated[str, Column("expression of the face; empty: not measured")]
    look: Annotated[str, Column("cluster of pose and outfit inside the character; empty: not told apart")]
    novelty: Annotated[float, Column("distance to the nearest crop chosen before it; null: never came up", 0.0)] | None
