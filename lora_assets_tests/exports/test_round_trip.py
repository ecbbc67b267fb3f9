from __future__ import annotations

import json
import shutil
import zlib

import numpy as np
import pytest
from hypothesis import Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image

from lora_assets.exports.caption_text import fault_of_line
from lora_assets.exports.captioning import make_captions
from lora_assets.exports.making import default_place, make_exports, read_again, read_exports
from lora_assets.exports.pool import export_pool
from lora_assets.exports.preview import export_preview, export_sheet
from lora_assets.exports.records import ExportRefused
from lora_assets.exports.settings import FORMATS, PICTURES, CaptionSettings, ExportSettings
from lora_assets.store import Store
from lora_assets_tests.exports.drawn_cell import DATASET, TRACKER, make_drawn_cell, publish_curated

CAPTIONS = CaptionSettings(tagger="")
MASKED = ("kohya-masks", "kohya-alpha", "onetrainer", "ai-toolkit", "diffusion-pipe", "huggingface")


def small(**changes) -> ExportSettings:
    return ExportSettings(**({"formats": FORMATS, "trigger": "mio", "resolution": 512} | changes))


def written(data, **changes):
    return make_exports(Store(data), TRACKER, small(**changes), CAPTIONS)


def all_files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def opened(path):
    with Image.open(path) as picture:
        return np.asarray(picture), picture.mode


def claims_too_much(path):
    """Damage a PNG so that its header tells a size that Pillow refuses to open (a flipped byte of width and height)."""
    content = bytearray(path.read_bytes())
    content[16] = content[20] = 1
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)


@pytest.fixture
def curated(data):
    ids = make_drawn_cell(data)
    publish_curated(data, ids, part={3: "validation"}, repeats={1: 15.0})
    return ids


@pytest.mark.parametrize("picture", PICTURES)
def test_every_format_is_read_back_without_a_loss(data, curated, picture):
    made = written(data, picture=picture)
    for reading in made.readings:
        assert (reading.format, reading.problems) == (reading.format, [])
        assert (reading.images, reading.validation_images) == (3, 1)
        assert reading.masks_paired == (4 if reading.format in MASKED or "alpha" in reading.format else 0) or (
            reading.format == "kohya" and picture == "alpha"
        )
        assert reading.captions == (0 if reading.format.startswith("yolo") else 4)
    by_name = {reading.format: reading for reading in made.readings}
    for name in ("kohya", "kohya-masks", "onetrainer", "ai-toolkit", "diffusion-pipe"):
        assert by_name[name].samples == 10 + 15 + 10
        assert by_name[name].buckets >= 2
    assert read_exports(Store(data), TRACKER) == list(made.readings)
    assert made.numbers()["losses"] == 0.0


@given(
    sizes=st.lists(st.tuples(st.integers(64, 200), st.integers(64, 200)), min_size=1, max_size=3),
    trigger=st.text("abcXYZ019 _-.'日本", min_size=1, max_size=12).map(str.strip).filter(bool),
    caption=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30),
    batch_size=st.integers(1, 4),
    dilation=st.floats(0, 40),
)
@examples(max_examples=4, phases=[Phase.explicit, Phase.reuse, Phase.generate], deadline=None)
def test_odd_sizes_captions_and_names_come_back_as_they_were(
    tmp_path_factory, sizes, trigger, caption, batch_size, dilation
):
    data = tmp_path_factory.mktemp("odd") / "data"
    ids = make_drawn_cell(data, sizes)
    if not fault_of_line(caption):
        (data / "captions").mkdir()
        row = {"crop_id": ids[0], "caption": caption}
        (data / "captions" / f"{DATASET}.jsonl").write_text(json.dumps(row) + "\n")
        settings = small(trigger=trigger)
        make_captions(Store(data), TRACKER, export_pool(Store(data), TRACKER, settings), CAPTIONS, settings, None)
    made = written(data, trigger=trigger, batch_size=batch_size, mask_dilation=dilation)
    for reading in made.readings:
        assert (reading.format, reading.problems) == (reading.format, [])
        assert reading.images == len(sizes)


def test_one_picture_is_a_whole_export(data):
    make_drawn_cell(data, [(90, 61)])
    for reading in written(data).readings:
        assert (reading.format, reading.problems, reading.images) == (reading.format, [], 1)


def test_equal_inputs_give_equal_bytes(data, curated, tmp_path):
    written(data)
    place = default_place(data, TRACKER)
    before = all_files(place)
    assert len(before) > 80
    shutil.rmtree(place)
    shutil.rmtree(data / "tables" / "exports")
    written(data)
    assert all_files(place) == before
    # Elsewhere too, when the trainer's place is told.
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        settings = small(trainer_root="/workspace/sets", formats=("kohya-masks", "onetrainer"))
        made = make_exports(Store(data), TRACKER, settings, CAPTIONS, folder)
        assert made.losses == 0
    assert all_files(one) == all_files(two)
    assert "/workspace/sets/onetrainer/train-00010" in (one / "onetrainer" / "concepts.json").read_text()


