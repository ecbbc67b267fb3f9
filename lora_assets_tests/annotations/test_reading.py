from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lora_assets.annotations import AnnotationError, read_annotated_set
from lora_assets.annotations.mask_forms import mask_file_bytes
from lora_assets.annotations.reading import KINDS, OF_SPLITS, forbids_training
from lora_assets.finetuning.preflight import checked_set
from lora_assets_tests.annotations.conftest import HEIGHT, WIDTH, block

Told = dict[str, Any]


def test_a_sound_set_is_read_whole(plain):
    root = plain()
    found, problems = read_annotated_set(root)
    assert problems == []
    assert [(c.id, c.name) for c in found.categories] == [(1, "panel"), (2, "bubble"), (4, "text")]
    assert [len(annotations) for _, annotations in found.of_split("train")] == [3]
    ((image, annotations),) = found.of_split("val")
    assert image.path.is_file() and image.title == "work 2" and len(image.sha256) == 64
    expected = [block(2, 2, 40, 30), block(6, 5, 12, 10), block(8, 8, 6, 4)]
    for annotation, mask in zip(annotations, expected, strict=True):
        assert (found.mask(annotation) == mask).all()
        assert annotation.area == mask.sum()
    with pytest.raises(ValueError, match="test"):
        found.of_split("test")


def _of(told: Told, number: int) -> Told:
    return next(entry for entry in told["annotations"] if entry["id"] == number)


def _only_numbered(told: Told, root: Path) -> None:
    for image in told["images"]:
        (root / "images" / image["split"] / image["file_name"]).rename(root / "images" / f"00{image['id']}.png")
        image["file_name"] = f"00{image['id']}.png"
        del image["title"], image["split"]
    for number in (13, 23):
        del _of(told, number)["segmentation_file"]
        _of(told, number)["segmentation"] = [[8, 8, 14, 8, 14, 12, 8, 12]]


def _same_page(told: Told, root: Path) -> None:
    (root / "images" / "val" / "page_2.png").write_bytes((root / "images" / "train" / "page_1.png").read_bytes())


def _crowd_in_val(told: Told, root: Path) -> None:
    _of(told, 23)["iscrowd"] = 1


def _faces(told: Told, root: Path) -> None:
    told["categories"] += [{"id": 8, "name": "Faces"}, {"id": 9, "name": "bodies"}]
    for number in (13, 23):
        _of(told, number)["category_id"] = 8
    for number in (12, 22):
        _of(told, number)["category_id"] = 9


def _dot(told: Told, root: Path) -> None:
    told["images"][0]["file_name"] = "."


def _endless_box(told: Told, root: Path) -> None:
    _of(told, 11)["bbox"] = [10**400, 1, 2, 3]


def _endless_polygon(told: Told, root: Path) -> None:
    _of(told, 11)["segmentation"] = [[10**400, 1, 2, 3, 4, 5]]


def _label_file(told: Told, root: Path) -> None:
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for label in (1, 2, 3):
        labels[10 * label : 10 * label + 8] = label
    Image.fromarray(labels).save(root / _of(told, 13)["segmentation_file"])


def _no_id(told: Told, root: Path) -> None:
    told["annotations"][0]["id"] = "11"


def _same_id(told: Told, root: Path) -> None:
    _of(told, 12)["id"] = 11


def _same_image(told: Told, root: Path) -> None:
    told["images"].append(dict(told["images"][0], file_name="other.png"))


def _leads_out(told: Told, root: Path) -> None:
    told["images"][0]["file_name"] = "../../secret.png"


def _mask_leads_out(told: Told, root: Path) -> None:
    _of(told, 13)["segmentation_file"] = "/etc/passwd"


def _unknown_image(told: Told, root: Path) -> None:
    _of(told, 11)["image_id"] = 99


def _unknown_category(told: Told, root: Path) -> None:
    _of(told, 11)["category_id"] = 9


def _flat_box(told: Told, root: Path) -> None:
    _of(told, 11)["bbox"] = [2, 2, 0, 30]


def _text_box(told: Told, root: Path) -> None:
    _of(told, 11)["bbox"] = "2 2 40 30"


def _corners(told: Told, root: Path) -> None:
    _of(told, 12)["bbox"] = [6, 5, 18, 15]


def _box_outside(told: Told, root: Path) -> None:
    _of(told, 11)["bbox"] = [2, 2, 60, 30]


def _box_elsewhere(told: Told, root: Path) -> None:
    _of(told, 13)["bbox"] = [30, 25, 6, 4]


def _no_mask(told: Told, root: Path) -> None:
    _of(told, 11)["segmentation"] = "none"


def _far_polygon(told: Told, root: Path) -> None:
    _of(told, 11)["segmentation"] = [[0, 0, 9000, 0, 9000, 9000]]


