"""Row types of tuned segmenters: the course of a training, and each judged annotation with base and tuned answers.

They lie at `Store.table_path(name, segmenter)`, by the name of the segmenter's settings file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from lora_assets.tables.column import Column, Share

Category = Annotated[str, Column("name of the annotation's category")]


@dataclass(frozen=True, slots=True)
class TuningStep:
    """What was told at a step: means over its answers, or a validation."""

    step: Annotated[int, Column("steps done", 0)]
    loss: Annotated[float, Column("weighted sum of the losses; null at a validation")] | None
    focal: Annotated[float, Column("focal loss of the best candidates", 0.0)] | None
    dice: Annotated[float, Column("Dice loss of the best candidates", 0.0)] | None
    iou_error: Annotated[float, Column("squared error of the predicted IoU", 0.0)] | None
    iou: Annotated[float, Column("IoU of the best candidates on the training pages", 0.0, 1.0)] | None
    learning_rate: Annotated[float, Column("AdamW's", 0.0)] | None
    seconds: Annotated[float, Column("at work since the first step, interruptions left out", 0.0)] | None
    val_iou: (
        Annotated[float, Column("IoU of box prompts on val, mean over categories; null between validations", 0.0, 1.0)]
        | None
    )


@dataclass(frozen=True, slots=True)
class JudgedAnnotation:
    """One annotation of val, asked for by one kind of prompt, of the base and of the tuned network alike."""

    annotation_id: Annotated[int, Column("its id in the annotated set")]
    image_id: Annotated[int, Column("the page's id in the annotated set")]
    page: Annotated[str, Column("the page's file name")]
    category: Category
    prompt: Annotated[str, Column("box (edges a little off) or point (anywhere inside)")]
    iou_base: Share
    iou_tuned: Share
    boundary_base: Annotated[float, Column("boundary F of the base, 0 to 1", 0.0, 1.0)]
    boundary_tuned: Annotated[float, Column("boundary F of the tuned network, 0 to 1", 0.0, 1.0)]
    predicted_base: Annotated[float, Column("IoU that the base predicted of its answer", 0.0, 1.0)]
    predicted_tuned: Annotated[float, Column("IoU that the tuned network predicted of its answer", 0.0, 1.0)]


@dataclass(frozen=True, slots=True)
class CategoryFigure:
    """One figure of one category (or of all: the mean over categories) for one kind of prompt."""

    prompt: Annotated[str, Column("box or point")]
    category: Annotated[str, Column("name of the category; all: the mean over categories")]
    figure: Annotated[str, Column("IoU, boundary F, or error of the predicted IoU (smaller is better)")]
    annotations: Annotated[int, Column("annotations of val behind it", 0)]
    pages: Annotated[int, Column("pages of val that they stand on; the interval is drawn over these", 0)]
    base: Share
    tuned: Share
    gain: Annotated[float, Column("tuned - base", -1.0, 1.0)]
    low: Annotated[float, Column("lower end of the 95 % interval of the gain, over pages", -1.0, 1.0)]
    high: Annotated[float, Column("upper end of it", -1.0, 1.0)]
