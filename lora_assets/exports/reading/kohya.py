"""Reads an export as kohya's sd-scripts would (library/config_util.py, library/train_util.py)."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

from lora_assets.curation.splitting import TRAIN, VALIDATION
from lora_assets.exports.buckets import BucketRule, kohya_rule
from lora_assets.exports.reading.seen import Export, Seen, SeenPicture, caption_text, pictures_in
from lora_assets.exports.reading.sizes import picture_size
from lora_assets.exports.records import faults_of_names

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".jxl")
_AGAIN = "export again"
_CLASS_PARTS = 4

_GENERAL_KEYS = {
    "keep_tokens", "shuffle_caption", "caption_extension", "num_repeats", "resolution", "batch_size", "enable_bucket",
    "min_bucket_reso", "max_bucket_reso", "bucket_reso_steps", "bucket_no_upscale", "validation_split",
}  # fmt: skip
_SUBSET_KEYS = {"image_dir", "num_repeats", "keep_tokens", "shuffle_caption"}
_MASKED_KEYS = _SUBSET_KEYS | {"conditioning_data_dir", "caption_extension"}
_PLAIN_KEYS = _SUBSET_KEYS | {"caption_extension", "class_tokens", "is_reg", "alpha_mask"}
_METADATA_KEYS = _SUBSET_KEYS | {"metadata_file", "alpha_mask"}


def _caption(picture: Path, ending: str, seen: Seen, otherwise: str) -> str | None:
    """The first line of the caption file, else the class words, as the trainer does. An empty file is refused by it."""
    file = picture.with_suffix(ending)
    if not file.is_file():
        # It tries the stem without its last four parts, as other tools name their files.
        shorter = "_".join(picture.stem.split("_")[:-_CLASS_PARTS])
        file = picture.with_name(f"{shorter}{ending}") if shorter else file
    text = caption_text(file)
    if text is None:
        if file.is_file():
            seen.faults.append(f"{file.name}: the caption is no UTF-8 text, sd-scripts stops: {_AGAIN}")
        return otherwise or None
    lines = text.split("\n")
    if not text.strip():
        seen.faults.append(f"{file.name}: the caption is empty, sd-scripts stops with an assertion: {_AGAIN}")
        return None
    if len([line for line in lines if line.strip()]) > 1:
        seen.faults.append(f"{file.name}: only the first of {len(lines)} lines is read: write it on one line")
    return lines[0].strip()


def _prefix_faults(seen: Seen) -> None:
    seen.faults += faults_of_names(picture.name for picture in seen.pictures)


# --- folders ---------------------------------------------------------------------------------------------------------


def read_kohya_folders(export: Export) -> Seen:
    """As `--train_data_dir` with the command line of arguments.txt."""
    seen = Seen(has_masks=False)
    words = _arguments(export, seen)
    root = export.local(words.get("--train_data_dir", ""))
    if root is None or not root.is_dir():
        seen.faults.append(
            f"arguments.txt: --train_data_dir {words.get('--train_data_dir', '')!r} does not lead to this export's "
            f"pictures (it was moved, or the argument changed): {_AGAIN} to where it shall lie"
        )
        return seen
    ending = words.get("--caption_extension", ".caption")
    side = words.get("--resolution", "512,512").split(",")
    seen.batch_size = int(words.get("--train_batch_size", "1"))
    rule = kohya_rule(
        (int(side[0]), int(side[-1])),
        enabled="--enable_bucket" in words,
        least=int(words.get("--min_bucket_reso", "256")),
        largest=int(words.get("--max_bucket_reso", "1024")),
        step=int(words.get("--bucket_reso_steps", "64")),
    )
    seen.has_masks = "--alpha_mask" in words
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        repeats, words_of_class = _folder_name(folder.name)
        if repeats is None:
            seen.faults.append(
                f"{root.name}/{folder.name}: the name does not begin with a number and '_', so sd-scripts ignores the "
                f"folder: name it N_{folder.name}"
            )
            continue
        _add(seen, pictures_in(folder, ENDINGS), TRAIN, repeats, ending, words_of_class, rule, seen.has_masks)
    loose = pictures_in(root, ENDINGS)
    if loose:
        seen.faults.append(f"{loose[0].name} and {len(loose) - 1} more lie beside the folders and are not read")
    _apart(export, seen)
    _prefix_faults(seen)
    return seen


def _arguments(export: Export, seen: Seen) -> dict[str, str]:
    text = caption_text(export.folder / "arguments.txt")
    if text is None:
        seen.faults.append(f"arguments.txt is missing: {_AGAIN}")
        return {}
    try:
        words = shlex.split(text)
    except ValueError as error:
        seen.faults.append(f"arguments.txt: {error}: {_AGAIN}")
        return {}
    found: dict[str, str] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word
            found[name] = ""
        elif name:
            found[name] = word
    return found


def _folder_name(name: str) -> tuple[int | None, str]:
    """Repeats and class words of a folder's name, None where it is ignored."""
    first, _, rest = name.partition("_")
    try:
        return int(first), rest.strip()
    except ValueError:
        return None, ""


