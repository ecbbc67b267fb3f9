"""Row types of the main line: raw_frames, detections, masks, scored_crops."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as row_default
from typing import Annotated

from lora_assets.tables.column import Column, Digest, Pixel, Pixels, Sha256, Share


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
    ctime_ns: Annotated[int, Column("change time, ns since 1970: no program sets it; null: not noted then")] | None = (
        row_default(default=None, kw_only=True)
    )


@dataclass(frozen=True, slots=True)
class DeletedFrame(RawFrame):
    """A frame whose file was deleted while its folder was there. Its results stay; `restored` keeps it listed."""

    deleted_at: Annotated[float, Column("when it was found deleted, seconds since 1970", 0.0)]
    restored: Annotated[bool, Column("true when a person wants it listed although its file is gone")]


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
    detector: Annotated[
        str, Column("name of the detector that won: the most trusted and surest of those that found it")
    ]
    is_subject: Annotated[bool, Column("true when the box is a character to cut out")]
    detectors: Annotated[list[str], Column("all detectors whose boxes were fused into this one, the winner first")] = (
        row_default(default_factory=list)
    )
    detector_confidences: Annotated[
        list[float], Column("the detectors' own confidences, in the order of `detectors`", 0.0, 1.0)
    ] = row_default(default_factory=list)
    body_from: (
        Annotated[
            str,
            Column(
                "how a body box came about: detected, expanded_from_head, expanded_from_face, key_points, sam or "
                "edges; null for a box that is no body"
            ),
        ]
        | None
    ) = None
    outside_share: Annotated[float, Column("share of the box outside the frame before it was clipped", 0.0, 1.0)] = 0.0
    heads_high: (
        Annotated[float, Column("height in heads that an expanded body was given; null for others", 0.0)] | None
    ) = None
    prepared: Annotated[bool, Column("true when it was found only in the second pass, on the prepared frame")] = False
    head_in_box: (
        Annotated[float, Column("confidence of the head at this body's head; null: none was found", 0.0, 1.0)] | None
    ) = None
    face_in_box: (
        Annotated[float, Column("confidence of the face at this body's head; null: none was found", 0.0, 1.0)] | None
    ) = None
    agreement: Annotated[
        float, Column("how sure the other evidence (detectors, head, face, key points) is of this body", 0.0, 1.0)
    ] = 0.0
    key_points: (
        Annotated[
            list[float],
            Column("17 key points of COCO: x, y in pixels, confidence; null where no pose model found them"),
        ]
        | None
    ) = None
    reference_similarity: (
        Annotated[float, Column("likeness to the reference pictures; null: not compared", 0.0, 1.0)] | None
    ) = None
    dropped_boxes: Annotated[
        int, Column("boxes of the frame that the detectors gave and that had no finite place or no area", 0)
    ] = 0


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
    candidate: Annotated[int, Column("which of the segmenter's masks of the box was taken, from 0", 0)] = 0
    box_fit: (
        Annotated[float, Column("IoU of the box and the mask's own box; null: an older table", 0.0, 1.0)] | None
    ) = None
    taken_share: Annotated[
        float, Column("share of the segmenter's mask that was given to a neighbour's mask", 0.0, 1.0)
    ] = 0.0
    disagreement: (
        Annotated[float, Column("1 - IoU with the second opinion in the box; null: none was had", 0.0, 1.0)] | None
    ) = None
    background_left: (
        Annotated[
            float,
            Column(
                "share of the segmenter's mask that has the colours around it and not its own; null: cannot be told",
                0.0,
                1.0,
            ),
        ]
        | None
    ) = None
    holes: Annotated[float, Column("enclosed background / (mask and enclosed background)", 0.0, 1.0)] = 0.0
    specks: Annotated[int, Column("pieces of the mask beside the largest", 0)] = 0
    speck_share: Annotated[float, Column("share of the mask in pieces beside the largest", 0.0, 1.0)] = 0.0
    edge_contact: Annotated[
        list[float],
        Column(
            "for the frame's left, top, right and bottom edge: share of the mask's extent along it that touches it",
            0.0,
            1.0,
        ),
    ] = row_default(default_factory=list)
    matting: Annotated[str, Column("how the soft edge of the crop's picture is made; none: it is hard")] = "none"
    corrected: Annotated[str, Column("id of the person's correction whose pixels these are; null: none")] | None = None


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
    extracted_again: Annotated[bool, Column("true when a second mask, of a wider box, was tried")] = False
    second_window: (
        Annotated[list[float], Column("x, y, width, height of the second mask; null: the first was kept", 0.0)] | None
    ) = None
    second_rle: Annotated[bytes, Column("the second mask's COCO run lengths; null: the first was kept")] | None = None
    characters_by_detections: (
        Annotated[int, Column("subjects in the cut-out, itself included, by their masks; null: an older table", 0)]
        | None
    ) = None
    characters_by_masks: Annotated[int, Column("pieces of the mask as large as a character", 0)] | None = None
    characters_by_faces: Annotated[int, Column("heads and faces in the cut-out", 0)] | None = None
    dark_share: (
        Annotated[float, Column("share of the figure that is black, 0 when anything is lit", 0.0, 1.0)] | None
    ) = None
    colour_spread: (
        Annotated[float, Column("largest standard deviation of a channel in the figure", 0.0, 128.0)] | None
    ) = None
    is_thing: Annotated[float, Column("1 for a label of a thing without a head in it", 0.0, 1.0)] | None = None
    support: (
        Annotated[float, Column("how sure other evidence is that this is a character; null: not asked", 0.0, 1.0)]
        | None
    ) = None
    neighbour_share: (
        Annotated[float, Column("largest share of the mask that is another subject's too", 0.0, 1.0)] | None
    ) = None
    missing_head: Annotated[float, Column("share of a found head that the mask leaves out", 0.0, 1.0)] | None = None
    headless: (
        Annotated[float, Column("share of the top side on the frame's edge, where no head is inside", 0.0, 1.0)] | None
    ) = None
    head_cut: (
        Annotated[float, Column("share of the head's extent that the frame's edge cuts; null: no head", 0.0, 1.0)]
        | None
    ) = None
    outside_box: Annotated[float, Column("share of the mask outside its box and a margin", 0.0, 1.0)] | None = None
    box_gap: (
        Annotated[float, Column("share of the box's height that the mask does not reach; null: a made box", 0.0, 1.0)]
        | None
    ) = None
    left_out: (
        Annotated[float, Column("parts of the figure outside the mask, of several signs as a share of it", 0.0, 1.0)]
        | None
    ) = None
    lost_in_holes: (
        Annotated[float, Column("parts of the figure in holes of the mask, of two signs as a share of it", 0.0, 1.0)]
        | None
    ) = None
    raggedness: Annotated[float, Column("length of the mask's outlines over its convex hull's", 1.0)] | None = None
    speck_share: Annotated[float, Column("share of the mask beside its largest piece", 0.0, 1.0)] | None = None
    background_left: (
        Annotated[float, Column("share of the mask that is background, of two signs; null: cannot be told", 0.0, 1.0)]
        | None
    ) = None
    box_fill: Annotated[float, Column("share of its bounding box that the mask fills", 0.0, 1.0)] | None = None
    elongation: Annotated[float, Column("longer over shorter side of the mask's bounding box", 1.0)] | None = None
    longest_side: Annotated[float, Column("longer side of the mask's bounding box, pixels", 0.0)] | None = None
    brightness: Annotated[float, Column("level under which 99 % of the figure lies", 0.0, 1.0)] | None = None
    contrast: (
        Annotated[float, Column("span of the middle 96 % of the figure's luminance, over its lightest", 0.0, 1.0)]
        | None
    ) = None
    sharpness: (
        Annotated[float, Column("1 / (1 + blur^2) of its strongest edges, pixels; null: it has none", 0.0, 1.0)] | None
    ) = None
    text_share: Annotated[float, Column("share of the figure under lettering", 0.0, 1.0)] | None = None
    comb_ratio: (
        Annotated[float, Column("alternating rows of two fields, over upright edges; null: no edges", 0.0, 1.0)] | None
    ) = None
    bar_share: Annotated[float, Column("share of the mask on black bars of the frame", 0.0, 1.0)] | None = None
