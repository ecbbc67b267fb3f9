"""Published tables as pandas DataFrames, for notebooks: crops of a tracker, two trackers compared, what made each crop.

    from lora_assets.notebook import comparison, crops, lineage
    good = crops("QI-001").query("tier == 'high' and flags.str.len() == 0")

Everything is only read, and nothing is computed that the pages do not show. Without `data` the project is found as
commands find it: the nearest folder with a dagster.yaml, or LORA_ASSETS_HOME. What the columns mean is told in tables
(`columns(ScoredCrop)`); pandas is imported when a function is called.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lora_assets.cli.project import find_project
from lora_assets.comparing.cell_rows import CellRows, published_or_damaged, read_cell
from lora_assets.comparing.changes import DETECTION, MASK, SCORING, STAGES, StageRecord, cell_records
from lora_assets.comparing.comparison import ComparedDataset, compare_trackers, tracker_cells
from lora_assets.comparing.report import cause_text
from lora_assets.comparing.tracing import CHANGES, TIERS
from lora_assets.comparing.verdicts_of_crops import VERDICTS, current_verdicts, verdict_codes
from lora_assets.specs import DatasetSpec, SpecError, known_tracker_ids, list_datasets, read_tracker
from lora_assets.store import Store
from lora_assets.tables import TABLES, TRACKER_TABLES, ScoredCrop, empty_table

if TYPE_CHECKING:
    from pandas import Categorical, DataFrame

__all__ = ["comparison", "crops", "lineage", "table", "trackers"]

_RECORDED = (DETECTION, MASK, SCORING)
_LINEAGE = (
    "dataset", "crop_id", "frame_sha256", "detection_id", "frame_path", "frame_file", "video", "video_seconds", "label",
    "detector", "confidence", "body_from", "corrected",
    *(f"{stage}_{of}" for stage in _RECORDED for of in ("weights", "settings", "code", "runtime", "recipe", "run")),
)  # fmt: skip
_STAGE_TABLES = {DETECTION: "detections", MASK: "masks", SCORING: "scored_crops"}


def trackers(*, data: Path | str | None = None) -> DataFrame:
    """One row per tracker: `tracker`, `sealed`, `datasets` (None: every folder), `baseline`, `note`, and `crops` in
    each tier. Raises SpecError for a file that cannot be read."""
    import pandas as pd

    store = _store(data)
    rows = []
    for tracker in known_tracker_ids(store.data):
        spec = read_tracker(store.data, tracker)
        tiers = [tier for slug in tracker_cells(store, tracker) for tier in _tiers(store, slug, tracker)]
        rows.append(
            {"tracker": tracker, "sealed": spec.sealed, "datasets": spec.datasets, "baseline": spec.baseline,
             "note": spec.note, **{tier: tiers.count(tier) for tier in reversed(TIERS)}}
        )  # fmt: skip
    columns = ["tracker", "sealed", "datasets", "baseline", "note", *reversed(TIERS)]
    return pd.DataFrame(rows, columns=columns)


def crops(tracker: str, dataset: str | None = None, *, data: Path | str | None = None) -> DataFrame:
    """One row per crop: every column of ScoredCrop but run lengths, and around them `dataset`, `frame_path` (inside the
    dataset's folder), `frame_file`, `crop_file` and `thumb_file` (absolute; null where there is none), `verdict`.

    `tier` is an ordered category from low to high; `flags`, `flag_values` and `flag_limits` are lists of one length,
    `verdict` is what a person said: good, bad, exclude or empty. `dataset` is a slug or a folder's name. Raises
    SpecError for an unknown tracker or dataset, StoreError for a damaged table, VerdictError for the log of verdicts.
    """
    store = _store(data)
    verdicts = current_verdicts(store.data)

    def of(slug: str, spec: DatasetSpec | None) -> DataFrame | None:
        published = published_or_damaged(store, "scored_crops", slug, tracker)
        if published is None:
            return None
        found = _frame(published.read())
        paths = _frame_paths(store, slug, tracker)
        found.insert(0, "dataset", slug)
        found.insert(1, "frame_path", [paths.get(sha256) for sha256 in found["frame_sha256"]])
        found.insert(2, "frame_file", _files(found["frame_path"], spec))
        pictures = zip(found["crop_id"], found["has_picture"], strict=True)
        found["crop_file"] = [str(store.picture("crops", name, ".png")) if has else None for name, has in pictures]
        found["thumb_file"] = [str(store.picture("thumbs", name, ".webp")) for name in found["crop_id"]]
        codes = np.zeros(len(found), np.int8)
        if verdicts and (cell := read_cell(store, slug, tracker)) is not None:
            codes = verdict_codes(cell, verdicts)
        found["verdict"] = [VERDICTS[code] for code in codes]
        return found

    found = _of_datasets(store, tracker, dataset, of)
    if found is None:
        found = _frame(empty_table(ScoredCrop))
        for place, name in enumerate(("dataset", "frame_path", "frame_file")):
            found.insert(place, name, "")
        for name in ("crop_file", "thumb_file", "verdict"):
            found[name] = ""
    found["tier"] = _category(found["tier"], TIERS)
    return found


def table(name: str, tracker: str, dataset: str | None = None, *, data: Path | str | None = None) -> DataFrame:
    """Any published table of a tracker by its name: `raw_frames` (the tracker's own list), `detections`, `masks`,
    `scored_crops`, with `dataset` in front; or one of the whole tracker, such as `image_quality`, `curated_dataset`.

    Run lengths are left out. Raises SpecError for a name that is none, or a table that was not made yet.
    """
    store = _store(data)
    if name in TABLES:
        stage = "frames" if name == "raw_frames" else name

        def of(slug: str, _: DatasetSpec | None) -> DataFrame | None:
            published = published_or_damaged(store, stage, slug, tracker)
            if published is None:
                return None
            found = _frame(published.read())
            found.insert(0, "dataset", slug)
            return found

        made = _of_datasets(store, tracker, dataset, of)
    elif name in TRACKER_TABLES:
        tracker_cells(store, tracker)  # an unknown tracker is told before a missing table
        published = store.published(store.table_path(name, tracker))
        made = _frame(published.read()) if published is not None else None
        if made is not None and dataset is not None and "dataset" in made:
            made = made.loc[made["dataset"].isin(_wanted(store, tracker, dataset)), :].reset_index(drop=True)
    else:
        raise SpecError(f"there is no table {name}; there are: {', '.join((*TABLES, *TRACKER_TABLES))}")
    if made is None:
        raise SpecError(f"tracker {tracker} has no table {name} yet: materialize it first")
    return made


def comparison(before: str, after: str, *, data: Path | str | None = None) -> DataFrame:
    """One row per crop of both trackers, as the page and `lora-assets compare` tell them: `change` (worse, gone, new,
    better, same), the `stage` that differs first, the `cause` in words, and each side's values.

    `crop_id_*`, `score_*` and `tier_*` are null on the side that has no such crop; `iou` is that of the two
    boxes. `DataFrame.attrs["skipped"]` names datasets that could not be compared. Raises as `compare_trackers` does.
    """
    import pandas as pd

    store = _store(data)
    compared = compare_trackers(store, before, after)
    known = list_datasets(store.data)
    parts = [_compared(each, known.get(each.slug)) for each in compared.datasets]
    found = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=_COMPARED)
    found["change"] = _category(found["change"], CHANGES)
    for side in ("before", "after"):
        found[f"tier_{side}"] = _category(found[f"tier_{side}"], TIERS)
    found.attrs["skipped"] = [f"{each.reason}: {each.name or each.dataset}".strip(": ") for each in compared.skipped]
    return found


_COMPARED = (
    "dataset", "frame_sha256", "frame_path", "frame_file", "change", "stage", "cause", "iou", "crop_id_before",
    "crop_id_after", "tier_before", "tier_after", "score_before", "score_after", "score_difference", "verdict_before",
    "verdict_after",
)  # fmt: skip


def _compared(part: ComparedDataset, spec: DatasetSpec | None) -> DataFrame:
    import pandas as pd

    rows = part.crops
    sides = {"before": (part.before, rows.before), "after": (part.after, rows.after)}
    taken = {side: _column(cell, "crop_id", at) for side, (cell, at) in sides.items()}
    frames = {side: _column(cell, "frame_sha256", at) for side, (cell, at) in sides.items()}
    sha256 = [later or earlier for earlier, later in zip(frames["before"], frames["after"], strict=True)]
    paths = {**_paths(part.before.frames), **_paths(part.after.frames)}
    found = pd.DataFrame({"dataset": part.slug, "frame_sha256": sha256})
    found["frame_path"] = [paths.get(each or "") for each in sha256]
    found["frame_file"] = _files(found["frame_path"], spec)
    found["change"] = [CHANGES[code] for code in rows.change]
    found["stage"] = [STAGES[code] if code >= 0 else "" for code in rows.stage]
    texts = [cause_text(key) for key in rows.causes]
    found["cause"] = [texts[code] if code >= 0 else "" for code in rows.cause]
    found["iou"] = rows.iou
    for side, ids in taken.items():
        found[f"crop_id_{side}"] = ids
    for side, codes in (("before", rows.tier_before), ("after", rows.tier_after)):
        found[f"tier_{side}"] = [TIERS[code] if code >= 0 else None for code in codes]
    found["score_before"], found["score_after"] = rows.score_before, rows.score_after
    found["score_difference"] = rows.score_after - rows.score_before
    for side, codes in (("before", rows.verdict_before), ("after", rows.verdict_after)):
        found[f"verdict_{side}"] = [VERDICTS[code] for code in codes]
    return found.loc[:, list(_COMPARED)]


def lineage(tracker: str, dataset: str | None = None, *, data: Path | str | None = None) -> DataFrame:
    """One row per crop: which frame, weights, settings and code gave it.

    `frame_sha256`, `frame_path`, `frame_file`; for a frame of a video also `video` (its file name) and `video_seconds`;
    `detection_id`, `label`, `detector`, `confidence`, `body_from`, `corrected` (id of a person's mask). For each of the
    stages detection, mask and scoring: `<stage>_weights` (name to SHA-256), `<stage>_settings`, `<stage>_code`,
    `<stage>_runtime` and `<stage>_recipe` (by the stage's parts), `<stage>_run` (Dagster's run that published it). What
    was not kept is empty. Raises as `crops` does.
    """
    import pandas as pd

    store = _store(data)

    def of(slug: str, spec: DatasetSpec | None) -> DataFrame | None:
        crops_made = published_or_damaged(store, "scored_crops", slug, tracker)
        if crops_made is None:
            return None
        found = _frame(crops_made.read(["crop_id", "frame_sha256", "detection_id"]))
        found.insert(0, "dataset", slug)
        paths = _frame_paths(store, slug, tracker)
        found["frame_path"] = [paths.get(sha256) for sha256 in found["frame_sha256"]]
        found["frame_file"] = _files(found["frame_path"], spec)
        times = _video_times(spec)
        found["video"] = [times.get(path, ("", np.nan))[0] for path in found["frame_path"]]
        found["video_seconds"] = [times.get(path, ("", np.nan))[1] for path in found["frame_path"]]
        for stage, names in (
            ("detections", ["label", "detector", "confidence", "body_from"]), ("masks", ["corrected"]),
        ):  # fmt: skip
            found = _joined(found, store, stage, slug, tracker, names)
        records = cell_records(store, slug, tracker)
        for stage in _RECORDED:
            published = store.cell_table(_STAGE_TABLES[stage], slug, tracker)
            told = _record(records[stage]) | {"run": str(published.facts.get("run_id", "")) if published else ""}
            for name, value in told.items():
                found[f"{stage}_{name}"] = [value] * len(found)
        return found.loc[:, list(_LINEAGE)]

    found = _of_datasets(store, tracker, dataset, of)
    return found if found is not None else pd.DataFrame(columns=_LINEAGE)


def _record(record: StageRecord) -> dict[str, Any]:
    return {
        "weights": dict(record.weights), "settings": dict(record.settings), "code": dict(record.code),
        "runtime": dict(record.runtime), "recipe": dict(record.digests),
    }  # fmt: skip


def _joined(found: DataFrame, store: Store, stage: str, slug: str, tracker: str, names: list[str]) -> DataFrame:
    """The rows with columns of another stage's table, by frame and box; empty where it has no such row or column."""
    keys = ["frame_sha256", "detection_id"]
    published = published_or_damaged(store, stage, slug, tracker)
    rows = published.read() if published is not None else None
    there = [name for name in names if rows is not None and name in rows.column_names]
    if rows is not None and there:
        found = found.merge(_frame(rows.select([*keys, *there])), on=keys, how="left")
    for name in names:
        if name not in there:
            found[name] = None
    return found


def _video_times(spec: DatasetSpec | None) -> dict[str, tuple[str, float]]:
    """The video and the second in it of each frame of a video, by its path in the dataset."""
    found: dict[str, tuple[str, float]] = {}
    if spec is None or not spec.videos_of:
        return found
    for path in spec.folder.glob("*/video.json"):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            for kept in told["kept"]:
                found[f"{path.parent.name}/{kept['file']}"] = (str(told["video"]), float(kept["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # without it the frame is known by its own file alone
    return found


# --- reading ---------------------------------------------------------------------------------------------------------


def _store(data: Path | str | None) -> Store:
    return Store(find_project().data if data is None else Path(data))


def _wanted(store: Store, tracker: str, dataset: str | None) -> list[str]:
    """The slugs of a tracker's datasets, or of the named one. Raises SpecError when it has none of that name."""
    made = tracker_cells(store, tracker)
    if dataset is None:
        return made
    names = {spec.name: slug for slug, spec in list_datasets(store.data).items()}
    slug = dataset if dataset in made else names.get(dataset, dataset)
    if slug not in made:
        raise SpecError(f"tracker {tracker} has no dataset {dataset}; it has: {', '.join(made) or 'none yet'}")
    return [slug]


def _of_datasets(
    store: Store, tracker: str, dataset: str | None, of: Callable[[str, DatasetSpec | None], DataFrame | None]
) -> DataFrame | None:
    """What `of` makes of each dataset, one below the other; None where it makes nothing of any."""
    import pandas as pd

    known = list_datasets(store.data)
    parts = [part for slug in _wanted(store, tracker, dataset) if (part := of(slug, known.get(slug))) is not None]
    return pd.concat(parts, ignore_index=True) if parts else None


def _frame(rows: pa.Table) -> DataFrame:
    """A DataFrame of a table; run lengths are left out, lists are Python lists."""
    plain = rows.select([field.name for field in rows.schema if not pa.types.is_binary(field.type)])
    found = plain.to_pandas()
    for field in plain.schema:
        if pa.types.is_list(field.type):
            found[field.name] = plain.column(field.name).to_pylist()
    return found


def _tiers(store: Store, slug: str, tracker: str) -> list[str]:
    published = published_or_damaged(store, "scored_crops", slug, tracker)
    return published.read(["tier"]).column("tier").to_pylist() if published is not None else []


def _frame_paths(store: Store, slug: str, tracker: str) -> dict[str, str]:
    published = published_or_damaged(store, "frames", slug, tracker)
    return _paths(published.read(["sha256", "path"])) if published is not None else {}


def _paths(frames: pa.Table) -> dict[str, str]:
    """The first path of each frame by its hash: the same bytes may lie in a folder twice."""
    pairs = zip(frames.column("sha256").to_pylist(), frames.column("path").to_pylist(), strict=True)
    return {sha256: path for sha256, path in reversed(list(pairs)) if sha256 is not None}


def _files(paths: Iterable[Any], spec: DatasetSpec | None) -> list[str | None]:
    return [str(spec.folder / path) if spec is not None and isinstance(path, str) else None for path in paths]


def _column(cell: CellRows, name: str, rows: np.ndarray) -> list[str | None]:
    values = cell.crops.column(name).to_pylist()
    return [values[row] if row >= 0 else None for row in rows.tolist()]


def _category(values: Iterable[Any], names: tuple[str, ...]) -> Categorical:
    import pandas as pd

    return pd.Categorical(list(values), categories=list(names), ordered=True)
