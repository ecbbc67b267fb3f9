from __future__ import annotations

import json

import pytest

from lora_assets_tests.conftest import TEST_IMAGES, TEST_MODELS
from lora_assets_tests.mining.street import make_street


def test_a_tracker_is_mined_into_a_folder_and_again_in_its_place(run, project):
    make_street(project / "data", rare_least=1, rare_share=0.05)
    code, out, err = run("mine", "--tracker", "STREET-1")
    assert (code, err) == (0, "")
    assert "excavator" in out
    assert "the built-in descriptor is used" in out
    place = project / "data" / "mining" / "STREET-1"
    assert (place / "detection_results.json").is_file()
    code, out, _ = run("mine", "--tracker", "STREET-1", "--json")
    told = json.loads(out[out.index("{") :])
    assert code == 0
    assert told["folder"] == str(place)
    assert {row["label"] for row in told["kept"]} >= {"excavator"}
    assert all(row["file"] and row["dataset"] for row in told["kept"])
    (place / "mine.txt").write_text("a person's own")
    code, _, err = run("mine", "--tracker", "STREET-1")
    assert code == 3
    assert "mine.txt" in err
    assert (place / "mine.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "name a dataset"),
        (("film", "--tracker", "T1"), 2, "not both"),
        (("--tracker", "T1", "--sampling-rate", "0.5"), 2, "section [mining]"),
        (("--tracker", "T1", "--earlier", "film"), 2, "in its own order"),
        (("film", "--earlier", "film"), 3, "among the earlier datasets"),
        (("film", "--earlier", "nowhere"), 3, "neither a dataset nor a folder"),
        (("--tracker", "NOBODY"), 3, "NOBODY"),
        (("nowhere",), 3, "neither a dataset nor a folder"),
        (("film", "--sampling_rate", "7"), 3, "from 0 to 1"),
        (("film", "--set", "sampling=1"), 3, "unknown setting sampling"),
        (("film", "--yolo_model", "yolo99"), 3, "yolo99"),
        (("film", "--clip_model", "nothing-here"), 3, "clip_model 'nothing-here'"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(run, drop_frames, arguments, code, told):
    drop_frames("film", 2)
    got, _, err = run("mine", *arguments)
    assert got == code
    assert told in " ".join(err.replace("│", " ").split())


def test_a_folder_of_drawings_is_mined_with_the_starter_models(run, drop_frames, project):
    folder = drop_frames("film", 4)
    out = project / "out"
    code, _, err = run(
        "mine", str(folder), "--out", str(out), "--sampling_rate", "0.5", "--parallel", "1", "--skip_visualization",
        "--skip_caption", "--set", "seed=3",
    )  # fmt: skip
    assert (code, err) == (0, "")
    told = json.loads((out / "statistics.json").read_text())
    assert (told["embeddings"]["frames_known"], told["embeddings"]["frames_sampled"]) == (4, 2)
    assert told["embeddings"]["detector"] == "starter-yolo"
    assert not list(out.glob("*.png"))
    config = json.loads((out / "config.json").read_text())
    assert config["settings"]["seed"] == 3
    assert any("skip_caption" in words for words in told["said"])
    assert any("skip_visualization" in words for words in told["said"])


def test_a_folder_is_compared_with_earlier_ones(run, drop_frames, project):
    drop_frames("before", 3)
    drop_frames("after", 3, start=2)  # its first frame lies in the earlier one too
    code, out, _ = run(
        "mine", "after", "--earlier", "before", "--skip-visualization", "--json", "--set", "least_side=4"
    )
    told = json.loads(out[out.index("{") :])
    assert code == 0
    folder = project / "data" / "mining" / "after"
    results = json.loads((folder / "detection_results.json").read_text())
    assert [frame["dataset"] for frame in results] == ["after"] * 2
    statistics = json.loads((folder / "statistics.json").read_text())
    assert statistics["embeddings"]["compared_with"] == ["before"]
    objects = [entry for frame in results for entry in frame["objects"]]
    assert objects
    assert all(entry["novelty"] is not None for entry in objects)
    assert told["pictures"]["cropped_objects"] == len(objects) == statistics["rare_objects"]["objects"]


@pytest.mark.skipif(not (TEST_MODELS / "yolov8n.pt").is_file(), reason="no real weights (LORA_ASSETS_TEST_MODELS)")
@pytest.mark.skipif(not (TEST_IMAGES / "film").is_dir(), reason="no real pictures (LORA_ASSETS_TEST_IMAGES)")
def test_a_file_of_weights_is_named_from_where_the_person_stands(run, project, monkeypatch):
    monkeypatch.chdir(TEST_MODELS)
    code, out, _ = run(
        "mine", str(TEST_IMAGES / "film"), "--yolo-model", "yolov8n.pt", "--skip-visualization", "--json"
    )
    assert code == 0
    assert json.loads(out[out.index("{") :])["frames_sampled"] == 2
