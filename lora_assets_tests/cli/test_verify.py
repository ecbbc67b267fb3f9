"""verify from the command line: exit codes, JSON, and the logs of a person."""

from __future__ import annotations

import json

import pytest

from lora_assets.store import Store, atomic_write_bytes
from lora_assets.verdicts import VerdictLog
from lora_assets.verdicts.corrections import CorrectionLog


def test_a_project_without_results_is_whole(run):
    assert run("verify") == (0, "0 files, 0.0 MB, 0 damaged or missing\n", "")


def test_a_damaged_picture_is_named_and_mended_only_where_it_can_be(run, data):
    path = Store(data).picture("thumbs", "ab12", ".webp")
    atomic_write_bytes(path, b"RIFF of a thumbnail", recorded=True)
    assert run("verify")[0] == 0
    path.write_bytes(b"RIFF of a thumbnaiI")
    code, out, _ = run("verify", "--json")
    assert code == 3 and json.loads(out)["problems"][0]["path"] == "store/thumbs/ab/ab12.webp"
    code, out, _ = run("verify", "--repair")
    assert code == 3 and "no table names it" in out and path.exists()


@pytest.mark.parametrize("kind", [VerdictLog, CorrectionLog])
def test_the_logs_of_a_person_are_read_too(run, data, kind):
    path = kind.path_in(data)
    with kind(path):
        pass
    assert run("verify")[0] == 0
    content = bytearray(path.read_bytes())
    for damage in (content[:4096] + b"\xff" * (len(content) - 4096), b"no database at all" * 300):
        path.write_bytes(damage)
        code, out, _ = run("verify", "--json")
        assert code == 3 and json.loads(out)[kind.things]
        assert f"{kind.things}: " in run("verify")[1]
