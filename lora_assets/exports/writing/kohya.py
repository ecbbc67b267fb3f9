"""Layouts of kohya's sd-scripts: folders with repeats in their names, TOML with masks, RGBA, fine-tuning metadata.

Its rules: masks lie in another folder under the same stem and need --masked_loss; every subset of a [[datasets]] with
masks names conditioning_data_dir, and then no class_tokens; a TOML reads no repeats from folder names, and pictures lie
directly in image_dir; captions end in .caption unless .txt is asked for. Validation is a [[datasets]] of its own with
validation_split = 1.0, since the key is the dataset's; not so with masks in another folder: sd-scripts also makes that
dataset's training instance, which then has masks and no pictures, and extra masks stop it. Nor with metadata_file: that
kind of dataset knows no split, and its pictures would be trained.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import tomlkit

from lora_assets.curation.splitting import TRAIN, VALIDATION
from lora_assets.exports.records import ExportRecord
from lora_assets.exports.writing.target import (
    Target,
    bucket_facts,
    by_repeats,
    of_part,
    write_captions,
    write_masks,
    write_pictures,
    write_text,
)
from lora_assets.vision.crops import encode_png

ARGUMENTS_FILE, DATASET_FILE = "arguments.txt", "dataset.toml"


def write_kohya_folders(target: Target, records: Sequence[ExportRecord]) -> None:
    """`train/N_trigger class/` for --train_data_dir, `validation/` apart (this way of naming has none), and
    arguments.txt: what the command line must say besides."""
    named = f"{target.trigger} {target.settings.class_word}".strip()
    for part in (TRAIN, VALIDATION):
        for repeats, own in by_repeats(of_part(records, part)).items():
            folder = target.folder / part / f"{repeats if part == TRAIN else 1}_{named}"
            write_pictures(folder, own)
            write_captions(folder, own)
    side = target.settings.resolution
    words = ["--train_data_dir", target.seen_as(TRAIN), "--caption_extension", ".txt", "--keep_tokens", "1"]
    words += ["--resolution", f"{side},{side}", "--train_batch_size", str(target.settings.batch_size)]
    for name, value in bucket_facts(target.settings).items():
        if value is not False:
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
    if target.settings.picture == "alpha":
        words += ["--alpha_mask"]
    _write_arguments(target, words)


def _write_arguments(target: Target, words: Sequence[str]) -> None:
    """arguments.txt: what the command line must say, one argument to a line."""
    lines = [" ".join(shlex.quote(word) for word in group) for group in _grouped(words)]
    write_text(target.folder / ARGUMENTS_FILE, "\n".join(lines) + "\n")


def _grouped(words: Sequence[str]) -> list[list[str]]:
    """Each argument with its value."""
    groups: list[list[str]] = []
    for word in words:
        if word.startswith("--"):
            groups.append([word])
        else:
            groups[-1].append(word)
    return groups


def _dataset_toml(target: Target, subsets: dict[str, list[dict[str, Any]]]) -> str:
    """A dataset_config with one [[datasets]] for each part that has subsets."""
    document = tomlkit.document()
    general = tomlkit.table()
    general.add("keep_tokens", 1)
    document.add("general", general)
    datasets = tomlkit.aot()
    for part, own in subsets.items():
        if not own:
            continue
        table = tomlkit.table()
        side = target.settings.resolution
        table.add("resolution", [side, side])
        table.add("batch_size", target.settings.batch_size)
        for name, value in bucket_facts(target.settings).items():
            table.add(name, value)
        if part == VALIDATION:
            table.add("validation_split", 1.0)
        inner = tomlkit.aot()
        for facts in own:
            subset = tomlkit.table()
            for name, value in facts.items():
                subset.add(name, value)
            inner.append(subset)
        table.add("subsets", inner)
        datasets.append(table)
    document.add("datasets", datasets)
    return tomlkit.dumps(document)


def _write_dataset(target: Target, subsets: dict[str, list[dict[str, Any]]], *, masked: bool) -> None:
    """dataset.toml, and the arguments that lead to it."""
    write_text(target.folder / DATASET_FILE, _dataset_toml(target, subsets))
    words = ["--dataset_config", target.seen_as(DATASET_FILE)]
    _write_arguments(target, [*words, "--masked_loss"] if masked else words)


def _named_folder(part: str, repeats: int) -> str:
    return f"r{repeats:05d}" if part == TRAIN else "validation"


def write_kohya_masks(target: Target, records: Sequence[ExportRecord]) -> None:
    """dataset.toml with `images/` and `masks/`, one subset per number of repeats; arguments.txt has --masked_loss. The
    validation part lies apart, in `images/validation` and `masks/validation`, and dataset.toml does not name it."""
    subsets: dict[str, list[dict[str, Any]]] = {}
    for part, repeats, own in _subsets(records):
        name = _named_folder(part, repeats)
        write_pictures(target.folder / "images" / name, own)
        write_captions(target.folder / "images" / name, own)
        write_masks(target.folder / "masks" / name, own)
        if part == VALIDATION:
            continue
        facts = {
            "image_dir": target.seen_as(f"images/{name}"),
            "conditioning_data_dir": target.seen_as(f"masks/{name}"),
            "caption_extension": ".txt",
            "num_repeats": repeats,
        }
        subsets.setdefault(part, []).append(facts)
    _write_dataset(target, subsets, masked=True)


def write_kohya_alpha(target: Target, records: Sequence[ExportRecord]) -> None:
    """dataset.toml with RGBA pictures whose alpha is the mask (alpha_mask = true); arguments.txt has --masked_loss."""
    subsets: dict[str, list[dict[str, Any]]] = {}
    for part, repeats, own in _subsets(records):
        name = _named_folder(part, repeats)
        folder = target.folder / "images" / name
        folder.mkdir(parents=True, exist_ok=True)
        for record in own:
            (folder / f"{record.name}.png").write_bytes(_rgba(record))
        write_captions(folder, own)
        facts = {
            "image_dir": target.seen_as(f"images/{name}"),
            "caption_extension": ".txt",
            "num_repeats": repeats,
            "alpha_mask": True,
        }
        subsets.setdefault(part, []).append(facts)
    _write_dataset(target, subsets, masked=True)


def _rgba(record: ExportRecord) -> bytes:
    """The record's picture with its mask as alpha, encoded."""
    picture = cv2.imread(str(record.picture), cv2.IMREAD_COLOR_RGB)
    mask = cv2.imread(str(record.mask), cv2.IMREAD_GRAYSCALE)
    if picture is None or mask is None:
        raise OSError(f"{record.picture} cannot be read again")
    return encode_png(np.dstack((np.asarray(picture, np.uint8), np.asarray(mask, np.uint8))))


