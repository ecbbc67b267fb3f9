from __future__ import annotations

from types import SimpleNamespace

import grpc
import pytest
from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import WorkerStatus

from lora_assets.process_identity import this_process
from lora_assets.run_launcher import PROCESS_TAG, CheckedRunLauncher
from lora_assets_tests.test_process_identity import dead_process


class _Silent(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code


def _status(monkeypatch, client=None, **tags: str) -> WorkerStatus:
    launcher = CheckedRunLauncher()
    monkeypatch.setattr(launcher, "_get_grpc_client_for_termination", lambda run_id: client)
    return launcher.check_run_worker_health(DagsterRun(job_name="job", run_id="1", tags=tags)).status


def test_a_run_lives_as_long_as_the_process_that_it_names(monkeypatch):
    assert _status(monkeypatch, **{PROCESS_TAG: this_process()}) == WorkerStatus.RUNNING
    assert _status(monkeypatch, **{PROCESS_TAG: dead_process()}) == WorkerStatus.FAILED
    assert _status(monkeypatch, **{PROCESS_TAG: "no process"}) == WorkerStatus.FAILED
    assert _status(monkeypatch) == WorkerStatus.UNKNOWN


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
