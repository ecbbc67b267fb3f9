"""Two trackers side by side: every crop of the datasets that they share, and the causes of what changed, by size.

`compare_trackers` is the one call of pages, command and check. How a crop's differences read is in details, words and
JSON are in report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lora_assets.comparing.causes import HOWS, CauseKey
from lora_assets.comparing.cell_rows import CellRows, Rows, read_cell
from lora_assets.comparing.changes import cell_records
from lora_assets.comparing.flag_counts import FlagCount, count_flags
from lora_assets.comparing.settings import CompareSettings
from lora_assets.comparing.tracing import BETTER, CHANGES, GONE, NEW, SAME, WORSE, CellChanges, trace_cell
from lora_assets.comparing.verdicts_of_crops import current_verdicts, verdict_codes
from lora_assets.specs import check_tracker_id, list_datasets, read_tracker, section_settings, tracker_path
from lora_assets.store import Store, digest
from lora_assets.verdicts import Verdict
from lora_assets.verdicts.log import log_path

_CELL_STAGES = ("frames", "detections", "masks", "scored_crops")
# What the numbers say at equal cause is written here; another way of judging or tracing is another version.
CODE_VERSION = "1"


@dataclass(frozen=True, slots=True, eq=False)
class ComparedDataset:
    """A dataset that both trackers have, with the rows of each side and what became of every crop."""

    slug: str
    name: str
    before: CellRows
    after: CellRows
    crops: CellChanges


@dataclass(frozen=True, slots=True)
class Skipped:
    """A dataset that could not be compared: `tracker` does not have it (`absent`) or has no crops yet (`not_made`).

    Without any dataset `reason` is `nothing`: neither tracker has made anything."""

    reason: str
    dataset: str = ""
    name: str = ""
    tracker: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """What explains a group of crops: how many of them by what became of them, and by which way it reached them.

    `flags` are those that came or went among its pairs, the most frequent first."""

    key: CauseKey
    counts: dict[str, int]
    hows: dict[str, int]
    flags: tuple[FlagCount, ...]

    @property
    def id(self) -> str:
        """What names the cause in addresses; the same as long as it says the same."""
        return digest(asdict(self.key))[:10]

    @property
    def total(self) -> int:
        """Crops that the cause explains."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Selection:
    """Which crops are wanted: empty texts and None take all but crops that are the same."""

    change: str = ""
    cause: int | None = None
    dataset: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Tracker `after` against tracker `before`. Arrays are over all crops of all shared datasets, (crops,).

    `dataset` is a place in `datasets`, `row` a place in that dataset's crops, `cause` a place in `causes` (-1: the
    same). `order` has the crops as a person wants to see them: what changed most of the worse, the gone, the new and
    the better ones. `skipped` tells which datasets could not be compared.
    """

    before: str
    after: str
    settings: CompareSettings
    datasets: tuple[ComparedDataset, ...]
    skipped: tuple[Skipped, ...]
    causes: tuple[Cause, ...]
    dataset: npt.NDArray[np.int32]
    row: Rows
    change: npt.NDArray[np.int8]
    cause: npt.NDArray[np.int32]
    order: Rows
    lost: int
    """high and medium crops of `before` that are gone"""
    usable: int
    """high and medium crops of `before`"""

    @property
    def counts(self) -> dict[str, int]:
        """Crops by what became of them."""
        found = np.bincount(self.change, minlength=len(CHANGES))
        return {name: int(found[code]) for code, name in enumerate(CHANGES)}

    @property
    def matched(self) -> int:
        """Crops that both trackers have."""
        counts = self.counts
        return counts[WORSE] + counts[BETTER] + counts[SAME]

    @property
    def worse_share(self) -> float:
        """Worse crops as a share of the matched ones; 0 when none is matched."""
        return self.counts[WORSE] / self.matched if self.matched else 0.0

    @property
    def lost_share(self) -> float:
        """Gone high and medium crops as a share of all high and medium ones of `before`; 0 when there is none."""
        return self.lost / self.usable if self.usable else 0.0

    def select(self, wanted: Selection) -> Rows:
        """The crops of a selection, in `order`. Raises ValueError for a name that is none of CHANGES."""
        if wanted.change and wanted.change not in CHANGES:
            raise ValueError(f"{wanted.change!r} is none of {', '.join(CHANGES)}")
        code = CHANGES.index(wanted.change or SAME)
        keep = self.change == code if wanted.change else self.change != code
        if wanted.cause is not None:
            keep &= self.cause == wanted.cause
        if wanted.dataset:
            slugs = [dataset.slug for dataset in self.datasets]
            keep &= self.dataset == (slugs.index(wanted.dataset) if wanted.dataset in slugs else -1)
        return self.order[keep[self.order]]


# --- which datasets --------------------------------------------------------------------------------------------------


def _made_datasets(store: Store, tracker: str) -> set[str]:
    return {
        path.stem
        for stage in _CELL_STAGES
        for path in (store.data / "tables" / stage / tracker).glob("*.parquet")
        if not path.name.startswith(".")
    }


def tracker_cells(store: Store, tracker: str) -> list[str]:
    """The datasets of a tracker that have any table; of a tracker whose file is gone, too.

    Raises SpecError for a tracker that is not known and has no table.
    """
    known = tracker_path(store.data, tracker).exists()
    made = _made_datasets(store, tracker)
    if made and not known:
        return sorted(made)
    spec = read_tracker(store.data, tracker)
    return sorted(slug for slug in made if spec.covers(slug))


def compare_settings(data: Path, tracker: str) -> CompareSettings:
    """Section [compare] of a tracker; the defaults when its file is gone. Raises SpecError for what does not fit."""
    if not tracker_path(data, tracker).exists():
        return CompareSettings()
    return section_settings(CompareSettings, read_tracker(data, tracker), "compare")


def comparison_state(store: Store, before: str, after: str) -> str:
    """A digest that changes with every table of both trackers, every verdict and what datasets are called: what a kept
    comparison is of."""
    for tracker in (before, after):
        check_tracker_id(tracker)
    marks: list[tuple[str, int, int, int]] = []
    paths = [store.table_path(stage, dataset, tracker) for tracker in (before, after) for stage in _CELL_STAGES
             for dataset in sorted(_made_datasets(store, tracker))]  # fmt: skip
    verdicts = log_path(store.data)
    paths += [verdicts, verdicts.with_name(f"{verdicts.name}-wal")]
    paths += [tracker_path(store.data, tracker) for tracker in (before, after)]
    for path in paths:
        try:
            told = path.stat()
        except OSError:
            continue
        marks.append((str(path), told.st_ino, told.st_size, told.st_mtime_ns))
    names = [(spec.slug, spec.name) for spec in list_datasets(store.data).values()]
    return digest(CODE_VERSION, before, after, marks, names)


# --- comparing -------------------------------------------------------------------------------------------------------


def compare_trackers(store: Store, before: str, after: str, settings: CompareSettings | None = None) -> Comparison:
    """Compare the crops of `after` with those of `before`, on the datasets of which both have scored crops.

    Without settings those of `after` count. Datasets that only one has, or of which a stage is missing, are told in
    `skipped`. Raises SpecError for an unknown tracker and StoreError naming a damaged table or log of verdicts.
    """
    settings = settings or compare_settings(store.data, after)
    cells = (tracker_cells(store, before), tracker_cells(store, after))
    verdicts = current_verdicts(store.data)
    names = {slug: spec.name for slug, spec in list_datasets(store.data).items()}
    datasets: list[ComparedDataset] = []
    skipped: list[Skipped] = []
    for slug in sorted({*cells[0], *cells[1]}):
        told = _compare_dataset(store, slug, names.get(slug, slug), (before, after), cells, verdicts, settings)
        if isinstance(told, Skipped):
            skipped.append(told)
        else:
            datasets.append(told)
    if not skipped and not datasets:
        skipped.append(Skipped("nothing"))
    return _joined(before, after, settings, datasets, skipped)


def _compare_dataset(
    store: Store,
    slug: str,
    name: str,
    trackers: tuple[str, str],
    cells: tuple[list[str], list[str]],
    verdicts: Sequence[Verdict],
    settings: CompareSettings,
) -> ComparedDataset | Skipped:
    """The compared dataset, or why it cannot be compared."""
    for tracker, has in zip(trackers, cells, strict=True):
        if slug not in has:
            return Skipped("absent", slug, name, tracker)
    before = read_cell(store, slug, trackers[0])
    after = before if trackers[0] == trackers[1] else read_cell(store, slug, trackers[1])
    for tracker, rows in zip(trackers, (before, after), strict=True):
        if rows is None:
            return Skipped("not_made", slug, name, tracker)
    assert before is not None
    assert after is not None
    records = (cell_records(store, slug, trackers[0]), cell_records(store, slug, trackers[1]))
    words = (verdict_codes(before, verdicts), verdict_codes(after, verdicts))
    crops = trace_cell(before, after, records, words, settings)
    return ComparedDataset(slug, name, before.without_pixels(), after.without_pixels(), crops)


def _joined(
    before: str, after: str, settings: CompareSettings, datasets: list[ComparedDataset], skipped: list[Skipped]
) -> Comparison:
    parts = [dataset.crops for dataset in datasets]
    sizes = [len(part.change) for part in parts]
    none = np.empty(0)
    change = np.concatenate([none.astype(np.int8), *(part.change for part in parts)])
    cause, causes = _joined_causes(parts)
    how = np.concatenate([none.astype(np.int8), *(part.how for part in parts)])
    lost = usable = 0
    for part in parts:
        good = part.tier_before > 0
        usable += int(np.count_nonzero(good))
        lost += int(np.count_nonzero(good & (part.change == CHANGES.index(GONE))))
    return Comparison(
        before=before,
        after=after,
        settings=settings,
        datasets=tuple(datasets),
        skipped=tuple(skipped),
        causes=_counted(causes, cause, change, how, _flags_by_cause(datasets, cause)),
        dataset=np.repeat(np.arange(len(parts)), sizes).astype(np.int32),
        row=np.concatenate([none.astype(np.int64), *(np.arange(size) for size in sizes)]),
        change=change,
        cause=cause,
        order=np.lexsort((-_sizes_of_change(parts), change)),
        lost=lost,
        usable=usable,
    )


def _joined_causes(parts: Sequence[CellChanges]) -> tuple[npt.NDArray[np.int32], list[CauseKey]]:
    """One list of causes for all datasets, the largest first, and the place of each crop's cause in it."""
    found = {key: place for place, key in enumerate(dict.fromkeys(key for part in parts for key in part.causes))}
    places = [np.empty(0, np.int32)]
    for part in parts:
        of_part = np.array([*(found[key] for key in part.causes), -1], np.int32)
        places.append(of_part[part.cause])
    cause = np.concatenate(places)
    sizes = np.bincount(cause[cause >= 0], minlength=len(found))
    order = sorted(found, key=lambda key: (-sizes[found[key]], key))
    rank = np.empty(len(found) + 1, np.int32)
    rank[[found[key] for key in order]] = np.arange(len(order))
    rank[-1] = -1
    return rank[cause], order


