"""What was mined as files and folders: JSON, timings and pictures, for people and scripts without this software.

    detection_results.json   every sampled frame with its objects, and what became of each
    statistics.json          counts of every step, and what was skipped or could not be done
    timing.txt               seconds of every step
    config.json              settings, detector, embedder, versions of the code
    cropped_objects/         every object that passed the early filter
    inliers/                 of these, the ordinary ones
    final_outliers/          the kept ones: outliers and rare classes
    targets/                 of the kept ones, those rare by the class rule or by their caption
    embedding_map.<language>.png

What belongs elsewhere: replacing a folder whole (exports.place), making the rows (pipeline).
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from lora_assets.mining.drawing import draw_map
from lora_assets.mining.embedding import cut_object, object_picture
from lora_assets.mining.pipeline import CODE_VERSIONS, Mined
from lora_assets.progress import Listener, Progress, nobody
from lora_assets.quality.pictures import PictureLost
from lora_assets.store import Store
from lora_assets.tables.mining import MinedObject
from lora_assets.vision.plot_fonts import LANGUAGES

CROPPED, INLIERS, OUTLIERS, TARGETS = "cropped_objects", "inliers", "final_outliers", "targets"
MANIFEST = "manifest.json"
_UNFIT = re.compile(r"[^\w-]+")


def write_folders(folder: Path, store: Store, mined: Mined, listen: Listener = nobody) -> dict[str, int]:
    """Write all files into an empty folder; returns how many pictures each folder holds.

    Pictures are cut from the originals; where one is gone, the small picture of the store takes its place.
    """
    for name in (CROPPED, INLIERS, OUTLIERS, TARGETS):
        (folder / name).mkdir()
    names = _cut_all(folder / CROPPED, store, mined, listen)
    kept = {each.object_id for each in mined.rare.rows if each.kept}
    targets = {each.object_id for each in mined.captions.rows if each.is_target} & kept
    for object_id, name in names.items():
        _link(folder / CROPPED / name, folder / (OUTLIERS if object_id in kept else INLIERS) / name)
        if object_id in targets:
            _link(folder / CROPPED / name, folder / TARGETS / name)
    counts = {each: sum(1 for _ in (folder / each).iterdir()) for each in (CROPPED, INLIERS, OUTLIERS, TARGETS)}
    _write_json(folder / "detection_results.json", _results(mined, names))
    _write_json(folder / "statistics.json", _statistics(mined, counts))
    _write_json(folder / "config.json", _config(mined))
    lines = [f"{name}: {seconds:.3f} s" for name, seconds in _seconds(mined).items()]
    (folder / "timing.txt").write_text("\n".join([*lines, f"total: {sum(_seconds(mined).values()):.3f} s"]) + "\n")
    if not mined.settings.skip_visualization:
        for language in LANGUAGES:
            (folder / f"embedding_map.{language}.png").write_bytes(draw_map(mined.map.rows, language, mined.map.said))
    written = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    _write_json(folder / MANIFEST, {"kind": "mining", "files": written})
    return counts


def known_files(folder: Path) -> set[str] | None:
    """The files that an earlier result here says it wrote; None when there is none."""
    try:
        told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return set(told["files"]) if told.get("kind") == "mining" else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def picture_name(row: MinedObject) -> str:
    """The file name of an object's picture: its class and its id."""
    label = _UNFIT.sub("-", row.label).strip("-")[:40] or "object"
    return f"{label}_{row.object_id}.jpg"


