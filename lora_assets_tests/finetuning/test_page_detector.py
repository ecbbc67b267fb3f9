from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lora_assets.annotations import AnnotatedSet, AnnotationError, read_annotated_set
from lora_assets.annotations.sample import write_sample
from lora_assets.finetuning import page_detector
from lora_assets.finetuning.page_cards import (
    PACKAGED,
    CategoryScore,
    PageDetectorCard,
    detector_path,
    known_detectors,
    score_lines,
)
from lora_assets.finetuning.page_detector import (
    PageDetectorSettings,
    best_confidence,
    halves_by_title,
    measure,
    open_page_detector,
    train_page_detector,
)
from lora_assets.finetuning.page_views import PageBoxes, pages_of, random_view, view_size
from lora_assets.models import ModelError
from lora_assets.training.schedule import TrainingError
from lora_assets.training.scores import FoundBoxes
from lora_assets.vision.images import decode_image, read_file
from lora_assets.vision.several_looks import FoundBoxes as Found
from lora_assets.vision.yolo import Yolo

SMALL = PageDetectorSettings(steps=2, minutes=5, batch=2, side=128)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> AnnotatedSet:
    return write_sample(tmp_path_factory.mktemp("drawn") / "set", 4, 11, size=(240, 320), form="rle")


@pytest.fixture(scope="module")
def trained(drawn: AnnotatedSet, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PageDetectorCard]:
    data = tmp_path_factory.mktemp("data")
    return data, train_page_detector(drawn, detector_path(data, "tiny"), SMALL)


def test_a_trained_detector_is_found_by_its_name(drawn, trained):
    data, card = trained
    assert known_detectors(data) == ["tiny"]
    assert card.data_digest == drawn.digest and card.steps == 2
    assert [score.category for score in card.scores] == ["panel", "bubble", "character", "text"]
    opened = open_page_detector(data, "tiny")
    assert opened.card == card
    rows = opened.find(decode_image(read_file(drawn.images[0].path)).pixels)
    assert rows.shape[1] == 6 and set(rows[:, 5].tolist()) <= {1.0, 2.0, 3.0, 4.0}
    assert not detector_path(data, "tiny").with_suffix(".training").exists()


def test_a_killed_training_goes_on_where_it_was(drawn, tmp_path, monkeypatch):
    out = detector_path(tmp_path, "killed")
    real, steps = page_detector._publish, []
    counted = page_detector._train_step

    def killed(*_: object) -> PageDetectorCard:
        raise KeyboardInterrupt

    def counting(model, optimizer, views) -> list[float]:
        steps.append(len(views))
        return counted(model, optimizer, views)

    monkeypatch.setattr(page_detector, "_train_step", counting)
    monkeypatch.setattr(page_detector, "_publish", killed)
    with pytest.raises(KeyboardInterrupt):
        train_page_detector(drawn, out, SMALL)
    assert steps == [2, 2] and not out.exists()
    monkeypatch.setattr(page_detector, "_publish", real)
    for other in (replace(SMALL, seed=5), replace(SMALL, side=160)):
        with pytest.raises(TrainingError, match="--restart"):
            train_page_detector(drawn, out, other)
    with pytest.raises(TrainingError, match="another set"):
        train_page_detector(replace(drawn, digest="1" * 16), out, SMALL)
    card = train_page_detector(drawn, out, SMALL)
    assert steps == [2, 2]  # nothing was learned twice
    assert card.steps == 2 and sorted(path.name for path in out.parent.iterdir()) == ["killed.json", "killed.pt"]


