from __future__ import annotations

import dagster as dg
import pytest

from lora_assets.specs import TrackerSpec, read_tracker, set_sealed, write_tracker
from lora_assets.store import Store


@pytest.fixture
def tracker(data):
    write_tracker(data, TrackerSpec("T1", ("film",)))
    return "T1"


def _metadata(result, asset: str) -> dict[str, object]:
    event = result.asset_materializations_for_node(asset)[0]
    return {name: value.value for name, value in event.metadata.items()}


def test_a_cell_becomes_a_sealed_dashboard(data, drop_frames, make_cell, run_job, tracker):
    drop_frames(count=3)
    cell = make_cell()
    assert cell.success
    for asset in ("detections", "masks", "scored_crops"):
        event = cell.asset_materializations_for_node(asset)[0]
        assert event.partition == "film|T1"
        told = _metadata(cell, asset)
        assert (told["computed"], told["frames"], told["dagster/row_count"]) == (3.0, 3.0, 3)
        assert isinstance(told["seconds"], float)
        assert str(told["preview"]).startswith("![contact sheet](data:image/jpeg;base64,")
        assert len(str(told["preview"])) < 300_000
    made = run_job("main_line_dashboard", tracker, tracker=tracker)
    assert made.success
    numbers = _metadata(made, "tracker_dashboard")
    assert numbers["frames"] == 3.0
    assert numbers["crops"] == 3.0
    assert str(numbers["page"]).endswith("/tracker/T1")
    assert read_tracker(data, tracker).sealed


def test_data_versions_follow_content_and_runs_do_not_change_them(drop_frames, make_cell, tracker):
    def versions(result) -> list[object]:
        tags = [result.asset_materializations_for_node(a)[0].tags for a in ("detections", "masks", "scored_crops")]
        return [tag["dagster/data_version"] for tag in tags]

    drop_frames(count=2)
    first = versions(make_cell())
    assert versions(make_cell()) == first
    drop_frames(count=1, start=2)
    assert all(old != new for old, new in zip(first, versions(make_cell()), strict=True))


def test_checks_are_evaluated_for_the_cell(drop_frames, make_cell, tracker):
    drop_frames(count=2)
    found = {(e.asset_key.to_user_string(), e.check_name): e for e in make_cell().get_asset_check_evaluations()}
    assert set(found) == {
        ("detections", "schema_holds"),
        ("masks", "schema_holds"),
        ("scored_crops", "schema_holds"),
        ("scored_crops", "no_vetoed_crop_in_high"),
        ("scored_crops", "every_frame_answered"),
    }
    assert all(evaluation.passed for evaluation in found.values())
    assert {evaluation.partition for evaluation in found.values()} == {"film|T1"}


def test_an_unreadable_dataset_fails_its_checks_and_says_why(data, drop_frames, run_job):
    folder = drop_frames(count=0)
    (folder / "a.png").write_bytes(b"no picture")
    result = run_job("main_line_frames", "film", dataset="film")
    evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert not evaluations["dataset_is_readable"].passed
    assert not evaluations["few_quarantined"].passed
    assert evaluations["schema_holds"].passed
    assert evaluations["few_quarantined"].severity == dg.AssetCheckSeverity.WARN


@pytest.mark.parametrize("why", ["sealed", "not named"])
def test_a_cell_that_is_not_to_be_made_yields_nothing_and_stays_green(data, drop_frames, make_cell, why):
    drop_frames(count=1)
    write_tracker(data, TrackerSpec("T1", ("film",) if why == "sealed" else ("other",)))
    if why == "sealed":
        set_sealed(data, "T1", True)
    result = make_cell()
    assert result.success
    assert not result.get_asset_materialization_events()
    assert not list((data / "tables").rglob("T1/*.parquet"))


def test_a_sealed_cell_is_told_again_while_nothing_has_changed(data, drop_frames, make_cell, run_job, tracker):
    drop_frames(count=2)

    def told(result: dg.ExecuteInProcessResult) -> dict[str, str]:
        assert result.success
        return {
            event.asset_key.to_user_string(): event.materialization.tags["dagster/data_version"]
            for event in result.get_asset_materialization_events()
        }

    made = {**told(make_cell()), **told(run_job("main_line_dashboard", tracker, tracker=tracker))}
    assert read_tracker(data, tracker).sealed
    before = {path: path.stat().st_mtime_ns for path in (data / "tables").rglob(f"{tracker}/*.parquet")}
    assert len(before) == 4
    again = make_cell()
    assert {**told(again), **told(run_job("main_line_dashboard", tracker, tracker=tracker))} == made
    events = [event.materialization.metadata for event in again.get_asset_materialization_events()]
    assert [told["computed"].value for told in events] == [0.0, 0.0, 0.0]
    drop_frames(count=3)
    assert told(make_cell()) == {}, "what has changed since is not said to be its own"
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_vanished_folder_fails_with_its_name_and_keeps_the_results(data, drop_frames, make_cell, run_job, tracker):
    folder = drop_frames(count=2)
    make_cell()
    folder.rename(data / "away")
    result = run_job("main_line_frames", "film", dataset="film")
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure)
    error = failure.step_failure_data.error
    assert "film" in str(error)
    assert Store(data).cell_table("scored_crops", "film", "T1") is not None


def test_unknown_settings_fail_with_the_way_out(data, drop_frames, make_cell):
    drop_frames(count=1)
    write_tracker(data, TrackerSpec("T1", ("film",), settings={"refine": {"preset": "agressive"}}))
    result = make_cell()
    assert not result.success
    error = next(event for event in result.all_events if event.is_step_failure).step_failure_data.error
    assert "aggressive" in str(error)
    assert "T1" in str(error)
