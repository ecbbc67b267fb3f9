"""Runs that died with their process: found when the servers start, so that none stays in progress for ever.

A run names its process (`PROCESS_TAG`) as soon as it works. A run whose process is gone is closed and marked
(`DIED_TAG`); the sensors then ask for what is missing anew, and a death does not count against the retries. A run that
names no process yet is judged by the code server that was to start it. What else ends runs: run_launcher, which the
run monitor asks while the servers are up.
"""

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.launcher.base import WorkerStatus

from lora_assets.process_identity import is_alive
from lora_assets.run_launcher import PROCESS_TAG, CheckedRunLauncher

DIED_TAG = "lora_assets/died"
DIED = "with its process"
# A queued run waits on disk and is started by the next daemon.
_IN_PROGRESS = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_SAID = "The process that ran it is gone: it was killed, or the machine stopped. What is missing is asked for again."


def _is_dead(instance: DagsterInstance, run: DagsterRun) -> bool:
    if PROCESS_TAG in run.tags:
        return not is_alive(run.tags[PROCESS_TAG])
    launcher = instance.run_launcher
    if run.status == DagsterRunStatus.NOT_STARTED or not isinstance(launcher, CheckedRunLauncher):
        return True
    # A run that names neither a process nor a code server was cut off before anything was started for it.
    return launcher.check_run_worker_health(run).status != WorkerStatus.RUNNING


def close_dead_runs(instance: DagsterInstance) -> list[str]:
    """Close every run in progress whose process is gone; returns their ids.

    To be called while no daemon of this instance runs. Runs of other living processes (the command line) go on.
    """
    closed = []
    for run in instance.get_runs(RunsFilter(statuses=_IN_PROGRESS)):
        if not _is_dead(instance, run):
            continue
        instance.add_run_tags(run.run_id, {DIED_TAG: DIED})
        if run.status == DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, _SAID)
        else:
            instance.report_run_failed(run, _SAID)
        closed.append(run.run_id)
    return closed
