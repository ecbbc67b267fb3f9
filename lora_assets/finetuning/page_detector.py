"""A page detector: an Ultralytics network that finds panels, bubbles, characters and text on whole pages.

It learns from the boxes of an annotated set, in the loop that the starter models are trained in, from the packaged
detector's weights so that it knows drawn pages already. Beside its weights lies a card (page_cards): the set's digest,
settings, figures on val, and for each category the confidence at which it does best there. What is done with its boxes
belongs to page_segmenting.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lora_assets.annotations import AnnotatedSet, AnnotationError
from lora_assets.atomic import put_in_place
from lora_assets.finetuning.page_cards import (
    PACKAGED,
    CategoryScore,
    PageDetectorCard,
    detector_path,
    packaged_card,
    read_card,
    way_out,
)
from lora_assets.finetuning.page_views import PageBoxes, PageView, pages_of, random_view, view_size
from lora_assets.models import ModelError, resolve
from lora_assets.store import atomic_write_json
from lora_assets.sums import file_sha256
from lora_assets.training.detector import batch_of, learn_batch, new_network, write_network
from lora_assets.training.feeding import batches
from lora_assets.training.loop import LoopOptions, Trained, run_loop
from lora_assets.training.schedule import TrainingError
from lora_assets.training.scores import FoundBoxes, matched, score_boxes
from lora_assets.vision.device import device
from lora_assets.vision.images import decode_image, read_file
from lora_assets.vision.yolo import Yolo, YoloLimits, load_yolo, open_network

if TYPE_CHECKING:
    import torch
    from ultralytics.nn.tasks import DetectionModel

LEAST_CONFIDENCE = 0.05
OVERLAP = 0.6
"""IoU of two boxes of one category above which the less sure one falls."""
MOST_BOXES = 300
MATCHED_IOU = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PageDetectorSettings:
    """How a page detector is trained; the defaults fit a CPU in about half an hour.

    `side` is the longer side of its input in pixels; `start` an Ultralytics checkpoint whose fitting weights it begins
    with, "starter-pages" for the packaged page detector, "starter" for the starter detector of drawn figures, "" for
    none. The end is `steps` or `minutes`, whichever comes first.
    """

    steps: int = 3000
    minutes: float = 30.0
    batch: int = 8
    side: int = 448
    peak_rate: float = 1.2e-3
    last_rate: float = 4e-5
    warmup_steps: int = 40
    hold: float = 0.35
    weight_decay: float = 5e-4
    seed: int = 0
    network: str = "yolov8n.yaml"
    start: str = PACKAGED

    def __post_init__(self) -> None:
        """Raise ValueError for settings that train nothing."""
        if self.side % 32 or not 128 <= self.side <= 2048:
            raise ValueError(f"side is {self.side}, but it must be a multiple of 32 from 128 to 2048")
        if self.steps < 1 or self.batch < 1 or self.minutes <= 0:
            raise ValueError(f"steps {self.steps}, batch {self.batch} and minutes {self.minutes:g} must be above 0")


@dataclass(frozen=True, slots=True)
class PageDetector:
    """An opened detector: its card, and the network."""

    card: PageDetectorCard
    network: Yolo

    def find(self, page: np.ndarray) -> np.ndarray:
        """What it finds on a page (uint8 RGB): float Nx6 rows of xyxy, confidence, category id, the surest first.

        Boxes below their category's confidence are left out.
        """
        found = self.network.find(page)
        ids = np.array([number for number, _ in self.card.categories])
        least = {score.category: score.confidence for score in self.card.scores}
        names = dict(self.card.categories)
        limits = np.array([least.get(names[number], 0.25) for number in ids.tolist()])
        classes = found.classes.astype(int)
        rows = np.column_stack([found.xyxy, found.confidence, ids[classes]]) if len(classes) else np.zeros((0, 6))
        kept = rows[found.confidence >= limits[classes]] if len(classes) else rows
        return kept[np.argsort(-kept[:, 4], kind="stable")]


def train_page_detector(
    found: AnnotatedSet, out: Path, settings: PageDetectorSettings = PageDetectorSettings(), *, resume: bool = True,
    publish_minutes: float = 10.0,
) -> PageDetectorCard:  # fmt: skip
    """Train a detector on a set's train split and write its weights to `out` and its card beside them.

    Its state goes to `<out>.training` every half minute, from where `resume` goes on after a kill, to the same batches.
    Raises AnnotationError when a split has no boxes, ModelError for a start that cannot be used, TrainingError for a
    state that does not fit.
    """
    pages, val = pages_of(found, "train"), pages_of(found, "val")
    for split, some in (("train", pages), ("val", val)):
        if not any(len(page.boxes) for page in some):
            raise AnnotationError(f'{found.root}: split {split} has no boxes: give some pages "split": "{split}"')
    state = _begun(out, found, settings, resume=resume)
    labels = [category.name for category in found.categories]
    model = new_network(settings.network, labels, settings.seed)
    if settings.start:
        taken = take_weights(model, settings.start)
        _log.info("%d of %d tensors begin as in %s", taken, len(model.state_dict()), settings.start)
    size = view_size(pages, settings.side)
    cards: list[PageDetectorCard] = []

    def publish(average: DetectionModel, trained: Trained) -> None:
        cards.append(_publish(average, found, val, out, settings, trained))

    run_loop(
        model.to(device()),
        settings,
        LoopOptions(state, resume, None, publish_minutes),
        lambda step: batches(partial(_views, pages, size, settings), step),
        _train_step,
        ("box", "class", "edge"),
        publish,
    )
    state.unlink(missing_ok=True)
    _note_of(state).unlink(missing_ok=True)
    return cards[-1]


def _note_of(state: Path) -> Path:
    """Beside a training's state: the set and settings that it is of."""
    return state.with_name(f"{state.name}.json")