def write_kohya_finetune(target: Target, records: Sequence[ExportRecord]) -> None:
    """Metadata for fine-tuning: meta_NAME.json (captions by stem) and the same as .jsonl, with dataset.toml.

    No tags of their own: sd-scripts would put them behind the caption, which holds them already. The validation part
    lies apart, and dataset.toml does not name it.
    """
    subsets: dict[str, list[dict[str, Any]]] = {}
    for part, repeats, own in _subsets(records):
        name = _named_folder(part, repeats)
        write_pictures(target.folder / "images" / name, own)
        keyed = {record.name: {"caption": record.caption} for record in own}
        meta = f"meta_{name}.json"
        write_text(target.folder / meta, json.dumps(keyed, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
        lines = [
            json.dumps(
                {
                    "image_path": target.seen_as(f"images/{name}/{record.name}.png"),
                    "caption": record.caption,
                    "image_size": [record.width, record.height],
                },
                ensure_ascii=False,
            )
            for record in own
        ]
        write_text(target.folder / f"meta_{name}.jsonl", "".join(f"{line}\n" for line in lines))
        if part == VALIDATION:
            continue
        facts = {
            "image_dir": target.seen_as(f"images/{name}"),
            "metadata_file": target.seen_as(meta),
            "num_repeats": repeats,
        }
        subsets.setdefault(part, []).append(facts)
    _write_dataset(target, subsets, masked=False)


def _subsets(records: Sequence[ExportRecord]) -> list[tuple[str, int, list[ExportRecord]]]:
    """Part, repeats and records of each folder; what is validated is shown once."""
    found = [(TRAIN, repeats, own) for repeats, own in by_repeats(of_part(records, TRAIN)).items()]
    validation = of_part(records, VALIDATION)
    return [*found, (VALIDATION, 1, validation)] if validation else found
