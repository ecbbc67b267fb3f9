"""The page /tracker/<ID>/lab: refinement presets compared on a sample of masks, and frames taken apart into layers.

It reads published tables and the pictures that they name; the one thing it changes is a tracker's file, when a person
adopts a preset. What belongs elsewhere: making sweeps and layers (mask_lab).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from PIL import Image
from starlette.exceptions import HTTPException

from lora_assets.mask_lab.adopting import NameTaken, TrackerSealed, adopt_preset, preset_of, suggested_id
from lora_assets.mask_lab.file_names import (
    BACKGROUND,
    CHARACTER,
    LAYERS_TABLE,
    PICTURES,
    RESULTS_TABLE,
    SWEEP_TABLE,
    image_folder,
    plot_name,
)
from lora_assets.specs import SpecError, TrackerSpec, known_tracker_ids
from lora_assets.store import PublishedTable
from lora_assets.tables import from_table
from lora_assets.tables.mask_lab import LayeredFrame, PresetResult, SweptMask
from lora_assets.tracker.cells import Cells
from lora_assets.tracker.headers import KEPT_FOR_GOOD
from lora_assets.tracker.pictures import PictureMissing
from lora_assets.tracker.request_bodies import json_object, read_body
from lora_assets.tracker.routes_pictures import digest_in_address
from lora_assets.tracker.site import Site

_GRID_ROWS = 24
_LAYERS = 24
_THUMB_SIDE = 640
_MOST_BYTES = 4096
_EXAMPLE = '{"preset": NAME}, and with "as": ID make a copy of the tracker'
_TYPES = {".png": "image/png", ".jpg": "image/jpeg"}


@dataclass(frozen=True, slots=True)
class PresetLine:
    """One preset of the table, with the ID that a copy of the tracker with it would get."""

    result: PresetResult
    is_best: bool
    is_tied: bool
    """others reach the best objective too, as far as the page shows it"""
    in_use: bool
    copy_id: str


@dataclass(frozen=True, slots=True)
class LabPicture:
    """One mask under one preset."""

    url: str
    preset: str
    swept: SweptMask


@dataclass(frozen=True, slots=True)
class LabImage:
    """One sampled mask and its pictures under each preset."""

    number: int
    path: str
    frame_url: str
    chosen_for: tuple[str, ...]
    judge: str
    pictures: tuple[LabPicture, ...]


@dataclass(frozen=True, slots=True)
class LabPage:
    """What the page shows; `made` is false where there is no sweep yet."""

    spec: TrackerSpec
    preset: str
    made: bool
    state: str = ""
    show: str = "close"
    kinds: tuple[str, ...] = tuple(PICTURES)
    presets: int = 0
    images_count: int = 0
    masks_known: int = 0
    judged: int = 0
    seconds: float = 0.0
    said: tuple[str, ...] = ()
    lines: tuple[PresetLine, ...] = ()
    hidden: int = 0
    images: tuple[LabImage, ...] = ()
    layers: tuple[LayeredFrame, ...] = ()
    layers_said: tuple[str, ...] = ()


def add_routes(app: FastAPI, site: Site) -> None:
    """Register the routes of this module."""

    @app.get("/tracker/{tracker}/lab")
    def page(request: Request, tracker: str) -> Response:
        return site.page(request, "lab.html", page=lab_page(site.cells, tracker, request.query_params.get("show", "")))

    @app.get("/tracker/{tracker}/lab.png")
    def plot(request: Request, tracker: str) -> Response:
        folder = _folder(site.cells, _table(site.cells, tracker, SWEEP_TABLE))
        content = _content(folder / plot_name(site.labels(request).code)) if folder else _missing()
        return Response(content, media_type="image/png")

    @app.get("/tracker/{tracker}/lab/{made}/{image}/{slug}/{name}")
    def picture(tracker: str, made: str, image: str, slug: str, name: str) -> Response:
        path = swept_picture(site.cells, tracker, (made, image, slug, name))
        headers = {"Cache-Control": KEPT_FOR_GOOD}
        return Response(_content(path), media_type=_TYPES[path.suffix], headers=headers)

    @app.get("/tracker/{tracker}/layers/{frame}/{name}.webp")
    def layer(tracker: str, frame: str, name: str) -> Response:
        path = layer_picture(site.cells, tracker, digest_in_address(frame), f"{name}.png")
        return Response(_thumbnail(path), media_type="image/webp")

    @app.get("/tracker/{tracker}/layers/{frame}/{name}.png")
    def whole_layer(tracker: str, frame: str, name: str) -> Response:
        path = layer_picture(site.cells, tracker, digest_in_address(frame), f"{name}.png")
        return Response(_content(path), media_type="image/png")

    @app.post("/api/tracker/{tracker}/preset")
    async def adopt(request: Request, tracker: str) -> Response:
        body = await read_body(request, _MOST_BYTES, "a preset's name and the ID of a tracker are short")
        preset, as_tracker = _asked(json_object(body, _EXAMPLE))
        return await run_in_threadpool(_adopted, site.data, tracker, preset, as_tracker)


def _asked(told: dict[str, Any]) -> tuple[str, str]:
    if not set(told) <= {"preset", "as"}:
        raise HTTPException(422, f"send {_EXAMPLE}")
    preset, as_tracker = told.get("preset"), told.get("as", "")
    if not isinstance(preset, str) or not isinstance(as_tracker, str):
        raise HTTPException(422, "preset and as must be texts")
    return preset, as_tracker


def _adopted(data: Path, tracker: str, preset: str, as_tracker: str) -> Response:
    try:
        done = adopt_preset(data, tracker, preset, as_tracker)
    except (TrackerSealed, NameTaken) as error:
        return JSONResponse({"error": str(error)}, 409)
    except SpecError as error:
        return JSONResponse({"error": str(error)}, 422 if tracker in known_tracker_ids(data) else 404)
    told = {"tracker": done.tracker, "preset": done.preset, "before": done.before, "is_new": done.is_new}
    return JSONResponse({**told, "url": f"/tracker/{done.tracker}"})


def lab_page(cells: Cells, tracker: str, show: str = "") -> LabPage:
    """The page of a tracker. Raises SpecError for an unknown one, StoreError for a damaged table."""
    spec = cells.spec(tracker)
    preset = preset_of(spec)
    layered = _table(cells, tracker, LAYERS_TABLE)
    layers = _rows(cells, layered, LayeredFrame)
    parts: dict[str, Any] = {
        "layers": tuple(row for row in layers if row.reason is None)[:_LAYERS],
        "layers_said": tuple(layered.facts.get("said", ())) if layered else (),
    }
    table, results = (_table(cells, tracker, name) for name in (SWEEP_TABLE, RESULTS_TABLE))
    folder = _folder(cells, table)
    if table is None or results is None or folder is None:
        return LabPage(spec, preset, False, **parts)
    facts = table.facts
    found = _rows(cells, results, PresetResult)
    best = facts.get("best")
    if best is not None:
        found.sort(key=lambda each: (-(each.objective or 0.0), each.seconds))
    grid = [each for each in found if ":" in each.preset]
    hidden = {each.preset for each in grid[_GRID_ROWS:]}
    shown = [each for each in found if each.preset not in hidden]
    winners = _winners(found, best)
    lines = tuple(
        PresetLine(
            each,
            is_best=winners == {each.preset},
            is_tied=len(winners) > 1 and each.preset in winners,
            in_use=each.preset == preset,
            copy_id=suggested_id(cells.data, tracker, each.preset),
        )
        for each in shown
    )
    show = show if show in PICTURES else "close"
    return LabPage(
        spec=spec,
        preset=preset,
        made=True,
        state=folder.name,
        show=show,
        presets=len(found),
        images_count=int(facts.get("images", 0)),
        masks_known=int(facts.get("masks_known", 0)),
        judged=int(facts.get("judged", 0)),
        seconds=float(facts.get("seconds", 0.0)),
        said=tuple(facts.get("said", ())),
        lines=lines,
        hidden=len(hidden),
        images=_images(cells, tracker, table, [each for each in found if each.has_pictures], folder.name, show),
        **parts,
    )


def _winners(found: list[PresetResult], best: str | None) -> set[str]:
    """The presets that nobody can tell from the best one: their objectives read the same with the page's 3 digits."""
    reached = next((each.objective for each in found if each.preset == best), None)
    if reached is None:
        return set()
    return {each.preset for each in found if each.objective is not None and f"{each.objective:.3f}" == f"{reached:.3f}"}


