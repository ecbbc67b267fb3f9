"""Rare-object mining on drawn streets with planted rarities: which are found, at what share, and what each step costs.

Two kinds are planted: things of a rare class, which the detector names, and strangers that it calls by a common name (a
penguin called "car"), which only their looks give away. Boxes are the drawn ones with the shake of a detector. Chance
keeps as many as the union. The outlier models were chosen on seeds 0 and 1.
"""

from __future__ import annotations

import io
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image

from lora_assets.mining.pipeline import Mined, make_map, make_rare, mine
from lora_assets.mining.settings import MiningSettings
from lora_assets.mining.sources import FrameSource
from lora_assets.store import Store, digest
from lora_assets.tables import Detection, to_table
from lora_assets.tables.mining import MinedObject, ObjectCaption, RareObject

SIZE = (640, 360)
_COMMON = {"car": 0.45, "tree": 0.2, "lamp_post": 0.15, "bush": 0.12, "sign": 0.08}
_RARE = ("bus", "bicycle", "horse")
_STRANGERS = ("penguin", "robot", "teddy", "guitar", "flower", "balloons")
_PLACES = 4
RARE, STRANGER = "rare class", "stranger"


@dataclass(frozen=True, slots=True)
class Street:
    """Drawn frames with boxes, and what was planted: kind by detection id."""

    source: FrameSource
    planted: dict[str, str]


def draw_street(store: Store, frames: int, planted_share: float, seed: int = 0) -> Street:
    """A folder of drawn streets of four things each, of which `planted_share` are planted, half of each kind."""
    import skia

    from lora_assets.scenes.background import draw_scenery
    from lora_assets.scenes.props import OTHER_BOUNDS, PROP_BOUNDS, draw_prop

    folder = store.data / "input" / "street"
    folder.mkdir(parents=True)
    rng = np.random.default_rng([seed, 41])
    boxes: list[Detection] = []
    planted: dict[str, str] = {}
    names: dict[str, tuple[str, ...]] = {}
    for number in range(frames):
        pixels = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
        canvas = skia.Canvas(pixels)
        draw_scenery(canvas, "city", "day", rng, *SIZE)
        found: list[tuple[str, str, tuple[float, float, float, float]]] = []
        for place in range(_PLACES):
            kind, name, label = _thing(rng, planted_share)
            wide, above, below = PROP_BOUNDS.get(name, OTHER_BOUNDS)
            high = min(float(rng.uniform(60, 130)), 150 / (2 * wide))
            foot = (SIZE[0] * (place + 0.5) / _PLACES, float(rng.uniform(250, 330)))
            draw_prop(canvas, name, int(rng.integers(1 << 30)), foot, high, mirrored=bool(rng.random() < 0.5))
            shake = rng.normal(0, 0.04 * high, 4)
            box = np.array(
                [foot[0] - wide * high, foot[1] - above * high, foot[0] + wide * high, foot[1] + below * high]
            )
            box = np.clip(box + shake, 0, np.array([*SIZE, *SIZE]) - 1)
            found.append((kind, label, (float(box[0]), float(box[1]), float(box[2]), float(box[3]))))
        buffer = io.BytesIO()
        Image.fromarray(pixels[..., 2::-1] if _is_bgr() else pixels[..., :3]).save(buffer, "PNG", compress_level=1)
        content = buffer.getvalue()
        name = f"street_{number:05}.png"
        (folder / name).write_bytes(content)
        frame = sha256(content).hexdigest()
        names[frame] = (name,)
        for place, (kind, label, box) in enumerate(found):
            row = Detection(frame, digest(frame, place), label, float(rng.uniform(0.4, 0.95)), *box, "drawn", False)
            boxes.append(row)
            if kind:
                planted[row.detection_id] = kind
    path = store.table_path("detections", "street", "MINED")
    table = store.publish(path, Detection, [to_table(boxes, Detection)], digest(frames, seed), {})
    return Street(FrameSource("street", "street", folder, names, str(seed), table), planted)


def _is_bgr() -> bool:
    import skia

    return skia.kN32_ColorType == skia.kBGRA_8888_ColorType


def _thing(rng: np.random.Generator, planted_share: float) -> tuple[str, str, str]:
    """What was planted (empty: nothing), the drawn thing, and what the detector calls it."""
    common = str(rng.choice(list(_COMMON), p=list(_COMMON.values())))
    if rng.random() >= planted_share:
        return "", common, common
    if rng.random() < 0.5:
        name = str(rng.choice(_RARE))
        return RARE, name, name
    return STRANGER, str(rng.choice(_STRANGERS)), common


