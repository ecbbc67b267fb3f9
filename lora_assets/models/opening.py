"""A name or a path becomes weights that may be opened: the file is there and is what it is said to be.

The hash is compared before any parser sees the file. What belongs elsewhere: fetching what is absent (folder), reading
the weights (vision).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lora_assets.models.digests import remembered_sha256
from lora_assets.models.families import guess_family
from lora_assets.models.records import AddedWeights, read_added, read_pins
from lora_assets.models.registry import TASK_OF_FAMILY, ModelError, Weights, find, pinned_sha256, unknown_name
from lora_assets.starter import STARTER_FOLDER


@dataclass(frozen=True, slots=True)
class OpenWeights:
    """A weights file that exists and passed its hash: absolute path, SHA-256, family and task (detect, segment)."""

    name: str
    path: Path
    sha256: str
    family: str
    task: str


def weights_path(weights: Weights, data: Path) -> Path:
    """Where the file of known weights lies, or will lie, absolute."""
    folder = STARTER_FOLDER if weights.packaged else data / "models"
    return (folder / weights.file).absolute()


def resolve(name_or_path: str, data: Path) -> OpenWeights:
    """The weights of a registry name, an added name, or a path to a file (tried in this order).

    Raises ModelError when nothing answers to the name (with the names that look like it), when the file is absent
    (with the command that fetches it), and when its hash is not the pinned one.
    """
    known = find(name_or_path)
    if known is not None:
        return _resolve_known(known, data)
    added = read_added(data)
    if name_or_path in added:
        return _resolve_added(added[name_or_path], data)
    path = Path(name_or_path).expanduser()
    if not path.is_file():
        raise unknown_name(name_or_path, added)
    family = guess_family(path)
    return OpenWeights(path.stem, path.absolute(), remembered_sha256(path, data), family, TASK_OF_FAMILY[family])


def _resolve_known(weights: Weights, data: Path) -> OpenWeights:
    path = weights_path(weights, data)
    if not path.is_file():
        way_out = (
            "install the package again, or name other weights"
            if weights.packaged
            else f"fetch it with: lora-assets models pull {weights.name}"
        )
        raise ModelError(f"the weights {weights.name} are not there ({path}): {way_out}")
    pinned = pinned_sha256(weights) or read_pins(data).get(weights.name, "")
    sha256 = remembered_sha256(path, data)
    if not pinned:
        raise ModelError(
            f"{path}: nobody published the hash of {weights.name}, and you have not accepted this file yet. If you "
            f"trust it (SHA-256 {sha256}): lora-assets models pull {weights.name} --accept-unpinned"
        )
    if sha256 != pinned:
        raise altered(weights.name, path, sha256, pinned)
    return OpenWeights(weights.name, path, sha256, weights.family, weights.task)


def _resolve_added(weights: AddedWeights, data: Path) -> OpenWeights:
    path = (data / "models" / weights.file).absolute()
    if not path.is_file():
        raise ModelError(
            f"the added weights {weights.name} are gone ({path}): lora-assets models add FILE --name {weights.name}"
        )
    sha256 = remembered_sha256(path, data)
    if sha256 != weights.sha256:
        raise altered(weights.name, path, sha256, weights.sha256)
    return OpenWeights(weights.name, path, sha256, weights.family, weights.task)


def altered(name: str, path: Path, found: str, pinned: str) -> ModelError:
    """The error for a file whose hash is not the pinned one; it is not opened."""
    return ModelError(
        f"{path} is not the file that {name} stands for (SHA-256 {found}, expected {pinned}); it was not opened. "
        f"Move it away, then: lora-assets models pull {name}; or take it in under a name of its own: "
        "lora-assets models add FILE --name NAME"
    )
