"""corrections from the command line: carried away, brought back, checked, backed up and restored."""

from __future__ import annotations

import json

import pytest

from lora_assets.store import Store
from lora_assets.verdicts.corrections import CorrectionLog, corrections_path
from lora_assets_tests.verdicts.marks import a_correction


@pytest.fixture
def corrected(data):
    """Two corrections; the folder of the log."""
    with CorrectionLog(corrections_path(data)) as log:
        log.append(a_correction("first"))
        log.append(a_correction("second"))
    return corrections_path(data).parent


def _listed(run):
    return {one["id"]: one["state"] for one in json.loads(run("corrections", "list", "--json")[1])}


def _lose(folder):
    for path in folder.glob("corrections.sqlite*"):
        path.unlink()


def test_corrections_are_carried_away_and_back(run, corrected, project):
    assert run("corrections", "export", "masks.jsonl")[1].strip() == "wrote 2 rows to masks.jsonl"
    assert run("corrections", "import", "masks.jsonl")[1].strip() == "0 rows taken, 2 were known"
    _lose(corrected)
    assert run("corrections", "export")[0] == 3 and not corrections_path(project / "data").exists()
    assert run("corrections", "import", "masks.jsonl")[1].strip() == "2 rows taken, 0 were known"
    assert run("corrections", "export")[1] == (project / "masks.jsonl").read_text()
    assert _listed(run) == {"first": "stands", "second": "stands"}


def test_the_log_is_checked_backed_up_and_restored(run, corrected):
    assert "is whole: 2 rows" in run("corrections", "check")[1]
    assert run("corrections", "backup")[0] == run("corrections", "backup", "copy.sqlite")[0] == 0
    assert run("corrections", "backup", "copy.sqlite")[0] == 3
    path = corrected / "corrections.sqlite"
    path.write_bytes(b"no database at all" * 500)
    code, _, told = run("corrections", "check")
    assert code == 3 and "lora-assets corrections restore" in told
    code, out, _ = run("corrections", "restore")
    assert code == 0 and "2 rows of the backup" in out and "could not be read" in out
    assert _listed(run) == {"first": "stands", "second": "stands"}
    _lose(corrected)
    assert run("corrections", "restore", "copy.sqlite")[0] == 0 and len(_listed(run)) == 2


def test_a_withdrawal_backs_the_day_up(run, corrected):
    assert run("corrections", "withdraw", "first")[0] == 0
    assert len(list((corrected / "backups").glob("corrections-*.sqlite"))) == 1
    assert _listed(run) == {"first": "withdrawn", "second": "stands"}


def test_nothing_is_restored_while_the_servers_run_and_a_wrong_backup_is_named(run, corrected, data):
    run("corrections", "backup")
    with Store(data).lock("up"):
        code, _, told = run("corrections", "restore")
    assert code == 3 and "with Ctrl-C, then restore" in told
    code, _, told = run("corrections", "restore", "absent.sqlite")
    assert code == 3 and "absent.sqlite is not there" in told


def test_what_is_no_export_is_refused_in_one_line(run, project):
    (project / "bad.jsonl").write_bytes(b"nonsense\n")
    code, _, told = run("corrections", "import", "bad.jsonl")
    assert code == 3 and len(told.splitlines()) == 1
