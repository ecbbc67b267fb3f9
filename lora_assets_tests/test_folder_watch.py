from __future__ import annotations

import itertools
import os
import shutil

import pytest

from lora_assets.folder_watch import RESTLESS_SECONDS, Listing, Watched, look_at_folders, read_state, write_state
from lora_assets.input_folders import scan_folder
from lora_assets.specs import DatasetSpec


class _Clock:
    """Looks at one folder after the other, with a clock that the test moves; runs list at once, or not at all."""

    def __init__(self, *specs: DatasetSpec, runs_succeed: bool = True) -> None:
        self.specs, self.now, self.cursor = specs, 1000.0, None
        self.runs_succeed, self.listings = runs_succeed, {}

    def tick(self, seconds: float = 5.0):
        self.now += seconds
        listed = lambda slug: self.listings.get(slug, Listing())  # noqa: E731
        watch = look_at_folders(self.specs, read_state(self.cursor), self.now, listed, settle_s=6.0)
        self.cursor = write_state(watch.state)
        if self.runs_succeed:
            for request in watch.requests:
                self.listings[request.dataset.slug] = Listing(scan_folder(request.dataset.folder).fingerprint)
        return watch

    def ask(self, ticks: int, seconds: float = 5.0) -> list[str]:
        return [request.key for _ in range(ticks) for request in self.tick(seconds).requests]


@pytest.fixture
def film(tmp_path):
    (tmp_path / "film").mkdir()
    return DatasetSpec("film", "film", tmp_path / "film")


def _put(spec, name="a.png", content=b"x"):
    (spec.folder / name).write_bytes(content)


def test_a_slow_copy_is_asked_for_once_and_when_it_stands_still(film):
    clock = _Clock(film)
    for number in range(5):
        _put(film, f"{number}.png")
        assert not clock.tick().requests
    assert len(clock.ask(6)) == 1
    assert clock.ask(10) == []


def test_a_folder_that_never_rests_is_taken_at_last(film):
    clock = _Clock(film)
    asked = []
    for number in range(int(RESTLESS_SECONDS / 5) + 3):
        _put(film, f"{number}.png")
        asked += clock.tick().requests
    assert len(asked) == 1


def test_returning_to_an_earlier_state_is_asked_for_again(film):
    clock = _Clock(film)
    _put(film)
    os.utime(film.folder / "a.png", (1, 1))
    first = clock.ask(4)
    _put(film, "b.png")
    second = clock.ask(4)
    (film.folder / "b.png").unlink()
    third = clock.ask(4)
    assert [len(keys) for keys in (first, second, third)] == [1, 1, 1]
    assert len({*first, *second, *third}) == 3


def test_a_vanished_folder_is_told_and_taken_up_when_it_returns(film):
    clock = _Clock(film)
    _put(film)
    assert len(clock.ask(4)) == 1
    shutil.move(film.folder, film.folder.with_name("away"))
    assert clock.tick().gone == ("film",)
    assert clock.ask(3) == []
    shutil.move(film.folder.with_name("away"), film.folder)
    watch = clock.tick()
    assert watch.gone == ()
    assert not watch.state["film"].gone
    assert clock.ask(4) == []  # nothing changed: nothing to do


def test_a_clock_that_is_set_back_holds_no_folder_up(film):
    clock = _Clock(film)
    clock.now = 1e9
    _put(film)
    clock.tick()
    clock.now = 1000.0
    assert len(clock.ask(4)) == 1
    _put(film, "b.png")
    clock.now = 1e9
    clock.tick()
    clock.now = 1000.0
    asked = []
    for number in range(int(RESTLESS_SECONDS / 5) + 3):
        _put(film, f"{number}.png")
        asked += clock.tick().requests
    assert len(asked) == 1, "and one that never rests is taken"


def test_a_folder_looked_at_before_the_clock_was_set_back_is_not_the_last_for_ever(tmp_path):
    specs = []
    for name in "ab":
        (tmp_path / name).mkdir()
        specs.append(DatasetSpec(name, name, tmp_path / name))
    state = {"a": Watched(scanned_at=1e9), "b": Watched(scanned_at=1000.0)}
    times = iter(range(100))
    watch = look_at_folders(specs, state, 1001.0, lambda _: Listing(), budget_s=1.5, clock=lambda: next(times))
    assert [slug for slug, seen in watch.state.items() if seen.scanned_at == 1001.0] == ["a"]


