"""The tuned network and its untouched base, asked the same about val: IoU, boundary F, how true the predicted IoU is.

Pages, not annotations, are drawn anew for the intervals, as the things on a page share its style (Efron & Tibshirani,
1993, chapter 8). What belongs elsewhere: drawing the report (drawing), what follows from it (making).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lora_assets.annotations import AnnotatedImage
from lora_assets.finetuning.learning import AnnotatedPage, Learner, answered, fixed_prompts
from lora_assets.finetuning.networks import Features, StarterNetwork
from lora_assets.finetuning.pages import read_page
from lora_assets.finetuning.prompts import BOX, POINT, Prompts
from lora_assets.models.tuned import BETTER, WORSE
from lora_assets.tables.segmenters import CategoryFigure, JudgedAnnotation
from lora_assets.vision import boundary
from lora_assets.vision.masks import BoolMask, encode_mask, mask_iou

JUDGED_KINDS = (BOX, POINT)
ALL = "all"
IOU, BOUNDARY, HEAD = "IoU", "boundary F", "error of the predicted IoU"
TOLERANCE = 0.02
"""How far a boundary may be off, in diagonals of the thing's true box: panels and words are judged alike."""
_RESAMPLES = 1000
_LEAST_KNOWN = 40
"""Drawings below which nothing is known of the outermost fortieth on either side."""
LEAST_PAGES = 5
"""Pages below which an interval says nothing sure: of one page, every drawing is the same."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One judged annotation with the masks as run lengths over the page, for the pictures."""

    row: JudgedAnnotation
    true: bytes
    base: bytes
    tuned: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """better, or worse than its base, and why in words; `gain` is that of boxes.

    `sure`: the whole interval of the figure that decided lies on that side, and it stands on `LEAST_PAGES` or more.
    """

    verdict: str
    reason: str
    gain: float
    sure: bool


def boundary_f(found: BoolMask, true: BoolMask) -> float:
    """The boundary F of two masks of a page, `TOLERANCE` forgiven; the page's border ends what touches it."""
    return boundary.boundary_f(found, true, TOLERANCE, "outline")


def judge_pages(
    base: Learner, tuned: Learner, pages: Sequence[AnnotatedPage], seed: int, listen: Callable[[int, int], None]
) -> list[Judged]:
    """Every annotation of the pages, asked for by a box and by a point, of both networks with the same prompts."""
    found: list[Judged] = []
    for done, page in enumerate(pages):
        listen(done, len(pages))
        found += _judge_page(base, tuned, page, seed)
    listen(len(pages), len(pages))
    return found


def _judge_page(base: Learner, tuned: Learner, page: AnnotatedPage, seed: int) -> list[Judged]:
    import torch

    image, annotations = page
    true = tuned.masks(page)
    embedded = []
    for learner in (base, tuned):
        with torch.no_grad(), learner.autocast():
            embedded.append((learner, learner.embed(image)))
    found: list[Judged] = []
    for kind in JUDGED_KINDS:
        prompts = fixed_prompts(page, true, kind, tuned.settings, seed)
        (base_masks, base_rated), (tuned_masks, tuned_rated) = (
            _asked(learner, image, features, prompts) for learner, features in embedded
        )
        for index, (one, mask) in enumerate(zip(annotations, true, strict=True)):
            row = JudgedAnnotation(
                annotation_id=one.id,
                image_id=image.id,
                page=image.path.name,
                category=tuned.found.category_name(one.category_id),
                prompt=kind,
                iou_base=mask_iou(base_masks[index], mask),
                iou_tuned=mask_iou(tuned_masks[index], mask),
                boundary_base=boundary_f(base_masks[index], mask),
                boundary_tuned=boundary_f(tuned_masks[index], mask),
                predicted_base=base_rated[index],
                predicted_tuned=tuned_rated[index],
            )
            masks = (mask, base_masks[index], tuned_masks[index])
            found.append(Judged(row, *(encode_mask(np.ascontiguousarray(each)) for each in masks)))
    return found


def _asked(
    learner: Learner, image: AnnotatedImage, features: Features, prompts: Prompts
) -> tuple[list[BoolMask], list[float]]:
    """Masks and predicted IoUs as in use: the starter SAM is asked in another way than its decoder alone answers."""
    network = learner.network
    if isinstance(network, StarterNetwork):
        page = read_page(image)
        return network.clicked(page, prompts) if prompts.boxes is None else network.boxed(page, prompts.boxes)
    return answered(learner, features, prompts, (image.width, image.height))


def category_figures(rows: Sequence[JudgedAnnotation], seed: int = 0) -> list[CategoryFigure]:
    """IoU, boundary F and the error of the predicted IoU, by kind of prompt and category, intervals of the gain."""
    found: list[CategoryFigure] = []
    for kind in JUDGED_KINDS:
        asked = [row for row in rows if row.prompt == kind]
        if not asked:
            continue
        values = {
            IOU: ([row.iou_base for row in asked], [row.iou_tuned for row in asked]),
            BOUNDARY: ([row.boundary_base for row in asked], [row.boundary_tuned for row in asked]),
            HEAD: (
                [abs(row.predicted_base - row.iou_base) for row in asked],
                [abs(row.predicted_tuned - row.iou_tuned) for row in asked],
            ),
        }
        for figure, (base, tuned) in values.items():
            found += _figures(kind, figure, asked, np.array(base), np.array(tuned), seed)
    return found