def test_a_restart_forgets_the_old_training_before_it_notes_the_new_one(drawn, tmp_path, monkeypatch):
    out = detector_path(tmp_path, "anew")
    state = out.with_suffix(".training")
    page_detector._begun(out, drawn, SMALL, resume=True)
    assert known_detectors(tmp_path) == []  # a training's note is no card
    state.write_bytes(b"the state of another set")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    other = replace(drawn, digest="2" * 16)
    with monkeypatch.context() as patched:
        patched.setattr(page_detector, "atomic_write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            page_detector._begun(out, other, SMALL, resume=False)
    assert page_detector._begun(out, other, SMALL, resume=True) == state
    assert not state.exists()


def test_confidences_are_scored_on_titles_that_did_not_choose_them(tmp_path):
    """Half of the titles would choose 0.2, the others 0.8: on the pages that chose them all is found, on others not."""
    sure = {"low": 0.2, "high": 0.8}
    pages = []
    for number in range(4):
        page = np.full((40, 40, 3), number, np.uint8)
        path = tmp_path / f"{number}.png"
        Image.fromarray(page).save(path)
        boxes = np.array([[0, 2, 2, 20, 20]], np.float32)
        pages.append(PageBoxes(path, 40, 40, boxes, "low" if number < 2 else "high"))

    def find(rgb: np.ndarray) -> Found:
        title = "low" if rgb[0, 0, 0] < 2 else "high"
        false = [25.0, 25, 38, 38]
        return Found(np.array([[2.0, 2, 20, 20], false]), np.array([sure[title], 0.5 * sure[title] + 0.05]),
                     np.zeros(2, np.int64), None)  # fmt: skip

    network = Yolo(("panel",), find)
    halves = halves_by_title(pages)
    assert halves is not None and halves.sum() == 2
    (score,) = measure(network, pages, ["panel"])
    assert score.true_boxes == 4 and score.recall == 0.5
    one_title = [replace(page, title="all") for page in pages]
    assert halves_by_title(one_title) is None
    (too_good,) = measure(network, one_title, ["panel"])
    assert too_good.recall > score.recall
    assert any("too good" in line for line in score_lines(_card((too_good,))))


def _card(scores: tuple[CategoryScore, ...], *, held_out: bool = False) -> PageDetectorCard:
    return PageDetectorCard("mine", "", "", "", "", 0.0, 1, {}, (), scores, held_out)


def test_a_training_ends_with_a_judgement_in_words():
    scores = (
        CategoryScore("panel", 0.3, 0.95, 0.93, 0.96, 40),
        CategoryScore("bubble", 0.4, 0.8, 0.8, 0.8, 40),
        CategoryScore("text", 0.2, 0.6, 0.6, 0.5, 40),
        CategoryScore("character", 0.2, 0.0, 0.0, 0.1, 40),
        CategoryScore("sound", 0.25, 1.0, 1.0, 1.0, 0),
    )
    told = list(score_lines(_card(scores, held_out=True)))
    verdicts = [line.rpartition(": ")[2] for line in told[1:6]]
    assert verdicts[:4] == ["found nearly always", "good for a first pass", "much to mend by hand", "of no use yet"]
    assert "nothing is known of it" in verdicts[4]
    assert "mean AP 0.59" in told[6] and "panel 0.30" in told[6]
    assert "other titles" in told[7] and "a better text, character" in told[8]
    assert told[-1] == "use it: lora-assets segment-pages FOLDER --detector mine --out found.json"


@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=30))
def test_halves_keep_titles_whole_and_none_is_empty(titles):
    pages = [PageBoxes(Path("x"), 1, 1, np.zeros((0, 5), np.float32), title) for title in titles]
    halves = halves_by_title(pages)
    if len(set(titles)) == 1:
        assert halves is None
        return
    assert halves is not None and 0 < halves.sum() < len(pages)
    assert all(len({bool(half) for half, one in zip(halves, titles, strict=True) if one == title}) == 1
               for title in titles)  # fmt: skip


