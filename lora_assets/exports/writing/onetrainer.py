"""OneTrainer: concepts.json, pictures with NAME.txt and NAME-masklabel.png beside them.

Its rules: sub-folders are not read unless asked for; each line of a caption file is another caption; repeats may be
fractions and are a concept's ("balancing"); crops jitter and flip by default, which is switched off here, because a
jitter cuts heads and a flip unlearns what is on one side only. Seeds are made from the set, so that equal sets give
equal files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from lora_assets.curation.splitting import TRAIN, VALIDATION
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

CONCEPTS_FILE, MASK_ENDING = "concepts.json", "-masklabel"
_VERSION = 2
_MOST_SEED = 1 << 30


def write_onetrainer(target: Target, records: Sequence[ExportRecord]) -> None:
    """One concept per number of repeats, and one of the type VALIDATION."""
    concepts = []
    for part in (TRAIN, VALIDATION):
        for repeats, own in by_repeats(of_part(records, part)).items():
            name = f"{part}-{repeats:05d}"
            folder = target.folder / name
            write_pictures(folder, own)
            write_captions(folder, own)
            write_masks(folder, own, MASK_ENDING)
            concepts.append(_concept(target, name, part, repeats, own))
    write_text(target.folder / CONCEPTS_FILE, json.dumps(concepts, ensure_ascii=False, indent=4) + "\n")


def _concept(target: Target, name: str, part: str, repeats: int, records: Sequence[ExportRecord]) -> dict[str, Any]:
    seed = int(hashlib.sha256("\n".join(record.name for record in records).encode()).hexdigest(), 16) % _MOST_SEED
    return {
        "__version": _VERSION,
        "name": f"{target.trigger} {name}",
        "path": target.seen_as(name),
        "seed": seed,
        "enabled": True,
        "type": "STANDARD" if part == TRAIN else "VALIDATION",
        "include_subdirectories": False,
        "image_variations": 1,
        "text_variations": 1,
        "balancing": float(repeats if part == TRAIN else 1),
        "balancing_strategy": "REPEATS",
        "loss_weight": 1.0,
        "image": {
            "__version": 0,
            "enable_crop_jitter": False,
            "enable_random_flip": False,
            "enable_resolution_override": False,
            "resolution_override": str(target.settings.resolution),
        },
        "text": {
            "__version": 0,
            "prompt_source": "sample",
            "prompt_path": "",
            "enable_tag_shuffling": False,
            "tag_delimiter": ",",
            "keep_tags_count": 1,
        },
    }
