"""Row types of rare-object mining: objects with their vectors, what makes them rare, captions, the map.

`embeddings`, `rare_objects`, `object_captions` and `embedding_map` belong to a whole tracker and lie at
`Store.table_path(name, tracker)`. Vectors and captions are on shelves too, known by `object_id`: a digest of frame and
box, so that they outlive settings and trackers.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as row_default
from typing import Annotated

from lora_assets.tables.column import Column, Digest, Pixel, Sha256, Share

ObjectId = Annotated[str, Column("digest of frame, box and margin: the name of the object's picture")]
Dataset = Annotated[str, Column("slug of the dataset")]
Label = Annotated[str, Column("class name that the detector gave")]
Vector = Annotated[bytes, Column("float16 numbers, little endian, of length 1 together; null: there is none")]


@dataclass(frozen=True, slots=True)
class ObjectVector:
    """The vector of one object, on the shelf of what made it."""

    object_id: ObjectId
    vector: Vector | None
    reason: Annotated[str, Column("why there is no vector; null where there is one")] | None


@dataclass(frozen=True, slots=True)
class MinedObject:
    """One object that passed the early filter, and its vector."""

    object_id: ObjectId
    dataset: Dataset
    frame_sha256: Sha256
    detection_id: Digest
    label: Label
    confidence: Share
    x1: Pixel
    y1: Pixel
    x2: Pixel
    y2: Pixel
    detector: Annotated[str, Column("name of the detector")]
    passed_as: Annotated[str, Column("why the early filter took it: keyword, rare class, random, or all (no filter)")]
    embedder: Annotated[str, Column("what made the vector; empty where vectors are skipped")]
    vector: Vector | None
    no_vector: Annotated[str, Column("why there is no vector; null where there is one")] | None


@dataclass(frozen=True, slots=True)
class RareObject:
    """What makes an object odd or rare. `kept` when any of `reasons` holds."""

    object_id: ObjectId
    dataset: Dataset
    frame_sha256: Sha256
    detection_id: Digest
    label: Label
    class_share: Annotated[float, Column("share of all sampled objects that have this class", 0.0, 1.0)]
    rarity_bits: Annotated[float, Column("-log2 of class_share: how surprising the class is", 0.0)]
    keyword: Annotated[str, Column("the keyword that the class name holds; null: none")] | None
    is_rare_class: Annotated[bool, Column("taken by the rare-class filter")]
    isolation_score: (
        Annotated[float, Column("IsolationForest, about 0.5 is ordinary, 1 most odd; null: no model", 0.0, 1.0)] | None
    )
    is_isolated: Annotated[bool, Column("among the oddest by IsolationForest")]
    lof_score: (
        Annotated[float, Column("local outlier factor, 1 is ordinary, more is odder; null: no model", 0.0)] | None
    )
    is_local_outlier: Annotated[bool, Column("among the oddest by LOF")]
    novelty: (
        Annotated[
            float,
            Column(
                "share of the earlier datasets' objects that are less alone than this one; null: none earlier", 0, 1
            ),
        ]
        | None
    )
    nearest_earlier: Annotated[str, Column("the most alike object of an earlier dataset; null: none")] | None
    is_new_class: Annotated[bool, Column("no earlier dataset has the class; null: there is none earlier")] | None
    kept: Annotated[bool, Column("in the union of outliers and rare classes")]
    reasons: Annotated[list[str], Column("isolation_forest, lof, rare_class, keyword")] = row_default(
        default_factory=list
    )


@dataclass(frozen=True, slots=True)
class CaptionAnswer:
    """What a service said of an object, on the shelf of model, prompt and picture."""

    object_id: ObjectId
    caption: Annotated[str, Column("one line")]
    model: Annotated[str, Column("the model as the service names it")]


@dataclass(frozen=True, slots=True)
class ObjectCaption:
    """The caption of an object, or its class name and why."""

    object_id: ObjectId
    caption: Annotated[str, Column("one line: of the service, or the class name")]
    source: Annotated[str, Column("service or class_name")]
    reason: Annotated[str, Column("why it is the class name only; null for a caption")] | None
    model: Annotated[str, Column("the model as the service names it; empty for a class name")]
    is_target: Annotated[bool, Column("rare by the class rule, or its caption holds a keyword")]
    target_from: Annotated[str, Column("class_rule or caption; null: no target")] | None


@dataclass(frozen=True, slots=True)
class MapPoint:
    """An object on the map, with what the page tells of it."""

    object_id: ObjectId
    x: Annotated[float, Column("place on the map, 0 left to 1 right", 0.0, 1.0)]
    y: Annotated[float, Column("place on the map, 0 bottom to 1 top", 0.0, 1.0)]
    cluster: Annotated[int, Column("number of the cluster; -1: in none", -1)]
    cluster_name: Annotated[str, Column("classes and words that tell the cluster from the others; empty: in none")]
    dataset: Dataset
    frame_sha256: Sha256
    detection_id: Digest
    label: Label
    confidence: Share
    caption: Annotated[str, Column("of the service, or the class name")]
    caption_source: Annotated[str, Column("service or class_name")]
    kept: Annotated[bool, Column("in the union of outliers and rare classes")]
    is_target: Annotated[bool, Column("rare by the class rule, or its caption holds a keyword")]
    reasons: Annotated[list[str], Column("isolation_forest, lof, rare_class, keyword")]
    isolation_score: Annotated[float, Column("IsolationForest; null: no model", 0.0, 1.0)] | None
    lof_score: Annotated[float, Column("local outlier factor; null: no model", 0.0)] | None
    novelty: Annotated[float, Column("novelty against earlier datasets; null: none earlier", 0.0, 1.0)] | None
    is_new_class: Annotated[bool, Column("no earlier dataset has the class; null: there is none earlier")] | None
    x1: Pixel
    y1: Pixel
    x2: Pixel
    y2: Pixel
