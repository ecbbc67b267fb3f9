from __future__ import annotations

import json

import pytest

from lora_assets.annotations import AnnotationError, read_annotated_set
from lora_assets.annotations.reading import forbids_training
from lora_assets.annotations.sample import write_sample
from lora_assets.scenes.comic_layout import HELD_OUT_LAYOUTS, LAYOUTS


def test_a_sample_is_a_sound_set_whose_val_has_unseen_layouts(drawn_set):
    found, problems = read_annotated_set(drawn_set)
    assert problems == []
    assert [image.split for image in found.images] == ["train"] * 4 + ["val", "train"]
    told = json.loads((drawn_set / "annotations.json").read_text())
    for image in told["images"]:
        assert image["layout"] in (HELD_OUT_LAYOUTS if image["split"] == "val" else LAYOUTS)
    assert forbids_training(problems) == []


def test_a_sample_comes_out_the_same_again(tmp_path):
    first = write_sample(tmp_path / "a", 2, 7, size=(240, 320), form="rle")
    second = write_sample(tmp_path / "b", 2, 7, size=(240, 320), form="polygon")
    assert first.digest == second.digest
    assert {image.split for image in first.images} == {"train", "val"}
    with pytest.raises(AnnotationError, match="there already"):
        write_sample(tmp_path / "a", 2, 7)
    with pytest.raises(AnnotationError, match="at least 2"):
        write_sample(tmp_path / "c", 1, 7)


def test_pages_have_any_of_several_sizes_and_the_same_ones_again(tmp_path):
    sizes = [(240, 300), (300, 240)]
    first = write_sample(tmp_path / "a", 3, 2, size=sizes, form="rle")
    assert {(image.width, image.height) for image in first.images} == set(sizes)
    assert write_sample(tmp_path / "b", 3, 2, size=sizes, form="rle").digest == first.digest
