"""The quick level of the kits of the web, the verdicts, the weights and the network, and of what `make soak` prints."""

from __future__ import annotations

import json
import sys

import pytest

from lora_assets_tests.reliability import soak
from lora_assets_tests.reliability.goals import Figures, kit_of
from lora_assets_tests.reliability.web_dagster import family_of, listening


@pytest.mark.parametrize("goal", ["G8", "G11", "G13", "G16", "G17", "W21"])
def test_the_goal_holds_at_the_quick_level(goal: str):
    figures = kit_of(goal).run("quick")
    assert figures.failures == ()
    assert figures.passed or figures.skipped


@pytest.mark.filterwarnings("ignore")
def test_no_other_page_drives_dagsters_ui():
    figures = kit_of("G12").run("quick")
    assert figures.failures == ()
    assert figures.passed


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux'")
def test_what_listens_is_seen():
    import os
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("0.0.0.0", 0)) as open_to_all:
        found = listening({os.getpid()})
        assert ("127.0.0.1", server.getsockname()[1]) in found
        assert ("0.0.0.0", open_to_all.getsockname()[1]) in found
    assert os.getpid() in family_of(os.getppid())


def test_no_log_holds_the_password(tmp_path, caplog, capfd):
    from argon2 import PasswordHasher

    from lora_assets.tracker.app import create_app
    from lora_assets_tests.reliability.web_asking import PASSWORD, InProcess, basic

    app = create_app(tmp_path, password_hash=PasswordHasher(1, 8, 1).hash(PASSWORD))
    secrets = (PASSWORD, "a wrong guess", basic(PASSWORD)[6:], basic("a wrong guess")[6:], "argon2")
    with caplog.at_level("DEBUG"), InProcess(app) as asker:
        for guess in (PASSWORD, "a wrong guess"):
            for target in ("/", "/tracker/NOBODY", f"/?password={guess}"):
                asker.ask("GET", target, (("Authorization", basic(guess)),))
    said = caplog.text + "".join(capfd.readouterr())
    assert not any(secret in said for secret in secrets)


@pytest.mark.parametrize(
    ("tried", "failed", "bound"),
    [
        (1, 0, 0.95),
        (59, 0, 0.0495),
        (200, 0, 0.01487),
        (1000, 0, 0.00299),
        (100, 1, 0.0466),
        (10, 10, 1.0),
        (0, 0, 1.0),
    ],
)
def test_the_upper_bound_is_that_of_clopper_and_pearson(tried: int, failed: int, bound: float):
    assert soak.upper_bound(tried, failed) == pytest.approx(bound, rel=0.01)


def _figures(goal: str, **more) -> dict:
    from dataclasses import asdict

    told = {"goal": goal, "how": "tried | so", "tried": 100, "failed": 0, "seeded_fault_caught": True, "seconds": 61.0}
    return asdict(Figures(**(told | more))) | {"level": "full", "at": "2026-11-21T21:00", "machine": "2 cores"}


def test_the_table_keeps_what_was_measured_before_and_goes_into_the_document(tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "KEPT", tmp_path / "kept")
    soak.keep(_figures("G8", notes=("0 lost",)))
    soak.keep(_figures("G11", failed=2, seeded_fault_caught=False, failures=("a page answered",)))
    soak.keep(_figures("G17", tried=0, skipped="no unshare", seeded_fault_caught=None))
    table = soak.markdown("full")
    lines = {line.split(" | ")[0].strip("| "): line for line in table.splitlines() if line.startswith("| G")}
    assert "| 100 | 0 | 3 % | caught |" in lines["G8"] and "tried \\| so" in lines["G8"]
    assert "NOT CAUGHT" in lines["G11"] and "left out: no unshare" in lines["G17"] and "not measured yet" in lines["G1"]
    assert list(lines)[:3] == ["G1", "G2", "G3"]
    assert "- G8: 0 lost" in table and "- G11: a page answered" in table
    document = tmp_path / "RELIABILITY.md"
    document.write_text(f"before\n{soak.BEGIN}\nstale table\n{soak.END}\nafter\n", encoding="utf-8")
    soak.write_document("full", document)
    text = document.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "stale table" not in text and "| G8 |" in text
    document.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="no place for the table"):
        soak.write_document("full", document)


def test_a_kit_that_dies_costs_its_own_row(tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "KEPT", tmp_path)
    monkeypatch.setattr(soak, "_KIT", "import os; os.abort()")
    monkeypatch.setattr(soak, "_ROOT", tmp_path)
    assert soak.main(["--level", "quick", "--only", "G16"]) == 1
    told = json.loads((tmp_path / "G16.quick.json").read_text())
    assert told["failed"] == 1 and "ended early" in told["failures"][0]


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"tried": 0, "skipped": "no unshare", "seeded_fault_caught": None}, 0),
        ({"skipped": "no unshare"}, 0),
        ({"skipped": "no unshare", "failed": 3, "failures": ("a",)}, 1),
        ({"skipped": "no unshare", "seeded_fault_caught": False}, 1),
        ({}, 0),
        ({"failed": 1}, 1),
    ],
)
def test_a_kit_that_is_left_out_is_fine_only_while_nothing_failed(tmp_path, monkeypatch, told: dict, code: int):
    monkeypatch.setattr(soak, "KEPT", tmp_path)
    monkeypatch.setattr(soak, "measure", lambda kit, level: _figures(kit.goal, **told) | {"level": level})
    assert soak.main(["--level", "quick", "--only", "G17"]) == code


def test_a_row_of_another_commit_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(soak, "KEPT", tmp_path)
    monkeypatch.setattr(soak, "current_commit", lambda: "abc1234, dirty")
    for goal, commit in (("G1", {"commit": "abc1234, dirty"}), ("G6", {"commit": "0ld0000"}), ("G8", {})):
        soak.keep(_figures(goal) | commit)
    lines = {line.split(" | ")[0].strip("| "): line for line in soak.markdown("full").splitlines() if line[:3] == "| G"}
    assert lines["G1"].endswith("| 61 s |")
    assert lines["G6"].endswith("| 61 s (0ld0000) |") and "60 batches are the independent trials" in lines["G6"]
    assert lines["G8"].endswith("| 61 s (no commit kept) |")
