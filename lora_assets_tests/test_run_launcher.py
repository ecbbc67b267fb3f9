from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace

import grpc
import pytest
from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import WorkerStatus

from lora_assets.run_launcher import PID_TAG, CheckedRunLauncher


class _Silent(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code


def _status(monkeypatch, client=None, **tags: str) -> WorkerStatus:
    launcher = CheckedRunLauncher()
    monkeypatch.setattr(launcher, "_get_grpc_client_for_termination", lambda run_id: client)
    return launcher.check_run_worker_health(DagsterRun(job_name="job", run_id="1", tags=tags)).status


def _dead_pid() -> str:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return str(child.pid)


def test_a_run_of_the_command_line_lives_as_long_as_its_process(monkeypatch):
    assert _status(monkeypatch, **{PID_TAG: str(os.getpid())}) == WorkerStatus.RUNNING
    assert _status(monkeypatch, **{PID_TAG: _dead_pid()}) == WorkerStatus.FAILED
    assert _status(monkeypatch, **{PID_TAG: "no number"}) == WorkerStatus.FAILED
    assert _status(monkeypatch) == WorkerStatus.UNKNOWN


def test_another_users_process_is_alive(monkeypatch):
    def refuse(pid: int, signal: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)
    assert _status(monkeypatch, **{PID_TAG: "1"}) == WorkerStatus.RUNNING


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, WorkerStatus.RUNNING),
        (grpc.StatusCode.UNAVAILABLE, WorkerStatus.FAILED),
    ],
)
def test_a_slow_code_server_is_not_a_dead_one(monkeypatch, code, status):
    def ask(request, timeout: int) -> str:
        raise DagsterUserCodeUnreachableError("no answer") from _Silent(code)

    assert _status(monkeypatch, SimpleNamespace(can_cancel_execution=ask)) == status