def _images(
    cells: Cells, tracker: str, table: PublishedTable, results: list[PresetResult], made: str, show: str
) -> tuple[LabImage, ...]:
    of_image: dict[int, dict[str, SweptMask]] = {}
    for row in _rows(cells, table, SweptMask):
        of_image.setdefault(row.image, {})[row.preset] = row
    found = []
    for number, rows in sorted(of_image.items()):
        first = next(iter(rows.values()))
        base = f"/tracker/{tracker}/lab/{made}/{image_folder(number)}"
        pictures = tuple(
            LabPicture(f"{base}/{each.slug}/{PICTURES[show]}", each.preset, rows[each.preset])
            for each in results
            if each.preset in rows
        )
        frame_url = f"/tracker/{tracker}/frame/{first.frame_sha256}.jpg"
        found.append(LabImage(number, first.path, frame_url, tuple(first.chosen_for), first.judge, pictures))
    return tuple(found)


def swept_picture(cells: Cells, tracker: str, address: tuple[str, str, str, str]) -> Path:
    """The file of an address (folder of the sweep, image, preset, file), every part of which the tables name.

    Raises PictureMissing for any other.
    """
    made, image, slug, name = address
    table, results = (_table(cells, tracker, name) for name in (SWEEP_TABLE, RESULTS_TABLE))
    folder = _folder(cells, table)
    if folder is None or results is None or folder.name != made or name not in PICTURES.values():
        raise PictureMissing("missing.picture")
    slugs = {each.slug for each in _rows(cells, results, PresetResult) if each.has_pictures}
    numbers = range(1, int(table.facts.get("images", 0)) + 1) if table else ()
    if slug not in slugs or image not in {image_folder(number) for number in numbers}:
        raise PictureMissing("missing.picture")
    return folder / image / slug / name


