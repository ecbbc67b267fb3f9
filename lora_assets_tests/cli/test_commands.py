"""The commands in a project folder of the test's own, in one process, with the starter models."""

from __future__ import annotations

import csv
import importlib
import importlib.metadata as metadata
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from typer.main import get_group

from lora_assets import cli
from lora_assets.cli.app import EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_RUN_FAILED, EXIT_SEALED, SECTIONS
from lora_assets.cli.project import Project
from lora_assets.cli.runs import RunFailed, dagster_home, open_instance
from lora_assets.input_folders import FolderGone
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.planning import plan_all
from lora_assets.process_identity import this_process
from lora_assets.run_launcher import PROCESS_TAG
from lora_assets.specs import (
    LIVE,
    TrackerSpec,
    list_datasets,
    read_tracker,
    register_dataset,
    set_sealed,
    write_tracker,
)
from lora_assets.store import Store
from lora_assets.tables import TABLES, TRACKER_TABLES, RawFrame, columns
from lora_assets.tracker.summary import read_dashboard
from lora_assets_tests.judge.cells import DATASET, TRACKER, make_cell

EXIT_USAGE = 2


def test_a_folder_becomes_a_tracker_and_a_second_run_does_nothing(project, drop_frames, tmp_path, run):
    outside = tmp_path / "外 の folder"
    shutil.copytree(drop_frames("tmp", count=3), outside)
    shutil.rmtree(project / "data" / "input" / "tmp")
    before = {path.name: path.stat().st_mtime_ns for path in outside.iterdir()}
    code, out, err = run("run", "--input", str(outside), "--tracker", "QI-001", "--note", "first")
    assert (code, err) == (0, "")
    assert "QI-001" in out
    assert "3 Dagster runs" in out
    cells = dict(zip(*([c.strip() for c in line.strip("┃│").replace("┃", "│").split("│")]
                       for line in out.splitlines() if line.startswith(("┃", "│"))), strict=True))  # fmt: skip
    assert cells["frames"] == "3"
    assert float(cells["seconds"]) > 0
    with open_instance(Project(project)) as instance:
        assert {each.tags[PROCESS_TAG] for each in instance.get_runs()} == {this_process()}
    assert before == {path.name: path.stat().st_mtime_ns for path in outside.iterdir()}

    code, out, _ = run("run", "--input", str(outside), "--tracker", "QI-001")
    assert code == 0
    assert "everything was up to date" in out

    code, out, _ = run("status", "--tracker", "QI-001", "--json")
    told = json.loads(out)[0]
    assert code == 0
    assert told["sealed"] is True
    assert told["datasets"][0]["frames"] == 3
    assert told["due"] == []

    for table, row_type in TABLES.items():
        code, out, _ = run("show", table, "--tracker", "QI-001", "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(out)))
        assert code == 0
        assert set(columns(row_type)) <= set(rows[0])
        assert all(row["path"].endswith(".jpg") for row in rows)
        code, out, _ = run("show", table, "--tracker", "QI-001", "--format", "json")
        assert len(json.loads(out)) == len(rows)

    # Other times and inodes with the same content are no change of a sealed tracker.
    copied = sorted(outside.iterdir())[0]
    os.utime(copied, ns=(1, 1))
    assert json.loads(run("status", "--json")[1])[0]["folders_changed"] != []
    assert "sealed; folder changed" in run("status")[1]
    code, out, err = run("run", "--input", str(outside), "--tracker", "QI-001")
    assert (code, err) == (0, "")
    assert "1 Dagster runs" in out
    assert json.loads(run("status", "--json")[1])[0]["folders_changed"] == []
    shown = json.loads(run("tracker", "show", "QI-001")[1])
    assert shown["recipes_from"] == "published tables"
    assert [recipe["stage"] for recipe in shown["recipes"]] == ["detections", "masks", "scored_crops"]

    (outside / "more.jpg").write_bytes(b"not a picture")
    code, _, err = run("run", "--input", str(outside), "--tracker", "QI-001")
    assert code == EXIT_SEALED
    assert "reopen QI-001" in err
    assert run("tracker", "reopen", "QI-001")[0] == 0
    code, out, _ = run("run", "--input", str(outside), "--tracker", "QI-001")
    assert code == 0
    assert run("tracker", "reopen", "QI-001")[0] == 0
    code, out, _ = run("run", "--input", str(outside), "--tracker", "QI-001")
    assert "everything was up to date" in out
    assert json.loads(run("status", "--json")[1])[0]["sealed"] is True

    code, out, _ = run("reregister")
    assert code == 0
    assert "reported 5 materializations of 1 datasets and 1 trackers" in out
    _check_reported(project)


def _check_reported(project):
    """The dashboard's newest materialization tells the saved dashboard."""
    import dagster as dg
    from dagster._core.definitions.data_version import DATA_VERSION_TAG

    saved = read_dashboard(project / "data", "QI-001")
    with open_instance(Project(project)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("tracker_dashboard"))
    told = event.asset_materialization
    assert told.metadata["reregistered"].value is True
    assert told.tags[DATA_VERSION_TAG] == saved.version
    assert told.metadata["frames"].value == saved.total.frames == 3
    assert told.metadata["crops"].value == saved.total.crops
    assert "inputs" not in told.metadata


def test_every_table_of_a_tracker_is_reported_under_its_asset(project, run, monkeypatch):
    from lora_assets.definitions import GROUPS

    class Instance:
        def __init__(self):
            self.told = []
            self.add_dynamic_partitions = self.dispose = lambda *_: None

        def report_runless_asset_event(self, event):
            self.told.append((event.asset_key.path[-1], event.partition))

    instance, store = Instance(), Store(project / "data")
    monkeypatch.setattr("lora_assets.cli.register.open_instance", lambda _: instance)
    write_tracker(store.data, TrackerSpec("T1", ("film",)))
    for name, row_type in TRACKER_TABLES.items():
        store.publish(store.table_path(name, "T1"), row_type, [], name, {})
    assert run("reregister")[0] == 0
    followers = ("curation", "exports", "mining", "mask_lab")
    assert sorted(instance.told) == sorted((each.key.path[-1], "T1") for name in followers for each in GROUPS[name])


def test_a_seal_needs_results_or_force(drop_frames, run):
    drop_frames("film", count=1)
    assert run("tracker", "new", "T1", "--dataset", "film")[0] == 0
    code, _, err = run("tracker", "seal", "T1")
    assert code == EXIT_BAD_INPUT
    assert "not complete" in err
    assert "--force" in err
    assert json.loads(run("status", "--json")[1])[0]["sealed"] is False
    assert run("tracker", "seal", "T1", "--force")[0] == 0
    assert json.loads(run("status", "--json")[1])[0]["sealed"] is True
    assert "never sealed" in run("tracker", "seal", LIVE)[2]


def test_trackers_are_made_listed_shown_and_sealed(drop_frames, run):
    drop_frames("film", count=1)
    assert run("tracker", "new", "T1", "--dataset", "film", "--set", "detect.conf=0.4", "--note", "higher conf")[0] == 0
    code, out, _ = run("tracker", "list")
    assert code == 0
    assert "higher conf" in out
    code, out, _ = run("tracker", "show", "T1")
    told = json.loads(out)
    assert told["recipes"][0]["settings"]["conf"] == 0.4
    assert told["settings"] == {"detect": {"conf": 0.4}}
    assert told["recipes_from"] == "settings and weights as they are"
    assert run("tracker", "seal", "T1", "--force")[0] == 0
    assert "sealed" in run("status")[1]
    assert run("tracker", "reopen", "T1")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--input", "nowhere", "--tracker", "T1"], ["nowhere", "is not there", "a picture or a video"]),
        (["run", "--input", "data/input", "--tracker", "a/b"], ["a/b", "letters, digits"]),
        (["run", "--input", "data/input", "--tracker", "T1", "--preset", "agressive"], ["agressive", "aggressive"]),
        (["run", "--input", "data/input", "--tracker", "T1", "--detector", "yolo99"], ["yolo99", "models list"]),
        (["run", "--input", "data/input", "--tracker", "T1", "--detector", "yolov8n"], ["models pull yolov8n"]),
        (["run", "--input", "data/input", "--tracker", "T1", "--set", "detect.konf=1"], ["konf", "conf"]),
        (["run", "--input", "data/input", "--tracker", "T1", "--set", "detect.conf=7"], ["conf", "7"]),
        (["run", "--input", "data/input", "--tracker", "T1", "--set", "conf=1"], ["SECTION.NAME=VALUE"]),
        (["status", "--tracker", "NOPE"], ["NOPE", "tracker new"]),
        (["show", "masks", "--tracker", "NOPE"], ["NOPE"]),
        (["run", "--input", "~nobody-of-that-name/frames", "--tracker", "T1"], ["nobody-of-that-name", "whole path"]),
        (["run", "--input", os.fsdecode(b"data/\xff"), "--tracker", "T1"], ["udcff", "UTF-8"]),
        (["tracker", "new", "T1", "--dataset", "nothing"], ["nothing", "known"]),
        (["tracker", "new", "LIVE"], ["LIVE", "run --tracker LIVE", "another ID"]),
        (["models", "pull", "yolo99"], ["yolo99", "models list"]),
        (["serve", "--host", "0.0.0.0"], ["password"]),
    ],
)
def test_what_does_not_fit_is_named_with_the_way_out(project, run, arguments, words):
    code, _, err = run(*arguments)
    assert code == EXIT_BAD_INPUT
    assert "Traceback" not in err
    for word in words:
        assert word in err
    assert not (project / "data" / "trackers" / "T1.toml").exists()
    assert not (project / "data" / "datasets").exists()


