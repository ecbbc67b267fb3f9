"""The frames of a sweep and the masks before refinement in them: a tracker's, or those of a salient-object network.

A network looks at a frame once; its mask stays on a shelf. What belongs elsewhere: which masks are swept (sample).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from lora_assets.models import ModelError, OpenWeights, resolve
from lora_assets.models.registry import SALIENCY_ONNX
from lora_assets.progress import Listener, Progress, nobody
from lora_assets.quality.pictures import PictureLost, read_original
from lora_assets.specs import TrackerSpec, list_datasets
from lora_assets.store import PublishedTable, Shelf, Store, atomic_write_json, digest
from lora_assets.tables import Mask, from_table, to_table
from lora_assets.vision import images, saliency_onnx, segment
from lora_assets.vision.device import device
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import encode_mask

DEFAULT_NETWORKS = ("isnet-anime", "u2net", "u2netp")
"""The networks that a folder without a tracker is looked at with, the first one that is there."""
_PART = 16


@dataclass(frozen=True, slots=True)
class LabFrame:
    """A usable frame: its names in the folder, width and height in pixels."""

    names: tuple[str, ...]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class LabSource:
    """The frames of one dataset by hash, and the shelf with their masks before refinement; `masks` is None where there
    is none, and `why` then says so. `whole` masks are of whole frames, not of characters. `version` changes with frames
    and masks.
    """

    dataset: str
    name: str
    folder: Path | None
    frames: dict[str, LabFrame]
    masks: Shelf | None
    version: str
    whole: bool = False
    why: str = ""

    def pixels(self, sha256: str) -> RgbImage:
        """The pixels of a frame. Raises PictureLost when no file holds its very bytes any more."""
        return read_original(self.folder, self.frames[sha256].names, sha256)

    def rows(self, frames: Iterable[str]) -> Iterator[tuple[list[str], list[Mask]]]:
        """The masks of frames, some frames at a time: the frames that are answered, and their rows."""
        if self.masks is not None:
            for answered, table in self.masks.read(frames):
                yield answered, from_table(table, Mask)


def known_frames(frames: PublishedTable) -> dict[str, LabFrame]:
    """The usable frames of a frames list by hash, with all the paths that hold each."""
    found: dict[str, LabFrame] = {}
    for batch in frames.batches(["path", "sha256", "width", "height", "quarantine_reason"]):
        for row in batch.to_pylist():
            if row["quarantine_reason"] is None and row["sha256"] is not None:
                known = found.get(row["sha256"])
                names = (*(known.names if known else ()), row["path"])
                found[row["sha256"]] = LabFrame(names, row["width"], row["height"])
    return found


def tracker_sources(store: Store, spec: TrackerSpec) -> list[LabSource]:
    """The datasets of a tracker with its masks before refinement, by slug or in the order of its file."""
    kept = {path.stem for path in (store.data / "tables" / "frames" / spec.id).glob("*.parquet")}
    known = list_datasets(store.data)
    found = []
    for slug in spec.datasets if spec.datasets is not None else sorted(kept):
        frames, masks = store.frames_of(slug, spec.id), store.cell_table("masks", slug, spec.id)
        if frames is None:
            continue
        dataset = known.get(slug)
        recipe = str(masks.facts.get("segments_recipe") or "") if masks is not None else ""
        shelf = store.shelf("segments", recipe, Mask) if recipe else None
        why = "" if shelf is not None else "it has no masks yet: materialize masks"
        if shelf is not None and not shelf.folder.is_dir():
            shelf, why = None, "its masks before refinement are gone: materialize masks of an open tracker again"
        known_by_hash = known_frames(frames)
        # The frames list may be ahead of the masks: the same recipe then answers more of its frames later.
        masked = sorted(shelf.done() & known_by_hash.keys()) if shelf is not None else []
        found.append(
            LabSource(
                slug,
                dataset.name if dataset else slug,
                dataset.folder if dataset else None,
                known_by_hash,
                shelf,
                digest(frames.version, recipe, masked),
                why=why,
            )
        )
    return found


def open_network(name: str, data: Path) -> OpenWeights:
    """The weights of a salient-object network. Raises ModelError for what is unknown, absent, or no such network."""
    weights = resolve(name, data)
    if weights.family != SALIENCY_ONNX:
        raise ModelError(
            f"{weights.name} ({weights.path}) is of the family {weights.family}: whole frames are masked by u2net, "
            "u2netp or isnet-anime; for masks of other segmenters sweep a tracker that uses them"
        )
    return weights


def default_network(data: Path) -> OpenWeights:
    """The first of DEFAULT_NETWORKS that is there. Raises ModelError, with the ways out, when none is."""
    for name in DEFAULT_NETWORKS:
        try:
            return open_network(name, data)
        except ModelError:
            continue
    raise ModelError(
        "a folder is swept with masks of whole frames, and none of the networks for that is here. Fetch one: "
        f"lora-assets models pull {DEFAULT_NETWORKS[0]} (or {', '.join(DEFAULT_NETWORKS[1:])}), name a file with "
        "--segmenter, or run the folder first (lora-assets run --input FOLDER --tracker ID) and sweep its tracker"
    )


def whole_frame_source(
    store: Store, source: LabSource, frames: Sequence[str], weights: OpenWeights, listen: Listener = nobody
) -> tuple[LabSource, list[str]]:
    """The source with masks of whole frames by a network, for `frames`; and, in words, which frames could not be read.

    Masks that the shelf has are not made again.
    """
    runtime = [version("onnxruntime"), device()]
    recipe = digest("whole_masks", saliency_onnx.CODE_VERSION, segment.CODE_VERSION, weights.sha256, runtime)
    shelf = store.shelf("whole_masks", recipe, Mask)
    path = shelf.folder / "recipe.json"
    if not path.exists():
        atomic_write_json(path, {"weights": weights.name, "sha256": weights.sha256, "recipe": recipe}, recorded=True)
    done, lost = shelf.done(), []
    missing = [sha256 for sha256 in frames if sha256 not in done]
    if missing:
        ask = segment.load_segmenter(weights, segment.SegmentSettings(weights=weights.name, margin=0.0))
        step = f"{source.name}: masks of {weights.name}"
        listen(Progress(step, 0, len(missing)))
        for start in range(0, len(missing), _PART):
            rows: dict[str, Mask] = {}
            for sha256 in missing[start : start + _PART]:
                try:
                    rows[sha256] = _whole_mask(source.pixels(sha256), sha256, ask)
                except (PictureLost, images.ImageRefused) as error:
                    lost.append(f"{source.name}: {error}")
            if rows:
                shelf.append(to_table(list(rows.values()), Mask), list(rows))
            listen(Progress(step, min(start + _PART, len(missing)), len(missing)))
    made = LabSource(
        source.dataset, source.name, source.folder, {sha256: source.frames[sha256] for sha256 in frames}, shelf,
        digest(source.version, recipe, sorted(frames)), whole=True,
    )  # fmt: skip
    return made, lost


def _whole_mask(image: RgbImage, sha256: str, ask: segment.Segmenter) -> Mask:
    height, width = image.shape[:2]
    found = ask(image, np.array([[0.0, 0.0, width, height]]))[0]
    area = int(np.count_nonzero(found.mask))
    return Mask(
        sha256, digest("whole", sha256), found.x, found.y, found.mask.shape[1], found.mask.shape[0],
        encode_mask(found.mask), area, area / (width * height), found.predicted_iou, found.stability, found.candidate,
        found.box_fit,
    )  # fmt: skip
