"""Which metrics can be measured here, by which model, and the recipe of each: what its results are known by.

A metric whose weights or package are not there is absent with the reason and the way out. Weights that are there but
are not what they are said to be are an error. What belongs elsewhere: running over crops (measuring).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2

from lora_assets.models import ModelError, OpenWeights, resolve
from lora_assets.models.opening import weights_path
from lora_assets.models.records import read_pins
from lora_assets.models.registry import find
from lora_assets.quality import anime_aesthetic, brisque, clip, faces, figure, musiq, pictures, pose
from lora_assets.quality.answers import NO_WINDOW, Answer, MeasureCrops
from lora_assets.quality.batches import Batches
from lora_assets.quality.metrics import METRIC, PICTURE
from lora_assets.quality.pictures import QualityCrop
from lora_assets.quality.settings import QualitySettings
from lora_assets.store import digest
from lora_assets.vision import device as machine
from lora_assets.vision.clip_embedding import find_checkpoint
from lora_assets.vision.images import CODE_VERSION as READ_VERSION

NO_CHARACTERS = "there is no table of characters yet: materialize the asset characters, with references"


@dataclass(frozen=True, slots=True)
class MetricRecipe:
    """Everything that can change a metric's value of a crop: code, settings, weights by content, runtime, and for
    metrics of the detections table the recipe of the detections."""

    metric: str
    code_version: str
    settings: dict[str, Any]
    weights: tuple[str, ...]
    runtime: str
    detections: str = ""

    @property
    def digest(self) -> str:
        """The recipe's address in the store."""
        return digest(self.metric, self.code_version, self.settings, self.weights, self.runtime, self.detections)


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """What measures one or more metrics at once. `open` loads its model; an engine that is `parallel` has none worth
    naming and is asked crop by crop from several threads."""

    name: str
    recipes: dict[str, MetricRecipe]
    open: Callable[[], MeasureCrops]
    parallel: bool = False


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines that can run, and why each of the other metrics is absent."""

    engines: tuple[Engine, ...]
    absent: dict[str, str] = field(default_factory=dict)

    def recipes(self) -> dict[str, MetricRecipe]:
        """The recipe of each metric that can be measured."""
        return {name: recipe for engine in self.engines for name, recipe in engine.recipes.items()}


@dataclass(slots=True)
class _Plan:
    """What is being put together: the settings, where weights lie, the engines so far and the absent metrics."""

    settings: QualitySettings
    data: Path
    detections: str
    wanted: tuple[str, ...]
    engines: list[Engine]
    absent: dict[str, str]

    @property
    def device(self) -> str:
        return self.settings.device or machine.device()

    @property
    def half(self) -> bool:
        return self.settings.half and self.device == "cuda"

    def weights(self, name: str, metrics: Sequence[str]) -> OpenWeights | None:
        """The weights of a name; None, with the reason noted, where they were never fetched or accepted."""
        try:
            return resolve(name, self.data)
        except ModelError as error:
            known = find(name)
            fetched = known is not None and weights_path(known, self.data).is_file()
            accepted = known is not None and (known.sha256 or read_pins(self.data).get(known.name))
            if known is None or (fetched and accepted):
                raise
            for metric in metrics:
                before = self.absent.get(metric)
                self.absent[metric] = f"{before}; {error}" if before else str(error)
            return None

    def recipe(
        self, metric: str, code_version: str, weights: tuple[str, ...] = (), runtime: str = "", **settings: Any
    ) -> MetricRecipe:
        told = dict(settings)
        if METRIC[metric].looks_at == PICTURE:
            told["picture"] = self.settings.picture
        from_table = METRIC[metric].engine in ("face_table", "pose_table")
        code = f"{code_version}.{pictures.CODE_VERSION}.{READ_VERSION}"
        runtime = runtime or f"opencv {_line(cv2.__version__)}"
        return MetricRecipe(metric, code, told, weights, runtime, self.detections if from_table else "")

    def torch_runtime(self) -> str:
        precision = "float16" if self.half else "float32"
        return f"torch {_line(version('torch'))} {self.device} {precision}"


def _line(release: str) -> str:
    return ".".join(release.split(".")[:2])


def _onnx_runtime() -> str:
    import onnxruntime

    from lora_assets.vision.yolo_onnx import execution_providers

    return f"onnxruntime {_line(onnxruntime.__version__)} {execution_providers()[0]}"


def model_threads() -> int:
    """Cores that one call of a network takes: models run one after the other here."""
    return max(1, len(os.sched_getaffinity(0)))


def plan_engines(settings: QualitySettings, data: Path, detections: str = "") -> Engines:
    """The engines for the metrics that the settings want. `detections` is the recipe of the detections table.

    Raises ModelError, naming the file, for weights that are not what they are said to be.
    """
    wanted = settings.wanted_metrics()
    plan = _Plan(settings, data, detections, wanted, [], {})
    for add in (_add_plain, _add_brisque, _add_faces, _add_pose, _add_anime, _add_musiq, _add_clip):
        add(plan)
    return Engines(tuple(plan.engines), {name: reason for name, reason in plan.absent.items() if name in wanted})


def _per_crop(one: Callable[[QualityCrop, str], Answer]) -> MeasureCrops:
    def measure(crops: Sequence[QualityCrop], names: Sequence[str]) -> dict[str, list[Answer]]:
        return {name: [one(crop, name) for crop in crops] for name in names}

    return measure


def _add_plain(plan: _Plan) -> None:
    """What needs no model: measures of the figure, faces and key points of the table."""
    measures = {
        "sharpness": figure.sharpness, "lighting": figure.lighting, "contrast": figure.contrast, "noise": figure.noise
    }  # fmt: skip
    own = [name for name in measures if name in plan.wanted]
    if own:
        recipes = {name: plan.recipe(name, figure.CODE_VERSION) for name in own}
        ask = _per_crop(lambda crop, name: Answer(*measures[name](crop.grey, crop.mask)))
        plan.engines.append(Engine("figure", recipes, lambda: ask, parallel=True))
    if "pose_key_points" in plan.wanted:
        recipe = plan.recipe("pose_key_points", pose.CODE_VERSION, runtime="numpy")
        ask_pose = _per_crop(lambda crop, _: pose.pose_of_table(crop))
        plan.engines.append(Engine("pose_table", {"pose_key_points": recipe}, lambda: ask_pose, parallel=True))


def _add_brisque(plan: _Plan) -> None:
    if "brisque" not in plan.wanted:
        return
    model, ranges = (plan.weights(name, ["brisque"]) for name in METRIC["brisque"].weights)
    if model is None or ranges is None:
        return
    picture = plan.settings.picture

    def open_scorer() -> MeasureCrops:
        scorer = brisque.load_scorer(model.path, ranges.path)

        def one(crop: QualityCrop, _: str) -> Answer:
            shown = crop.shown(picture)
            return Answer(None, NO_WINDOW) if shown is None else Answer(*brisque.brisque_score(shown, scorer))

        return _per_crop(one)

    recipe = plan.recipe("brisque", brisque.CODE_VERSION, (model.sha256, ranges.sha256))
    plan.engines.append(Engine("brisque", {"brisque": recipe}, open_scorer, parallel=True))


def _add_faces(plan: _Plan) -> None:
    parts = plan.settings.face_part_weights()
    code = f"{faces.CODE_VERSION}.{figure.CODE_VERSION}"
    if "face_detections" in plan.wanted:
        recipe = plan.recipe("face_detections", code, parts=parts)
        ask = _per_crop(lambda crop, _: faces.face_of_table(crop, parts))
        plan.engines.append(Engine("face_table", {"face_detections": recipe}, lambda: ask, parallel=True))
    if "face_yunet" in plan.wanted:
        weights = plan.weights(plan.settings.face_model, ["face_yunet"])
        if weights is not None:
            recipe = plan.recipe("face_yunet", code, (weights.sha256,), parts=parts)
            opened = partial(faces.yunet_measure, weights.path, parts)
            plan.engines.append(Engine("yunet", {"face_yunet": recipe}, opened))


def _add_pose(plan: _Plan) -> None:
    weights = plan.weights(plan.settings.pose_model, ["pose_rtmpose"]) if "pose_rtmpose" in plan.wanted else None
    if weights is not None:
        recipe = plan.recipe("pose_rtmpose", pose.CODE_VERSION, (weights.sha256,), _onnx_runtime())
        opened = partial(
            pose.rtmpose_measure, weights.path, picture=plan.settings.picture, threads=model_threads(),
            batches=Batches(plan.settings.batch),
        )  # fmt: skip
        plan.engines.append(Engine("rtmpose", {"pose_rtmpose": recipe}, opened))


def _add_anime(plan: _Plan) -> None:
    name = plan.settings.anime_aesthetic_model
    weights = plan.weights(name, ["anime_aesthetic"]) if "anime_aesthetic" in plan.wanted else None
    if weights is not None:
        recipe = plan.recipe("anime_aesthetic", anime_aesthetic.CODE_VERSION, (weights.sha256,), _onnx_runtime())
        opened = partial(
            anime_aesthetic.anime_aesthetic_measure, weights.path, picture=plan.settings.picture,
            threads=model_threads(), batches=Batches(plan.settings.batch),
        )  # fmt: skip
        plan.engines.append(Engine("anime_aesthetic", {"anime_aesthetic": recipe}, opened))


def _add_musiq(plan: _Plan) -> None:
    if "musiq" not in plan.wanted:
        return
    if not musiq.is_installed():
        plan.absent["musiq"] = musiq.MISSING
        return
    weights = plan.weights(plan.settings.musiq_model, ["musiq"])
    if weights is not None:
        recipe = plan.recipe("musiq", musiq.CODE_VERSION, (weights.sha256,), plan.torch_runtime())
        opened = partial(
            musiq.musiq_measure, weights.path, picture=plan.settings.picture, device=plan.device, half=plan.half,
            batches=Batches(plan.settings.batch),
        )  # fmt: skip
        plan.engines.append(Engine("musiq", {"musiq": recipe}, opened))


# --- CLIP ------------------------------------------------------------------------------------------------------------


def _add_clip(plan: _Plan) -> None:
    """Both CLIP models with their heads; CLIP-IQA runs beside the larger one that has a tokenizer."""
    places = {"clip_l14": plan.settings.clip_l14, "clip_b32": plan.settings.clip_b32}
    usable: dict[str, tuple[Path, tuple[str, ...]]] = {}
    reasons: dict[str, str] = {}
    for engine, name in places.items():
        found = find_checkpoint(name, plan.data)
        if isinstance(found, str):
            reasons[engine] = f"{found}, or name one in section [quality]"
        else:
            usable[engine] = found.folder, found.sha256
    talks = next(
        (engine for engine, (folder, _) in usable.items()
         if all((folder / name).is_file() for name in clip.TOKENIZER_FILES)), None,
    )  # fmt: skip
    if "clip_iqa" in plan.wanted and talks is None:
        plan.absent["clip_iqa"] = next(iter(reasons.values()), "") or (
            f"the CLIP folders hold no tokenizer ({', '.join(clip.TOKENIZER_FILES)}): copy it beside the weights"
        )
    for engine in places:
        names = [name for name in plan.wanted if METRIC[name].engine == engine]
        if engine not in usable:
            plan.absent.update(dict.fromkeys(names, reasons[engine]))
            continue
        _add_one_clip(plan, engine, names, *usable[engine], talks == engine and "clip_iqa" in plan.wanted)


def _add_one_clip(
    plan: _Plan, engine: str, names: list[str], folder: Path, hashes: tuple[str, ...], talks: bool
) -> None:
    square, prompts = plan.settings.square, list(plan.settings.clip_iqa_prompts)
    heads: dict[str, Path] = {}
    recipes: dict[str, MetricRecipe] = {}
    runtime = plan.torch_runtime()
    for name in names:
        weights = plan.weights(METRIC[name].weights[0], [name])
        if weights is not None:
            heads[name] = weights.path
            recipes[name] = plan.recipe(name, clip.CODE_VERSION, (*hashes, weights.sha256), runtime, square=square)
    if talks:
        tokens = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in clip.TOKENIZER_FILES]
        recipes["clip_iqa"] = plan.recipe(
            "clip_iqa", clip.CODE_VERSION, (*hashes, *tokens), runtime, square=square, prompts=prompts
        )
    if recipes:
        opened = partial(
            clip.clip_measure, folder, heads, prompts if talks else [], picture=plan.settings.picture, square=square,
            device=plan.device, half=plan.half, batches=Batches(plan.settings.batch),
        )  # fmt: skip
        plan.engines.append(Engine(engine, recipes, opened))
