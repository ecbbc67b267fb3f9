from __future__ import annotations

import dataclasses

import pytest

from lora_assets import dashboards
from lora_assets.benchmarks.cheap import ellipses, middle_box
from lora_assets.cli import runs
from lora_assets.cli.project import Project
from lora_assets.dashboards import is_complete, make_dashboard
from lora_assets.folder_marks import MARK
from lora_assets.main_line.cells import Cell, update_detections, update_masks, update_scored_crops
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.integrity import Finding
from lora_assets.planning import missing_datasets, plan_all, plan_tracker
from lora_assets.recipes import tracker_recipes
from lora_assets.specs import (
    LIVE,
    TrackerSpec,
    list_datasets,
    read_tracker,
    register_dataset,
    set_sealed,
    tracker_path,
    write_tracker,
)
from lora_assets.store import Store
from lora_assets.tables import RawFrame


@pytest.fixture
def store(data):
    return Store(data)


@pytest.fixture
def listed(data, drop_frames, store):
    """List the dataset's frames, after dropping some."""

    def run(count: int = 2, start: int = 0, name: str = "film") -> None:
        drop_frames(name, count=count, start=start)
        update_raw_frames(store, list_datasets(data)[name])

    return run


def _make(store: Store, spec: TrackerSpec, dataset: str = "film") -> None:
    cell = Cell(store, list_datasets(store.data)[dataset], spec.id, tracker_recipes(spec, store.data))
    update_detections(cell, lambda: (middle_box,))
    update_masks(cell, lambda: ellipses)
    update_scored_crops(cell)


def test_a_tracker_goes_from_cells_to_a_sealed_dashboard(data, store, listed):
    spec = TrackerSpec("T1", ("film",))
    write_tracker(data, spec)
    assert plan_tracker(store, spec).nothing
    assert missing_datasets(store, spec) == ["film"]
    listed()
    assert [due.dataset for due in plan_tracker(store, spec).cells] == ["film"]
    _make(store, spec)
    plan = plan_tracker(store, spec)
    assert not plan.cells
    assert [due.tracker for due in plan.dashboards] == ["T1"]
    made = make_dashboard(store, "T1")
    assert made.sealed
    assert made.numbers["frames"] == 2.0
    assert read_tracker(data, "T1").sealed
    listed(count=1, start=5)
    assert plan_all(data).nothing  # sealed: whatever happens to the folder


@pytest.mark.parametrize("missing", ["detections", "masks", "scored_crops"])
def test_a_lost_table_is_due_again(data, store, listed, missing):
    spec = TrackerSpec("T1", ("film",))
    write_tracker(data, spec)
    listed()
    _make(store, spec)
    store.table_path(missing, "film", "T1").unlink()
    assert plan_tracker(store, spec).cells
    _make(store, spec)
    assert not plan_tracker(store, spec).cells


def test_a_cell_whose_frames_were_all_deleted_lets_go_of_them(data, store, listed, monkeypatch):
    write_tracker(data, TrackerSpec(LIVE))
    spec, film = read_tracker(data, LIVE), data / "input" / "film"
    (data / "input" / "empty").mkdir()
    update_raw_frames(store, list_datasets(data)["empty"])
    listed()
    _make(store, spec)
    for path in film.glob("*.jpg"):
        path.unlink()
    update_raw_frames(store, list_datasets(data)["film"], accept=True)
    assert [due.dataset for due in plan_tracker(store, spec).cells] == ["film"]
    monkeypatch.setattr(runs, "_make_due", lambda *_: ("it is made",))
    assert runs._make_all(runs._Jobs(Project(data.parent)), store, spec, [list_datasets(data)["film"]])
    _make(store, spec)
    crops = store.cell_table("scored_crops", "film", LIVE)
    assert crops is not None and (crops.rows, crops.facts["frames"]) == (0, 0)
    assert not plan_tracker(store, spec).cells


@pytest.mark.parametrize(
    "settings",
    [{"detect": {"conf": 0.3}}, {"segment": {"multimask": False}}, {"refine": {"preset": "baseline"}},
     {"score": {"high": 0.9}}],
)  # fmt: skip
def test_every_setting_makes_its_cells_due(data, store, listed, settings):
    spec = TrackerSpec(LIVE)
    write_tracker(data, spec)
    listed()
    _make(store, spec)
    make_dashboard(store, LIVE)
    assert plan_all(data).nothing
    assert plan_tracker(store, dataclasses.replace(spec, settings=settings)).cells


def test_a_new_frame_makes_the_cell_and_then_the_dashboard_due(data, store, listed):
    spec = TrackerSpec(LIVE)
    write_tracker(data, spec)
    listed()
    _make(store, spec)
    make_dashboard(store, LIVE)
    assert plan_all(data).nothing
    listed(count=1, start=5)
    assert [due.dataset for due in plan_all(data).cells] == ["film"]
    _make(store, spec)
    assert [due.tracker for due in plan_all(data).dashboards] == [LIVE]
    assert not make_dashboard(store, LIVE).sealed


