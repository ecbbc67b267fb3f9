from __future__ import annotations

import json
from pathlib import Path

import pytest

from lora_assets.exports.caption_log import write_captions
from lora_assets.exports.caption_text import CaptionError
from lora_assets.exports.captioning import NamedTagger, captions_for, make_captions
from lora_assets.exports.pool import export_pool
from lora_assets.exports.settings import CaptionSettings, ExportSettings
from lora_assets.exports.tagging import named_tagger
from lora_assets.models import ModelError
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


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("film.jsonl", '{"crop_id": "a", "caption": "two\\nlines"}\n', "line 1: it holds a line break"),
        ("film.jsonl", '{"caption": "whose?"}\n', "names neither crop_id nor frame"),
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
    texts, version = captions_for(store, TRACKER, pool.crops, settings, ExportSettings(trigger="ann"))
    assert version
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