def test_a_corrupt_weights_file_is_named_and_never_deleted(project, drop_frames, tmp_path, run):
    drop_frames("film", count=1)
    weights = tmp_path / "broken.pt"
    weights.write_bytes(b"PK\x03\x04 and then nothing of use")
    code, _, err = run("run", "--input", "data/input/film", "--tracker", "T1", "--detector", str(weights))
    assert code != 0
    assert "broken" in err
    assert weights.read_bytes() == b"PK\x03\x04 and then nothing of use"


def test_a_folder_without_frames_is_told_as_such(project, run):
    (project / "data" / "input" / "hollow").mkdir()
    code, _, err = run("run", "--input", "data/input/hollow", "--tracker", "T1")
    assert code == EXIT_BAD_INPUT
    assert "hollow holds no file that could be a frame: name a folder of pictures" in err
    assert not (project / "data" / "trackers" / "T1.toml").exists()
    write_tracker(project / "data", TrackerSpec("T1", ("hollow",)))
    code, _, err = run("run", "--tracker", "T1")
    assert code == EXIT_BAD_INPUT
    assert "hollow holds no file that could be a frame; it is empty: put pictures" in err
    (project / "data" / "input" / "hollow" / "a.png").write_bytes(b"x")
    (project / "data" / "settings.toml").write_text("[sample]\nsampling_rate = 1e-9\n")
    code, _, err = run("run", "--tracker", "T1")
    assert code == EXIT_BAD_INPUT and "raise its sampling_rate" in err


