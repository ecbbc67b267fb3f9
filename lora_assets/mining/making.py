"""The tables of mining of a tracker: `embeddings`, `rare_objects`, `object_captions` and `embedding_map`.

They only look at detections, so that those of a sealed tracker may be made anew. Equal boxes, weights and settings give
equal tables, and what is published already is not made again. What belongs elsewhere: the steps themselves (pipeline).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_assets.mining import captioning
from lora_assets.mining.drawing import draw_map, map_path
from lora_assets.mining.objects import list_objects
from lora_assets.mining.pipeline import (
    CAPTION_SETTINGS,
    CODE_VERSIONS,
    MAP_SETTINGS,
    OBJECT_SETTINGS,
    RARE_SETTINGS,
    Mined,
    Step,
    embedder_of,
    make_captions,
    make_map,
    make_objects,
    make_rare,
)
from lora_assets.mining.settings import CaptionService, MiningSettings, caption_service
from lora_assets.mining.sources import own_detector, tracker_sources
from lora_assets.progress import Listener, nobody
from lora_assets.specs import read_tracker, section_settings
from lora_assets.store import PublishedTable, Store, StoreError, atomic_write_bytes, digest
from lora_assets.tables import from_table, to_table
from lora_assets.tables.mining import MapPoint, MinedObject, ObjectCaption, RareObject
from lora_assets.vision.plot_fonts import LANGUAGES

EMBEDDINGS, RARE, CAPTIONS, MAP = "embeddings", "rare_objects", "object_captions", "embedding_map"
ROW_TYPES: dict[str, type] = {EMBEDDINGS: MinedObject, RARE: RareObject, CAPTIONS: ObjectCaption, MAP: MapPoint}


@dataclass(frozen=True, slots=True)
class MadeTable:
    """A published table of mining; `reused` when it was there already."""

    table: PublishedTable
    reused: bool

    @property
    def facts(self) -> dict[str, Any]:
        """What the table tells of itself."""
        return self.table.facts

    def numbers(self) -> dict[str, float]:
        """What is plotted over runs, by name."""
        told = {name: float(value) for name, value in self.facts.items() if type(value) in (int, float)}
        for group in ("seconds", "reasons", "passed"):
            values = self.facts.get(group, {})
            told.update({f"{group}_{name.replace(' ', '_')}": float(value) for name, value in values.items()})
        told.pop("published_at", None)
        return told

    def rows(self) -> list[Any]:
        """The rows."""
        return from_table(self.table.read(), ROW_TYPES[self.table.path.parent.name])


def mining_settings(data: Path, tracker: str) -> MiningSettings:
    """Section [mining] of a tracker. Raises SpecError for what does not fit."""
    return section_settings(MiningSettings, read_tracker(data, tracker), "mining")


def read_mining(store: Store, tracker: str, table: str) -> PublishedTable | None:
    """A table of mining as it was published last; None when there is none."""
    return store.published(store.table_path(table, tracker))


def make_tracker_embeddings(data: Path, tracker: str, listen: Listener = nobody, run_id: str = "") -> MadeTable:
    """Objects of the tracker's frames with their vectors. Raises SpecError, ModelError, StoreError."""
    store, settings = Store(data), mining_settings(data, tracker)
    with store.lock(f"mining-{tracker}"):
        sources = tracker_sources(store, read_tracker(data, tracker))
        own, embedder = own_detector(settings, data), embedder_of(settings, data)
        boxes = [
            [s.dataset, s.version, own.recipe if own else s.detections.version if s.detections else ""] for s in sources
        ]
        made_by = embedder.digest if embedder is not None else ""
        # The embedder's own digest stands for clip_model.
        chosen = _json(settings.only(tuple(name for name in OBJECT_SETTINGS if name != "clip_model")))
        wanted = digest(EMBEDDINGS, CODE_VERSIONS["embeddings"], chosen, boxes, made_by)
        if (there := _made(store, tracker, EMBEDDINGS, wanted)) is not None:
            return there
        step, _ = make_objects(store, sources, settings, own, embedder, listen)
        return _publish(store, tracker, EMBEDDINGS, step, wanted, run_id)


def make_tracker_rare(data: Path, tracker: str, run_id: str = "") -> MadeTable:
    """What makes each object rare. Raises StoreError when there are no embeddings yet."""
    store, settings = Store(data), mining_settings(data, tracker)
    with store.lock(f"mining-{tracker}"):
        before = _needed(store, tracker, EMBEDDINGS)
        wanted = digest(RARE, CODE_VERSIONS["rare_objects"], before.version, _json(settings.only(RARE_SETTINGS)))
        if (there := _made(store, tracker, RARE, wanted)) is not None:
            return there
        rows = from_table(before.read(), MinedObject)
        step = make_rare(rows, before.facts["class_counts"], before.facts["dataset_classes"], settings)
        return _publish(store, tracker, RARE, step, wanted, run_id)


