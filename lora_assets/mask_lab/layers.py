"""Frames taken apart: the characters as one RGBA layer, and the background with them painted out.

Layers of a frame lie in a folder named after the frame and all that made them, so that what is there already is not
made again. What belongs elsewhere: painting itself (vision.inpaint).
"""

from __future__ import annotations

import csv
import io
import json
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.mask_lab.file_names import BACKGROUND, CHARACTER, LAYERS_INDEX
from lora_assets.mask_lab.file_names import LAYERS_TABLE as TABLE
from lora_assets.mask_lab.frames import LabFrame, known_frames
from lora_assets.mask_lab.settings import LAMA, TELEA, LayerSettings
from lora_assets.mask_lab.sweeping import one_thread
from lora_assets.models import ModelError, resolve
from lora_assets.models.registry import LAMA_ONNX
from lora_assets.progress import Listener, Progress, nobody
from lora_assets.quality.pictures import PictureLost, read_original
from lora_assets.specs import TrackerSpec, list_datasets, read_tracker, section_settings
from lora_assets.store import PublishedTable, Store, StoreError, atomic_write_bytes, atomic_write_json, digest
from lora_assets.tables import Mask, from_table, to_table
from lora_assets.tables.mask_lab import LayeredFrame
from lora_assets.vision import crops, inpaint
from lora_assets.vision.crops import contact_sheet, crop_window, cut_crop, encode_png, picture_markdown
from lora_assets.vision.device import worker_count
from lora_assets.vision.images import RgbImage
from lora_assets.vision.inpaint import Painter, grown, load_lama, paint_navier_stokes, paint_telea
from lora_assets.vision.masks import BoolMask, mask_pixels, place_pixels

CODE_VERSION = "1"

_PREVIEWED = 6
_SHARE = "share.json"
"""The share that was painted, written last: the pictures do not tell where a soft edge was grown."""


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of a frame: the characters (HxWx4, alpha on their masks), the background (HxWx3), the share of the
    frame that was painted."""

    character: npt.NDArray[np.uint8]
    background: RgbImage
    hole_share: float


@dataclass(frozen=True, slots=True)
class MadeLayers:
    """The published table, and the folder of index.csv and the layers; `reused` when the table was there already.
    `computed` frames were made now."""

    table: PublishedTable
    folder: Path
    reused: bool
    computed: int

    def rows(self) -> list[LayeredFrame]:
        """The rows."""
        return from_table(self.table.read(), LayeredFrame)


def open_painter(settings: LayerSettings, data: Path) -> tuple[Painter, str]:
    """What paints backgrounds, and what tells its results from others'.

    Raises ModelError, with the ways out, where LaMa is asked for and its weights are not there.
    """
    if settings.method != LAMA:
        paint = paint_telea if settings.method == TELEA else paint_navier_stokes
        return paint(settings.radius), digest(settings.method, settings.radius)
    try:
        weights = resolve(settings.weights, data)
    except ModelError as error:
        raise ModelError(f'method "lama" needs its weights: {error}. Or take method = "{TELEA}" in [layers]') from error
    if weights.family != LAMA_ONNX:
        raise ModelError(
            f"{weights.name} ({weights.path}) is of the family {weights.family}, which paints no backgrounds: name "
            f'lama or an ONNX file with the inputs image and mask, or take method = "{TELEA}" in [layers]'
        )
    return load_lama(weights.path), digest(LAMA, weights.sha256)


def take_apart(image: RgbImage, rows: Sequence[Mask], paint: Painter, grow: int) -> Layers:
    """The layers of a frame HxWx3 with the masks of its characters. Where masks overlap, the larger alpha shows."""
    height, width = image.shape[:2]
    character = np.zeros((height, width, 4), np.uint8)
    hole: BoolMask = np.zeros((height, width), np.bool_)
    for row in rows:
        if not row.area:
            continue
        x, y, wide, high = crop_window(row, width, height)
        cut = cut_crop(image, row)
        place = character[y : y + high, x : x + wide]
        more = cut[..., 3] > place[..., 3]
        place[more] = cut[more]
        hole |= place_pixels(mask_pixels(row), row.x, row.y, (0, 0, width, height))
    # A soft edge reaches beyond its mask.
    hole = grown(hole | (character[..., 3] > 0), grow)
    return Layers(character, paint(image, hole), float(hole.mean()))


def make_layers(data: Path, tracker: str, listen: Listener = nobody, run_id: str = "") -> MadeLayers:
    """The layers of a tracker's frames, and their table. Raises SpecError, ModelError, StoreError."""
    store, spec = Store(data), read_tracker(data, tracker)
    settings = section_settings(LayerSettings, spec, "layers")
    place = data / TABLE / tracker
    with store.lock(f"layers-{tracker}"):
        paint, painter = open_painter(settings, data)
        cells = _cells(store, spec)
        code = [CODE_VERSION, inpaint.CODE_VERSION, crops.CODE_VERSION]
        versions = [[cell.dataset, cell.masks.version] for cell in cells]
        chosen = [settings.grow, settings.frames, settings.seed]
        wanted = digest(TABLE, code, versions, painter, chosen)
        there = store.published(store.table_path(TABLE, tracker))
        if there is not None and there.version == wanted and _all_there(data, there):
            made = MadeLayers(there, place, True, 0)
            _write_index(place, data, cells, made.rows())
            return made
        said: list[str] = []
        recipe = digest(code, painter, settings.grow)
        found, computed = _made(data, tracker, cells, settings, paint, recipe, said, listen)
        lost = [row.frame_sha256 for row in found if row.reason]
        facts = {**_facts(found, cells, settings, computed, said), "tracker": tracker, "run_id": run_id}
        # What is lost now may be back at the next run: the version tells that it is not whole.
        version = digest(wanted, "passing", lost) if lost else wanted
        path = store.table_path(TABLE, tracker)
        table = store.publish(path, LayeredFrame, [to_table(found, LayeredFrame)], version, facts)
        _remove_others(place, {data / row.folder for row in found})
        _write_index(place, data, cells, found)
        return MadeLayers(table, place, False, computed)