def test_a_tracker_that_exists_is_run_without_naming_its_folder_again(project, drop_frames, run, monkeypatch):
    asked = _stopped_before_work(monkeypatch)
    drop_frames("film", count=1)
    code, _, err = run("run", "--tracker", "T1")
    assert code == EXIT_BAD_INPUT
    assert "there is no tracker T1: name the folder of its frames with --input" in err
    assert "lora-assets run --tracker T1" in run("tracker", "new", "T1", "--dataset", "film")[1]
    assert run("run", "--tracker", "T1")[0] == 0
    assert "other settings" in run("run", "--tracker", "T1", "--preset", "baseline")[2]
    assert asked == ["T1"]


def test_a_sealed_tracker_tells_that_mended_masks_wait_and_what_to_do(project, drop_frames, run, monkeypatch):
    drop_frames("film", count=1)
    write_tracker(project / "data", TrackerSpec("T1", ("film",)))
    set_sealed(project / "data", "T1", True)
    monkeypatch.setattr("lora_assets.cli.runs.waiting_in_cell", lambda store, dataset, tracker: 2)
    way_out = "lora-assets tracker reopen T1, then lora-assets run --tracker T1"
    code, _, err = run("run", "--tracker", "T1")
    assert code == EXIT_SEALED
    assert "2 masks of film that you mended or withdrew since wait" in err
    assert way_out in err
    _, out, _ = run("status")
    assert "mended masks wait: 2" in out
    assert way_out in out
    assert json.loads(run("status", "--json")[1])[0]["masks_waiting"] == {"film": 2}
    _, out, _ = run("corrections", "list", "--tracker", "T1")
    assert "no mask was mended yet" in out


