"""The steps of mining one after the other, each from rows to rows with what is to be told of it.

What belongs elsewhere: each step's method (its own module), tables of a tracker (making), files (folders).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from lora_assets.mining import layout, objects, outliers, rarity
from lora_assets.mining.captioning import SERVICE, caption_objects
from lora_assets.mining.embedding import Embedder, embed_objects, plan_embedder, recipe_facts, vectors_of
from lora_assets.mining.layout import find_clusters, lay_out, name_clusters
from lora_assets.mining.objects import ObjectList, list_objects
from lora_assets.mining.rarity import REASONS, rate_objects
from lora_assets.mining.settings import CaptionService, MiningSettings, caption_service
from lora_assets.mining.sources import FrameSource, OwnDetector, own_detector
from lora_assets.progress import Listener, nobody
from lora_assets.store import Store
from lora_assets.tables.mining import MapPoint, MinedObject, ObjectCaption, RareObject

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Step(Generic[Row]):
    """The rows of a step, and what it tells: counts, settings, `said` (what was skipped or could not be done) and
    `seconds`. `passing` names what may be otherwise at the next run (a lost picture, a service that failed)."""

    rows: list[Row]
    facts: dict[str, Any]
    passing: tuple[str, ...] = ()

    @property
    def said(self) -> list[str]:
        """In words, what was skipped or could not be done."""
        return self.facts["said"]


OBJECT_SETTINGS = (
    "sampling_rate", "seed", "yolo_model", "conf", "iou", "boxes_per_frame", "same_iou", "least_confidence",
    "least_side", "classes", "margin", "early_rare_share", "early_random_share", "early_least", "rare_keywords",
    "clip_model", "skip_early_filter", "skip_embeddings",
)  # fmt: skip
RARE_SETTINGS = (
    "contamination", "trees", "neighbours", "within_class", "rare_share", "rare_least", "common_share",
    "rare_keywords", "seed",
    "skip_embeddings", "skip_outliers", "skip_rare_class", "skip_novelty",
)  # fmt: skip
CAPTION_SETTINGS = (
    "caption_prompt", "caption_calls", "caption_side", "caption_max_tokens", "rare_keywords", "margin", "skip_caption",
)  # fmt: skip
MAP_SETTINGS = ("map_most", "perplexity", "seed", "skip_visualization")
CODE_VERSIONS = {
    "embeddings": f"{objects.CODE_VERSION}.1",
    "rare_objects": f"{outliers.CODE_VERSION}.{rarity.CODE_VERSION}",
    "captions": "1",
    "embedding_map": layout.CODE_VERSION,
}


def embedder_of(settings: MiningSettings, data: Path) -> Embedder | None:
    """What will make the vectors; None where they are skipped. Raises ModelError."""
    return None if settings.skip_embeddings else plan_embedder(settings, data)


def make_objects(
    store: Store,
    sources: Sequence[FrameSource],
    settings: MiningSettings,
    own: OwnDetector | None,
    embedder: Embedder | None,
    listen: Listener = nobody,
) -> tuple[Step[MinedObject], ObjectList]:
    """Sampling, boxes, early filter and vectors; the second is the list of all objects before the filter."""
    begun = time.monotonic()
    listed = list_objects(store, sources, settings, own, listen)
    boxed = time.monotonic()
    made = embed_objects(store, sources, listed.kept, listed.passed, embedder, settings, listen)
    said = list(listed.said)
    if settings.skip_early_filter:
        said.append("the early filter is skipped (skip_early_filter)")
    if embedder is None:
        said.append("vectors are skipped (skip_embeddings): no outlier model, no map")
    elif embedder.why:
        said.append(embedder.why)
    if made.lost:
        said.append(f"{len(made.lost)} objects have no pixels now, such as: {next(iter(made.lost.values()))}")
    without = sum(row.vector is None for row in made.rows)
    facts = {
        "frames_known": listed.frames_known,
        "frames_sampled": sum(len(frames) for frames in listed.frames.values()),
        "objects_found": len(listed.objects),
        "objects": len(made.rows),
        "passed": dict(Counter(listed.passed.values())),
        "class_counts": listed.class_counts,
        "dataset_classes": listed.dataset_classes,
        "detector": own.weights.name if own is not None else "the tracker's detections",
        **recipe_facts(embedder),
        "computed": made.computed,
        "reused": len(made.rows) - made.computed - without if embedder is not None else 0,
        "without_vector": without,
        "settings": _plain(settings.only(OBJECT_SETTINGS)),
        "said": said,
        "seconds": {"detection": boxed - begun, "embeddings": time.monotonic() - boxed},
    }
    return Step(made.rows, facts, (*listed.lost, *sorted(made.lost))), listed


def make_rare(
    rows: Sequence[MinedObject],
    class_counts: Mapping[str, int],
    dataset_classes: Mapping[str, Mapping[str, int]],
    settings: MiningSettings,
) -> Step[RareObject]:
    """Outliers, rare classes, their union, and novelty."""
    begun = time.monotonic()
    rated = rate_objects(rows, class_counts, dataset_classes, settings)
    facts = {
        **_rare_counts(rated.rows),
        "settings": _plain(settings.only(RARE_SETTINGS)),
        "said": list(rated.said),
        "seconds": {"rare_objects": time.monotonic() - begun},
    }
    return Step(rated.rows, facts)


def _rare_counts(rows: Sequence[RareObject]) -> dict[str, Any]:
    by_reason = Counter(name for each in rows for name in each.reasons)
    novel = [each.novelty for each in rows if each.novelty is not None]
    return {
        "objects": len(rows),
        "kept": sum(each.kept for each in rows),
        "reasons": {name: by_reason[name] for name in REASONS},
        "new_class": sum(bool(each.is_new_class) for each in rows),
        "novel": sum(value >= 0.99 for value in novel),
        "compared_with_earlier": len(novel),
    }


def make_captions(
    store: Store,
    sources: Sequence[FrameSource],
    rows: Sequence[MinedObject],
    rated: Sequence[RareObject],
    settings: MiningSettings,
    listen: Listener = nobody,
) -> Step[ObjectCaption]:
    """Captions of the kept objects."""
    begun = time.monotonic()
    service = caption_service(settings)
    made = caption_objects(store, sources, rows, rated, service, settings, listen)
    named = isinstance(service, CaptionService)
    facts = {
        "objects": len(made.rows),
        "captioned": sum(row.source == SERVICE for row in made.rows),
        "reused": made.reused,
        "asked": made.asked,
        "calls": made.calls,
        "failed": len(made.failed),
        "targets": sum(row.is_target for row in made.rows),
        "service": service.url if named else "",
        "model": service.model if named else "",
        "settings": _plain(settings.only(CAPTION_SETTINGS)),
        "said": list(made.said),
        "seconds": {"captions": time.monotonic() - begun},
    }
    return Step(made.rows, facts, tuple(sorted(made.failed)))


def make_map(
    rows: Sequence[MinedObject],
    rated: Sequence[RareObject],
    captions: Sequence[ObjectCaption],
    settings: MiningSettings,
) -> Step[MapPoint]:
    """The map, or none where it is skipped."""
    begun = time.monotonic()
    said: list[str] = []
    points: list[MapPoint] = []
    method = layout.NONE
    if settings.skip_visualization:
        said.append("the map is skipped (skip_visualization)")
    elif settings.skip_embeddings or not any(row.vector is not None for row in rows):
        said.append("no map: there are no vectors")
    else:
        shown = _shown(rows, rated, settings, said)
        vectors, places = vectors_of(shown)
        at, method = lay_out(vectors, settings.perplexity, settings.seed)
        if method == layout.LINE:
            said.append(f"{len(vectors)} objects, too few or all equal: they lie on a line, not on a map")
        points = _points([shown[int(place)] for place in places], at, method, rated, captions)
    facts = {
        "objects": len(rows),
        "points": len(points),
        "clusters": len({point.cluster for point in points if point.cluster >= 0}),
        "method": method,
        "settings": _plain(settings.only(MAP_SETTINGS)),
        "said": said,
        "seconds": {"embedding_map": time.monotonic() - begun},
    }
    return Step(points, facts)


def _shown(
    rows: Sequence[MinedObject], rated: Sequence[RareObject], settings: MiningSettings, said: list[str]
) -> list[MinedObject]:
    """The objects on the map: all with a vector, or the kept ones and a seeded draw of the others."""
    kept = {each.object_id for each in rated if each.kept}
    there = [row for row in rows if row.vector is not None]
    if len(there) <= settings.map_most:
        return there
    first = [row for row in there if row.object_id in kept][: settings.map_most]
    rest = [row for row in there if row.object_id not in kept]
    count = min(len(rest), settings.map_most - len(first))
    drawn = np.random.default_rng(settings.seed).permutation(len(rest))[:count]
    said.append(f"the map shows {len(first) + count} of {len(there)} objects (map_most): {len(first)} kept ones")
    return [*first, *(rest[number] for number in sorted(drawn.tolist()))]


def _points(
    rows: Sequence[MinedObject],
    at: np.ndarray,
    method: str,
    rated: Sequence[RareObject],
    captions: Sequence[ObjectCaption],
) -> list[MapPoint]:
    rare = {each.object_id: each for each in rated}
    told = {each.object_id: each for each in captions}
    clusters = find_clusters(at) if method == layout.TSNE else np.full(len(rows), -1, np.int64)
    spoken = [told[row.object_id].caption if told[row.object_id].source == SERVICE else None for row in rows]
    names = name_clusters(clusters.tolist(), [row.label for row in rows], spoken)
    points = []
    for row, (x, y), cluster in zip(rows, at, clusters.tolist(), strict=True):
        each, caption = rare[row.object_id], told[row.object_id]
        points.append(
            MapPoint(
                row.object_id, float(x), float(y), cluster, names.get(cluster, ""), row.dataset, row.frame_sha256,
                row.detection_id, row.label, row.confidence, caption.caption, caption.source, each.kept,
                caption.is_target, each.reasons, each.isolation_score, each.lof_score, each.novelty, each.is_new_class,
                row.x1, row.y1, row.x2, row.y2,
            )
        )  # fmt: skip
    return points


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Mined:
    """All that mining made: sources and settings, every object found, and the four steps."""

    sources: list[FrameSource]
    settings: MiningSettings
    listed: ObjectList
    objects: Step[MinedObject]
    rare: Step[RareObject]
    captions: Step[ObjectCaption]
    map: Step[MapPoint]
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def steps(self) -> tuple[Step[Any], ...]:
        """The four steps in order."""
        return (self.objects, self.rare, self.captions, self.map)

    @property
    def said(self) -> list[str]:
        """Everything that was skipped or could not be done, in order."""
        return [words for step in self.steps for words in step.said]


def mine(
    store: Store,
    sources: list[FrameSource],
    settings: MiningSettings,
    listen: Listener = nobody,
    only: str = "",
    **more: Any,
) -> Mined:
    """All steps over frames without a tracker; nothing is published. `more` goes into the config file.

    With `only` the result, captions and map are of that dataset; the others are what it is compared with. Raises
    ModelError for weights that cannot be used.
    """
    own = own_detector(settings, store.data)
    embedder = embedder_of(settings, store.data)
    found, listed = make_objects(store, sources, settings, own, embedder, listen)
    rare = make_rare(found.rows, listed.class_counts, listed.dataset_classes, settings)
    if only:
        found, rare, listed = _of_dataset(found, rare, listed, only)
        sources = [source for source in sources if source.dataset == only]
    captions = make_captions(store, sources, found.rows, rare.rows, settings, listen)
    points = make_map(found.rows, rare.rows, captions.rows, settings)
    return Mined(sources, settings, listed, found, rare, captions, points, dict(more))


def _of_dataset(
    found: Step[MinedObject], rare: Step[RareObject], listed: ObjectList, dataset: str
) -> tuple[Step[MinedObject], Step[RareObject], ObjectList]:
    """What was rated among several datasets, as far as it is of one; counts of sampling stay those of all."""
    rows = [row for row in found.rows if row.dataset == dataset]
    rated = [row for row in rare.rows if row.dataset == dataset]
    here = tuple(each for each in listed.objects if each.dataset == dataset)
    facts = {**found.facts, "compared_with": [name for name in listed.dataset_classes if name != dataset]}
    return (
        replace(found, rows=rows, facts={**facts, "objects": len(rows)}),
        replace(rare, rows=rated, facts={**rare.facts, **_rare_counts(rated)}),
        replace(listed, objects=here),
    )
