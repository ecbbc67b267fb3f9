"""A tracker that is being made: what its page and its data say, and which crops they show already."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lora_assets.benchmarks.inputs import draw_frames
from lora_assets.main_line.cells import update_detections, update_masks, update_scored_crops
from lora_assets.specs import TrackerSpec, write_tracker
from lora_assets.store import Store, StoreError
from lora_assets.tables import RawFrame, ScoredCrop, from_table, to_table
from lora_assets.tracker.app import create_app
from lora_assets.tracker.cells import Cells, Memory
from lora_assets.tracker.language import read_labels
from lora_assets.tracker.progress import duration_text, tracker_progress
from lora_assets.tracker.summary import build_dashboard
from lora_assets.tracker.unfinished import crops_so_far
from lora_assets.tracker.view import TrackerView, read_view
from lora_assets.under_way import StageState, telling
from lora_assets_tests.main_line.conftest import Line
from lora_assets_tests.tracker.conftest import Client

EN = read_labels("en")
TRACKER = "T1"


def view_of(data: Path, *, live: bool = True) -> tuple[Cells, TrackerView]:
    cells = Cells(data, live=live)
    return cells, read_view(cells, cells.spec(TRACKER), Memory(2))


def texts(data: Path, now: float | None = None) -> dict[str, str]:
    """What is told of each stage of the only dataset that is shown; empty when none is."""
    told = tracker_progress(*view_of(data), EN, now)
    return {stage.stage: stage.text for cell in told.cells for stage in cell.stages}


@pytest.fixture
def line(data: Path) -> Line:
    return Line(data)


@pytest.fixture
def tracker(data: Path, drop_frames: Callable[..., Path]) -> Path:
    """A data folder with six frames and a tracker of which nothing is made."""
    drop_frames(count=6)
    write_tracker(data, TrackerSpec(TRACKER, ("film",)))
    return data


def test_nothing_is_shown_of_a_tracker_that_nobody_makes_or_that_is_made(tracker: Path, line: Line):
    assert texts(tracker) == {}
    line.make(line.cell(TRACKER))
    assert texts(tracker) == {}
    client = Client(create_app(tracker, password_hash=None))
    page = client.get(f"/tracker/{TRACKER}").text
    assert 'id="progress"' in page
    assert "under-way" not in page
    told = client.get(f"/api/tracker/{TRACKER}/progress").json()
    assert (told["under_way"], told["cells"], told["crops"], told["unfinished"]) == (False, [], 6, 0)


def test_each_stage_is_told_while_it_is_made(tracker: Path, line: Line):
    seen: list[dict[str, str]] = []
    cell = line.cell(TRACKER)
    listening = replace(cell, listen=lambda progress: seen.append(texts(tracker)) if progress.done == 0 else None)
    line.make(listening)
    assert [sorted(each) for each in seen] == [["detections", "masks", "scored_crops", "segments"]] * 4
    order = ("detections", "segments", "masks", "scored_crops")
    for number, told in enumerate(seen):
        assert [told[stage].startswith("done") for stage in order[:number]] == [True] * number
        assert told[order[number]] == "0 of 6"
    assert seen[0]["masks"] == seen[0]["scored_crops"] == "next"


def test_frames_of_another_tracker_are_done_at_once(tracker: Path, line: Line):
    line.make(line.cell("T0"))
    seen: list[dict[str, str]] = []
    line.make(replace(line.cell(TRACKER), listen=lambda _: seen.append(texts(tracker))))
    assert seen == [], "nothing was left to do, so nobody was told of a frame"
    with telling(tracker, "film", "detections", TRACKER) as told:
        told.begin(6, 4)
        assert texts(tracker)["detections"] == "4 of 6 · 4 re-used"


def test_a_failure_is_told_with_its_words(tracker: Path, line: Line):
    def broken() -> None:
        raise StoreError("<b>the weights</b> are gone")

    with pytest.raises(StoreError):
        update_detections(line.cell(TRACKER), broken)
    assert texts(tracker)["detections"] == "failed at 0 of 6"
    page = Client(create_app(tracker, password_hash=None)).get(f"/tracker/{TRACKER}").text
    assert "&lt;b&gt;the weights&lt;/b&gt; are gone" in page
    assert EN("progress.stopped_hint") in page


_HALF = """
import os, sys
from pathlib import Path
from lora_assets.main_line import stages
from lora_assets_tests.main_line.conftest import Line
from lora_assets.main_line.cells import update_detections, update_masks, update_scored_crops
from dataclasses import replace
stages._CHUNK_FRAMES = 2
line = Line(Path(sys.argv[1]))
cell = replace(line.cell("T1"), workers=1)
update_detections(cell, lambda: (line._detector,))
update_masks(cell, lambda: line._segmenter)