@pytest.mark.parametrize(
    "command",
    ["judge --tracker T1", "quality T1 --make", "curate T1", "characters T1", "export T1", "caption make T1",
     "compare T1 T1"],
)  # fmt: skip
def test_a_tracker_without_crops_is_told_with_the_command_that_makes_them(project, drop_frames, run, command):
    drop_frames("film", count=1)
    write_tracker(project / "data", TrackerSpec("T1", ("film",)))
    code, out, err = run(*command.split())
    assert (code, out) == (EXIT_BAD_INPUT, "")
    assert err == "lora-assets: tracker T1 has no crops yet: lora-assets run --tracker T1 makes them\n"


@pytest.mark.parametrize(
    ("command", "way_out"),
    [
        ("status", "lora-assets run --input FOLDER"),
        ("tracker list", "lora-assets run --input FOLDER"),
        ("verdicts list", "press g, b or x"),
        ("corrections list", "press e"),
        ("deleted list", "no frame was deleted"),
    ],
)
def test_a_list_of_nothing_is_a_sentence_and_no_bare_head(project, run, command, way_out):
    code, out, _ = run(*command.split())
    assert code == 0
    assert way_out in out
    assert len(out.splitlines()) == 1


def test_lists_of_a_tracker_without_rows_say_so(project, drop_frames, run):
    drop_frames("film", count=1)
    write_tracker(project / "data", TrackerSpec("T1", ("film",)))
    assert "T1 has no rows of masks" in run("show", "masks", "--tracker", "T1")[1]
    assert "lora-assets caption set" in run("caption", "list", "T1")[1]
    assert "- T1: lora-assets run --tracker T1 makes what is due" in run("status")[1]


def test_what_cannot_be_planned_is_told_by_status_and_by_run(project, drop_frames, run, monkeypatch):
    folder, data = drop_frames("film", count=8), project / "data"
    write_tracker(data, TrackerSpec("T1", ("film",)))
    film = list_datasets(data)["film"]
    update_raw_frames(Store(data), film)
    for path in sorted(folder.glob("*.jpg"))[:6]:
        path.unlink()
    update_raw_frames(Store(data), film)
    words = "T1: 6 files of film are not there now, and most of its frames went at once"
    assert f"- {words}" in run("status")[1]
    assert json.loads(run("status", "--json")[1])[0]["problems"][0].startswith(words)
    assert words.removeprefix("T1: ") in run("deleted", "list")[1]
    monkeypatch.setattr("lora_assets.cli.runs._make_all", lambda *_: ())
    code, _, err = run("run", "--tracker", "T1")
    assert (code, err.startswith(f"note: {words}")) == (0, True)


