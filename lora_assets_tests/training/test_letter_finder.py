"""Tests of the letter finder's training: what it learns from, and that what it writes is what the product runs."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lora_assets.starter.card import check_file, read_card
from lora_assets.training import letter_finder
from lora_assets.training.letter_finder import (
    FIRST_UNSEEN_SEED,
    VIEW,
    FinderSettings,
    drawn_grounds,
    make_batch,
    read_ground,
    train_letter_finder,
)
from lora_assets.training.schedule import TrainingError
from lora_assets.vision import letter_map
from lora_assets.vision.letter_map import CELL, HEIGHT

TINY = FinderSettings(frames=2, held_out=1, steps=2, batch=2, warmup_steps=1, minutes=60.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grounds that need not be drawn: noise in large blocks."""
    made = tmp_path_factory.mktemp("grounds")
    rng = np.random.default_rng(0)
    for seed in (TINY.first_seed, TINY.first_seed + 1, FIRST_UNSEEN_SEED):
        blocks = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
        cv2.imwrite(str(made / f"ground_{seed:09d}.png"), cv2.resize(blocks, (480, HEIGHT)))
    return made


def test_a_ground_is_drawn_once_and_kept_without_loss(tmp_path: Path):
    seed = FIRST_UNSEEN_SEED + 3
    (path,) = drawn_grounds(tmp_path, [seed])
    assert np.array_equal(read_ground(path), letter_finder.draw_ground(seed))
    assert read_ground(path).shape[0] == HEIGHT
    before = path.stat().st_mtime_ns
    assert drawn_grounds(tmp_path, [seed]) == [path] and path.stat().st_mtime_ns == before
    damaged = tmp_path / "ground_000000001.png"
    damaged.write_bytes(b"no picture")
    with pytest.raises(TrainingError, match=r"ground_000000001\.png is damaged"):
        read_ground(damaged)


def test_a_batch_depends_on_its_step_alone(folder: Path):
    paths = drawn_grounds(folder, range(TINY.first_seed, TINY.first_seed + 2))
    batch = make_batch(paths, TINY, 5)
    assert len(batch) == TINY.batch
    for view, again in zip(batch, make_batch(paths, TINY, 5), strict=True):
        assert view.image.shape == (*VIEW, 3) and view.truth.shape == (2, *(side // CELL for side in VIEW))
        assert np.array_equal(view.image, again.image) and np.array_equal(view.truth, again.truth)
    assert not np.array_equal(batch[0].image, make_batch(paths, TINY, 6)[0].image)


def test_what_the_training_writes_is_told_by_its_card_and_run_by_the_product(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "starter_letters.onnx"
    figures = train_letter_finder(folder, out, TINY, checkpoint=tmp_path / "state", feeders=0)
    entry = read_card(tmp_path / "CARD.json")[out.name]
    check_file(out, entry)
    assert entry.figures == figures and figures["held_out_frames"] == 1.0
    assert entry.settings["steps_done"] == TINY.steps and out.stat().st_size < 1_000_000
    monkeypatch.setattr(letter_map, "STARTER_LETTERS", out)
    found = letter_map.letter_map(read_ground(folder / f"ground_{TINY.first_seed:09d}.png")[:70, :50])
    assert found.shape == (2, 18, 13) and np.isfinite(found).all() and 0 <= found.min() <= found.max() <= 1


@pytest.mark.parametrize(
    ("settings", "processes", "told"),
    [(FinderSettings(frames=100_000), 1, "kept to measure"), (TINY, 2, "by one process")],
)
def test_it_says_why_it_cannot_start(settings: FinderSettings, processes: int, told: str, tmp_path: Path):
    with pytest.raises(TrainingError, match=told):
        train_letter_finder(tmp_path, tmp_path / "x.onnx", settings, processes=processes)
