"""Objects, rows and folders for the tests of mining. It tests nothing itself."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from lora_assets.mining.objects import FoundObject
from lora_assets.specs import TrackerSpec, write_tracker
from lora_assets.store import Store, digest
from lora_assets.tables import Detection, RawFrame, to_table
from lora_assets.tables.mining import MinedObject

COLOURS = {"car": (170, 40, 40), "person": (40, 60, 170), "bus": (230, 190, 30), "excavator": (250, 140, 0)}


def box_row(
    frame: str, number: int, label: str, confidence: float, box: tuple[float, float, float, float]
) -> Detection:
    return Detection(frame, digest(frame, number), label, confidence, *map(float, box), "drawn", label == "person")


def found_objects(counts: Mapping[str, int]) -> list[FoundObject]:
    """Objects of these classes, one to a frame."""
    labels = [label for label, count in counts.items() for _ in range(count)]
    box = (0.0, 0.0, 9.0, 9.0)
    return [
        FoundObject(digest("object", n), "street", digest("frame", n), digest("box", n), label, 0.9, box, "drawn")
        for n, label in enumerate(labels)
    ]


def mined_rows(
    vectors: Sequence[np.ndarray | None], labels: Sequence[str], datasets: Sequence[str] | None = None
) -> list[MinedObject]:
    """Rows with these vectors (None: there is none)."""
    rows = []
    for number, (vector, label) in enumerate(zip(vectors, labels, strict=True)):
        held = None
        if vector is not None:
            held = (np.asarray(vector, np.float64) / np.linalg.norm(vector)).astype("<f2").tobytes()
        rows.append(
            MinedObject(
                digest("object", number), datasets[number] if datasets else "street", digest("frame", number),
                digest("box", number), label, 0.9, 0.0, 0.0, 9.0, 9.0, "drawn", "all", "test", held,
                None if held else "the model answered with NaN",
            )
        )  # fmt: skip
    return rows


def draw_street(folder: Path, frames: Sequence[Sequence[str]], seed: int = 0) -> tuple[list[RawFrame], list[Detection]]:
    """Write pictures with one thing per label, and give their rows and true boxes."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    raw, boxes = [], []
    for number, labels in enumerate(frames):
        picture = Image.new("RGB", (240, 120), tuple(int(v) for v in rng.integers(100, 160, 3)))
        pen = ImageDraw.Draw(picture)
        places = []
        for place, label in enumerate(labels):
            left, top = 6 + 58 * place, int(rng.integers(10, 60))
            box = (left, top, left + 50, top + 40)
            pen.rectangle(box, fill=COLOURS.get(label, (20, 200, 60)))
            if label == "excavator":
                pen.polygon([(left, top), (left + 50, top + 5), (left + 10, top + 40)], fill=(10, 10, 10))
            pen.ellipse((left + 5, top + 28, left + 15, top + 38), fill=tuple(int(v) for v in rng.integers(0, 60, 3)))
            places.append((label, box))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        name, content = f"通り{number:03}.png", buffer.getvalue()
        (folder / name).write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        raw.append(RawFrame(name, sha256, len(content), seed + 1, 1, 240, 120, "PNG", 0.5, 0.1, 90.0, "0" * 16, None))
        boxes += [box_row(sha256, place, label, 0.9 - place / 100, box) for place, (label, box) in enumerate(places)]
    return raw, boxes


def write_cell(
    data: Path, tracker: str, name: str, frames: Sequence[Sequence[str]], seed: int = 0, boxes: bool = True
) -> None:
    """One dataset of a tracker as the main line leaves it, as far as mining reads it."""
    store = Store(data)
    raw, found = draw_street(data / "input" / name, frames, seed)
    version = digest(name, len(raw), seed)
    store.publish(store.table_path("frames", name, tracker), RawFrame, [to_table(raw, RawFrame)], version, {})
    if boxes:
        path = store.table_path("detections", name, tracker)
        store.publish(path, Detection, [to_table(found, Detection)], digest(version, "boxes"), {})


STREET = [["car", "person", "car"], ["car", "car"], ["person", "car"], ["car", "person", "car"], ["car"]] * 2


def make_street(data: Path, tracker: str = "STREET-1", **mining: object) -> Path:
    """A tracker of two streets; the second has an excavator."""
    write_tracker(data, TrackerSpec(tracker, ("day-1", "day-2"), settings={"mining": dict(mining)} if mining else {}))
    write_cell(data, tracker, "day-1", STREET, seed=1)
    write_cell(data, tracker, "day-2", [*STREET[:6], ["car", "excavator"]], seed=2)
    return data
