"""The table `crop_groups` of a tracker: the shot of every crop, and the group of alike crops it belongs to.

What belongs elsewhere: what makes crops alike (duplicates), where shots begin (identity.shots).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from lora_assets.curation import duplicates
from lora_assets.curation.duplicates import KINDS, LEADER, VARIANT, Looks, group_crops
from lora_assets.identity import descriptions, shots
from lora_assets.identity.descriptions import describe_crops, find_shots, unseen_crops, unseen_frames
from lora_assets.identity.tracker_crops import TrackerCrops, read_crops
from lora_assets.store import PublishedTable, Store, digest
from lora_assets.tables import CropGroup, from_table, to_table

CODE_VERSION = f"2.{duplicates.CODE_VERSION}.{descriptions.CODE_VERSION}.{shots.CODE_VERSION}"

# A vetoed crop never leads one that is not: 1 is more than any score differs by.
_VETO = 2.0


@dataclass(frozen=True, slots=True)
class MadeGroups:
    """What was published: the table, its rows, and figures for plots."""

    table: PublishedTable
    rows: tuple[CropGroup, ...]
    numbers: Mapping[str, float] = field(default_factory=dict)


def wanted_version(crops: TrackerCrops) -> str:
    """What `wanted` of the table's facts would be if it was made of these crops."""
    return digest("crop_groups", CODE_VERSION, crops.version)


def make_groups(store: Store, tracker: str) -> MadeGroups:
    """Group and publish the crops of a tracker, also of several datasets. Equal inputs change nothing.

    Raises StoreError for damaged tables.
    """
    began = time.perf_counter()
    path = store.table_path("crop_groups", tracker)
    with store.lock(f"crop_groups-{tracker}"):
        crops = read_crops(store, tracker)
        wanted = wanted_version(crops)
        before = store.published(path)
        if before is not None and before.version == wanted:
            return MadeGroups(before, tuple(from_table(before.read(), CropGroup)), dict(before.facts["numbers"]))
        described = describe_crops(store, crops.crops)
        found_shots = find_shots(store, crops)
        shot_of = [found_shots[crop.dataset][crop.number] for crop in crops.crops]
        sides = np.array([[crop.window[2] - crop.window[0], crop.window[3] - crop.window[1]] for crop in crops.crops])
        aspect = sides.reshape(-1, 2)[:, 1] / np.maximum(sides.reshape(-1, 2)[:, 0], 1.0)
        scores = np.array([crop.score - (_VETO if crop.vetoed else 0.0) for crop in crops.crops])
        places = group_crops(Looks(described.tiny, described.phashes, described.pixels, aspect, shot_of, scores))
        ids = [crop.crop_id for crop in crops.crops]
        rows = [
            CropGroup(
                crop.crop_id, crop.frame_sha256, crop.dataset, shot_of[number], ids[place.group], place.kind,
                place.distance, ids[place.drawing],
            )
            for number, (crop, place) in enumerate(zip(crops.crops, places, strict=True))
        ]  # fmt: skip
        numbers = _numbers(rows, time.perf_counter() - began)
        facts = {"tracker": tracker, "numbers": numbers, "wanted": wanted}
        # What could not be seen now is looked at again: the version is then not the wanted one.
        unseen = [*unseen_crops(crops.crops, described), *unseen_frames(store, crops)]
        version = digest(wanted, "again", unseen) if unseen else wanted
        table = store.publish(path, CropGroup, [to_table(rows, CropGroup)], version, facts)
    return MadeGroups(table, tuple(rows), numbers)


def _numbers(rows: list[CropGroup], seconds: float) -> dict[str, float]:
    kinds = Counter(row.kind for row in rows)
    sizes = Counter(row.group for row in rows)
    return {
        "crops": float(len(rows)),
        "groups": float(len(sizes)),
        "groups_of_several": float(sum(size > 1 for size in sizes.values())),
        "largest_group": float(max(sizes.values(), default=0)),
        "duplicates": float(sum(row.kind not in (LEADER, VARIANT) for row in rows)),
        "shots": float(len({row.shot for row in rows})),
        **{f"kind_{kind}": float(kinds[kind]) for kind in KINDS},
        "seconds": seconds,
    }
