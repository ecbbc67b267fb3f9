from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lora_assets.annotations import AnnotatedImage, AnnotatedSet, AnnotationError, read_annotated_set, write_coco
from lora_assets.annotations.sample import write_sample
from lora_assets.annotations.writing import MaskForm
from lora_assets.finetuning.page_cards import CategoryScore, PageDetectorCard
from lora_assets.finetuning.page_detector import PageDetector
from lora_assets.finetuning.page_segmenting import (
    FRAMED_SCORE,
    best_candidate,
    page_files,
    segment_page,
    segment_pages,
    with_framed_panels,
    within_box,
)
from lora_assets.store import StoreError
from lora_assets.vision.images import decode_image, read_file
from lora_assets.vision.masks import mask_iou
from lora_assets.vision.prompted import Candidates, Embedding, best_first, open_prompted
from lora_assets.vision.several_looks import FoundBoxes
from lora_assets.vision.yolo import Yolo

PANEL = 1
CATEGORIES = ((PANEL, "panel"), (2, "bubble"), (3, "character"), (4, "text"))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> AnnotatedSet:
    return write_sample(tmp_path_factory.mktemp("drawn") / "set", 2, 23, size=(240, 320), form="rle")


class _Knowing:
    """A prompted segmenter that knows the drawn pages: the mask whose box is asked for, the whole page, nothing."""

    name = "knowing"

    def __init__(self, found: AnnotatedSet) -> None:
        self._found = found
        self._pages = {decode_image(read_file(image.path)).pixels.tobytes(): image for image in found.images}

    def embed(self, rgb: np.ndarray) -> Embedding:
        return Embedding(rgb.shape[1], rgb.shape[0], 0, self._pages[rgb.tobytes()])

    def predict(self, embedding: Embedding, *, points=(), labels=(), box=None, mask_input=None) -> Candidates:
        image = embedding.features
        asked = np.asarray(box, float)
        mine = [one for one in self._found.annotations if one.image_id == image.id]
        ends = [np.array([x, y, x + w, y + h]) for x, y, w, h in (one.bbox for one in mine)]
        best = mine[int(np.argmin([np.abs(end - asked).sum() for end in ends]))]
        mask = self._found.mask(best)
        return best_first(
            np.stack([np.ones_like(mask), mask, np.zeros_like(mask)]), np.array([0.9, 0.8, 0.1]), (0, 1, 2)
        )


class _NeverAsked:
    """A segmenter for pages of panels alone, of which none is asked for."""

    name = "never asked"

    def embed(self, rgb: np.ndarray) -> Embedding:
        raise AssertionError("a panel was asked for")

    def predict(self, embedding: Embedding, *, points=(), labels=(), box=None, mask_input=None) -> Candidates:
        raise AssertionError("a panel was asked for")


def _detector(found: AnnotatedSet, confidence: float = 0.9) -> PageDetector:
    """A detector that finds every true box and, unsurely, one that is not there."""
    pages = {decode_image(read_file(image.path)).pixels.tobytes(): image for image in found.images}

    def find(rgb: np.ndarray) -> FoundBoxes:
        mine = [one for one in found.annotations if one.image_id == pages[rgb.tobytes()].id]
        boxes = [(x, y, x + w, y + h) for x, y, w, h in (one.bbox for one in mine)]
        classes = [one.category_id - 1 for one in mine]
        sure = np.array([*np.linspace(confidence, 0.5, len(mine)), 0.2])
        return FoundBoxes(np.array([*boxes, (3, 3, 9, 9)], float), sure, np.array([*classes, 0]), None)

    scores = tuple(CategoryScore(name, 0.3, 1.0, 1.0, 1.0, 1) for _, name in CATEGORIES)
    card = PageDetectorCard("knowing", "0" * 64, "", found.digest, "", 0.0, 0, {"side": 128}, CATEGORIES, scores)
    return PageDetector(card, Yolo(tuple(name for _, name in CATEGORIES), find))


@pytest.mark.parametrize("form", ["rle", "polygon", "file"])
def test_what_is_found_is_written_as_coco_and_read_back(drawn, tmp_path, form):
    files = [image.path for image in drawn.images]
    (drawn.root / "images" / "broken.png").write_bytes(b"no picture")
    try:
        files.append(drawn.root / "images" / "broken.png")
        told: list[int] = []
        made = segment_pages(drawn.root, files, _detector(drawn), _Knowing(drawn), tmp_path / "found.json", form=form,
                             told=lambda done, total: told.append(done))  # fmt: skip
    finally:
        (drawn.root / "images" / "broken.png").unlink()
    assert (
        made.pages == 2 and made.from_boxes == 0 and [problem.kind for problem in made.problems] == ["picture_broken"]
    )
    assert told == [0, 1, 2, 3], "a broken page is done as well"
    assert sum(made.counts.values()) == len(drawn.annotations)
    found, problems = read_annotated_set(made.path, pictures=drawn.root)
    assert [problem for problem in problems if problem.kind not in ("one_title", "empty_split")] == []
    masks = {(drawn.image(one.image_id).path, one.category_id, one.rle) for one in drawn.annotations}
    again = {(found.image(one.image_id).path, one.category_id, one.rle) for one in found.annotations}
    assert {one for one in again if one[1] != PANEL} == {one for one in masks if one[1] != PANEL}
    assert sum(one[1] == PANEL for one in again) == sum(one[1] == PANEL for one in masks)
    assert all(one.score is not None and 0.3 <= one.score <= 0.9 for one in found.annotations)