def _empty(told: Told, root: Path) -> None:
    _of(told, 11)["segmentation"] = []


def _empty_file(told: Told, root: Path) -> None:
    (root / _of(told, 13)["segmentation_file"]).write_bytes(mask_file_bytes(np.zeros((HEIGHT, WIDTH), bool)))


def _mask_gone(told: Told, root: Path) -> None:
    (root / _of(told, 13)["segmentation_file"]).unlink()


def _mask_damaged(told: Told, root: Path) -> None:
    path = root / _of(told, 13)["segmentation_file"]
    path.write_bytes(path.read_bytes()[:40])


def _mask_small(told: Told, root: Path) -> None:
    (root / _of(told, 13)["segmentation_file"]).write_bytes(mask_file_bytes(np.ones((8, 9), bool)))


def _rle_size(told: Told, root: Path) -> None:
    _of(told, 12)["segmentation"]["size"] = [8, 9]


def _picture_gone(told: Told, root: Path) -> None:
    (root / "images" / "train" / "page_1.png").unlink()


def _picture_damaged(told: Told, root: Path) -> None:
    path = root / "images" / "train" / "page_1.png"
    path.write_bytes(path.read_bytes()[:200])


def _picture_size(told: Told, root: Path) -> None:
    Image.new("RGB", (64, 64)).save(root / "images" / "train" / "page_1.png")


def _test_split(told: Told, root: Path) -> None:
    told["images"].append(dict(told["images"][0], id=3, split="test"))


def _title_twice(told: Told, root: Path) -> None:
    told["images"][1]["title"] = "work 1"


def _one_title(told: Told, root: Path) -> None:
    for image in told["images"]:
        image["title"] = "the only work"
        del image["split"]
        image["file_name"] = f"images/{'train' if image['id'] == 1 else 'val'}/{image['file_name']}"
    for split in ("train", "val"):
        (root / "images" / split).rename(root / "images" / f"pages_{split}")
    for image in told["images"]:
        image["file_name"] = image["file_name"].replace("train", "pages_train").replace("val", "pages_val")


def _all_train(told: Told, root: Path) -> None:
    told["images"][1]["split"] = "train"
    (root / "images" / "val" / "page_2.png").rename(root / "images" / "train" / "page_2.png")


def _no_val_text(told: Told, root: Path) -> None:
    told["annotations"].remove(_of(told, 23))


def _no_train_text(told: Told, root: Path) -> None:
    told["annotations"].remove(_of(told, 13))


CASES: list[tuple[Callable[[Told, Path], None], str, str, int]] = [
    # what is done to a sound set, the kind of the problem, what it names, annotations that are left of six
    (_no_id, "bad_entry", "number 0 of the list", 5),
    (_same_id, "duplicate_id", "annotation 11", 4),
    (_same_image, "duplicate_id", "image 1", 3),
    (_leads_out, "outside_folder", "image 1", 3),
    (_mask_leads_out, "outside_folder", "annotation 13", 5),
    (_unknown_image, "unknown_image", "annotation 11", 5),
    (_unknown_category, "unknown_category", "annotation 11", 5),
    (_flat_box, "bad_bbox", "annotation 11", 5),
    (_text_box, "bad_bbox", "annotation 11", 5),
    (_corners, "bbox_corners", "annotation 12", 5),
    (_box_outside, "bbox_outside", "annotation 11", 5),
    (_box_elsewhere, "bbox_elsewhere", "annotation 13", 5),
    (_no_mask, "bad_segmentation", "annotation 11", 5),
    (_far_polygon, "outside_picture", "annotation 11", 5),
    (_empty, "empty_annotation", "annotation 11", 5),
    (_empty_file, "empty_annotation", "annotation 13", 5),
    (_mask_gone, "mask_file_missing", "annotation 13", 5),
    (_mask_damaged, "mask_file_broken", "annotation 13", 5),
    (_mask_small, "mask_size", "annotation 13", 5),
    (_rle_size, "mask_size", "annotation 12", 5),
    (_picture_gone, "picture_missing", "page_1.png", 3),
    (_picture_damaged, "picture_broken", "page_1.png", 3),
    (_picture_size, "picture_size", "page_1.png", 3),
    (_test_split, "unknown_split", "image 3", 6),
    (_only_numbered, "one_title", "pages without a title", 6),
    (_same_page, "page_in_both", "page_2.png", 6),
    (_crowd_in_val, "val_without_category", "split val", 6),
    (_faces, "part_left_out", "category 8", 4),
    (_dot, "bad_entry", "image 1", 3),
    (_endless_box, "bad_bbox", "annotation 11", 5),
    (_endless_polygon, "bad_segmentation", "annotation 11", 5),
    (_label_file, "mask_file_unclear", "annotation 13", 5),
    (_title_twice, "title_in_both", "title work 1", 6),
    (_one_title, "one_title", "the only work", 6),
    (_all_train, "empty_split", "split val", 6),
    (_no_val_text, "val_without_category", "split val", 5),
    (_no_train_text, "train_without_category", "split train", 5),
]


