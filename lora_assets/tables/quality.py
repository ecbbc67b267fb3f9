"""Row types of image quality: what one metric says of one crop, and the published table of a tracker.

`image_quality` lies at `Store.table_path("image_quality", tracker)`. Its columns of metrics are named as in
quality.metrics, which tells scale, direction and source of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as row_default
from typing import Annotated

from lora_assets.tables.column import Column, Digest, Sha256

Part = Annotated[float, Column("part of face quality; null: could not be told", 0.0, 1.0)]


@dataclass(frozen=True, slots=True)
class MetricValue:
    """What one metric says of one crop, on the shelf of the metric's recipe."""

    crop_id: Digest
    value: Annotated[float, Column("the metric's own scale; null: absent")] | None
    reason: Annotated[str, Column("why there is no value; null where there is one")] | None
    parts: Annotated[list[float], Column("parts of the metric, in its own order; a null could not be told")] = (
        row_default(default_factory=list)
    )


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """One crop of a tracker: every metric (null: absent), the ensemble's score, and how much the signals disagree."""

    crop_id: Digest
    dataset: Annotated[str, Column("slug of the dataset")]
    frame_sha256: Sha256
    score: Annotated[float, Column("weighted mean of the signals that are there; null: none is", 0.0, 10.0)] | None
    band: Annotated[str, Column("must take, prefer, consider, careful or leave out; null: no score")] | None
    rank: Annotated[float, Column("place of the score among the tracker's, 1 is the best", 0.0, 1.0)] | None
    disagreement: (
        Annotated[float, Column("standard deviation of the weighed signals; null: fewer than two", 0.0, 0.5)] | None
    )
    evidence: Annotated[float, Column("share of the tracker's weights whose signals are there", 0.0, 1.0)]
    signals: Annotated[list[str], Column("signals that the score is made of")]
    signal_values: Annotated[list[float], Column("their values, 0 worst to 1 best, in the order of `signals`", 0, 1)]
    signal_weights: Annotated[list[float], Column("their weights, which sum to 1, in the order of `signals`", 0, 1)]
    absent: Annotated[list[str], Column("signals of the tracker's weights that this crop lacks")]
    absent_reasons: Annotated[list[str], Column("why each is absent, in the order of `absent`")]
    laion_mlp_l14: Annotated[float, Column("LAION aesthetics, improved head on ViT-L/14, about 0 to 10")] | None = None
    laion_linear_l14: Annotated[float, Column("LAION aesthetics, linear head on ViT-L/14, about 0 to 10")] | None = None
    laion_linear_b32: Annotated[float, Column("LAION aesthetics, linear head on ViT-B/32, about 0 to 10")] | None = None
    anime_aesthetic: Annotated[float, Column("expected class, worst 0 to masterpiece 6", 0.0, 6.0)] | None = None
    musiq: Annotated[float, Column("MUSIQ on KonIQ, about 0 to 100, more is better")] | None = None
    clip_iqa: Annotated[float, Column("CLIP-IQA, 0 to 1", 0.0, 1.0)] | None = None
    brisque: Annotated[float, Column("BRISQUE, 0 is best, 100 worst", 0.0, 100.0)] | None = None
    face_detections: Annotated[float, Column("face quality from the detections' faces", 0.0, 1.0)] | None = None
    face_yunet: Annotated[float, Column("face quality from YuNet's faces", 0.0, 1.0)] | None = None
    pose_rtmpose: Annotated[float, Column("mean confidence of 17 key points by RTMPose", 0.0, 1.0)] | None = None
    pose_key_points: Annotated[float, Column("mean confidence of the detections' 17 key points", 0.0, 1.0)] | None = (
        None
    )
    character: Annotated[float, Column("similarity to the references of the character", 0.0, 1.0)] | None = None
    sharpness: Annotated[float, Column("1 - blur of the figure", 0.0, 1.0)] | None = None
    lighting: Annotated[float, Column("how well lit the figure is", 0.0, 1.0)] | None = None
    contrast: (
        Annotated[float, Column("RMS contrast of the figure, full at a quarter of the range", 0.0, 1.0)] | None
    ) = None
    noise: Annotated[float, Column("deviation of the noise on the figure, levels of 255", 0.0)] | None = None
    face_confidence: Part | None = None
    face_size: Part | None = None
    face_pose: Part | None = None
    face_sharpness: Part | None = None
    face_lighting: Part | None = None
    face_visible: Part | None = None
