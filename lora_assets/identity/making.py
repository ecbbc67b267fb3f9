"""The characters of a tracker: crops become tracks, tracks become clusters, clusters get lasting ids and names.

What belongs elsewhere: each step itself (tracks, clusters, registry), what is then chosen (curation).
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lora_assets.identity import clusters, descriptions, embedding, networks, registry, shots, tracks
from lora_assets.identity.clusters import MOST_TRACKS, Limits, cluster_tracks, memberships
from lora_assets.identity.descriptions import Described, describe_crops, find_shots, unseen_crops, unseen_frames
from lora_assets.identity.descriptor import Descriptors, mean_descriptor
from lora_assets.identity.embedding import (
    Space,
    choose_spaces,
    embed_crops,
    embed_cutouts,
    not_embedded,
    weights_digests,
)
from lora_assets.identity.references import Cut, ReferencesRead, read_references, reference_folders, references_digest
from lora_assets.identity.registry import NEW, SEEN, Prototype, Registry, prototype_json, read_registry, same_name
from lora_assets.identity.settings import IdentitySettings
from lora_assets.identity.tracker_crops import TrackerCrop, TrackerCrops, read_crops
from lora_assets.identity.tracks import Figure, link_tracks
from lora_assets.store import PublishedTable, Store, digest
from lora_assets.tables import CharacterCrop, from_table, to_table

CODE_VERSION = ".".join(
    ("2", clusters.CODE_VERSION, descriptions.CODE_VERSION, embedding.CODE_VERSION, networks.CODE_VERSION,
     shots.CODE_VERSION, tracks.CODE_VERSION)
)  # fmt: skip
FloatArray = npt.NDArray[np.floating]

_LEAST_EVIDENCE = 0.12
_AT_ONCE = 512
_SAME_CROPS = 0.5
_NEWLY_LOOKING = 0.9
_NAMED_BONUS = 0.05


@dataclass(frozen=True, slots=True)
class MadeCharacters:
    """What was published: the table, its rows, figures for plots, and in words what a person should know."""

    table: PublishedTable
    rows: tuple[CharacterCrop, ...]
    numbers: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What is worked out of one space: the cluster of each of its tracks, mean descriptors of clusters, membership of
    tracks, the reference that each cluster holds, and for each crop its likeness to the references."""

    space: Space
    labels: dict[int, int]
    means: dict[int, tuple[FloatArray, FloatArray]]
    membership: dict[int, float]
    held: dict[int, str]
    similarity: dict[int, tuple[str, float]]


def make_characters(
    store: Store, tracker: str, settings: IdentitySettings = IdentitySettings(), cut: Cut | None = None
) -> MadeCharacters:
    """Find, number and publish the characters of a tracker. Ids are those of the registry wherever a cluster looks like
    a known character or holds its crops; new ones are added to it. Equal inputs change nothing.

    `cut` finds the figure in reference pictures (the starter models when None). Raises SpecError for reference folders
    that do not fit, ModelError for named weights that are not there, StoreError for damaged tables.
    """
    began = time.perf_counter()
    path = store.table_path("characters", tracker)
    with registry.characters_lock(store.data):
        crops = read_crops(store, tracker)
        folders = reference_folders(store.data, settings.references)
        read = references_digest(folders)
        weights = weights_digests(settings, store.data)
        wanted = _version(store, crops, settings, read, weights)
        before = store.published(path)
        if before is not None and before.version == wanted:
            return _again(before)
        described = describe_crops(store, crops.crops)
        found_shots = find_shots(store, crops)
        spaces, notes = choose_spaces(crops.crops, described, settings, store.data)
        references = read_references(folders, cut) if folders else ReferencesRead(())
        known = read_registry(store.data)
        track_of = _tracks(crops, described, found_shots, known)
        found = [
            _cluster(store, space, crops, described, spaces, track_of, references, known, settings)
            for space in {space.version: space for space in spaces.values()}.values()
        ]
        unseen = {*unseen_crops(crops.crops, described), *unseen_frames(store, crops)}
        for result in found:
            own = [crop for crop in crops.crops if spaces[crop.dataset].version == result.space.version]
            unseen.update(not_embedded(store, result.space, own))
        ids, events, told = _give_ids(found, crops, track_of, known, _before(before), settings)
        known = registry.append_events(store.data, events)
        rows = _rows(crops, described, found_shots, track_of, found, ids, known, settings)
        notes = (*notes, *references.problems, *told, *_name_clashes(rows, known))
        numbers = _numbers(rows, track_of, time.perf_counter() - began)
        facts = {
            "tracker": tracker, "notes": list(notes), "numbers": numbers, "settings": _plain(settings),
            "embeddings": {name: space.version for name, space in spaces.items()},
        }  # fmt: skip
        wanted = _version(store, crops, settings, read, weights)
        # What could not be seen now is looked at again: the version is then not the wanted one.
        version = digest(wanted, "again", sorted(unseen)) if unseen else wanted
        table = store.publish(path, CharacterCrop, [to_table(rows, CharacterCrop)], version, facts)
    return MadeCharacters(table, tuple(rows), numbers, notes)


