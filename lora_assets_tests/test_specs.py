from __future__ import annotations

import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora_assets.specs import (
    LIVE,
    SpecError,
    TrackerSpec,
    check_tracker_id,
    dataset_problems,
    dataset_slug,
    ensure_live,
    known_tracker_ids,
    list_datasets,
    read_tracker,
    register_dataset,
    set_sealed,
    tracker_path,
    write_tracker,
)


@given(st.text(max_size=80))
@settings(max_examples=100, deadline=None)
def test_an_id_is_canonical_or_refused(text):
    try:
        assert re.fullmatch(r"[0-9A-Za-z_-]{1,64}", check_tracker_id(text))
    except SpecError as error:
        assert "use 1 to 64 letters" in str(error)


@pytest.mark.parametrize("text", ["", "a/b", "../x", "a.b", "a b", "a|b", "x" * 65, "トラッカー", "a\n"])
def test_ids_that_are_no_file_names_are_refused(text):
    with pytest.raises(SpecError, match="does not fit"):
        check_tracker_id(text)


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60))
@settings(max_examples=100, deadline=None)
def test_a_slug_fits_every_key(name):
    assert re.fullmatch(r"[A-Za-z0-9._-]+", dataset_slug(name))


def test_slugs_keep_plain_names_and_tell_japanese_ones_apart():
    assert dataset_slug("episode-01_cut.2") == "episode-01_cut.2"
    assert dataset_slug("キャラ 画像") != dataset_slug("背景 画像")
    assert "|" not in dataset_slug("a|b")


def test_composed_and_decomposed_names_are_one_dataset():
    assert dataset_slug("が") == dataset_slug("が")


def test_a_tracker_survives_the_round_trip(data):
    spec = TrackerSpec("QI-003", ("a", "b"), note="顔 😀", baseline="QI-002", settings={"detect": {"conf": 0.4}})
    write_tracker(data, spec)
    assert read_tracker(data, "QI-003") == spec


def test_a_tracker_is_never_overwritten(data):
    write_tracker(data, TrackerSpec("T1"))
    with pytest.raises(SpecError, match="exists already"):
        write_tracker(data, TrackerSpec("T1", note="other"))


def test_sealing_keeps_the_persons_comments(data):
    path = tracker_path(data, "T1")
    path.parent.mkdir(parents=True)
    path.write_text('# mine\ndatasets = ["a"]  # the first\n\n[detect]\nconf = 0.3\n')
    set_sealed(data, "T1", True)
    assert "# mine" in path.read_text()
    assert "# the first" in path.read_text()
    spec = read_tracker(data, "T1")
    assert spec.sealed
    assert spec.settings == {"detect": {"conf": 0.3}}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("datasets = 3", "list of names"),
        ("detektor = 1", "unknown entries detektor"),
        ("detect = 1", "table of settings"),
        ('sealed = "false"', "sealed must be true or false"),
        ("datasets = [", "cannot be read as TOML"),
    ],
)
def test_a_wrong_file_is_named_and_stops_no_other(data, text, word):
    write_tracker(data, TrackerSpec("GOOD"))
    tracker_path(data, "BAD").write_text(text)
    with pytest.raises(SpecError, match=word):
        read_tracker(data, "BAD")
    assert read_tracker(data, "GOOD").id == "GOOD"
    assert known_tracker_ids(data) == ["BAD", "GOOD"]


def test_an_unknown_tracker_names_the_known_ones_and_the_way_out(data):
    write_tracker(data, TrackerSpec("QI-001"))
    with pytest.raises(SpecError, match=r"Known: QI-001.*tracker new NOPE"):
        read_tracker(data, "NOPE")


def test_live_follows_everything_and_is_never_sealed(data):
    live = ensure_live(data)
    assert live.covers("anything")
    assert ensure_live(data) == live
    with pytest.raises(SpecError, match="never sealed"):
        set_sealed(data, LIVE, True)


def test_folders_become_datasets(data, tmp_path):
    for name in ("plain", "キャラ 画像 😀", ".hidden"):
        (data / "input" / name).mkdir()
    assert {spec.name for spec in list_datasets(data).values()} == {"plain", "キャラ 画像 😀"}
    outside = tmp_path / "elsewhere" / "plain"
    outside.mkdir(parents=True)
    spec = register_dataset(data, outside)
    assert spec.slug.startswith("plain-")
    assert register_dataset(data, outside) == spec
    assert list_datasets(data)[spec.slug].folder == outside
    assert register_dataset(data, data / "input" / "plain").slug == "plain"