def test_what_is_not_its_card_is_refused(trained, tmp_path):
    data, _ = trained
    with pytest.raises(ModelError, match=r"there is no page detector gone; known: starter-pages .*, tiny"):
        open_page_detector(data, "gone")
    with pytest.raises(AnnotationError, match="choose another name"):
        detector_path(data, PACKAGED)
    with pytest.raises(AnnotationError, match="letters, digits"):
        open_page_detector(data, "../tiny")
    copy = detector_path(tmp_path, "tiny")
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"other weights")
    card = detector_path(data, "tiny").with_suffix(".json").read_text()
    copy.with_suffix(".json").write_text(card)
    with pytest.raises(ModelError, match="not the file that its card describes"):
        open_page_detector(tmp_path, "tiny")
    for damaged in (json.dumps({"name": "tiny"}), "null"):
        copy.with_suffix(".json").write_text(damaged)
        with pytest.raises(ModelError, match="damaged"):
            open_page_detector(tmp_path, "tiny")


def test_a_split_without_boxes_is_told_before_anything_is_trained(drawn, tmp_path):
    in_train = tuple(one for one in drawn.annotations if drawn.image(one.image_id).split == "train")
    only = AnnotatedSet(drawn.root, drawn.categories, drawn.images, in_train, "0" * 16)
    with pytest.raises(AnnotationError, match="split val has no boxes"):
        train_page_detector(only, tmp_path / "x.pt", SMALL)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ModelError, match="is not there"):
        train_page_detector(drawn, tmp_path / "x.pt", PageDetectorSettings(start="/nowhere.pt"))


@pytest.mark.parametrize("wrong", [{"side": 100}, {"side": 64}, {"steps": 0}, {"batch": 0}, {"minutes": 0}])
def test_settings_that_train_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        PageDetectorSettings(**wrong)


def test_boxes_of_a_view_lie_in_it_and_follow_the_picture(tmp_path):
    """A page with one dark thing on white: in every view its box holds what is dark."""
    page = np.full((320, 240, 3), 255, np.uint8)
    page[80:200, 60:160] = 20
    path = tmp_path / "page.png"
    Image.fromarray(page).save(path)
    boxes = PageBoxes(path, 240, 320, np.array([[2, 60, 80, 160, 200]], np.float32))
    assert view_size([boxes], 128) == (96, 128)
    seen = 0
    for seed in range(40):
        view = random_view(np.random.default_rng(seed), boxes, 96, 128)
        assert view.image.shape == (128, 96, 3)
        assert ((view.targets[:, 1:] >= 0) & (view.targets[:, 1:] <= 1)).all()
        for label, x, y, wide, high in view.targets.tolist():
            assert label == 2
            inside = view.image[int((y - high / 2) * 128 + 2) : int((y + high / 2) * 128 - 2),
                                int((x - wide / 2) * 96 + 2) : int((x + wide / 2) * 96 - 2)]  # fmt: skip
            assert inside.mean() < 90
            seen += 1
    assert seen > 30


def test_crowds_are_not_learned_and_labels_count_from_zero(drawn):
    for page, (_, held) in zip(pages_of(drawn, "train"), drawn.of_split("train"), strict=True):
        assert len(page.boxes) == len(held)
        assert set(page.boxes[:, 0].tolist()) <= {0.0, 1.0, 2.0, 3.0}


def test_the_confidence_is_taken_where_recall_and_precision_are_best():
    true = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], float)
    found = np.concatenate([true, [[50, 50, 60, 60], [70, 70, 80, 80]]])
    frames = [FoundBoxes(found, np.array([0.9, 0.6, 0.4, 0.3]), true)]
    assert 0.4 < best_confidence(frames) <= 0.6
    assert best_confidence([FoundBoxes(np.zeros((0, 4)), np.zeros(0), true)]) == 0.25


def test_a_set_read_back_trains_on_the_same_boxes(drawn):
    again, _ = read_annotated_set(drawn.root)
    for first, second in zip(pages_of(drawn, "val"), pages_of(again, "val"), strict=True):
        assert first.path == second.path and (first.boxes == second.boxes).all()