def _apart(export: Export, seen: Seen) -> None:
    """The validation part of folders, which this way of naming does not read: it lies there for a TOML."""
    root = export.folder / VALIDATION
    if not root.is_dir():
        return
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        for picture in pictures_in(folder, ENDINGS):
            text = caption_text(picture.with_suffix(".txt"))
            alpha = picture if seen.has_masks else None
            seen.pictures.append(SeenPicture(picture, VALIDATION, 1, text, alpha, None))
    seen.remarks.append("the validation part lies apart: --train_data_dir has no place for it, a TOML has")


def _add(
    seen: Seen,
    pictures: list[Path],
    part: str,
    repeats: int,
    ending: str,
    otherwise: str,
    rule: BucketRule,
    alpha: bool,
) -> None:
    for picture in pictures:
        size = picture_size(picture)
        if size is None:
            seen.faults.append(f"{picture.name}: it is no picture that can be opened: {_AGAIN}")
            continue
        caption = _caption(picture, ending, seen, otherwise)
        seen.pictures.append(
            SeenPicture(picture, part, max(1, repeats), caption, picture if alpha else None, rule(*size))
        )


# --- TOML ------------------------------------------------------------------------------------------------------------


def _config(export: Export, seen: Seen, *, masked: bool) -> dict[str, Any]:
    words = _arguments(export, seen)
    path = export.local(words.get("--dataset_config", "")) or export.folder / "dataset.toml"
    if "--dataset_config" in words and export.local(words["--dataset_config"]) is None:
        seen.faults.append(
            f"arguments.txt: --dataset_config {words['--dataset_config']!r} is no file of this export (was it moved?): "
            f"{_AGAIN} to where it shall lie, or set trainer_root"
        )
    if masked and "--masked_loss" not in words:
        seen.faults.append("arguments.txt: without --masked_loss sd-scripts learns the background too: put it back")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        seen.faults.append(f"dataset.toml cannot be read ({error}): {_AGAIN}")
        return {}


def _rule_of(facts: dict[str, Any]) -> BucketRule:
    told = facts.get("resolution", [512, 512])
    sides = told if isinstance(told, list) else [told, told]
    return kohya_rule(
        (int(sides[0]), int(sides[1])),
        enabled=bool(facts.get("enable_bucket", False)),
        least=int(facts.get("min_bucket_reso", 256)),
        largest=int(facts.get("max_bucket_reso", 1024)),
        step=int(facts.get("bucket_reso_steps", 64)),
        no_upscale=bool(facts.get("bucket_no_upscale", False)),
    )