def test_an_unchanged_export_is_left_as_it_is_and_a_damaged_one_is_made_anew(data, curated):
    written(data)
    place = default_place(data, TRACKER)
    stamp = (place / "coco" / "manifest.json").stat().st_mtime_ns
    assert set(written(data).reused) == set(FORMATS)
    assert (place / "coco" / "manifest.json").stat().st_mtime_ns == stamp
    next((place / "coco" / "images" / "train").iterdir()).write_bytes(b"")
    assert read_again(place / "coco").losses > 0
    made = written(data)
    assert set(FORMATS) - set(made.reused) == {"coco"}
    assert made.losses == 0
    assert written(data, margin=0.2, formats=("coco",)).reused == ()


def test_masks_are_white_where_the_figure_is_dilated_and_as_large_as_the_picture(data, curated):
    written(data, mask_dilation=0.0, formats=("onetrainer",))
    place = default_place(data, TRACKER) / "onetrainer" / "train-00010"
    for path in sorted(place.glob("*-masklabel.png")):
        mask, mode = opened(path)
        assert mode == "L"
        assert mask.shape == opened(place / path.name.replace("-masklabel", ""))[0].shape[:2]
        assert set(np.unique(mask)) == {0, 255}
    plain = {path.name: int(opened(path)[0].sum()) for path in place.glob("*-masklabel.png")}
    written(data, mask_dilation=16.0, formats=("onetrainer",))
    for name, before in plain.items():
        assert int(opened(place / name)[0].sum()) > before


def test_a_lost_crop_picture_is_drawn_again_and_a_lost_original_is_told(data):
    ids = make_drawn_cell(data)
    written(data, picture="flat", formats=("kohya",))
    place = default_place(data, TRACKER) / "kohya"
    before = all_files(place)
    for crop in ids[1:]:
        Store(data).picture("crops", crop, ".png").unlink()
    claims_too_much(Store(data).picture("crops", ids[0], ".png"))
    shutil.rmtree(place)
    written(data, picture="flat", formats=("kohya",))
    assert all_files(place) == before
    (data / "input" / DATASET / "f0000.png").unlink()
    (data / "input" / DATASET / "f0001.png").write_bytes(b"other")
    made = written(data, formats=("kohya",))
    (reading,) = made.readings
    assert (reading.images, reading.losses) == (2, 2)
    assert "f0000.png: vanished" in reading.problems[0] + reading.problems[1]
    assert "changed after it was listed" in reading.problems[0] + reading.problems[1]
    shutil.rmtree(data / "input" / DATASET)
    with pytest.raises(ExportRefused, match="no picture could be made"):
        written(data, formats=("kohya",))


def test_a_picture_whose_header_claims_too_much_is_told(data):
    make_drawn_cell(data)
    written(data, formats=("onetrainer",))
    folder = default_place(data, TRACKER) / "onetrainer"
    masks = sorted(folder.glob("train-*/*-masklabel.png"))
    pictures = [path.with_name(path.name.replace("-masklabel", "")) for path in masks]
    claims_too_much(pictures[0])
    claims_too_much(masks[1])
    problems = read_again(folder).problems
    assert f"{pictures[0].name}: it is no picture that can be opened: export again" in problems
    assert any(problem.startswith(f"{pictures[1].stem}: the trainer finds no mask") for problem in problems)


def test_a_stored_crop_serves_where_the_original_is_gone(data):
    make_drawn_cell(data)
    shutil.rmtree(data / "input" / DATASET)
    assert written(data, picture="flat", formats=("kohya",)).losses == 0


def test_pictures_are_the_frame_the_ground_or_transparent(data):
    make_drawn_cell(data, [(120, 200)])
    pixels = {}
    for picture in PICTURES:
        written(data, picture=picture, ground="#102030", formats=("kohya",))
        path = next((default_place(data, TRACKER) / "kohya" / "train").rglob("*.png"))
        pixels[picture] = opened(path)[0]
    assert pixels["window"].shape[2] == pixels["flat"].shape[2] == 3
    assert pixels["alpha"].shape[2] == 4
    assert pixels["flat"][0, 0].tolist() == [16, 32, 48]
    assert pixels["alpha"][0, 0].tolist() == [16, 32, 48, 0]
    assert pixels["window"][0, 0].tolist() != [16, 32, 48]


def test_without_a_crop_nothing_is_written_and_the_report_says_why(data, curated):
    written(data, formats=("kohya",))
    before = all_files(default_place(data, TRACKER))
    publish_curated(data, curated, chosen=dict.fromkeys(range(4), False))
    made = written(data, formats=("kohya", "coco"))
    assert all_files(default_place(data, TRACKER)) == before
    for reading in made.readings:
        assert (reading.images, reading.losses) == (0, 1)
        assert "nothing was exported: none of the 4 crops" in reading.problems[0]
    assert made.table is not None
    assert made.table.rows == 2