def layer_picture(cells: Cells, tracker: str, frame: str, name: str) -> Path:
    """The file of a layer. Raises PictureMissing when the tables name no such one."""
    rows = _rows(cells, _table(cells, tracker, LAYERS_TABLE), LayeredFrame)
    row = next((row for row in rows if row.frame_sha256 == frame and row.reason is None), None)
    parts = Path(row.folder).parts if row is not None else ()
    if name not in (CHARACTER, BACKGROUND) or len(parts) != 4 or parts[0] != LAYERS_TABLE or ".." in parts:
        raise PictureMissing("missing.picture")
    return cells.data.joinpath(*parts) / name


def _table(cells: Cells, tracker: str, name: str) -> PublishedTable | None:
    return cells.published(cells.store.table_path(name, cells.spec(tracker).id))


def _rows(cells: Cells, table: PublishedTable | None, row_type: type[Any]) -> list[Any]:
    return from_table(cells.columns(table, table.columns), row_type) if table is not None else []


def _folder(cells: Cells, table: PublishedTable | None) -> Path | None:
    """The folder of a sweep; None where it is gone, or the table names a place that is not below data/mask_lab."""
    parts = Path(str(table.facts.get("folder", ""))).parts if table is not None else ()
    if len(parts) != 3 or parts[0] != "mask_lab" or ".." in parts:
        return None
    path = cells.data.joinpath(*parts)
    return path if path.is_dir() else None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PictureMissing("missing.picture") from error


def _missing() -> bytes:
    raise PictureMissing("missing.picture")


def _thumbnail(path: Path) -> bytes:
    try:
        with Image.open(path) as picture:
            picture.thumbnail((_THUMB_SIDE, _THUMB_SIDE))
            buffer = io.BytesIO()
            picture.save(buffer, "WEBP", quality=82)
    except (OSError, Image.DecompressionBombError) as error:
        raise PictureMissing("missing.picture") from error
    return buffer.getvalue()