def _cut_all(folder: Path, store: Store, mined: Mined, listen: Listener) -> dict[str, str]:
    """Write every object's picture; returns the file names by object, without those of which there is no picture."""
    sources = {source.dataset: source for source in mined.sources}
    of_frame: dict[str, list[MinedObject]] = {}
    for row in mined.objects.rows:
        of_frame.setdefault(row.frame_sha256, []).append(row)

    def cut(rows: list[MinedObject]) -> list[tuple[str, str]]:
        written = []
        try:
            frame = sources[rows[0].dataset].pixels(rows[0].frame_sha256)
        except (KeyError, PictureLost):
            frame = None
        for row in rows:
            path = folder / picture_name(row)
            if frame is not None:
                box = (row.x1, row.y1, row.x2, row.y2)
                picture = Image.fromarray(cut_object(frame, box, mined.settings.margin))
            else:
                try:
                    picture = Image.open(object_picture(store, row.object_id)).convert("RGB")
                except OSError:
                    continue
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=95)
            path.write_bytes(buffer.getvalue())
            written.append((row.object_id, path.name))
        return written

    found: dict[str, str] = {}
    total = len(of_frame)
    listen(Progress("pictures of objects", 0, total))
    with ThreadPoolExecutor(mined.settings.workers, thread_name_prefix="mining") as pool:
        for number, written in enumerate(pool.map(cut, of_frame.values()), start=1):
            found.update(written)
            listen(Progress("pictures of objects", number, total))
    return found


def _link(path: Path, to: Path) -> None:
    try:
        os.link(path, to)
    except OSError:  # a disk without hard links
        shutil.copyfile(path, to)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _results(mined: Mined, names: dict[str, str]) -> list[dict[str, Any]]:
    rows = {each.object_id: each for each in mined.objects.rows}
    rare = {each.object_id: each for each in mined.rare.rows}
    captions = {each.object_id: each for each in mined.captions.rows}
    at = {each.object_id: each for each in mined.map.rows}
    of_frame: dict[str, list[dict[str, Any]]] = {}
    for found in mined.listed.objects:
        name = found.object_id
        entry: dict[str, Any] = {
            "object_id": name, "label": found.label, "confidence": round(found.confidence, 4),
            "box": [round(value, 2) for value in found.box], "detector": found.detector,
            "passed_as": mined.listed.passed.get(name),
        }  # fmt: skip
        if name in rows and name in rare:
            each, caption = rare[name], captions.get(name)
            entry |= {
                "picture": f"{CROPPED}/{names[name]}" if name in names else None,
                "kept": each.kept, "reasons": each.reasons, "class_share": each.class_share,
                "isolation_score": each.isolation_score, "lof_score": each.lof_score, "novelty": each.novelty,
                "is_new_class": each.is_new_class, "no_vector": rows[name].no_vector,
                "caption": caption.caption if caption else None, "caption_source": caption.source if caption else None,
                "caption_reason": caption.reason if caption else None,
                "is_target": caption.is_target if caption else None,
                "map": [at[name].x, at[name].y, at[name].cluster_name] if name in at else None,
            }  # fmt: skip
        of_frame.setdefault(found.frame_sha256, []).append(entry)
    results = []
    for source in mined.sources:
        for sha256 in mined.listed.frames.get(source.dataset, ()):
            path = source.frames[sha256][0] if source.frames.get(sha256) else ""
            told = {"dataset": source.dataset, "frame": path, "sha256": sha256}
            results.append({**told, "objects": of_frame.get(sha256, [])})
    return results


def _statistics(mined: Mined, counts: dict[str, int]) -> dict[str, Any]:
    hidden = ("settings", "seconds", "said", "version", "published_at")
    steps = zip(("embeddings", "rare_objects", "captions", "embedding_map"), mined.steps, strict=True)
    told = {name: {key: value for key, value in step.facts.items() if key not in hidden} for name, step in steps}
    return {**told, "pictures": counts, "said": mined.said}


def _config(mined: Mined) -> dict[str, Any]:
    facts = mined.objects.facts
    return {
        **mined.more,
        "settings": asdict(mined.settings),
        "detector": facts.get("detector"),
        "embedder": {name: facts.get(name) for name in ("embedder", "builtin", "why", "recipe")},
        "code_versions": CODE_VERSIONS,
        "datasets": [
            {"slug": source.dataset, "name": source.name, "folder": str(source.folder)} for source in mined.sources
        ],
    }


def _seconds(mined: Mined) -> dict[str, float]:
    return {name: float(value) for step in mined.steps for name, value in step.facts.get("seconds", {}).items()}
