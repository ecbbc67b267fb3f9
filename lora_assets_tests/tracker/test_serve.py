"""The server: where it listens and when it refuses to."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from lora_assets.store import Store, StoreError
from lora_assets.tracker import serve
from lora_assets.tracker.guard import GuardError
from lora_assets.tracker.serve import ServeError, open_socket, serve_pages


def test_a_taken_port_names_the_way_out():
    with open_socket("127.0.0.1", 0) as taken, pytest.raises(ServeError, match="--port"):
        open_socket("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(("host", "port"), [("203.0.113.7", 0), ("127.0.0.1", 70000), ("no.such.host.invalid", 0)])
def test_an_address_of_another_machine_is_refused(host: str, port: int):
    with pytest.raises(ServeError, match="cannot listen"):
        open_socket(host, port)


def test_without_a_password_no_open_address_is_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    opened: list[tuple[str, int]] = []
    monkeypatch.setattr(socket, "create_server", lambda address, **_: opened.append(address))
    for host in ("0.0.0.0", "", "::", "192.168.1.5"):
        with pytest.raises(GuardError, match="lora-assets password"):
            serve_pages(tmp_path, host, 0)
    assert opened == []


def test_no_log_is_restored_under_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    taken: list[str] = []

    def restoring(*_: object) -> None:
        with pytest.raises(StoreError), Store(tmp_path).lock("serve", wait=False):
            taken.append("beside the server")
        with Store(tmp_path).lock("serve", wait=False, shared=True):
            taken.append("a second server")

    monkeypatch.setattr(serve, "run_server", restoring)
    serve_pages(tmp_path, port=0)
    assert taken == ["a second server"]
    with Store(tmp_path).lock("serve", wait=False), pytest.raises(ServeError, match="is being restored"):
        serve_pages(tmp_path, port=0)
