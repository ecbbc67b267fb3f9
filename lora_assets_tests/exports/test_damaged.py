"""Hand-damaged exports: what a trainer would lose or misread is found by reading as it does, and told with the file."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lora_assets.exports.making import default_place, make_exports, read_again
from lora_assets.exports.manifest import file_hashes, read_manifest, write_manifest
from lora_assets.exports.preview import export_sheet
from lora_assets.exports.settings import FORMATS, CaptionSettings, ExportSettings
from lora_assets.store import Store, StoreError
from lora_assets_tests.exports.drawn_cell import TRACKER, make_drawn_cell, publish_curated


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """All formats of four crops, one of them for validation."""
    data = tmp_path_factory.mktemp("whole") / "data"
    ids = make_drawn_cell(data)
    publish_curated(data, ids, part={3: "validation"})
    settings = ExportSettings(formats=FORMATS, trigger="mio", resolution=512, trainer_root="/sets")
    assert make_exports(Store(data), TRACKER, settings, CaptionSettings(tagger="")).losses == 0
    return default_place(data, TRACKER)


@pytest.fixture
def damaged(whole, tmp_path):
    """Damage a copy of a format and read it back: the problems that its trainer's rules find.

    The hashes of the manifest are made anew, so that what is found is found by the reading and not by them.
    """

    def damage(name: str, harm) -> list[str]:
        folder = tmp_path / name
        shutil.copytree(whole / name, folder)
        harm(folder)
        manifest = read_manifest(folder)
        assert manifest is not None
        write_manifest(folder, replace(manifest, files=file_hashes(folder)))
        return read_again(folder).problems

    return damage


def first(folder: Path, pattern: str) -> Path:
    return sorted(path for path in folder.glob(pattern))[0]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def resized(path: Path) -> None:
    with Image.open(path) as picture:
        smaller = picture.resize((picture.width - 1, picture.height))
    smaller.save(path)


def black(path: Path) -> None:
    with Image.open(path) as picture:
        Image.fromarray(np.zeros((picture.height, picture.width), np.uint8)).save(path)


def coloured(path: Path) -> None:
    with Image.open(path) as picture:
        picture.convert("RGB").save(path)


def mask_as_picture(folder: Path, masks: str, pictures: str) -> None:
    mask = first(folder, masks)
    shutil.copyfile(mask, first(folder, pictures).parent / f"{mask.stem}-masklabel.png")


HARMS = [
    ("kohya", lambda f: first(f, "train/10_*").rename(f / "train" / "mio"), "does not begin with a number"),
    ("kohya", lambda f: first(f, "train/10_*").rename(f / "train" / "3_mio"), "3 repeats, meant were 10"),
    ("kohya", lambda f: first(f, "train/*/*.txt").unlink(), "read as 'mio character', meant was"),
    ("kohya", lambda f: first(f, "train/*/*.txt").write_text(""), "the caption is empty"),
    ("kohya", lambda f: first(f, "train/*/*.txt").write_text("mio, character, full body\nx"),
     "only the first of 2 lines"),
    ("kohya", lambda f: first(f, "train/*/*.txt").write_bytes(b"\xff\xfe"), "no UTF-8 text"),
    ("kohya", lambda f: first(f, "train/*/*.png").unlink(), "does not find this picture"),
    ("kohya", lambda f: first(f, "train/*/*.png").write_bytes(b"no picture"), "no picture that can be"),
    ("kohya", lambda f: edit(f / "arguments.txt", "--caption_extension .txt\n", ""), "meant was 'mio, character, full"),
    ("kohya", lambda f: edit(f / "arguments.txt", "/sets/kohya/train", "/elsewhere"), "does not lead to this export"),
    ("kohya", lambda f: (f / "arguments.txt").unlink(), "arguments.txt is missing"),
    ("kohya", lambda f: shutil.copyfile(first(f, "train/*/*.png"), first(f, "train/*") / "mio_1_2_3_4_5.png"),
     "takes this file for a picture"),
    ("kohya", lambda f: shutil.copyfile(p := first(f, "train/*/*.png"), p.with_name(f"{p.stem}1.png")),
     "is a prefix of"),
    ("kohya-masks", lambda f: first(f, "masks/r*/*.png").unlink(), "finds no mask"),
    ("kohya-masks", lambda f: shutil.copyfile(p := first(f, "masks/r*/*.png"), p.with_name("0.png")),
     "a mask of no picture"),
    ("kohya-masks", lambda f: resized(first(f, "masks/r*/*.png")), "the mask is"),
    ("kohya-masks", lambda f: black(first(f, "masks/r*/*.png")), "the mask is black"),
    ("kohya-masks", lambda f: coloured(first(f, "masks/r*/*.png")), "the mask is RGB"),
    ("kohya-masks", lambda f: edit(f / "dataset.toml", "conditioning_data_dir", "class_tokens"),
     "no key 'class_tokens'"),
    ("kohya-masks", lambda f: edit(f / "dataset.toml", "batch_size = 1", "batch_size = 1\nvalidation_split = 1.0"),
     "sd-scripts stops: take this"),
    ("kohya-masks", lambda f: first(f, "masks/validation/*.png").unlink(), "finds no mask"),
    ("kohya-masks", lambda f: first(f, "images/validation/*.png").unlink(), "does not find this picture"),
    ("kohya-alpha", lambda f: edit(f / "dataset.toml", "validation_split = 1.0\n", ""),
     "read as train, meant for valid"),
    ("kohya-masks", lambda f: edit(f / "dataset.toml", "num_repeats = 10", "num_repeats = 4"),
     "4 repeats, meant were 10"),
    ("kohya-masks", lambda f: mask_as_picture(f, "masks/r*/*.png", "images/r*/*.png"), "takes this file for a picture"),
    ("kohya-masks", lambda f: (f / "dataset.toml").write_text("["), "dataset.toml cannot be read"),
    ("kohya-masks", lambda f: edit(f / "arguments.txt", "--masked_loss", ""), "learns the background too"),
    ("kohya-masks", lambda f: edit(f / "arguments.txt", "/sets/", "/other/"), "is no file of this export"),
    ("kohya-masks", lambda f: edit(f / "dataset.toml", "[512, 512]", '"wide"'), "makes no sense"),
    ("kohya", lambda f: edit(f / "arguments.txt", "512,512", "wide"), "makes no sense"),
    ("diffusion-pipe", lambda f: edit(f / "dataset.toml", "[512]", "[]"), "makes no sense"),
    ("ai-toolkit", lambda f: edit(f / "config.yaml", "batch_size: 1", "batch_size: one"), "makes no sense"),
    ("kohya-alpha", lambda f: coloured(first(f, "images/r*/*.png")), "finds no mask"),
    ("kohya-alpha", lambda f: edit(f / "dataset.toml", "alpha_mask = true\n", ""), "finds no mask"),
    ("kohya-finetune", lambda f: first(f, "images/r*/*.png").unlink(), "there is no such picture"),
    ("kohya-finetune", lambda f: edit(first(f, "meta_r*.json"), "full body", "half"), "meant was"),
    ("kohya-finetune", lambda f: edit(first(f, "meta_r*.jsonl"), "full body", "half"), "do not say the same"),
    ("kohya-finetune", lambda f: edit(f / "dataset.toml", "batch_size = 1", "batch_size = 1\nvalidation_split = 1.0"),
     "trains these pictures"),
    ("kohya-finetune", lambda f: first(f, "images/validation/*.png").unlink(), "there is no such picture"),
    ("onetrainer", lambda f: first(f, "train-*/*-masklabel.png").unlink(), "finds no mask"),
    ("onetrainer", lambda f: first(f, "train-*/*.txt").write_text("mio\nann"), "2 lines are taken for 2 captions"),
    ("onetrainer", lambda f: first(f, "train-*/*.txt").unlink(), "finds no caption"),
    ("onetrainer", lambda f: first(f, "train-*/*.txt").write_text("  "), "it is empty"),
    ("onetrainer", lambda f: resized(first(f, "train-*/*-masklabel.png")), "the mask is"),
    ("onetrainer", lambda f: (p := first(f, "train-*/*-masklabel.png")).rename(p.with_name(p.name.replace("-m", "_m"))),
     "takes this file for a picture"),
    ("onetrainer", lambda f: edit(f / "concepts.json", "STANDARD", "PRIOR_PREDICTION"), "of another type"),
    ("onetrainer", lambda f: edit(f / "concepts.json", '"enable_crop_jitter": false', '"enable_crop_jitter": true'),
     "jitter"),
    ("onetrainer", lambda f: edit(f / "concepts.json", '"balancing": 10.0', '"balancing": 2.5'), "2.5 repeats"),
    ("onetrainer", lambda f: edit(f / "concepts.json", "/sets/onetrainer/train", "/other/train"), "was it moved"),
    ("ai-toolkit", lambda f: shutil.copytree(f / "masks", f / "images" / "r00010" / "masks"), "finds it 2 times"),
    ("ai-toolkit", lambda f: edit(f / "config.yaml", "/sets/ai-toolkit/masks/r00010", "/sets/ai-toolkit/images/r00010"),
     "the masks lie inside"),
    ("ai-toolkit", lambda f: first(f, "masks/r*/*.png").unlink(), "finds no mask"),
    ("ai-toolkit", lambda f: edit(f / "config.yaml", "caption_ext: txt", "caption_ext: caption"), "finds no caption"),
    ("ai-toolkit", lambda f: edit(f / "config.yaml", "buckets: true", "buckets: false"), "buckets are switched off"),
    ("ai-toolkit", lambda f: (f / "config.yaml").write_text("job: x"), "config.yaml cannot be read"),
    ("diffusion-pipe", lambda f: first(f, "images/r*/*.txt").unlink(), "skips the picture"),
    ("diffusion-pipe", lambda f: first(f, "masks/r*/*.png").unlink(), "finds no mask"),
    ("diffusion-pipe", lambda f: (first(f, "images/r*") / "dataset.toml").write_text("x = 1"), "taken for a picture"),
    ("diffusion-pipe", lambda f: edit(f / "dataset.toml", "enable_ar_bucket = true", "enable_ar_bucket = false"),
     "square"),
    ("diffusion-pipe", lambda f: (f / "validation.toml").unlink(), "validation.toml cannot be read"),
    ("huggingface", lambda f: first(f, "train/*.png").unlink(), "cannot be opened"),
    ("huggingface", lambda f: edit(f / "train" / "metadata.jsonl", "full body", "half"), "meant was"),
    ("huggingface", lambda f: shutil.copyfile(p := first(f, "train/*.png"), p.with_name("x.png")), "is left out"),
    ("huggingface", lambda f: first(f, "train/masks/*.png").unlink(), "finds no mask"),
    ("coco", lambda f: first(f, "images/train/*.png").unlink(), "there is no such picture"),
    ("coco", lambda f: edit(f / "annotations" / "instances_train.json", '"bbox":[', '"bbox":[1'), "bbox or area"),
    ("coco", lambda f: edit(f / "annotations" / "instances_train.json", '"image_id":1', '"image_id":77'), "not listed"),
    ("coco", lambda f: edit(f / "annotations" / "instances_train.json", '"width":', '"width":1'), "cannot be read"),
    ("yolo", lambda f: first(f, "labels/train/*.txt").unlink(), "taken for background"),
    ("yolo", lambda f: first(f, "labels/train/*.txt").write_text("0 0.1 0.1 0.2 0.1 0.2 0.2\n"), "the outline holds"),
    ("yolo", lambda f: first(f, "labels/train/*.txt").write_text("3 0.1 0.1 0.2 0.1 0.2 0.2\n"), "another class"),
    ("yolo-detect", lambda f: first(f, "labels/train/*.txt").write_text("0 0.5 0.5 0.1 0.1\n"), "not the figure's"),
    ("yolo-detect", lambda f: first(f, "labels/train/*.txt").write_text("0 0.5 0.5 0.1 1.1\n"), "leaves the picture"),
    ("yolo-detect", lambda f: edit(f / "data.yaml", "/sets/yolo-detect", "/other"), "is not this export"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "harm", "told"), HARMS, ids=[f"{h[0]}: {h[2]}" for h in HARMS])
def test_a_damaged_export_is_caught(damaged, name, harm, told):
    problems = damaged(name, harm)
    assert any(told in problem for problem in problems), problems


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_not_damaged_has_no_problem(damaged, name):
    assert damaged(name, lambda folder: None) == []


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_was_changed_added_or_removed_is_caught_by_its_hash(whole, tmp_path, name):
    folder = tmp_path / name
    shutil.copytree(whole / name, folder)
    pictures = sorted(folder.rglob("*.png"))
    pictures[0].write_bytes(pictures[0].read_bytes() + b"\0")
    pictures[-1].unlink()
    (folder / "notes.md").write_text("mine")
    told = " ".join(read_again(folder).problems)
    assert "was changed after the export" in told
    assert "the file is gone" in told
    assert "notes.md: no export wrote it" in told


def test_caches_of_trainers_are_none_of_ours(whole, tmp_path):
    folder = tmp_path / "kohya"
    shutil.copytree(whole / "kohya", folder)
    picture = first(folder, "train/*/*.png")
    picture.with_name(f"{picture.stem}_0256x0256_sd.npz").write_bytes(b"cached")
    assert read_again(folder).problems == []


def test_a_damaged_export_has_a_sheet_of_what_can_be_seen(whole, tmp_path):
    folder = tmp_path / "kohya"
    shutil.copytree(whole / "kohya", folder)
    every = export_sheet(folder, tile=32)
    picture = first(folder, "train/*/*.png")
    picture.write_bytes(picture.read_bytes()[:200])
    left = export_sheet(folder, tile=32)
    assert every is not None
    assert left is not None
    assert left.shape[1] < every.shape[1]
    edit(folder / "arguments.txt", "512,512", "wide")
    assert export_sheet(folder) is None
    edit(folder / "manifest.json", '"format": "kohya"', '"format": "of another version"')
    assert export_sheet(folder) is None


@pytest.mark.parametrize(("old", "new"), [('"resolution": 512', '"resolution": 5'), ('"margin":', '"rand":')])
def test_settings_that_this_version_does_not_know_are_told(whole, tmp_path, old, new):
    folder = tmp_path / "kohya"
    shutil.copytree(whole / "kohya", folder)
    edit(folder / "manifest.json", old, new)
    with pytest.raises(StoreError, match=r"manifest\.json holds settings that cannot be used .*export again"):
        read_again(folder)


def test_a_moved_export_is_told(data):
    make_drawn_cell(data, [(90, 61)])
    settings = ExportSettings(formats=("kohya", "coco"), resolution=512)
    make_exports(Store(data), TRACKER, settings, CaptionSettings(tagger=""))
    for name, moved in (("kohya", True), ("coco", False)):
        (default_place(data, TRACKER) / name).rename(data / name)
        problems = read_again(data / name).problems
        assert bool(problems) == moved
        assert not moved or "the export was moved" in problems[0]


def test_what_is_no_export_is_refused(tmp_path):
    with pytest.raises(StoreError, match="holds no export"):
        read_again(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"kind": "other"}))
    with pytest.raises(StoreError, match="cannot be understood"):
        read_again(tmp_path)


@pytest.mark.parametrize(("name", "batch", "repeats", "lost"), [
    ("onetrainer", 8, 1.0, True), ("onetrainer", 8, 8.0, False), ("diffusion-pipe", 8, 1.0, True),
    ("kohya-masks", 8, 1.0, False), ("ai-toolkit", 8, 1.0, False),
])  # fmt: skip
def test_pictures_that_never_fill_a_batch_are_lost(data, name, batch, repeats, lost):
    make_drawn_cell(data)
    settings = ExportSettings(formats=(name,), resolution=512, batch_size=batch, repeats=repeats)
    (reading,) = make_exports(Store(data), TRACKER, settings, CaptionSettings(tagger="")).readings
    assert any(f"never fill a batch of {batch}" in problem for problem in reading.problems) == lost
    assert (reading.dropped_samples > 0) == lost


def test_heads_that_a_bucket_cuts_off_are_counted(data):
    make_drawn_cell(data, [(60, 600)])
    settings = ExportSettings(formats=("kohya-masks",), resolution=256, least_bucket=256, largest_bucket=256)
    (reading,) = make_exports(Store(data), TRACKER, settings, CaptionSettings(tagger="")).readings
    assert reading.worst_head_cut > 0.05
    assert any("heads lose more than 5%" in problem for problem in reading.problems)
