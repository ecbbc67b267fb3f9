"""Row types of every table, and the one way to check, write and read them.

A table is a frozen dataclass: its columns, units, ranges and nullability are written here once and are checked at
every write, so that no stage can store a NaN, a score of 1.3 or a box without a frame. Code inside one image works on
arrays; code over a whole table works on the Arrow table of the same schema. What belongs elsewhere: where files lie and
how they are replaced (store), what the numbers mean for a person (vision, tracker).
"""

from lora_assets.tables.annotations import AnnotatedThing, AnnotationProblem
from lora_assets.tables.checking import (
    TableError,
    arrow_schema,
    check_table,
    columns,
    empty_table,
    from_table,
    to_table,
    with_defaults,
)
from lora_assets.tables.column import Column, Digest, Pixel, Pixels, Sha256, Share
from lora_assets.tables.curation import CharacterCrop, CropGroup, CuratedCrop
from lora_assets.tables.exports import CropCaption, CropTags, ExportReading
from lora_assets.tables.main_line import DeletedFrame, Detection, Mask, RawFrame, ScoredCrop
from lora_assets.tables.mask_lab import LayeredFrame, PresetResult, SweptMask
from lora_assets.tables.mining import MapPoint, MinedObject, ObjectCaption, RareObject
from lora_assets.tables.quality import ImageQuality, MetricValue
from lora_assets.tables.segmenters import CategoryFigure, JudgedAnnotation, TuningStep

TABLES: dict[str, type] = {
    "raw_frames": RawFrame,
    "detections": Detection,
    "masks": Mask,
    "scored_crops": ScoredCrop,
}
"""Tables of a dataset or of one cell."""

TRACKER_TABLES: dict[str, type] = {
    "captions": CropCaption,
    "exports": ExportReading,
    "characters": CharacterCrop,
    "crop_groups": CropGroup,
    "curated_dataset": CuratedCrop,
    "image_quality": ImageQuality,
    "embeddings": MinedObject,
    "rare_objects": RareObject,
    "object_captions": ObjectCaption,
    "embedding_map": MapPoint,
    "refinement_sweep": SweptMask,
    "refinement_presets": PresetResult,
    "layers": LayeredFrame,
}
"""Tables of a whole tracker, at `Store.table_path(name, tracker)`."""

SEGMENTER_TABLES: dict[str, type] = {
    "coco_annotations": AnnotatedThing,
    "annotation_problems": AnnotationProblem,
    "finetuned_segmenter": TuningStep,
    "segmenter_report": CategoryFigure,
    "judged_annotations": JudgedAnnotation,
}
"""Tables of a tuned segmenter, at `Store.table_path(name, segmenter)`."""

__all__ = [
    "SEGMENTER_TABLES",
    "TABLES",
    "TRACKER_TABLES",
    "AnnotatedThing",
    "AnnotationProblem",
    "CategoryFigure",
    "CharacterCrop",
    "Column",
    "CropCaption",
    "CropGroup",
    "CropTags",
    "CuratedCrop",
    "DeletedFrame",
    "Detection",
    "Digest",
    "ExportReading",
    "ImageQuality",
    "JudgedAnnotation",
    "LayeredFrame",
    "MapPoint",
    "Mask",
    "MetricValue",
    "MinedObject",
    "ObjectCaption",
    "Pixel",
    "Pixels",
    "PresetResult",
    "RareObject",
    "RawFrame",
    "ScoredCrop",
    "Sha256",
    "Share",
    "SweptMask",
    "TableError",
    "TuningStep",
    "arrow_schema",
    "check_table",
    "columns",
    "empty_table",
    "from_table",
    "to_table",
    "with_defaults",
]
