"""Segmenters that a person tuned: `data/models/tuned/<name>/` with weights, `card.json` and, for SAM 2, config.json.

The card tells where the weights come from (lineage) and how they were judged against their base. Only a tune that was
judged better is opened by its name. What belongs elsewhere: training, judging (finetuning), reading weights (vision).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, BinaryIO

from lora_assets.models.digests import combined_sha256, file_sha256
from lora_assets.models.records import read_added
from lora_assets.models.registry import ModelError, find
from lora_assets.store import atomic_write, atomic_write_bytes, atomic_write_json

TUNED_WEIGHTS = "model.safetensors"
TUNED_CONFIG = "config.json"
CARD_FILE = "card.json"
BETTER, WORSE, UNJUDGED = "better", "worse than its base", "not judged yet"
DAMAGED = "damaged"
"""The verdict of a listed model whose card cannot be read; never written into a card."""
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


@dataclass(frozen=True, slots=True)
class TunedCard:
    """What is known of a tuned model.

    sha256: what a recipe knows it by (`models.opening`); file_sha256: of the weights file alone.
    lineage: name, path and SHA-256 of the base, name and digest of the annotated set, steps, when and by which run.
    settings: those of the training. figures: of the report, once judged; reason: the verdict in words.
    """

    name: str
    family: str
    sha256: str
    file_sha256: str
    lineage: Mapping[str, Any]
    settings: Mapping[str, Any]
    figures: Mapping[str, Any] = field(default_factory=dict)
    verdict: str = UNJUDGED
    reason: str = ""


def check_tuned_name(name: str, data: Path) -> str:
    """The name, when it fits a tuned model. Raises ModelError for another form, or the name of known or added weights:
    these would be opened in its stead."""
    if not _NAME.fullmatch(name):
        raise ModelError(f"the name {name!r} does not fit: use 1 to 64 letters, digits, '.', '_' or '-'")
    if find(name) is not None:
        raise ModelError(f"the name {name} belongs to known weights: give the tuned model another")
    if name in read_added(data):
        raise ModelError(f"the name {name} belongs to added weights (added.toml): give the tuned model another")
    return name


def is_tuned(data: Path, name: str) -> bool:
    """True when there is a tuned model of this name, whatever its card says."""
    return bool(_NAME.fullmatch(name)) and (tuned_folder(data, name) / CARD_FILE).is_file()


def tuned_name_of(data: Path, path: Path) -> str | None:
    """The tuned model whose folder a path leads into, by links too; None for a path that leads elsewhere."""
    home, target = (data / "models" / "tuned").resolve(), path.resolve()
    return target.relative_to(home).parts[0] if target != home and target.is_relative_to(home) else None


def tuned_folder(data: Path, name: str) -> Path:
    """Where a tuned model lies."""
    return data / "models" / "tuned" / name


def tuned_weights(data: Path, name: str) -> Path:
    """The weights file of a tuned model."""
    return tuned_folder(data, name) / TUNED_WEIGHTS


def read_tuned(data: Path, name: str) -> TunedCard | None:
    """The card of a tuned model; None when there is none. Raises ModelError for a damaged one."""
    if not is_tuned(data, name):
        return None
    path = tuned_folder(data, name) / CARD_FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        card = TunedCard(**{one.name: _fitting(told, one.name) for one in fields(TunedCard)})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(
            f"{path} is damaged ({error}): tune again with lora-assets train-segmenter {name}, or delete the folder"
        ) from error
    if card.verdict not in (BETTER, WORSE, UNJUDGED) or card.name != name:
        raise ModelError(f"{path} is not the card of {name}: tune again, or delete the folder")
    return card


def _fitting(told: Any, name: str) -> Any:
    """An entry of a card. Raises ValueError when it is of another kind."""
    if not isinstance(told, dict):
        raise ValueError("it holds no entries")
    kind = dict if name in ("lineage", "settings", "figures") else str
    if not isinstance(told[name], kind):
        raise ValueError(f"{name} is {told[name]!r}")
    return told[name]


def list_tuned(data: Path) -> list[TunedCard]:
    """The cards of all tuned models, by name; of one that cannot be read, its name, the verdict `DAMAGED` and why."""
    found = []
    for path in sorted((data / "models" / "tuned").glob(f"*/{CARD_FILE}")):
        name = path.parent.name
        try:
            card = read_tuned(data, name)
        except ModelError as error:
            card = TunedCard(name, "", "", "", {}, {}, verdict=DAMAGED, reason=str(error))
        if card is not None:
            found.append(card)
    return found


def write_tuned(
    data: Path, card: TunedCard, write_weights: Callable[[BinaryIO], object], config: bytes | None
) -> TunedCard:
    """Put a tuned model in its place: weights, config, then the card with their hashes, each whole or not at all.

    A kill in between leaves weights that the card does not know; they are then refused, not used. Raises StoreError
    when the disk is full; what was there before is then still whole.
    """
    folder = tuned_folder(data, check_tuned_name(card.name, data))
    atomic_write(folder / TUNED_WEIGHTS, write_weights)
    of_weights = file_sha256(folder / TUNED_WEIGHTS)
    hashes = [of_weights]
    if config is not None:
        atomic_write_bytes(folder / TUNED_CONFIG, config)
        hashes.append(file_sha256(folder / TUNED_CONFIG))
    told = replace(card, sha256=of_weights if config is None else combined_sha256(hashes), file_sha256=of_weights)
    write_card(data, told)
    return told


def write_card(data: Path, card: TunedCard) -> None:
    """Replace the card of a tuned model."""
    atomic_write_json(tuned_folder(data, card.name) / CARD_FILE, asdict(card))


def refuse_unless_better(card: TunedCard) -> None:
    """Raises ModelError, with the reason and the way out, for a tune that was not judged better than its base."""
    base = card.lineage.get("base", "its base")
    if card.verdict == UNJUDGED:
        raise ModelError(
            f"{card.name} was tuned but not judged yet: make its segmenter_report "
            f"(lora-assets train-segmenter {card.name} --resume), or use {base}"
        )
    if card.verdict != BETTER:
        raise ModelError(
            f"{card.name} is {card.verdict} ({card.reason}), so it is not used: name {base}, or tune again with more "
            "annotations or other settings"
        )
