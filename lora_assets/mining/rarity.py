"""The rare-class filter, and the union of all that makes an object worth keeping.

What belongs elsewhere: outlier scores (outliers), the early filter, which runs before any model (objects).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lora_assets.mining.embedding import vectors_of
from lora_assets.mining.objects import matched_keyword
from lora_assets.mining.outliers import Outliers, find_outliers, novelty_over_time
from lora_assets.mining.settings import MiningSettings
from lora_assets.tables.mining import MinedObject, RareObject

CODE_VERSION = "2"
ISOLATION, LOF, RARE_CLASS, KEYWORD = "isolation_forest", "lof", "rare_class", "keyword"
REASONS = (ISOLATION, LOF, RARE_CLASS, KEYWORD)


@dataclass(frozen=True, slots=True)
class RatedObjects:
    """The rows, in the order of the objects, and in words what could not be done."""

    rows: list[RareObject]
    said: tuple[str, ...]


def class_shares(counts: Mapping[str, int]) -> dict[str, float]:
    """The share of each class among all objects."""
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()} if total else {}


def rare_classes(
    objects: Sequence[MinedObject], shares: Mapping[str, float], oddness: Sequence[float], settings: MiningSettings
) -> set[int]:
    """Numbers of the objects that the rare-class filter takes: keywords first, then the rarest classes, in a class the
    oddest first; `rare_share` of all, at least `rare_least`. A class of `common_share` or more is never rare."""
    has_keyword = [matched_keyword(each.label, settings.rare_keywords) is not None for each in objects]
    fit = [
        number
        for number, each in enumerate(objects)
        if has_keyword[number] or shares.get(each.label, 0.0) < settings.common_share
    ]
    fit.sort(
        key=lambda number: (
            not has_keyword[number], shares.get(objects[number].label, 0.0), -oddness[number],
            objects[number].object_id,
        )
    )  # fmt: skip
    return set(fit[: max(settings.rare_least, math.ceil(settings.rare_share * len(objects)))])


def rate_objects(
    objects: Sequence[MinedObject],
    class_counts: Mapping[str, int],
    dataset_classes: Mapping[str, Mapping[str, int]],
    settings: MiningSettings,
) -> RatedObjects:
    """What makes each object rare. `dataset_classes` names the datasets in their order of time."""
    said: list[str] = []
    vectors, places = vectors_of(objects)
    missing = len(objects) - len(places)
    if missing and not settings.skip_embeddings:
        said.append(f"{missing} objects have no vector (see no_vector): only their class can make them rare")
    shares = class_shares(class_counts)
    labels = [objects[int(place)].label for place in places]
    outliers = _outliers(vectors, labels, len(objects), settings, said)
    oddness = np.zeros(len(objects))
    row_of = {int(place): row for row, place in enumerate(places)}
    if outliers.isolation is not None:
        oddness[places] = outliers.isolation
    taken: set[int] = set()
    if settings.skip_rare_class:
        said.append("the rare-class filter is skipped (skip_rare_class)")
    elif objects:
        taken = rare_classes(objects, shares, oddness.tolist(), settings)
        if not taken:
            said.append(f"no class is rare: every object is of a class with {settings.common_share:.0%} or more")
    novel, nearest, new_class = _novelty(objects, vectors, places, dataset_classes, settings, said)
    rows = []
    for number, each in enumerate(objects):
        row = row_of.get(number)
        keyword = None if settings.skip_rare_class else matched_keyword(each.label, settings.rare_keywords)
        isolated = row is not None and bool(outliers.is_isolated[row])
        local = row is not None and bool(outliers.is_local[row])
        holds = (isolated, local, number in taken, keyword is not None)
        reasons = [name for name, is_so in zip(REASONS, holds, strict=True) if is_so]
        share = shares.get(each.label, 0.0)
        rows.append(
            RareObject(
                each.object_id, each.dataset, each.frame_sha256, each.detection_id, each.label, share,
                -math.log2(share) if 0 < share < 1 else 0.0, keyword, number in taken,
                None if row is None or outliers.isolation is None else float(outliers.isolation[row]), isolated,
                None if row is None or outliers.lof is None else float(outliers.lof[row]), local,
                novel.get(number), nearest.get(number), new_class.get(number), bool(reasons), reasons,
            )
        )  # fmt: skip
    return RatedObjects(rows, tuple(said))


def _outliers(
    vectors: np.ndarray, labels: list[str], objects: int, settings: MiningSettings, said: list[str]
) -> Outliers:
    none = Outliers(None, np.zeros(len(vectors), bool), None, np.zeros(len(vectors), bool))
    if settings.skip_embeddings:
        said.append("no outlier model: vectors are skipped (skip_embeddings)")
        return none
    if settings.skip_outliers:
        said.append("outlier models are skipped (skip_outliers)")
        return none
    if not objects:
        said.append("no object: no outlier model is possible")
        return none
    found = find_outliers(
        vectors, settings.contamination, settings.trees, settings.neighbours, settings.seed,
        labels if settings.within_class else None,
    )  # fmt: skip
    if found.said:
        said.append(found.said)
    return found


def _novelty(
    objects: Sequence[MinedObject],
    vectors: np.ndarray,
    places: np.ndarray,
    dataset_classes: Mapping[str, Mapping[str, int]],
    settings: MiningSettings,
    said: list[str],
) -> tuple[dict[int, float], dict[int, str], dict[int, bool]]:
    """By number of the object: novelty, id of the nearest earlier object, whether its class is new."""
    if settings.skip_novelty:
        said.append("novelty is skipped (skip_novelty)")
        return {}, {}, {}
    order = {dataset: number for number, dataset in enumerate(dataset_classes)}
    if len(order) < 2:
        said.append("novelty needs an earlier dataset: there is only one")
        return {}, {}, {}
    before: dict[str, set[str]] = {}
    known: set[str] = set()
    for dataset, classes in dataset_classes.items():
        before[dataset] = set(known)
        known |= set(classes)
    # A dataset without objects is none to compare with: all after it would be new.
    new_class = {
        number: each.label not in before[each.dataset] for number, each in enumerate(objects) if before[each.dataset]
    }
    found = novelty_over_time(vectors, [order[objects[int(place)].dataset] for place in places], len(order))
    novel = {int(p): float(v) for p, v in zip(places, found.novelty, strict=True) if not np.isnan(v)}
    nearest = {
        int(place): objects[int(places[row])].object_id
        for place, row in zip(places, found.nearest, strict=True)
        if row >= 0
    }
    return novel, nearest, new_class
