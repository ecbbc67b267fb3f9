"""up, serve, password: the servers of the project."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from types import FrameType
from typing import Annotated

import typer

from lora_assets.addresses import DAGSTER_PORT, LOOPBACK, PAGES_PORT, dagster_url
from lora_assets.cli.app import EXIT_FAILED
from lora_assets.cli.project import Project, enter_project
from lora_assets.cli.runs import dagster_home, open_instance
from lora_assets.specs import SpecError, ensure_live
from lora_assets.store import Store
from lora_assets.tracker.guard import GuardError
from lora_assets.tracker.password import PasswordError, generate_password, set_password

_STOP_SECONDS = 20.0
_LEAST_LIFE_SECONDS = 30.0


@dataclass(slots=True)
class _Child:
    """A server process, and when it was started last."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = field(default=0.0)

    def start(self, environment: dict[str, str]) -> None:
        # A session of its own: Ctrl-C reaches only this command, which then stops its children in order.
        self.process = subprocess.Popen(self.command, env=environment, start_new_session=True)
        self.started = time.monotonic()

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _check_free(port: int, what: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise SpecError(
                f"port {port} for {what} is taken ({error.strerror}): is `make up` running already?"
            ) from error


def _children(pages_port: int, dagster_port: int) -> list[_Child]:
    module = [sys.executable, "-m"]
    daemon = [*module, "dagster._daemon", "run", "-w", "workspace.yaml", "--log-level", "warning"]
    pages = [*module, "lora_assets.cli", "serve", "--port", str(pages_port), "--dagster-port", str(dagster_port)]
    return [
        _Child("dagster daemon", daemon),
        _Child("dagster ui", [*module, "lora_assets.cli.dagster_ui", "--port", str(dagster_port)]),
        _Child("tracker pages", pages),
    ]


def _watch(children: list[_Child], environment: dict[str, str]) -> None:
    """Keep the servers running; one that dies young again is given up. Returns only by an exception."""
    while True:
        time.sleep(0.5)
        for child in children:
            if child.process is None or child.process.poll() is None:
                continue
            if time.monotonic() - child.started < _LEAST_LIFE_SECONDS:
                typer.echo(
                    f"{child.name} ended with exit code {child.process.returncode} right after its start", err=True
                )
                raise typer.Exit(EXIT_FAILED)
            typer.echo(f"{child.name} ended with exit code {child.process.returncode}; it is started again", err=True)
            child.start(environment)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def _environment(project: Project) -> dict[str, str]:
    return {**os.environ, "DAGSTER_HOME": dagster_home(project), "PYTHONWARNINGS": "ignore"}


def up(
    pages_port: Annotated[int, typer.Option(help="Port of the tracker pages on 127.0.0.1.")] = PAGES_PORT,
    dagster_port: Annotated[int, typer.Option(help="Port of the Dagster UI on 127.0.0.1.")] = DAGSTER_PORT,
) -> None:
    """Serve the Dagster UI and the tracker pages, with sensors and schedules running, until Ctrl-C.

    Drop a folder of pictures into data/input/ while it runs: within a minute its crops are on the page of LIVE.
    """
    project = enter_project()
    _check_free(pages_port, "the tracker pages")
    _check_free(dagster_port, "the Dagster UI")
    (project.data / "input").mkdir(parents=True, exist_ok=True)
    ensure_live(project.data)
    Store(project.data).sweep()
    # Dagster processes that start at once on a fresh home fail at making its tables: make them first.
    open_instance(project).dispose()
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    environment = _environment(project)
    children = _children(pages_port, dagster_port)
    try:
        for child in children:
            child.start(environment)
        typer.echo(f"tracker pages  http://{LOOPBACK}:{pages_port}/")
        typer.echo(f"Dagster UI     http://{LOOPBACK}:{dagster_port}/")
        typer.echo("drop folders of pictures into data/input/; stop with Ctrl-C")
        _watch(children, environment)
    except KeyboardInterrupt:
        typer.echo("stopping; runs that are under way end by themselves")
    finally:
        for child in children:
            child.stop()


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on. Any but 127.0.0.1 needs a password.")] = LOOPBACK,
    port: Annotated[int, typer.Option(help="Port to listen on.")] = PAGES_PORT,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host name under which a browser reaches it (a proxy, a VPN name).")
    ] = None,
    dagster_port: Annotated[int, typer.Option(help="Port of the Dagster UI, for its links.")] = DAGSTER_PORT,
) -> None:
    """Serve the tracker pages only."""
    from lora_assets.tracker.serve import ServeError, serve_pages

    project = enter_project()
    link = dagster_url() if dagster_port == DAGSTER_PORT else f"http://{LOOPBACK}:{dagster_port}"
    try:
        serve_pages(project.data, host, port, dagster_url=link, allowed_hosts=tuple(allow_host or ()))
    except (GuardError, PasswordError, ServeError) as error:
        raise SpecError(str(error)) from error


def password(
    generate: Annotated[bool, typer.Option(help="Make a random password and print it once.")] = False,
) -> None:
    """Set the password of the tracker pages, which any address but 127.0.0.1 requires."""
    project = enter_project()
    chosen = generate_password() if generate else typer.prompt("password", hide_input=True, confirmation_prompt=True)
    try:
        path = set_password(project.data, chosen)
    except PasswordError as error:
        raise SpecError(str(error)) from error
    typer.echo(f"kept as an argon2 hash in {path.relative_to(project.root)}")
    if generate:
        typer.echo(f"password: {chosen}")


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.command()(up)
    app.command()(serve)
    app.command()(password)
