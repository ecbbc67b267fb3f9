"""The sample film: its files, its damaged files, and that writing it again changes nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from lora_assets.scenes import SceneFrame, sample_film_truth, write_sample_film
from lora_assets.scenes.screenplay import HANA, MIMI, REN


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Path, ...]]:
    folder = tmp_path_factory.mktemp("film")
    return folder, write_sample_film(folder)


@pytest.fixture(scope="module")
def truth() -> dict[str, SceneFrame | None]:
    return dict(sample_film_truth())


def test_two_datasets_of_sixty_frames(film: tuple[Path, tuple[Path, ...]]):
    folder, files = film
    assert sorted(path.name for path in folder.iterdir()) == ["demo-city", "demo-meadow"]
    for name in ("demo-meadow", "demo-city"):
        assert len(list((folder / name).iterdir())) == 60
    assert all(path.exists() for path in files)
    endings = [path.suffix for path in files]
    assert set(endings) == {".png", ".jpg"}
    assert 30 < endings.count(".png") < 90


def test_files_and_truth_have_the_same_names(film: tuple[Path, tuple[Path, ...]], truth: dict[str, SceneFrame | None]):
    folder, files = film
    assert [path.relative_to(folder).as_posix() for path in files] == list(truth)


def opened(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_damaged_files_do_not_open(film: tuple[Path, tuple[Path, ...]], truth: dict[str, SceneFrame | None]):
    folder, _ = film
    broken = [name for name, scene in truth.items() if scene is None]
    assert [Path(name).suffix for name in broken] == [".jpg", ".png"]
    with pytest.raises(OSError, match="truncated"):
        opened(folder / broken[0])
    with pytest.raises(UnidentifiedImageError):
        opened(folder / broken[1])


def test_files_hold_the_drawn_pictures(film: tuple[Path, tuple[Path, ...]], truth: dict[str, SceneFrame | None]):
    folder, _ = film
    readable = [(name, scene) for name, scene in truth.items() if scene is not None]
    assert len(readable) == 118
    for name, scene in readable[::7]:
        pixels = opened(folder / name)
        assert pixels.shape == (720, 1280, 3)
        if name.endswith(".png"):
            np.testing.assert_array_equal(pixels, scene.image)
        else:
            assert cv2.absdiff(pixels, scene.image).mean() < 4


def test_second_write_changes_nothing(film: tuple[Path, tuple[Path, ...]]):
    folder, files = film
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}
    assert write_sample_film(folder) == files
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files} == before
    assert len(list(folder.rglob("*.*"))) == 120


def test_only_missing_files_are_drawn_and_with_the_same_bytes(film: tuple[Path, tuple[Path, ...]]):
    folder, files = film
    for path in (files[3], files[70]):
        content, other = path.read_bytes(), files[4].stat().st_mtime_ns
        path.unlink()
        write_sample_film(folder)
        assert path.read_bytes() == content
        assert files[4].stat().st_mtime_ns == other


def test_truth_of_the_hard_frames(truth: dict[str, SceneFrame | None]):
    scenes = [scene for scene in truth.values() if scene is not None]
    black = [scene for scene in scenes if scene.image.max() == 0]
    assert len(black) == 1
    assert black[0].characters == ()
    assert any(0 < scene.image.mean() < 8 for scene in scenes)
    assert any(not scene.characters and scene.image.std() > 20 for scene in scenes)
    assert any(character.cut_by_frame and character.box[0] == 0 for scene in scenes for character in scene.characters)
    overlapping = [
        scene
        for scene in scenes
        if len(scene.characters) == 2 and scene.characters[0].box[2] > scene.characters[1].box[0] + 200
    ]
    assert overlapping


def test_main_characters_come_back(truth: dict[str, SceneFrame | None]):
    seen: dict[str, dict[int, int]] = {"demo-meadow": {}, "demo-city": {}}
    for name, scene in truth.items():
        for character in scene.characters if scene is not None else ():
            counts = seen[name.split("/")[0]]
            counts[character.identity] = counts.get(character.identity, 0) + 1
    assert seen["demo-meadow"][HANA.identity] > 30
    assert seen["demo-city"][REN.identity] > 35
    assert seen["demo-meadow"][REN.identity] > 5
    assert seen["demo-city"][HANA.identity] > 5
    assert MIMI.identity in seen["demo-meadow"]
