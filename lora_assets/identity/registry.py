"""Characters that keep their ids from run to run: an append-only file of events, replayed to the present state.

`data/characters/events.jsonl` belongs to the person: nothing in it is ever changed or removed. What is in it: `new` (an
id with a first prototype), `seen` (a further prototype of an id), `merged` (an id means another from now on), `split`
(some crops of an id become another), `renamed` (a name given by a person). What belongs elsewhere: finding clusters
(clusters), giving them ids (making).
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lora_assets.specs import SpecError
from lora_assets.store import StoreError, exclusive

FloatArray = npt.NDArray[np.floating]

NEW, SEEN, MERGED, SPLIT, RENAMED = "new", "seen", "merged", "split", "renamed"
MOST_PROTOTYPES = 6
NAME_LIMIT = 80


@dataclass(frozen=True, slots=True, eq=False)
class Prototype:
    """How a character looked in one run: the space (embedding and version) and the descriptor (zones, bins) with its
    zone weights."""

    space: str
    vectors: FloatArray
    weights: FloatArray


@dataclass(frozen=True, slots=True)
class Character:
    """One id as the events leave it. `name` "" until a person gives one; `merged_into` "" for one that stands."""

    id: str
    name: str = ""
    merged_into: str = ""
    split_from: str = ""
    prototypes: tuple[Prototype, ...] = ()


@dataclass(frozen=True, slots=True)
class Parting:
    """A person's split: `crops` became the character `new`, `kept` stayed with `id`."""

    id: str
    new: str
    crops: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Registry:
    """The present state: all characters by id, in the order of their making, and the splits by a person."""

    characters: Mapping[str, Character] = field(default_factory=dict)
    partings: tuple[Parting, ...] = ()

    def standing(self, id: str) -> Character:
        """The character that an id means now, through merges. Raises SpecError for an unknown id."""
        seen = {id}
        character = self._known(id)
        while character.merged_into and character.merged_into not in seen:
            seen.add(character.merged_into)
            character = self._known(character.merged_into)
        return character

    def _known(self, id: str) -> Character:
        if id not in self.characters:
            known = ", ".join(list(self.characters)[:10]) or "none yet"
            raise SpecError(f"there is no character {id!r}; known: {known}")
        return self.characters[id]

    def free_id(self, taken: Iterable[str] = ()) -> str:
        """The next id that no character ever had."""
        numbers = [int(id[3:]) for id in (*self.characters, *taken) if id.startswith("ch-") and id[3:].isdigit()]
        return f"ch-{max(numbers, default=0) + 1:04d}"


def events_path(data: Path) -> Path:
    """Where the events lie."""
    return data / "characters" / "events.jsonl"


