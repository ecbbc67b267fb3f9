"""What the assets and the command make: a tuned model from a settings file, and the report that judges it.

Both are made once for the same inputs; a killed training goes on where its last checkpoint was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lora_assets.annotations.places import annotations_folder
from lora_assets.annotations.records import VAL
from lora_assets.finetuning.checkpoints import FinetuningError, read_last
from lora_assets.finetuning.drawing import draw_course, draw_report
from lora_assets.finetuning.history import HISTORY, read_history
from lora_assets.finetuning.judging import (
    ALL,
    BOUNDARY,
    HEAD,
    IOU,
    category_figures,
    find_figure,
    head_correlation,
    judge_pages,
    verdict_of,
)
from lora_assets.finetuning.learning import Learner, embedder
from lora_assets.finetuning.loop import Tuned, Tuning, precision_of, tune
from lora_assets.finetuning.networks import Network, config_of, open_network
from lora_assets.finetuning.pages import EmbeddingCache, read_page, spread
from lora_assets.finetuning.preflight import Ready, check_before, checked_set, tunable_base, work_folder
from lora_assets.finetuning.prompts import BOX, POINT
from lora_assets.finetuning.settings import FROZEN, MEMORY, NONE, SegmenterSettings, read_segmenter
from lora_assets.models.opening import resolve_tuned
from lora_assets.models.registry import ModelError
from lora_assets.models.tuned import BETTER, UNJUDGED, TunedCard, read_tuned, write_card, write_tuned
from lora_assets.progress import Listener, Progress, nobody
from lora_assets.store import PublishedTable, Store, StoreError, atomic_write_bytes, digest
from lora_assets.tables import to_table
from lora_assets.tables.segmenters import CategoryFigure, JudgedAnnotation, TuningStep
from lora_assets.under_way import RUNNING, TUNING_STAGE, StageState, read_state, telling
from lora_assets.vision.yolo import torch_device

REPORT_VERSION = "3"
MOST_JUDGED = 240
"""Annotations of val that the report asks for."""
COURSE_PICTURE, REPORT_PICTURE = "course.png", "report.png"


@dataclass(frozen=True, slots=True)
class MadeSegmenter:
    """A tuned model: its card, the course as a table and a picture, and whether it was there already."""

    card: TunedCard
    table: PublishedTable
    picture: Path
    reused: bool

    def numbers(self) -> dict[str, float]:
        """Figures that are plotted over time."""
        names = (
            "steps",
            "best_step",
            "val_iou_before",
            "val_iou_best",
            "seconds",
            "steps_per_second",
            "peak_memory_gb",
        )
        return {name: float(self.table.facts[name]) for name in (*names, "estimated_memory_gb", "trained_numbers")}


@dataclass(frozen=True, slots=True)
class MadeReport:
    """A report: the card with its verdict, the figures as a table, the picture, and whether it was there already."""

    card: TunedCard
    table: PublishedTable
    picture: Path
    reused: bool

    def numbers(self) -> dict[str, float]:
        """Figures that are plotted over time."""
        return {name: float(value) for name, value in self.table.facts["numbers"].items()}

    def figures(self) -> list[CategoryFigure]:
        """Every figure by prompt and category."""
        return [CategoryFigure(**row) for row in self.table.read().to_pylist()]


def tune_segmenter(
    data: Path,
    name: str,
    listen: Listener = nobody,
    *,
    resume: bool | None = None,
    run_id: str = "",
    say: Callable[[str], None] = lambda _: None,
) -> MadeSegmenter:
    """Tune the segmenter of a settings file and put it into `data/models/tuned/`, not judged yet.

    `resume` True demands a checkpoint to go on from, False begins anew, None goes on where there is a checkpoint of the
    same inputs and makes nothing that is made already. `say` is told the memory advice before anything starts. Raises
    FinetuningError, SpecError, AnnotationError, ModelError or StoreError, before the training wherever it can be known.
    """
    with _alone(data, name):
        ready = check_before(data, name)
        say(ready.memory.words())
        for note in ready.notes:
            say(note)
        made = None if resume is False else _made_before(data, ready)
        if made is not None:
            return made
        go_on = _may_resume(work_folder(data, name), ready.fingerprint, resume)
        _watch_memory(ready.device)
        with telling(data, name, TUNING_STAGE, run_id=run_id, recipe=ready.fingerprint) as state:
            tuning = Tuning(
                name, ready.network, ready.found, ready.settings.training, work_folder(data, name), ready.base.sha256,
                ready.fingerprint, ready.device,
            )  # fmt: skip
            began = [0]

            def begun(step: int) -> None:
                began[0] = step
                state.begin(ready.settings.training.steps, step)

            def on_step(done: int, total: int, words: str) -> None:
                state.count(done - began[0])
                listen(Progress(f"{name}: {words}{_left(state.state)}", done, total, "steps"))

            tuned = tune(tuning, resume=go_on, listen=on_step, begun=begun)
            return _publish(data, ready, tuned, run_id)


@contextmanager
def _alone(data: Path, name: str) -> Iterator[None]:
    """Nobody else tunes or judges the same segmenter. Raises FinetuningError, saying how far the other one is."""
    lock = Store(data).lock(f"segmenter-{name}", wait=False)
    try:
        lock.__enter__()
    except StoreError as error:
        state = read_state(data, "", name, TUNING_STAGE)
        far = ""
        if state is not None and state.status == RUNNING:
            far = f" (step {state.done} of {state.total}{_left(state)})"
        raise FinetuningError(f"{name} is being made by another process{far}: wait for it, then run again") from error
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _left(state: StageState) -> str:
    """The time left in words, after a comma; "" while it cannot be told."""
    return "" if state.seconds_left is None else f", {state.seconds_left / 60:.0f} minutes left"


def _may_resume(folder: Path, fingerprint: str, resume: bool | None) -> bool:
    if resume is False:
        return False
    try:
        kept = read_last(folder)
    except FinetuningError:
        if resume:
            raise
        return False
    if resume and kept is None:
        raise FinetuningError(f"there is no checkpoint in {folder} to go on from: leave out --resume")
    return kept is not None and (bool(resume) or kept.state.fingerprint == fingerprint)


def _made_before(data: Path, ready: Ready) -> MadeSegmenter | None:
    """The tuned model as it is, when it was made of the same inputs and nothing of it is missing."""
    name = ready.settings.name
    try:
        card = read_tuned(data, name)
        if card is None or card.lineage.get("fingerprint") != ready.fingerprint:
            return None
        resolve_tuned(name, data)
    except ModelError:
        return None
    table, picture = _course_table(data, name), work_folder(data, name) / COURSE_PICTURE
    if table is None or table.version != card.lineage.get("version") or not picture.exists():
        return None
    # Minutes or patience that ended it may have been raised since: then it goes on.
    settings = ready.settings.training
    limits = {"minutes": settings.minutes, "patience": settings.patience}
    if table.facts.get("limits") != limits and table.facts["steps"] < settings.steps:
        return None
    return MadeSegmenter(card, table, picture, True)


def _course_table(data: Path, name: str) -> PublishedTable | None:
    store = Store(data)
    return store.published(store.table_path("finetuned_segmenter", name))


def _watch_memory(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()


def peak_memory_gb(device: str) -> float:
    """The most memory that the process took so far on the device, in gigabytes."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_reserved() / 1024**3
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def _publish(data: Path, ready: Ready, tuned: Tuned, run_id: str) -> MadeSegmenter:
    """Put the best weights, the course and its picture in their places."""
    name, folder = ready.settings.name, work_folder(data, ready.settings.name)
    lines = read_history(folder / HISTORY)
    before = next((line["val_iou"] for line in lines if line["step"] == 0 and "val_iou" in line), None)
    version = digest(ready.fingerprint, tuned.state.step, tuned.state.best_step, tuned.state.best_iou)
    facts = {
        "steps": tuned.state.step, "best_step": tuned.state.best_step, "val_iou_best": tuned.state.best_iou,
        "val_iou_before": before or 0.0, "seconds": tuned.state.seconds, "steps_per_second": tuned.steps_per_second,
        "peak_memory_gb": peak_memory_gb(ready.device), "estimated_memory_gb": ready.memory.total,
        "trained_numbers": tuned.trained_numbers, "ended": tuned.state.finished, "resumed_at": tuned.resumed_at,
        "device": ready.device, "settings": asdict(ready.settings.training),
        "limits": {"minutes": ready.settings.training.minutes, "patience": ready.settings.training.patience},
    }  # fmt: skip
    card = TunedCard(
        name=name,
        family=ready.base.family,
        sha256="",
        file_sha256="",
        lineage={
            "base": ready.settings.base, "base_sha256": ready.base.sha256, "base_path": str(ready.base.path),
            "annotations": str(ready.found.root), "data_digest": ready.found.digest, "fingerprint": ready.fingerprint,
            "version": version, "steps": tuned.state.step, "best_step": tuned.state.best_step, "run_id": run_id,
            "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        },
        settings=asdict(ready.settings.training),
    )  # fmt: skip
    config = config_of(ready.base)
    content = _weights(ready.network)
    written = write_tuned(data, card, lambda handle: handle.write(content), config.read_bytes() if config else None)
    atomic_write_bytes(folder / COURSE_PICTURE, draw_course(name, lines, before))
    store = Store(data)
    table = store.publish(
        store.table_path("finetuned_segmenter", name),
        TuningStep,
        [to_table(_course(lines), TuningStep)],
        version,
        facts,
    )
    return MadeSegmenter(written, table, folder / COURSE_PICTURE, False)


def _weights(network: Network) -> bytes:
    """All weights, adapters merged, as the base names them, as a safetensors file."""
    from safetensors.torch import save

    from lora_assets.finetuning.adapters import merge_adapters

    merge_adapters(network.module)
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.module.state_dict().items()}
    return save(tensors, {"format": "pt"})


