from __future__ import annotations

import uuid

import dagster as dg
import pytest

from lora_assets.process_identity import this_process
from lora_assets.run_launcher import PROCESS_TAG
from lora_assets.run_recovery import DIED, DIED_TAG, close_dead_runs
from lora_assets_tests.test_process_identity import dead_process

STATUS = dg.DagsterRunStatus


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def _add(instance, status, **tags: str) -> str:
    run = dg.DagsterRun(job_name="job", run_id=str(uuid.uuid4()), status=status, tags=tags)
    return instance.add_run(run).run_id


def test_runs_of_dead_processes_are_closed_and_marked_and_no_others(instance):
    dead = dead_process()
    died = [_add(instance, status, **{PROCESS_TAG: dead}) for status in (STATUS.STARTED, STATUS.STARTING)]
    canceled = _add(instance, STATUS.CANCELING, **{PROCESS_TAG: dead})
    alive = _add(instance, STATUS.STARTED, **{PROCESS_TAG: this_process()})
    over = _add(instance, STATUS.SUCCESS, **{PROCESS_TAG: dead})
    never = _add(instance, STATUS.NOT_STARTED)
    assert set(close_dead_runs(instance)) == {*died, canceled, never}
    assert {instance.get_run_by_id(run).status for run in (*died, never)} == {STATUS.FAILURE}
    assert all(instance.get_run_by_id(run).tags[DIED_TAG] == DIED for run in (*died, canceled, never))
    assert instance.get_run_by_id(canceled).status == STATUS.CANCELED
    kept = [instance.get_run_by_id(run).status for run in (alive, over)]
    assert kept == [STATUS.STARTED, STATUS.SUCCESS]
    assert close_dead_runs(instance) == []
