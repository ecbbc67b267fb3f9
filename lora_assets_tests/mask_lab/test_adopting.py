from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