@dataclass(frozen=True, slots=True)
class _Cell:
    dataset: str
    name: str
    folder: Path | None
    frames: dict[str, LabFrame]
    masks: PublishedTable
    crops: PublishedTable | None


def _cells(store: Store, spec: TrackerSpec) -> list[_Cell]:
    kept = {path.stem for path in (store.data / "tables" / "masks" / spec.id).glob("*.parquet")}
    known = list_datasets(store.data)
    found = []
    for slug in spec.datasets if spec.datasets is not None else sorted(kept):
        frames, masks = store.frames_of(slug, spec.id), store.cell_table("masks", slug, spec.id)
        if frames is not None and masks is not None:
            dataset = known.get(slug)
            name, folder = (dataset.name, dataset.folder) if dataset else (slug, None)
            crops_table = store.cell_table("scored_crops", slug, spec.id)
            found.append(_Cell(slug, name, folder, known_frames(frames), masks, crops_table))
    if not found:
        raise StoreError(
            f"tracker {spec.id}: no dataset has masks yet; materialize masks first, or: lora-assets run --tracker "
            f"{spec.id}"
        )
    return found


def _made(
    data: Path,
    tracker: str,
    cells: Sequence[_Cell],
    settings: LayerSettings,
    paint: Painter,
    recipe: str,
    said: list[str],
    listen: Listener,
) -> tuple[list[LayeredFrame], int]:
    found: list[LayeredFrame] = []
    computed = 0
    for cell in cells:
        rows: dict[str, list[Mask]] = {}
        for row in from_table(cell.masks.read(), Mask):
            if row.area and row.frame_sha256 in cell.frames:
                rows.setdefault(row.frame_sha256, []).append(row)
        chosen = _chosen(sorted(rows), settings)
        if len(chosen) < len(rows):
            drawn = f"drawn with seed {settings.seed} of {len(rows)} with characters"
            said.append(f"{cell.name}: at most {settings.frames} frames, {drawn}")

        def one(sha256: str, cell: _Cell = cell, rows: dict[str, list[Mask]] = rows) -> tuple[LayeredFrame, bool]:
            return _layered(data, tracker, cell, sha256, rows[sha256], settings, paint, recipe)

        step = f"{cell.name}: layers"
        listen(Progress(step, 0, len(chosen)))
        # Each call takes one core: a frame has some megapixels in several copies, so that no more than that go at once.
        with one_thread(), ThreadPoolExecutor(worker_count(), thread_name_prefix="layers") as pool:
            for done, (row, made) in enumerate(pool.map(one, chosen), start=1):
                found.append(row)
                computed += made
                listen(Progress(step, done, len(chosen)))
    return found, computed


def _chosen(frames: Sequence[str], settings: LayerSettings) -> list[str]:
    if not settings.frames or len(frames) <= settings.frames:
        return list(frames)
    order = np.random.default_rng([settings.seed, 12]).permutation(len(frames))[: settings.frames]
    return [frames[int(place)] for place in sorted(order)]


