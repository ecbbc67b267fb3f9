"""What must hold of a curated dataset: no leak between its parts, no veto without a person's word, ready to train.

Each gives the numbers and words of an asset check. What belongs elsewhere: how it was chosen (choosing, splitting).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from lora_assets.curation.made import read_curated
from lora_assets.curation.readiness import BLOCKED
from lora_assets.identity.tracker_crops import read_crops
from lora_assets.store import Store


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of a check, in words and numbers."""

    passed: bool
    text: str
    numbers: dict[str, float] = field(default_factory=dict)


_NOT_MADE = Finding(False, "curated_dataset is not made yet: materialize it")


def parts_share_nothing(store: Store, tracker: str) -> Finding:
    """No shot, no group of alike crops and no frame lies in training and in validation."""
    made = read_curated(store, tracker)
    if made is None:
        return _NOT_MADE
    numbers: dict[str, float] = {}
    for name in ("shot", "group", "frame_sha256"):
        train, validation = (
            {getattr(row, name) for row in made.rows if row.part == part} for part in ("train", "validation")
        )
        numbers[f"{name}_on_both_sides"] = float(len(train & validation))
    leaks = sum(numbers.values())
    text = "training and validation share nothing" if not leaks else "training and validation share: " + ", ".join(
        f"{name} {count:.0f}" for name, count in numbers.items() if count)  # fmt: skip
    return Finding(not leaks, text, numbers)


def no_veto_chosen(store: Store, tracker: str) -> Finding:
    """No crop with a veto is chosen, unless a person called it good."""
    made = read_curated(store, tracker)
    if made is None:
        return _NOT_MADE
    vetoed = {crop.crop_id for crop in read_crops(store, tracker).crops if crop.vetoed}
    chosen = [row for row in made.rows if row.chosen and row.crop_id in vetoed]
    wrong = [row.crop_id for row in chosen if row.verdict != "good"]
    numbers = {"vetoed_chosen": float(len(wrong)), "overruled_by_a_person": float(len(chosen) - len(wrong))}
    if wrong:
        return Finding(False, f"{len(wrong)} chosen crops have a veto: {', '.join(wrong[:3])}; curate anew", numbers)
    return Finding(True, "no chosen crop has a veto that no person overruled", numbers)


def dataset_ready(store: Store, tracker: str) -> Finding:
    """The readiness report does not say blocked."""
    made = read_curated(store, tracker)
    if made is None:
        return _NOT_MADE
    report = made.report
    words = "; ".join(one["words"] for one in report["findings"]) or "nothing stands against training"
    numbers = {"findings": float(len(report["findings"])), "chosen": float(report["funnel"]["chosen"])}
    return Finding(report["state"] != BLOCKED, f"{report['state']}: {words}", numbers)