def _subsets_of(
    export: Export, seen: Seen, keys: set[str], *, masked: bool
) -> list[tuple[dict[str, Any], str, BucketRule]]:
    """Every subset with what it takes over from its dataset and [general], its part and its buckets."""
    config = _config(export, seen, masked=masked)
    general = config.get("general", {})
    found = []
    for dataset in config.get("datasets", []):
        own = {name: value for name, value in dataset.items() if name != "subsets"}
        known = _GENERAL_KEYS | keys
        for name in sorted((set(general) | set(own)) - known):
            seen.faults.append(f"dataset.toml: sd-scripts knows no key {name!r} here and stops: take it out")
        facts = {**general, **own}
        seen.batch_size = int(facts.get("batch_size", 1))
        part = VALIDATION if float(facts.get("validation_split", 0.0)) == 1.0 else TRAIN
        for subset in dataset.get("subsets", []):
            for name in sorted(set(subset) - keys):
                seen.faults.append(f"dataset.toml: a subset of this kind has no key {name!r}, sd-scripts stops")
            found.append(({**facts, **subset}, part, _rule_of(facts)))
    if not found and not seen.faults:
        seen.faults.append(f"dataset.toml names no subset: {_AGAIN}")
    return found


def _folder_of(export: Export, seen: Seen, facts: dict[str, Any], key: str) -> Path | None:
    named = str(facts.get(key, ""))
    folder = export.local(named)
    if folder is None or not folder.is_dir():
        seen.faults.append(
            f"dataset.toml: {key} = {named!r} is no folder of this export (was it moved?): {_AGAIN} to where it shall "
            "lie, or set trainer_root"
        )
        return None
    return folder


def read_kohya_masks(export: Export) -> Seen:
    """As a TOML with conditioning_data_dir and `--masked_loss`: missing, extra and wrongly sized masks stop it."""
    seen = Seen()
    for facts, part, rule in _subsets_of(export, seen, _MASKED_KEYS, masked=True):
        if "conditioning_data_dir" not in facts:
            seen.faults.append("dataset.toml: every subset needs conditioning_data_dir, or none is masked: add it")
        if part == VALIDATION:
            # https://github.com/kohya-ss/sd-scripts config_util.py makes a training instance of every [[datasets]].
            seen.faults.append(
                "dataset.toml: validation_split = 1.0 beside conditioning_data_dir leaves the masks without pictures "
                "in training, and sd-scripts stops: take this [[datasets]] out"
            )
        folder = _folder_of(export, seen, facts, "image_dir")
        masks = _folder_of(export, seen, facts, "conditioning_data_dir")
        if folder is None or masks is None:
            continue
        before = len(seen.pictures)
        ending = str(facts.get("caption_extension", ".caption"))
        _add(seen, pictures_in(folder, ENDINGS), part, int(facts.get("num_repeats", 1)), ending, "", rule, False)
        _pair_masks(seen, before, masks)
    images, masks = (export.folder / name / VALIDATION for name in ("images", "masks"))
    if images.is_dir() and not any(picture.path.parent == images for picture in seen.pictures):
        before = len(seen.pictures)
        for path in pictures_in(images, ENDINGS):
            seen.pictures.append(SeenPicture(path, VALIDATION, 1, caption_text(path.with_suffix(".txt")), None, None))
        _pair_masks(seen, before, masks)
        seen.remarks.append("the validation part lies apart: sd-scripts takes no masks of files in validation")
    _prefix_faults(seen)
    return seen


def _pair_masks(seen: Seen, start: int, masks: Path) -> None:
    """Give the pictures from `start` on their masks of the folder by stem; masks that are left are extra."""
    files = {path.stem: path for path in pictures_in(masks, ENDINGS)} if masks.is_dir() else {}
    for index in range(start, len(seen.pictures)):
        one = seen.pictures[index]
        mask = files.pop(one.name, None)
        seen.pictures[index] = SeenPicture(one.path, one.part, one.repeats, one.caption, mask, one.bucket)
    seen.extra_masks += files.values()


def read_kohya_alpha(export: Export) -> Seen:
    """As a TOML with alpha_mask = true and `--masked_loss`: the alpha of each picture is its mask."""
    seen = Seen()
    for facts, part, rule in _subsets_of(export, seen, _PLAIN_KEYS, masked=True):
        folder = _folder_of(export, seen, facts, "image_dir")
        if folder is None:
            continue
        alpha = facts.get("alpha_mask") is True
        ending = str(facts.get("caption_extension", ".caption"))
        words = str(facts.get("class_tokens", ""))
        repeats = int(facts.get("num_repeats", 1))
        _add(seen, pictures_in(folder, ENDINGS), part, repeats, ending, words, rule, alpha)
    _prefix_faults(seen)
    return seen