@pytest.mark.parametrize(("change", "kind", "named", "left"), CASES, ids=[case[0].__name__ for case in CASES])
def test_what_is_broken_is_named_and_costs_nothing_else(plain, change, kind, named, left):
    root = plain(change)
    found, problems = read_annotated_set(root)
    mine = [problem for problem in problems if problem.kind == kind]
    assert len(mine) == 1
    assert str(root / "annotations.json") in mine[0].where
    assert named in mine[0].where
    assert mine[0].reason and mine[0].way_out
    assert len(found.annotations) == left
    assert bool(forbids_training(problems)) == any(p.kind in OF_SPLITS for p in problems)


def test_a_split_of_ones_own_costs_its_pages_and_says_how_much(plain):
    def as_test(told: Told, root: Path) -> None:
        for number in (3, 4):
            told["images"].append(dict(told["images"][0], id=number, split="test"))
            told["annotations"].append(dict(told["annotations"][0], id=30 + number, image_id=number))

    _, problems = read_annotated_set(plain(as_test))
    (problem,) = problems
    assert problem.kind == "unknown_split" and problem.severity == "error"
    assert "2 pages with 2 annotations are left out" in problem.reason
    assert any("2 pages with 2" in note for note in checked_set(Path(problem.where.split(",")[0]).parent)[1])


@pytest.mark.parametrize("empty", ["", " ", None])
def test_an_empty_split_is_none(plain, empty):
    def blank(told: Told, root: Path) -> None:
        for image in told["images"]:
            image["file_name"] = f"images/{image['split']}/{image['file_name']}"
            image["split"] = empty

    found, problems = read_annotated_set(plain(blank))
    assert problems == [] and {image.id: image.split for image in found.images} == {1: "train", 2: "val"}


def test_pages_that_are_only_numbered_are_never_split_at_random(plain):
    _, problems = read_annotated_set(plain(_only_numbered))
    (problem,) = forbids_training(problems)
    assert '"title"' in problem.way_out and '"split": "val"' in problem.way_out


def test_numbered_pages_with_told_splits_are_doubted_not_refused(plain):
    def numbered(told: Told, root: Path) -> None:
        for image in told["images"]:
            del image["title"]

    found, problems = read_annotated_set(plain(numbered))
    assert {image.title for image in found.images} == {""}
    assert [(one.kind, one.severity) for one in problems] == [("title_in_both", "warning")]


def test_a_copied_page_without_annotations_does_no_harm(plain):
    def blank(told: Told, root: Path) -> None:
        (root / "images" / "val" / "blank.png").write_bytes((root / "images" / "train" / "page_1.png").read_bytes())
        told["images"].append(dict(told["images"][1], id=3, file_name="blank.png"))

    assert read_annotated_set(plain(blank))[1] == []


def test_an_empty_name_of_a_mask_file_is_none(plain):
    def nameless(told: Told, root: Path) -> None:
        _of(told, 12)["segmentation_file"] = ""

    found, problems = read_annotated_set(plain(nameless))
    assert problems == [] and len(found.annotations) == 6


def test_names_with_backslashes_are_those_of_windows_or_a_files_own(plain):
    def windows(told: Told, root: Path) -> None:
        for image, folder in zip(told["images"], ("train\\Alpha", "val\\Beta"), strict=True):
            old = root / "images" / image["split"] / image["file_name"]
            place = root / "images" / folder.replace("\\", "/")
            place.mkdir()
            old.rename(place / "a.png")
            image["file_name"] = f"{folder}\\a.png"
            del image["split"], image["title"]
        shutil.copy(root / "images/val/Beta/a.png", root / "images/val/of\\zip.png")
        told["images"].append(dict(told["images"][1], id=3, file_name="of\\zip.png", split="val", title="Beta"))

    found, problems = read_annotated_set(plain(windows))
    assert problems == []
    assert [(one.path.name, one.split, one.title) for one in found.images] == [
        ("a.png", "train", "Alpha"), ("a.png", "val", "Beta"), ("of\\zip.png", "val", "Beta"),
    ]  # fmt: skip


def test_a_file_without_an_ending_is_read_as_a_file(plain):
    root = plain()
    (root / "annotations.json").rename(root / "instances")
    assert len(read_annotated_set(root / "instances")[0].annotations) == 6


