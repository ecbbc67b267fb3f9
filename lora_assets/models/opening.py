"""A name or a path becomes weights that may be opened: the file is there and is what it is said to be.

The hash is compared before any parser sees the file. What belongs elsewhere: fetching what is absent (folder), reading
the weights (vision).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from lora_assets.models.digests import combined_sha256, remembered_sha256
from lora_assets.models.families import guess_family, refuse_external_data
from lora_assets.models.records import AddedWeights, read_added, read_pins
from lora_assets.models.registry import (
    SAM2,
    SEGMENT,
    TASK_OF_FAMILY,
    ModelError,
    Weights,
    find,
    pinned_sha256,
    unknown_name,
)
from lora_assets.models.tuned import (
    TUNED_CONFIG,
    TUNED_WEIGHTS,
    list_tuned,
    read_tuned,
    refuse_unless_better,
    tuned_name_of,
    tuned_weights,
)
from lora_assets.starter import STARTER_FOLDER


@dataclass(frozen=True, slots=True)
class OpenWeights:
    """A weights file that exists and passed its hash: absolute path, SHA-256, family and task (detect, segment).

    Of a SAM 2 model the SHA-256 stands for both files, the weights and the config.json beside them.
    """

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
    """The weights of a registry name, an added or tuned name, or a path to a file or a SAM 2 folder (in this order).

    Raises ModelError when nothing answers to the name (with the names that look like it), when the file is absent
    (with the command that fetches it), when its hash is not the pinned one, and for a tune not better than its base.
    """
    known = find(name_or_path)
    if known is not None:
        return _with_config(_resolve_known(known, data), data)
    added = read_added(data)
    if name_or_path in added:
        return _with_config(_resolve_added(added[name_or_path], data), data)
    tuned = read_tuned(data, name_or_path)
    if tuned is not None:
        refuse_unless_better(tuned)
        return resolve_tuned(name_or_path, data)
    try:
        path = Path(name_or_path).expanduser()
        inside = tuned_name_of(data, path)
    except (RuntimeError, ValueError) as error:  # the home of nobody, links in a circle, what can be no path
        raise unknown_name(name_or_path, _other_names(data)) from error
    if inside is not None:
        return _resolve_inside(path, inside, data)
    if path.is_dir() and (path / TUNED_CONFIG).is_file():
        name, path = path.absolute().name, path / TUNED_WEIGHTS
        if not path.is_file():
            raise ModelError(f"{path} is not there: a SAM 2 folder holds config.json and model.safetensors")
    else:
        name = path.stem
    if not path.is_file():
        raise unknown_name(name_or_path, _other_names(data))
    family = guess_family(path)
    opened = OpenWeights(name, path.absolute(), remembered_sha256(path, data), family, TASK_OF_FAMILY[family])
    return _with_config(opened, data)


def _other_names(data: Path) -> list[str]:
    """The names of added and tuned weights, for hints."""
    return [*read_added(data), *(card.name for card in list_tuned(data))]


def _resolve_inside(path: Path, name: str, data: Path) -> OpenWeights:
    """A path into the folder of a tuned model: the model by its name, so that no path goes around the verdict."""
    card, home = read_tuned(data, name), tuned_weights(data, name)
    if card is None:
        raise ModelError(
            f"{path} lies among the tuned models and has no card, so nothing is known of it: lora-assets "
            f"train-segmenter {name}; or take a file of your own in with lora-assets models add"
        )
    if path.resolve() not in (home.resolve(), home.parent.resolve()):
        raise ModelError(f"{path} is not the weights of the tuned model {name}: name {name} instead")
    refuse_unless_better(card)
    return resolve_tuned(name, data)


def resolve_tuned(name: str, data: Path) -> OpenWeights:
    """A tuned model by its name, however it was judged: for its report.

    Raises ModelError when it is not there, or not what its card says.
    """
    card, path = read_tuned(data, name), tuned_weights(data, name).absolute()
    if card is None or not path.is_file():
        raise ModelError(f"no model {name} was tuned here ({path}): lora-assets train-segmenter {name}")
    opened = _with_config(OpenWeights(name, path, remembered_sha256(path, data), card.family, SEGMENT), data)
    if opened.sha256 != card.sha256:
        raise ModelError(
            f"{path} is not the file that its card tells of (SHA-256 {opened.sha256}, expected {card.sha256}); it was "
            f"not opened. Finish the training: lora-assets train-segmenter {name} --resume"
        )
    return opened


def _with_config(opened: OpenWeights, data: Path) -> OpenWeights:
    """SAM 2 is two files: the hash of both, so that a changed config.json is other weights. Others are one file."""
    _refuse_other_files(opened.path, opened.sha256)
    if opened.family != SAM2:
        return opened
    config = opened.path.with_name(TUNED_CONFIG)
    if not config.is_file():
        raise ModelError(
            f"{config} is not there: SAM 2 is two files; copy config.json of the same repository beside {opened.path}"
        )
    return replace(opened, sha256=combined_sha256([opened.sha256, remembered_sha256(config, data)]))


@lru_cache(maxsize=256)
def _refuse_other_files(path: Path, sha256: str) -> None:  # noqa: ARG001 (the hash tells whether the answer holds)
    """`refuse_external_data`, once for each content: planning asks for the weights of every tracker."""
    refuse_external_data(path)


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
