"""diffusion-pipe: dataset.toml with picture and mask folders; validation.toml for its eval_datasets.

Its rules: every file of a folder that is no text, JSON or cache is a picture, sub-folders are not read; a mask has the
picture's stem; a picture without a caption is skipped. The aspect ratios are written so that tall figures have a bucket
of their own (its own example ends at 1:2).
"""

from __future__ import annotations

from collections.abc import Sequence

import tomlkit

from lora_assets.curation.splitting import TRAIN, VALIDATION
from lora_assets.exports.buckets import ASPECTS, LEAST_ASPECT, MOST_ASPECT
from lora_assets.exports.records import ExportRecord
from lora_assets.exports.writing.target import (
    Target,
    by_repeats,
    of_part,
    write_captions,
    write_masks,
    write_pictures,
    write_text,
)

DATASET_FILE, VALIDATION_FILE = "dataset.toml", "validation.toml"


def write_diffusion_pipe(target: Target, records: Sequence[ExportRecord]) -> None:
    """`images/rN/`, `masks/rN/`, dataset.toml, and the same of the validation part."""
    for part, file in ((TRAIN, DATASET_FILE), (VALIDATION, VALIDATION_FILE)):
        own = of_part(records, part)
        if own:
            write_text(target.folder / file, _dataset_toml(target, part, own))


def _dataset_toml(target: Target, part: str, records: Sequence[ExportRecord]) -> str:
    document = tomlkit.document()
    document.add("resolutions", [target.settings.resolution])
    document.add("enable_ar_bucket", True)
    document.add("min_ar", LEAST_ASPECT)
    document.add("max_ar", MOST_ASPECT)
    document.add("num_ar_buckets", ASPECTS)
    directories = tomlkit.aot()
    for repeats, own in by_repeats(records).items():
        name = f"r{repeats:05d}" if part == TRAIN else f"validation-{repeats:05d}"
        write_pictures(target.folder / "images" / name, own)
        write_captions(target.folder / "images" / name, own)
        write_masks(target.folder / "masks" / name, own)
        table = tomlkit.table()
        table.add("path", target.seen_as(f"images/{name}"))
        table.add("mask_path", target.seen_as(f"masks/{name}"))
        table.add("num_repeats", repeats if part == TRAIN else 1)
        directories.append(table)
    document.add("directory", directories)
    return tomlkit.dumps(document)
