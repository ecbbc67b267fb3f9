"""Objects to vectors: cut out of their frames, described by CLIP or the built-in descriptor, kept by content.

A vector lies on the shelf of what made it (weights by content, code, precision, device); an object is cut and described
once, whatever tracker asks. Its small picture is written on the way. What belongs elsewhere: which objects (objects).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.mining import descriptor
from lora_assets.mining.objects import Box, FoundObject
from lora_assets.mining.settings import DESCRIPTOR, MiningSettings
from lora_assets.mining.sources import FrameSource
from lora_assets.models import ModelError
from lora_assets.progress import Listener, Progress, nobody
from lora_assets.quality.batches import Batches
from lora_assets.quality.pictures import PictureLost
from lora_assets.store import Shelf, Store, atomic_write_bytes, atomic_write_json, digest
from lora_assets.tables import to_table
from lora_assets.tables.mining import MinedObject, ObjectVector
from lora_assets.vision.clip_embedding import CODE_VERSION as CLIP_VERSION
from lora_assets.vision.clip_embedding import PAD, Checkpoint, ClipModel, find_checkpoint
from lora_assets.vision.device import device
from lora_assets.vision.images import CODE_VERSION as READ_VERSION
from lora_assets.vision.images import RgbImage, thumbnail_webp

CODE_VERSION = "1"
DEFAULT_CLIP = "clip-vit-base-patch32"
PICTURES = "objects"
NOT_FINITE = "the model answered with NaN or infinite numbers"
SKIPPED = "vectors are skipped (skip_embeddings)"
# Objects are described at most this large (longer side, pixels): every checkpoint reads less.
_VIEW_SIDE = 448
_THUMB_SIDE = 192
_CHUNK = 2048

FloatArray = npt.NDArray[np.float32]
Embed = Callable[[Sequence[RgbImage]], FloatArray]


@dataclass(frozen=True, slots=True)
class Embedder:
    """What makes vectors: its name for people, the recipe under which they are kept, and how it is opened.

    `why` says why it is the built-in one; empty where it was asked for or a checkpoint is used.
    """

    name: str
    recipe: dict[str, Any]
    open: Callable[[], Embed]
    why: str = ""

    @property
    def is_builtin(self) -> bool:
        """True for the description without weights."""
        return self.name == DESCRIPTOR

    @property
    def digest(self) -> str:
        """The recipe's address in the store."""
        return digest("object_vectors", self.recipe)


def plan_embedder(settings: MiningSettings, data: Path) -> Embedder:
    """The checkpoint that the settings name, or the built-in descriptor with the reason.

    Raises ModelError when a checkpoint that a person named is not there.
    """
    if settings.clip_model == DESCRIPTOR:
        return _builtin("")
    found = find_checkpoint(settings.clip_model or DEFAULT_CLIP, data)
    if isinstance(found, Checkpoint):
        place = settings.device or device()
        half = settings.half and place == "cuda"
        runtime = [version("torch"), version("transformers"), place, "half" if half else "float32"]
        told = {"code": [CODE_VERSION, CLIP_VERSION, READ_VERSION], "sha256": list(found.sha256), "runtime": runtime}
        return Embedder(found.folder.name, told, partial(_open_clip, found.folder, place, half, settings))
    if settings.clip_model:
        raise ModelError(f'clip_model {settings.clip_model!r}: {found}. Or set clip_model = "{DESCRIPTOR}"')
    return _builtin(f"the built-in descriptor is used, which knows looks and no meaning: {found}")


def _builtin(why: str) -> Embedder:
    told = {"code": [CODE_VERSION, descriptor.CODE_VERSION, READ_VERSION], "opencv": cv2.__version__}
    return Embedder(DESCRIPTOR, told, lambda: _describe_all, why)


def _describe_all(pictures: Sequence[RgbImage]) -> FloatArray:
    return np.stack([descriptor.describe(picture) for picture in pictures])