def _layered(
    data: Path,
    tracker: str,
    cell: _Cell,
    sha256: str,
    rows: Sequence[Mask],
    settings: LayerSettings,
    paint: Painter,
    recipe: str,
) -> tuple[LayeredFrame, bool]:
    began = time.perf_counter()
    frame = cell.frames[sha256]
    masks = sorted([[row.x, row.y, digest(row.rle.hex()), row.matting] for row in rows])
    folder = data / TABLE / tracker / cell.dataset / f"{sha256[:16]}-{digest(recipe, masks)[:8]}"
    hole_share, reason, made = 0.0, None, False
    try:
        kept = _kept_share(folder)
        if kept is not None:
            hole_share = kept
        else:
            image = read_original(cell.folder, frame.names, sha256)
            layers = take_apart(image, rows, paint, settings.grow)
            atomic_write_bytes(folder / CHARACTER, encode_png(layers.character), durable=False)
            atomic_write_bytes(folder / BACKGROUND, encode_png(layers.background), durable=False)
            atomic_write_json(folder / _SHARE, {"hole_share": layers.hole_share})
            hole_share, made = layers.hole_share, True
    except PictureLost as lost:
        reason = str(lost)
    place = str(folder.relative_to(data))
    seconds, name = time.perf_counter() - began, frame.names[0]
    row = LayeredFrame(
        cell.dataset, name, sha256, len(rows), hole_share, settings.method, seconds, place, reason
    )  # fmt: skip
    return row, made


def _kept_share(folder: Path) -> float | None:
    """The share of the frame that was painted, of layers that are there whole; else None."""
    try:
        if not all((folder / name).stat().st_size for name in (CHARACTER, BACKGROUND)):
            return None
        share = json.loads((folder / _SHARE).read_bytes())["hole_share"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return share if isinstance(share, float) and 0 <= share <= 1 else None


def _all_there(data: Path, table: PublishedTable) -> bool:
    return all(
        _kept_share(data / row.folder) is not None
        for row in from_table(table.read(), LayeredFrame)
        if row.reason is None
    )


def _facts(
    rows: Sequence[LayeredFrame], cells: Sequence[_Cell], settings: LayerSettings, computed: int, said: Sequence[str]
) -> dict[str, Any]:
    lost = [row for row in rows if row.reason]
    known = sum(len(cell.frames) for cell in cells)
    return {
        "frames_known": known, "frames": len(rows), "computed": computed, "reused": len(rows) - len(lost) - computed,
        "lost": len(lost), "seconds": sum(row.seconds for row in rows),
        "mean_hole_share": float(np.mean([row.hole_share for row in rows])) if rows else 0.0,
        "settings": settings.facts(), "said": [*(f"{row.path}: {row.reason}" for row in lost[:20]), *said],
    }  # fmt: skip


def _remove_others(folder: Path, kept: set[Path]) -> None:
    """Remove layers that no row names any more."""
    for path in folder.glob("*/*"):
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)


def _write_index(place: Path, data: Path, cells: Sequence[_Cell], rows: Sequence[LayeredFrame]) -> None:
    """Write index.csv: which frame the folders, named by digests, are of. Paths are relative to `place`; `crops` are
    the ids in scored_crops of the characters of a frame. One that is as it should be is left."""
    crops = {cell.dataset: _crops_of(cell) for cell in cells}
    told = io.StringIO()
    writer = csv.writer(told, lineterminator="\n")
    writer.writerow(("dataset", "frame", "frame_sha256", "crops", "character", "background", "painted_share", "reason"))
    for row in sorted(rows, key=lambda row: (row.dataset, row.path)):
        folder = (data / row.folder).relative_to(place)
        pictures = ("", "") if row.reason else (str(folder / CHARACTER), str(folder / BACKGROUND))
        of_frame = " ".join(crops[row.dataset].get(row.frame_sha256, ()))
        share = f"{row.hole_share:.4f}"
        writer.writerow((row.dataset, row.path, row.frame_sha256, of_frame, *pictures, share, row.reason or ""))
    path, content = place / LAYERS_INDEX, told.getvalue().encode("utf-8")
    if not path.is_file() or path.read_bytes() != content:
        atomic_write_bytes(path, content)


def _crops_of(cell: _Cell) -> dict[str, list[str]]:
    """The ids of the crops of each frame whose masks have pixels; none before they are scored."""
    if cell.crops is None:
        return {}
    found: dict[str, list[str]] = {}
    for row in cell.crops.read(["frame_sha256", "crop_id"]).to_pylist():
        found.setdefault(row["frame_sha256"], []).append(row["crop_id"])
    return found


def layers_numbers(made: MadeLayers) -> dict[str, float]:
    """What is plotted over runs, by name."""
    found = {name: float(value) for name, value in made.table.facts.items() if type(value) in (int, float)}
    found.pop("published_at", None)
    return found


def layers_preview(data: Path, made: MadeLayers) -> str:
    """Markdown with a sheet of some frames: characters, then background; says so when there is none."""
    pairs = []
    for row in [row for row in made.rows() if row.reason is None][:_PREVIEWED]:
        for name, code in ((CHARACTER, cv2.COLOR_BGRA2RGBA), (BACKGROUND, cv2.COLOR_BGR2RGB)):
            pixels = cv2.imread(str(data / row.folder / name), cv2.IMREAD_UNCHANGED)
            if pixels is not None:
                pairs.append(np.asarray(cv2.cvtColor(pixels, code), np.uint8))
    if not pairs:
        return "no frame with a character"
    return picture_markdown("layers", contact_sheet(pairs, 4, 240))