def _plain(settings: IdentitySettings) -> dict[str, Any]:
    told = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


def _version(
    store: Store, crops: TrackerCrops, settings: IdentitySettings, references: str, weights: Mapping[str, str]
) -> str:
    """The version of a table made of the registry as it is now."""
    path = registry.events_path(store.data)
    events = path.read_bytes().decode("utf-8", "replace") if path.exists() else ""
    return digest("characters", CODE_VERSION, crops.version, _plain(settings), references, digest(events), weights)


def _again(before: PublishedTable) -> MadeCharacters:
    rows = tuple(from_table(before.read(), CharacterCrop))
    return MadeCharacters(before, rows, dict(before.facts["numbers"]), tuple(before.facts["notes"]))


def _before(table: PublishedTable | None) -> dict[str, str]:
    """The character id of each crop in the table before."""
    if table is None:
        return {}
    rows = table.read(["crop_id", "character_id"]).to_pylist()
    return {row["crop_id"]: row["character_id"] for row in rows if row["character_id"]}


# --- tracks ----------------------------------------------------------------------------------------------------------


def _tracks(
    crops: TrackerCrops, described: Described, found_shots: Mapping[str, Mapping[int, str]], known: Registry
) -> npt.NDArray[np.int64]:
    """(crops,) the track of each crop. A person's split inside a track cuts it."""
    figures = [Figure(found_shots[crop.dataset][crop.number], crop.number, crop.box) for crop in crops.crops]

    def alike(before: Sequence[int], after: Sequence[int]) -> FloatArray:
        from lora_assets.identity.descriptor import likenesses

        one, other = described.figures.take(list(before)), described.figures.take(list(after))
        likeness = likenesses(one, other)
        unseen = (one.weights.sum(axis=1)[:, None] == 0) | (other.weights.sum(axis=1)[None] == 0)
        return np.where(unseen, np.nan, likeness)

    found = link_tracks(figures, alike)
    moved = {crop: parting.new for parting in known.partings for crop in parting.crops}
    names: dict[tuple[int, str], int] = {}
    keys = [(int(track), moved.get(crop.crop_id, "")) for track, crop in zip(found, crops.crops, strict=True)]
    return np.array([names.setdefault(key, len(names)) for key in keys], np.int64)


def _members(track_of: npt.NDArray[np.int64], places: Sequence[int]) -> dict[int, list[int]]:
    members: dict[int, list[int]] = defaultdict(list)
    for place in places:
        members[int(track_of[place])].append(place)
    return dict(members)


# --- clusters --------------------------------------------------------------------------------------------------------


