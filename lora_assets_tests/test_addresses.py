"""Addresses of the two servers: told by those that run, forgotten when they end."""

from __future__ import annotations

import json
import subprocess
import sys

from lora_assets.addresses import DAGSTER, PAGES, dagster_url, listening, pages_url, running_url

_RECORD = """
import os, sys
from pathlib import Path
from lora_assets.addresses import listening
with listening(Path(sys.argv[1]), "pages", "http://127.0.0.1:9"):
    os._exit(0)
"""


def test_a_running_server_tells_its_address_until_it_ends(tmp_path):
    assert (pages_url(tmp_path), dagster_url(tmp_path)) == ("http://127.0.0.1:8088", "http://127.0.0.1:3000")
    with listening(tmp_path, PAGES, "http://127.0.0.1:9000/"), listening(tmp_path, DAGSTER, "http://127.0.0.1:9001"):
        assert (pages_url(tmp_path), dagster_url(tmp_path)) == ("http://127.0.0.1:9000", "http://127.0.0.1:9001")
        with listening(tmp_path, PAGES, "http://127.0.0.1:9002"):
            assert pages_url(tmp_path) == "http://127.0.0.1:9000", "the first of several counts"
        assert pages_url(tmp_path) == "http://127.0.0.1:9000", "the second takes only its own word back"
    assert running_url(tmp_path, PAGES) is None and pages_url(tmp_path) == "http://127.0.0.1:8088"


def test_a_proxy_comes_before_the_server(tmp_path, monkeypatch):
    monkeypatch.setenv("LORA_ASSETS_PAGES_URL", "https://pages.example/")
    with listening(tmp_path, PAGES, "http://127.0.0.1:9000"):
        assert pages_url(tmp_path) == "https://pages.example"


def test_the_record_of_a_killed_server_counts_no_more(tmp_path):
    subprocess.run([sys.executable, "-c", _RECORD, str(tmp_path)], check=True)
    record = tmp_path / "servers" / "pages.json"
    assert json.loads(record.read_text())["url"] == "http://127.0.0.1:9"
    assert running_url(tmp_path, PAGES) is None
    with listening(tmp_path, PAGES, "http://127.0.0.1:9000"):
        assert pages_url(tmp_path) == "http://127.0.0.1:9000"
    record.write_text('["no record"]')
    assert running_url(tmp_path, PAGES) is None


def test_of_two_servers_that_start_at_once_the_first_to_end_leaves_the_others_record(tmp_path):
    record = tmp_path / "servers" / "pages.json"
    with listening(tmp_path, PAGES, "http://127.0.0.1:9000"):
        record.write_text('{"url": "http://127.0.0.1:9001", "process": "of the other"}')
    assert record.exists()


def test_a_folder_that_cannot_be_written_does_not_stop_a_server(tmp_path):
    (tmp_path / "servers").write_text("a file where a folder should be")
    with listening(tmp_path, PAGES, "http://127.0.0.1:9000"):
        assert running_url(tmp_path, PAGES) is None
