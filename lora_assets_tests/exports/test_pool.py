from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lora_assets.exports.pool import export_pool
from lora_assets.exports.settings import ExportSettings
from lora_assets.specs import SpecError, TrackerSpec, write_tracker
from lora_assets.store import Store, StoreError
from lora_assets.tables import CharacterCrop, to_table
from lora_assets.verdicts import Mark, open_log, tracker_places
from lora_assets_tests.exports.drawn_cell import TRACKER, make_drawn_cell, publish_curated, publish_groups
from lora_assets_tests.judge.cells import a_row

SETTINGS = ExportSettings()


def mark(data, ids, values):
    places = {place.crop_id: place for place in tracker_places(Store(data), TRACKER)}
    with open_log(data) as log:
        for number, value in enumerate(values):
            place = places[ids[number]]
            log.append(Mark(TRACKER, place.dataset, place.frame_sha256, place.box, place.crop_id, value, f"r{number}"))


def chosen(data, settings=SETTINGS):
    pool = export_pool(Store(data), TRACKER, settings)
    return {crop.crop_id: crop for crop in pool.crops}, pool


def test_the_curated_dataset_decides_and_its_order_does_not(data):
    ids = make_drawn_cell(data)
    publish_curated(data, ids, chosen={0: False}, part={2: "validation"}, repeats={1: 2.5}, character_name={1: "Mio"})
    found, pool = chosen(data)
    assert set(found) == set(ids[1:])
    assert pool.source == "curated_dataset"
    assert pool.versions["curated_dataset"] == "v1"
    assert [found[crop].part for crop in ids[1:]] == ["train", "validation", "train"]
    assert found[ids[1]].repeats == 2.5
    assert found[ids[1]].framing == "full"
    publish_curated(data, ids[::-1])
    assert [crop.crop_id for crop in chosen(data)[1].crops] == [crop.crop_id for crop in sorted(
        chosen(data)[1].crops, key=lambda crop: crop.files[0])]  # fmt: skip


def test_without_a_curated_dataset_the_high_tier_is_taken_and_the_person_is_heard(data):
    ids = make_drawn_cell(data)
    found, pool = chosen(data)
    assert set(found) == set(ids)
    assert pool.source == "high tier"
    assert "there is no curated dataset" in pool.notes[0]
    mark(data, ids, ["exclude", "bad", "good"])
    assert set(chosen(data)[0]) == {ids[2], ids[3]}


def test_good_is_taken_whatever_its_tier(data):
    ids = make_drawn_cell(data, tier="low")
    assert not chosen(data)[0]
    mark(data, ids, ["good"])
    assert set(chosen(data)[0]) == {ids[0]}


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        (lambda data, ids: None, "no crop is in the high tier"),
        (lambda data, ids: publish_curated(data, ids, chosen=dict.fromkeys(range(4), False)), "none of the 4 crops"),
    ],
)
def test_an_empty_pool_says_why(data, prepare, told):
    prepare(data, make_drawn_cell(data, tier="low"))
    assert told in chosen(data)[1].why_empty


def test_a_tracker_that_was_never_run_says_so(data):
    write_tracker(data, TrackerSpec(TRACKER, ("film",)))
    for settings in (SETTINGS, ExportSettings(character="Mio")):
        assert "no scored crops yet" in chosen(data, settings)[1].why_empty


def test_a_missing_table_is_named(data):
    make_drawn_cell(data)
    Store(data).table_path("masks", "film", TRACKER).unlink()
    with pytest.raises(StoreError, match="masks missing or damaged"):
        chosen(data)


def test_chosen_crops_that_are_gone_are_told(data):
    ids = make_drawn_cell(data)
    publish_curated(data, [*ids, "f" * 32])
    assert "1 chosen crops are no longer" in chosen(data)[1].notes[0]


def test_two_characters_do_not_share_a_trigger_or_a_name(data):
    ids = make_drawn_cell(data)
    names, numbers = {0: "Mio", 1: "Ann", 2: "Ann", 3: "Mio"}, {0: "c1", 1: "c2", 2: "c2", 3: "c1"}
    publish_curated(data, ids, character_name=names, character_id=numbers)
    with pytest.raises(SpecError, match=r"2 characters \(Ann, Mio\).*\[export\] character"):
        chosen(data)
    assert set(chosen(data, ExportSettings(character="Mio"))[0]) == {ids[0], ids[3]}
    assert set(chosen(data, ExportSettings(character=" ｍio"))[0]) == {ids[0], ids[3]}  # as a person reads it
    assert set(chosen(data, ExportSettings(character="c2"))[0]) == {ids[1], ids[2]}
    assert "shows the character 'Bo'" in chosen(data, ExportSettings(character="Bo"))[1].why_empty
    publish_curated(data, ids, character_name=dict.fromkeys(range(4), "Mio"), character_id=numbers)
    with pytest.raises(SpecError, match=r"two characters are called 'Mio' \(c1, c2\)"):
        chosen(data)
    with pytest.raises(SpecError, match=r"two characters are called 'mio' \(c1, c2\)"):
        chosen(data, ExportSettings(character="mio"))
    assert set(chosen(data, ExportSettings(character="c1"))[0]) == {ids[0], ids[3]}
    publish_curated(data, ids, character_id=numbers)
    assert "2 characters without a name" in chosen(data)[1].notes[0]


