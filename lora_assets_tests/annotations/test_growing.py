from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lora_assets.annotations import AnnotationError, add_annotation, read_annotated_set

MASK = np.zeros((40, 48), bool)
MASK[5:20, 6:30] = True


def _picture(folder: Path, name: str, level: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    Image.new("RGB", (48, 40), (level, 40, 90)).save(path)
    return path


def test_an_accepted_mask_starts_a_set_of_the_four_categories(tmp_path):
    root, picture = tmp_path / "set", _picture(tmp_path / "film", "f1.png", 10)
    first = add_annotation(root, picture, MASK, "character")
    second = add_annotation(root, picture.read_bytes(), ~MASK, "Speech Bubble")  # the same bytes: the same picture
    found, problems = read_annotated_set(root)
    assert [category.name for category in found.categories] == ["panel", "bubble", "character", "text"]
    assert len(found.images) == 1 and found.images[0].title == "film"
    assert [(one.id, one.category_id) for one in found.annotations] == [(first.id, 3), (second.id, 2)]
    assert (found.mask(found.annotations[0]) == MASK).all()
    assert found.annotations[0].bbox == (6.0, 5.0, 24.0, 15.0)
    assert {problem.kind for problem in problems} <= {"one_title", "empty_split"}
    assert picture.read_bytes() == found.images[0].path.read_bytes()


def test_pages_of_one_title_share_a_split_and_val_fills_by_titles(tmp_path):
    root = tmp_path / "set"
    for number in range(12):
        folder = tmp_path / f"film {number // 2}"
        add_annotation(root, _picture(folder, f"f{number}.png", number * 20), MASK, "panel")
    found, problems = read_annotated_set(root)
    assert not [problem for problem in problems if problem.kind == "title_in_both"]
    in_val = sum(image.split == "val" for image in found.images)
    assert found.images[0].split == "train"
    assert 2 <= in_val <= 5


def test_an_existing_set_keeps_its_names_and_pictures(plain):
    root = plain()
    before, _ = read_annotated_set(root)
    page = before.image(2)
    added = add_annotation(root, page.path, MASK, "text")
    after, problems = read_annotated_set(root)
    assert added.image_id == 2 and len(after.images) == 2 and len(after.annotations) == 7
    assert after.image(2).split == "val" and problems == []


def test_a_set_that_is_split_by_folders_stays_so(plain, tmp_path):
    def by_folders(told: dict, root: Path) -> None:
        for image, folder in zip(told["images"], ("train\\zeta", "val\\alpha"), strict=True):
            (root / "images" / folder.replace("\\", "/")).mkdir()
            old = root / "images" / image["split"] / image["file_name"]
            old.rename(root / "images" / folder.replace("\\", "/") / "1.png")
            image["file_name"] = f"images\\{folder}\\1.png"
            del image["split"], image["title"]

    root = plain(by_folders)
    for place, title in enumerate(("zeta", "alpha")):
        add_annotation(root, _picture(tmp_path, f"{title}.png", 9 * place), MASK, "panel", title=title)
    known = add_annotation(root, root / "images/train/zeta/1.png", MASK, "bubble")
    found, problems = read_annotated_set(root)
    assert problems == [] and known.image_id == 1
    assert {(image.title, image.split) for image in found.images} == {("zeta", "train"), ("alpha", "val")}


def test_a_character_is_a_body_and_no_face_where_a_set_has_both(plain):
    def manga109(told: dict, root: Path) -> None:
        told["categories"] = [{"id": n, "name": name} for n, name in enumerate(("frame", "face", "body", "text"), 1)]
        for one in told["annotations"]:
            one["category_id"] = {2: 3}.get(one["category_id"], one["category_id"])

    root = plain(manga109)
    assert add_annotation(root, root / "images/train/page_1.png", MASK, "character").category_id == 3
    assert add_annotation(root, root / "images/val/page_2.png", MASK, "face").category_id == 2
    found, _ = read_annotated_set(root)
    assert (found.mask(found.annotations[3]) == MASK).all() and len(found.annotations) == 7  # no face


@pytest.mark.parametrize("name", ["頁" * 80, "of\\zip", "caf\udce9", "a/b"])
def test_any_name_of_a_picture_gives_one_that_is_found_again(tmp_path, name):
    add_annotation(tmp_path / "set", _picture(tmp_path, "f.png", 3).read_bytes(), MASK, "panel", name=name)
    found, _ = read_annotated_set(tmp_path / "set")
    assert found.images[0].path.name.startswith("000000000001_") and len(found.annotations) == 1


def test_a_mask_sent_twice_counts_once(tmp_path, plain):
    root, picture = tmp_path / "set", _picture(tmp_path / "film", "f1.png", 10)
    first = add_annotation(root, picture, MASK, "character")
    assert add_annotation(root, picture.read_bytes(), MASK, "character", title="film") == first
    other = MASK.copy()
    other[5, 6], other[19, 5] = False, True
    told = [add_annotation(root, picture, mask, name).id for mask, name in ((MASK, "text"), (other, "character"))]
    assert told == [2, 3] and len(read_annotated_set(root)[0].annotations) == 3
    assert len(list(root.rglob("masks/**/*.png"))) == 3
    in_another = add_annotation(root, _picture(tmp_path / "film", "f2.png", 20).read_bytes(), MASK, "text", name="f2")
    assert (in_another.id, in_another.image_id) == (4, 2)
    assert read_annotated_set(root)[0].image(2).path.stem.endswith("_f2")


def test_a_category_of_ones_own_is_added_only_when_asked_for(tmp_path):
    root, picture = tmp_path / "set", _picture(tmp_path / "film", "f1.png", 10)
    with pytest.raises(AnnotationError, match="panel, bubble, character, text"):
        add_annotation(root, picture, MASK, "Miko")
    added = add_annotation(root, picture, MASK, "Miko", new_category=True)
    again = add_annotation(root, picture, MASK, "Miko")
    assert added.category_id == again.category_id == 5
    assert read_annotated_set(root)[0].category_name(5) == "Miko"


@pytest.mark.parametrize(
    ("mask", "category", "words"),
    [
        (np.zeros((40, 48), bool), "panel", "no pixel"),
        (MASK[:20], "panel", r"bool \(40, 48\)"),
        (MASK.astype(np.uint8), "panel", "must be bool"),
        (MASK, " ", "no name"),
    ],
)
def test_what_does_not_fit_leaves_no_trace(tmp_path, mask, category, words):
    root, picture = tmp_path / "set", _picture(tmp_path / "film", "f1.png", 10)
    with pytest.raises(AnnotationError, match=words):
        add_annotation(root, picture, mask, category)
    assert not (root / "annotations.json").exists()


def test_a_damaged_set_is_left_as_it_is(tmp_path):
    root, picture = tmp_path / "set", _picture(tmp_path / "film", "f1.png", 10)
    root.mkdir()
    (root / "annotations.json").write_text('{"images": 3')
    with pytest.raises(AnnotationError, match="no JSON"):
        add_annotation(root, picture, MASK, "panel")
    assert (root / "annotations.json").read_text() == '{"images": 3'
    with pytest.raises(AnnotationError, match="cannot be used"):
        add_annotation(tmp_path / "other", b"no picture", MASK, "panel")


def test_several_may_add_at_once(tmp_path):
    root = tmp_path / "set"
    pictures = [_picture(tmp_path / f"film {number}", "f.png", number * 30) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda picture: add_annotation(root, picture, MASK, "panel"), pictures))
    found, _ = read_annotated_set(root)
    assert len(found.images) == len(found.annotations) == 8
    assert len({one.id for one in found.annotations}) == 8
