"""A sweep as files: image_<n>/<preset>/ with mask.png, character.png, overlay.jpg and close-ups; plots, report.

Writing goes into a folder that nobody reads yet; that it appears whole is seen to by the caller (making, the command).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lora_assets.mask_lab.drawing import close_window, edge_window, edge_zoom, frame_mask, overlay, plot
from lora_assets.mask_lab.file_names import PICTURES, REPORT, image_folder, plot_name
from lora_assets.mask_lab.sweeping import CODE_VERSION, JudgedMask, Sweep, refined_row, sample_facts
from lora_assets.progress import Listener, Progress, nobody
from lora_assets.quality.pictures import PictureLost
from lora_assets.tables import Mask
from lora_assets.vision.crops import cut_crop
from lora_assets.vision.images import RgbImage
from lora_assets.vision.masks import Window
from lora_assets.vision.plot_fonts import LANGUAGES
from lora_assets.vision.refine_presets import Preset

_JPEG_QUALITY = 88


def write_sweep(folder: Path, sweep: Sweep, listen: Listener = nobody, more: dict[str, Any] | None = None) -> int:
    """Write all files of a sweep into `folder`, which is there, and return the number of files.

    Pictures are of the presets that `has_pictures` names. A frame that is gone gives masks only, which the report says.
    """
    chosen = [sweep.preset(result.preset) for result in sweep.results if result.has_pictures]
    count = 0
    for done, judged in enumerate(sweep.sample):
        listen(Progress("pictures", done, len(sweep.sample), "masks"))
        count += _write_image(folder / image_folder(judged.sampled.number), judged, chosen, sweep)
    listen(Progress("pictures", len(sweep.sample), len(sweep.sample), "masks"))
    for language in LANGUAGES:
        (folder / plot_name(language)).write_bytes(plot(sweep.results, language))
    report = json.dumps({**report_of(sweep), **(more or {})}, indent=1, ensure_ascii=False)
    (folder / REPORT).write_text(report + "\n", encoding="utf-8")
    return count + len(LANGUAGES) + 1


def _write_image(folder: Path, judged: JudgedMask, presets: Sequence[Preset], sweep: Sweep) -> int:
    sampled = judged.sampled
    try:
        image = sampled.source.pixels(sampled.frame_sha256)
    except PictureLost as lost:
        sweep.lost.append(f"{sampled.told}: only masks, {lost}")
        image = None
    rows = [refined_row(sampled, preset, sweep.spare_neighbours) for preset in presets]
    windows = (edge_window(rows, judged), close_window(rows, judged))
    count = 0
    for preset, row in zip(presets, rows, strict=True):
        place = folder / preset.slug
        place.mkdir(parents=True, exist_ok=True)
        for name, pixels in _pictures(image, row, judged, *windows).items():
            (place / PICTURES[name]).write_bytes(_encoded(pixels, Path(PICTURES[name]).suffix))
            count += 1
    return count


def _pictures(
    image: RgbImage | None, row: Mask, judged: JudgedMask, edge: Window, close: Window
) -> dict[str, npt.NDArray[np.uint8]]:
    frame = judged.sampled.frame
    found = {"mask": frame_mask(row, frame.width, frame.height)}
    if image is not None:
        over = overlay(image, row)
        x, y, width, height = close
        found |= {
            "close": np.ascontiguousarray(over[y : y + height, x : x + width]),
            "character": cut_crop(image, row),
            "overlay": over,
            "edges": edge_zoom(image, row, judged, edge),
        }
    return found


def _encoded(pixels: npt.NDArray[np.uint8], suffix: str) -> bytes:
    swap = {4: cv2.COLOR_RGBA2BGRA, 3: cv2.COLOR_RGB2BGR}
    turned = cv2.cvtColor(pixels, swap[pixels.shape[2]]) if pixels.ndim == 3 else pixels
    done, content = cv2.imencode(suffix, turned, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if suffix == ".jpg" else [])
    if not done:
        raise ValueError(f"OpenCV cannot write an array of {pixels.dtype} {pixels.shape} as {suffix}")
    return content.tobytes()


def report_of(sweep: Sweep) -> dict[str, Any]:
    """The sweep as JSON values: the sample and why, every preset with parameters, reasons and means, the best one."""
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in sweep.rows:
        told = asdict(row)
        for name in ("dataset", "path", "frame_sha256", "detection_id", "chosen_for"):
            told.pop(name)
        rows.setdefault(row.image, []).append(told)
    best = sweep.best
    return {
        "best": best.preset if best else None,
        "front": [result.preset for result in sweep.results if result.on_front],
        "judges": sorted({judged.judge for judged in sweep.sample if judged.judge}),
        "masks_known": sweep.masks_known,
        "presets": [
            {
                **asdict(result),
                "parameters": json.loads(result.parameters),
                "why": dict(sweep.preset(result.preset).why),
            }
            for result in sweep.results
        ],
        "images": [{**facts, "presets": rows.get(facts["image"], [])} for facts in sample_facts(sweep.sample)],
        "settings": sweep.settings.facts(),
        "spare_neighbours": sweep.spare_neighbours,
        "seconds": sweep.seconds,
        "said": [*sweep.said, *sweep.lost],
        "code_version": CODE_VERSION,
    }
