"""Image quality on this machine: milliseconds per crop of each metric, and how often a metric tells a damaged crop from
the same crop undamaged, shown the window of the frame or the figure on grey.

The crops are drawn, so that their masks are exact; with a folder of real drawings their boxes are measured too. A CLIP
of random weights but of the true size has the true cost and no meaning, and is left out of the second table.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from lora_assets.benchmarks.real_drawings import read_drawings
from lora_assets.models import WEIGHTS
from lora_assets.models.registry import QUALITY
from lora_assets.quality.engines import Engine, plan_engines
from lora_assets.quality.metrics import METRIC
from lora_assets.quality.pictures import MOST_SIDE, QualityCrop
from lora_assets.quality.settings import CUTOUT, WINDOW, QualitySettings
from lora_assets.scenes import draw_scene
from lora_assets.vision.images import RgbImage, decode_image, read_file

_FRAME = (1280, 720)
_FIRST_SEED = 40_000
_LEAST_HEIGHT = 160
_MARGIN = 4
_BATCH = 16

Damage = Callable[[RgbImage], RgbImage]


def _noisy(picture: RgbImage) -> RgbImage:
    noise = np.random.default_rng(7).normal(0.0, 20.0, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def _compressed(picture: RgbImage) -> RgbImage:
    content = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 10])[1]
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), np.uint8)


DAMAGES: dict[str, Damage] = {
    "blur, sigma 2": lambda picture: np.asarray(cv2.GaussianBlur(picture, (0, 0), 2.0), np.uint8),
    "noise, sigma 20": _noisy,
    "dark, a quarter": lambda picture: (picture * 0.25).astype(np.uint8),
    "faded, a third": lambda picture: (picture / 3.0 + 85.0).astype(np.uint8),
    "JPEG, quality 10": _compressed,
}


def drawn_crops(count: int) -> list[QualityCrop]:
    """Crops of drawn characters without effects, with exact masks, at most 1024 pixels a side."""
    found: list[QualityCrop] = []
    seed = _FIRST_SEED
    while len(found) < count:
        scene = draw_scene(seed, *_FRAME, effects=False)
        for number, character in enumerate(scene.characters):
            x1, y1, x2, y2 = (int(side) for side in character.box)
            if y2 - y1 < _LEAST_HEIGHT:
                continue
            top, left = max(0, y1 - _MARGIN), max(0, x1 - _MARGIN)
            part = slice(top, y2 + _MARGIN), slice(left, x2 + _MARGIN)
            face = character.face_box
            faces = () if face is None else (((face[0] - left, face[1] - top, face[2] - left, face[3] - top), 0.9),)
            points = np.asarray(character.key_points, np.float64) * (1.0, 1.0, 0.5) - (left, top, 0.0)
            found.append(
                QualityCrop(
                    f"{seed}-{number}", np.ascontiguousarray(scene.image[part]), character.mask[part].copy(),
                    faces=faces, key_points=points,
                )
            )  # fmt: skip
        seed += 1
    return found[:count]


def real_windows(folder: Path, most: int) -> list[QualityCrop]:
    """The boxed characters of real drawings: whole boxes, since nobody drew their masks."""
    found = []
    for drawing in read_drawings(folder)[0]:
        image = decode_image(read_file(drawing.path)).pixels
        height, width = image.shape[:2]
        for number, box in enumerate(drawing.boxes):
            x1, y1, x2, y2 = (box * (width, height, width, height)).round().astype(int)
            part = np.ascontiguousarray(image[max(0, y1) : y2, max(0, x1) : x2])
            scale = min(1.0, MOST_SIDE / max(1, *part.shape[:2]))
            if min(part.shape[:2]) * scale < 64:
                continue
            size = (round(part.shape[1] * scale), round(part.shape[0] * scale))
            part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
            found.append(QualityCrop(f"{drawing.path.name}-{number}", part, np.ones(part.shape[:2], np.bool_)))
    return found[:most]


def link_models(data: Path, models: Path | None) -> None:
    """Make the weights of a folder, as far as the registry knows them, those of a data folder of the measurement."""
    (data / "models").mkdir(parents=True, exist_ok=True)
    if models is None:
        return
    for known in WEIGHTS:
        source, target = models / known.file, data / "models" / known.file
        if known.task == QUALITY and source.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source.absolute())


def random_clip(folder: Path, *, large: bool) -> None:
    """A CLIP of random weights of the size of OpenAI's ViT-L/14 or ViT-B/32, as transformers keeps it."""
    from transformers import CLIPConfig, CLIPModel

    text = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "projection_dim": 768}
    vision = {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
        "patch_size": 14, "projection_dim": 768,
    }  # fmt: skip
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=768) if large else CLIPConfig()
    CLIPModel(config).save_pretrained(folder)


