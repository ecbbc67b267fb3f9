"""The table `curated_dataset` of a tracker: every crop in or out, with its reason, and the readiness report.

Reads published tables, the log of verdicts and the descriptions of crops; it opens no model, since the pages read what
is made here. What belongs elsewhere: the rules of the choice (choosing), groups (groups), characters (identity.making).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lora_assets.curation import choosing, framing, looks, reasons, splitting
from lora_assets.curation.choosing import Candidates, Chosen, band_quotas, choose
from lora_assets.curation.framing import framing_of, view_of
from lora_assets.curation.groups import wanted_version
from lora_assets.curation.looks import looks_of
from lora_assets.curation.made import MadeDataset
from lora_assets.curation.readiness import (
    NO_CHARACTERS,
    NO_GROUPS,
    SAME_NAME,
    STALE_GROUPS,
    UNKNOWN_CHARACTER,
    Finding,
    report_of,
)
from lora_assets.curation.settings import AUTO, FRAMINGS, QUALITY, RULES, STRATIFIED, CurateSettings
from lora_assets.curation.splitting import TRAIN, split_parts
from lora_assets.identity import descriptions, shots
from lora_assets.identity.descriptions import Described, describe_crops, find_mixed, unseen_crops, unseen_frames
from lora_assets.identity.registry import same_name
from lora_assets.identity.tracker_crops import TrackerCrop, TrackerCrops, read_crops
from lora_assets.judge.making import judge_tracker, read_judge
from lora_assets.judge.renewal import CURATED, note_row
from lora_assets.store import Store, digest
from lora_assets.tables import CharacterCrop, CropGroup, CuratedCrop, from_table, to_table
from lora_assets.verdicts import match_verdicts, open_log, tracker_places
from lora_assets.verdicts.log import log_path
from lora_assets.verdicts.record import BAD, EXCLUDE, GOOD
from lora_assets.vision.score import ScoreSettings

CODE_VERSION = ".".join(
    ("2", choosing.CODE_VERSION, framing.CODE_VERSION, looks.CODE_VERSION, splitting.CODE_VERSION,
     descriptions.CODE_VERSION, shots.CODE_VERSION)
)  # fmt: skip

_TIER_STARTS = {"high": ScoreSettings().high, "medium": ScoreSettings().medium, "low": 0.0}


@dataclass(frozen=True, slots=True)
class _Known:
    """What other tables say of the crops, by crop id, and the version of all of it."""

    groups: Mapping[str, CropGroup]
    characters: Mapping[str, CharacterCrop]
    quality: Mapping[str, float]
    p_good: Mapping[str, float]
    verdicts: Mapping[str, str]
    findings: tuple[Finding, ...]
    version: str


def make_curated(store: Store, tracker: str, settings: CurateSettings = CurateSettings()) -> MadeDataset:
    """Choose and publish the dataset of a tracker. Equal inputs give an equal table and change nothing.

    A tracker without crops, or of which none is left, gives a table without chosen crops and a report that says why.
    Raises StoreError for damaged tables.
    """
    began = time.perf_counter()
    path = store.table_path("curated_dataset", tracker)
    with store.lock(f"curated_dataset-{tracker}"):
        log_row = _last_row(store)
        crops = read_crops(store, tracker)
        known = _read_known(store, tracker, crops, settings)
        wanted = digest("curated_dataset", CODE_VERSION, crops.version, known.version, _plain(settings))
        before = store.published(path)
        if before is not None and before.version == wanted:
            rows = tuple(from_table(before.read(), CuratedCrop))
            note_row(store, tracker, log_row, CURATED)
            return MadeDataset(before, rows, before.facts["report"], float(before.facts["seconds"]))
        described = describe_crops(store, crops.crops)
        rows = _curate(crops, described, find_mixed(store, crops), known, settings)
        vetoed = [crop.crop_id for crop in crops.crops if crop.vetoed]
        findings = [*known.findings, *_about_character(rows, settings)]
        quotas = band_quotas(settings) if settings.method == STRATIFIED else ()
        report = report_of(rows, crops.frames, settings, vetoed, findings, quotas)
        seconds = time.perf_counter() - began
        facts = {"tracker": tracker, "report": report, "settings": _plain(settings), "seconds": seconds}
        # What could not be seen now is looked at again: the version is then not the wanted one.
        unseen = [*unseen_crops(crops.crops, described), *unseen_frames(store, crops)]
        version = digest(wanted, "again", unseen) if unseen else wanted
        table = store.publish(path, CuratedCrop, [to_table(rows, CuratedCrop)], version, facts)
        note_row(store, tracker, log_row, CURATED)
    return MadeDataset(table, tuple(rows), report, seconds)


def _plain(settings: CurateSettings) -> dict[str, Any]:
    told = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}


# --- what is known ---------------------------------------------------------------------------------------------------


def _read_known(store: Store, tracker: str, crops: TrackerCrops, settings: CurateSettings) -> _Known:
    versions: list[Any] = []
    findings: list[Finding] = []
    tables = {name: store.published(store.table_path(name, tracker)) for name in ("crop_groups", "characters", QUALITY)}
    groups: dict[str, CropGroup] = {}
    characters: dict[str, CharacterCrop] = {}
    quality: dict[str, float] = {}
    if (table := tables["crop_groups"]) is not None:
        groups = {row.crop_id: row for row in from_table(table.read(), CropGroup)}
        if table.facts.get("wanted") != wanted_version(crops):
            findings.append(Finding(STALE_GROUPS))
    elif crops.crops:
        findings.append(Finding(NO_GROUPS))
    if (table := tables["characters"]) is not None:
        characters = {row.crop_id: row for row in from_table(table.read(), CharacterCrop)}
    elif crops.crops:
        findings.append(Finding(NO_CHARACTERS))
    if (table := tables[QUALITY]) is not None and settings.source in (AUTO, QUALITY):
        rows = table.read(["crop_id", "score"]).to_pylist()
        quality = {row["crop_id"]: float(row["score"]) for row in rows if row["score"] is not None}
    versions += [table.version if table is not None else "" for table in tables.values()]
    judge = read_judge(store, tracker)
    p_good: dict[str, float] = {}
    if judge is not None and judge.report.active:
        p_good = {crop: said.p_good for crop, said in judge_tracker(store, tracker).items() if said.moves}
        versions.append(digest(sorted(p_good.items())))
    verdicts = _verdicts(store, tracker)
    versions.append(sorted(verdicts.items()))
    return _Known(groups, characters, quality, p_good, verdicts, tuple(findings), digest(versions))


def _last_row(store: Store) -> int:
    if not log_path(store.data).exists():
        return 0
    with open_log(store.data) as log:
        return log.last_row()


def _verdicts(store: Store, tracker: str) -> dict[str, str]:
    """good, bad or exclude by crop, as the person's verdicts apply to the tracker's crops."""
    if not log_path(store.data).exists():
        return {}
    with open_log(store.data) as log:
        said = list(log.current().values())
    matching = match_verdicts(said, tracker_places(store, tracker)).standing()
    return {crop: verdict.value for crop, verdict in matching.by_crop().items()}


def _about_character(rows: Sequence[CuratedCrop], settings: CurateSettings) -> list[Finding]:
    """What is wrong with the character that is asked for: nobody has it, or several have its name."""
    if not settings.character or not rows:
        return []
    meant = {row.character_id for row in rows if _is_meant(row.character_id, row.character_name, settings.character)}
    if not meant:
        return [Finding(UNKNOWN_CHARACTER, settings.character)]
    ids = meant - {""}
    if len(ids) > 1 and settings.character not in ids:
        return [Finding(SAME_NAME, settings.character, float(len(ids)), 1.0)]
    return []


def _is_meant(id: str, name: str, wanted: str) -> bool:
    return bool(wanted) and (id == wanted or same_name(name, wanted))


# --- the choice ------------------------------------------------------------------------------------------------------


def _curate(
    crops: TrackerCrops, described: Described, mixed: set[tuple[str, int]], known: _Known, settings: CurateSettings
) -> list[CuratedCrop]:
    scores, sources = _scores(crops.crops, known, settings)
    framings = [framing_of(crop, head) for crop, head in zip(crops.crops, described.heads, strict=True)]
    views = [view_of(crop) for crop in crops.crops]
    refused = {
        place: told
        for place, crop in enumerate(crops.crops)
        if (told := _refused(crop, (crop.dataset, crop.number) in mixed, known, settings)) is not None
    }
    places = [place for place in range(len(crops.crops)) if place not in refused]
    names = [known.characters[c.crop_id].character_id if c.crop_id in known.characters else "" for c in crops.crops]
    found_looks = looks_of([names[p] for p in places], described.figures.take(places), described.tiny[places])
    pool = Candidates(
        scores=np.array([scores[place] for place in places]),
        p_good=np.array([known.p_good.get(crops.crops[place].crop_id, 0.5) for place in places]),
        tiny=described.tiny[places],
        groups=[_group(known, crops.crops[place]) for place in places],
        framings=[framings[place] for place in places],
        views=[views[place] for place in places],
        looks=found_looks,
        sure=np.array([known.verdicts.get(crops.crops[place].crop_id) == GOOD for place in places], np.bool_),
    )
    outcome: dict[int, Chosen] = {place: Chosen(0, code, value, limit, None) for place, (code, value, limit)
                                  in refused.items()}  # fmt: skip
    outcome |= dict(zip(places, choose(pool, settings), strict=True))
    look_of = dict(zip(places, found_looks, strict=True))
    taken = [place for place in range(len(crops.crops)) if outcome[place].taken]
    parts = dict(zip(taken, split_parts(
        [_shot(known, crops.crops[place]) for place in taken], [_group(known, crops.crops[place]) for place in taken],
        settings.validation, settings.seed, [crops.crops[place].frame_sha256 for place in taken],
    ), strict=True))  # fmt: skip
    repeats = _repeats([framings[place] for place in taken if parts[place] == TRAIN], settings)
    return [
        _row(crop, known, outcome[place], parts.get(place, ""), _repeat(parts.get(place, ""), framings[place], repeats),
             scores[place], sources[place], framings[place], views[place], look_of.get(place, ""))
        for place, crop in enumerate(crops.crops)
    ]  # fmt: skip


def _scores(crops: Sequence[TrackerCrop], known: _Known, settings: CurateSettings) -> tuple[list[float], list[str]]:
    """The score of each crop, 0 to 10, and where it is from. Without a quality score the rules' one counts."""
    scores, sources = [], []
    for crop in crops:
        measured = known.quality.get(crop.crop_id) if settings.source != RULES else None
        scores.append(10.0 * crop.score if measured is None else measured)
        sources.append(RULES if measured is None else QUALITY)
    return scores, sources


