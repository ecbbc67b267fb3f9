"""Verdicts on a tracker's crops: followed row by row as matching all at once would, kept apart per tracker, undone."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lora_assets.specs import TrackerSpec, write_tracker
from lora_assets.store import Store
from lora_assets.tables import Detection, Mask, RawFrame, ScoredCrop, to_table
from lora_assets.tracker.cells import Cells
from lora_assets.tracker.marking import Change, Said, TrackerMarks, UnknownCrop, VerdictBook
from lora_assets.tracker.view import VERDICTS
from lora_assets.verdicts import VerdictLog, match_verdicts, open_log, tracker_places
from lora_assets.verdicts.log import LogUnusable, NothingToUndo, log_path
from lora_assets_tests.tracker.drawn_data import scored

TRACKERS = {"OLD": 0.0, "NEAR": 2.0, "FAR": 60.0}
"""Trackers by how far their boxes lie from those of OLD, pixels: IoU 1, 0.96 and 0.25."""


def write_moved(data: Path, tracker: str, shift: float) -> None:
    """Six frames with two boxes each; the last crop of each frame is vetoed."""
    store = Store(data)
    frames, boxes, crops = [], [], []
    for number in range(6):
        sha256 = f"{number:064x}"
        frames.append(RawFrame(f"{number}.png", sha256, 1, 1, 1, 900, 90, "PNG", 0.5, 0.1, 9.0, "0" * 16, None))
        for side in (0, 1):
            x1 = 400.0 * side + shift
            row = Mask(
                sha256,
                f"{number:015x}{side}",
                int(x1),
                0,
                100,
                80,
                f"{tracker}{number}{side}".encode(),
                9,
                0.1,
                0.9,
                0.9,
            )
            boxes.append(Detection(sha256, row.detection_id, "person", 0.8, x1, 0.0, x1 + 100, 80.0, "d", True))
            crops.append(scored(row, (int(x1), 0, 100, 80), 0.9, ["black"] if side else []))
    for stage, kind, rows in (
        ("frames", RawFrame, frames), ("detections", Detection, boxes), ("scored_crops", ScoredCrop, crops)
    ):  # fmt: skip
        store.publish(store.table_path(stage, "ep", tracker), kind, [to_table(rows, kind)], "1", {})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for tracker, shift in TRACKERS.items():
        write_tracker(tmp_path, TrackerSpec(tracker, ("ep",)))
        write_moved(tmp_path, tracker, shift)
    return tmp_path


def marks_of(data: Path, tracker: str, book: VerdictBook | None = None) -> TrackerMarks:
    cells = Cells(data)
    return TrackerMarks(cells, tracker, cells.of(cells.spec(tracker)), book or VerdictBook(data))


def crops_of(data: Path, tracker: str) -> list[str]:
    return [place.crop_id for place in tracker_places(Store(data), tracker)]


def at_once(data: Path, tracker: str) -> dict[str, str]:
    """What matching the whole log at once says of each crop."""
    with open_log(data) as log:
        matched = match_verdicts(list(log.current().values()), tracker_places(Store(data), tracker)).by_crop()
    return {crop: verdict.value for crop, verdict in matched.items() if verdict.value != "cleared"}


_STEP = st.tuples(
    st.sampled_from(sorted(TRACKERS)), st.sets(st.integers(0, 11), min_size=1, max_size=4),
    st.sampled_from(["good", "bad", "exclude", "cleared", "undo"]),
)  # fmt: skip


@settings(
    deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(_STEP, max_size=8))
def test_following_row_by_row_says_what_matching_at_once_says(data: Path, tmp_path_factory, steps):
    here = shutil.copytree(data, tmp_path_factory.mktemp("run"), dirs_exist_ok=True)
    book = VerdictBook(here)
    marks = {tracker: marks_of(here, tracker, book) for tracker in TRACKERS}
    done: dict[str, list[int]] = {tracker: [] for tracker in TRACKERS}
    for number, (tracker, rows, value) in enumerate(steps):
        crops = crops_of(here, tracker)
        if value == "undo":
            if done[tracker]:
                marks[tracker].undo(f"request{number}")
                done[tracker].pop()
        else:
            marks[tracker].mark(f"request{number}", [Change(crops[row], value, 0, "") for row in sorted(rows)])
            done[tracker].append(number)
        for name, one in marks.items():
            one.follow()
            expected = at_once(here, name)
            assert {crop: one.said(crop).value for crop in crops_of(here, name) if one.said(crop).value} == expected
            assert one.counts()["good"] == list(expected.values()).count("good")
    for name, one in marks.items():
        fresh = marks_of(here, name)
        fresh.follow()
        assert (fresh.codes == one.codes).all()


def test_a_word_survives_a_moved_box_and_not_another_place(data: Path):
    book = VerdictBook(data)
    first = crops_of(data, "OLD")[0]
    marks_of(data, "OLD", book).mark("request-1", [Change(first, "bad", 2, "cut off")])
    near, far = marks_of(data, "NEAR", book), marks_of(data, "FAR", book)
    near.follow()
    far.follow()
    said = near.said(crops_of(data, "NEAR")[0])
    assert (said.value, said.stars, said.note, said.overrules) == ("bad", 2, "cut off", False)
    assert VERDICTS[near.codes[0]] == "bad"
    assert set(far.counts().values()) == {12, 0}


def test_what_a_mark_does_not_name_stays_and_a_good_word_overrules_a_veto(data: Path):
    marks = marks_of(data, "OLD")
    fine, vetoed = crops_of(data, "OLD")[:2]
    marks.mark("request-1", [Change(fine, "good"), Change(vetoed, "good")])
    assert not marks.said(fine).overrules
    assert marks.said(vetoed).overrules
    answer = marks.mark("request-2", [Change(fine, stars=4), Change(vetoed, note="her cape")])
    assert (answer.before[fine].stars, answer.now[fine].stars, answer.now[fine].value) == (None, 4, "good")
    assert (marks.said(vetoed).note, marks.said(vetoed).value) == ("her cape", "good")
    marks.mark("request-3", [Change(fine, "cleared")])
    assert (marks.said(fine).value, marks.said(fine).stars) == ("", 4)


def test_a_request_sent_again_counts_once(data: Path):
    marks = marks_of(data, "OLD")
    crop = crops_of(data, "OLD")[0]
    for _ in range(3):
        assert marks.mark("request-1", [Change(crop, stars=3)]).now[crop].stars == 3
    assert marks.seq == 1
    marks.mark("request-2", [Change(crop, stars=5)])
    assert marks.mark("request-1", [Change(crop, stars=3)]).now[crop].stars == 5


def test_undo_takes_back_an_action_of_many_and_then_the_one_before(data: Path):
    marks = marks_of(data, "OLD")
    crops = crops_of(data, "OLD")
    marks.mark("request-1", [Change(crops[0], "good", 5)])
    marks.mark("request-2", [Change(crop, "exclude") for crop in crops])
    assert marks_of(data, "OLD").undo("undo-0001").now[crops[0]].stars == 5
    marks.follow()
    assert marks.counts() == {"": 11, "good": 1, "bad": 0, "exclude": 0}
    assert set(marks.undo("undo-0002").now) == {crops[0]}
    assert set(marks.undo("undo-0002").now) == {crops[0]}  # sent again
    assert marks.counts()[""] == 12


def test_an_undo_brings_back_the_word_that_came_from_another_tracker(data: Path):
    book = VerdictBook(data)
    old, near = marks_of(data, "OLD", book), marks_of(data, "NEAR", book)
    before, after = crops_of(data, "OLD")[0], crops_of(data, "NEAR")[0]
    old.mark("request-1", [Change(before, "good", 4, "her cape")])
    near.mark("request-2", [Change(after, "bad")])
    assert near.said(after).value == "bad"
    answer = near.undo("undo-0001")
    assert (answer.now[after].value, answer.now[after].stars, answer.now[after].note) == ("good", 4, "her cape")
    near.mark("request-3", [Change(after, "cleared", 0, "")])
    assert near.said(after).value == "", "a person's own clearing holds the older word off"
    near.undo("undo-0002")
    assert near.said(after).value == "good"


def test_an_undo_of_a_crop_that_was_made_anew_tells_of_one_crop(data: Path):
    old = marks_of(data, "OLD")
    old.mark("request-1", [Change(crops_of(data, "OLD")[0], "good")])
    store, remade = Store(data), crops_of(data, "NEAR")[0]
    for stage in ("frames", "detections", "scored_crops"):
        shutil.copy(store.table_path(stage, "ep", "NEAR"), store.table_path(stage, "ep", "OLD"))
    marks = marks_of(data, "OLD")
    marks.follow()
    assert marks.said(remade).value == "good"
    answer = marks.undo("undo-0001")
    assert {crop: said.value for crop, said in answer.now.items()} == {remade: ""}


def test_an_undo_of_a_crop_that_is_gone_is_told_by_its_old_id(data: Path):
    old = marks_of(data, "OLD")
    gone = crops_of(data, "OLD")[0]
    old.mark("request-1", [Change(gone, "good")])
    for stage in ("frames", "detections", "scored_crops"):
        shutil.copy(Store(data).table_path(stage, "ep", "FAR"), Store(data).table_path(stage, "ep", "OLD"))
    assert set(marks_of(data, "OLD").undo("undo-0001").now) == {gone}


def test_an_undo_leaves_what_was_said_elsewhere_since(data: Path):
    book = VerdictBook(data)
    old = marks_of(data, "OLD", book)
    shared, other = crops_of(data, "OLD")[:2]
    old.mark("request-1", [Change(shared, "good"), Change(other, "good")])
    with open_log(data) as log:
        (verdict,) = log.history(shared)
        log.append(dataclasses.replace(verdict.mark, tracker="NEAR", value="bad", request_id="elsewhere"))
    old.undo("undo-0001")
    assert (old.said(shared).value, old.said(other).value) == ("bad", "")


def test_changes_are_told_from_a_number_on(data: Path):
    marks = marks_of(data, "OLD")
    crops = crops_of(data, "OLD")
    marks.mark("request-1", [Change(crops[0], "good")])
    marks.mark("request-2", [Change(crops[3], "bad"), Change(crops[4], "bad")])
    assert set(marks.since(0)) == {crops[0], crops[3], crops[4]}
    assert set(marks.since(1)) == {crops[3], crops[4]}
    assert marks.since(marks.seq) == {}
    marks.undo("undo-0001")
    assert marks.since(3) == {crop: Said(at=marks.said(crop).at) for crop in crops[3:5]}


def test_an_unknown_crop_is_refused_and_the_others_are_marked(data: Path):
    marks = marks_of(data, "OLD")
    with pytest.raises(UnknownCrop, match="f" * 32):
        marks.mark("request-1", [Change("f" * 32, "good")])
    assert marks.follow() == 0
    known = crops_of(data, "OLD")[0]
    answer = marks.mark("request-2", [Change(known, "good"), Change("f" * 32, "good")])
    assert (set(answer.now), set(answer.refused), marks.follow()) == ({known}, {"f" * 32}, 1)
    assert "reload the page" in answer.refused["f" * 32]


def test_an_undo_in_one_tracker_gets_past_a_crop_that_another_one_marked(data: Path):
    shared = TrackerSpec("TWIN", ("ep",))
    write_tracker(data, shared)
    for stage in ("frames", "detections", "scored_crops"):
        table = Store(data).table_path(stage, "ep", "TWIN")
        table.parent.mkdir(parents=True)
        shutil.copy(Store(data).table_path(stage, "ep", "OLD"), table)
    book = VerdictBook(data)
    old, twin = marks_of(data, "OLD", book), marks_of(data, "TWIN", book)
    first, second = crops_of(data, "OLD")[:2]
    old.mark("request-1", [Change(first, "good")])
    old.mark("request-2", [Change(second, "good")])
    twin.mark("request-3", [Change(second, "bad")])
    assert set(old.undo("undo-0001").now) == {first}
    assert (old.said(first).value, old.said(second).value) == ("", "bad")
    with pytest.raises(NothingToUndo):
        old.undo("undo-0002")


def test_what_two_views_of_a_crop_change_at_once_is_merged(data: Path, monkeypatch: pytest.MonkeyPatch):
    book = VerdictBook(data)
    one, other = marks_of(data, "OLD", book), marks_of(data, "OLD", book)
    crop = crops_of(data, "OLD")[0]
    one.mark("request-0", [Change(crop, "good")])
    began, second = threading.Event(), []
    taken = VerdictLog.taken

    def meanwhile(log: VerdictLog, ids):
        if not second:
            thread = threading.Thread(
                target=lambda: (began.set(), other.mark("request-2", [Change(crop, note="cape")]))
            )
            second.append(thread)
            thread.start()
            began.wait()
            thread.join(0.05)  # it waits for this mark to be through
        return taken(log, ids)

    monkeypatch.setattr(VerdictLog, "taken", meanwhile)
    one.mark("request-1", [Change(crop, stars=4)])
    second[0].join()
    one.follow()
    assert (one.said(crop).value, one.said(crop).stars, one.said(crop).note) == ("good", 4, "cape")


def test_another_tab_is_told_a_mark_and_its_number_together(data: Path, monkeypatch: pytest.MonkeyPatch):
    marks = marks_of(data, "OLD")
    first, second = crops_of(data, "OLD")[:2]
    marks.mark("request-1", [Change(first, "good")])
    since, begun = TrackerMarks.since, []

    def and_then_a_mark(self: TrackerMarks, number: int):
        found = since(self, number)
        if not begun:
            begun.append(threading.Thread(target=lambda: marks.mark("request-2", [Change(second, "bad")])))
            begun[0].start()
            begun[0].join(0.05)
        return found

    monkeypatch.setattr(TrackerMarks, "since", and_then_a_mark)
    news = marks.news(0)
    begun[0].join()
    assert (news.seq, set(news.crops)) == (1, {first})
    assert set(marks.news(news.seq).crops) == {second}


def test_a_restored_log_is_followed_by_a_server_that_stays_up(data: Path):
    book = VerdictBook(data)
    marks = marks_of(data, "OLD", book)
    crops = crops_of(data, "OLD")
    marks.mark("request-1", [Change(crops[0], "good")])
    with open_log(data) as log:
        backup = log.backup(data / "backup.sqlite")
    marks.mark("request-2", [Change(crops[1], "bad")])
    marks.mark("request-3", [Change(crops[2], "bad")])
    path = log_path(data)
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).rename(data / f"old{end}")
    with pytest.raises(LogUnusable, match="put it or a backup of it back"):
        marks.mark("request-4", [Change(crops[3], "good")])
    shutil.copy(backup, path)
    marks.follow()
    assert [marks.said(crop).value for crop in crops[:4]] == ["good", "", "", ""]
    assert marks.counts() == {"": 11, "good": 1, "bad": 0, "exclude": 0}
    news = marks.news(3)
    assert (news.after, news.seq, set(news.crops)) == (0, 1, set(crops[:3]))
    marks.mark("request-4", [Change(crops[3], "good")])
    with open_log(data) as log:
        assert log.last_row() == 2


def test_without_a_log_nothing_is_written_by_looking(data: Path):
    marks = marks_of(data, "OLD")
    marks.try_follow()
    assert (marks.fault, marks.counts()[""]) == ("", 12)
    assert not (data / "verdicts").exists()


def test_a_damaged_log_is_told_and_the_rest_goes_on(data: Path):
    (data / "verdicts").mkdir()
    (data / "verdicts" / "verdicts.sqlite").write_bytes(b"not a database" * 500)
    marks = marks_of(data, "OLD")
    marks.try_follow()
    assert "backups" in marks.fault
    assert marks.counts()[""] == 12