def make_tracker_captions(data: Path, tracker: str, listen: Listener = nobody, run_id: str = "") -> MadeTable:
    """Captions of the kept objects. Raises StoreError when there are no rare objects yet."""
    store, settings = Store(data), mining_settings(data, tracker)
    with store.lock(f"mining-{tracker}"):
        objects, rare = _needed(store, tracker, EMBEDDINGS), _needed(store, tracker, RARE)
        service = caption_service(settings)
        asked = [service.url, service.model] if isinstance(service, CaptionService) else [service]
        chosen = _json(settings.only(CAPTION_SETTINGS))
        code = [CODE_VERSIONS["captions"], captioning.CODE_VERSION]
        wanted = digest(CAPTIONS, code, objects.version, rare.version, chosen, asked)
        if (there := _made(store, tracker, CAPTIONS, wanted)) is not None:
            return there
        sources = tracker_sources(store, read_tracker(data, tracker))
        rows, rated = from_table(objects.read(), MinedObject), from_table(rare.read(), RareObject)
        _check_same(tracker, rows, rated, RARE)
        step = make_captions(store, sources, rows, rated, settings, listen)
        return _publish(store, tracker, CAPTIONS, step, wanted, run_id)


def make_tracker_map(data: Path, tracker: str, run_id: str = "") -> MadeTable:
    """The map, as table and as PNG in each language. Raises StoreError when a table before it is missing."""
    store, settings = Store(data), mining_settings(data, tracker)
    with store.lock(f"mining-{tracker}"):
        objects, rare, told = (_needed(store, tracker, name) for name in (EMBEDDINGS, RARE, CAPTIONS))
        chosen = _json(settings.only((*MAP_SETTINGS, "skip_embeddings")))
        versions = [objects.version, rare.version, told.version]
        wanted = digest(MAP, CODE_VERSIONS["embedding_map"], versions, chosen)
        there = _made(store, tracker, MAP, wanted)
        if there is not None and all(map_path(data, tracker, language).exists() for language in LANGUAGES):
            return there
        rows, rated = from_table(objects.read(), MinedObject), from_table(rare.read(), RareObject)
        captions = from_table(told.read(), ObjectCaption)
        _check_same(tracker, rows, rated, RARE)
        _check_same(tracker, rows, captions, CAPTIONS)
        step = make_map(rows, rated, captions, settings)
        pictures: dict[str, str] = {}
        for language in LANGUAGES:
            png = draw_map(step.rows, language, step.said)
            atomic_write_bytes(map_path(data, tracker, language), png, durable=False, recorded=True)
            # The pages find the pictures by this: they do not import what draws them.
            pictures[language] = str(map_path(data, tracker, language).relative_to(data))
        step.facts["pictures"] = pictures
        return _publish(store, tracker, MAP, step, wanted, run_id)


def make_tracker_mining(data: Path, tracker: str, listen: Listener = nobody) -> None:
    """All four tables, one after the other."""
    make_tracker_embeddings(data, tracker, listen)
    make_tracker_rare(data, tracker)
    make_tracker_captions(data, tracker, listen)
    make_tracker_map(data, tracker)


def read_mined(data: Path, tracker: str) -> Mined:
    """All that was mined of a tracker, from its tables. Raises StoreError when one is missing."""
    store, settings = Store(data), mining_settings(data, tracker)
    sources = tracker_sources(store, read_tracker(data, tracker))
    listed = list_objects(store, sources, settings, own_detector(settings, data))
    steps = []
    for name, row_type in ROW_TYPES.items():
        table = _needed(store, tracker, name)
        steps.append(Step(from_table(table.read(), row_type), table.facts))
    return Mined(sources, settings, listed, *steps, more={"tracker": tracker})


def _json(values: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _made(store: Store, tracker: str, name: str, wanted: str) -> MadeTable | None:
    table = read_mining(store, tracker, name)
    return MadeTable(table, True) if table is not None and table.version == wanted else None


def _publish(store: Store, tracker: str, name: str, step: Step[Any], wanted: str, run_id: str) -> MadeTable:
    # What may be otherwise at the next run changes the version, so that it is tried again.
    version = digest(wanted, "passing", step.passing) if step.passing else wanted
    facts = {**step.facts, "tracker": tracker, "run_id": run_id, "code_version": CODE_VERSIONS.get(name, "")}
    row_type = ROW_TYPES[name]
    table = store.publish(store.table_path(name, tracker), row_type, [to_table(step.rows, row_type)], version, facts)
    return MadeTable(table, False)


def _needed(store: Store, tracker: str, name: str) -> PublishedTable:
    table = read_mining(store, tracker, name)
    if table is None:
        asset = "captions" if name == CAPTIONS else name
        raise StoreError(
            f"tracker {tracker}: {asset} are not made yet; materialize {asset} first, or: lora-assets mine --tracker "
            f"{tracker}"
        )
    return table


def _check_same(tracker: str, rows: Sequence[MinedObject], later: Sequence[Any], name: str) -> None:
    """Raise StoreError unless a later table is of the very objects of the embeddings."""
    if [row.object_id for row in rows] != [row.object_id for row in later]:
        asset = "captions" if name == CAPTIONS else name
        raise StoreError(
            f"tracker {tracker}: {asset} are of other objects than embeddings are now; materialize {asset} first"
        )