def test_a_folder_that_is_gone_holds_up_no_other(project, drop_frames, run, tmp_path, monkeypatch):
    elsewhere = tmp_path / "disk"
    elsewhere.mkdir()
    register_dataset(project / "data", elsewhere)
    elsewhere.rmdir()
    listed = []

    def list_(_, dataset):
        try:
            update_raw_frames(Store(project / "data"), dataset)
        except FolderGone as error:
            raise RunFailed(str(error)) from error
        listed.append(dataset.slug)

    monkeypatch.setattr("lora_assets.cli.runs._list_frames", list_)
    monkeypatch.setattr("lora_assets.cli.runs._make_due", lambda *_: ())
    code, _, err = run("run", "--tracker", LIVE)
    assert (code, "is gone" in err, "is empty" in err) == (EXIT_RUN_FAILED, True, False)
    drop_frames("film", count=1)
    code, _, err = run("run", "--tracker", LIVE)
    assert (code, listed) == (EXIT_RUN_FAILED, ["film"])
    assert f"failed: disk: the folder {elsewhere} is gone" in err
    film = drop_frames("film", count=2)
    elsewhere.mkdir()
    shutil.copyfile(next(film.glob("*.jpg")), elsewhere / "a.jpg")
    assert run("run", "--tracker", LIVE)[0] == 0
    shutil.rmtree(elsewhere)
    code, _, err = run("run", "--tracker", LIVE)
    assert (code, f"failed: the folder {elsewhere} is gone" in err) == (EXIT_RUN_FAILED, True)
    film.rename(project / "away")
    write_tracker(project / "data", TrackerSpec("T1", ("disk",)))
    assert run("run", "--tracker", "T1")[0] == EXIT_BAD_INPUT


