"""The page /tracker/<ID>/map: objects by likeness, what was kept, and what is new against earlier datasets.

It reads the published table `embedding_map` and small pictures of the store, nothing else. What belongs elsewhere:
making the map (mining).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from lora_assets.specs import TrackerSpec
from lora_assets.store import PublishedTable, digest
from lora_assets.tables import from_table
from lora_assets.tables.mining import MapPoint
from lora_assets.tracker.cells import Cells
from lora_assets.tracker.headers import KEPT_FOR_GOOD
from lora_assets.tracker.pictures import PictureMissing, stored_picture
from lora_assets.tracker.routes_pictures import digest_in_address
from lora_assets.tracker.site import Site, data_answer
from lora_assets.tracker.view import TrackerView

REASONS = ("isolation_forest", "lof", "rare_class", "keyword")
_TILES = 48
_NEWEST = 12
_PICTURES = "objects"
# On a map of side 1: nearer ones look alike.
_APART = 0.03
_MAPS = ("pages", "mining")


@dataclass(frozen=True, slots=True)
class MapTile:
    """One object in a list of the page."""

    object_id: str
    thumb_url: str
    url: str
    caption: str
    label: str
    reasons: tuple[str, ...]
    novelty: float | None


@dataclass(frozen=True, slots=True)
class ClusterLine:
    """One cluster of the map."""

    number: int
    name: str
    count: int
    kept: int


@dataclass(frozen=True, slots=True)
class MapPage:
    """What the page shows; `made` is false where there is no map yet."""

    spec: TrackerSpec
    made: bool
    state: str
    said: tuple[str, ...]
    builtin: bool
    objects: int
    points: int
    kept_count: int
    clusters: tuple[ClusterLine, ...]
    kept: tuple[MapTile, ...]
    newest: tuple[tuple[str, tuple[MapTile, ...]], ...]
    has_picture: bool


def add_routes(app: FastAPI, site: Site) -> None:
    """Register the routes of this module."""

    @app.get("/tracker/{tracker}/map")
    def page(request: Request, tracker: str) -> Response:
        view = site.tables_view(tracker)
        return site.page(request, "map.html", page=map_page(site.cells, view))

    @app.get("/api/tracker/{tracker}/map")
    def points(request: Request, tracker: str) -> Response:
        view = site.tables_view(tracker)
        table = _table(site.cells, view.spec, "embedding_map")
        if table is None:
            raise HTTPException(404)
        tag = digest("map", table.version, table.facts.get("published_at"), view.state)
        return data_answer(request, tag, lambda: map_points(site.cells, view, table))

    @app.get("/tracker/{tracker}/object/{name}.webp")
    def picture(tracker: str, name: str) -> Response:
        site.cells.spec(tracker)
        content = stored_picture(site.cells, _PICTURES, digest_in_address(name), ".webp")
        return Response(content, media_type="image/webp", headers={"Cache-Control": KEPT_FOR_GOOD})

    @app.get("/tracker/{tracker}/map.png")
    def drawn(request: Request, tracker: str) -> Response:
        table = _table(site.cells, site.cells.spec(tracker), "embedding_map")
        path = _drawn_map(site.cells, table, site.labels(request).code) if table is not None else None
        if path is None:
            raise PictureMissing("missing.picture")
        return Response(path.read_bytes(), media_type="image/png")


def map_page(cells: Cells, view: TrackerView) -> MapPage:
    """The page of a tracker. Raises StoreError for a damaged table."""
    table = _table(cells, view.spec, "embedding_map")
    if table is None:
        return MapPage(view.spec, False, "", (), False, 0, 0, 0, (), (), (), False)
    points = _points(cells, table)
    crops = _crop_of(view)
    kept = sorted((p for p in points if p.kept), key=_oddest)
    said = tuple(dict.fromkeys(words for facts in _facts(cells, view.spec) for words in facts.get("said", ())))
    names = Counter((point.cluster, point.cluster_name) for point in points if point.cluster >= 0)
    odd = Counter(point.cluster for point in points if point.kept)
    return MapPage(
        spec=view.spec,
        made=True,
        state=table.version,
        said=said,
        builtin=any(facts.get("builtin") for facts in _facts(cells, view.spec)),
        objects=int(table.facts.get("objects", len(points))),
        points=len(points),
        kept_count=len(kept),
        clusters=tuple(ClusterLine(number, name, names[number, name], odd[number]) for number, name in sorted(names)),
        kept=tuple(_tile(view, point, crops) for point in kept[:_TILES]),
        newest=_newest(view, points, crops),
        has_picture=_drawn_map(cells, table, "en") is not None,
    )


def map_points(cells: Cells, view: TrackerView, table: PublishedTable) -> bytes:
    """The map as compact JSON, columns instead of rows. `reasons` are bits in the order of `reason_names`; figures that
    are not known are null; `crop` is empty for an object that is no crop of the tracker."""
    points = _points(cells, table)
    crops = _crop_of(view)
    labels = sorted({point.label for point in points})
    datasets = sorted({point.dataset for point in points})
    names = {cell.dataset: cell.name for cell in view.cells}
    told: dict[str, Any] = {
        "labels": labels,
        "datasets": [names.get(slug, slug) for slug in datasets],
        "clusters": {point.cluster: point.cluster_name for point in points if point.cluster >= 0},
        "reason_names": REASONS,
        "id": [point.object_id for point in points],
        "x": [round(point.x, 4) for point in points],
        "y": [round(point.y, 4) for point in points],
        "cluster": [point.cluster for point in points],
        "label": [labels.index(point.label) for point in points],
        "dataset": [datasets.index(point.dataset) for point in points],
        "confidence": [round(point.confidence, 2) for point in points],
        "caption": [point.caption for point in points],
        "spoken": [int(point.caption_source == "service") for point in points],
        "kept": [int(point.kept) for point in points],
        "target": [int(point.is_target) for point in points],
        "reasons": [sum(1 << n for n, name in enumerate(REASONS) if name in point.reasons) for point in points],
        "forest": [_rounded(point.isolation_score) for point in points],
        "lof": [_rounded(point.lof_score) for point in points],
        "novelty": [_rounded(point.novelty) for point in points],
        "new": [int(bool(point.is_new_class)) for point in points],
        "frame": [point.frame_sha256 if point.frame_sha256 in view.frames else "" for point in points],
        "box": [[round(v) for v in (point.x1, point.y1, point.x2, point.y2)] for point in points],
        "path": [view.path_of(point.frame_sha256) for point in points],
        "crop": [crops.get((point.frame_sha256, point.detection_id), "") for point in points],
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _table(cells: Cells, spec: TrackerSpec, name: str) -> PublishedTable | None:
    return cells.published(cells.store.table_path(name, spec.id))


def _facts(cells: Cells, spec: TrackerSpec) -> list[dict[str, Any]]:
    """What the four tables of mining tell of themselves, in the order of the steps."""
    names = ("embeddings", "rare_objects", "object_captions", "embedding_map")
    return [table.facts for name in names if (table := _table(cells, spec, name)) is not None]


def _points(cells: Cells, table: PublishedTable) -> list[MapPoint]:
    return from_table(cells.columns(table, table.columns), MapPoint)


def _crop_of(view: TrackerView) -> dict[tuple[str, str], str]:
    """The crop of each detection of the tracker, by frame and detection."""
    names = ("frame_sha256", "detection_id", "crop_id")
    frames, detections, crops = (view.crops.column(name).to_pylist() for name in names)
    return dict(zip(zip(frames, detections, strict=True), crops, strict=True))


def _oddest(point: MapPoint) -> tuple[Any, ...]:
    return (-len(point.reasons), -(point.isolation_score or 0.0), point.object_id)


def _tile(view: TrackerView, point: MapPoint, crops: dict[tuple[str, str], str]) -> MapTile:
    base = f"/tracker/{view.spec.id}"
    crop = crops.get((point.frame_sha256, point.detection_id))
    return MapTile(
        point.object_id,
        f"{base}/object/{point.object_id}.webp",
        f"{base}/crop/{crop}" if crop else f"{base}/frame/{point.frame_sha256}.jpg",
        point.caption,
        point.label,
        tuple(point.reasons),
        point.novelty,
    )


def _newest(
    view: TrackerView, points: list[MapPoint], crops: dict[tuple[str, str], str]
) -> tuple[tuple[str, tuple[MapTile, ...]], ...]:
    """Of each dataset that has earlier ones, its name and its newest objects."""
    of_dataset: dict[str, list[MapPoint]] = {}
    for point in points:
        if point.novelty is not None:
            of_dataset.setdefault(point.dataset, []).append(point)
    names = {cell.dataset: cell.name for cell in view.cells}
    order = [cell.dataset for cell in view.cells if cell.dataset in of_dataset]
    found = []
    for slug in order:
        newest = sorted(of_dataset[slug], key=lambda p: (-(p.novelty or 0.0), not p.is_new_class, p.object_id))
        found.append((names.get(slug, slug), tuple(_tile(view, point, crops) for point in _spread(newest)[:_NEWEST])))
    return tuple(found)


def _spread(points: list[MapPoint]) -> list[MapPoint]:
    """The points in their order without those that lie on one before them: frames of one shot show the same thing."""
    taken: list[MapPoint] = []
    for point in points:
        if len(taken) == _NEWEST:
            break
        if all(math.dist((point.x, point.y), (other.x, other.y)) > _APART for other in taken):
            taken.append(point)
    return taken


def _drawn_map(cells: Cells, table: PublishedTable, language: str) -> Path | None:
    """The PNG that the table names for a language; None where it is gone or names a file elsewhere."""
    told = table.facts.get("pictures", {})
    name = told.get(language) if isinstance(told, dict) else None
    folder = cells.data.joinpath(*_MAPS)
    path = folder / Path(name).name if isinstance(name, str) else None
    return path if path is not None and path.is_file() else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