def read_registry(data: Path) -> Registry:
    """The events of a project, replayed. A last line that was cut off (a power cut) is left out.

    Raises StoreError for a line that cannot be understood, naming it.
    """
    path = events_path(data)
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return Registry()
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error}): put a copy of it in its place") from error
    registry = Registry()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            registry = _after(registry, json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if number == len(lines):
                break
            raise StoreError(
                f"{path}, line {number} is damaged ({error!r}): take the line out, or put a copy of the file there"
            ) from error
    return registry


def _after(registry: Registry, event: Mapping[str, Any]) -> Registry:
    known = dict(registry.characters)
    kind, id = str(event["event"]), str(event["id"])
    partings = registry.partings
    if kind == NEW:
        known.setdefault(id, Character(id, prototypes=_prototypes(event)))
    elif kind == SEEN:
        old = known[id]
        known[id] = dataclasses.replace(old, prototypes=(*old.prototypes, *_prototypes(event))[-MOST_PROTOTYPES:])
    elif kind == MERGED:
        known[id] = dataclasses.replace(known[id], merged_into=str(event["into"]))
    elif kind == SPLIT:
        new = str(event["new"])
        known.setdefault(new, Character(new, split_from=id, prototypes=_prototypes(event)))
        partings = (*partings, Parting(id, new, tuple(event["crops"]), tuple(event["kept"])))
    elif kind == RENAMED:
        known[id] = dataclasses.replace(known[id], name=str(event["name"]))
    else:
        raise ValueError(f"event {kind!r} is unknown")
    return Registry(known, partings)


def _prototypes(event: Mapping[str, Any]) -> tuple[Prototype, ...]:
    told = event.get("prototype")
    if not told:
        return ()
    shape = tuple(int(side) for side in told["shape"])
    vectors = np.frombuffer(base64.b64decode(told["vectors"]), np.float16).reshape(shape).astype(np.float32)
    return (Prototype(str(told["space"]), vectors, np.array(told["weights"], np.float32)),)


def prototype_json(prototype: Prototype) -> dict[str, Any]:
    """A prototype as JSON values."""
    vectors = prototype.vectors.astype(np.float16)
    return {
        "space": prototype.space,
        "shape": list(vectors.shape),
        "vectors": base64.b64encode(vectors.tobytes()).decode(),
        "weights": [round(float(weight), 4) for weight in prototype.weights],
    }


def append_events(data: Path, events: Iterable[Mapping[str, Any]]) -> Registry:
    """Add events, each with its time (UTC), in one write that is on disk on return; the state after them.

    A cut-off last line is ended first, so that it spoils no other. Raises StoreError when the file cannot be written.
    The caller holds `characters_lock`.
    """
    at = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [json.dumps({**event, "at": at}, ensure_ascii=False, sort_keys=True) for event in events]
    path = events_path(data)
    if lines:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            before = path.read_bytes() if path.exists() else b""
            # A line that a power cut left whole but unended is kept; a torn one is dropped.
            torn = before[before.rfind(b"\n") + 1 :]
            keep = len(before) - (0 if not torn or _is_json(torn) else len(torn))
            with path.open("r+b" if path.exists() else "x+b") as handle:
                handle.truncate(keep)
                handle.seek(keep)
                start = b"\n" if keep and before[keep - 1 : keep] != b"\n" else b""
                handle.write(start + ("\n".join(lines) + "\n").encode())
                handle.flush()
                os.fsync(handle.fileno())
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror or error}; free space or rights") from error
    return read_registry(data)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def characters_lock(data: Path) -> Any:
    """Held while events are read and added, so that two runs cannot give one id twice."""
    return exclusive(data / "store" / "locks" / "characters.lock")


# --- a person's word -------------------------------------------------------------------------------------------------


def rename_character(data: Path, id: str, name: str) -> Registry:
    """Give a character a name. Raises SpecError when the id is unknown, the name does not fit, or another standing
    character has it already (then they are to be merged)."""
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > NAME_LIMIT or not name.isprintable():
        raise SpecError(f"the name {name!r} does not fit: give 1 to {NAME_LIMIT} printable characters on one line")
    with characters_lock(data):
        registry = read_registry(data)
        character = registry.standing(id)
        for other in registry.characters.values():
            if other.id != character.id and not other.merged_into and same_name(other.name, name):
                raise SpecError(
                    f"{other.id} is called {other.name!r} already. If both are one character: lora-assets characters "
                    f"merge {character.id} {other.id}; if not, choose another name"
                )
        return append_events(data, [{"event": RENAMED, "id": character.id, "name": name}])


def same_name(one: str, other: str) -> bool:
    """True for names that a person would read as one: NFKC, without regard to case and spaces around."""

    def key(name: str) -> str:
        return unicodedata.normalize("NFKC", name).strip().casefold()

    return bool(key(one)) and key(one) == key(other)


def merge_characters(data: Path, id: str, into: str) -> Registry:
    """Let an id mean another from now on. Raises SpecError for unknown ids and for one and the same."""
    with characters_lock(data):
        registry = read_registry(data)
        one, other = registry.standing(id), registry.standing(into)
        if one.id == other.id:
            raise SpecError(f"{id} and {into} are one character already ({one.id})")
        events: list[dict[str, Any]] = [{"event": MERGED, "id": one.id, "into": other.id}]
        if one.name and not other.name:
            events.append({"event": RENAMED, "id": other.id, "name": one.name})
        return append_events(data, events)


def split_character(data: Path, id: str, crops: Iterable[str], kept: Iterable[str]) -> str:
    """Make some crops of a character another one, and return its id; later runs keep them apart.

    Raises SpecError when no crop is named, or all of them are.
    """
    moved, stay = sorted(set(crops)), sorted(set(kept) - set(crops))
    if not moved or not stay:
        raise SpecError(f"{id}: name some of its crops, but not all, to make them another character")
    with characters_lock(data):
        registry = read_registry(data)
        character = registry.standing(id)
        new = registry.free_id()
        append_events(data, [{"event": SPLIT, "id": character.id, "new": new, "crops": moved, "kept": stay}])
        return new