def _refused(
    crop: TrackerCrop, is_mixed: bool, known: _Known, settings: CurateSettings
) -> tuple[str, float | None, float | None] | None:
    """Why a crop cannot be chosen at all, with value and limit; None when it can. A person's word comes first: a crop
    called good needs no tier, no clear content and no known character; of another character than asked for it stays
    out, since good says how it is and not whom it shows."""
    said = known.verdicts.get(crop.crop_id, "")
    if said == BAD:
        return reasons.SAID_BAD, None, None
    if said == EXCLUDE:
        return reasons.SAID_EXCLUDE, None, None
    shown = known.characters.get(crop.crop_id)
    if said != GOOD:
        if crop.vetoed:
            if crop.flag_values and crop.flag_limits:
                return reasons.VETO, crop.flag_values[0], crop.flag_limits[0]
            return reasons.VETO, None, None
        if crop.tier not in settings.tiers:
            allowed = min((_TIER_STARTS[tier] for tier in settings.tiers), default=1.0)
            return reasons.TIER, crop.score, allowed
        if is_mixed:
            return reasons.MIXED, None, None
    if settings.character:
        if shown is None or not (shown.character_id or shown.character_name):
            if said == GOOD:
                return None
            return reasons.NO_CHARACTER, shown.similarity if shown is not None else None, None
        if not _is_meant(shown.character_id, shown.character_name, settings.character):
            return reasons.OTHER_CHARACTER, shown.membership, None
    return None


