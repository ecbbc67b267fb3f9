"""A tracker against the baseline that its file names: may it go on, in one sentence, with the numbers to plot."""

from __future__ import annotations

from dataclasses import dataclass, field

from lora_assets.comparing.comparison import Comparison, compare_settings, compare_trackers
from lora_assets.comparing.report import causes_markdown, numbers, skipped_text, summary_text
from lora_assets.comparing.settings import CompareSettings
from lora_assets.specs import SpecError, known_tracker_ids, read_tracker
from lora_assets.store import Store


@dataclass(frozen=True, slots=True)
class BaselineFinding:
    """What the comparison says: `warns` and `blocks` by the tracker's settings. `baseline` is empty, and the rest too,
    when there is nothing to compare with; the text then says why."""

    text: str
    baseline: str = ""
    warns: bool = False
    blocks: bool = False
    numbers: dict[str, float] = field(default_factory=dict)
    causes: str = ""


def against_baseline(store: Store, tracker: str) -> BaselineFinding:
    """Compare a tracker with its baseline. Raises SpecError for a tracker or settings that do not fit, StoreError for a
    damaged table."""
    spec = read_tracker(store.data, tracker)
    settings = compare_settings(store.data, tracker)
    if not spec.baseline:
        return BaselineFinding(f"{tracker} names no baseline: nothing is compared")
    if spec.baseline == tracker:
        return BaselineFinding(f"{tracker} names itself as its baseline: name another tracker to compare with")
    try:
        found = compare_trackers(store, spec.baseline, tracker, settings)
    except SpecError as error:
        if spec.baseline in known_tracker_ids(store.data):
            raise
        return BaselineFinding(f"the baseline of {tracker} is gone, nothing is compared: {error}")
    if not found.datasets:
        return BaselineFinding(
            f"nothing can be compared with {spec.baseline}: {'; '.join(map(skipped_text, found.skipped))}"
        )
    broken = [*_crossed(found, settings, "block"), *_crossed(found, settings, "warn")]
    text = "; ".join([summary_text(found), *broken[:1], *map(skipped_text, found.skipped)])
    return BaselineFinding(
        text,
        spec.baseline,
        warns=bool(broken),
        blocks=bool(_crossed(found, settings, "block")),
        numbers=numbers(found),
        causes=causes_markdown(found),
    )


def _crossed(found: Comparison, settings: CompareSettings, level: str) -> list[str]:
    """The limits of a level (warn, block) that the comparison crosses, in words."""
    shares = {"worse": found.worse_share, "lost": found.lost_share}
    limits = {name: getattr(settings, f"{level}_{name}") for name in shares}
    return [
        f"{shares[name]:.1%} {name} is more than {level}_{name} {limits[name]:.1%}"
        for name in shares
        if shares[name] > limits[name]
    ]