def test_a_linked_page_is_left_out_and_costs_no_other(drawn, tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "001.png").write_bytes(drawn.images[0].path.read_bytes())
    (folder / "002.png").symlink_to(drawn.images[1].path)
    made = segment_pages(folder, page_files(folder), _detector(drawn), _Knowing(drawn), tmp_path / "found.json")
    assert made.pages == 1 and "002.png" in made.problems[0].where
    told = json.loads(made.path.read_text())
    assert [(one["file_name"], one["title"]) for one in told["images"]] == [("001.png", "pages")]
    linked = AnnotatedImage(1, folder / "002.png", 240, 320, "train", "x")
    written = write_coco(tmp_path / "one.json", [linked], [], pictures=folder)
    assert json.loads(written.read_text())["images"][0]["file_name"] == "002.png"


def test_what_could_not_be_written_is_told_before_any_page_is_segmented(drawn, tmp_path):
    class Never(_Knowing):
        def embed(self, rgb: np.ndarray) -> Embedding:
            raise AssertionError("a page was segmented")

    files = [image.path for image in drawn.images]
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.json").mkdir()
    for out in (tmp_path / "file" / "found.json", tmp_path / "folder.json"):
        with pytest.raises(StoreError, match="cannot write"):
            segment_pages(drawn.root, files, _detector(drawn), Never(drawn), out)
    with pytest.raises(AnnotationError, match="does not lie in"):
        segment_pages(tmp_path, files, _detector(drawn), Never(drawn), tmp_path / "found.json")


def test_what_no_model_made_is_not_written_over(drawn, tmp_path):
    kept = write_sample(tmp_path / "set", 2, 23, size=(240, 320))
    before = {path: path.read_bytes() for path in sorted(kept.root.rglob("*.*"))}
    one = [drawn.images[0].path]
    cases: list[tuple[Path, MaskForm, str]] = [
        (kept.root / "annotations.json", "rle", "was not written by segment-pages"),
        (kept.root / "found.json", "file", "mask files of another set"),
    ]
    for out, form, words in cases:
        with pytest.raises(StoreError, match=words):
            segment_pages(drawn.root, one, _detector(drawn), _Knowing(drawn), out, form=form)
    assert {path: path.read_bytes() for path in sorted(kept.root.rglob("*.*"))} == before
    for _ in range(2):
        segment_pages(drawn.root, one, _detector(drawn), _Knowing(drawn), tmp_path / "found.json", form="file")


def test_a_page_whose_name_is_no_utf8_costs_no_other(drawn, tmp_path):
    pages = [tmp_path / name for name in ("a.png", "caf\udce9.png")]
    for path in pages:
        path.write_bytes(drawn.images[0].path.read_bytes())
    made = segment_pages(tmp_path, pages, _detector(drawn), _Knowing(drawn), tmp_path / "found.json")
    assert made.pages == 1 and "caf?.png" in made.problems[0].where


def test_a_mask_that_is_nothing_becomes_its_box(drawn):
    class Empty(_Knowing):
        def predict(self, embedding, **prompt) -> Candidates:
            none = np.zeros((3, embedding.height, embedding.width), bool)
            return best_first(none, np.zeros(3), (0, 1, 2))

    page = decode_image(read_file(drawn.images[0].path)).pixels
    found = [one for one in segment_page(page, _detector(drawn), Empty(drawn)) if one.category_id != PANEL]
    assert found and all(one.from_box and one.mask.any() for one in found)

    class Part(_Knowing):
        def predict(self, embedding, *, box=None, **prompt) -> Candidates:
            part = np.zeros((3, embedding.height, embedding.width), bool)
            x1, y1, x2, y2 = np.asarray(box, float)
            part[:, int(y1) : int((y1 + y2) / 2), int(x1) : int((x1 + x2) / 2)] = True
            return best_first(part, np.array([0.9, 0.8, 0.7]), (0, 1, 2))

    answers = segment_page(page, _detector(drawn), Part(drawn))
    assert all(one.from_box for one in answers if one.category_id != PANEL)

    class Unsure(_Knowing):
        def predict(self, embedding, **prompt) -> Candidates:
            answer = super().predict(embedding, **prompt)
            return best_first(answer.masks, np.array([0.4, 0.3, 0.1]), (0, 1, 2))

    answers = segment_page(page, _detector(drawn), Unsure(drawn))
    assert all(one.from_box for one in answers if one.category_id != PANEL)


