"""The table `captions` of a tracker: for every crop that is exported its caption, and where that is from.

A person's words win, then files of one's own, then the template with the tagger's tags. An export takes the tags alone
from the table: a person's words are read anew, so that none is lost where the table is older than they are. Tags are
kept on a shelf by crop and by what made them (the tagger's content, what it looked at), so that a crop is tagged once;
thresholds, pruning and templates are applied afterwards and cost nothing. The tagger itself is handed in: this module
opens no network.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lora_assets.exports.caption_files import OwnCaptions, own_caption, own_file, read_own, unknown_crops
from lora_assets.exports.caption_log import read_written, written_for
from lora_assets.exports.caption_text import ChosenTags, choose_tags, render_caption, with_trigger, written_tag
from lora_assets.exports.pixels import FramePixels, caption_view
from lora_assets.exports.pool import ExportCrop, Pool
from lora_assets.exports.settings import CaptionSettings, ExportSettings
from lora_assets.exports.tag_lists import FRAMING_WORDS
from lora_assets.store import PublishedTable, Store, digest
from lora_assets.tables import CropCaption, CropTags, from_table, to_table
from lora_assets.verdicts import tracker_places
from lora_assets.verdicts.places import cell_datasets
from lora_assets.vision.images import ImageRefused

CODE_VERSION = "1"
WRITTEN, FILE, TAGS, TEMPLATE = "written", "file", "tags", "template"
_BATCH = 8
_CHUNK = 128


class FoundTag(Protocol):
    """One tag of a picture, as a tagger gives it."""

    @property
    def name(self) -> str:
        """The tag with underscores."""
        ...

    @property
    def category(self) -> str:
        """general, character, rating or other."""
        ...

    @property
    def score(self) -> float:
        """0 to 1."""
        ...


AskTagger = Callable[[Sequence[npt.NDArray[np.uint8]]], Sequence[Sequence[FoundTag]]]


@dataclass(frozen=True, slots=True)
class NamedTagger:
    """A tagger ready to be asked: its name for people, and the digest of everything that can change its answers.

    `open` gives the function that tags pictures; it is called only when there is a picture to tag.
    """

    name: str
    digest: str
    open: Callable[[], AskTagger]


@dataclass(frozen=True, slots=True)
class MadeCaptions:
    """The captions of a tracker: the published table, how many crops by source, how many were tagged anew, and in words
    what a person should know."""

    table: PublishedTable
    sources: dict[str, int]
    tagged: int
    notes: tuple[str, ...]


def make_captions(
    store: Store,
    tracker: str,
    pool: Pool,
    settings: CaptionSettings,
    export: ExportSettings,
    tagger: NamedTagger | None,
    why_no_tagger: str = "",
    listen: Callable[[int, int], None] | None = None,
    *,
    keep_others: bool = False,
) -> MadeCaptions:
    """Caption every crop of the pool and publish the table. Without a tagger captions are made of templates, and that
    is said. keep_others: the pool is a part of the tracker's crops only, so the rows of others stay in the table.

    Raises CaptionError for files of one's own that cannot be used.
    """
    own, written = _persons_words(store, tracker, pool.crops, settings)
    notes = [why_no_tagger] if tagger is None and why_no_tagger else []
    tags, tagged, refused = _tags_of(store, pool.crops, settings, tagger, listen)
    notes += refused[:5]
    rows = []
    for crop in pool.crops:
        one = _caption(crop, own[crop.dataset], written.get(crop.crop_id), tags.get(crop.crop_id), settings, tagger)
        caption = caption_of(one, crop, settings, export, export.trigger_for(tracker))
        rows.append(dataclasses.replace(one, caption=caption))
    lost = unknown_crops([one for one in own.values() if one is not None], pool.crops)
    if lost:
        notes.append(f"files of captions name {len(lost)} crops that are not exported ({', '.join(lost[:3])})")
    strange = _strange_frames(store, tracker, own)
    if strange:
        notes.append(
            f"files of captions name {len(strange)} frames that the tracker does not have ({', '.join(strange[:3])}): "
            "a frame is named by its path inside its dataset's folder"
        )
    sources = {name: sum(row.source == name for row in rows) for name in (WRITTEN, FILE, TAGS, TEMPLATE)}
    facts = {
        "settings": dataclasses.asdict(settings), "tagger": tagger.name if tagger else "", "sources": sources,
        "notes": notes, "trigger": export.trigger_for(tracker),
    }  # fmt: skip
    path = store.table_path("captions", tracker)
    with store.lock(f"captions-{tracker}"):
        before = store.published(path) if keep_others else None
        if before is not None:
            own_ids = {row.crop_id for row in rows}
            rows += [row for row in from_table(before.read(), CropCaption) if row.crop_id not in own_ids]
        version = digest(CODE_VERSION, [dataclasses.asdict(row) for row in rows])
        table = store.publish(path, CropCaption, [to_table(rows, CropCaption)], version, facts)
    return MadeCaptions(table, sources, tagged, tuple(notes))


def _persons_words(
    store: Store, tracker: str, crops: Sequence[ExportCrop], settings: CaptionSettings
) -> tuple[dict[str, OwnCaptions | None], dict[str, str]]:
    """The files of one's own by dataset, and what a person wrote of single crops, by crop id. Raises CaptionError."""
    own = {dataset: _own_of(store, dataset, settings) for dataset in sorted({crop.dataset for crop in crops})}
    named = next((one for one in own.values() if one is not None), None) if settings.own else None
    if named is not None and named.by_frame:
        named.check_frames({dataset: _paths_of(store, dataset, tracker) for dataset in cell_datasets(store, tracker)})
    log = read_written(store.data)
    return own, written_for(log, tracker_places(store, tracker)) if log else {}