def _course(lines: Sequence[dict[str, Any]]) -> list[TuningStep]:
    names = TuningStep.__dataclass_fields__
    return [TuningStep(**{name: line.get(name) for name in names}) for line in lines]  # pyright: ignore[reportArgumentType]


def make_report(data: Path, name: str, listen: Listener = nobody, *, run_id: str = "") -> MadeReport:
    """Judge a tuned model against its untouched base on the same prompts, and write the verdict into its card.

    Raises FinetuningError when it was not tuned, or its set or base changed since.
    """
    with _alone(data, name):
        card = read_tuned(data, name)
        if card is None:
            raise FinetuningError(f"{name} was not tuned yet: lora-assets train-segmenter {name}")
        weights = resolve_tuned(name, data)
        settings = read_segmenter(data, name)
        version = digest("segmenter_report", REPORT_VERSION, card.sha256, card.lineage["data_digest"])
        if (made := _report_before(data, card, version)) is not None:
            return made
        found, _ = checked_set(annotations_folder(data, settings.annotations))
        if found.digest != card.lineage["data_digest"]:
            raise FinetuningError(f"the annotated set of {name} changed since it was tuned: tune it again")
        base = tunable_base(data, settings)
        if base.sha256 != card.lineage["base_sha256"]:
            raise FinetuningError(f"the base {settings.base} of {name} changed since it was tuned: tune it again")
        device = torch_device()
        used = replace(settings.training, **{key: card.settings[key] for key in ("encoder", "seed", "box_jitter")})
        settings = replace(settings, training=used)
        learners = _learners(
            settings, found, open_network(base, device), open_network(weights, device), base.sha256, device
        )
        # Other prompts than those that the best step was chosen by.
        pages = spread(found, VAL, MOST_JUDGED, used.seed + 1)
        judged = judge_pages(
            *learners,
            pages,
            used.seed + 1,
            lambda done, total: listen(Progress(f"{name}: judged", done, total, "pages")),
        )
        rows = [one.row for one in judged]
        figures = category_figures(rows)
        verdict = verdict_of(figures)
        images = {image.id: image for image in found.images}
        picture = work_folder(data, name) / REPORT_PICTURE
        png = draw_report(name, settings.base, verdict, figures, judged, lambda page: read_page(images[page]))
        atomic_write_bytes(picture, png)
        numbers = _numbers(figures, rows)
        store = Store(data)
        facts = {
            "numbers": numbers, "verdict": verdict.verdict, "reason": verdict.reason, "sure": verdict.sure,
            "base": settings.base, "model_sha256": card.sha256, "run_id": run_id,
        }  # fmt: skip
        store.publish(
            store.table_path("judged_annotations", name),
            JudgedAnnotation,
            [to_table(rows, JudgedAnnotation)],
            version,
            facts,
        )
        judged_card = replace(card, figures=numbers, verdict=verdict.verdict, reason=verdict.reason)
        table = store.publish(
            store.table_path("segmenter_report", name),
            CategoryFigure,
            [to_table(figures, CategoryFigure)],
            version,
            facts,
        )
        write_card(data, judged_card)
        return MadeReport(judged_card, table, picture, False)


