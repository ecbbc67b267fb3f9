"""Reads an export as OneTrainer would (ConceptConfig.py, mgds CollectPaths, LoadMultipleTexts, AspectBatchSorting)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lora_assets.curation.splitting import TRAIN, VALIDATION
from lora_assets.exports.buckets import onetrainer_rule
from lora_assets.exports.reading.seen import Export, Seen, SeenPicture, caption_text, pictures_in
from lora_assets.exports.reading.sizes import picture_size

_ENDINGS = (".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".avif")
_MASK, _CONDITION = "-masklabel", "-condlabel"
_TYPES = {"STANDARD": TRAIN, "VALIDATION": VALIDATION}


def read_onetrainer(export: Export) -> Seen:
    """Every enabled concept: pictures of its folder (and of sub-folders only where it says so), each line of a caption
    file another caption, masks by their name; a picture without one is learned whole."""
    settings = export.manifest.export_settings()
    seen = Seen(batch_size=settings.batch_size, drops_partial_batches=True)
    for concept in _concepts(export, seen):
        folder = export.local(str(concept.get("path", "")))
        if folder is None or not folder.is_dir():
            seen.faults.append(
                f"concepts.json: path {concept.get('path')!r} is no folder of this export (was it moved?): export "
                "again to where it shall lie, or set trainer_root"
            )
            continue
        part = _TYPES.get(str(concept.get("type", "STANDARD")))
        if part is None or not concept.get("enabled", True):
            seen.faults.append(f"concepts.json: the concept {concept.get('name')!r} is switched off or of another type")
            continue
        _read_concept(concept, folder, part, seen, settings.resolution)
    return seen


def _concepts(export: Export, seen: Seen) -> list[dict[str, Any]]:
    try:
        told = json.loads((export.folder / "concepts.json").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        seen.faults.append(f"concepts.json cannot be read ({error}): export again")
        return []
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        seen.faults.append("concepts.json is no list of concepts: export again")
        return []
    return told


def _read_concept(concept: dict[str, Any], folder: Path, part: str, seen: Seen, resolution: int) -> None:
    files = pictures_in(folder, _ENDINGS)
    if concept.get("include_subdirectories", False):
        files += sorted(path for inner in folder.rglob("*") if inner.is_dir() for path in pictures_in(inner, _ENDINGS))
    image = concept.get("image", {})
    text = concept.get("text", {})
    if image.get("enable_crop_jitter", True):
        seen.faults.append(f"{folder.name}: enable_crop_jitter is on, so heads are cut by chance: switch it off")
    if text.get("prompt_source", "sample") != "sample":
        seen.faults.append(f"{folder.name}: prompt_source is not 'sample', so the .txt files are not read: set it")
    rule = onetrainer_rule(resolution)
    masks = {path.name.removesuffix(f"{_MASK}.png"): path for path in files if path.name.endswith(f"{_MASK}.png")}
    taken = [path for path in files if not path.stem.endswith((_MASK, _CONDITION))]
    repeats = float(concept.get("balancing", 1.0)) if concept.get("balancing_strategy") == "REPEATS" else 1.0
    for picture in taken:
        size = picture_size(picture)
        if size is None:
            seen.faults.append(f"{picture.name}: it is no picture that can be opened: export again")
            continue
        caption = _caption(picture, seen)
        seen.pictures.append(SeenPicture(picture, part, repeats, caption, masks.pop(picture.stem, None), rule(*size)))
    seen.extra_masks += masks.values()
    odd = [path for path in taken if path.stem.startswith("masklabel")]
    seen.faults += [f"{path.name}: a mask by its name, but trained as a picture" for path in odd]


def _caption(picture: Path, seen: Seen) -> str | None:
    text = caption_text(picture.with_suffix(".txt"))
    if text is None:
        return None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1:
        seen.faults.append(
            f"{picture.stem}.txt: {len(lines)} lines are taken for {len(lines)} captions, one by chance at a time: "
            "write it on one line"
        )
    return lines[0] if lines else ""