def _begun(out: Path, found: AnnotatedSet, settings: PageDetectorSettings, *, resume: bool) -> Path:
    """Where the training keeps its state. Raises TrainingError when one is there that cannot be gone on from."""
    state = out.with_suffix(".training")
    note = _note_of(state)
    if not resume:
        # Before the note: a kill between the two would leave the old training's state under the new one's note.
        state.unlink(missing_ok=True)
    # How long to train may change; anything else would go on to other batches, or with other weights.
    own = {name: value for name, value in asdict(settings).items() if name not in ("steps", "minutes")}
    told = {"set": found.digest, "settings": own}
    if resume and state.exists():
        try:
            past = json.loads(note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            past = None
        if past != told:
            raise TrainingError(
                f"{state} is of another set or of other settings: train with those again, or start anew with --restart"
            )
    atomic_write_json(note, told)
    return state


def take_weights(model: DetectionModel, start: str) -> int:
    """Copy the tensors of an Ultralytics checkpoint that have the same name and shape; how many there were.

    Raises ModelError when it cannot be opened or none fits.
    """
    from lora_assets.starter import STARTER_PAGES, STARTER_YOLO

    path = {PACKAGED: STARTER_PAGES, "starter": STARTER_YOLO}.get(start, Path(start))
    if not path.is_file():
        raise ModelError(f'{path} is not there: name an Ultralytics checkpoint, "{PACKAGED}", "starter" or ""')
    given = open_network(path).state_dict()
    own = model.state_dict()
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise ModelError(f"{path} has no weights that fit this network: name another checkpoint or another network")
    model.load_state_dict(fitting, strict=False)
    return len(fitting)


def open_page_detector(data: Path, name: str = PACKAGED) -> PageDetector:
    """The named detector, or that of the package. Raises ModelError when there is none, or its weights are not those of
    its card."""
    if name == PACKAGED:
        card = packaged_card()
        try:
            path = resolve(PACKAGED, data).path
        except ModelError as error:
            raise ModelError(f"{error}; or {way_out(data, name)}") from error
    else:
        path = detector_path(data, name)
        card = read_card(path.with_suffix(".json"), data)
        if not path.is_file() or file_sha256(path) != card.sha256:
            raise ModelError(f"{path} is gone or not the file that its card describes: train it again")
    limits = YoloLimits(LEAST_CONFIDENCE, OVERLAP, MOST_BOXES, int(card.settings["side"]))
    return PageDetector(card, load_yolo(path, limits))


def measure(network: Yolo, pages: Sequence[PageBoxes], categories: Sequence[str]) -> list[CategoryScore]:
    """Score a detector's boxes on pages by category, each at the confidence where recall and precision are best.

    Where the pages have several titles, recall and precision of one half of them are counted at the confidence that is
    best on the other half, and the other way round.
    """
    folds = halves_by_title(pages)
    answers = []
    for page in pages:
        found = network.find(decode_image(read_file(page.path)).pixels)
        answers.append((found.xyxy, found.confidence, found.classes.astype(int)))
    scores = []
    for label, name in enumerate(categories):
        frames = [
            FoundBoxes(boxes[classes == label], sure[classes == label], page.boxes[page.boxes[:, 0] == label, 1:])
            for (boxes, sure, classes), page in zip(answers, pages, strict=True)
        ]
        confidence = best_confidence(frames)
        score = score_boxes(frames, MATCHED_IOU, confidence)
        recall, precision = (score.recall, score.precision) if folds is None else _held_out(frames, folds)
        scores.append(
            CategoryScore(
                name, confidence, round(recall, 4), round(precision, 4), round(score.average_precision, 4),
                score.true_boxes,
            )
        )  # fmt: skip
    return scores


def halves_by_title(pages: Sequence[PageBoxes]) -> np.ndarray | None:
    """For every page whether it is in the second half (bool N); whole titles, in the order of a hash, the halves about
    even. None for pages of one title, which cannot be halved so."""
    counts = Counter(page.title for page in pages)
    if len(counts) < 2:
        return None
    second: set[str] = set()
    filled = 0
    for title in sorted(counts, key=lambda title: hashlib.sha256(title.encode()).digest()):
        # One title at least stays in the first half.
        if len(second) + 1 < len(counts) and 2 * filled < len(pages):
            second.add(title)
            filled += counts[title]
    return np.array([page.title in second for page in pages])


def _held_out(frames: Sequence[FoundBoxes], second: np.ndarray) -> tuple[float, float]:
    """Recall and precision of all frames, each half at the confidence that is best on the other."""
    hits = found = true = 0
    for half in (second, ~second):
        confidence = best_confidence([frame for frame, mine in zip(frames, half, strict=True) if not mine])
        for frame in (frame for frame, mine in zip(frames, half, strict=True) if mine):
            sure = frame.confidences >= confidence
            answers = matched(frame.found[sure], frame.confidences[sure], frame.true, MATCHED_IOU)
            hits += int(np.count_nonzero(answers >= 0))
            found += int(np.count_nonzero(sure))
            true += len(frame.true)
    return hits / true if true else 1.0, hits / found if found else 1.0


def best_confidence(frames: Sequence[FoundBoxes], usual: float = 0.25) -> float:
    """The confidence (0.05 to 0.95) at which the F1 of one category is best; `usual` when nothing is found."""
    confidences, right = [], []
    for frame in frames:
        answers = matched(frame.found, frame.confidences, frame.true, MATCHED_IOU)
        confidences.append(frame.confidences)
        right.append(answers >= 0)
    sure, hits = np.concatenate(confidences or [np.zeros(0)]), np.concatenate(right or [np.zeros(0, bool)])
    count = sum(len(frame.true) for frame in frames)
    if not hits.any() or count == 0:
        return usual
    limits = np.arange(LEAST_CONFIDENCE, 0.951, 0.025)
    f1 = [2 * np.count_nonzero(hits[sure >= one]) / (count + np.count_nonzero(sure >= one)) for one in limits]
    # In the middle of the best ones, where neither a lost nor a false box is near.
    best = limits[np.isclose(f1, max(f1))]
    return round(float(best[len(best) // 2]), 3)


def _views(
    pages: Sequence[PageBoxes], size: tuple[int, int], settings: PageDetectorSettings, step: int
) -> list[PageView]:
    rng = np.random.default_rng((settings.seed, step))
    chosen = rng.integers(len(pages), size=settings.batch).tolist()
    return [random_view(rng, pages[place], *size) for place in chosen]


def _train_step(model: DetectionModel, optimizer: torch.optim.Optimizer, views: Sequence[PageView]) -> list[float]:
    return learn_batch(model, optimizer, batch_of([view.image for view in views], [view.targets for view in views]))


def _publish(
    average: DetectionModel, found: AnnotatedSet, val: Sequence[PageBoxes], out: Path, settings: PageDetectorSettings,
    trained: Trained,
) -> PageDetectorCard:  # fmt: skip
    candidate = out.with_name(f"candidate-{out.name}")
    write_network(candidate, average, settings.side, settings.network, settings.batch, settings.seed)
    limits = YoloLimits(LEAST_CONFIDENCE, OVERLAP, MOST_BOXES, settings.side)
    names = [category.name for category in found.categories]
    scores = measure(load_yolo(candidate, limits), val, names)
    card = PageDetectorCard(
        name=out.stem,
        sha256=file_sha256(candidate),
        data=str(found.root),
        data_digest=found.digest,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds_trained=round(trained.seconds, 1),
        steps=trained.steps,
        settings=asdict(settings),
        categories=tuple((category.id, category.name) for category in found.categories),
        scores=tuple(scores),
        held_out=halves_by_title(val) is not None,
    )
    put_in_place(candidate, out)
    atomic_write_json(out.with_suffix(".json"), asdict(card))
    for score in scores:
        _log.info(
            "after %d steps: %s recall %.3f precision %.3f ap50 %.3f", trained.steps, score.category, score.recall,
            score.precision, score.average_precision,
        )  # fmt: skip
    return card
