"""verify from the command line: exit codes, JSON, and the log of verdicts."""

from __future__ import annotations

import json

from lora_assets.store import Store, atomic_write_bytes
from lora_assets.verdicts import open_log


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


def test_the_log_of_verdicts_is_read_too(run, data):
    with open_log(data) as log:
        path = log.path
    assert run("verify")[0] == 0
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    code, out, _ = run("verify", "--json")
    assert code == 3 and json.loads(out)["verdicts"]