def surely_better(data: Path, name: str) -> tuple[bool, str]:
    """Whether a tune was judged better than its base and surely so, and why (not) in words."""
    card = read_tuned(data, name)
    if card is None:
        return False, "not tuned yet"
    store = Store(data)
    table = store.published(store.table_path("segmenter_report", name))
    return card.verdict == BETTER and table is not None and bool(table.facts["sure"]), card.reason


def _report_before(data: Path, card: TunedCard, version: str) -> MadeReport | None:
    store, picture = Store(data), work_folder(data, card.name) / REPORT_PICTURE
    table = store.published(store.table_path("segmenter_report", card.name))
    if table is None or table.version != version or card.verdict == UNJUDGED or not picture.exists():
        return None
    return MadeReport(card, table, picture, True)


def _learners(
    settings: SegmenterSettings, found: Any, base: Network, tuned: Network, base_sha256: str, device: str
) -> tuple[Learner, Learner]:
    """Base and tuned network as they are asked; one embedding for both where the encoder was frozen."""
    used, dtype = settings.training, precision_of(settings.training, device)
    asked = replace(used, encoder=FROZEN)
    # One page at a time is asked of both: a cache of a few pages is enough.
    shared = EmbeddingCache(MEMORY, min(used.cache_gb, 1.0), base_sha256, dtype, Path(), device)
    embed_base = embedder(base, asked, shared)
    own = EmbeddingCache(NONE, 0, "", dtype, Path(), device)
    embed_tuned = embed_base if used.encoder == FROZEN else embedder(tuned, asked, own)
    return (
        Learner(base, asked, found, embed_base, device, dtype),
        Learner(tuned, asked, found, embed_tuned, device, dtype),
    )


def _numbers(figures: Sequence[CategoryFigure], rows: Sequence[JudgedAnnotation]) -> dict[str, float]:
    """The figures of all categories in a few names, and the gain of each category."""
    found: dict[str, float] = {"annotations": float(sum(row.prompt == BOX for row in rows))}
    for prompt in (BOX, POINT):
        for figure, short in ((IOU, "iou"), (BOUNDARY, "boundary_f"), (HEAD, "predicted_iou_error")):
            whole = find_figure(figures, prompt, ALL, figure)
            if whole is not None:
                key = f"{short}_{prompt}"
                found |= {f"{key}_base": whole.base, f"{key}_tuned": whole.tuned, f"{key}_gain": whole.gain}
    for one in figures:
        if one.prompt == BOX and one.figure == IOU and one.category != ALL:
            found[f"gain_{one.category}"] = one.gain
    for which in ("base", "tuned"):
        correlation = head_correlation(rows, which)
        if correlation is not None:
            found[f"predicted_iou_correlation_{which}"] = correlation
    return found
