from __future__ import annotations

import json

import pytest

from lora_assets.specs import TrackerSpec, read_tracker, set_sealed, write_tracker
from lora_assets_tests.mask_lab.cells import DATASET, TRACKER, draw_frames, make_cell, write_truth
from lora_assets_tests.vision.tiny_models import brightness_onnx

LARGE = [
    part
    for axis in (f"threshold={','.join(map(str, range(250)))}", "gaussian=3,5,7,9", "dilate=3,5,7,9,11", "open=3,5")
    for part in ("--grid", axis)
]


@pytest.fixture(autouse=True)
def _no_plots_in_three_languages(monkeypatch):
    """One language is enough here: each plot takes a third of a second."""
    monkeypatch.setattr("lora_assets.mask_lab.folders.LANGUAGES", ("en",))


def test_a_tracker_is_swept_taken_apart_and_adopts(run, project):
    data = project / "data"
    make_cell(data, mask_lab={"presets": ["aggressive", "fine"], "repeats": 1, "sample": 3}, layers={"frames": 2})
    code, out, err = run("sweep", "--tracker", TRACKER)
    assert (code, err) == (0, "")
    assert "aggressive" in out and "best objective: " in out and f"/tracker/{TRACKER}/lab" in out
    code, out, _ = run("sweep", "--tracker", TRACKER, "--json")
    assert code == 0 and len(json.loads(out[out.index("{") :])["presets"]) == 2
    code, out, _ = run("layers", TRACKER)
    assert code == 0 and "2 of 5 frames, 2 made now" in out and "index.csv in it names" in out
    code, out, _ = run("layers", TRACKER, "--json")
    assert len(json.loads(out)) == 2
    code, out, _ = run("adopt", TRACKER, "fine")
    assert code == 0 and f"{TRACKER} refines with fine" in out and "was aggressive" in out
    set_sealed(data, TRACKER, True)
    code, _, err = run("adopt", TRACKER, "smooth")
    assert code == 3 and f"--as {TRACKER}-smooth" in err
    code, out, _ = run("adopt", TRACKER, "smooth", "--as", "LAB-9")
    assert code == 0 and read_tracker(data, "LAB-9").settings["refine"] == {"preset": "smooth"}
    assert "next: lora-assets run --tracker LAB-9" in out and f"lora-assets compare {TRACKER} LAB-9" in out


def test_a_folder_is_swept_by_a_network_and_again_in_its_place(run, project, tmp_path):
    folder = tmp_path / "stills"
    _, truths = draw_frames(folder)
    net = str(brightness_onnx(tmp_path / "net.onnx", "input.1", 64))
    arguments = ("--segmenter", net, "--grid", "dilate=0,3", "--sample", "2", "--set", "repeats=1")
    place = tmp_path / "out"
    code, out, err = run("sweep", str(folder), *arguments, "--out", str(place))
    assert (code, err) == (0, "")
    assert "2 presets over 2 masks" in out
    found = sorted(path.name for path in (place / "image_1").iterdir())
    assert found == ["baseline", "baseline__dilate3_dilate_iterations1"]
    write_truth(folder, truths)
    code, out, _ = run("sweep", str(folder), *arguments, "--truth", str(folder), "--out", str(place), "--json")
    report = json.loads(out[out.index("{") :])
    assert code == 0 and report["judges"] == ["truth"]
    (place / "mine.txt").write_text("a person's own")
    code, _, err = run("sweep", str(folder), *arguments, "--out", str(place))
    assert code == 3 and "mine.txt" in err and (place / "mine.txt").exists()


def test_the_sweep_of_a_folder_named_like_a_tracker_leaves_the_trackers_alone(run, project):
    data = project / "data"
    make_cell(data, mask_lab={"presets": ["fine"], "repeats": 1, "sample": 1})
    write_tracker(data, TrackerSpec(DATASET, (DATASET,), settings={"refine": {"preset": "fine"}}))
    net = str(brightness_onnx(project / "net.onnx", "input.1", 64))
    assert run("sweep", "--tracker", TRACKER)[0] == 0
    trackers = sorted(path for path in (data / "mask_lab").rglob("*") if path.is_file())
    code, out, _ = run("sweep", DATASET, "--segmenter", net, "--preset", "fine", "--sample", "1", "--set", "repeats=1")
    place = data / "folder_sweeps" / DATASET
    assert code == 0 and str(place) in "".join(out.split()) and (place / "files.json").is_file()
    assert sorted(path for path in (data / "mask_lab").rglob("*") if path.is_file()) == trackers


def test_presets_are_told_with_their_reasons(run):
    code, out, _ = run("presets")
    assert code == 0 and out.count("given by the reference") == 14 and "conservative: " in out
    code, out, _ = run("presets", "--json")
    assert json.loads(out)[0]["name"] == "aggressive"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("sweep",), 2, "name a dataset or folder"),
        (("sweep", DATASET, "--tracker", TRACKER), 2, "one of the two"),
        (("sweep", "--tracker", TRACKER, "--sample", "3"), 2, "section [mask_lab]"),
        (("sweep", "--tracker", "NOBODY"), 3, "NOBODY"),
        (("sweep", "nowhere"), 3, "neither a dataset nor a folder"),
        (("sweep", "data/trackers", "--segmenter", "NET"), 3, "holds no file that could be a frame"),
        (("sweep", DATASET, "--grid", "dilate=4"), 3, "a kernel has a middle pixel"),
        (("sweep", DATASET, "--grid", "dilate"), 3, "write an axis as dilate=3,5,7"),
        (("sweep", DATASET, "--grid", "dilate=x"), 3, "whole number"),
        (("sweep", DATASET, "--preset", "smoth"), 3, "did you mean smooth"),
        (("sweep", DATASET), 3, "lora-assets models pull isnet-anime"),
        (("sweep", DATASET, "--truth", "nowhere", "--segmenter", "NET"), 3, "is no folder"),
        (("sweep", DATASET, "--segmenter", "NET", "--set", "sample=1", *LARGE), 3, "10,000 presets over 1 masks"),
        (("layers", "NOBODY"), 3, "NOBODY"),
        (("adopt", "NOBODY", "fine"), 3, "NOBODY"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_in_one_line(run, project, arguments, code, told):
    make_cell(project / "data")
    net = str(brightness_onnx(project / "net.onnx", "input.1", 64))
    found, out, err = run(*(net if each == "NET" else each for each in arguments))
    assert found == code
    assert told in " ".join((out + err).replace("│", " ").split())
