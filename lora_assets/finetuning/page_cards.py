"""What is known of a page detector: its card, where it lies, what it reaches, in words; and the one of the package.

Training and opening them is in page_detector, putting one into the package in page_starter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lora_assets.annotations.categories import known_category
from lora_assets.annotations.places import check_name
from lora_assets.annotations.records import AnnotationError
from lora_assets.models import ModelError
from lora_assets.starter import STARTER_CARD, STARTER_PAGES
from lora_assets.starter.card import CardError
from lora_assets.starter.card import read_card as read_starter_card

PACKAGED = "starter-pages"
"""The page detector that comes with the package, in the registry of models as well."""
MEASURED = "unseen_layouts"
"""What the figures of the packaged one's card begin with: val pages have layouts that no training page has."""
NEARLY_ALL, FIRST_PASS, TO_MEND = 0.9, 0.75, 0.5
"""From which harmonic mean of recall and precision on a category counts as found nearly always, well enough for a first
pass, and with much to mend by hand."""


@dataclass(frozen=True, slots=True)
class CategoryScore:
    """How well a category's boxes are found on val (IoU 0.5): shares 0 to 1. `confidence` is where both are best on all
    of val; `recall` and `precision` are those at confidences that other titles chose, where val has several titles.
    """

    category: str
    confidence: float
    recall: float
    precision: float
    average_precision: float
    true_boxes: int

    @property
    def f1(self) -> float:
        """The harmonic mean of recall and precision."""
        both = self.recall + self.precision
        return 2 * self.recall * self.precision / both if both else 0.0


@dataclass(frozen=True, slots=True)
class PageDetectorCard:
    """What lies beside the weights: where they come from and what they reach.

    Without `held_out` the confidences were chosen on the very pages that were scored, since val has one title only.
    """

    name: str
    sha256: str
    data: str
    data_digest: str
    made: str
    seconds_trained: float
    steps: int
    settings: Mapping[str, Any]
    categories: tuple[tuple[int, str], ...]
    scores: tuple[CategoryScore, ...]
    held_out: bool = False

    @property
    def mean_average_precision(self) -> float:
        """Over the categories that val has."""
        return float(np.mean([score.average_precision for score in self.scores if score.true_boxes] or [0.0]))


def detector_path(data: Path, name: str) -> Path:
    """The weights of a page detector of one's own; its card lies beside them as .json.

    Raises AnnotationError for a name that cannot be a file's, or is the packaged detector's.
    """
    if name == PACKAGED:
        raise AnnotationError(f"{PACKAGED} is the page detector that comes with the package: choose another name")
    return data / "models" / "page_detectors" / f"{check_name(name, 'the page detector')}.pt"


def known_detectors(data: Path) -> list[str]:
    """The names of all page detectors of one's own that have a card."""
    # No name has a dot: NAME.training.json is what a training notes while it is under way.
    return sorted(path.stem for path in (data / "models" / "page_detectors").glob("*.json") if "." not in path.stem)


def read_card(path: Path, data: Path) -> PageDetectorCard:
    """A detector's card. Raises ModelError when there is none or it is damaged."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        scores = tuple(CategoryScore(**score) for score in told.pop("scores"))
        categories = tuple((int(number), str(name)) for number, name in told.pop("categories"))
        return PageDetectorCard(**told, scores=scores, categories=categories)
    except FileNotFoundError as error:
        raise ModelError(f"there is no page detector {path.stem}; {way_out(data, path.stem)}") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{path} is damaged ({error}): train the detector again") from error


def way_out(data: Path, name: str) -> str:
    """What else can be named, and how one is trained."""
    known = ", ".join(known_detectors(data)) or "none of your own yet"
    own = name if name != PACKAGED else "NAME"
    return (
        f"known: {PACKAGED} (of the package), {known}. Train one with: lora-assets sample-comics {own}; "
        f"lora-assets train-page-detector {own}"
    )


def packaged_card() -> PageDetectorCard:
    """The card of the packaged detector, from the package's own. Raises ModelError when it is damaged or has none."""
    try:
        entry = read_starter_card(STARTER_CARD)[STARTER_PAGES.name]
        labels = [str(label) for label in entry.architecture["labels"]]  # pyright: ignore[reportGeneralTypeIssues]
        figures = {label: _figures(entry.figures, label) for label in labels}
        categories = [(known_category(label), label) for label in labels]
        return PageDetectorCard(
            name=PACKAGED,
            sha256=entry.sha256,
            data=str(entry.data["renderer"]),
            data_digest=str(entry.data["set_digest"]),
            made=entry.made,
            seconds_trained=entry.seconds_trained,
            steps=int(str(entry.settings["steps_trained"])),
            settings=entry.settings,
            categories=tuple((category.id, label) for category, label in categories if category is not None),
            scores=tuple(figures.values()),
            held_out=True,
        )
    except (CardError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{STARTER_CARD} tells nothing of {PACKAGED} ({error}): install the package again") from error


def _figures(figures: Mapping[str, float], label: str) -> CategoryScore:
    names = ("confidence", "recall", "precision", "ap50")
    confidence, recall, precision, average = (figures[f"{MEASURED}_{label}_{name}"] for name in names)
    return CategoryScore(label, confidence, recall, precision, average, int(figures[f"{MEASURED}_{label}_boxes"]))


def score_figures(card: PageDetectorCard) -> dict[str, float]:
    """The scores of a card as the flat figures of the package's card; `packaged_card` reads them back."""
    figures: dict[str, float] = {}
    for score in card.scores:
        prefix = f"{MEASURED}_{score.category}"
        figures |= {
            f"{prefix}_confidence": score.confidence,
            f"{prefix}_recall": score.recall,
            f"{prefix}_precision": score.precision,
            f"{prefix}_ap50": score.average_precision,
            f"{prefix}_boxes": float(score.true_boxes),
        }
    return figures


def score_lines(card: PageDetectorCard) -> Iterator[str]:
    """Lines of words: what recall and precision mean, a line with a judgement for each category, how far the figures
    can be trusted, and what to do next."""
    yield "On the pages of val, a box is found when it shares half of its area with a true one (IoU 0.5):"
    for score in card.scores:
        if not score.true_boxes:
            yield f"  {score.category}: val has none, so nothing is known of it"
            continue
        yield (
            f"  {score.category}: recall {score.recall:.2f} (of {score.true_boxes} true boxes), "
            f"precision {score.precision:.2f} (of the found ones), AP {score.average_precision:.2f}: {verdict(score)}"
        )
    yield (
        f"mean AP {card.mean_average_precision:.2f}; boxes below the confidences "
        + ", ".join(f"{score.category} {score.confidence:.2f}" for score in card.scores)
        + " are left out"
    )
    yield (
        "recall and precision are of confidences that other titles of val chose"
        if card.held_out
        else "val has one title: the confidences were chosen on the same pages, so that these figures are too good"
    )
    weak = [score.category for score in card.scores if score.true_boxes and score.f1 < FIRST_PASS]
    if weak:
        yield f"for a better {', '.join(weak)}: more --minutes, more pages like yours; for small things a larger --side"
    yield f"use it: lora-assets segment-pages FOLDER --detector {card.name} --out found.json"


def verdict(score: CategoryScore) -> str:
    """A category's figures in words."""
    if score.f1 >= NEARLY_ALL:
        return "found nearly always"
    if score.f1 >= FIRST_PASS:
        return "good for a first pass"
    return "much to mend by hand" if score.f1 >= TO_MEND else "of no use yet"