def test_a_tracker_whose_dataset_is_missing_is_not_complete(data, store, listed):
    spec = TrackerSpec("T1", ("film", "later"))
    write_tracker(data, spec)
    listed()
    _make(store, spec)
    assert not make_dashboard(store, "T1").sealed
    assert not is_complete(store, spec)
    listed(name="later")
    _make(store, spec, "later")
    assert make_dashboard(store, "T1").sealed


@pytest.fixture
def with_a_dropped_frame(data, store, listed) -> TrackerSpec:
    """A tracker that was made while one of its three frames changed."""
    spec = TrackerSpec("T1", ("film",))
    write_tracker(data, spec)
    listed(count=3)
    path = sorted((data / "input" / "film").glob("*.jpg"))[0]
    path.write_bytes(path.read_bytes() + b"more")
    _make(store, spec)
    return spec


def test_frames_that_had_to_be_dropped_keep_a_tracker_open(store, with_a_dropped_frame):
    spec = with_a_dropped_frame
    assert plan_tracker(store, spec).dashboards
    assert not plan_tracker(store, spec).cells
    assert plan_tracker(store, spec, retry_dropped=True).cells
    assert not make_dashboard(store, "T1").sealed


def test_an_unknown_weight_is_a_problem_and_stops_no_other(data, store, listed):
    write_tracker(data, TrackerSpec("A", settings={"segment": {"weights": "nothing"}}))
    write_tracker(data, TrackerSpec("B"))
    listed()
    plan = plan_all(data)
    assert [due.tracker for due in plan.cells] == ["B"]
    assert "A" in plan.problems[0]
    assert "nothing" in plan.problems[0]


def test_a_recipe_does_not_depend_on_the_name_of_the_weights(data, tmp_path):
    from lora_assets.models import resolve

    packaged = resolve("starter-yolo", data).path
    copy = tmp_path / f"another name{packaged.suffix}"
    copy.write_bytes(packaged.read_bytes())
    one = tracker_recipes(TrackerSpec("A"), data)
    other = tracker_recipes(TrackerSpec("B", settings={"detect": {"weights": [str(copy)]}}), data)
    assert one.detections.digest == other.detections.digest
    assert one.scored_crops.digest == other.scored_crops.digest


def test_reopening_takes_up_what_changed(data, store, listed):
    spec = TrackerSpec("T1", ("film",))
    write_tracker(data, spec)
    listed()
    _make(store, spec)
    make_dashboard(store, "T1")
    listed(count=1, start=5)
    set_sealed(data, "T1", False)
    assert plan_tracker(store, read_tracker(data, "T1")).cells


def test_a_cell_that_cannot_be_made_does_not_hold_back_the_dashboard(data, store, listed):
    spec = TrackerSpec("T1", ("film", "later"))
    write_tracker(data, spec)
    listed()
    listed(name="later")
    assert not plan_tracker(store, spec).dashboards  # nothing to be shown yet
    _make(store, spec)
    plan = plan_tracker(store, spec)
    assert [due.dataset for due in plan.cells] == ["later"]
    assert [due.waits_for for due in plan.dashboards] == [("later",)]
    assert not make_dashboard(store, "T1").sealed
    again = plan_tracker(store, spec)
    assert [due.dataset for due in again.cells] == ["later"]
    assert not again.dashboards  # what it shows has not changed since
    _make(store, spec, "later")
    assert [due.waits_for for due in plan_tracker(store, spec).dashboards] == [()]


def test_a_retry_of_dropped_frames_does_not_hold_back_the_dashboard(store, with_a_dropped_frame):
    spec = with_a_dropped_frame
    plan = plan_tracker(store, spec, retry_dropped=True)
    assert [due.retry for due in plan.cells] == [True]
    assert [due.waits_for for due in plan.dashboards] == [()]


@pytest.mark.parametrize("tracker", ["T1", LIVE])
def test_a_cell_whose_folder_is_gone_is_a_problem_and_not_due(data, store, listed, tracker):
    spec = TrackerSpec(tracker, ("film",) if tracker == "T1" else None)
    write_tracker(data, spec)
    listed()
    (data / "input" / "film").rename(data / "away")
    plan = plan_all(data)
    assert not plan.cells
    assert len(plan.problems) == 1
    assert "film" in plan.problems[0]
    assert tracker in plan.problems[0]
    (data / "away").rename(data / "input" / "film")
    assert plan_all(data).cells
    assert not plan_all(data).problems


def test_a_cell_of_one_file_that_is_gone_is_a_problem_and_not_due(data, store, tmp_path):
    (tmp_path / "one.png").write_bytes(b"no picture")
    only = register_dataset(data, tmp_path / "one.png")
    update_raw_frames(store, only)
    spec = TrackerSpec("T1", (only.slug,))
    write_tracker(data, spec)
    assert plan_tracker(store, spec).cells
    (tmp_path / "one.png").unlink()
    plan = plan_tracker(store, spec)
    assert not plan.cells and "one.png is gone" in plan.problems[0]


