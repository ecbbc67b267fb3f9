from __future__ import annotations

import threading
import tomllib
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets import specs
from lora_assets.mask_lab.adopting import NameTaken, TrackerSealed, adopt_preset, suggested_id
from lora_assets.recipes import tracker_recipes
from lora_assets.specs import LIVE, SpecError, TrackerSpec, check_tracker_id, read_tracker, set_sealed, write_tracker

TEXT = """# my tracker
note = "first try"  # why
sealed = false

[detect]
conf = 0.3 # low

[refine]
# whole characters
preset = "extended" # steady
spare_neighbours = false
"""


@pytest.fixture
def tracker(data):
    path = data / "trackers" / "T-1.toml"
    path.parent.mkdir(parents=True)
    path.write_text(TEXT)
    return path


def test_the_preset_is_written_and_all_else_of_the_file_stays(data, tracker):
    done = adopt_preset(data, "T-1", "smooth")
    assert (done.tracker, done.preset, done.before, done.is_new) == ("T-1", "smooth", "extended", False)
    assert tracker.read_text() == TEXT.replace('"extended"', '"smooth"')
    adopt_preset(data, "T-1", " aggressive : dilate = 5 ".strip())
    assert read_tracker(data, "T-1").settings["refine"]["preset"] == "aggressive:dilate=5"


def test_a_tracker_without_the_section_gets_it(data):
    write_tracker(data, TrackerSpec("T-2", note="plain"))
    assert adopt_preset(data, "T-2", "fine").before == "aggressive"
    assert read_tracker(data, "T-2").settings == {"refine": {"preset": "fine"}}


def test_adopting_changes_the_masks_recipe_and_no_other_before_it(data, tracker):
    before = tracker_recipes(read_tracker(data, "T-1"), data)
    adopt_preset(data, "T-1", "smooth")
    after = tracker_recipes(read_tracker(data, "T-1"), data)
    assert before.segments.digest == after.segments.digest
    assert before.masks.digest != after.masks.digest
    assert after.masks.settings["gaussian"] == 11


def test_a_sealed_tracker_stays_and_a_copy_is_made(data, tracker):
    set_sealed(data, "T-1", True)
    before = tracker.read_text()
    with pytest.raises(TrackerSealed, match=r"is sealed .*lora-assets adopt T-1 smooth --as T-1-smooth"):
        adopt_preset(data, "T-1", "smooth")
    done = adopt_preset(data, "T-1", "smooth", "T-1-smooth")
    assert done.is_new and tracker.read_text() == before
    told = tomllib.loads(done.path.read_text())
    assert told["sealed"] is False and told["baseline"] == "T-1"
    assert told["note"] == "T-1 with refinement preset smooth; first try"
    assert told["refine"] == {"preset": "smooth", "spare_neighbours": False} and told["detect"] == {"conf": 0.3}
    assert "# low" in done.path.read_text()
    assert suggested_id(data, "T-1", "smooth") == "T-1-smooth-2"
    with pytest.raises(NameTaken, match="exists already"):
        adopt_preset(data, "T-1", "fine", "T-1-smooth")


def test_a_seal_that_came_while_adopting_waited_is_kept(data, tracker, monkeypatch):
    """Whoever waits for the file reads it anew when it is free."""
    waited = specs.tracker_file_lock

    def sealed_meanwhile(place, name):
        set_sealed(data, "T-1", True)
        return waited(place, name)

    monkeypatch.setattr("lora_assets.mask_lab.adopting.tracker_file_lock", sealed_meanwhile)
    with pytest.raises(TrackerSealed):
        adopt_preset(data, "T-1", "smooth")
    assert tracker.read_text() == TEXT.replace("sealed = false", "sealed = true")


def test_sealing_and_adopting_side_by_side_lose_neither(data, tracker):
    """Both write the whole file: without one lock the later would write what it read before the earlier."""
    seals = [threading.Thread(target=set_sealed, args=(data, "T-1", sealed)) for sealed in (True, False) * 4]
    told: list[str] = []

    def adopt() -> None:
        for preset in ("smooth", "fine", "baseline"):
            try:
                adopt_preset(data, "T-1", preset)
                told.append(preset)
            except TrackerSealed:
                pass

    threads = [*seals, threading.Thread(target=adopt)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_tracker(data, "T-1").settings["refine"]["preset"] == (told[-1] if told else "extended")


def test_whoever_writes_a_trackers_file_waits_for_its_lock(data, tracker):
    done: list[str] = []
    writers = {
        "sealed": lambda: set_sealed(data, "T-1", True),
        "copied": lambda: adopt_preset(data, "T-1", "fine", "T-2"),
        "written": lambda: write_tracker(data, TrackerSpec("T-3")),
    }

    def run(name: str) -> None:
        writers[name]()
        done.append(name)

    threads = [threading.Thread(target=run, args=(name,)) for name in writers]
    with ExitStack() as held:
        for name in ("T-1", "T-2", "T-3"):
            held.enter_context(specs.tracker_file_lock(data, name))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(0.05)
        assert done == [] and tracker.read_text() == TEXT
    for thread in threads:
        thread.join()
    assert sorted(done) == sorted(writers) and read_tracker(data, "T-1").sealed


@pytest.mark.parametrize(
    ("tracker_id", "preset", "as_tracker", "told"),
    [
        ("NOBODY", "smooth", "", "there is no tracker NOBODY"),
        ("T-1", "smoth", "", "did you mean smooth"),
        ("T-1", "aggressive:dilate=4", "", "a kernel has a middle pixel"),
        ("T-1", "smooth", "../evil", "does not fit"),
        ("../T-1", "smooth", "", "does not fit"),
        ("T-1", "smooth", LIVE, "LIVE follows every folder"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_is_written(data, tracker, tracker_id, preset, as_tracker, told):
    with pytest.raises(SpecError, match=told):
        adopt_preset(data, tracker_id, preset, as_tracker)
    assert tracker.read_text() == TEXT
    assert [path.name for path in tracker.parent.glob("*.toml")] == ["T-1.toml"]


@given(
    st.text("ABC-_09", min_size=1, max_size=64),
    st.sampled_from(("smooth", "alpha_matting", "aggressive:dilate=5,dilate_iterations=2")),
)
@settings(deadline=None, max_examples=40)
def test_a_suggested_id_always_fits(tmp_path_factory, tracker, preset):
    assert check_tracker_id(suggested_id(tmp_path_factory.getbasetemp(), tracker, preset))
