"""The scenes commands: a contact sheet, frames with their truth, clear refusals."""

from __future__ import annotations

import json

import pytest
from PIL import Image

EXIT_USAGE = 2


def test_a_sheet_is_drawn(run, tmp_path):
    code, out, err = run("scenes", "sheet", str(tmp_path / "s.png"), "--columns", "2", "--rows", "1", "--width", "64")
    assert (code, err) == (0, "")
    assert "2 scenes" in out
    with Image.open(tmp_path / "s.png") as picture:
        assert picture.size == (2 * 68 + 4, 44)


@pytest.mark.parametrize("film", [False, True])
def test_frames_are_drawn_with_their_truth(run, tmp_path, film):
    more = ["--film"] if film else []
    code, out, err = run(
        "scenes", "draw", str(tmp_path / "f"), "--frames", "9", "--size", "96x64", "--seed", "4", *more
    )
    assert (code, err) == (0, "")
    assert "9 frames" in out
    truth = json.loads((tmp_path / "f" / "truth.json").read_text(encoding="utf-8"))
    assert len(truth["images"]) == len(list((tmp_path / "f").glob("*.png"))) == 9
    assert ("held" in truth["images"][0]) is film


def test_a_smaller_set_leaves_nothing_of_a_larger_one(run, tmp_path):
    folder = tmp_path / "f"
    for count in (3, 1):
        assert run("scenes", "draw", str(folder), "--frames", str(count), "--size", "96x64")[0] == 0
    assert sorted(path.name for path in folder.iterdir()) == ["frame_000001.png", "truth.json"]
    assert run("scenes", "draw", str(folder), "--frames", "1", "--size", "20x20")[0] == EXIT_USAGE
    assert not (folder / "truth.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["draw", "f", "--size", "big"], "WIDTHxHEIGHT"),
        (["draw", "f", "--size", "20x20"], "at least 64 pixels"),
        (["draw", "f", "--size", "10000x10000"], "64 megapixels are the most"),
        (["draw", "f", "--size", "10000x10000", "--film"], "64 megapixels are the most"),
        (["draw", "f", "--seed", "-1"], "seed is -1"),
        (["draw", "f", "--looks", "odd"], "looks is 'odd'"),
        (["sheet", "s.png", "--style", "oils"], "style is 'oils'"),
        (["sheet", "s.png", "--columns", "50", "--width", "1920"], "65500 a side"),
        (["sheet", "s.gif"], "must end in .png or .jpg"),
    ],
)
def test_wrong_arguments_are_refused(run, project, arguments, words):
    code, _, err = run("scenes", *arguments)
    assert code == EXIT_USAGE
    assert words in " ".join(err.replace("│", " ").split())
    assert not list(project.glob("s.*"))