def read_kohya_finetune(export: Export) -> Seen:
    """As a TOML with metadata_file: pictures are those that the metadata names, by stem or by path."""
    seen = Seen(has_masks=False)
    for facts, part, rule in _subsets_of(export, seen, _METADATA_KEYS, masked=False):
        folder = _folder_of(export, seen, facts, "image_dir")
        file = export.local(str(facts.get("metadata_file", "")))
        if part == VALIDATION:
            # https://github.com/kohya-ss/sd-scripts: its FineTuningDataset takes all pictures, whatever the split is.
            seen.faults.append(
                "dataset.toml: validation_split = 1.0 beside metadata_file is not heeded by sd-scripts, which trains "
                "these pictures: take this [[datasets]] out"
            )
        if folder is not None:
            repeats = max(1, int(facts.get("num_repeats", 1)))
            _add_entries(export, seen, folder, file, part, repeats, rule)
    images = export.folder / "images" / VALIDATION
    if images.is_dir() and not any(picture.path.parent == images for picture in seen.pictures):
        _add_entries(export, seen, images, export.folder / f"meta_{VALIDATION}.json", VALIDATION, 1, None)
        seen.remarks.append("the validation part lies apart: sd-scripts splits no dataset that has metadata_file")
    _prefix_faults(seen)
    return seen


def _add_entries(
    export: Export, seen: Seen, folder: Path, file: Path | None, part: str, repeats: int, rule: BucketRule | None
) -> None:
    """The pictures that a metadata file names; without a rule they lie apart and are brought to no size."""
    entries = _metadata(file, seen)
    for key, entry in entries.items():
        picture = _picture_of_key(export, folder, key)
        if picture is None:
            seen.faults.append(f"{key}: the metadata names it, but there is no such picture: {_AGAIN}")
            continue
        size = picture_size(picture)
        if size is None:
            seen.faults.append(f"{picture.name}: it is no picture that can be opened: {_AGAIN}")
            continue
        words = [str(entry.get(name) or "") for name in ("caption", "tags")]
        caption = ", ".join(word for word in words if word) or None
        bucket = rule(*size) if rule is not None else None
        seen.pictures.append(SeenPicture(picture, part, repeats, caption, None, bucket))
    _compare_lines(export, file, entries, seen)


def _metadata(file: Path | None, seen: Seen) -> dict[str, dict[str, Any]]:
    try:
        told = json.loads((file or Path()).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        seen.faults.append(f"{file}: the metadata cannot be read ({error}): {_AGAIN}")
        return {}
    if not isinstance(told, dict) or not all(isinstance(entry, dict) for entry in told.values()):
        seen.faults.append(f"{file}: the metadata is no object of entries: {_AGAIN}")
        return {}
    return told


def _picture_of_key(export: Export, folder: Path, key: str) -> Path | None:
    whole = export.local(key)
    if whole is not None and whole.is_file():
        return whole
    found = [path for path in pictures_in(folder, ENDINGS) if path.stem == key]
    return found[0] if found else None


def _compare_lines(export: Export, file: Path | None, entries: dict[str, dict[str, Any]], seen: Seen) -> None:
    """The .jsonl beside the metadata must say the same."""
    text = caption_text(file.with_suffix(".jsonl")) if file else None
    found: dict[str, str] = {}
    for line in (text or "").split("\n"):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            picture = export.local(str(told["image_path"]))
            found[re.sub(r"\.[^.]+$", "", Path(told["image_path"]).name)] = str(told["caption"])
            if picture is None or picture_size(picture) != tuple(told["image_size"]):
                seen.faults.append(f"{told['image_path']}: the .jsonl tells another place or size of it: {_AGAIN}")
        except (ValueError, KeyError, TypeError) as error:
            seen.faults.append(f"{file}: a line of the .jsonl cannot be read ({error}): {_AGAIN}")
    if found != {key: str(entry.get("caption")) for key, entry in entries.items()}:
        seen.faults.append(f"{file}: .json and .jsonl do not say the same: {_AGAIN}")
