"""Lasting ids: events are replayed, a person's word holds, a torn line harms nothing."""

from __future__ import annotations

import numpy as np
import pytest

from lora_assets.identity.registry import (
    MOST_PROTOTYPES,
    NEW,
    SEEN,
    Prototype,
    append_events,
    events_path,
    merge_characters,
    prototype_json,
    read_registry,
    rename_character,
    same_name,
    split_character,
)
from lora_assets.specs import SpecError
from lora_assets.store import StoreError


def _prototype(value: float = 0.5):
    return prototype_json(Prototype("starter 1", np.full((5, 4), value, np.float32), np.ones(5, np.float32)))


@pytest.fixture
def data(tmp_path):
    append_events(tmp_path, [{"event": NEW, "id": f"ch-000{n}", "prototype": _prototype(n / 10)} for n in (1, 2, 3)])
    return tmp_path


def test_no_file_is_an_empty_registry(tmp_path):
    assert read_registry(tmp_path).free_id() == "ch-0001"


def test_events_are_replayed(data):
    rename_character(data, "ch-0002", "  ハル ")
    merge_characters(data, "ch-0003", "ch-0002")
    new = split_character(data, "ch-0001", ["a", "b"], ["a", "b", "c"])
    registry = read_registry(data)
    assert registry.standing("ch-0003").id == "ch-0002"
    assert registry.standing("ch-0003").name == "ハル"
    assert new == "ch-0004"
    assert registry.characters[new].split_from == "ch-0001"
    assert registry.partings[0].crops == ("a", "b")
    assert registry.partings[0].kept == ("c",)
    np.testing.assert_allclose(registry.characters["ch-0001"].prototypes[0].vectors, 0.1, atol=1e-3)


def test_nothing_of_the_file_is_ever_changed(data):
    before = events_path(data).read_bytes()
    rename_character(data, "ch-0001", "A")
    rename_character(data, "ch-0001", "B")
    assert events_path(data).read_bytes().startswith(before)
    assert read_registry(data).characters["ch-0001"].name == "B"


def test_the_newest_prototypes_stay(data):
    append_events(data, [{"event": SEEN, "id": "ch-0001", "prototype": _prototype(n)} for n in range(10)])
    kept = read_registry(data).characters["ch-0001"].prototypes
    assert len(kept) == MOST_PROTOTYPES
    assert kept[-1].vectors[0, 0] == 9


def test_two_characters_cannot_have_one_name(data):
    rename_character(data, "ch-0001", "Ｈａｒｕ")
    with pytest.raises(SpecError, match="characters merge ch-0002 ch-0001"):
        rename_character(data, "ch-0002", "haru ")
    rename_character(data, "ch-0001", "Haru")


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "x" * 81])
def test_names_that_do_not_fit(data, name):
    with pytest.raises(SpecError, match="does not fit"):
        rename_character(data, "ch-0001", name)


def test_unknown_ids_and_useless_words(data):
    with pytest.raises(SpecError, match="there is no character 'ch-9999'"):
        rename_character(data, "ch-9999", "A")
    with pytest.raises(SpecError, match="one character already"):
        merge_characters(data, "ch-0001", "ch-0001")
    merge_characters(data, "ch-0001", "ch-0002")
    with pytest.raises(SpecError, match="one character already"):
        merge_characters(data, "ch-0002", "ch-0001")
    with pytest.raises(SpecError, match="but not all"):
        split_character(data, "ch-0002", ["a"], ["a"])


def test_a_torn_last_line_is_left_out_and_spoils_no_other(data):
    path = events_path(data)
    path.write_bytes(path.read_bytes() + b'{"event": "renam')
    assert list(read_registry(data).characters) == ["ch-0001", "ch-0002", "ch-0003"]
    rename_character(data, "ch-0001", "A")
    assert read_registry(data).characters["ch-0001"].name == "A"


@pytest.mark.parametrize("kept", range(len("初".encode())))
def test_a_line_torn_inside_a_letter_is_a_torn_line(data, kept):
    path = events_path(data)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"event": "renamed", "id": "ch-0001", "name": "' + "初".encode()[:kept])
    assert list(read_registry(data).characters) == ["ch-0001", "ch-0002", "ch-0003"]
    rename_character(data, "ch-0001", "初音")
    assert read_registry(data).characters["ch-0001"].name == "初音"
    path.write_bytes(b"\xff\n" + path.read_bytes())
    with pytest.raises(StoreError, match="line 1 is damaged"):
        read_registry(data)


def test_a_damaged_line_in_the_middle_is_named(data):
    path = events_path(data)
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(StoreError, match="line 1 is damaged"):
        read_registry(data)


def test_an_id_is_never_given_again(data):
    merge_characters(data, "ch-0003", "ch-0001")
    assert read_registry(data).free_id() == "ch-0004"


def test_names_read_alike():
    assert same_name("Haru", "ｈａｒｕ ")
    assert not same_name("", "")