def _strange_frames(store: Store, tracker: str, own: Mapping[str, OwnCaptions | None]) -> list[str]:
    """Frames that files of captions name and that no dataset of the tracker holds: by another path, or gone."""
    named = {key for one in own.values() if one is not None for key in one.by_frame}
    if not named:
        return []
    held = {dataset: _paths_of(store, dataset, tracker) for dataset in cell_datasets(store, tracker)}
    return sorted(
        {path for wanted, path in named if not any(path in held[name] for name in held if wanted in ("", name))}
    )


def _paths_of(store: Store, dataset: str, tracker: str) -> set[str]:
    frames = store.frames_of(dataset, tracker)
    return set(frames.read(["path"]).column("path").to_pylist()) if frames else set()


def _own_of(store: Store, dataset: str, settings: CaptionSettings) -> OwnCaptions | None:
    file = own_file(store.data, dataset, settings.own)
    return read_own(file) if file else None


def _caption(
    crop: ExportCrop,
    own: OwnCaptions | None,
    written: str | None,
    tags: CropTags | None,
    settings: CaptionSettings,
    tagger: NamedTagger | None,
) -> CropCaption:
    """Where a crop's caption is from, and its tags; the text of a person's own caption, else empty as yet."""
    chosen = _choose(tags, settings)
    given = (written, "") if written else own_caption(crop, own, beside=settings.beside)
    source = WRITTEN if written else FILE if given else TAGS if tags is not None else TEMPLATE
    origin = given[1] if given else tagger.name if tagger is not None and tags is not None else ""
    return CropCaption(
        crop.crop_id, crop.frame_sha256, crop.dataset, given[0] if given else "", source, origin, list(chosen.tags),
        list(chosen.scores), list(chosen.pruned),
    )  # fmt: skip


def _choose(tags: CropTags | None, settings: CaptionSettings) -> ChosenTags:
    if tags is None:
        return ChosenTags()
    return choose_tags(
        tags.tags,
        tags.categories,
        tags.scores,
        general_threshold=settings.general_threshold,
        character_threshold=settings.character_threshold,
        prune=settings.prune,
        also=settings.also,
        keep=settings.keep,
        spaces=settings.spaces,
        escape_brackets=settings.escape_brackets,
        most=settings.most_tags,
    )


def caption_of(
    row: CropCaption,
    crop: ExportCrop,
    settings: CaptionSettings,
    export: ExportSettings,
    trigger: str,
) -> str:
    """The caption of a crop for a trigger, from its row.

    A person's words are kept, with the trigger put in front where they do not name it. Empty when nothing is known.
    """
    if row.source in (WRITTEN, FILE):
        return with_trigger(row.caption, trigger)
    values = {
        "class_word": export.class_word,
        "tags": ", ".join(row.tags),
        "framing": FRAMING_WORDS.get(crop.framing, ""),
        "view": written_tag(crop.view),
        "expression": written_tag(crop.expression),
        "dataset": crop.dataset,
        "character": crop.character,
        "tier": crop.row.tier,
    }
    return render_caption(settings.template, values, trigger)


