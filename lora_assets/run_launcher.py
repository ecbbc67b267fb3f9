"""Dagster's default run launcher plus a health check, so that a reboot or kill -9 leaves no run STARTED for ever.

The default launcher cannot tell a dead run from a long one (dagster#4319); a dead run would also keep its pool slot.
Uses private parts of Dagster: the version is pinned to one minor line.
"""

from dagster import DagsterRun, DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

from lora_assets.process_identity import is_alive

_ANSWER_SECONDS = 10
# A run names its process here: one of the command line from its beginning, another once its resources are open.
PROCESS_TAG = "lora_assets/process"


def _health_of_process(process: str) -> CheckRunHealthResult:
    if is_alive(process):
        return CheckRunHealthResult(WorkerStatus.RUNNING)
    return CheckRunHealthResult(WorkerStatus.FAILED, f"the process {process} that ran it is gone")


def _is_slow(error: Exception) -> bool:
    """True when the code server is there but took too long to answer."""
    from grpc import RpcError, StatusCode

    told = error if isinstance(error, RpcError) else error.__cause__
    return isinstance(told, RpcError) and told.code() == StatusCode.DEADLINE_EXCEEDED  # pyright: ignore


class CheckedRunLauncher(DefaultRunLauncher):
    """Looks whether a run's process is alive; asks the code server that started it while it names none yet."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Tells Dagster's run monitor to ask this launcher."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """RUNNING when the run's process is alive or its code server too slow to tell, FAILED when it is gone."""
        if PROCESS_TAG in run.tags:
            return _health_of_process(run.tags[PROCESS_TAG])
        client = self._get_grpc_client_for_termination(run.run_id)
        if client is None:
            return CheckRunHealthResult(WorkerStatus.UNKNOWN, "the run does not name a code server")
        request = CanCancelExecutionRequest(run_id=run.run_id)
        try:
            answer = deserialize_value(
                client.can_cancel_execution(request, timeout=_ANSWER_SECONDS), CanCancelExecutionResult
            )
        except Exception as error:  # noqa: BLE001 (a gRPC client raises many types; but for one nobody answers)
            if _is_slow(error):
                return CheckRunHealthResult(WorkerStatus.RUNNING, "its code server is slow to answer")
            return CheckRunHealthResult(
                WorkerStatus.FAILED, f"the code server that ran it is gone ({type(error).__name__})"
            )
        if answer.can_cancel:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "the run's process is gone")