@given(
    shots=st.lists(st.integers(0, 3), min_size=8, max_size=8),
    groups=st.lists(st.integers(0, 5), min_size=8, max_size=8),
    share=st.floats(0.0, 1.0),
)
@examples(
    max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
def test_no_shot_and_no_group_is_on_both_sides(tmp_path_factory, shots, groups, share):
    data = _eight_crops(tmp_path_factory)
    ids = [crop.crop_id for crop in export_pool(Store(data), TRACKER, SETTINGS).crops]
    publish_groups(data, {crop: f"s{shots[i]}" for i, crop in enumerate(ids)},
                   {crop: f"g{groups[i]}" for i, crop in enumerate(ids)})  # fmt: skip
    found, _ = chosen(data, ExportSettings(validation_share=share))
    parts = [found[crop].part for crop in ids]
    assert parts.count("validation") <= round(share * len(ids))
    for one in range(8):
        for other in range(8):
            if shots[one] == shots[other] or groups[one] == groups[other]:
                assert parts[one] == parts[other]


_KEPT: list = []


def _eight_crops(tmp_path_factory):
    if not _KEPT:
        data = tmp_path_factory.mktemp("eight") / "data"
        make_drawn_cell(data, [(40 + number, 60) for number in range(8)])
        _KEPT.append(data)
    return _KEPT[0]


def test_a_part_is_held_back_where_groups_are_known(data):
    ids = make_drawn_cell(data)
    publish_groups(data, {crop: crop for crop in ids}, {crop: crop for crop in ids})
    found, pool = chosen(data, ExportSettings(validation_share=0.5))
    assert sum(crop.part == "validation" for crop in found.values()) == 2
    assert pool.versions["crop_groups"] == "g1"


def test_frames_are_read_where_their_dataset_lies_now(data):
    make_drawn_cell(data)
    before = chosen(data)[1].crops[0].folder
    assert before == data / "input" / "film"
    moved = data.rename(data.with_name("elsewhere"))
    crop = chosen(moved)[1].crops[0]
    assert crop.folder == moved / "input" / "film"
    assert (crop.folder / crop.files[0]).exists()


def test_a_dataset_on_a_failing_disk_is_read_where_it_was_listed(data):
    make_drawn_cell(data)
    failing = data / "failing"
    failing.symlink_to("a" * 300)  # an OSError that Path.is_dir hands on, as that of a lost mount
    (data / "datasets").mkdir()
    (data / "datasets" / "film.toml").write_text(f'folder = "{failing}"\n')
    assert {crop.folder for crop in chosen(data)[1].crops} == {data / "input" / "film"}


def publish_characters(data, ids, names, numbers):
    rows = [
        a_row(CharacterCrop, crop_id=crop, frame_sha256="0" * 64, dataset="film", character_id=numbers[place],
              character_name=names[place], membership=0.9, similarity=None, is_reference_match=False)
        for place, crop in enumerate(ids)
    ]  # fmt: skip
    store = Store(data)
    store.publish(store.table_path("characters", TRACKER), CharacterCrop, [to_table(rows, CharacterCrop)], "c1", {})


def test_without_a_curated_dataset_a_character_is_told_by_the_table_of_characters(data):
    ids = make_drawn_cell(data)
    mio = ExportSettings(character="Mio")
    with pytest.raises(SpecError, match=r"who is shown is not known yet.*'Mio'.*lora-assets curate"):
        chosen(data, mio)
    publish_characters(data, ids, ["Mio", "Ann", "", "Mio"], ["ch-0001", "ch-0002", "", "ch-0001"])
    found, pool = chosen(data, mio)
    assert set(found) == {ids[0], ids[3]}
    assert found[ids[0]].character == "Mio"
    assert pool.versions["characters"] == "c1"
    assert "shows the character 'Bo'" in chosen(data, ExportSettings(character="Bo"))[1].why_empty
    with pytest.raises(SpecError, match=r"2 characters \(Ann, Mio\)"):
        chosen(data)
    mark(data, ids, ["good", "bad"])
    assert set(chosen(data)[0]) == {ids[0], ids[2], ids[3]}