def _open_clip(folder: Path, place: str, half: bool, settings: MiningSettings) -> Embed:
    import torch

    if place == "cpu":
        torch.set_num_threads(settings.workers)
    model = ClipModel(folder, place, half)
    batches = Batches(settings.batch)

    def embed(pictures: Sequence[RgbImage]) -> Sequence[FloatArray]:
        return list(model.embed(np.stack([model.pixels(picture, PAD) for picture in pictures])))

    return lambda pictures: np.stack(batches.run(embed, pictures))


def cut_object(frame: RgbImage, box: Box, margin: float, side: int | None = None) -> RgbImage:
    """The box of a frame with `margin` (share of its longer side) around, inside the frame, at least one pixel; reduced
    to `side` pixels where that is given and it is larger."""
    height, width = frame.shape[:2]
    around = margin * max(box[2] - box[0], box[3] - box[1])
    left = int(np.clip(np.floor(box[0] - around), 0, width - 1))
    top = int(np.clip(np.floor(box[1] - around), 0, height - 1))
    right = int(np.clip(np.ceil(box[2] + around), left + 1, width))
    bottom = int(np.clip(np.ceil(box[3] + around), top + 1, height))
    picture = frame[top:bottom, left:right]
    if side is not None and max(picture.shape[:2]) > side:
        scale = side / max(picture.shape[:2])
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(picture)


@dataclass(slots=True)
class EmbeddedObjects:
    """The rows of all objects, how many vectors were computed now, and the objects without pixels (id to reason)."""

    rows: list[MinedObject]
    computed: int = 0
    lost: dict[str, str] = field(default_factory=dict)


def vector_shelf(store: Store, embedder: Embedder) -> Shelf:
    """The shelf of an embedder's vectors; its recipe is kept beside them."""
    shelf = store.shelf("object_vectors", embedder.digest, ObjectVector, key="object_id")
    path = shelf.folder / "recipe.json"
    if not path.exists():
        atomic_write_json(path, {"name": embedder.name, **embedder.recipe, "recipe": embedder.digest}, recorded=True)
    return shelf


def embed_objects(
    store: Store,
    sources: Sequence[FrameSource],
    objects: Sequence[FoundObject],
    passed: dict[str, str],
    embedder: Embedder | None,
    settings: MiningSettings,
    listen: Listener = nobody,
) -> EmbeddedObjects:
    """The objects as rows with their vectors; with no embedder the rows say that vectors are skipped.

    Frames are read in batches of `batch_frames`, only for objects whose vector or picture is missing.
    """
    done = EmbeddedObjects([])
    shelf = vector_shelf(store, embedder) if embedder is not None else None
    known = shelf.done() if shelf is not None else set()
    due: dict[str, list[FoundObject]] = {}
    for each in objects:
        if (shelf is not None and each.object_id not in known) or not object_picture(store, each.object_id).exists():
            due.setdefault(each.frame_sha256, []).append(each)
    if due:
        _fill(store, sources, due, known, embedder, shelf, settings, listen, done)
    vectors = _read(shelf, [each.object_id for each in objects]) if shelf is not None else {}
    for each in objects:
        vector, reason = vectors.get(each.object_id, (None, done.lost.get(each.object_id, SKIPPED)))
        done.rows.append(
            MinedObject(
                each.object_id, each.dataset, each.frame_sha256, each.detection_id, each.label,
                min(1.0, max(0.0, each.confidence)), *each.box, each.detector, passed[each.object_id],
                embedder.name if embedder is not None else "", vector, reason if vector is None else None,
            )
        )  # fmt: skip
    return done


def object_picture(store: Store, object_id: str) -> Path:
    """Where the small picture of an object lies."""
    return store.picture(PICTURES, object_id, ".webp")