@dataclass(frozen=True, slots=True)
class CaptionsToExport:
    """Captions by crop id; the version of the table that their tags are from ("": there is none); what a person should
    know, in words."""

    texts: dict[str, str]
    version: str
    notes: tuple[str, ...]


def captions_for(
    store: Store, tracker: str, crops: Sequence[ExportCrop], settings: CaptionSettings, export: ExportSettings
) -> CaptionsToExport:
    """The captions to export, for the export's own trigger: a person's words as they are now, else the template with
    the tags of the table. Raises CaptionError for files of one's own that cannot be used."""
    own, written = _persons_words(store, tracker, crops, settings)
    table = store.published(store.table_path("captions", tracker))
    rows = {row.crop_id: row for row in from_table(table.read(), CropCaption)} if table else {}
    trigger = export.trigger_for(tracker)
    texts: dict[str, str] = {}
    untagged: list[str] = []
    for crop in crops:
        now = _caption(crop, own[crop.dataset], written.get(crop.crop_id), None, settings, None)
        row = rows.get(crop.crop_id)
        if now.source == TEMPLATE and row is not None:
            now = dataclasses.replace(now, tags=row.tags)
        elif now.source == TEMPLATE:
            untagged.append(crop.crop_id)
        texts[crop.crop_id] = caption_of(now, crop, settings, export, trigger)
    return CaptionsToExport(texts, table.version if table else "", tuple(_table_notes(table, untagged, settings)))


def _table_notes(table: PublishedTable | None, untagged: Sequence[str], settings: CaptionSettings) -> list[str]:
    """What a person should know of the table of captions that an export takes its tags from."""
    make = "lora-assets caption make"
    if table is None:
        return [f"there is no table of captions yet, so captions that nobody wrote have no tags: {make}"]
    notes = []
    if untagged:
        told = ", ".join(untagged[:3])
        notes.append(f"{len(untagged)} crops ({told}) are not in the table of captions, so theirs have no tags: {make}")
    applied_here = ("template", "own", "beside")
    asked = json.loads(json.dumps(dataclasses.asdict(settings)))
    made_with = table.facts.get("settings", {})
    if changed := sorted(name for name in asked if name not in applied_here and made_with.get(name) != asked[name]):
        notes.append(f"[caption] {', '.join(changed)} changed after the tags of the table of captions: {make}")
    return notes


# --- tags ------------------------------------------------------------------------------------------------------------


def _tags_of(
    store: Store,
    crops: Sequence[ExportCrop],
    settings: CaptionSettings,
    tagger: NamedTagger | None,
    listen: Callable[[int, int], None] | None,
) -> tuple[dict[str, CropTags], int, list[str]]:
    """The tags of every crop, how many were tagged now, and which could not be and why."""
    if tagger is None:
        return {}, 0, []
    recipe = digest(CODE_VERSION, tagger.digest, settings.look_at)
    shelf = store.shelf("crop_tags", recipe, CropTags, key="crop_id")
    done = shelf.done()
    missing = [crop for crop in crops if crop.crop_id not in done]
    refused: list[str] = []
    if missing:
        ask = tagger.open()
        count = 0
        for start in range(0, len(missing), _CHUNK):
            rows: list[CropTags] = []
            for batch in _viewed(store, missing[start : start + _CHUNK], settings.look_at, refused):
                answers = ask([view for _, view in batch])
                for (crop, _), found in zip(batch, answers, strict=True):
                    names, categories = [tag.name for tag in found], [tag.category for tag in found]
                    rows.append(CropTags(crop.crop_id, names, categories, [float(tag.score) for tag in found]))
                count += len(batch)
                if listen is not None:
                    listen(count, len(missing))
            if rows:
                shelf.append(to_table(rows, CropTags), [row.crop_id for row in rows])
    known = {row.crop_id: row for _, part in shelf.read(c.crop_id for c in crops) for row in from_table(part, CropTags)}
    return known, len(missing) - len(refused), refused


def _viewed(
    store: Store, crops: Sequence[ExportCrop], look_at: str, refused: list[str]
) -> Iterator[list[tuple[ExportCrop, npt.NDArray[np.uint8]]]]:
    """Crops with what the tagger sees of them, a few at a time; those that cannot be seen join `refused`."""
    frames = FramePixels()
    batch: list[tuple[ExportCrop, npt.NDArray[np.uint8]]] = []
    for crop in crops:
        try:
            batch.append((crop, caption_view(store, crop, frames, look_at)))
        except ImageRefused as error:
            refused.append(f"crop {crop.crop_id} could not be tagged: {error}")
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