def _figures(
    kind: str,
    figure: str,
    rows: Sequence[JudgedAnnotation],
    base: npt.NDArray[np.float64],
    tuned: npt.NDArray[np.float64],
    seed: int,
) -> list[CategoryFigure]:
    names, of_name = np.unique([row.category for row in rows], return_inverse=True)
    pages, of_page = np.unique([row.image_id for row in rows], return_inverse=True)
    gains, counts = np.zeros((len(pages), len(names))), np.zeros((len(pages), len(names)))
    np.add.at(gains, (of_page, of_name), tuned - base)
    np.add.at(counts, (of_page, of_name), 1)
    drawn = np.random.default_rng(seed).multinomial(len(pages), np.full(len(pages), 1 / len(pages)), size=_RESAMPLES)
    with np.errstate(invalid="ignore", divide="ignore"):
        resampled = (drawn @ gains) / (drawn @ counts)
    found = []
    for place, name in enumerate(names):
        mine = of_name == place
        behind = int(mine.sum()), int((counts[:, place] > 0).sum())
        own = str(name) if name != ALL else f"{name} (category)"
        found.append(_figure(kind, own, figure, behind, base[mine], tuned[mine], resampled[:, place]))
    means = [np.array([values[of_name == place].mean() for place in range(len(names))]) for values in (base, tuned)]
    whole = resampled[~np.isnan(resampled).any(axis=1)].mean(axis=1)
    return [*found, _figure(kind, ALL, figure, (len(rows), len(pages)), means[0], means[1], whole)]


def _figure(
    kind: str,
    category: str,
    figure: str,
    behind: tuple[int, int],
    base: npt.NDArray[np.float64],
    tuned: npt.NDArray[np.float64],
    resampled: npt.NDArray[np.float64],
) -> CategoryFigure:
    known = resampled[~np.isnan(resampled)]
    gain = float(tuned.mean() - base.mean())
    low, high = -1.0, 1.0  # where hardly any drawing of the pages holds every category, the gain could be any
    if len(known) >= _LEAST_KNOWN:
        low, high = (float(value) for value in np.quantile(known, [0.025, 0.975]))
    return CategoryFigure(kind, category, figure, *behind, float(base.mean()), float(tuned.mean()), gain, low, high)


def find_figure(figures: Sequence[CategoryFigure], prompt: str, category: str, figure: str) -> CategoryFigure | None:
    """One of the figures; None when nothing was asked that way."""
    return next((f for f in figures if (f.prompt, f.category, f.figure) == (prompt, category, figure)), None)


def verdict_of(figures: Sequence[CategoryFigure]) -> Verdict:
    """Whether the tune is offered: its IoU for boxes, the mean over categories, must be above its base's.

    And nothing else that a person asks for may be surely lost (the whole interval below 0): not the mean for points,
    and no category by boxes. Raises ValueError when no box was asked for.
    """
    whole = find_figure(figures, BOX, ALL, IOU)
    if whole is None:
        raise ValueError("nothing of val was asked for by boxes")
    told = _in_words(whole)
    if whole.gain <= 0:
        return Verdict(WORSE, told, whole.gain, whole.high < 0 and whole.pages >= LEAST_PAGES)
    lost = [one for one in _guarded(figures) if one.high < -_ROUNDING]
    if lost:
        words = "; ".join(_in_words(one) for one in sorted(lost, key=lambda one: one.gain))
        sure = any(one.pages >= LEAST_PAGES for one in lost)
        return Verdict(WORSE, f"{told}, but {words}", whole.gain, sure)
    if whole.pages < LEAST_PAGES:
        return Verdict(
            BETTER, f"{told}; not surely better: judge on {LEAST_PAGES} pages of val or more", whole.gain, False
        )
    sure = whole.low > 0
    return Verdict(BETTER, told if sure else f"{told}; not surely better: judge on more pages", whole.gain, sure)


def _guarded(figures: Sequence[CategoryFigure]) -> list[CategoryFigure]:
    """The IoUs that a better mean for boxes must not be bought with."""
    return [
        one
        for one in figures
        if one.figure == IOU and (one.category == ALL if one.prompt == POINT else one.category != ALL)
    ]


def _in_words(one: CategoryFigure) -> str:
    of = "" if one.category == ALL else f" of {one.category}"
    return (
        f"IoU of {'points' if one.prompt == POINT else 'boxes'}{of} on val {one.base:.3f} -> {one.tuned:.3f}, "
        f"{one.gain:+.3f} (95 %: {one.low:+.3f} to {one.high:+.3f}, {one.annotations} annotations on {one.pages} pages)"
    )


def head_correlation(rows: Sequence[JudgedAnnotation], which: str) -> float | None:
    """Pearson's correlation of predicted and real IoU of boxes, of the "base" or "tuned"; None where nothing varies."""
    asked = [row for row in rows if row.prompt == BOX]
    predicted = np.array([getattr(row, f"predicted_{which}") for row in asked])
    real = np.array([getattr(row, f"iou_{which}") for row in asked])
    if len(asked) < 3 or predicted.std() < 1e-9 or real.std() < 1e-9:
        return None
    return float(np.corrcoef(predicted, real)[0, 1])
