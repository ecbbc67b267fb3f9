"""The models folder `data/models/`: what is there, fetching what is not, checking it, and taking in a person's files.

Nothing here deletes a weights file. What belongs elsewhere: opening weights for a stage (opening).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lora_assets.models.digests import file_sha256
from lora_assets.models.download import Progress, Wanted, fetch
from lora_assets.models.families import guess_family
from lora_assets.models.opening import OpenWeights, altered, resolve, weights_path
from lora_assets.models.records import AddedWeights, read_added, read_pins, record_added, record_pin
from lora_assets.models.registry import (
    DETECT,
    QUALITY,
    SAM2,
    SEGMENT,
    TASK_OF_FAMILY,
    WEIGHTS,
    ModelError,
    find,
    pinned_sha256,
    unknown_name,
)
from lora_assets.models.tuned import BETTER, DAMAGED, is_tuned, list_tuned, tuned_weights
from lora_assets.store import atomic_write, exclusive

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


@dataclass(frozen=True, slots=True)
class ListedWeights:
    """One line of `lora-assets models list`: what the weights are, where they lie and whether they are there.

    `bytes` is the size on disk, or the published one when absent (0 when not known); `sha256` "" when not known.
    """

    name: str
    task: str
    family: str
    path: Path
    present: bool
    bytes: int
    sha256: str
    licence: str
    commercial: bool | None
    note: str
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """What `verify` found of one file: state is ok, missing, corrupt or unpinned; `detail` says what to do."""

    name: str
    path: Path
    state: str
    detail: str


def list_weights(data: Path) -> list[ListedWeights]:
    """All weights: the registry's, the added ones, then the tuned ones (`note` tells those that cannot be named)."""
    pins = read_pins(data)
    listed = []
    for known in WEIGHTS:
        path = weights_path(known, data)
        present = path.is_file()
        sha256 = pinned_sha256(known) if present or not known.packaged else ""
        size = path.stat().st_size if present else known.bytes
        listed.append(
            ListedWeights(
                known.name, known.task, known.family, path, present, size, sha256 or pins.get(known.name, ""),
                known.licence, known.commercial, known.note, known.urls,
            )
        )  # fmt: skip
    for added in read_added(data).values():
        path = (data / "models" / added.file).absolute()
        present = path.is_file()
        size = path.stat().st_size if present else 0
        listed.append(
            ListedWeights(
                added.name, added.task, added.family, path, present, size, added.sha256, "your own", None, "added", ()
            )
        )
    for tuned in list_tuned(data):
        path = tuned_weights(data, tuned.name).absolute()
        present = path.is_file()
        note = f"tuned from {tuned.lineage.get('base', '?')}: {tuned.verdict}"
        note += "" if tuned.verdict == BETTER else ", not offered"
        note = f"{DAMAGED}, not offered: {tuned.reason}" if tuned.verdict == DAMAGED else note
        listed.append(
            ListedWeights(
                tuned.name, SEGMENT, tuned.family, path, present, path.stat().st_size if present else 0,
                tuned.file_sha256, "that of its base", None, note, (),
            )
        )  # fmt: skip
    return listed


def pull(name: str, data: Path, progress: Progress | None = None, accept_unpinned: bool = False) -> OpenWeights:
    """Fetch known weights into `data/models/`, unless they are there already, and return them ready to open.

    `accept_unpinned` takes weights whose hash nobody published and records the hash that came. Raises ModelError for
    an unknown name, an unpinned file that was not accepted, a file there that is another one, and a failed download.
    """
    known = find(name)
    if known is None:
        raise unknown_name(name, read_added(data))
    if known.packaged:
        return resolve(known.name, data)
    pinned = known.sha256 or read_pins(data).get(known.name, "")
    if not pinned and not accept_unpinned:
        raise ModelError(
            f"nobody published the hash of {known.name}, so what comes cannot be checked. If you trust "
            f"{known.urls[0]}: lora-assets models pull {known.name} --accept-unpinned"
        )
    path = weights_path(known, data)
    with exclusive(data / "models" / f".{known.name}.lock", wait=False):
        if path.is_file():
            sha256 = file_sha256(path)
            if pinned and sha256 != pinned:
                raise altered(known.name, path, sha256, pinned)
        else:
            sha256 = fetch(Wanted(known.name, known.urls, path, known.bytes, pinned), progress)
        if not pinned:
            record_pin(data, known.name, sha256)
    return OpenWeights(known.name, path, sha256, known.family, known.task)


