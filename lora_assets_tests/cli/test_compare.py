from __future__ import annotations

import json

import pytest

from lora_assets.addresses import PAGES, listening
from lora_assets_tests.comparing.cells import Crop, Recipes, publish


@pytest.fixture
def compared(project):
    """Four crops: one worse by another recipe of scoring, one gone by a stricter detector, two the same."""
    data = project / "data"
    frames = [(f"場面{n}.png", n) for n in range(4)]
    publish(data, "A", [Crop(n, confidence=0.3 if n == 3 else 0.8) for n in range(4)], frames)
    after = [Crop(0, score=0.3, flags=(("blurred", 0.1, 0.3),)), Crop(1), Crop(2)]
    publish(data, "B", after, frames, Recipes(detect={"conf": 0.4}, score={"high": 0.85}))
    publish(data, "ELSE", [Crop(9)], dataset="other", datasets=("other",))
    return data


def test_two_trackers_are_compared_in_words(run, compared):
    code, out, _ = run("compare", "A", "B")
    assert code == 0
    assert out.startswith("B against A: 1 worse, 1 gone, 0 new, 0 better, 2 same")
    assert "detection conf 0.25 -> 0.4" in out
    assert "high -> low" in out
    assert "+blurred" in out
    assert "場面0.png" in out
    assert "http://127.0.0.1:8088/compare/A/B" in out
    with listening(compared, PAGES, "http://127.0.0.1:9000"):
        assert "http://127.0.0.1:9000/compare/A/B" in run("compare", "A", "B")[1], "where the pages are served now"


def test_crops_are_chosen_by_change_cause_and_number(run, compared):
    gone = run("compare", "A", "B", "--change", "gone")[1]
    assert "1 of 1 crops" in gone
    assert "below the least confidence" in gone
    assert "0.900 -> 0.300" not in gone
    assert "1 of 2 crops" in run("compare", "A", "B", "--limit", "1")[1]
    assert "crops, what changed" not in run("compare", "A", "B", "--limit", "0")[1]
    assert "1 of 1 crops" in run("compare", "A", "B", "--cause", "2")[1]


def test_the_json_is_whole(run, compared):
    code, out, _ = run("compare", "A", "B", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["format"] == 1
    assert len(told["crops"]) == 2
    assert {cause["stage"] for cause in told["causes"]} == {"detection", "scoring"}


@pytest.mark.parametrize(("share", "code"), [("0.5", 0), ("0.1", 1), ("0", 1)])
def test_a_script_learns_of_too_many_worse_crops(run, compared, share, code):
    ended, out, told = run("compare", "A", "B", "--json", "--fail-on-worse", share)
    assert ended == code
    assert json.loads(out)["counts"]["worse"] == 1
    assert ("33.33% of the crops are worse" in told) == bool(code)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("A", "NO"), 3, "there is no tracker NO"),
        (("A", "../B"), 3, "does not fit"),
        (("A", "ELSE"), 3, "A and ELSE have nothing to compare: film: ELSE does not have this dataset"),
        (("A", "B", "--cause", "9"), 3, "there is no cause 9"),
        (("A", "B", "--fail-on-worse", "1.5"), 2, ""),
        (("A", "B", "--fail-on-worse", "nan"), 2, ""),
        (("A", "B", "--change", "odd"), 2, ""),
        (("A",), 2, ""),
    ],
)
def test_wrong_arguments_are_told_in_one_line(run, compared, arguments, code, text):
    ended, _, told = run("compare", *arguments)
    assert ended == code
    assert text in told
    if code == 3:
        assert len(told.splitlines()) == 1


def test_the_same_trackers_have_no_causes(run, compared):
    code, out, _ = run("compare", "A", "A")
    assert code == 0
    assert "causes" not in out