def test_an_empty_new_folder_waits_for_its_first_file(film):
    clock = _Clock(film)
    assert clock.ask(20) == []
    _put(film)
    assert len(clock.ask(4)) == 1


def test_a_spent_budget_goes_on_with_the_folders_left_out(tmp_path):
    specs = []
    for number in range(6):
        (tmp_path / str(number)).mkdir()
        _put(DatasetSpec("", "", tmp_path / str(number)))
        specs.append(DatasetSpec(str(number), str(number), tmp_path / str(number)))
    state, scanned = {}, []
    for tick in range(3):
        times = iter(range(100))
        watch = look_at_folders(
            specs, state, 1000.0 + tick, lambda _: Listing(), budget_s=2.5, clock=lambda t=times: next(t)
        )
        scanned.append({slug for slug, seen in watch.state.items() if seen.scanned_at == 1000.0 + tick})
        state = watch.state
    assert set.union(*scanned) == {str(n) for n in range(6)}


@pytest.mark.parametrize("cursor", [None, "", "no json", "[]", '{"film": {"unknown": 1}}'])
def test_an_unreadable_cursor_starts_anew(cursor):
    assert read_state(cursor) == {}


def test_a_copy_that_stops_when_it_is_taken_is_asked_for_once_more_at_rest(film):
    clock = _Clock(film)
    asked: list[str] = []
    for number in range(100):
        _put(film, f"{number}.png")
        asked += [request.key for request in clock.tick().requests]
        if asked:
            break
    asked += clock.ask(30)
    assert len(asked) == len(set(asked)) == 2


def test_a_state_that_was_not_listed_is_asked_for_again_with_growing_waits(film):
    clock = _Clock(film, runs_succeed=False)
    _put(film)
    times, keys = [], []
    for _ in range(3 * 3600 // 10):
        for request in clock.tick(10.0).requests:
            times.append(clock.now)
            keys.append(request.key)
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert waits[:4] == [60.0, 120.0, 240.0, 480.0]
    assert max(waits) == 3600.0
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("listing", [Listing("another state"), Listing("", 0), None])
def test_another_state_and_left_out_files_are_not_what_was_asked_for(film, listing):
    clock = _Clock(film)
    _put(film)
    assert len(clock.ask(4)) == 1
    clock.listings["film"] = listing or Listing(scan_folder(film.folder).fingerprint, unsettled=1)
    assert len(clock.ask(13)) == 1
    assert clock.ask(30) == []


def test_a_run_that_goes_on_is_not_doubled(film):
    clock = _Clock(film, runs_succeed=False)
    _put(film)
    assert len(clock.ask(4)) == 1
    clock.listings["film"] = Listing(running=True)
    assert clock.ask(1000) == []
    clock.listings["film"] = Listing()
    assert len(clock.ask(1)) == 1


def test_a_folder_that_lost_its_files_is_not_asked_for_for_ever(film):
    clock = _Clock(film)
    _put(film)
    assert len(clock.ask(4)) == 1
    (film.folder / "a.png").unlink()
    clock.runs_succeed = False  # the listing refuses a dataset that is suddenly empty
    assert len(clock.ask(4)) == 1
    assert clock.ask(100) == []


def test_a_lost_cursor_does_not_repeat_a_key(film):
    clock = _Clock(film)
    _put(film)
    first = clock.ask(4)
    clock.cursor = None
    second = clock.ask(4)
    assert len(first) == len(second) == 1
    assert first != second


def test_a_run_that_died_with_its_process_is_replaced_at_once_and_however_often(film):
    clock = _Clock(film, runs_succeed=False)
    _put(film)
    keys = clock.ask(4)
    assert len(keys) == 1
    for _ in range(20):
        clock.listings["film"] = Listing(running=True)
        assert clock.ask(2) == []
        clock.listings["film"] = Listing(died=True)
        keys += clock.ask(1)
    assert len(set(keys)) == len(keys) == 21
    clock.listings["film"] = Listing()
    assert clock.ask(3) == []
    assert len(clock.ask(10)) == 1, "and one that fails by itself waits, as the first time"