def _in_batches(engine: Engine, crops: Sequence[QualityCrop]) -> tuple[dict[str, list[float | None]], float]:
    """The values of an engine's metrics, and its milliseconds per crop after a first batch that does not count."""
    measure, names = engine.open(), list(engine.recipes)
    measure(crops[: min(2, len(crops))], names)
    values: dict[str, list[float | None]] = {name: [] for name in names}
    begun = time.perf_counter()
    for start in range(0, len(crops), _BATCH):
        for name, answers in measure(crops[start : start + _BATCH], names).items():
            values[name].extend(answer.value for answer in answers)
    return values, 1000 * (time.perf_counter() - begun) / len(crops)


def _time_table(data: Path, crops: Sequence[QualityCrop], notes: dict[str, str]) -> list[str]:
    engines = plan_engines(QualitySettings(), data)
    sides = [max(crop.mask.shape) for crop in crops]
    lines = [
        f"milliseconds per crop, {len(crops)} drawn crops, longer side {int(np.median(sides))} pixels in the median, "
        "in this one process",
        "",
        "| model | metrics | ms per crop | with a value | note |",
        "|---|---|---|---|---|",
    ]
    for engine in engines.engines:
        values, spent = _in_batches(engine, crops)
        there = ", ".join(f"{sum(v is not None for v in each)}" for each in values.values())
        lines.append(f"| {engine.name} | {', '.join(values)} | {spent:.1f} | {there} | {notes.get(engine.name, '')} |")
    told = {name: reason.replace(f"{data}/", "") for name, reason in engines.absent.items()}
    lines += [f"| - | {name} | absent | | {reason} |" for name, reason in told.items()]
    return lines


def _told_apart(engine: Engine, name: str, crops: Sequence[QualityCrop]) -> dict[str, tuple[float, int]]:
    """For each damage the share of crops whose damaged version is worse, and of how many that could be told."""
    measure = engine.open()
    better = 1 if METRIC[name].better == "higher" else -1
    clean = [answer.value for answer in measure(crops, [name])[name]]
    found = {}
    for damage, apply in DAMAGES.items():
        damaged = measure([replace(crop, colour=apply(crop.colour)) for crop in crops], [name])[name]
        pairs = [
            (one, other.value)
            for one, other in zip(clean, damaged, strict=True)
            if one is not None and other.value is not None
        ]
        worse = sum(better * other < better * one for one, other in pairs)
        found[damage] = (worse / len(pairs) if pairs else float("nan"), len(pairs))
    return found


def _damage_table(data: Path, named: dict[str, Sequence[QualityCrop]], meaningless: Sequence[str]) -> list[str]:
    lines = [
        "share of crops whose damaged version gets the worse value (pairs in brackets)",
        "",
        "| crops | metric | shown | " + " | ".join(DAMAGES) + " |",
        "|---|---|---|" + "---|" * len(DAMAGES),
    ]
    for title, crops in named.items():
        for picture in (WINDOW, CUTOUT):
            for engine in plan_engines(QualitySettings(picture=picture), data).engines:
                for name in engine.recipes:
                    looks = METRIC[name].looks_at
                    only_once = looks != "picture" and picture == CUTOUT
                    # The faces of drawn crops are given, and no damage changes them.
                    if looks == "table" or engine.name in (*meaningless, "face_table") or only_once:
                        continue
                    if picture == CUTOUT and all(crop.mask.all() for crop in crops):
                        continue
                    told = _told_apart(engine, name, crops).values()
                    shares = [f"{share:.0%} ({pairs})" if pairs else "-" for share, pairs in told]
                    shown = picture if looks == "picture" else looks
                    lines.append(f"| {title} | {name} | {shown} | " + " | ".join(shares) + " |")
    return lines


def measure_quality(
    models: Path | None = None, count: int = 48, images: Path | None = None, clip: bool = False
) -> list[str]:
    """Both tables as lines of Markdown. `models` holds weights by their usual file names; `clip` adds the cost of both
    CLIP models, with random weights of the true size."""
    with tempfile.TemporaryDirectory(prefix="lora_assets-quality-") as folder:
        data = Path(folder)
        link_models(data, models)
        notes: dict[str, str] = {}
        if clip:
            settings = QualitySettings()
            for engine, name in (("clip_b32", settings.clip_b32), ("clip_l14", settings.clip_l14)):
                place = data / "models" / name
                if not place.is_dir():
                    random_clip(place, large=engine == "clip_l14")
                    notes[engine] = "random weights of the true size"
        crops = drawn_crops(count)
        lines = _time_table(data, crops, notes)
        named: dict[str, Sequence[QualityCrop]] = {"drawn": crops}
        if images is not None:
            named["real drawings"] = real_windows(images, count)
        return [*lines, "", *_damage_table(data, named, tuple(notes))]
