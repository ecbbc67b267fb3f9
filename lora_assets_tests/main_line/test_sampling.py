"""A share of a folder's pictures: which, and what changes when the share or the folder does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lora_assets.cli.folders import is_listed
from lora_assets.input_folders import FileStat
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.sampling import SampleSettings, sample_settings
from lora_assets.specs import SpecError, list_datasets, of_videos, register_dataset
from lora_assets.store import Store


def _files(*paths: str) -> list[FileStat]:
    return [FileStat(path, 1, 1, 1, 1) for path in paths]


def test_the_share_holds_about_as_many_as_it_says():
    files = _files(*(f"{number}.png" for number in range(4000)))
    taken = SampleSettings(0.25).files(files)
    assert 900 < len(taken) < 1100
    assert SampleSettings(0.25, seed=1).files(files) != taken


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.integers(), st.sets(st.text(min_size=1, max_size=9), max_size=30))
def test_a_larger_share_holds_the_smaller_and_new_files_change_nothing(one: float, other: float, seed: int, names: set):
    files = _files(*(f"{name}.png" for name in sorted(names)))
    small, large = (SampleSettings(rate, seed).files(files) for rate in sorted((one, other)))
    assert set(small) <= set(large)
    assert SampleSettings(one, seed).files(files[:5]) == [
        f for f in SampleSettings(one, seed).files(files) if f in files[:5]
    ]


def test_videos_and_unknown_files_are_always_looked_at():
    files = _files("a.mkv", "b", "c.txt2")
    assert SampleSettings(0.0001).files(files) == files


def test_a_listing_follows_the_share_and_deletes_nothing(data, drop_frames):
    drop_frames("film", count=6)
    store, film = Store(data), list_datasets(data)["film"]
    assert update_raw_frames(store, film).frames == 6
    few = len(SampleSettings(0.5, 3).files(_files(*(path.name for path in film.folder.iterdir() if path.suffix))))
    (data / "settings.toml").write_text('[sample]\nsampling_rate = 0.5\nseed = 3\ndatasets = ["film"]\n')
    assert not is_listed(store, film)
    sampled = update_raw_frames(store, film)
    assert 0 < sampled.frames == few < 6 and (sampled.absent, sampled.deleted) == (0, 0)
    assert is_listed(store, film)
    (data / "settings.toml").write_text('[sample]\nsampling_rate = 0.5\ndatasets = ["other"]\n')
    assert update_raw_frames(store, film).frames == 6 and is_listed(store, film)


def test_frames_of_videos_are_sampled_by_the_name_of_the_folder_with_the_videos(data):
    (data / "input" / "第1話").mkdir(parents=True)
    folder = next(spec for spec in list_datasets(data).values() if spec.name == "第1話")
    (data / "settings.toml").write_text('[sample]\nsampling_rate = 0.5\ndatasets = ["第1話"]\n', encoding="utf-8")
    assert sample_settings(data, folder).sampling_rate == 0.5
    assert sample_settings(data, of_videos(data, folder)).sampling_rate == 0.5


def test_one_picture_that_a_person_named_is_no_share(data, tmp_path):
    (data / "settings.toml").write_text("[sample]\nsampling_rate = 0.001\n")
    (tmp_path / "one.png").write_bytes(b"")
    assert update_raw_frames(Store(data), register_dataset(data, tmp_path / "one.png")).quarantined == 1


@pytest.mark.parametrize("told", ["sampling_rate = 0", "sampling_rate = 2", "seed = 1.5", "datasets = 'a'", "rate = 1"])
def test_a_setting_that_does_not_fit_is_told(data, tmp_path, told: str):
    (data / "input" / "film").mkdir(exist_ok=True)
    (data / "settings.toml").write_text(f"[sample]\n{told}\n")
    with pytest.raises(SpecError, match="may hold sampling_rate, seed and datasets"):
        sample_settings(data, list_datasets(data)["film"])