def test_a_folder_whose_name_is_no_utf8_can_be_told(data):
    folder = data / "input" / os.fsdecode("日本".encode("shift_jis"))
    folder.mkdir(parents=True)
    (spec,) = list_datasets(data).values()
    assert spec.name.encode()  # pages, tables and notes are UTF-8
    assert spec.folder == folder
    assert spec.folder.is_dir()
    assert list_datasets(data)[spec.slug] == spec


def test_one_file_is_a_dataset_of_its_own(data, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "第1話.mkv").write_text("")
    first, second = (register_dataset(data, tmp_path / folder / "第1話.mkv") for folder in ("a", "b"))
    assert (first.name, first.folder, first.only) == ("第1話.mkv", tmp_path / "a", "第1話.mkv")
    assert second.slug.startswith(first.slug) and second.slug != first.slug
    assert register_dataset(data, first.place) == first == list_datasets(data)[first.slug]
    assert register_dataset(data, first.folder).slug == "a", "the folder around it is another dataset"
    with pytest.raises(SpecError, match="is not there"):
        register_dataset(data, tmp_path / "c.mkv")


def test_a_registration_names_a_file_of_its_folder(data, tmp_path):
    (data / "datasets").mkdir(exist_ok=True)
    (data / "datasets" / "x.toml").write_text(f'folder = "{tmp_path}"\nfile = "../secret.png"\n')
    assert not list_datasets(data) and "names one file" in dataset_problems(data)[0]


def test_two_folders_of_one_name_are_two_datasets_in_either_order(data, tmp_path):
    outside = tmp_path / "elsewhere" / "film"
    outside.mkdir(parents=True)
    assert register_dataset(data, outside).slug == "film"
    inside = data / "input" / "film"
    inside.mkdir()
    folders = {slug: spec.folder for slug, spec in list_datasets(data).items()}
    assert folders.pop("film") == outside
    assert list(folders.values()) == [inside]
    assert next(iter(folders)).startswith("film-")
    assert register_dataset(data, inside).slug in folders


def test_a_folder_named_by_its_own_registration_is_one_dataset(data):
    (data / "input" / "film").mkdir()
    (data / "datasets").mkdir()
    (data / "datasets" / "film.toml").write_text(f'name = "Film"\nfolder = "{data / "input" / "film"}"')
    assert [(spec.slug, spec.name) for spec in list_datasets(data).values()] == [("film", "Film")]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("folder = [", "cannot be read as TOML"),
        ('name = "x"', "absolute path"),
        ('folder = ""', "absolute path"),
        ("folder = 3", "absolute path"),
        ('folder = "frames"', "absolute path"),
        ('folder = "/frames\\u0000"', "absolute path"),
    ],
)
def test_a_dataset_file_that_cannot_be_used_is_told_and_stops_no_other(data, text, word):
    (data / "input" / "good").mkdir()
    (data / "datasets").mkdir()
    (data / "datasets" / "bad.toml").write_text(text)
    assert list(list_datasets(data)) == ["good"]
    problems = dataset_problems(data)
    assert len(problems) == 1
    assert "bad.toml" in problems[0]
    assert word in problems[0]


def test_a_dataset_file_whose_name_is_no_key_is_told(data, tmp_path):
    (data / "datasets").mkdir()
    (data / "datasets" / "a|b.toml").write_text(f'folder = "{tmp_path}"')
    assert not list_datasets(data)
    assert "rename it" in dataset_problems(data)[0]


def test_live_is_never_written_for_some_datasets_only(data):
    with pytest.raises(SpecError, match="choose another ID"):
        write_tracker(data, TrackerSpec(LIVE, ("film",)))
    assert not tracker_path(data, LIVE).exists()
    assert ensure_live(data).datasets is None


def test_datasets_may_be_named_by_their_folder(data, tmp_path):
    for name in ("plain", "キャラ 画像"):
        (data / "input" / name).mkdir()
    outside = tmp_path / "elsewhere" / "背景 (1)"
    outside.mkdir(parents=True)
    registered = register_dataset(data, outside).slug
    slug, gone, long = dataset_slug("キャラ 画像"), dataset_slug("消えた 画像"), "x" * 70
    tracker_path(data, "T1").parent.mkdir(parents=True)
    tracker_path(data, "T1").write_text(
        f'datasets = ["plain", "キャラ 画像", "{slug}", "背景 (1)", "消えた 画像", "{gone}", "{long}"]'
    )
    assert read_tracker(data, "T1").datasets == ("plain", slug, registered, gone, dataset_slug(long))