def measure_mining(
    frames: int = 250, planted_share: float = 0.03, seed: int = 2, clip_model: str = "descriptor"
) -> list[str]:
    """Lines of Markdown: recall of the planted by contender, and seconds per 1,000 objects by step."""
    with tempfile.TemporaryDirectory(prefix="lora_assets-mining-") as folder:
        store = Store(Path(folder) / "data")
        street = draw_street(store, frames, planted_share, seed)
        settings = MiningSettings(skip_early_filter=True, rare_share=0.05, rare_least=0, clip_model=clip_model)
        mined = mine(store, [street.source], settings)
        early = mine(store, [street.source], replace(settings, skip_early_filter=False, early_least=0))
    lines = [
        f"{len(mined.objects.rows)} objects on {frames} drawn streets, {len(street.planted)} planted, described by "
        f"{mined.objects.facts['embedder']}; rare_share 0.05, contamination 0.1",
        "",
        f"| kept by | share kept | recall | {RARE} | {STRANGER} |",
        "|---|---|---|---|---|",
    ]
    contenders: list[tuple[str, Mined, Callable[[RareObject], bool]]] = [
        ("IsolationForest alone", mined, lambda row: row.is_isolated),
        ("LOF alone", mined, lambda row: row.is_local_outlier),
        ("rare classes alone", mined, lambda row: row.is_rare_class),
        ("the union", mined, lambda row: row.kept),
        ("early filter, then the union", early, lambda row: row.kept),
    ]
    for name, result, keeps in contenders:
        lines.append(
            _line(name, street, {row.detection_id for row in result.rare.rows if keeps(row)}, len(mined.rare.rows))
        )
    kept = sum(row.kept for row in mined.rare.rows)
    drawn = np.random.default_rng(1).permutation(len(mined.rare.rows))[:kept]
    lines.append(_line("chance", street, {mined.rare.rows[n].detection_id for n in drawn}, len(mined.rare.rows)))
    per_1000 = 1000 / max(1, len(mined.objects.rows))
    lines += ["", "| step | seconds per 1,000 objects |", "|---|---|"]
    for step in mined.steps:
        lines += [f"| {name} | {seconds * per_1000:.2f} |" for name, seconds in step.facts["seconds"].items()]
    return lines


def _line(name: str, street: Street, kept: set[str], total: int) -> str:
    def recall(kinds: Sequence[str]) -> str:
        wanted = {found for found, kind in street.planted.items() if kind in kinds}
        return f"{len(wanted & kept) / len(wanted):.2f}" if wanted else "none"

    shares = [recall((RARE, STRANGER)), recall((RARE,)), recall((STRANGER,))]
    return f"| {name} | {len(kept) / total:.2f} | {' | '.join(shares)} |"


def measure_many(objects: int = 50_000, width: int = 512) -> list[str]:
    """Seconds and peak memory of outliers, rarity, novelty and the map over vectors of one's own making."""
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(40, width)).astype(np.float32)
    rows = []
    for number in range(objects):
        vector = middles[number % 40] + 0.7 * rng.normal(size=width).astype(np.float32)
        held = (vector / np.linalg.norm(vector)).astype("<f2").tobytes()
        name, label = digest("many", number), f"class {number % 40}"
        rows.append(
            MinedObject(
                name, f"day-{number % 4}", name * 4, name, label, 0.9, 0.0, 0.0, 9.0, 9.0, "drawn", "all", "made", held,
                None,
            )
        )  # fmt: skip
    counts = {f"class {number}": objects // 40 for number in range(40)}
    settings = MiningSettings()
    began = time.perf_counter()
    rare = make_rare(rows, counts, {f"day-{day}": counts for day in range(4)}, settings)
    rated = time.perf_counter()
    captions = [ObjectCaption(row.object_id, row.label, "class_name", "made", "", False, None) for row in rows]
    points = make_map(rows, rare.rows, captions, settings)
    seconds = time.perf_counter() - rated
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [
        f"{objects} vectors of {width} numbers in 4 datasets: outliers, rarity and novelty {rated - began:.0f} s, "
        f"map of {len(points.rows)} points {seconds:.0f} s, peak memory {peak:.1f} GiB"
    ]
