"""The card beside the starter models: what each file is, how it was made, and what it measured.

Reading and checking only; a training writes its entry itself. What is done with the models does not belong here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from lora_assets.starter import STARTER_CARD, STARTER_LOOKS, STARTER_YOLO, STARTER_YOLO_ONNX

LARGEST_STARTER_BYTES = 15_000_000


class CardError(ValueError):
    """A card that cannot be read, or a file that is not the one that its card describes."""


@dataclass(frozen=True, slots=True)
class CardEntry:
    """One file of the starter folder.

    `data` names the renderer and the seeds, `architecture` and `settings` the numbers of the network and its training,
    `figures` what was measured on frames that were not trained on; `seconds_trained` is wall time on one CPU core.
    `exported_from` is the SHA-256 of the weights that the file is another form of, "" for a file that was trained.
    """

    file: str
    sha256: str
    bytes: int
    licence: str
    purpose: str
    made: str
    seconds_trained: float
    data: dict[str, object]
    architecture: dict[str, object]
    settings: dict[str, object]
    figures: dict[str, float]
    exported_from: str = ""

    def record(self) -> dict[str, object]:
        """The entry as plain values for JSON."""
        return asdict(self)


def file_digest(path: Path) -> str:
    """SHA-256 of the bytes of `path`, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def read_card(path: Path) -> dict[str, CardEntry]:
    """The entries of a card by file name; none where there is no card. Raises CardError for a damaged card."""
    if not path.exists():
        return {}
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        return {name: CardEntry(**record) for name, record in records.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise CardError(f"{path.name} is damaged ({error}): restore the file that came with the package") from error


@cache
def starter_looks(sha256: str) -> tuple[str, ...]:
    """How weights of this SHA-256 look at a frame: `STARTER_LOOKS` for the starter detector whatever its file is called
    here, none (one look) for all others and where the card cannot be read."""
    try:
        card = read_card(STARTER_CARD)
    except CardError:
        return ()
    starters = [card[path.name].sha256 for path in (STARTER_YOLO, STARTER_YOLO_ONNX) if path.name in card]
    return STARTER_LOOKS if sha256 in starters else ()


def check_file(path: Path, entry: CardEntry) -> None:
    """Raise CardError unless `path` is, byte for byte, the file that `entry` describes."""
    if not path.is_file():
        raise CardError(f"{path.name} is missing beside its card: restore it from the package, or train it again")
    size = path.stat().st_size
    if size != entry.bytes or file_digest(path) != entry.sha256:
        raise CardError(
            f"{path.name} is not the file of its card ({size} bytes, the card says {entry.bytes}): restore it from the "
            "package, or train it again, which writes the card anew"
        )