def _group(known: _Known, crop: TrackerCrop) -> str:
    return known.groups[crop.crop_id].group if crop.crop_id in known.groups else crop.crop_id


def _shot(known: _Known, crop: TrackerCrop) -> str:
    """The crop's shot; while no shots are known its frame, so that a frame is never on both sides of the split."""
    return known.groups[crop.crop_id].shot if crop.crop_id in known.groups else f"{crop.dataset} {crop.frame_sha256}"


def _repeats(framings: Sequence[str], settings: CurateSettings) -> dict[str, float]:
    """Recommended repeats by framing: all together about `epoch_pictures` pictures an epoch, and framings that are
    short of their wanted share up to twice as often."""
    if not framings:
        return {}
    base = max(1.0, settings.epoch_pictures / len(framings))
    counts = Counter(framings)
    wanted: dict[str, float] = dict(zip(FRAMINGS, settings.framing_shares, strict=True))
    found = {}
    for name, count in counts.items():
        short = wanted.get(name, 0.0) * len(framings) / count
        found[name] = float(min(settings.most_repeats, max(1, round(base * min(2.0, max(1.0, short))))))
    return found


def _repeat(part: str, framing: str, repeats: Mapping[str, float]) -> float:
    return 0.0 if not part else repeats.get(framing, 1.0) if part == TRAIN else 1.0


def _row(
    crop: TrackerCrop, known: _Known, outcome: Chosen, part: str, repeats: float, score: float, source: str,
    framing: str, view: str, look: str,
) -> CuratedCrop:  # fmt: skip
    shown = known.characters.get(crop.crop_id)
    return CuratedCrop(
        crop_id=crop.crop_id,
        frame_sha256=crop.frame_sha256,
        dataset=crop.dataset,
        chosen=outcome.taken,
        part=part,
        repeats=repeats,
        rank=outcome.rank,
        reason=outcome.reason,
        reason_value=outcome.value,
        reason_limit=outcome.limit,
        score=float(np.clip(score, 0.0, 10.0)),
        score_source=source,
        tier=crop.tier,
        verdict=known.verdicts.get(crop.crop_id, ""),
        character_id=shown.character_id if shown is not None else "",
        character_name=shown.character_name if shown is not None else "",
        shot=_shot(known, crop),
        group=_group(known, crop),
        framing=framing,
        view=view,
        expression="",
        look=look,
        novelty=outcome.novelty,
    )
