"""How far a tracker is while it is made, stage by stage, for its page and for scripts: words and numbers of under_way.

What is written while a stage runs is in under_way; crops that are finished before their stage are in unfinished.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from lora_assets.tracker.cells import Cell, Cells
from lora_assets.tracker.language import Labels
from lora_assets.tracker.view import TrackerView
from lora_assets.under_way import DONE, FAILED, FRAMES_STAGE, RUNNING, STAGES, STOPPED, WAITING, StageState, read_states

NEXT = "next"
# Between two stages of a run nothing is under way for a moment: models are closed, a table is published.
_BETWEEN_STAGES_S = 120.0


@dataclass(frozen=True, slots=True)
class StageShown:
    """One stage of one dataset. `status` is one of under_way's, or next; `percent` is the length of its bar; `text`
    says it in the visitor's language."""

    stage: str
    status: str
    done: int
    total: int
    percent: float
    rate: float
    seconds_left: float | None
    text: str


@dataclass(frozen=True, slots=True)
class CellShown:
    """A dataset that is being made, or whose making was stopped or failed."""

    dataset: str
    name: str
    stages: tuple[StageShown, ...]
    stopped: bool
    error: str
    run_id: str


@dataclass(frozen=True, slots=True)
class TrackerProgress:
    """What is under way in a tracker now."""

    url: str
    under_way: bool
    """true while a process works on it; then scripts ask often"""
    state: str
    crops: int
    """crops that its page shows, of finished chunks too"""
    unfinished: int
    """those of them whose stage is not through"""
    cells: tuple[CellShown, ...]


def duration_text(seconds: float) -> str:
    """Seconds as a person says them: 12 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {rest:02} s"


def tracker_progress(cells: Cells, view: TrackerView, t: Labels, now: float | None = None) -> TrackerProgress:
    """The state of a tracker's cells as their files tell it. `now` is seconds since 1970."""
    now = time.time() if now is None else now
    listed = {state.dataset: state for state in read_states(cells.data)}
    told: dict[str, dict[str, StageState]] = {}
    for state in read_states(cells.data, view.spec.id):
        told.setdefault(state.dataset, {})[state.stage] = state
    shown = []
    unfinished = 0
    for cell in view.cells:
        states = dict(told.get(cell.dataset, {}))
        if cell.dataset in listed and listed[cell.dataset].status != DONE:
            states[FRAMES_STAGE] = listed[cell.dataset]
        if cell.scored_crops is not None and cell.scored_crops.facts.get("unfinished"):
            unfinished += cell.scored_crops.rows
        if _is_shown(cell, states, now):
            shown.append(_cell_shown(cell, states, t))
    return TrackerProgress(
        url=f"/api/tracker/{view.spec.id}/progress",
        under_way=any(stage.status in (WAITING, RUNNING) for cell in shown for stage in cell.stages),
        state=view.state,
        crops=len(view.crops),
        unfinished=unfinished,
        cells=tuple(shown),
    )


def _is_shown(cell: Cell, states: Mapping[str, StageState], now: float) -> bool:
    if any(state.status != DONE for state in states.values()):
        return True
    # A run that goes from stage to stage; a wall clock that jumped costs no more than this line.
    last = max(states.values(), key=lambda state: STAGES.index(state.stage), default=None)
    if last is None or last.stage == STAGES[-1]:
        return False
    made_at = cell.scored_crops.facts.get("published_at", 0.0) if cell.scored_crops else 0.0
    return last.told_at > float(made_at) and 0 <= now - last.told_at < _BETWEEN_STAGES_S


def _cell_shown(cell: Cell, states: Mapping[str, StageState], t: Labels) -> CellShown:
    """The stages up to the first that is not done are as their files tell; what an earlier run told of later ones is
    not this run's."""
    stages = []
    open_stage = False
    for stage in STAGES:
        state = states.get(stage)
        if stage == FRAMES_STAGE and state is None:
            continue
        if open_stage and (state is None or state.status in (DONE, WAITING)):
            stages.append(StageShown(stage, NEXT, 0, 0, 0.0, 0.0, None, t("progress.next")))
            continue
        stages.append(_stage_shown(stage, state, t))
        open_stage = open_stage or state is None or state.status != DONE
    errors = [state for state in states.values() if state.status == FAILED]
    return CellShown(
        dataset=cell.dataset,
        name=cell.name,
        stages=tuple(stages),
        stopped=any(state.status == STOPPED for state in states.values()),
        error=errors[0].error if errors else "",
        run_id=next((state.run_id for state in states.values() if state.run_id), ""),
    )


def _stage_shown(stage: str, state: StageState | None, t: Labels) -> StageShown:
    if state is None:
        return StageShown(stage, NEXT, 0, 0, 0.0, 0.0, None, t("progress.next"))
    share = state.done / state.total if state.total else float(state.status == DONE)
    return StageShown(
        stage=stage,
        status=state.status,
        done=state.done,
        total=state.total,
        percent=round(100 * min(1.0, max(0.0, share)), 1),
        rate=round(state.rate, 2),
        seconds_left=state.seconds_left,
        text=_text(state, t),
    )


def _text(state: StageState, t: Labels) -> str:
    numbers = {"done": f"{state.done:,}", "total": f"{state.total:,}"}
    if state.status == WAITING:
        return t("progress.waiting")
    if state.status == DONE:
        return t("progress.done_in", seconds=duration_text(state.seconds)) if state.seconds >= 1 else t("progress.done")
    if state.status != RUNNING:
        return t("progress.stopped", **numbers) if state.status == STOPPED else t("progress.failed", **numbers)
    parts = [t("progress.running", **numbers)]
    if state.rate > 0:
        parts.append(t("progress.rate", rate=f"{state.rate:.1f}" if state.rate < 100 else f"{state.rate:,.0f}"))
    if state.seconds_left is not None:
        parts.append(t("progress.left", left=duration_text(state.seconds_left)))
    if state.reused:
        parts.append(t("progress.reused", count=f"{state.reused:,}"))
    return " · ".join(parts)