def _cluster(
    store: Store,
    space: Space,
    crops: TrackerCrops,
    described: Described,
    spaces: Mapping[str, Space],
    track_of: npt.NDArray[np.int64],
    references: ReferencesRead,
    known: Registry,
    settings: IdentitySettings,
) -> _Found:
    places = [place for place, crop in enumerate(crops.crops) if spaces[crop.dataset].version == space.version]
    all_figures = embed_crops(store, space, crops.crops, described)
    members = _members(track_of, [place for place in places if not crops.crops[place].vetoed])
    figures: dict[int, tuple[FloatArray, FloatArray]] = {}
    for track, inside in members.items():
        vectors, weights = mean_descriptor(all_figures.take(inside))
        seen = weights if space.embed is not None else weights[:-1]
        if seen.max(initial=0.0) > 0.0:
            figures[track] = (vectors, weights)
    apart = _apart(sorted(figures), members, crops, known)
    # The largest first: they make the cores where there are more tracks than can be compared with each other.
    order = sorted(figures, key=lambda track: (-len(members[track]), track))
    core, rest = sorted(order[:MOST_TRACKS]), order[MOST_TRACKS:]
    pictures = embed_cutouts(
        space, [picture.cutout for picture in references.pictures], [picture.head for picture in references.pictures]
    )
    nodes = _stack([figures[track] for track in core], pictures)
    names = [picture.character for picture in references.pictures]
    likeness, evidence = space.likeness(nodes, nodes), space.evidence(nodes, nodes)
    limits = settings.limits(space.name)
    barred = _barred(core, apart, names)
    together = [
        [len(core) + place for place, name in enumerate(names) if name == character]
        for character in dict.fromkeys(names)
    ]
    labels = cluster_tracks(likeness, evidence, barred, together, limits, _LEAST_EVIDENCE)
    sure = memberships(likeness, labels)
    label_of = {track: int(labels[place]) for place, track in enumerate(core)}
    member = {track: float(sure[place]) for place, track in enumerate(core)}
    held: dict[int, str] = {}
    for place, name in enumerate(names):
        held.setdefault(int(labels[len(core) + place]), name)
    means = {
        label: mean_descriptor(nodes.take(np.flatnonzero(labels == label))) for label in sorted(set(labels.tolist()))
    }
    while rest:
        rest = _join_known(space, rest, figures, means, apart, label_of, member, limits.join)
        rest = _cluster_more(space, rest, figures, means, apart, label_of, member, limits)
    similarity = _similarity(space, places, all_figures, pictures, names)
    return _Found(space, label_of, means, member, held, similarity)


def _stack(tracks: Sequence[tuple[FloatArray, FloatArray]], pictures: Descriptors) -> Descriptors:
    if not tracks:
        return pictures
    vectors = np.stack([vectors for vectors, _ in tracks]).astype(np.float32)
    weights = np.stack([weights for _, weights in tracks])
    if not len(pictures):
        return Descriptors(vectors, weights)
    return Descriptors(np.concatenate([vectors, pictures.vectors]), np.concatenate([weights, pictures.weights]))


@dataclass(frozen=True, slots=True)
class _Apart:
    """Why tracks can never be one character: two may not meet when one shuns a mark that the other bears. Seen in one
    frame, both bear and shun the frame's mark; a person's parting gives each side a mark that the other one shuns."""

    bears: Mapping[int, set[str]]
    shuns: Mapping[int, set[str]]


def _apart(tracks: Sequence[int], members: Mapping[int, list[int]], crops: TrackerCrops, known: Registry) -> _Apart:
    bears = {track: {crops.crops[crop].frame_sha256 for crop in members[track]} for track in tracks}
    shuns = {track: set(marks) for track, marks in bears.items()}
    of_crop = {crops.crops[crop].crop_id: track for track in tracks for crop in members[track]}
    for number, parting in enumerate(known.partings):
        moved = {of_crop[crop] for crop in parting.crops if crop in of_crop}
        kept = {of_crop[crop] for crop in parting.kept if crop in of_crop} - moved
        for side, own, others in ((moved, "moved", "kept"), (kept, "kept", "moved")):
            for track in side:
                bears[track].add(f"{own} {number}")
                shuns[track].add(f"{others} {number}")
    return _Apart(bears, shuns)


