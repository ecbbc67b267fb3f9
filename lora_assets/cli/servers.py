"""up, serve, password: the servers of the project. What they serve is in tracker and dagster_ui."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Annotated
from urllib.parse import urlsplit

import typer

from lora_assets.addresses import DAGSTER, DAGSTER_PORT, LOOPBACK, PAGES, PAGES_PORT, dagster_url, listening
from lora_assets.cli.app import EXIT_FAILED, EXIT_INTERRUPTED
from lora_assets.cli.corrections import corrections_log
from lora_assets.cli.project import Project, enter_project
from lora_assets.cli.runs import dagster_home, open_instance
from lora_assets.specs import SpecError, ensure_live
from lora_assets.store import Store, StoreError
from lora_assets.tracker.guard import GuardError, check_bind, open_to_users
from lora_assets.tracker.password import PasswordError, generate_password, read_password_hash, set_password
from lora_assets.verdicts import VerdictError, VerdictLog
from lora_assets.verdicts.append_only import try_daily_backup

_STOP_SECONDS = 20.0
_LEAST_LIFE_SECONDS = 30.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def _ends_with_parent() -> Callable[[], None] | None:
    """What a child does before its program starts, so that it ends when this process is killed; None beside Linux."""
    if not sys.platform.startswith("linux"):
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # killed before the call
            os._exit(1)

    return arrange


@dataclass(slots=True)
class Server:
    """A server process, and when it was started last."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = field(default=0.0)

    def start(self, environment: dict[str, str]) -> None:
        """Start the process; it ends with this one, however this one ends."""
        # A session of its own: Ctrl-C reaches only this command, which then stops its children in order.
        self.process = subprocess.Popen(
            self.command, env=environment, start_new_session=True, preexec_fn=_ends_with_parent()
        )
        self.started = time.monotonic()

    def stop(self) -> None:
        """Interrupt the process and wait; kill its session when it does not end."""
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


def _servers(pages_port: int, dagster_port: int, allowed_hosts: Sequence[str] = ()) -> list[Server]:
    module = [sys.executable, "-m"]
    daemon = [*module, "dagster._daemon", "run", "-w", "workspace.yaml", "--log-level", "warning"]
    pages = [*module, "lora_assets.cli", "serve", "--port", str(pages_port)]
    hosts = [part for name in allowed_hosts for part in ("--allow-host", name)]
    return [
        Server("dagster daemon", daemon),
        Server("dagster ui", [*module, "lora_assets.cli.dagster_ui", "--port", str(dagster_port), *hosts]),
        Server("tracker pages", [*pages, *hosts]),
    ]


def _watch(servers: list[Server], environment: dict[str, str]) -> None:
    """Keep the servers running; one that dies young again is given up. Returns only by an exception."""
    while True:
        time.sleep(0.5)
        for server in servers:
            if server.process is None or server.process.poll() is None:
                continue
            if time.monotonic() - server.started < _LEAST_LIFE_SECONDS:
                typer.echo(
                    f"{server.name} ended with exit code {server.process.returncode} right after its start", err=True
                )
                raise typer.Exit(EXIT_FAILED)
            typer.echo(f"{server.name} ended with exit code {server.process.returncode}; it is started again", err=True)
            server.start(environment)


def _ignore_signals() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupt(_: int, __: FrameType | None) -> None:
    _ignore_signals()  # an impatient second Ctrl-C must not leave servers behind
    raise KeyboardInterrupt


def keep_running(servers: list[Server], environment: dict[str, str], told: list[str]) -> None:
    """Start the servers, print the lines `told`, and keep them running until SIGINT or SIGTERM; then stop them all.

    Raises typer.Exit when a server does not stay up.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        for server in servers:
            server.start(environment)
        for line in told:
            typer.echo(line)
        _watch(servers, environment)
    except KeyboardInterrupt:
        typer.echo("stopping; runs that are under way end by themselves")
    finally:
        _ignore_signals()
        for server in servers:
            server.stop()


@contextmanager
def _only_up(project: Project) -> Iterator[None]:
    """Hold the project's lock of `up`. Raises SpecError when another process serves this project."""
    with ExitStack() as held:
        try:
            held.enter_context(Store(project.data).lock("up", wait=False))
        except StoreError as error:
            raise SpecError(
                f"the servers of this project ({project.root}) are running already: stop them with Ctrl-C in their "
                "terminal before starting them again"
            ) from error
        yield


def _take_up(project: Project) -> None:
    """Make the instance's tables when there are none, and close the runs that died with the servers before."""
    instance = open_instance(project)
    try:
        from lora_assets.run_recovery import close_dead_runs

        closed = close_dead_runs(instance)
    finally:
        instance.dispose()
    if closed:
        typer.echo(f"{len(closed)} runs were cut off when the servers stopped; what they were to make is made now")


