from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from lora_assets.exports.caption_files import beside_frame
from lora_assets.exports.caption_log import write_captions
from lora_assets.exports.caption_text import CaptionError
from lora_assets.exports.captioning import NamedTagger, captions_for, make_captions
from lora_assets.exports.pool import export_pool
from lora_assets.exports.settings import CaptionSettings, ExportSettings
from lora_assets.exports.tagging import named_tagger
from lora_assets.models import ModelError
from lora_assets.specs import TrackerSpec, tracker_path, write_tracker
from lora_assets.store import Store
from lora_assets.tables import CropCaption, from_table
from lora_assets.verdicts import tracker_places
from lora_assets.vision.tagger import Tag
from lora_assets_tests.exports.drawn_cell import DATASET, TRACKER, make_drawn_cell, publish_curated
from lora_assets_tests.vision.test_tagger import tag_list, tiny_tagger

EXPORT = ExportSettings(trigger="mio")


class CountingTagger:
    """Says smile and blue hair of everything, and how many pictures it was shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def named(self, digest: str = "d1") -> NamedTagger:
        return NamedTagger("counting", digest, lambda: self)

    def __call__(self, pictures):
        self.shown += [picture.shape for picture in pictures]
        return [[Tag("blue_hair", "general", 0.9), Tag("smile", "general", 0.8), Tag("hat", "general", 0.2)]] * len(
            pictures
        )


@pytest.fixture
def store(data):
    make_drawn_cell(data)
    return Store(data)


def captioned(store, settings=None, tagger=None, why="", export=EXPORT):
    pool = export_pool(store, TRACKER, export)
    made = make_captions(store, TRACKER, pool, settings or CaptionSettings(), export, tagger, why)
    return made, {row.crop_id: row for row in from_table(made.table.read(), CropCaption)}


def test_without_a_tagger_captions_are_the_template_and_that_is_said(store, data):
    tagger, why = named_tagger(data, CaptionSettings())
    assert tagger is None
    assert "lora-assets models pull wd-swinv2-v3;" in why
    made, rows = captioned(store, tagger=tagger, why=why)
    assert made.sources == {"written": 0, "file": 0, "tags": 0, "template": 4}
    assert {row.caption for row in rows.values()} == {"mio, character"}
    assert made.notes == (why,)


def test_crops_are_tagged_once_and_thresholds_cost_nothing(store):
    tagger = CountingTagger()
    made, rows = captioned(store, tagger=tagger.named())
    assert (made.tagged, len(tagger.shown)) == (4, 4)
    assert {row.caption for row in rows.values()} == {"mio, character, smile"}
    assert next(iter(rows.values())).pruned == ["blue_hair"]
    made, rows = captioned(store, CaptionSettings(general_threshold=0.15, prune=()), tagger.named())
    assert (made.tagged, len(tagger.shown)) == (0, 4)
    assert {row.caption for row in rows.values()} == {"mio, character, blue hair, smile, hat"}
    assert (
        captioned(store, tagger=tagger.named())[0].table.version
        == captioned(store, tagger=tagger.named())[0].table.version
    )
    captioned(store, tagger=tagger.named("other weights"))
    captioned(store, CaptionSettings(look_at="cutout"), tagger.named())
    assert len(tagger.shown) == 12


def test_a_new_crop_alone_is_tagged(store, data):
    tagger = CountingTagger()
    captioned(store, tagger=tagger.named())
    make_drawn_cell(data, [(320, 200), (200, 320), (257, 131), (64, 300), (120, 90)])
    made, rows = captioned(store, tagger=tagger.named())
    assert (made.tagged, len(rows)) == (1, 5)


def test_a_persons_words_win_over_files_and_those_over_tags(store, data):
    pool = export_pool(store, TRACKER, EXPORT)
    one, two, three, four = pool.crops
    (data / "captions").mkdir()
    rows = [
        {"crop_id": one.crop_id, "caption": "from the crop's row"},
        {"frame": two.files[0], "caption": "from the frame's row"},
    ]
    (data / "captions" / f"{DATASET}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for crop in (one, two, three):
        (crop.folder / crop.files[0]).with_suffix(".txt").write_text("beside the frame\n")
    places = {place.crop_id: place for place in tracker_places(store, TRACKER)}
    write_captions(data, [(places[one.crop_id], "by hand, mio")])
    made, found = captioned(store, tagger=CountingTagger().named())
    assert found[one.crop_id].caption == "mio, by hand"
    assert (found[two.crop_id].caption, found[two.crop_id].origin) == ("mio, from the frame's row", "film.jsonl")
    assert (found[three.crop_id].caption, found[three.crop_id].origin) == ("mio, beside the frame", "f0002.txt")
    assert found[four.crop_id].source == "tags"
    assert made.sources == {"written": 1, "file": 2, "tags": 1, "template": 0}
    write_captions(data, [(places[one.crop_id], "")])
    assert captioned(store)[1][one.crop_id].caption == "mio, from the crop's row"


def test_a_csv_of_captions_is_read_too(store, data):
    crop = export_pool(store, TRACKER, EXPORT).crops[0]
    (data / "captions").mkdir()
    (data / "captions" / f"{DATASET}.csv").write_text(f'crop_id,caption\n{crop.crop_id},"mio, in a coat"\nffff,mio\n')
    made, found = captioned(store)
    assert found[crop.crop_id].caption == "mio, in a coat"
    assert "1 crops that are not exported (ffff)" in made.notes[-1]


def test_a_frame_whose_name_leaves_no_room_for_the_ending_has_no_caption_beside(store):
    crop = export_pool(store, TRACKER, EXPORT).crops[0]
    assert beside_frame(dataclasses.replace(crop, files=("a" * 255,))) is None


def test_a_caption_of_a_frame_that_is_not_there_is_told(store, data):
    (data / "captions").mkdir()
    rows = [{"frame": "f0000.png", "caption": "mio, in a coat"}, {"frame": "film/f0001.png", "caption": "mio"}]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (data / "captions" / f"{DATASET}.jsonl").write_text(text)
    made, _ = captioned(store)
    assert made.sources["file"] == 1
    assert "1 frames that the tracker does not have (film/f0001.png)" in made.notes[-1]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("film.jsonl", '{"crop_id": "a", "caption": "two\\nlines"}\n', "line 1: it holds a line break"),
        ("film.jsonl", '{"caption": "whose?"}\n', "names neither crop_id nor frame"),
        ("film.jsonl", '{"crop_id": "a", "caption": ["mio", "coat"]}\n', "line 1: its caption is no text in quotes"),
        ("film.jsonl", "[1]\n", "line 1 is no object"),
        ("film.jsonl", "{\n", "line 1 is no JSON"),
        ("film.csv", "crop,text\n1,2\n", "first line with caption"),
        ("../input/film/f0000.txt", "one\ntwo\n", "f0000.txt: it holds a line break"),
    ],
)
def test_files_that_cannot_be_used_are_named_with_the_line(store, data, name, content, told):
    (data / "captions").mkdir()
    path = data / "captions" / name
    path.write_text(content)
    with pytest.raises(CaptionError, match=told):
        captioned(store)
    assert store.published(store.table_path("captions", TRACKER)) is None


def test_a_named_file_that_is_not_there_is_told(store):
    with pytest.raises(CaptionError, match="is not there"):
        captioned(store, CaptionSettings(own="mine.jsonl"))


def test_another_trigger_and_the_facts_of_the_curated_dataset(store, data):
    ids = [crop.crop_id for crop in export_pool(store, TRACKER, EXPORT).crops]
    publish_curated(data, ids, framing={0: "bust"}, expression={0: "open_mouth"})
    settings = CaptionSettings(template="{trigger}, {framing}, {view}, {expression}, {dataset}, {tier}, {tags}")
    captioned(store, settings, CountingTagger().named())
    pool = export_pool(store, TRACKER, EXPORT)
    found = captions_for(store, TRACKER, pool.crops, settings, ExportSettings(trigger="ann"))
    texts = found.texts
    assert found.version
    assert found.notes == ()
    assert texts[ids[0]] == "ann, portrait, front, open mouth, film, high, smile"
    assert texts[ids[1]].startswith("ann, full body, front, film")


def test_a_crop_that_cannot_be_seen_is_captioned_by_the_template(store):
    crop = export_pool(store, TRACKER, EXPORT).crops[0]
    (crop.folder / crop.files[0]).unlink()
    made, rows = captioned(store, tagger=CountingTagger().named())
    assert (made.sources["tags"], made.sources["template"]) == (3, 1)
    assert rows[crop.crop_id].caption == "mio, character"
    assert "could not be tagged" in made.notes[0]


def test_a_tagger_of_ones_own_is_found_by_its_path(store, data, tmp_path: Path):
    model = tiny_tagger(tmp_path / "mine.onnx", side=32)
    with pytest.raises(ModelError, match="no list of tags beside it"):
        named_tagger(data, CaptionSettings(tagger=str(model)))
    tag_list(tmp_path / "selected_tags.csv")
    tagger, why = named_tagger(data, CaptionSettings(tagger=str(model)))
    assert (why, tagger.name if tagger else "") == ("", "mine")
    made, rows = captioned(store, CaptionSettings(general_threshold=0.1, prune=()), tagger)
    assert made.sources["tags"] == 4
    assert any("channel" in row.caption for row in rows.values())
    assert named_tagger(data, CaptionSettings(tagger=""))[0] is None
    with pytest.raises(ModelError, match="neither a name"):
        named_tagger(data, CaptionSettings(tagger="nonesuch"))
    with pytest.raises(ModelError, match="is no tagger"):
        named_tagger(data, CaptionSettings(tagger="u2netp"))


def test_a_persons_words_are_exported_though_the_table_is_older_than_they_are(store, data):
    captioned(store, tagger=CountingTagger().named())
    crops = export_pool(store, TRACKER, EXPORT).crops
    places = {place.crop_id: place for place in tracker_places(store, TRACKER)}

    def texts():
        return captions_for(store, TRACKER, crops, CaptionSettings(), EXPORT).texts

    write_captions(data, [(places[crops[0].crop_id], "by hand")])
    (crops[1].folder / crops[1].files[0]).with_suffix(".txt").write_text("beside the frame")
    assert [texts()[crop.crop_id] for crop in crops[:3]] == [
        "mio, by hand", "mio, beside the frame", "mio, character, smile"
    ]  # fmt: skip
    captioned(store, tagger=CountingTagger().named())
    write_captions(data, [(places[crops[0].crop_id], "")])
    assert texts()[crops[0].crop_id] == "mio, character, smile"
    found = captions_for(store, TRACKER, crops, CaptionSettings(), ExportSettings(trigger="ann"))
    assert found.texts[crops[1].crop_id] == "ann, beside the frame"


def test_crops_that_are_not_in_the_table_and_changed_settings_are_told(store, data):
    crops = export_pool(store, TRACKER, EXPORT).crops
    found = captions_for(store, TRACKER, crops, CaptionSettings(), EXPORT)
    assert "there is no table of captions yet" in found.notes[0]
    captioned(store, tagger=CountingTagger().named())
    make_drawn_cell(data, [(320, 200), (200, 320), (257, 131), (64, 300), (120, 90)])
    crops = export_pool(store, TRACKER, EXPORT).crops
    found = captions_for(store, TRACKER, crops, CaptionSettings(most_tags=3, template="{tags}"), EXPORT)
    assert "1 crops (" in found.notes[0]
    assert "are not in the table of captions" in found.notes[0]
    assert "[caption] most_tags changed after" in found.notes[1]


def test_a_part_of_the_crops_does_not_shrink_the_table(store, data):
    ids = [crop.crop_id for crop in export_pool(store, TRACKER, EXPORT).crops]
    publish_curated(data, ids, character_name={0: "Mia"}, character_id={0: "c9"})
    one = ExportSettings(trigger="mio", character="mia")
    whole = ExportSettings(trigger="mio", character="c1")
    captioned(store, tagger=CountingTagger().named(), export=whole)
    pool = export_pool(store, TRACKER, one)
    made = make_captions(store, TRACKER, pool, CaptionSettings(), one, CountingTagger().named("d2"), keep_others=True)
    assert made.sources["tags"] == 1
    rows = from_table(made.table.read(), CropCaption)
    assert sorted(row.crop_id for row in rows) == sorted(ids)
    assert all(row.tags == ["smile"] for row in rows)


def test_a_frame_of_two_datasets_needs_its_dataset(store, data):
    make_drawn_cell(data, [(90, 61)], dataset="film2")
    tracker_path(data, TRACKER).unlink()
    write_tracker(data, TrackerSpec(TRACKER, (DATASET, "film2")))
    (data / "captions").mkdir()
    file = data / "captions" / "mine.jsonl"
    settings = CaptionSettings(own="mine.jsonl", tagger="")
    file.write_text(json.dumps({"frame": "f0000.png", "caption": "whose"}) + "\n")
    with pytest.raises(CaptionError, match=r"f0000.png \(in film, film2\)\): add \"dataset\""):
        captioned(store, settings)
    row = {"frame": "f0000.png", "caption": "of the second", "dataset": "film2"}
    file.write_text(json.dumps(row) + "\n" + json.dumps({"frame": "f0001.png", "caption": "only one has it"}) + "\n")
    _, found = captioned(store, settings)
    by_place = {(row.dataset, row.caption) for row in found.values()}
    assert by_place == {(DATASET, "mio, character"), (DATASET, "mio, only one has it"), ("film2", "mio, of the second")}


@pytest.mark.parametrize("labels", ["0 0.5 0.5 0.2 0.3\n", "0 0.5 0.5 0.2 0.3\n1 .1 1e-3 0.2 0.3 0.4 0.5\n"])
def test_labels_of_a_detector_beside_frames_are_no_captions(store, labels):
    crop = export_pool(store, TRACKER, EXPORT).crops[0]
    beside = (crop.folder / crop.files[0]).with_suffix(".txt")
    beside.write_text(labels)
    made, rows = captioned(store)
    assert made.sources["file"] == 0
    assert rows[crop.crop_id].caption == "mio, character"
    beside.write_text("person 0.5 0.5\nperson 0.1 0.1\n")
    with pytest.raises(CaptionError, match=r"set \[caption\] beside = false"):
        captioned(store)
    assert captioned(store, CaptionSettings(beside=False))[0].sources["file"] == 0