def _barred(tracks: Sequence[int], apart: _Apart, names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Pairs that can never be one character: tracks that are `apart`, pictures of two references."""
    count = len(tracks) + len(names)
    barred = np.zeros((count, count), np.bool_)
    bearers: dict[str, list[int]] = defaultdict(list)
    for place, track in enumerate(tracks):
        for mark in apart.bears[track]:
            bearers[mark].append(place)
    for place, track in enumerate(tracks):
        for mark in apart.shuns[track]:
            barred[place, bearers.get(mark, [])] = True
    np.fill_diagonal(barred, False)
    for one, name in enumerate(names):
        for other, another in enumerate(names):
            barred[len(tracks) + one, len(tracks) + other] = name != another
    return barred


_NO_PICTURES = Descriptors(np.zeros((0, 1, 1), np.float32), np.zeros((0, 1), np.float32))


def _join_known(
    space: Space,
    rest: Sequence[int],
    figures: Mapping[int, tuple[FloatArray, FloatArray]],
    means: Mapping[int, tuple[FloatArray, FloatArray]],
    apart: _Apart,
    label_of: dict[int, int],
    member: dict[int, float],
    limit: float,
) -> list[int]:
    """Tracks beyond the core join the character that they are most like and may meet, the most alike first; returns
    those that join none, in their order."""
    names = sorted(means)
    known = _stack([means[name] for name in names], _NO_PICTURES)
    borne: dict[int, set[str]] = defaultdict(set)
    for track, label in label_of.items():
        borne[label] |= apart.bears[track]
    for start in range(0, len(rest), _AT_ONCE):
        part = rest[start : start + _AT_ONCE]
        own = _stack([figures[track] for track in part], _NO_PICTURES)
        likeness = np.where(space.evidence(own, known) >= _LEAST_EVIDENCE, space.likeness(own, known), 0.0)
        near = np.argwhere(likeness >= limit)
        order = np.argsort(-likeness[near[:, 0], near[:, 1]], kind="stable")
        for row, column in near[order].tolist():
            track, label = part[row], names[column]
            if track not in label_of and apart.shuns[track].isdisjoint(borne[label]):
                label_of[track], member[track] = label, float(likeness[row, column])
                borne[label] |= apart.bears[track]
    return [track for track in rest if track not in label_of]


def _cluster_more(
    space: Space,
    rest: Sequence[int],
    figures: Mapping[int, tuple[FloatArray, FloatArray]],
    means: dict[int, tuple[FloatArray, FloatArray]],
    apart: _Apart,
    label_of: dict[int, int],
    member: dict[int, float],
    limits: Limits,
) -> list[int]:
    """The first MOST_TRACKS of the tracks that are like no character become characters of their own, as the core did;
    returns the others."""
    if not rest:
        return []
    core = sorted(rest[:MOST_TRACKS])
    nodes = _stack([figures[track] for track in core], _NO_PICTURES)
    likeness = space.likeness(nodes, nodes)
    labels = cluster_tracks(
        likeness, space.evidence(nodes, nodes), _barred(core, apart, ()), (), limits, _LEAST_EVIDENCE
    )
    sure = memberships(likeness, labels)
    free = max(means, default=-1) + 1
    for place, track in enumerate(core):
        label_of[track], member[track] = free + int(labels[place]), float(sure[place])
    for label in sorted(set(labels.tolist())):
        means[free + label] = mean_descriptor(nodes.take(np.flatnonzero(labels == label)))
    return list(rest[MOST_TRACKS:])


def _similarity(
    space: Space, places: Sequence[int], figures: Descriptors, pictures: Descriptors, names: Sequence[str]
) -> dict[int, tuple[str, float]]:
    """For crops by place: the reference character that they are most like, and how much."""
    found: dict[int, tuple[str, float]] = {}
    if not len(pictures):
        return found
    for start in range(0, len(places), 512):
        part = list(places[start : start + 512])
        own = figures.take(part)
        evidence = space.evidence(own, pictures)
        likeness = np.where(evidence >= _LEAST_EVIDENCE, space.likeness(own, pictures), -1.0)
        best = likeness.argmax(axis=1)
        for row, place in enumerate(part):
            if likeness[row, best[row]] >= 0:
                found[place] = (names[int(best[row])], float(likeness[row, best[row]]))
    return found


# --- ids -------------------------------------------------------------------------------------------------------------


def _give_ids(
    found: Sequence[_Found],
    crops: TrackerCrops,
    track_of: npt.NDArray[np.int64],
    known: Registry,
    before: Mapping[str, str],
    settings: IdentitySettings,
) -> tuple[dict[tuple[int, int], str], list[dict[str, Any]], list[str]]:
    """The id of each cluster by (space, label), the events that make new ones known, and what a person should know."""
    ids: dict[tuple[int, int], str] = {}
    events: list[dict[str, Any]] = []
    notes: list[str] = []
    was = {**before, **{crop: parting.new for parting in known.partings for crop in parting.crops}}
    for number, result in enumerate(found):
        members: dict[int, list[str]] = defaultdict(list)
        for place, crop in enumerate(crops.crops):
            label = result.labels.get(int(track_of[place]))
            if label is not None:
                members[label].append(crop.crop_id)
        labels = sorted(members)
        for label, id in _matched(labels, members, result, known, was, settings).items():
            ids[number, label] = id
            event = _seen(result, label, known.characters[id])
            events += [event] if event else []
        for label in labels:
            if (number, label) in ids:
                continue
            if len(members[label]) < settings.least_crops and label not in result.held:
                continue
            id = known.free_id([*ids.values()])
            ids[number, label] = id
            events.append({"event": NEW, "id": id, "prototype": _prototype(result, label)})
            old = Counter(was[crop] for crop in members[label] if crop in was).most_common(1)
            if old and old[0][1] >= _SAME_CROPS * len(members[label]):
                notes.append(f"{id} was part of {old[0][0]} before: if they are one, merge them")
    return ids, events, notes


def _matched(
    labels: Sequence[int],
    members: Mapping[int, list[str]],
    result: _Found,
    known: Registry,
    was: Mapping[str, str],
    settings: IdentitySettings,
) -> dict[int, str]:
    """The known id of clusters that hold its crops or look like it: the assignment with the largest sum."""
    names = list(known.characters)
    if not names or not labels:
        return {}
    gain = np.zeros((len(labels), len(names)))
    limit = settings.limits(result.space.name).core
    for row, label in enumerate(labels):
        held = Counter(known.standing(was[crop]).id for crop in members[label] if was.get(crop) in known.characters)
        for column, name in enumerate(names):
            character = known.characters[name]
            standing = known.standing(name)
            same = held[standing.id] / len(members[label])
            look = _look(result, label, character.prototypes)
            if same >= _SAME_CROPS or look >= limit:
                gain[row, column] = (
                    same + look + (_NAMED_BONUS if standing.name else 0.0) + same * min(1.0, len(members[label]) / 100)
                )
    from scipy.optimize import linear_sum_assignment  # half of what loading the definitions would cost

    rows, columns = linear_sum_assignment(-gain)
    return {labels[r]: names[c] for r, c in zip(rows, columns, strict=True) if gain[r, c] > 0}


def _look(result: _Found, label: int, prototypes: Sequence[Prototype]) -> float:
    """The likeness of a cluster to the nearest prototype in its space, 0 without any."""
    own = Descriptors(*(part[None] for part in result.means[label]))
    best = 0.0
    for prototype in prototypes:
        if prototype.space == result.space.version:
            other = Descriptors(prototype.vectors[None], prototype.weights[None])
            if result.space.evidence(own, other)[0, 0] >= _LEAST_EVIDENCE:
                best = max(best, float(result.space.likeness(own, other)[0, 0]))
    return best


def _seen(result: _Found, label: int, character: registry.Character) -> dict[str, Any] | None:
    """The event that a character looks as it never did before, if it does."""
    if _look(result, label, character.prototypes) >= _NEWLY_LOOKING:
        return None
    return {"event": SEEN, "id": character.id, "prototype": _prototype(result, label)}


def _prototype(result: _Found, label: int) -> dict[str, Any]:
    return prototype_json(Prototype(result.space.version, *result.means[label]))


# --- rows ------------------------------------------------------------------------------------------------------------


def _rows(
    crops: TrackerCrops,
    described: Described,
    found_shots: Mapping[str, Mapping[int, str]],
    track_of: npt.NDArray[np.int64],
    found: Sequence[_Found],
    ids: Mapping[tuple[int, int], str],
    known: Registry,
    settings: IdentitySettings,
) -> list[CharacterCrop]:
    referenced: dict[str, str] = {}
    for number, result in enumerate(found):
        for label, name in result.held.items():
            if (number, label) in ids:
                referenced.setdefault(known.standing(ids[number, label]).id, name)
    rows = []
    for place, crop in enumerate(crops.crops):
        track = int(track_of[place])
        id, membership, reference, similarity, space, looked_at = "", 0.0, "", None, "", ""
        for number, result in enumerate(found):
            if place in result.similarity:
                reference, similarity = result.similarity[place]
                looked_at = result.space.name
            if track in result.labels:
                space = result.space.name
                label = result.labels[track]
                if (number, label) in ids:
                    id, membership = known.standing(ids[number, label]).id, result.membership[track]
        sure = bool(reference) and referenced.get(id) == reference
        if similarity is not None and not id:
            sure = similarity >= settings.sure_from(looked_at)
        rows.append(_row(crop, described.media[place], found_shots, track, id, membership, reference, similarity, sure,
                         space, known, referenced))  # fmt: skip
    return rows


def _row(
    crop: TrackerCrop,
    medium: str,
    found_shots: Mapping[str, Mapping[int, str]],
    track: int,
    id: str,
    membership: float,
    reference: str,
    similarity: float | None,
    sure: bool,
    space: str,
    known: Registry,
    referenced: Mapping[str, str],
) -> CharacterCrop:
    shot = found_shots[crop.dataset][crop.number]
    name = (known.standing(id).name or referenced.get(id, "")) if id else (reference if sure else "")
    return CharacterCrop(
        crop.crop_id, crop.frame_sha256, crop.dataset, shot, f"{shot} {track}", id, name, membership, reference,
        None if similarity is None else float(np.clip(similarity, 0.0, 1.0)), sure, medium, space,
    )  # fmt: skip


def _name_clashes(rows: Sequence[CharacterCrop], known: Registry) -> list[str]:
    """In words, which characters read as one name."""
    names = {row.character_id: row.character_name for row in rows if row.character_id and row.character_name}
    names |= {c.id: c.name for c in known.characters.values() if c.name and not c.merged_into}
    return [
        f"{other} and {id} are both called {names[id]!r}: merge them (lora-assets characters merge {id} {other}) or "
        "rename one; a choice by this name takes both"
        for other, id in itertools.combinations(sorted(names), 2)
        if same_name(names[id], names[other])
    ]


def _numbers(rows: Sequence[CharacterCrop], track_of: npt.NDArray[np.int64], seconds: float) -> dict[str, float]:
    given = [row for row in rows if row.character_id]
    return {
        "crops": float(len(rows)),
        "crops_with_character": float(len(given)),
        "characters": float(len({row.character_id for row in given})),
        "named_characters": float(len({row.character_id for row in given if row.character_name})),
        "tracks": float(len(set(track_of.tolist()))),
        "shots": float(len({row.shot for row in rows})),
        "reference_matches": float(sum(row.is_reference_match for row in rows)),
        "mean_membership": float(np.mean([row.membership for row in given])) if given else 0.0,
        "seconds": seconds,
    }