def _flags_by_cause(
    datasets: Sequence[ComparedDataset], cause: npt.NDArray[np.int32]
) -> dict[int, tuple[FlagCount, ...]]:
    found: dict[int, dict[tuple[str, bool], int]] = {}
    start = 0
    for dataset in datasets:
        crops = dataset.crops
        here = cause[start : start + len(crops.change)]
        start += len(here)
        pairs = (here >= 0) & (crops.before >= 0) & (crops.after >= 0)
        rows = (crops.before[pairs], crops.after[pairs])
        for one in count_flags(dataset.before.crops, dataset.after.crops, rows, here[pairs]):
            of_cause = found.setdefault(one.group, {})
            key = (one.name, one.appeared)
            of_cause[key] = of_cause.get(key, 0) + one.count
    return {
        group: tuple(
            FlagCount(group, name, appeared, count)
            for (name, appeared), count in sorted(told.items(), key=lambda item: (-item[1], item[0]))
        )
        for group, told in found.items()
    }


def _counted(
    keys: Sequence[CauseKey],
    cause: npt.NDArray[np.int32],
    change: npt.NDArray[np.int8],
    how: npt.NDArray[np.int8],
    flags: Mapping[int, tuple[FlagCount, ...]],
) -> tuple[Cause, ...]:
    known = cause >= 0
    by_change, by_how = np.zeros((len(keys), len(CHANGES)), int), np.zeros((len(keys), len(HOWS)), int)
    np.add.at(by_change, (cause[known], change[known]), 1)
    np.add.at(by_how, (cause[known], how[known]), 1)

    def named(names: Sequence[str], counts: npt.NDArray[np.int64], order: Sequence[int]) -> dict[str, int]:
        return {names[code]: int(counts[code]) for code in order if counts[code]}

    return tuple(
        Cause(
            key,
            named(CHANGES, by_change[place], range(len(CHANGES))),
            named(HOWS, by_how[place], np.argsort(-by_how[place], kind="stable").tolist()),
            flags.get(place, ()),
        )
        for place, key in enumerate(keys)
    )


def _sizes_of_change(parts: Sequence[CellChanges]) -> npt.NDArray[np.float64]:
    """How much each crop changed: tiers first, then scores; of gone and new ones how good they were or are."""
    sizes = [np.empty(0)]
    for part in parts:
        pair = (part.before >= 0) & (part.after >= 0)
        tier = np.where(pair, np.abs(part.tier_after - part.tier_before), np.maximum(part.tier_before, part.tier_after))
        score_before, score_after = np.nan_to_num(part.score_before), np.nan_to_num(part.score_after)
        sizes.append(tier * 2.0 + np.abs(score_after - score_before))
    return np.concatenate(sizes)


__all__ = [
    "BETTER", "CHANGES", "GONE", "NEW", "SAME", "WORSE", "Cause", "CompareSettings", "ComparedDataset", "Comparison",
    "Selection", "Skipped", "compare_settings", "compare_trackers", "comparison_state",
]  # fmt: skip