def _back_up_logs(project: Project) -> None:
    """Backups of today before anything is served; a log that cannot be read is told, and the pages tell it too."""
    for kind in (VerdictLog, corrections_log()):
        path = kind.path_in(project.data)
        if not path.exists():
            continue
        try:
            with kind(path) as log:
                problem = try_daily_backup(log)
        except VerdictError as error:
            problem = str(error)
        if problem:
            typer.echo(f"no backup of the {kind.things} was made: {problem}", err=True)


def _environment(project: Project) -> dict[str, str]:
    return {**os.environ, "DAGSTER_HOME": dagster_home(project), "PYTHONWARNINGS": "ignore"}


def up(
    pages_port: Annotated[int, typer.Option(help="Port of the tracker pages on 127.0.0.1.")] = PAGES_PORT,
    dagster_port: Annotated[int, typer.Option(help="Port of the Dagster UI on 127.0.0.1.")] = DAGSTER_PORT,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Host name under which a proxy or a VPN on this machine passes requests on; needs a password."
        ),
    ] = None,
) -> None:
    """Serve the Dagster UI and the tracker pages, with sensors and schedules running, until Ctrl-C.

    Drop a folder of pictures into data/input/ while it runs: within a minute its crops are on the page of LIVE.
    """
    project = enter_project()
    allowed_hosts = tuple(allow_host or ())
    try:
        check_bind(LOOPBACK, read_password_hash(project.data), allowed_hosts)
    except (GuardError, PasswordError) as error:
        raise SpecError(str(error)) from error
    with _only_up(project):
        _check_free(pages_port, "the tracker pages")
        _check_free(dagster_port, "the Dagster UI")
        (project.data / "input").mkdir(parents=True, exist_ok=True)
        ensure_live(project.data)
        Store(project.data).sweep()
        _back_up_logs(project)
        # Dagster processes that start at once on a fresh home fail at making its tables: make them first.
        _take_up(project)
        pages, ui = (f"http://{LOOPBACK}:{port}" for port in (pages_port, dagster_port))
        told = [
            f"tracker pages  {pages}/",
            f"Dagster UI     {ui}/",
            "drop folders of pictures into data/input/; stop with Ctrl-C",
        ]
        with listening(project.data, PAGES, pages), listening(project.data, DAGSTER, ui):
            keep_running(_servers(pages_port, dagster_port, allowed_hosts), _environment(project), told)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on. Any but 127.0.0.1 needs a password.")] = LOOPBACK,
    port: Annotated[int, typer.Option(help="Port to listen on.")] = PAGES_PORT,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host name under which a browser reaches it (a proxy, a VPN name).")
    ] = None,
    dagster_port: Annotated[
        int | None, typer.Option(help="Port of the Dagster UI, for links to it; found when `up` runs.")
    ] = None,
) -> None:
    """Serve the tracker pages only."""
    from lora_assets.tracker.serve import ServeError, serve_pages

    project = enter_project()
    _back_up_logs(project)
    link = f"http://{LOOPBACK}:{dagster_port}" if dagster_port else dagster_url(project.data)
    held = ExitStack()

    def tell(address: str) -> None:
        held.enter_context(listening(project.data, PAGES, _as_reached_here(address)))
        typer.echo(f"tracker pages  {address}   (stop with Ctrl-C)")
        # `up` starts this command too, so that it is told once by both.
        if warning := open_to_users(read_password_hash(project.data)):
            typer.echo(warning, err=True)

    try:
        with held:
            serve_pages(
                project.data,
                host,
                port,
                dagster_url=link,
                allowed_hosts=tuple(allow_host or ()),
                ready=tell,
            )
    except (GuardError, PasswordError, ServeError) as error:
        raise SpecError(str(error)) from error


def _as_reached_here(address: str) -> str:
    """The address of a server for a browser on this machine: one that listens on all addresses has none of its own."""
    told = urlsplit(address)
    return f"http://{LOOPBACK}:{told.port}" if told.hostname in ("0.0.0.0", "::") else address


def password(
    generate: Annotated[bool, typer.Option(help="Make a random password and print it once.")] = False,
) -> None:
    """Set the password of the tracker pages, which any address but 127.0.0.1 requires."""
    project = enter_project()
    try:
        chosen = (
            generate_password() if generate else typer.prompt("password", hide_input=True, confirmation_prompt=True)
        )
    except typer.Abort as interrupted:
        raise typer.Exit(EXIT_INTERRUPTED) from interrupted
    try:
        path = set_password(project.data, chosen)
    except PasswordError as error:
        raise SpecError(str(error)) from error
    typer.echo(f"kept as an argon2 hash in {path.relative_to(project.root)}; servers that run take it when restarted")
    if generate:
        typer.echo(f"password: {chosen}")


def add_to(app: typer.Typer) -> None:
    """Put the commands of this module on the root."""
    app.command()(up)
    app.command()(serve)
    app.command()(password)
