"""ai-toolkit: config.yaml with datasets and trigger word; masks in a folder outside the datasets.

Its rules: a dataset's folder is walked with all its sub-folders, so that a mask inside it would be trained as a
picture; a picture without a mask is not learned when another of its batch has one; captions are NAME.txt. It
has no validation part: that lies apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import yaml

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

CONFIG_FILE = "config.yaml"
_HEAD = "# The datasets of an ai-toolkit job. Put model, network, train, save and sample beside them.\n"


def write_ai_toolkit(target: Target, records: Sequence[ExportRecord]) -> None:
    """`images/rN/`, `masks/rN/` and config.yaml; `validation/` apart."""
    datasets = []
    for repeats, own in by_repeats(of_part(records, TRAIN)).items():
        name = f"r{repeats:05d}"
        write_pictures(target.folder / "images" / name, own)
        write_captions(target.folder / "images" / name, own)
        write_masks(target.folder / "masks" / name, own)
        datasets.append(
            {
                "folder_path": target.seen_as(f"images/{name}"),
                "mask_path": target.seen_as(f"masks/{name}"),
                "mask_min_value": 0.1,
                "caption_ext": "txt",
                "num_repeats": repeats,
                "resolution": [target.settings.resolution],
                "buckets": True,
                "shuffle_tokens": False,
                "flip_x": False,
            }
        )
    if validation := of_part(records, VALIDATION):
        write_pictures(target.folder / "validation" / "images", validation)
        write_captions(target.folder / "validation" / "images", validation)
        write_masks(target.folder / "validation" / "masks", validation)
    process = {
        "type": "sd_trainer",
        "trigger_word": target.trigger,
        "datasets": datasets,
        "train": {"batch_size": target.settings.batch_size},
    }
    job = {"job": "extension", "config": {"name": target.tracker, "process": [process]}}
    write_text(target.folder / CONFIG_FILE, _HEAD + yaml.safe_dump(job, sort_keys=False, allow_unicode=True))