def stand_still(progress):
    if progress.done == 5:
        print("ready", flush=True)
        sys.stdin.read()

update_scored_crops(replace(cell, listen=stand_still))
"""


@pytest.fixture(scope="module")
def _half_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tracker = tmp_path_factory.mktemp("half") / "data"
    folder = tracker / "input" / "film"
    folder.mkdir(parents=True)
    draw_frames(folder, 6, different=6, size=(320, 180))
    write_tracker(tracker, TrackerSpec(TRACKER, ("film",)))
    command = [sys.executable, "-c", _HALF, str(tracker)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        assert "of 6" in texts(tracker)["scored_crops"]
        assert tracker_progress(*view_of(tracker), EN).under_way
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    return tracker


@pytest.fixture
def half_made(_half_made: Path, data: Path) -> Path:
    """A tracker with four of six crops on the shelf; the process that made them was killed in the middle."""
    return shutil.copytree(_half_made, data, dirs_exist_ok=True)


def test_a_killed_run_is_told_as_stopped_and_its_crops_are_shown(half_made: Path, line: Line):
    cells, view = view_of(half_made)
    told = tracker_progress(cells, view, EN)
    assert not told.under_way
    assert re.fullmatch(r"stopped, \d of 6", texts(half_made)["scored_crops"])
    assert (told.crops, told.unfinished) == (4, 4)
    client = Client(create_app(half_made, password_hash=None))
    page = client.get(f"/tracker/{TRACKER}").text
    assert EN("progress.so_far", count=4) in page
    assert len(set(re.findall(r"/crop/([0-9a-f]{32})", page))) == 4
    crop = re.findall(r'href="(/tracker/T1/crop/[^"]*)"', page)[0].replace("&amp;", "&")
    answer = client.get(crop)
    assert answer.status_code == 200
    assert EN("crop.unfinished") in answer.text
    for kind in ("thumb", "cutout", "mask"):
        for picture in re.findall(rf'"(/tracker/T1/{kind}/[^"]*)"', page + answer.text)[:1]:
            assert client.get(picture).status_code == 200
    assert client.get(f"/api/tracker/{TRACKER}").json()["complete"] is False


def test_what_is_built_on_tables_waits_for_the_whole_stage(half_made: Path):
    _, view = view_of(half_made, live=False)
    assert len(view.crops) == 0
    assert build_dashboard(half_made, TRACKER).total.crops is None
    assert Store(half_made).cell_table("scored_crops", "film", TRACKER) is None


def test_a_run_goes_on_where_the_killed_one_stood(half_made: Path, line: Line):
    before = view_of(half_made)[1].state
    update = update_scored_crops(line.cell(TRACKER))
    assert (update.reused, update.computed) == (4, 2)
    cells, view = view_of(half_made)
    assert len(view.crops) == 6
    assert view.state != before
    assert tracker_progress(cells, view, EN).cells == ()


def test_every_finished_chunk_changes_the_state(half_made: Path):
    store = Store(half_made)
    cells, view = view_of(half_made)
    first = view.state
    row = cells.rows(view.cells[0].scored_crops, ScoredCrop, view.crops.column("frame_sha256")[0].as_py())[0]  # pyright: ignore
    frames = [frame.sha256 for frame in _rows(store, "frames")]
    left = sorted(set(frames) - set(view.crops.column("frame_sha256").to_pylist()))
    (recipe,) = (half_made / "store" / "scored_crops").iterdir()
    store.shelf("scored_crops", recipe.name, ScoredCrop).append(
        to_table([replace(row, frame_sha256=left[0], crop_id="c" * 32)], ScoredCrop), left[:1]
    )
    later = read_view(cells, cells.spec(TRACKER), Memory(2))
    assert later.state != first
    assert len(later.crops) == 5
    # Frames of other trackers on the same shelf are not this tracker's.
    stranger = replace(row, frame_sha256="9" * 64, crop_id="d" * 32)
    store.shelf("scored_crops", recipe.name, ScoredCrop).append(to_table([stranger], ScoredCrop), ["9" * 64])
    assert len(read_view(cells, cells.spec(TRACKER), Memory(2)).crops) == 5


def test_cells_that_share_a_chunk_show_their_own_frames_of_it(half_made: Path):
    store, cells = Store(half_made), Cells(half_made, live=True)
    (recipe,) = (half_made / "store" / "scored_crops").iterdir()
    frames = [frame.sha256 for frame in _rows(store, "frames") if frame.sha256]
    rows = [row for _, table in store.shelf("scored_crops", recipe.name, ScoredCrop).read(frames) for row in
            from_table(table, ScoredCrop)]  # fmt: skip
    shelf = store.shelf("scored_crops", "0123456789abcdef", ScoredCrop)
    shelf.append(to_table(rows[:2], ScoredCrop), [row.frame_sha256 for row in rows[:2]])
    shown = []
    for row in rows[:2]:
        state = StageState(row.frame_sha256[:8], "film", "scored_crops", "running", recipe="0123456789abcdef")
        table = crops_so_far(store, state, [row.frame_sha256], None)
        assert table is not None
        shown.append(cells.columns(table, ("frame_sha256",)).column("frame_sha256").to_pylist())
    assert shown == [[row.frame_sha256] for row in rows[:2]]


def _rows(store: Store, stage: str) -> list[RawFrame]:
    table = store.cell_table(stage, "film", TRACKER)
    assert table is not None
    return from_table(table.read(), RawFrame)


def test_what_another_recipe_published_stays_until_the_stage_is_through(tracker: Path, line: Line):
    line.make(line.cell(TRACKER))
    other = line.cell(TRACKER, {"score": {"high": 0.95}})
    shelf = other.shelf(other.recipes.scored_crops, ScoredCrop)
    cells, view = view_of(tracker)
    row = cells.rows(view.cells[0].scored_crops, ScoredCrop, view.crops.column("frame_sha256")[0].as_py())[0]  # pyright: ignore
    with telling(tracker, "film", "scored_crops", TRACKER, recipe=other.recipes.scored_crops.digest) as told:
        told.begin(6, 0)
        shelf.append(to_table([row], ScoredCrop), [row.frame_sha256])
        assert len(view_of(tracker)[1].crops) == 6
        assert "0 of 6" in texts(tracker)["scored_crops"]


def test_more_frames_of_a_live_tracker_join_the_published_ones(
    tracker: Path,
    line: Line,
    drop_frames: Callable[..., Path],
):
    line.make(line.cell(TRACKER))
    drop_frames(count=3, start=6)
    cell = line.cell(TRACKER)
    update_detections(cell, lambda: (line._detector,))
    update_masks(cell, lambda: line._segmenter)
    seen: list[int] = []

    def listen(_: object) -> None:
        seen.append(len(view_of(tracker)[1].crops))

    update_scored_crops(replace(cell, listen=listen))
    assert seen
    assert set(seen) == {6}, "the chunk of three is written at the end"
    assert len(view_of(tracker)[1].crops) == 9


def test_between_two_stages_of_a_run_the_page_goes_on_telling(tracker: Path, line: Line):
    update_detections(line.cell(TRACKER), lambda: (line._detector,))
    told = texts(tracker)
    assert told["detections"].startswith("done")
    assert told["segments"] == "next"
    assert texts(tracker, now=4e9) == {}, "nobody went on: that is no news for ever"
    assert texts(tracker, now=1.0) == {}, "a clock that was set back"


@pytest.mark.parametrize("content", ["{", "[]", '{"stage": "scored_crops"}', '{"done": 1e999}', ""])
def test_a_damaged_state_costs_no_page(tracker: Path, line: Line, content: str):
    line.make(line.cell(TRACKER))
    path = tracker / "progress" / TRACKER / "film" / "scored_crops.json"
    assert path.exists()
    path.write_text(content)
    client = Client(create_app(tracker, password_hash=None))
    assert client.get(f"/tracker/{TRACKER}").status_code == 200
    assert client.get(f"/api/tracker/{TRACKER}/progress").json()["crops"] == 6


def test_the_language_is_the_visitors(half_made: Path):
    client = Client(create_app(half_made, password_hash=None))
    told = client.get(f"/api/tracker/{TRACKER}/progress", Accept_Language="ja").json()
    assert "停止" in told["cells"][0]["stages"][-1]["text"]


def test_progress_needs_a_known_tracker(client: Client):
    assert client.get("/api/tracker/NOPE/progress").status_code == 404
    assert client.get("/api/tracker/..%2f..%2fetc/progress").status_code == 404


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")])
def test_durations_are_words(seconds: float, text: str):
    assert duration_text(seconds) == text


def test_a_state_without_a_rate_tells_no_time_left():
    assert StageState("T", "d", "masks", "running", 1, 2).seconds_left is None
    assert StageState("T", "d", "masks", "stopped", 1, 2, rate=3.0).seconds_left is None