def test_an_empty_caption_is_refused_with_the_reason(data):
    make_drawn_cell(data)
    empty = CaptionSettings(tagger="", template="{framing}")
    made = make_exports(Store(data), TRACKER, small(formats=("kohya",)), empty)
    assert made.losses == 0  # the trigger is always there
    publish_curated(data, make_drawn_cell(data), part=dict.fromkeys(range(4), "validation"))
    with pytest.raises(ExportRefused, match="none is left to train with"):
        written(data)


def test_what_every_picture_was_made_of_is_in_the_manifest(data, curated):
    written(data, formats=("coco",))
    told = json.loads((default_place(data, TRACKER) / "coco" / "manifest.json").read_text())
    assert told["tracker"] == TRACKER
    assert told["recipes"]["masks"] == ["r-masks"]
    assert told["tables"]["curated_dataset"] == "v1"
    assert told["counts"] == {"pictures": 4, "train": 3, "validation": 1, "samples": 35, "left_out": 0}
    first = told["pictures"][0]
    assert first["crop_id"] == curated[0]
    assert first["frame_file"] == "f0000.png"
    assert not any("time" in name or "_at" in name for name in told)


def test_a_trigger_that_another_tracker_uses_is_told(data):
    make_drawn_cell(data, [(90, 61)])
    make_drawn_cell(data, [(90, 62)], tracker="T2", dataset="other")
    written(data, formats=("kohya",))
    before = all_files(default_place(data, TRACKER))
    made = make_exports(Store(data), "T2", small(formats=("kohya",)), CAPTIONS)
    assert any("'mio' is used by exports of T1 too" in note for note in made.notes)
    shutil.rmtree(default_place(data, TRACKER))
    made = written(data, formats=("kohya",))
    assert any("'mio' is used by exports of T2 too" in note for note in made.notes)
    assert all_files(default_place(data, TRACKER)) == before


def test_an_export_of_one_format_or_elsewhere_leaves_the_others_in_the_table(data, tmp_path):
    make_drawn_cell(data, [(90, 61)])
    store = Store(data)
    written(data, formats=("kohya", "coco"))
    written(data, formats=("coco",))
    assert [reading.format for reading in read_exports(store, TRACKER)] == ["kohya", "coco"]
    made = make_exports(store, TRACKER, small(formats=("yolo",)), CAPTIONS, tmp_path / "sets")
    assert made.table is None
    assert [reading.format for reading in read_exports(store, TRACKER)] == ["kohya", "coco"]
    shutil.rmtree(default_place(data, TRACKER) / "kohya")
    written(data, formats=("coco",))
    assert [reading.format for reading in read_exports(store, TRACKER)] == ["coco"]


@pytest.mark.parametrize("name", ["kohya-masks", "kohya-finetune"])
def test_what_sd_scripts_would_train_of_validation_is_not_in_the_configuration(data, curated, name):
    written(data, formats=(name,))
    folder = default_place(data, TRACKER) / name
    told = (folder / "dataset.toml").read_text()
    assert "validation" not in told
    assert len(list((folder / "images" / "validation").glob("*.png"))) == 1
    assert (folder / ("masks/validation" if name == "kohya-masks" else "meta_validation.json")).exists()
    assert any("the validation part lies apart" in note for note in read_again(folder).warnings)


def test_outlines_instead_of_run_lengths(data, curated):
    made = written(data, formats=("coco",), polygons=True)
    assert made.losses == 0
    told = json.loads((default_place(data, TRACKER) / "coco" / "annotations" / "instances_train.json").read_text())
    assert isinstance(told["annotations"][0]["segmentation"], list)


def test_the_sheet_shows_every_picture_with_its_mask(data, curated):
    written(data, formats=("onetrainer",))
    folder = default_place(data, TRACKER) / "onetrainer"
    sheet = export_sheet(folder, tile=64)
    assert sheet is not None
    assert sheet.shape == (4 + 68, 4 + 4 * 68, 3)
    assert (sheet == (255, 46, 138)).all(axis=2).sum() > 50
    assert export_preview(folder).startswith("![contact sheet](data:image/jpeg")
    assert export_preview(folder / "nothing") == "nothing to show"


@pytest.mark.parametrize(("repeats", "expected"), [(0.0, [10, 15, 10]), (2.0, [2, 3, 2]), (0.1, [1, 1, 1])])
def test_repeats_keep_the_proportions_of_the_curated_dataset(data, curated, repeats, expected):
    written(data, formats=("coco",), repeats=repeats)
    told = json.loads((default_place(data, TRACKER) / "coco" / "manifest.json").read_text())
    assert [picture["repeats"] for picture in told["pictures"] if picture["part"] == "train"] == expected
