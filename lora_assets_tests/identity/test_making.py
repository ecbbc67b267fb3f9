"""The characters of a tracker, end to end on dolls: clusters, lasting ids, names, references, a person's word."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lora_assets.identity.descriptions import describe_crops
from lora_assets.identity.embedding import embed_crops, open_space
from lora_assets.identity.making import make_characters
from lora_assets.identity.registry import (
    events_path,
    merge_characters,
    rename_character,
    split_character,
)
from lora_assets.identity.settings import IdentitySettings
from lora_assets.identity.tracker_crops import read_crops
from lora_assets.models import ModelError
from lora_assets.specs import SpecError
from lora_assets.store import Store, atomic_write_bytes
from lora_assets.vision.crops import encode_png
from lora_assets_tests.curation.dolls import TRACKER, Doll, Shown, Written, draw_doll, little_film, write_dolls
from lora_assets_tests.identity.test_networks import tiny_network


@pytest.fixture
def fresh_cell(tmp_path) -> tuple[Store, Written]:
    """A cell whose crops nobody has looked at yet."""
    return Store(tmp_path), write_dolls(tmp_path, little_film())


@pytest.fixture(scope="module")
def _described(tmp_path_factory) -> tuple[Path, Written]:
    data = tmp_path_factory.mktemp("described") / "data"
    written = write_dolls(data, little_film())
    describe_crops(Store(data), read_crops(Store(data), TRACKER).crops)
    return data, written


@pytest.fixture
def cell(_described, tmp_path) -> tuple[Store, Written]:
    """A cell whose crops are described already, which is most of the work, and of which no characters were made."""
    shutil.copytree(_described[0], tmp_path, dirs_exist_ok=True)
    return Store(tmp_path), _described[1]


def _whose(rows, written: Written) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.character_id, set()).add(written.dolls[row.crop_id].who)
    return found


def _id_of(rows, written: Written, who: str) -> str:
    return Counter(row.character_id for row in rows if written.dolls[row.crop_id].who == who).most_common(1)[0][0]


def _no_cut(image):
    return None


def test_each_doll_is_one_character_and_keeps_its_id(fresh_cell):
    store, written = fresh_cell
    made = make_characters(store, TRACKER)
    assert sorted(map(sorted, _whose(made.rows, written).values())) == [["green"], ["red"], ["violet"]]
    assert made.numbers["characters"] == 3
    assert made.numbers["shots"] == 6
    assert all(row.embedding == "starter" and 0.5 < row.membership <= 1.0 for row in made.rows)
    before = events_path(store.data).read_bytes()
    again = make_characters(store, TRACKER)
    assert again.table.version == made.table.version
    assert again.rows == made.rows
    assert events_path(store.data).read_bytes() == before


def test_ids_last_when_crops_and_frames_change(cell):
    store, written = cell
    first = make_characters(store, TRACKER)
    ids = {who: _id_of(first.rows, written, who) for who in ("red", "green", "violet")}
    film = [Shown([Doll(who, 140, 8, 28, arms=step / 6, score=0.8)], place=20 + shot, noise=100 + shot * 8 + step)
            for shot, who in enumerate(("violet", "green", "red")) for step in range(6)]  # fmt: skip
    other = write_dolls(store.data, film, "another", "T2")
    second = make_characters(store, "T2")
    assert {who: _id_of(second.rows, other, who) for who in ids} == ids


def test_a_persons_word_names_merges_and_splits(cell):
    store, written = cell
    first = make_characters(store, TRACKER)
    red, green = (_id_of(first.rows, written, who) for who in ("red", "green"))
    rename_character(store.data, red, "アカ")
    merge_characters(store.data, green, red)
    merged = make_characters(store, TRACKER)
    shown = {written.dolls[row.crop_id].who for row in merged.rows if row.character_id == red}
    assert shown == {"red", "green"}
    assert {row.character_name for row in merged.rows if row.character_id == red} == {"アカ"}
    own = [row for row in merged.rows if row.character_id == red]
    moved = [row.crop_id for row in own if row.shot == "film 0004"]
    new = split_character(store.data, red, moved, [row.crop_id for row in own])
    parted = {row.crop_id: row.character_id for row in make_characters(store, TRACKER).rows}
    assert {parted[crop] for crop in moved} == {new}
    assert {parted[row.crop_id] for row in own if row.crop_id not in moved} == {red}


def _reference(who: str) -> bytes:
    image = np.zeros((180, 320, 3), np.uint8)
    mask = draw_doll(image, Doll(who, 160, 15, 26))
    rgba = np.dstack((image, mask.astype(np.uint8) * 255))
    rgba[~mask] = 0
    return encode_png(np.ascontiguousarray(rgba[15:165, 100:220]))


def _head_of_reference(image):
    return np.dstack((image, np.full(image.shape[:2], 255, np.uint8))), ((47.0, 0.0, 73.0, 26.0),)


def test_reference_pictures_name_their_character(cell):
    store, written = cell
    atomic_write_bytes(store.data / "references" / "ミドリ" / "a.png", _reference("green"))
    made = make_characters(store, TRACKER, cut=_head_of_reference)
    for row in made.rows:
        own = written.dolls[row.crop_id].who == "green"
        assert row.is_reference_match == own
        assert row.reference == "ミドリ"
        assert (row.similarity > 0.8) == own
        assert row.character_name == ("ミドリ" if own else "")


def test_references_that_do_not_fit_are_told(cell):
    store, _ = cell
    atomic_write_bytes(store.data / "references" / "A" / "no picture.txt", b"words")
    made = make_characters(store, TRACKER, cut=_no_cut)
    assert any("holds no picture that can be used" in note for note in made.notes)
    assert all(row.similarity is None for row in made.rows)
    with pytest.raises(SpecError, match="there is no folder B"):
        make_characters(store, TRACKER, IdentitySettings(references=("B",)))
    (store.data / "references" / "ａ").mkdir()
    with pytest.raises(SpecError, match="read as one name"):
        make_characters(store, TRACKER, cut=_no_cut)


def test_few_crops_are_nobody_until_known(tmp_path):
    store = Store(tmp_path)
    write_dolls(tmp_path, [Shown([Doll("red")], noise=step) for step in range(3)])
    assert {row.character_id for row in make_characters(store, TRACKER).rows} == {""}
    few = make_characters(store, TRACKER, IdentitySettings(least_crops=2))
    assert {row.character_id for row in few.rows} == {"ch-0001"}
    assert {row.character_id for row in make_characters(store, TRACKER).rows} == {"ch-0001"}


def test_a_tracker_without_crops_gives_an_empty_table(tmp_path):
    write_dolls(tmp_path, [Shown()])
    made = make_characters(Store(tmp_path), TRACKER)
    assert made.rows == ()
    assert made.numbers["characters"] == 0
    assert make_characters(Store(tmp_path), "NOTHING").rows == ()


def test_a_network_speaks_where_its_weights_are(cell):
    store, _ = cell
    told = make_characters(store, TRACKER).notes
    assert any("models pull ccip" in note for note in told)
    weights = tiny_network(store.data / "ccip.onnx", 384, 768)
    made = make_characters(store, TRACKER, IdentitySettings(embedding="ccip", ccip=str(weights)))
    assert {row.embedding for row in made.rows} == {"ccip"}
    with pytest.raises(ModelError, match="models pull arcface"):
        make_characters(store, TRACKER, IdentitySettings(embedding="arcface"))


def test_a_lost_thumbnail_is_no_trouble(fresh_cell):
    store, written = fresh_cell
    crop, other = list(written.dolls)[:2]
    Path(store.picture("thumbs", crop, ".webp")).unlink()
    damaged = store.picture("thumbs", other, ".webp")
    content = bytearray(damaged.read_bytes())
    content[26] = content[29] = 1  # a flipped byte of width and height: Pillow refuses such a size by itself
    damaged.write_bytes(content)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(damaged)
    rows = {row.crop_id: row for row in make_characters(store, TRACKER).rows}
    assert len(rows) == len(written.dolls)
    assert rows[crop].character_id  # its track tells it
    assert rows[other].character_id


def test_pulled_and_swapped_weights_are_seen(cell, monkeypatch):
    store, _ = cell
    drawn = IdentitySettings(medium="drawn")
    first = make_characters(store, TRACKER, drawn)
    assert {row.embedding for row in first.rows} == {"starter"}
    (store.data / "models").mkdir(exist_ok=True)
    path = tiny_network(store.data / "models" / "ccip_caformer_24_randaug_pruned.onnx", 384, 768)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr("lora_assets.models.opening.pinned_sha256", lambda weights: sha256)
    pulled = make_characters(store, TRACKER, drawn)
    assert {row.embedding for row in pulled.rows} == {"ccip"}
    assert not any("models pull ccip" in note for note in pulled.notes)
    named = IdentitySettings(embedding="ccip", ccip=str(tiny_network(store.data / "own.onnx", 384, 768)))
    one = make_characters(store, TRACKER, named)
    tiny_network(store.data / "own.onnx", 384, 768, batch=4)
    other = make_characters(store, TRACKER, named)
    assert one.table.facts["embeddings"] != other.table.facts["embeddings"]
    assert make_characters(store, TRACKER, named).table.version == other.table.version
    (store.data / "own.onnx").unlink()
    with pytest.raises(ModelError, match=r"own\.onnx"):
        make_characters(store, TRACKER, named)


def test_crops_are_looked_at_anew_when_their_heads_are_found(fresh_cell):
    store, _ = fresh_cell
    crops = read_crops(store, TRACKER).crops
    bare = [replace(crop, heads=()) for crop in crops]
    without, headed = describe_crops(store, bare), describe_crops(store, crops)
    assert not without.figures.weights[:, :-1].any()
    assert without.heads == (None,) * len(crops)
    assert (headed.figures.weights[:, 0] > 0).all()
    assert headed.heads == tuple(crop.heads[0] for crop in crops)
    # The other tracker, whose detector knows no heads, still reads its own.
    np.testing.assert_array_equal(describe_crops(store, bare).figures.weights, without.figures.weights)
    space = open_space("arcface", str(tiny_network(store.data / "arcface.onnx", 112, 512)), store.data)
    assert not embed_crops(store, space, bare, without).weights.any()
    assert embed_crops(store, space, crops, headed).weights.all()


def test_crops_are_seen_again_when_their_pictures_are_back(fresh_cell):
    store, written = fresh_cell
    lost = {store.picture("thumbs", crop, ".webp"): crop for crop in written.dolls}
    kept = {Path(path): Path(path).read_bytes() for path in lost}
    for path in kept:
        path.unlink()
    blind = make_characters(store, TRACKER)
    assert {row.character_id for row in blind.rows} == {""}
    assert make_characters(store, TRACKER).table.version == blind.table.version
    for path, content in kept.items():
        path.write_bytes(content)
    assert len({row.character_id for row in make_characters(store, TRACKER).rows}) == 3


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_more_tracks_than_can_be_compared_at_once(cell, monkeypatch, limit):
    """The largest tracks are clustered, the others join or become characters of their own; the figures of one frame
    never become one."""
    store, written = cell
    monkeypatch.setattr("lora_assets.identity.making.MOST_TRACKS", limit)
    made = make_characters(store, TRACKER)
    assert sorted(map(sorted, _whose(made.rows, written).values())) == [["green"], ["red"], ["violet"]]


@pytest.mark.parametrize("limit", [1, 3])
def test_two_of_one_frame_stay_two_among_many_tracks(tmp_path, monkeypatch, limit):
    film = [
        Shown([Doll("red", 90 + step), Doll("red", 220 + step)] if shot else [Doll("red", 150)], shot, 10 * shot + step)
        for shot in range(4)
        for step in range(10 - shot)
    ]
    store = Store(tmp_path)
    write_dolls(tmp_path, film)
    monkeypatch.setattr("lora_assets.identity.making.MOST_TRACKS", limit)
    seen: dict[str, list[str]] = defaultdict(list)
    for row in make_characters(store, TRACKER).rows:
        seen[row.frame_sha256].append(row.character_id)
    assert all(len(set(ids)) == len(ids) and all(ids) for ids in seen.values())
    # The second figure of the three later shots is one character too, though it joined none of the core.
    assert len({id for ids in seen.values() for id in ids}) == 2
