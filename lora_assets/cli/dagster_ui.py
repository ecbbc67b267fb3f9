"""The Dagster web server behind the guard: `python -m lora_assets.cli.dagster_ui`, started by `lora-assets up`.

Dagster's own server answers any Host and Origin and runs mutations that come in the address of a GET; any page that the
person opens in the same browser could start runs (docs/ARCHITECTURE.md). It listens on 127.0.0.1 only.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path


def serve_dagster(port: int, allowed_hosts: Sequence[str] = ()) -> None:
    """Serve the UI of the project in the current folder until interrupted. DAGSTER_HOME names the instance.

    It asks for the password of the pages when one is set: its previews are pictures too. Raises GuardError for a host
    name that others use while no password is set, PasswordError for a password file that cannot be read.
    """
    warnings.filterwarnings("ignore")  # Dagster's own notes on preview features, again in every process
    import uvicorn
    from dagster import DagsterInstance
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context

    from lora_assets.addresses import LOOPBACK
    from lora_assets.tracker.connections import MOST_CONNECTIONS, DeadlineProtocol, raise_file_limit
    from lora_assets.tracker.guard import MOST_BODY, Guard, check_bind
    from lora_assets.tracker.password import read_password_hash

    password_hash = read_password_hash(Path("data").resolve())
    check_bind(LOOPBACK, password_hash, allowed_hosts)
    raise_file_limit()
    with (
        DagsterInstance.get() as instance,
        WorkspaceProcessContext(
            instance,
            workspace_load_target=WorkspaceFileTarget(paths=["workspace.yaml"]),
            code_server_log_level="warning",
        ) as context,
    ):
        app = create_app_from_workspace_process_context(context)
        guarded = Guard(app, dagster=True, password_hash=password_hash, allowed_hosts=allowed_hosts)
        uvicorn.run(
            guarded, host=LOOPBACK, port=port, http=DeadlineProtocol, limit_concurrency=MOST_CONNECTIONS,
            ws_max_size=MOST_BODY, access_log=False, log_level="warning", server_header=False, proxy_headers=False,
        )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve the Dagster UI of this project on 127.0.0.1.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--allow-host", action="append", default=[])
    arguments = parser.parse_args()
    serve_dagster(arguments.port, arguments.allow_host)
