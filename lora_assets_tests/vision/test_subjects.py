"""The choice of subjects, what supports a body, and likeness to reference pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lora_assets.vision.boxes import Boxes, FoundBox
from lora_assets.vision.detect import DetectSettings, detect_frame
from lora_assets.vision.subjects import choose_subjects, colour_histogram, head_and_torso, load_references, support_of

RED, BLUE = (200, 30, 40), (30, 60, 200)


def _box(*xyxy: float, confidence: float = 0.8, label: str = "person", body_from: str | None = None) -> FoundBox:
    x1, y1, x2, y2 = xyxy
    return FoundBox((x1, y1, x2, y2), confidence, label, (("net", confidence),), None, body_from)


def _picture(colour: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(-10, 11, (80, 40, 3))
    return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)


def test_a_head_at_the_top_supports_a_body_and_one_at_its_feet_does_not() -> None:
    body = _box(0, 0, 40, 100, body_from="detected")
    head, feet = _box(10, 0, 30, 20, confidence=0.9, label="head"), _box(10, 80, 30, 100, label="head")
    assert support_of(body, [body, head]).head == 0.9 and support_of(body, [body, head]).agreement == pytest.approx(0.9)
    assert support_of(body, [body, feet]).head is None and support_of(body, [body, feet]).agreement == 0


def test_the_box_that_a_body_was_made_from_is_no_witness() -> None:
    body = _box(0, 0, 40, 100, body_from="expanded_from_head")
    head, face = _box(10, 0, 30, 20, confidence=0.9, label="head"), _box(12, 5, 28, 20, confidence=0.6, label="face")
    assert support_of(body, [head, body]).agreement == 0
    assert support_of(body, [head, face, body]).agreement == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("all", [0, 1, 2]), ("largest", [0]), ("central", [1]), ("surest", [2]), ("references", [1])],
)
def test_each_choice_means_one_body(choice: str, expected: list[int]) -> None:
    bodies = [_box(0, 0, 40, 90), _box(45, 30, 60, 60), _box(80, 0, 99, 90, confidence=0.9)]
    chosen = choose_subjects(bodies, choice, (100, 90), [0.2, 0.7, None])
    assert np.flatnonzero(chosen).tolist() == expected
    assert choose_subjects([], choice, (100, 90), []) == []


def test_an_unknown_choice_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="tallest"):
        choose_subjects([_box(0, 0, 1, 1)], "tallest", (10, 10), [None])


def test_colours_alike_are_near_and_others_far() -> None:
    red, redder, blue = (colour_histogram(_picture(c, s)) for c, s in ((RED, 0), (RED, 1), (BLUE, 0)))
    assert red @ red == pytest.approx(1.0) and red @ redder > 0.8 and red @ blue < 0.05
    assert np.isfinite(colour_histogram(np.zeros((1, 1, 3), np.uint8))).all()


def test_reference_pictures_choose_their_character(tmp_path: Path) -> None:
    Image.fromarray(_picture(RED)).save(tmp_path / "hana.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    references = load_references(tmp_path)
    frame = np.full((100, 120, 3), 255, np.uint8)
    frame[10:90, 10:50], frame[10:90, 70:110] = _picture(BLUE, 3), _picture(RED, 4)
    boxes = Boxes(
        np.array([[10.0, 10, 50, 90], [70, 10, 110, 90]]), np.array([0.9, 0.5]), ("person",) * 2, ("net",) * 2
    )
    made = DetectSettings(subject="references", references="hana")
    rows = detect_frame(frame, "f" * 64, [lambda _i: boxes], made, references)
    assert [(row.x1, row.is_subject) for row in rows] == [(10, False), (70, True)]
    assert (rows[0].reference_similarity or 0) < 0.1 < 0.8 < (rows[1].reference_similarity or 0)
    strict = DetectSettings(subject="references", references="hana", least_similarity=0.5)
    rows = detect_frame(frame, "f" * 64, [lambda _i: boxes.take([0])], strict, references)
    assert [row.is_subject for row in rows] == [False]


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(ValueError, match="no picture of the character"):
            load_references(folder)


def test_head_and_torso_start_at_the_head_and_never_vanish() -> None:
    image = np.zeros((200, 100, 3), np.uint8)
    body, head = _box(20, 10, 80, 190), _box(40, 20, 60, 40, label="head")
    assert head_and_torso(image, body, [body, head]).shape == (70, 40, 3)
    assert head_and_torso(image, body, [body]).shape == (90, 60, 3)
    assert head_and_torso(image, _box(99.9, 199.9, 100, 200), []).shape == (1, 1, 3)