def test_every_kind_of_problem_has_a_case():
    assert {kind for _, kind, _, _ in CASES} == set(KINDS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file"),
        ("", "is no JSON"),
        ("[1, 2]", "holds no JSON object"),
        ("[" * 100_000, "is no JSON"),
        ('{"images": [], "annotations": []}', "categories"),
        ('{"images": {}, "annotations": [], "categories": []}', "images"),
        ('{"images": [], "annotations": [], "categories": []}', "nothing in it can be used"),
        ('{"images": [7], "annotations": [null], "categories": ["x"]}', "nothing in it can be used"),
    ],
)
def test_what_cannot_be_used_at_all_is_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "annotations.json").write_text(content)
    with pytest.raises(AnnotationError, match=words) as refused:
        read_annotated_set(tmp_path)
    assert "annotations.json" in str(refused.value)


def test_the_digest_follows_what_a_training_sees(plain, tmp_path):
    root = plain()
    path = root / "annotations.json"
    before = read_annotated_set(root)[0].digest
    told = json.loads(path.read_text())

    def after() -> str:
        path.write_text(json.dumps(told))
        return read_annotated_set(root)[0].digest

    told["info"] = {"by": "somebody"}
    told["annotations"].reverse()
    assert after() == before  # neither notes nor the order of entries
    _of(told, 11)["segmentation"] = [[2, 2, 42, 2, 42, 32, 3, 32]]
    changed = after()
    assert changed != before
    told["images"][0]["split"], told["images"][1]["split"] = "val", "train"
    for number in (1, 2):
        told["images"][number - 1]["file_name"] = f"images/{('train', 'val')[number - 1]}/page_{number}.png"
    assert after() not in (before, changed)
    swapped = read_annotated_set(root)[0].digest
    Image.new("RGB", (WIDTH, HEIGHT), (9, 9, 9)).save(root / "images" / "train" / "page_1.png")
    assert read_annotated_set(root)[0].digest != swapped


def test_pictures_may_lie_elsewhere(plain, tmp_path):
    root = plain()
    (root / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(AnnotationError, match="no such picture"):
        read_annotated_set(root)
    told = json.loads((root / "annotations.json").read_text())
    for image in told["images"]:
        image["file_name"] = f"{image['split']}/{image['file_name']}"
    (root / "annotations.json").write_text(json.dumps(told))
    found, problems = read_annotated_set(root / "annotations.json", pictures=tmp_path / "elsewhere")
    assert len(found.annotations) == 6 and problems == []


def test_a_box_that_is_left_out_is_taken_from_the_mask(plain):
    found, problems = read_annotated_set(plain(lambda told, root: _of(told, 12).pop("bbox")))
    assert problems == []
    assert next(one.bbox for one in found.annotations if one.id == 12) == (6.0, 5.0, 12.0, 10.0)


def test_a_turned_picture_is_compared_upright(plain):
    def turn(told: Told, root: Path) -> None:
        path = root / "images" / "train" / "page_1.jpg"
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (HEIGHT, WIDTH), (200, 30, 30)).save(path, exif=exif)
        told["images"][0]["file_name"] = path.name

    found, problems = read_annotated_set(plain(turn))
    assert problems == [] and len(found.annotations) == 6


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**70)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(
        [
            "../x\0",
            "x" * 5000,
            "\ud800",
            "val",
            "train",
            ".",
            "",
            "_" * 1000,
            10**400,
            -(10**400),
            [10**400, 1, 2, 3],
            [[10**400, 1, 2, 3, 4, 5]],
        ]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=60
)
@given(st.sampled_from(["images", "annotations", "categories"]), st.integers(0, 5), st.text(max_size=4) | st.none(),
       st.sampled_from(["id", "file_name", "width", "split", "title", "image_id", "category_id", "bbox", "iscrowd",
                        "segmentation", "segmentation_file", "name", "score", ""]), anything)  # fmt: skip
def test_nothing_in_the_file_breaks_the_reader(whole, kind, place, more, key, value):
    """Whatever stands where, the rest is read, or the refusal is in words."""
    told = json.loads((whole / "annotations.json").read_text())
    entries = told[kind]
    if key:
        entries[place % len(entries)][key] = value
    else:
        entries[place % len(entries)] = value if more is None else {more: value}
    odd = whole / "odd.json"
    odd.write_text(json.dumps(told))
    try:
        found, problems = read_annotated_set(odd)
    except AnnotationError as refused:
        assert str(odd) in str(refused)
        return
    assert all(found.mask(one).any() for one in found.annotations)
    assert all(problem.kind in KINDS for problem in problems)
    assert len(found.annotations) == 6 or problems
    told_words = [*(str(problem) for problem in problems), *(image.title for image in found.images),
                  *(category.name for category in found.categories)]  # fmt: skip
    assert all(words.encode() for words in told_words)


@pytest.fixture
def whole(plain) -> Path:
    return plain()