@pytest.mark.parametrize(
    "command",
    ["run --tracker T1 --input", "segment", "models add", "models convert", "check-export", "caption import",
     "export T1 --out", "annotations check", "verdicts export", "verdicts restore", "curate T1 --sheets", "mine"],
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_told_in_one_line(project, run, command, monkeypatch):
    (project / "loop").symlink_to("loop")
    for path in ("~nobody-of-this-name/x", "loop"):
        code, out, err = run(*command.split(), path)
        assert (code, out, len(err.splitlines())) == (EXIT_BAD_INPUT, "", 1)


def test_every_command_stands_in_one_section_of_the_help_with_its_whole_sentence(run):
    told = " ".join(run("--help")[1].split("Every day:")[1].split())
    sections = [name for names in SECTIONS.values() for name in names]
    assert len(sections) == len(set(sections))
    assert "..." not in told
    for name in sections:
        assert f" {name} " in f" {told}"


def test_every_command_of_a_module_is_reached_by_its_name():
    listed = {module: set() for commands in SECTIONS.values() for module in commands.values()}
    for commands in SECTIONS.values():
        for name, module in commands.items():
            listed[module].add(name)
    found = {}
    for path in Path(cli.__file__).parent.glob("*.py"):
        if path.stem != "__main__" and "def add_to(" in path.read_text(encoding="utf-8"):
            part = typer.Typer()
            importlib.import_module(f"lora_assets.cli.{path.stem}").add_to(part)
            found[path.stem] = set(get_group(part).commands)
    assert listed == found


def test_a_word_that_is_no_command_and_the_version(run):
    code, _, err = run("statsu")
    assert (code, "Did you mean 'status'?" in err) == (2, True)
    assert run("--version")[:2] == (0, f"lora-assets {metadata.version('lora_assets')}\n")


def test_a_command_imports_no_other():
    code = "import sys; sys.argv = ['lora-assets', 'models', '--help']\nfrom lora_assets.cli import main\n"
    code += "try: main()\nexcept SystemExit: print([m for m in sys.modules if m.startswith('lora_assets.cli.')])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "lora_assets.cli.weights" in told and "lora_assets.cli.mine" not in told


def _stopped_before_work(monkeypatch):
    """`run` up to the moment when work would begin; what it would work on is remembered."""
    asked = []
    monkeypatch.setattr("lora_assets.cli.run._finish", lambda _, tracker: asked.append(tracker))
    return asked


def test_live_is_run_like_any_tracker(project, drop_frames, run, monkeypatch):
    asked = _stopped_before_work(monkeypatch)
    drop_frames("film", count=1)
    assert run("run", "--input", "data/input/film", "--tracker", LIVE)[0] == 0
    assert asked == [LIVE]
    assert read_tracker(project / "data", LIVE).datasets is None
    code, _, err = run("run", "--input", "data/input/film", "--tracker", LIVE, "--preset", "baseline")
    assert code == EXIT_BAD_INPUT
    assert "other settings" in err


def test_a_default_in_words_is_no_difference_and_the_note_stays(project, drop_frames, run, monkeypatch):
    asked = _stopped_before_work(monkeypatch)
    drop_frames("film", count=1)
    command = ["run", "--input", "data/input/film", "--tracker", "T1"]
    assert run(*command, "--note", "first")[0] == 0
    code, _, err = run(*command, "--preset", "aggressive", "--detector", "starter-yolo", "--note", "second")
    assert code == 0
    assert "kept as it was (first)" in err
    assert asked == ["T1", "T1"]
    assert read_tracker(project / "data", "T1").note == "first"
    assert "refine.preset" in run(*command, "--preset", "baseline")[2]


def test_a_folder_that_the_tracker_is_not_of_leaves_no_trace(project, drop_frames, tmp_path, run):
    drop_frames("film", count=1)
    write_tracker(project / "data", TrackerSpec("T1", ("film",)))
    (tmp_path / "other").mkdir()
    code, _, err = run("run", "--input", str(tmp_path / "other"), "--tracker", "T1")
    assert code == EXIT_BAD_INPUT
    assert "not of other" in err
    assert not (project / "data" / "datasets").exists()


def test_weights_files_are_named_from_where_the_person_stands(project, drop_frames, run, monkeypatch):
    drop_frames("film", count=1)
    stands = project / "elsewhere"
    stands.mkdir()
    (stands / "x.pt").write_bytes(b"PK\x03\x04")
    seen = []
    monkeypatch.setattr("lora_assets.cli.trackers.tracker_recipes", lambda spec, data: seen.append(spec))
    monkeypatch.chdir(stands)
    assert run("tracker", "new", "T1", "--dataset", "film", "--detector", "./x.pt")[0] == 0
    assert seen[0].settings["detect"]["weights"] == [str(stands / "x.pt")]
    assert read_tracker(project / "data", "T1").settings == seen[0].settings


def test_status_tells_each_tracker_what_is_wrong_or_due(project, drop_frames, run):
    data = project / "data"
    film = drop_frames("film", count=1)
    write_tracker(data, TrackerSpec("ABSENT", ("film",), settings={"detect": {"weights": ["yolov8n"]}}))
    write_tracker(data, TrackerSpec("BROKEN", ("film",), settings={"refine": {"preset": "agressive"}}))
    write_tracker(data, TrackerSpec("FINE", ("film",)))
    code, out, _ = run("status", "--json")
    told = {entry["tracker"]: entry for entry in json.loads(out)}
    assert code == 0
    assert "yolov8n" in told["ABSENT"]["problem"]
    assert "agressive" in told["BROKEN"]["problem"]
    assert (told["FINE"]["problem"], told["FINE"]["due"]) == ("", ["film"])
    shutil.rmtree(film)
    assert "due: film" in run("status", "--tracker", "FINE")[1]
    away = data / "away"
    away.mkdir()
    write_tracker(data, TrackerSpec("GONE", (register_dataset(data, away).slug,)))
    away.rmdir()
    assert "folder gone: away" in run("status", "--tracker", "GONE")[1]
    shown = json.loads(run("tracker", "show", "ABSENT")[1])
    assert "yolov8n" in shown["problem"]
    assert shown["recipes"] == []


def test_a_tracker_whose_proportions_cannot_be_read_stops_no_other(project, drop_frames, run):
    data = project / "data"
    folder = drop_frames("film", count=1)
    write_tracker(data, TrackerSpec("FINE", ("film",)))
    settings = {"detect": {"proportions_from": "FIRST"}}
    write_tracker(data, TrackerSpec("LATER", ("film",), settings=settings))
    damaged = Store(data).table_path("detections", "film", "FIRST")
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"no table")
    told = {entry["tracker"]: entry for entry in json.loads(run("status", "--json")[1])}
    assert "materialize it again" in told["LATER"]["problem"]
    assert (told["FINE"]["problem"], told["FINE"]["due"]) == ("", ["film"])
    assert any(problem.startswith("LATER: ") for problem in plan_all(data).problems)
    assert "materialize it again" in json.loads(run("tracker", "show", "LATER")[1])["problem"]
    assert run("tracker", "seal", "LATER", "--force")[0] == 0
    # A new tracker is planned for the folder that it will be of.
    err = run("run", "--input", str(folder), "--tracker", "NEW", "--set", "detect.proportions_from=FIRST")[2]
    assert "materialize it again" in err