def test_panels_are_cut_along_their_sides_and_lose_what_lies_over_them(tmp_path):
    """A page with one slanted panel, and a small one over it, whose boxes are known: no segmenter is asked."""
    page = np.full((300, 240, 3), 255, np.uint8)
    slanted = np.array([[20, 20], [200, 20], [160, 280], [20, 280]], np.int32)
    cv2.fillConvexPoly(page, slanted, (120, 120, 120))
    cv2.polylines(page, [slanted], True, (0, 0, 0), 3)
    page[200:260, 30:100], page[203:257, 33:97] = 0, 230
    boxes = np.array([[20, 20, 201, 281], [30, 200, 100, 260]], float)
    found = FoundBoxes(boxes, np.array([0.9, 0.8]), np.zeros(2, int), None)
    card = PageDetectorCard("two", "", "", "", "", 0.0, 0, {"side": 128}, CATEGORIES, ())
    detector = PageDetector(card, Yolo(tuple(name for _, name in CATEGORIES), lambda _: found))

    large, small = segment_page(page, detector, _NeverAsked())
    truth = np.zeros(page.shape[:2], np.uint8)
    cv2.fillConvexPoly(truth, slanted, 1)
    inset = np.zeros(page.shape[:2], bool)
    inset[200:260, 30:100] = True
    assert mask_iou(small.mask, inset) > 0.95
    assert mask_iou(large.mask, (truth > 0) & ~inset) > 0.93
    assert not (large.mask & small.mask).any() and not large.from_box


def test_a_panel_that_the_detector_overlooked_is_found_by_the_gutters_around_it():
    page = np.full((300, 240, 3), 250, np.uint8)
    for x0, y0, x1, y1 in ((10, 10, 110, 140), (120, 10, 230, 140), (10, 150, 230, 290)):
        page[y0:y1, x0:x1] = 0
        page[y0 + 3 : y1 - 3, x0 + 3 : x1 - 3] = 250
    known = FoundBoxes(np.array([[8.0, 9, 112, 141]]), np.array([0.9]), np.zeros(1, int), None)
    card = PageDetectorCard("one", "", "", "", "", 0.0, 0, {"side": 128}, CATEGORIES, ())
    detector = PageDetector(card, Yolo(tuple(name for _, name in CATEGORIES), lambda _: known))

    found = segment_page(page, detector, _NeverAsked())
    assert [one.score for one in found] == [0.9, FRAMED_SCORE, FRAMED_SCORE]
    truth = np.zeros((3, 300, 240), bool)
    truth[0, 10:140, 10:110] = truth[1, 10:140, 120:230] = truth[2, 150:290, 10:230] = True
    assert all(max(mask_iou(one.mask, mask) for one in found) > 0.95 for mask in truth)
    no_panels = PageDetectorCard("texts", "", "", "", "", 0.0, 0, {"side": 128}, ((4, "text"),), ())
    none = FoundBoxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), None)
    assert segment_page(page, PageDetector(no_panels, Yolo(("text",), lambda _: none)), _NeverAsked()) == []


def test_what_gutters_surround_is_not_taken_when_it_lies_in_known_panels():
    rows = np.array([[10.0, 10, 100, 100, 0.9, PANEL], [110, 10, 200, 100, 0.6, PANEL], [110, 110, 200, 200, 0.8, 2]])
    both, own, over_bubble = [10.0, 10, 200, 100], [10.0, 10, 100, 130], [110.0, 110, 200, 200]
    joined = with_framed_panels(rows, np.array([both, own, over_bubble]), PANEL)
    assert joined[:, 4].tolist() == [0.9, 0.8, FRAMED_SCORE, 0.6]
    assert joined[2].tolist() == [*over_bubble, FRAMED_SCORE, PANEL]
    assert len(with_framed_panels(np.zeros((0, 6)), np.zeros((0, 4)), PANEL)) == 0


def test_of_three_masks_the_one_that_fits_its_box_is_taken():
    box = np.array([10.0, 10, 30, 30])
    masks = np.zeros((3, 60, 60), bool)
    masks[0, 12:20, 12:20] = True  # a part
    masks[1, 10:30, 10:30] = True
    masks[2] = True  # the whole page
    assert best_candidate(masks, box) == 1
    assert best_candidate(masks[:0:-1], box) == 1
    kept = within_box(masks[2], box)
    assert kept[20, 20] and not kept[50, 50] and kept.sum() <= 24 * 24


def test_the_starter_segmenter_answers_pages(drawn, tmp_path):
    page = decode_image(read_file(drawn.images[0].path)).pixels
    mine = [one for one in drawn.annotations if one.image_id == drawn.images[0].id and one.category_id == 3][:2]
    few = AnnotatedSet(drawn.root, drawn.categories, drawn.images, tuple(mine), drawn.digest)
    found = segment_page(page, _detector(few), open_prompted("starter-sam", tmp_path))
    found = [one for one in found if one.category_id != PANEL]
    assert len(found) == len(mine) > 0
    assert all(one.mask.shape == page.shape[:2] and one.mask.any() for one in found)


def test_pages_are_the_pictures_of_a_folder(tmp_path: Path):
    (tmp_path / "b").mkdir()
    for name in ("2.png", "b/1.JPG", "note.txt", ".hidden.png"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in page_files(tmp_path)] == ["2.png", "1.JPG"]
    assert page_files(tmp_path / "2.png") == [tmp_path / "2.png"]