def verify(data: Path) -> list[VerifiedFile]:
    """Read every weights file again and compare its hash with the pinned one; nothing is changed or deleted.

    Weights that were never fetched are `missing`, which is no fault.
    """
    found = []
    for listed in list_weights(data):
        way_out = f"lora-assets models pull {listed.name}" if listed.urls else "put the file back"
        if listed.note.startswith(DAMAGED):
            state, detail = "corrupt", listed.note
        elif not listed.present:
            state, detail = "missing", way_out
        elif not listed.sha256:
            state, detail = "unpinned", f"{way_out} --accept-unpinned"
        else:
            sha256 = file_sha256(listed.path)
            same = sha256 == listed.sha256
            state = "ok" if same else "corrupt"
            detail = "" if same else f"SHA-256 {sha256}, expected {listed.sha256}: move it away, then {way_out}"
        found.append(VerifiedFile(listed.name, listed.path, state, detail))
    return found


def add(
    file: Path, data: Path, name: str | None = None, task: str | None = None, family: str | None = None
) -> OpenWeights:
    """Copy a person's weights into `data/models/` under a name of their own, and record hash, family and task.

    `name` is the file's stem by default, `family` is told from the content, `task` from the family. Raises ModelError
    when the file cannot be read or is no weights file, or the name is taken by other weights.
    """
    file = file.expanduser()
    if not file.is_file():
        raise ModelError(f"{file} is not a file: name the weights file to take in")
    name = name or re.sub(r"[^0-9A-Za-z._-]+", "-", file.stem).strip("-.") or "weights"
    if not _NAME.fullmatch(name):
        raise ModelError(f"the name {name!r} does not fit: use 1 to 64 letters, digits, '.', '_' or '-'")
    if find(name) is not None:
        raise ModelError(f"the name {name} belongs to known weights: give another with --name")
    if is_tuned(data, name):
        raise ModelError(f"the name {name} belongs to a tuned model: give another with --name")
    family = family or guess_family(file)
    if family == SAM2:
        raise ModelError(
            f"{file} is one of two files of a SAM 2 model: name its folder instead, where weights are named"
        )
    if family not in TASK_OF_FAMILY:
        raise ModelError(f"unknown family {family!r}: choose one of {', '.join(TASK_OF_FAMILY)}")
    task = task or TASK_OF_FAMILY[family]
    if task not in (DETECT, SEGMENT, QUALITY):
        raise ModelError(f"unknown task {task!r}: choose {DETECT}, {SEGMENT} or {QUALITY}")
    with exclusive(data / "models" / ".added.lock"):
        return _take_in(file, data, name, task, family)


def _take_in(file: Path, data: Path, name: str, task: str, family: str) -> OpenWeights:
    sha256 = file_sha256(file)
    target = (data / "models" / f"{name}{file.suffix.lower()}").absolute()
    if target.exists() and file_sha256(target) != sha256:
        raise ModelError(f"{target} is there already with other content: give another name with --name")
    before = read_added(data).get(name)
    if before is not None and before.sha256 != sha256 and (data / "models" / before.file).is_file():
        raise ModelError(f"the name {name} belongs to other added weights ({before.file}): give another with --name")
    known = find(target.name)
    if known is not None and sha256 != (pinned_sha256(known) or read_pins(data).get(known.name, "")):
        raise ModelError(f"{target.name} is the file of the known weights {known.name}: give another with --name")
    if not target.exists():

        def copy(handle: BinaryIO) -> None:
            taken = hashlib.sha256()
            with file.open("rb") as source:
                while chunk := source.read(1 << 20):
                    taken.update(chunk)
                    handle.write(chunk)
            if taken.hexdigest() != sha256:
                raise ModelError(f"{file} changed while it was copied: wait until it is complete, then add it again")

        atomic_write(target, copy)
    record_added(data, AddedWeights(name, target.name, sha256, family, task))
    return OpenWeights(name, target, sha256, family, task)
