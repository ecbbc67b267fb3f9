"""G12: what another web page can do to Dagster's UI: with the guard nothing, without it almost everything.

The real `dagster-webserver` app, over an instance of its own with one run, stands behind the project's guard and is
asked as a browser would be by a foreign page, after DNS rebinding, over a websocket, in the address of a GET. A probe
succeeds when the instance changed or a private name comes back. The same probes against the bare app are the planted
fault. The full level also starts `lora-assets up` and looks at what listens on this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.types import ASGIApp

from lora_assets.tracker.guard import Guard
from lora_assets_tests.reliability.goals import Figures, Level
from lora_assets_tests.reliability.web_asking import (
    Answer,
    Headers,
    InProcess,
    OverSocket,
    free_port,
    until,
    until_listening,
)

_ROOT = Path(__file__).resolve().parents[2]
_PORT = 3000
_HOST = f"127.0.0.1:{_PORT}"
_KEY = "taken-over"
_MUTATION = f'mutation M {{ setConcurrencyLimit(concurrencyKey: "{_KEY}", limit: 1) }}'
_QUERY = "query Q { runsOrError { ... on Runs { results { runId jobName } } } }"
_SUBSCRIBE = (
    json.dumps({"type": "connection_init", "payload": {}}),
    json.dumps({"id": "1", "type": "start", "payload": {"query": "subscription { locationStateChangeEvents { event "
                "{ message } } }"}}),
)  # fmt: skip
_JSON = "application/json"
_IMAGE: Headers = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "image"))
_OPENED: Headers = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"))
_FRAMED: Headers = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe"))
_ORIGINS: tuple[tuple[str, Headers], ...] = (
    ("a foreign page", (("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site"))),
    ("a foreign page in an old browser", (("Origin", "https://evil.example"),)),
    ("a sandboxed frame", (("Origin", "null"), ("Sec-Fetch-Site", "cross-site"))),
    ("another port of this machine", (("Origin", "http://127.0.0.1:9999"), ("Sec-Fetch-Site", "same-site"))),
    ("another name of this machine", (("Origin", f"http://localhost:{_PORT}"),)),
    ("a program without any origin", ()),
)
_REBOUND = (
    "evil.example",
    f"evil.example:{_PORT}",
    "127.0.0.1.evil.example",
    f"localhost.:{_PORT}",
    "192.168.1.5:3000",
)


@dataclass(frozen=True, slots=True)
class _Probe:
    """One attack: a request, or a websocket when `method` is empty."""

    name: str
    method: str
    target: str
    headers: Headers = ()
    body: bytes = b""


def probes() -> Iterator[_Probe]:
    """All attacks. What they would change is a limit of the instance; what they would read is the name of a run."""
    change, read = quote(_MUTATION), quote(_QUERY)
    for name, headers in _ORIGINS:
        told = json.dumps({"query": _MUTATION}).encode()
        for kind in (_JSON, f"text/plain; x={_JSON}", f"application/x-www-form-urlencoded; {_JSON}"):
            yield _Probe(f"POST as {kind} from {name}", "POST", "/graphql", (*headers, ("Content-Type", kind)), told)
        yield _Probe(
            f"POST as application/graphql from {name}", "POST", "/graphql",
            (*headers, ("Content-Type", "application/graphql")), _MUTATION.encode(),
        )  # fmt: skip
        form = (*headers, ("Content-Type", "application/x-www-form-urlencoded"))
        yield _Probe(f"POST with the mutation in its address from {name}", "POST", f"/graphql?query={change}", form)
        yield _Probe(f"websocket from {name}", "", "/graphql", headers)
    ways: tuple[tuple[str, Headers], ...] = (
        ("a picture", _IMAGE), ("a link", _OPENED), ("a frame", _FRAMED), ("a typed address", ()),
        ("a foreign script", (("Origin", "https://evil.example"),)),
    )  # fmt: skip
    for name, headers in ways:
        for target in ("/graphql", "/graphql/", "//graphql", "/%67raphql", "/graphql/../graphql"):
            yield _Probe(f"mutation in the address by {name}, {target}", "GET", f"{target}?query={change}", headers)
        yield _Probe(f"query in the address by {name}", "GET", f"/graphql?query={read}", headers)
        named = f"/graphql?operationName=M&query={change}&variables=%7B%7D"
        yield _Probe(f"named mutation by {name}", "GET", named, headers)
    for host in _REBOUND:
        rebound = (("Host", host), ("Origin", f"http://{host}"), ("Sec-Fetch-Site", "same-origin"))
        plain = (("Host", host), ("Sec-Fetch-Site", "same-origin"))
        told = (*rebound, ("Content-Type", _JSON))
        yield _Probe(
            f"mutation after rebinding {host}", "POST", "/graphql", told, json.dumps({"query": _MUTATION}).encode()
        )
        yield _Probe(f"query after rebinding {host}", "POST", "/graphql", told, json.dumps({"query": _QUERY}).encode())
        yield _Probe(f"GET mutation after rebinding {host}", "GET", f"/graphql?query={change}", plain)
        yield _Probe(f"GET query after rebinding {host}", "GET", f"/graphql?query={read}", plain)
        yield _Probe(f"websocket after rebinding {host}", "", "/graphql", rebound)
    for name, headers in _ORIGINS:
        event = json.dumps({"asset_key": [_KEY]}).encode()
        told = (*headers, ("Content-Type", _JSON))
        yield _Probe(
            f"materialization reported from {name}", "POST", f"/report_asset_materialization/{_KEY}", told, event
        )


@dataclass(frozen=True, slots=True)
class _Instance:
    """An instance, the bare app over it, and what must not change."""

    app: ASGIApp
    instance: Any
    run_id: str

    def changed(self) -> bool:
        """Did a probe change the instance? Then it is put back."""
        from dagster import AssetKey

        storage = self.instance.event_log_storage
        taken = _KEY in storage.get_concurrency_keys()
        if taken:
            storage.delete_concurrency_limit(_KEY)
        reported = self.instance.has_asset_key(AssetKey(_KEY))
        if reported:
            self.instance.wipe_assets([AssetKey(_KEY)])
        return taken or reported


@contextmanager
def _dagster(folder: Path) -> Iterator[_Instance]:
    """The real web server's app over an instance of its own, with one run in it whose name is private."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from dagster import DagsterInstance, DagsterRun
        from dagster._core.utils import make_new_run_id
        from dagster._core.workspace.context import WorkspaceProcessContext
        from dagster._core.workspace.load_target import EmptyWorkspaceTarget
        from dagster_webserver.app import create_app_from_workspace_process_context

        folder.mkdir(parents=True)
        (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        with DagsterInstance.local_temp(str(folder)) as instance:
            run = instance.add_run(DagsterRun(job_name="private", run_id=make_new_run_id()))
            with WorkspaceProcessContext(instance, workspace_load_target=EmptyWorkspaceTarget()) as context:
                yield _Instance(create_app_from_workspace_process_context(context), instance, run.run_id)


def _succeeds(asker: InProcess, probe: _Probe, instance: _Instance) -> bool:
    """Did the attack change anything, or learn the private run?"""
    if not probe.method:
        said = asker.websocket(probe.target, probe.headers, ("graphql-ws",), _SUBSCRIBE)
        return any(message["type"] != "websocket.close" for message in said) or instance.changed()
    answer = asker.ask(probe.method, probe.target, probe.headers, probe.body)
    return instance.changed() or instance.run_id.encode() in answer.body


def _own_pages(asker: InProcess, instance: _Instance) -> list[str]:
    """What the UI itself needs and does not get from the guard: a guard that refuses everything is no guard."""
    own: Headers = (("Origin", f"http://{_HOST}"), ("Sec-Fetch-Site", "same-origin"), ("Content-Type", _JSON))
    missing = []
    if asker.ask("GET", "/", (("Sec-Fetch-Site", "none"),)).status != 200:
        missing.append("its first page")
    if instance.run_id.encode() not in asker.ask("POST", "/graphql", own, json.dumps({"query": _QUERY}).encode()).body:
        missing.append("its own queries")
    asker.ask("POST", "/graphql", own, json.dumps({"query": _MUTATION}).encode())
    if not instance.changed():
        missing.append("its own mutations")
    said = asker.websocket("/graphql", (("Origin", f"http://{_HOST}"),), ("graphql-ws",), _SUBSCRIBE)
    if not any("connection_ack" in str(message) for message in said):
        missing.append("its own websocket")
    if asker.ask("GET", "/assets/canary", _OPENED).status != 200:
        missing.append("a link from elsewhere to one of its pages")
    return missing


# --- what listens ----------------------------------------------------------------------------------------------------


def listening(pids: set[int]) -> dict[tuple[str, int], int]:
    """Address and port -> process, of every TCP socket on which one of the processes listens (Linux)."""
    inodes = {}
    for pid in pids:
        try:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                target = os.readlink(link)
                if target.startswith("socket:["):
                    inodes[target[8:-1]] = pid
        except OSError:
            continue
    found = {}
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            parts = line.split()
            if parts[3] == "0A" and parts[9] in inodes:
                address, port = parts[1].split(":")
                found[_address(address), int(port, 16)] = inodes[parts[9]]
    return found


def _address(told: str) -> str:
    """The address of a line of /proc/net/tcp: words of four bytes, each in the order of this machine."""
    import ipaddress

    raw = b"".join(bytes.fromhex(told[at : at + 8])[::-1] for at in range(0, len(told), 8))
    return str(ipaddress.ip_address(raw))


def family_of(pid: int) -> set[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found, grown = {pid}, True
    while grown:
        more = {child for child, parent in parents.items() if parent in found} - found
        grown = bool(more)
        found |= more
    return found


def _up(folder: Path, failures: list[str]) -> tuple[int, str]:
    """Start `lora-assets up`, look at what it listens on, and send the probes of the socket; how many were tried."""
    (folder / "data" / "input").mkdir(parents=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copyfile(_ROOT / name, folder / name)
    pages, dagster, tried = free_port(), free_port(), 0
    command = [
        sys.executable,
        "-m",
        "lora_assets.cli",
        "up",
        "--pages-port",
        str(pages),
        "--dagster-port",
        str(dagster),
    ]
    environment = {**os.environ, "LORA_ASSETS_HOME": str(folder), "PYTHONPATH": str(_ROOT)}
    with (folder / "log").open("wb") as log:
        up = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            until_listening(pages, 120)
            until_listening(dagster, 180)
            until(
                lambda: OverSocket(dagster).ask("GET", "/server_info").status == 200, 120, "the answer of Dagster's UI"
            )
            found = listening(family_of(up.pid))
            for address, port in found:
                tried += 1
                if address not in ("127.0.0.1", "::1") or port not in (pages, dagster):
                    failures.append(f"up listens on {address} port {port} beside the two guarded servers")
            if {port for _, port in found} != {pages, dagster}:
                failures.append(f"listening was found on {sorted(found)} only")
            asker = OverSocket(dagster)
            for probe in probes():
                if probe.method:
                    tried += 1
                    headers = [(key, value.replace(_HOST, f"127.0.0.1:{dagster}")) for key, value in probe.headers]
                    answer = asker.ask(probe.method, probe.target, headers, probe.body)
                    if _let_through(answer):
                        failures.append(f"over the socket: {probe.name}: {answer.status} {answer.body[:80]!r}")
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)
    return (
        tried,
        f"`up` listens on {', '.join(f'{address}:{port}' for address, port in sorted(found))} and nothing else",
    )


def _let_through(answer: Answer) -> bool:
    """Did Dagster itself answer, with anything but the empty page of its UI?"""
    return answer.status == 200 and not answer.body.lstrip().startswith(b"<!doctype html>")


def run(level: Level) -> Figures:
    """The probes against the guarded and the bare app; at the full level against `lora-assets up` as well."""
    began, failures, notes = time.monotonic(), [], []
    asked = list(probes())
    with tempfile.TemporaryDirectory() as name, _dagster(Path(name) / "instance") as instance:
        host = {"Host": _HOST}
        with InProcess(Guard(instance.app, dagster=True), host) as guarded:
            failures += [probe.name for probe in asked if _succeeds(guarded, probe, instance)]
            failures += [f"the guard keeps from the UI {what}" for what in _own_pages(guarded, instance)]
        tried = len(asked)
        unguarded = asked if level == "full" else asked[::6]
        with InProcess(instance.app, host) as bare:
            through = sum(_succeeds(bare, probe, instance) for probe in unguarded)
        notes.append(
            f"{through} of {len(unguarded)} of the same probes succeed against dagster-webserver without the guard"
        )
        if level == "full":
            more, told = _up(Path(name) / "project", failures)
            tried += more
            notes.append(told)
    return Figures(
        "G12",
        f"{len(asked)} probes (foreign origins, rebound names, websockets, mutations in the address of a GET, reports "
        "of assets) against the real dagster-webserver behind the guard, and what `lora-assets up` listens on",
        tried,
        len(failures),
        through >= len(unguarded) // 3,
        time.monotonic() - began,
        f"dagster-webserver without the guard: {through} of {len(unguarded)} probes succeed",
        tuple(notes),
        failures=tuple(failures[:20]),
    )