def _fill(
    store: Store,
    sources: Sequence[FrameSource],
    due: dict[str, list[FoundObject]],
    known: set[str],
    embedder: Embedder | None,
    shelf: Shelf | None,
    settings: MiningSettings,
    listen: Listener,
    done: EmbeddedObjects,
) -> None:
    by_dataset = {source.dataset: source for source in sources}
    frames = sorted(due)
    total = sum(len(objects) for objects in due.values())
    step = f"embeddings: {embedder.name}" if embedder is not None else "pictures of objects"
    waiting: list[tuple[str, RgbImage]] = []
    rows: list[ObjectVector] = []
    embed: list[Embed] = []
    counted = 0

    def cut(sha256: str) -> list[tuple[str, RgbImage]] | str:
        try:
            frame = by_dataset[due[sha256][0].dataset].pixels(sha256)
        except PictureLost as lost:
            return str(lost)
        views = []
        for each in due[sha256]:
            view = cut_object(frame, each.box, settings.margin, _VIEW_SIDE)
            path = object_picture(store, each.object_id)
            if not path.exists():
                atomic_write_bytes(path, thumbnail_webp(view, _THUMB_SIDE), durable=False, recorded=True)
            views.append((each.object_id, view))
        return views

    def describe(least: int) -> None:
        while shelf is not None and embedder is not None and len(waiting) >= max(1, least):
            part, waiting[:] = waiting[: settings.batch], waiting[settings.batch :]
            if not embed:
                embed.append(embedder.open())
            vectors = np.asarray(embed[0]([view for _, view in part]), np.float32)
            rows.extend(_vector_row(name, vector) for (name, _), vector in zip(part, vectors, strict=True))
            if len(rows) >= _CHUNK:
                flush()

    def flush() -> None:
        if shelf is not None and rows:
            shelf.append(to_table(rows, ObjectVector), [row.object_id for row in rows])
            done.computed += sum(row.vector is not None for row in rows)
            rows.clear()

    listen(Progress(step, 0, total, "objects"))
    try:
        with ThreadPoolExecutor(settings.workers, thread_name_prefix="mining") as pool:
            for start in range(0, len(frames), settings.batch_frames):
                part = frames[start : start + settings.batch_frames]
                for sha256, views in zip(part, pool.map(cut, part), strict=True):
                    if isinstance(views, str):
                        done.lost.update({each.object_id: views for each in due[sha256]})
                    else:
                        waiting.extend((name, view) for name, view in views if shelf is not None and name not in known)
                    counted += len(due[sha256])
                    describe(settings.batch)
                listen(Progress(step, counted, total, "objects"))
        describe(1)
    finally:
        # Also when interrupted: what is done is kept.
        flush()


def _vector_row(name: str, vector: FloatArray) -> ObjectVector:
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not np.isfinite(vector).all() or not np.isfinite(length):
        return ObjectVector(name, None, NOT_FINITE)
    if length == 0:
        return ObjectVector(name, None, "the model answered with zeros")
    return ObjectVector(name, (vector / length).astype("<f2").tobytes(), None)


def _read(shelf: Shelf, names: Sequence[str]) -> dict[str, tuple[bytes | None, str]]:
    found: dict[str, tuple[bytes | None, str]] = {}
    for _, table in shelf.read(names):
        columns = (table.column(name).to_pylist() for name in ("object_id", "vector", "reason"))
        found.update({name: (vector, reason or "") for name, vector, reason in zip(*columns, strict=True)})
    return found


def vectors_of(rows: Sequence[MinedObject]) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """The vectors (n, width) of length 1 that there are, and the numbers of their rows (n,)."""
    places = [number for number, row in enumerate(rows) if row.vector is not None]
    if not places:
        return np.zeros((0, 1), np.float32), np.zeros(0, np.int64)
    held = np.frombuffer(b"".join(rows[number].vector or b"" for number in places), "<f2")
    vectors = held.reshape(len(places), -1).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, np.asarray(places, np.int64)


def recipe_facts(embedder: Embedder | None) -> dict[str, Any]:
    """What the tables and the config file tell of the embedder."""
    if embedder is None:
        return {"embedder": "", "builtin": False, "why": SKIPPED, "recipe": ""}
    return {"embedder": embedder.name, "builtin": embedder.is_builtin, "why": embedder.why, "recipe": embedder.digest}
