from __future__ import annotations

import os
import shutil

import pytest

from lora_assets.folder_watch import RESTLESS_SECONDS, look_at_folders, read_state, write_state
from lora_assets.specs import DatasetSpec


class _Clock:
    """Looks at one folder after the other, with a clock that the test moves."""

    def __init__(self, *specs: DatasetSpec) -> None:
        self.specs, self.now, self.cursor = specs, 1000.0, None

    def tick(self, seconds: float = 5.0):
        self.now += seconds
        watch = look_at_folders(self.specs, read_state(self.cursor), self.now, settle_s=6.0)
        self.cursor = write_state(watch.state)
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
        watch = look_at_folders(specs, state, 1000.0 + tick, budget_s=2.5, clock=lambda t=times: next(t))
        scanned.append({slug for slug, seen in watch.state.items() if seen.scanned_at == 1000.0 + tick})
        state = watch.state
    assert set.union(*scanned) == {str(n) for n in range(6)}


@pytest.mark.parametrize("cursor", [None, "", "no json", "[]", '{"film": {"unknown": 1}}'])
def test_an_unreadable_cursor_starts_anew(cursor):
    assert read_state(cursor) == {}
