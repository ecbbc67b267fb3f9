"""Writing the card: one training replaces the entry of its own file and leaves the other alone.

What a card is, and how it is checked, is in `lora_assets.starter.card`; nothing else belongs here.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from lora_assets.starter.card import CardEntry, CardError, check_file, file_digest, read_card
from lora_assets.store import atomic_write_bytes, atomic_write_json, exclusive
from lora_assets.training.rendered import FRAME_SIZES, JPEG_QUALITY, drawn_by, renderer_digest

LICENCE = "AGPL-3.0"


def data_record(frames_folder: Path, first_seed: int, frames: int, held_out: range) -> dict[str, object]:
    """What the training frames were: renderer, the digests of its source when it drew them, seeds and sizes."""
    return {
        "renderer": "lora_assets.scenes.draw_scene",
        "renderer_sha256": drawn_by(frames_folder),
        "train_seeds": [first_seed, first_seed + frames],
        "held_out_seeds": [held_out.start, held_out.stop],
        "frame_sizes": sorted({f"{width}x{height}" for width, height in FRAME_SIZES}),
        "jpeg_quality": JPEG_QUALITY,
    }


def write_entry(
    weights: Path,
    purpose: str,
    *,
    seconds_trained: float,
    data: Mapping[str, object],
    architecture: Mapping[str, object],
    settings: Mapping[str, object],
    figures: Mapping[str, float],
    exported_from: str = "",
) -> CardEntry:
    """Put the entry of `weights` into `CARD.json` beside it, with its digest and size as they now are on disk."""
    entry = CardEntry(
        file=weights.name,
        sha256=file_digest(weights),
        bytes=weights.stat().st_size,
        licence=LICENCE,
        purpose=purpose,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds_trained=round(seconds_trained, 1),
        data=dict(data),
        architecture=dict(architecture),
        settings=dict(settings),
        figures=dict(figures),
        exported_from=exported_from,
    )
    _replace_entry(weights.parent, entry)
    return entry


def add_figures(card: Path, file: str, figures: Mapping[str, float]) -> CardEntry:
    """Add `figures` measured on scenes as they are drawn now to the entry of `file`, and the renderer's digest.

    Raises KeyError when the card has no such entry.
    """
    entry = read_card(card)[file]
    data = entry.data | {"measured_renderer_sha256": renderer_digest()}
    entry = replace(entry, figures=entry.figures | dict(figures), data=data)
    _replace_entry(card.parent, entry)
    return entry


def take_file(weights: Path, folder: Path) -> CardEntry:
    """Put trained `weights` and their card entry into `folder`, in the place of the file of that name.

    Raises CardError when the card beside the weights does not describe them.
    """
    entry = read_card(weights.with_name("CARD.json")).get(weights.name)
    if entry is None:
        raise CardError(f"{weights}: no card beside it describes it; train it, which writes the card")
    check_file(weights, entry)
    atomic_write_bytes(folder / weights.name, weights.read_bytes())
    _replace_entry(folder, entry)
    return entry


def _replace_entry(folder: Path, entry: CardEntry) -> None:
    card = folder / "CARD.json"
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()
    with exclusive(Path(tempfile.gettempdir()) / f"lora_assets-card-{name[:16]}.lock"):
        entries = read_card(card) | {entry.file: entry}
        atomic_write_json(card, {name: value.record() for name, value in sorted(entries.items())})
