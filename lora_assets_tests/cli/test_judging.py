from __future__ import annotations

import json

import pytest

from lora_assets.verdicts import open_log
from lora_assets_tests.judge.cells import TRACKER, make_cell, mark_crops
from lora_assets_tests.verdicts.marks import a_mark


@pytest.fixture
def marked(project):
    """A cell of 120 crops of which 80 are judged."""
    data = project / "data"
    reviewed = make_cell(data)
    with open_log(data) as log:
        mark_crops(log, reviewed[:80])
    return reviewed


def test_verdicts_are_carried_away_and_back(run, marked, project):
    code, out, _ = run("verdicts", "export", "marks.jsonl")
    assert (code, out.strip()) == (0, "wrote 80 rows to marks.jsonl")
    assert run("verdicts", "import", "marks.jsonl")[1].strip() == "0 rows taken, 80 were known"
    for path in (project / "data" / "verdicts").glob("verdicts.sqlite*"):
        path.unlink()
    assert run("verdicts", "import", "marks.jsonl")[1].strip() == "80 rows taken, 0 were known"
    assert run("verdicts", "export")[1] == (project / "marks.jsonl").read_text()


def test_files_are_named_from_where_the_person_stands_and_any_note_comes_back(run, project, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with open_log(project / "data") as log:
        log.append(a_mark(note="a\u2028b\u0085c\x1dd\r\ne"))
    for arguments in (("export", "marks.jsonl"), ("backup", "copy.sqlite"), ("import", "marks.jsonl")):
        monkeypatch.chdir(elsewhere)
        assert run("verdicts", *arguments)[0] == 0
    assert sorted(path.name for path in elsewhere.iterdir()) == ["copy.sqlite", "marks.jsonl"]
    assert len(list((project / "data" / "verdicts" / "backups").glob("*.sqlite"))) == 1
    for path in (project / "data" / "verdicts").glob("verdicts.sqlite*"):
        path.unlink()
    monkeypatch.chdir(elsewhere)
    assert run("verdicts", "import", "marks.jsonl")[1].strip() == "1 rows taken, 0 were known"
    with open_log(project / "data") as log:
        assert log.history()[0].mark.note == "a\u2028b\u0085c\x1dd\r\ne"


@pytest.mark.parametrize("content", [b"nonsense\n", b"\xff\xfe"])
def test_a_file_that_is_no_export_is_refused_in_one_line(run, project, content):
    (project / "bad.jsonl").write_bytes(content)
    code, _, told = run("verdicts", "import", "bad.jsonl")
    assert code == 3
    assert len(told.splitlines()) == 1


def test_verdicts_are_listed_with_the_crops_that_they_apply_to(run, marked):
    code, out, _ = run("verdicts", "list", "--tracker", TRACKER, "--json")
    rows = json.loads(out)
    assert code == 0
    assert len(rows) == 80
    assert rows[0]["applies"] == "IoU 1.00"
    assert "80 crops have a verdict" in run("verdicts", "list")[1]


def test_the_log_is_checked_and_backed_up(run, marked, project):
    assert "is whole: 80 rows" in run("verdicts", "check")[1]
    assert run("verdicts", "backup")[0] == 0
    assert len(list((project / "data" / "verdicts" / "backups").glob("*.sqlite"))) == 1
    assert run("verdicts", "backup", "copy.sqlite")[0] == 0
    assert run("verdicts", "backup", "copy.sqlite")[0] == 3


def test_the_judge_tells_what_it_is_worth_and_what_to_look_at(run, marked):
    code, out, _ = run("judge", "--tracker", TRACKER, "--least-sure", "3")
    assert code == 0
    assert out.startswith("active: better than the rules")
    assert "mask's stability" in out
    judged = {crop for crop, _ in marked[:80]}
    shown = [word for word in out.split() if word.startswith("crop0")]
    assert len(shown) == 3
    assert not judged & set(shown)
    told = json.loads(run("judge", "--tracker", TRACKER, "--json")[1])
    assert told["report"]["active"] is True


def test_the_judge_without_verdicts_and_with_a_wrong_name(run, project):
    make_cell(project / "data")
    code, out, _ = run("judge", "--tracker", TRACKER)
    assert code == 0
    assert out.startswith("not active: 0 verdicts")
    assert run("judge", "--tracker", "NOBODY")[0] == 3
    assert run("judge", "--tracker", TRACKER, "--unsure-band", "0.9")[0] == 3
    assert run("judge", "--tracker", TRACKER, "--seed", "-1")[0] == 3
