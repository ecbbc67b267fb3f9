"""Runs the tracker pages as a server on one address and port.

Which pages there are, and who may see them, is not here (app, guard).
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from lora_assets.store import Store, StoreError
from lora_assets.tracker.app import create_app
from lora_assets.tracker.connections import MOST_CONNECTIONS, DeadlineProtocol, raise_file_limit
from lora_assets.tracker.guard import check_bind
from lora_assets.tracker.password import read_password_hash

DEFAULT_PORT = 8088
_ANY_ADDRESS = ("", "0.0.0.0", "::")


class ServeError(RuntimeError):
    """The server cannot listen there; the text says why and the way out."""


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ServeError when the port is taken or the address is not this machine's."""
    if not 0 <= port <= 65535:
        raise ServeError(f"cannot listen on port {port}: choose one from 0 to 65535 with --port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ServeError(f"cannot listen on {host or '*'} port {port}: {error}; choose another with --port") from error


def run_server(app: ASGIApp, listening: socket.socket) -> None:
    """Serve until the process is told to stop (SIGINT or SIGTERM)."""
    raise_file_limit()
    # What was imported stays for good: to look through it again and again would hold up every connection meanwhile.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(
        app,
        http=DeadlineProtocol,
        ws="none",
        limit_concurrency=MOST_CONNECTIONS,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listening])


def serve_pages(
    data: Path,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    *,
    dagster_url: str = "http://127.0.0.1:3000",
    allowed_hosts: Iterable[str] = (),
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the tracker pages until stopped; `ready` is told the address once the port is open (port 0: any free one).

    Beside other servers of the same folder it holds the lock `serve`, so that no log is restored under it. Raises
    GuardError for an address or a host name that others reach without a password, ServeError for a taken port and while
    a log is restored, PasswordError for a password file that cannot be read.
    """
    password_hash = read_password_hash(data)
    allowed_hosts = tuple(allowed_hosts)
    check_bind(host, password_hash, allowed_hosts)
    names = [*allowed_hosts, *([] if host in _ANY_ADDRESS else [host])]
    app = create_app(data, password_hash=password_hash, dagster_url=dagster_url, allowed_hosts=names)
    with ExitStack() as held:
        listening = held.enter_context(open_socket(host, port))
        try:
            held.enter_context(Store(data).lock("serve", wait=False, shared=True))
        except StoreError as error:
            raise ServeError(
                "a log of this project is being restored: start the server again when it is done"
            ) from error
        if ready is not None:
            shown = f"[{host}]" if ":" in host else host or "0.0.0.0"
            ready(f"http://{shown}:{listening.getsockname()[1]}/")
        run_server(app, listening)