def test_a_registered_folder_that_is_gone_is_a_problem(data, store, listed, tmp_path):
    write_tracker(data, TrackerSpec(LIVE))
    listed()
    (data / "input" / "film").rename(tmp_path / "away")
    (data / "datasets").mkdir()
    (data / "datasets" / "film.toml").write_text(f'folder = "{data / "input" / "film"}"')
    plan = plan_all(data)
    assert not plan.cells
    assert "mount it" in plan.problems[0]


@pytest.mark.parametrize(
    "settings",
    [{"score": {"limits": 3}}, {"detect": {"looks": [384]}}, {"detect": {"weights": ["~nobody-of-this-name/w.pt"]}}],
)
def test_a_setting_of_the_wrong_kind_stops_no_other_tracker(data, store, listed, settings):
    listed()
    write_tracker(data, TrackerSpec("T1", ("film",), settings=settings))
    write_tracker(data, TrackerSpec("T2", ("film",)))
    plan = plan_all(data)
    assert [due.tracker for due in plan.cells] == ["T2"]
    assert len(plan.problems) == 1 and plan.problems[0].startswith("T1: ")


def test_a_link_to_a_disk_that_fails_hides_no_other_folder(data, store, listed):
    (data / "input" / "away").symlink_to("x" * 300)  # the system refuses to look there, as at a disk that fails
    listed()
    write_tracker(data, TrackerSpec("T1", ("film", "away")))
    plan = plan_all(data)
    assert [due.dataset for due in plan.cells] == ["film"]
    assert "there is no dataset away" in plan.problems[0]


def test_a_malformed_tracker_and_a_dataset_that_never_was_are_problems_in_words(data, store, listed):
    write_tracker(data, TrackerSpec("GOOD", ("film", "nowhere")))
    tracker_path(data, LIVE).write_text("datasets = [")
    listed()
    plan = plan_all(data)
    assert [due.tracker for due in plan.cells] == ["GOOD"]
    told = "\n".join(plan.problems)
    assert "no dataset nowhere" in told
    assert "LIVE.toml cannot be read as TOML" in told


@pytest.mark.parametrize("change", ["new file", "unsettled", "gone", "not mounted", "no file", "veto in high"])
def test_a_tracker_is_complete_only_when_its_folders_are_as_they_were_listed(data, store, listed, monkeypatch, change):
    spec = TrackerSpec("T1", ("film",))
    write_tracker(data, spec)
    listed()
    _make(store, spec)
    make_dashboard(store, "T1")
    assert is_complete(store, spec)
    folder = data / "input" / "film"
    frames = store.frames_of("film")
    if change == "new file":
        (folder / "new.png").write_bytes(b"not listed yet")
    elif change == "gone":
        folder.rename(data / "away")
    elif change == "not mounted":
        folder.rename(data / "away")
        (data / "datasets").mkdir()
        (data / "datasets" / "film.toml").write_text(f'folder = "{folder}"')
    elif change == "veto in high":
        monkeypatch.setattr(dashboards, "no_veto_in_high", lambda table: Finding(False, "1 vetoed crop"))
    else:
        facts = {**frames.facts, "unsettled": 1} if change == "unsettled" else {**frames.facts, "files": 0}
        store.publish(frames.path, RawFrame, [frames.read()], frames.version, facts)
    assert not is_complete(store, spec)


def test_a_dataset_of_which_the_sample_takes_nothing_keeps_no_tracker_open(data, store, listed, drop_frames):
    spec = TrackerSpec("T1", ("film", "left-out"))
    write_tracker(data, spec)
    listed()
    _make(store, spec)
    drop_frames("left-out", count=2)
    (data / "settings.toml").write_text('[sample]\nsampling_rate = 1e-9\ndatasets = ["left-out"]\n')
    left_out = list_datasets(data)["left-out"]
    assert update_raw_frames(store, left_out).frames == 0
    assert make_dashboard(store, "T1").sealed
    for path in left_out.folder.glob("*.jpg"):
        path.unlink()
    update_raw_frames(store, left_out)
    assert not is_complete(store, spec), "an empty folder waits for its pictures"


def test_a_tracker_of_every_folder_is_complete_when_every_folder_is(data, store, listed):
    spec = TrackerSpec("ALL")
    write_tracker(data, spec)
    listed()
    _make(store, spec)
    (data / "input" / "not listed").mkdir()
    assert not make_dashboard(store, "ALL").sealed
    (data / "input" / "not listed").rmdir()
    assert make_dashboard(store, "ALL").sealed


def test_files_that_are_not_there_now_are_a_problem_in_words_and_nothing_is_made_anew(data, drop_frames):
    folder = drop_frames(count=3)
    store, dataset = Store(data), list_datasets(data)["film"]
    update_raw_frames(store, dataset)
    spec = TrackerSpec("T1", ("film",))
    write_tracker(data, spec)
    before = plan_tracker(store, spec)
    (folder / MARK).unlink()
    sorted(folder.glob("*.jpg"))[0].unlink()
    update_raw_frames(store, dataset)
    after = plan_tracker(store, spec)
    assert before.problems == () and [cell.version for cell in after.cells] == [cell.version for cell in before.cells]
    (problem,) = after.problems
    assert "1 files of film are not there now" in problem and "lora-assets deleted accept film" in problem