def test_a_table_of_an_earlier_version_is_shown_without_the_columns_that_it_lacks(project, run):
    make_cell(project / "data", frames=1)
    store = Store(project / "data")
    listed = store.frames_of(DATASET, TRACKER)
    assert listed is not None
    store.publish(store.table_path("raw_frames", DATASET), RawFrame, [listed.read()], "v", {})
    path = store.table_path("detections", DATASET, TRACKER)
    pq.write_table(pq.read_table(path).drop_columns(["agreement"]), path)
    for form in ("table", "json", "csv"):
        assert run("show", "detections", "--tracker", TRACKER, "--format", form)[0] == 0


def test_status_tells_a_due_page_and_changed_folders(project, drop_frames, run):
    from lora_assets.benchmarks.cheap import ellipses, middle_box
    from lora_assets.benchmarks.workplace import DATASET, TRACKER, run_once
    from lora_assets.dashboards import make_dashboard

    data = project / "data"
    drop_frames(DATASET, count=1)
    run_once(data, lambda: (middle_box,), lambda: ellipses)
    state = run("status")[1]
    assert "page due" in state
    assert "due: " not in state
    assert make_dashboard(Store(data), TRACKER).sealed
    assert "page due" not in run("status")[1]
    set_sealed(data, TRACKER, False)
    assert "up to date" in run("status")[1]
    drop_frames(DATASET, count=2)
    assert f"folder changed: {DATASET}" in run("status")[1]


def test_what_the_system_refuses_is_one_line(project, drop_frames, run, monkeypatch):
    drop_frames("film", count=1)
    command = ["run", "--input", "data/input/film", "--tracker", "T1"]

    def refused(*_):
        raise PermissionError(13, "Permission denied", "data/dagster")

    monkeypatch.setattr("lora_assets.cli.runs.open_instance", refused)
    code, _, err = run(*command)
    assert (code, err.splitlines()) == (EXIT_BAD_INPUT, ["lora-assets: cannot use data/dagster: Permission denied"])

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("lora_assets.cli.status.list_datasets", interrupted)
    assert run("status")[0] == EXIT_INTERRUPTED
    monkeypatch.setattr("lora_assets.cli.app._Commands.get_command", interrupted)
    assert run("status")[0] == EXIT_INTERRUPTED


def test_the_instance_settings_are_written_only_when_they_differ(project, monkeypatch):
    told = project / "data" / "dagster" / "home" / "dagster.yaml"
    assert dagster_home(Project(project)) == str(told.parent)
    inode = told.stat().st_ino
    dagster_home(Project(project))
    assert told.stat().st_ino == inode
    (project / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    dagster_home(Project(project))
    assert told.read_text() == "telemetry: {enabled: false}\n"
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ValueError, match="may not be written"):
        dagster_home(Project(project))


def test_wrong_usage_has_its_own_code(run):
    assert run("show", "nothing", "--tracker", "T1")[0] == EXIT_USAGE
    assert run("run")[0] == EXIT_USAGE


def test_every_command_explains_itself_in_sentences(run):
    for arguments in (["run"], ["status"], ["show"], ["up"], ["serve"], ["tracker", "new"], ["models", "pull"],
                      ["bench", "noop"], ["reregister"], ["password"], ["demo"]):  # fmt: skip
        code, out, _ = run(*arguments, "--help")
        assert code == 0
        sentences = [line.strip() for line in out.splitlines() if line.strip().endswith(".")]
        assert sentences, arguments


def test_a_generated_password_opens_other_addresses(project, run):
    code, out, _ = run("password", "--generate")
    assert code == 0
    assert "password: " in out
    stored = project / "data" / "password.toml"
    assert out.split("password: ")[1].strip() not in stored.read_text()
    assert stored.stat().st_mode & 0o077 == 0
