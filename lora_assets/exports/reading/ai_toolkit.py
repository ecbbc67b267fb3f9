"""Reads an export as ai-toolkit would (toolkit/config_modules.py, data_loader.py, dataloader_mixins.py)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from lora_assets.curation.splitting import TRAIN, VALIDATION
from lora_assets.exports.buckets import ai_toolkit_rule
from lora_assets.exports.reading.seen import Export, Seen, SeenPicture, caption_text, pictures_in
from lora_assets.exports.reading.sizes import picture_size

_ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
_SKIPPED_FOLDER = "_controls"


def read_ai_toolkit(export: Export) -> Seen:
    """Every dataset of config.yaml: pictures of its folder and all folders inside, masks by stem in mask_path, the
    whole .txt as caption, the trigger put in front where it is missing; partial batches are filled by repeats."""
    settings = export.manifest.export_settings()
    seen = Seen(batch_size=settings.batch_size)
    process = _process(export, seen)
    trigger = str(process.get("trigger_word") or "")
    train = process.get("train")
    if isinstance(train, dict):
        seen.batch_size = int(train.get("batch_size", seen.batch_size))
    for dataset in process.get("datasets", []):
        folder, masks = _folder(export, dataset, "folder_path", seen), _folder(export, dataset, "mask_path", seen)
        if folder is None:
            continue
        if masks is not None and (masks == folder or folder in masks.parents):
            seen.faults.append(f"{masks.name}: the masks lie inside the dataset's folder and are trained as pictures")
        _read_dataset(dataset, folder, masks, trigger, seen, settings.divisor)
    _apart(export, seen)
    return seen


def _process(export: Export, seen: Seen) -> dict[str, Any]:
    try:
        told = yaml.safe_load((export.folder / "config.yaml").read_text(encoding="utf-8"))
        process = told["config"]["process"][0]
        if not isinstance(process, dict) or not isinstance(process.get("datasets"), list):
            raise TypeError("it names no datasets")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, IndexError, TypeError) as error:
        seen.faults.append(f"config.yaml cannot be read ({error}): export again")
        return {}
    return process


def _folder(export: Export, dataset: dict[str, Any], key: str, seen: Seen) -> Path | None:
    named = str(dataset.get(key) or "")
    folder = export.local(named)
    if folder is None or not folder.is_dir():
        seen.faults.append(
            f"config.yaml: {key} = {named!r} is no folder of this export (was it moved?): export again to where it "
            "shall lie, or set trainer_root"
        )
        return None
    return folder


def _walked(folder: Path) -> list[Path]:
    """All pictures at any depth, but not in hidden folders and not in `_controls`."""
    found: list[Path] = []
    for inside, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != _SKIPPED_FOLDER)
        found += [Path(inside) / name for name in sorted(names) if Path(name).suffix.lower() in _ENDINGS]
    return found


def _read_dataset(
    dataset: dict[str, Any], folder: Path, masks: Path | None, trigger: str, seen: Seen, divisor: int
) -> None:
    files = {path.stem: path for path in (pictures_in(masks, _ENDINGS) if masks else [])}
    ending = str(dataset.get("caption_ext", "txt")).lstrip(".")
    told = dataset.get("resolution", 512)
    rule = ai_toolkit_rule(int(told[0] if isinstance(told, list) else told), divisor)
    if not dataset.get("buckets", True):
        seen.faults.append("config.yaml: buckets are switched off, and masks need them: switch them on")
    if dataset.get("invert_mask"):
        seen.faults.append("config.yaml: invert_mask is on, so the background would be learned: take it out")
    for picture in _walked(folder):
        size = picture_size(picture)
        if size is None:
            seen.faults.append(f"{picture.name}: it is no picture that can be opened: export again")
            continue
        text = caption_text(picture.with_suffix(f".{ending}"))
        caption = text.strip() if text is not None else str(dataset.get("default_caption") or "") or None
        if caption is not None and "\n" in caption:
            seen.faults.append(f"{picture.stem}.{ending}: it holds a line break, which is read as part of a tag")
        if caption is not None and trigger and trigger not in caption:
            caption = f"{trigger}, {caption}".strip(", ")
        repeats = float(dataset.get("num_repeats", 1))
        mask = files.pop(picture.stem, None)
        seen.pictures.append(SeenPicture(picture, TRAIN, repeats, caption, mask, rule(*size)))
    seen.extra_masks += files.values()


def _apart(export: Export, seen: Seen) -> None:
    folder = export.folder / VALIDATION
    if not folder.is_dir():
        return
    files = {path.stem: path for path in pictures_in(folder / "masks", _ENDINGS)}
    for picture in pictures_in(folder / "images", _ENDINGS):
        text = caption_text(picture.with_suffix(".txt"))
        seen.pictures.append(SeenPicture(picture, VALIDATION, 1, text, files.pop(picture.stem, None)))
    seen.extra_masks += files.values()
    seen.remarks.append("the validation part lies apart: ai-toolkit has no place for it")
