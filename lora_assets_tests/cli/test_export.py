from __future__ import annotations

import json

import pytest

from lora_assets.specs import TrackerSpec, tracker_path, write_tracker
from lora_assets.store import Store
from lora_assets_tests.exports.drawn_cell import TRACKER, make_drawn_cell, publish_curated


@pytest.fixture
def crops(project):
    """The crop ids of a tracker whose file asks for small exports."""
    settings = {"export": {"resolution": 512, "trigger": "mio"}, "caption": {"tagger": ""}}
    return make_drawn_cell(project / "data", settings=settings)


def test_a_tracker_is_exported_and_read_back(run, crops, project):
    code, out, _ = run("export", TRACKER, "--format", "kohya,onetrainer")
    assert code == 0
    assert "as the trainers read it (crops of the high tier)" in out
    assert "captions: 4 from template" in out
    assert (project / "data" / "exports" / TRACKER / "onetrainer" / "concepts.json").exists()
    code, out, _ = run("export", TRACKER, "--format", "kohya,onetrainer")
    assert code == 0
    assert "(unchanged)" in out


def test_settings_of_the_command_line_win_over_the_file(run, crops, project, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    code, out, _ = run("export", TRACKER, "--format", "kohya", "--trigger", "ann", "--class-word", "1girl", "--repeats",
                       "3", "--picture", "flat", "--out", "sets", "--json")  # fmt: skip
    assert code == 0
    told = json.loads(out)
    assert told["readings"][0]["trigger"] == "ann"
    assert (told["source"], told["readings"][0]["samples"], told["captions"]["template"]) == ("high tier", 12, 4)
    folder = elsewhere / "sets" / "kohya" / "train" / "3_ann 1girl"
    assert {path.read_text() for path in folder.glob("*.txt")} == {"ann, 1girl"}
    assert not (project / "data" / "exports").exists()


def test_losses_are_told_and_end_with_3(run, crops, project):
    assert run("export", TRACKER, "--format", "kohya")[0] == 0
    folder = project / "data" / "exports" / TRACKER / "kohya"
    assert run("check-export", str(folder))[0] == 0
    next((folder / "train").rglob("*.txt")).write_text("")
    code, out, _ = run("check-export", str(folder))
    assert code == 3
    assert "LOSS" in out
    code, out, _ = run("check-export", str(folder), "--json")
    assert json.loads(out)["losses"] > 0
    code, out, _ = run("check-export", str(folder), "--sheet", "sheet.png")
    assert (project / "sheet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("export", "NOBODY"), "there is no tracker NOBODY"),
        (("export", TRACKER, "--format", "kohia"), "unknown format 'kohia'"),
        (("export", TRACKER, "--trigger", "a,b"), "trigger 'a,b' does not fit"),
        (("check-export", "nothing"), "holds no export"),
        (("caption", "set", "nocrop", "text"), "no tracker has a crop 'nocrop'"),
        (("caption", "import", "gone.jsonl"), "gone.jsonl is not there"),
    ],
)
def test_what_does_not_fit_is_one_line(run, crops, arguments, told):
    code, _, err = run(*arguments)
    assert (code, len(err.splitlines())) == (3, 1)
    assert told in err


def test_no_crop_left_is_an_empty_report_with_the_reason(run, crops, project):
    publish_curated(project / "data", crops, chosen=dict.fromkeys(range(4), False))
    code, out, _ = run("export", TRACKER, "--format", "kohya", "--json")
    assert code == 3
    (reading,) = json.loads(out)["readings"]
    assert "none of the 4 crops of the curated dataset is chosen" in reading["problems"][0]
    assert not (project / "data" / "exports").exists()


def test_captions_are_written_listed_taken_back_and_imported(run, crops, project):
    assert run("caption", "set", crops[0], "mio in the rain")[0] == 0
    assert "1 crops have a caption of yours" in run("caption", "list", TRACKER)[1]
    code, out, _ = run("caption", "make", TRACKER, "--json")
    told = json.loads(out)
    assert {row["crop_id"]: row["caption"] for row in told["captions"]}[crops[0]] == "mio in the rain"
    assert told["sources"]["written"] == 1
    code, _, err = run("caption", "set", crops[1], "two\nlines")
    assert code == 3
    assert "it holds a line break" in err
    rows = [{"crop_id": crops[1], "caption": "by id"}, {"frame": "f0002.png", "caption": "by frame"}]
    (project / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("caption", "import", "mine.jsonl")[1].strip() == "2 captions taken"
    assert run("caption", "set", crops[0], "")[1].strip() == "your caption is taken back"
    out = run("caption", "make", TRACKER)[1]
    assert "mio, by id" in out
    assert "mio, by frame" in out
    assert "mio in the rain" not in out
    (project / "mine.jsonl").write_text(json.dumps({"crop_id": "ffff", "caption": "whose"}) + "\n")
    code, _, err = run("caption", "import", "mine.jsonl", "--tracker", TRACKER)
    assert code == 3
    assert "1 crops or frames that no tracker has (ffff): nothing was taken" in err


def test_a_wrong_setting_of_the_file_is_named(run, project):
    write_tracker(project / "data", TrackerSpec("T9", ("film",), settings={"export": {"colour": "red"}}))
    code, _, err = run("export", "T9")
    assert code == 3
    assert "section [export]: unknown setting colour" in err


def test_an_import_by_frame_names_its_dataset_where_two_have_the_frame(run, crops, project):
    data = project / "data"
    (second,) = make_drawn_cell(data, [(90, 61)], dataset="film2")
    tracker_path(data, TRACKER).unlink()
    write_tracker(data, TrackerSpec(TRACKER, ("film", "film2"), settings={"caption": {"tagger": ""}}))
    (project / "mine.csv").write_text("frame,caption\nf0000.png,whose\n")
    code, _, err = run("caption", "import", "mine.csv")
    assert code == 3
    assert "f0000.png (in film, film2)" in err
    assert "no crop of" in run("caption", "list", TRACKER)[1]
    (project / "mine.csv").write_text("dataset,frame,caption\nfilm2,f0000.png,of the second\n,f0001.png,of one\n")
    assert run("caption", "import", "mine.csv")[1].strip() == "2 captions taken"
    listed = run("caption", "list", TRACKER)[1]
    assert second in listed
    assert crops[1] in listed
    assert crops[0] not in listed


def test_an_export_of_one_character_keeps_the_captions_of_the_others(run, crops, project):
    data = project / "data"
    publish_curated(data, crops, character_name={0: "Mia"}, character_id={0: "c9"})
    assert run("caption", "make", TRACKER)[0] == 0
    assert run("export", TRACKER, "--format", "coco", "--character", "mia", "--trigger", "ann")[0] == 0
    store = Store(data)
    table = store.published(store.table_path("captions", TRACKER))
    assert table is not None
    assert table.rows == 4
    assert set(table.read(["caption"]).column("caption").to_pylist()) == {"mio, character, full body"}
