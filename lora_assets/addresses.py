"""Where the two servers listen, as they tell it themselves while they run: one place for ports and addresses."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lora_assets.process_identity import is_alive, this_process
from lora_assets.store import StoreError, atomic_write_json

LOOPBACK = "127.0.0.1"
PAGES_PORT = 8088
DAGSTER_PORT = 3000
PAGES, DAGSTER = "pages", "dagster"
_USUAL = {PAGES: f"http://{LOOPBACK}:{PAGES_PORT}", DAGSTER: f"http://{LOOPBACK}:{DAGSTER_PORT}"}
_VARIABLES = {PAGES: "LORA_ASSETS_PAGES_URL", DAGSTER: "LORA_ASSETS_DAGSTER_URL"}


def pages_url(data: Path) -> str:
    """Address of the tracker pages as a browser reaches them: LORA_ASSETS_PAGES_URL (behind a proxy), else that of the
    server that runs for this data folder, else the usual one."""
    return _url(data, PAGES)


def dagster_url(data: Path) -> str:
    """Address of the Dagster UI, as `pages_url`; LORA_ASSETS_DAGSTER_URL overrides."""
    return _url(data, DAGSTER)


def _url(data: Path, server: str) -> str:
    return (os.environ.get(_VARIABLES[server]) or running_url(data, server) or _USUAL[server]).rstrip("/")


def running_url(data: Path, server: str) -> str | None:
    """Address of a server (PAGES or DAGSTER) of this data folder while its process lives; None when none is known."""
    told = _recorded(data, server)
    return told["url"] if told and is_alive(told["process"]) else None


def _recorded(data: Path, server: str) -> dict[str, str]:
    """The address and the process that a server noted; empty when there is no record that can be read."""
    try:
        told = json.loads(_record(data, server).read_bytes())
        return {"url": str(told["url"]), "process": str(told["process"])}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


@contextmanager
def listening(data: Path, server: str, url: str) -> Iterator[None]:
    """While the body runs, the address of this server is known to all processes; of several servers that of the first.

    A killed process leaves its record, which then counts no more. Where nothing can be written (a full disk), the
    address is not known, and the server runs all the same.
    """
    path = _record(data, server)
    ours = running_url(data, server) is None
    if ours:
        try:
            atomic_write_json(path, {"url": url, "process": this_process()})
        except StoreError:
            ours = False
    try:
        yield
    finally:
        # Two that started at the same moment both took themselves for the first; the record is the later one's.
        if ours and _recorded(data, server).get("process") == this_process():
            try:
                path.unlink(missing_ok=True)
            except OSError:
                pass  # it counts no more when this process has ended


def _record(data: Path, server: str) -> Path:
    return data / "servers" / f"{server}.json"
