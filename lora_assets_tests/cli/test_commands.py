"""The commands in a project folder of the test's own, in one process, with the starter models."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from lora_assets.cli import app as cli_app
from lora_assets.cli.app import EXIT_BAD_INPUT, EXIT_SEALED, EXIT_USAGE
from lora_assets.tables import TABLES, columns

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(data, monkeypatch):
    """A project folder around the data folder; commands run in it."""
    root = data.parent
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copyfile(_ROOT / name, root / name)
    monkeypatch.setenv("LORA_ASSETS_HOME", str(root))
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def run(project, monkeypatch, capsys):
    """Run `lora-assets ARGUMENTS`: exit code, standard output, standard error."""
    monkeypatch.setattr(cli_app, "_add_commands", lambda: None)
    if not cli_app.app.registered_commands:
        monkeypatch.undo()
        cli_app._add_commands()
        monkeypatch.setenv("LORA_ASSETS_HOME", str(project))
        monkeypatch.chdir(project)
        monkeypatch.setattr(cli_app, "_add_commands", lambda: None)

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["lora-assets", *arguments])
        code = 0
        try:
            cli_app.main()
        except SystemExit as left:
            code = int(left.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


def test_a_folder_becomes_a_tracker_and_a_second_run_does_nothing(project, drop_frames, tmp_path, run):
    outside = tmp_path / "外 の folder"
    shutil.copytree(drop_frames("tmp", count=3), outside)
    shutil.rmtree(project / "data" / "input" / "tmp")
    before = {path.name: path.stat().st_mtime_ns for path in outside.iterdir()}
    code, out, err = run("run", "--input", str(outside), "--tracker", "QI-001", "--note", "first")
    assert (code, err) == (0, "")
    assert "QI-001" in out
    assert "3 Dagster runs" in out
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

    (outside / "more.jpg").write_bytes(b"not a picture")
    code, _, err = run("run", "--input", str(outside), "--tracker", "QI-001")
    assert code == EXIT_SEALED
    assert "reopen QI-001" in err
    assert run("tracker", "reopen", "QI-001")[0] == 0
    code, out, _ = run("run", "--input", str(outside), "--tracker", "QI-001")
    assert code == 0

    code, out, _ = run("reregister")
    assert code == 0
    assert "reported 5 materializations of 1 datasets and 1 trackers" in out


def test_trackers_are_made_listed_shown_and_sealed(drop_frames, run):
    drop_frames("film", count=1)
    assert run("tracker", "new", "T1", "--dataset", "film", "--set", "detect.conf=0.4", "--note", "higher conf")[0] == 0
    code, out, _ = run("tracker", "list")
    assert code == 0
    assert "higher conf" in out
    code, out, _ = run("tracker", "show", "T1")
    told = json.loads(out)
    assert told["recipes"][0]["settings"]["conf"] == 0.4
    assert run("tracker", "seal", "T1")[0] == 0
    assert "sealed" in run("status")[1]
    assert run("tracker", "reopen", "T1")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "--input", "nowhere", "--tracker", "T1"], ["nowhere", "not a folder"]),
        (["run", "--input", "data/input", "--tracker", "a/b"], ["a/b", "letters, digits"]),
        (["run", "--input", "data/input", "--tracker", "T1", "--preset", "agressive"], ["agressive", "aggressive"]),
        (["run", "--input", "data/input", "--tracker", "T1", "--detector", "yolo99"], ["yolo99", "models list"]),
        (["run", "--input", "data/input", "--tracker", "T1", "--detector", "yolov8n"], ["models pull yolov8n"]),
        (["run", "--input", "data/input", "--tracker", "T1", "--set", "detect.konf=1"], ["konf", "conf"]),
        (["run", "--input", "data/input", "--tracker", "T1", "--set", "detect.conf=7"], ["conf", "7"]),
        (["run", "--input", "data/input", "--tracker", "T1", "--set", "conf=1"], ["SECTION.NAME=VALUE"]),
        (["status", "--tracker", "NOPE"], ["NOPE", "tracker new"]),
        (["show", "masks", "--tracker", "NOPE"], ["NOPE"]),
        (["tracker", "new", "T1", "--dataset", "nothing"], ["nothing", "known"]),
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


def test_a_corrupt_weights_file_is_named_and_never_deleted(project, drop_frames, tmp_path, run):
    drop_frames("film", count=1)
    weights = tmp_path / "broken.pt"
    weights.write_bytes(b"PK\x03\x04 and then nothing of use")
    code, _, err = run("run", "--input", "data/input/film", "--tracker", "T1", "--detector", str(weights))
    assert code != 0
    assert "broken" in err
    assert weights.read_bytes() == b"PK\x03\x04 and then nothing of use"


def test_an_empty_folder_is_said_to_be_empty(project, run):
    (project / "data" / "input" / "empty").mkdir()
    code, out, err = run("run", "--input", "data/input/empty", "--tracker", "T1")
    assert code != 0
    assert "empty" in out + err


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
