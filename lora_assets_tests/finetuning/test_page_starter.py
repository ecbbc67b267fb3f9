"""The page detector of the package: its card, how it comes there, and that it finds things on pages."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from lora_assets.finetuning import page_cards
from lora_assets.finetuning.page_cards import PACKAGED, detector_path, packaged_card, score_figures
from lora_assets.finetuning.page_detector import open_page_detector
from lora_assets.finetuning.page_starter import LEAST_MEAN_AP, main, put_into_package
from lora_assets.models import ModelError, opening
from lora_assets.scenes.comic import COMIC_CATEGORIES, draw_comic_page
from lora_assets.starter import STARTER_CARD, STARTER_PAGES
from lora_assets.starter.card import LARGEST_STARTER_BYTES, check_file, read_card
from lora_assets.store import atomic_write_json
from lora_assets.sums import file_sha256
from lora_assets.training.scores import FoundBoxes, score_boxes

LEAST_FOUND = 0.4
"""A modest floor of recall and precision on a few pages, well below the figures of the card."""


def test_the_shipped_detector_is_that_of_its_card_and_good_enough():
    entry = read_card(STARTER_CARD)[STARTER_PAGES.name]
    check_file(STARTER_PAGES, entry)
    assert entry.bytes <= LARGEST_STARTER_BYTES and entry.seconds_trained > 60
    card = packaged_card()
    assert card.sha256 == entry.sha256 and [name for _, name in card.categories] == list(COMIC_CATEGORIES)
    assert card.mean_average_precision >= LEAST_MEAN_AP
    assert score_figures(card).items() <= entry.figures.items()


def test_it_finds_things_on_pages_of_unseen_layouts_when_none_is_named(tmp_path):
    detector = open_page_detector(tmp_path)
    frames = []
    for seed in range(970_000, 970_003):
        page = draw_comic_page(seed, 480, 680, layouts="held_out")
        rows = detector.find(page.image)
        for number, name in detector.card.categories:
            true = np.array([one.bbox for one in page.of(name)], float).reshape(-1, 4)
            mine = rows[rows[:, 5] == number]
            frames.append(FoundBoxes(mine[:, :4], mine[:, 4], true))
    score = score_boxes(frames, 0.5, 0.0)
    assert score.recall >= LEAST_FOUND and score.precision >= LEAST_FOUND, score


def test_without_its_file_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "STARTER_FOLDER", tmp_path)
    with pytest.raises(ModelError, match=r"starter-pages are not there.*lora-assets train-page-detector NAME"):
        open_page_detector(tmp_path)
    monkeypatch.setattr(page_cards, "STARTER_CARD", tmp_path / "CARD.json")
    with pytest.raises(ModelError, match="tells nothing of starter-pages"):
        open_page_detector(tmp_path)


def _own(data: Path, **changed: object) -> None:
    """The packaged detector under a name of one's own, with another card."""
    path = detector_path(data, "mine")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(STARTER_PAGES.read_bytes())
    card = replace(packaged_card(), name="mine", sha256=file_sha256(path))
    atomic_write_json(path.with_suffix(".json"), asdict(card) | changed)


def test_a_detector_is_put_into_the_package_with_its_figures(tmp_path, monkeypatch, capsys):
    _own(tmp_path)
    folder = tmp_path / "package"
    folder.mkdir()
    entry = put_into_package(tmp_path, "mine", folder, phases=["10 steps of another set"])
    assert entry.settings["phases"] == ["10 steps of another set"] and entry.settings["side"]
    monkeypatch.setattr(page_cards, "STARTER_CARD", folder / "CARD.json")
    card, shipped = packaged_card(), open_page_detector(tmp_path, "mine").card
    assert (card.name, card.scores, card.categories) == (PACKAGED, shipped.scores, shipped.categories)
    assert card.steps == shipped.steps and card.settings["side"] == shipped.settings["side"]
    check_file(folder / STARTER_PAGES.name, entry)
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "becomes the packaged one" in " ".join(capsys.readouterr().out.split())


def test_a_weak_detector_or_one_judged_by_its_own_title_is_not_put_there(tmp_path):
    weak = [asdict(replace(score, average_precision=0.2)) for score in packaged_card().scores]
    for changed in ({"scores": weak}, {"held_out": False}):
        _own(tmp_path, **changed)
        with pytest.raises(ModelError, match="train it until"):
            put_into_package(tmp_path, "mine", tmp_path)
    assert not (tmp_path / STARTER_PAGES.name).exists()
