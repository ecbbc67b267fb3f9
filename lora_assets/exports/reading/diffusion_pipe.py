"""Reads an export as diffusion-pipe would (utils/dataset.py)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from lora_assets.curation.splitting import TRAIN, VALIDATION
from lora_assets.exports.buckets import diffusion_pipe_rule
from lora_assets.exports.reading.seen import Export, Seen, SeenPicture, caption_text
from lora_assets.exports.reading.sizes import picture_size

_NO_PICTURES = (".txt", ".npz", ".json", ".parquet", ".bak", ".db")


def read_diffusion_pipe(export: Export) -> Seen:
    """Both TOML files: every file of a folder that is no text, JSON or cache is a picture; masks have its stem; what
    fills no batch of its bucket is left out, in every epoch the same."""
    settings = export.manifest.export_settings()
    seen = Seen(batch_size=settings.batch_size, drops_partial_batches=True, same_order=True)
    for name, part in (("dataset.toml", TRAIN), ("validation.toml", VALIDATION)):
        path = export.folder / name
        wanted = any(picture.part == part for picture in export.manifest.pictures)
        if not wanted and not path.exists():
            continue
        try:
            config = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            seen.faults.append(f"{name} cannot be read ({error}): export again")
            continue
        for directory in config.get("directory", []):
            _read_directory(export, config, directory, part, name, seen)
    return seen


def _folder(export: Export, directory: dict[str, Any], key: str, name: str, seen: Seen) -> Path | None:
    folder = export.local(str(directory.get(key, "")))
    if folder is None or not folder.is_dir():
        seen.faults.append(
            f"{name}: {key} = {directory.get(key)!r} is no folder of this export (was it moved?), and it stops: "
            "export again to where it shall lie, or set trainer_root"
        )
        return None
    return folder


def _read_directory(
    export: Export, config: dict[str, Any], directory: dict[str, Any], part: str, name: str, seen: Seen
) -> None:
    folder = _folder(export, directory, "path", name, seen)
    if folder is None:
        return
    masks = _folder(export, directory, "mask_path", name, seen)
    stems = {path.stem: path for path in sorted(masks.glob("*")) if path.is_file()} if masks else {}
    facts = {**config, **directory}
    if not facts.get("enable_ar_bucket"):
        seen.faults.append(f"{name}: enable_ar_bucket is off, so every picture is cut to a square: switch it on")
    resolutions = facts.get("resolutions", [512])
    rule = diffusion_pipe_rule(
        float(resolutions[0]),
        float(facts.get("min_ar", 0.5)),
        float(facts.get("max_ar", 2.0)),
        int(facts.get("num_ar_buckets", 7)),
    )
    for picture in sorted(path for path in folder.glob("*") if path.is_file() and path.suffix not in _NO_PICTURES):
        size = picture_size(picture)
        if size is None:
            seen.faults.append(f"{picture.name}: it is taken for a picture, cannot be opened and is skipped: remove it")
            continue
        text = caption_text(picture.with_suffix(".txt"))
        if text is None:
            seen.faults.append(f"{picture.name}: it has no caption, so diffusion-pipe skips the picture: export again")
            continue
        caption = text.strip()
        if "\n" in caption:
            seen.faults.append(f"{picture.stem}.txt: the caption holds a line break: write it on one line")
        repeats = float(facts.get("num_repeats", 1))
        seen.pictures.append(SeenPicture(picture, part, repeats, caption, stems.pop(picture.stem, None), rule(*size)))
    seen.extra_masks += stems.values()
