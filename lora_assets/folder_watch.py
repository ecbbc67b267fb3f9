"""Which datasets changed since they were last listed: pure bookkeeping over scans, for the folder sensor.

A folder is asked for when its fingerprint has stood still, or when it keeps changing for long (then its settled files
are taken, and all of them once it stands still). A folder that was asked for but whose state is not listed after a
while, because its run failed or was killed, is asked for again. Folders are scanned in rotation within a time budget,
those that are changing first. A folder that is gone is remembered as gone and never as emptied. What belongs elsewhere:
listing a folder (input_folders), starting a run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace

from lora_assets.input_folders import FolderGone, FolderScan, scan_folder
from lora_assets.specs import DatasetSpec

SETTLE_SECONDS = 6.0
RESTLESS_SECONDS = 60.0
BUDGET_SECONDS = 25.0
RETRY_SECONDS = 60.0
_MOST_RETRY_SECONDS = 3600.0
_MOST_DOUBLINGS = 6  # 60 s doubled six times is past the hour


@dataclass(frozen=True, slots=True)
class Listing:
    """What is listed of a dataset on disk: the folder's fingerprint, how many files were left out because they were
    still changing, whether a run is listing it right now, and whether the last one died with its process."""

    fingerprint: str = ""
    unsettled: int = 0
    running: bool = False
    died: bool = False


Listed = Callable[[str], Listing]


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of a folder; times are seconds of the caller's clock.

    `seen` is the fingerprint seen last and `since` when it was first seen; `asked` the one asked for last (with a +
    when the folder did not stand still), `asked_at` when and `generation` how often; `retries` how often `asked` was
    asked for again; `restless_since` is when changes began that nobody asked for yet; `born` when this state began.
    """

    seen: str = ""
    since: float = 0.0
    asked: str = ""
    asked_at: float = 0.0
    generation: int = 0
    retries: int = 0
    restless_since: float | None = None
    scanned_at: float = 0.0
    gone: bool = False
    born: float = 0.0


@dataclass(frozen=True, slots=True)
class Request:
    """A dataset to be listed again. `key` never repeats, also when a folder returns to an earlier state or the watch's
    own state was lost."""

    dataset: DatasetSpec
    key: str


@dataclass(frozen=True, slots=True)
class Watch:
    """The outcome of one look at the folders: what to list, which folders are gone, and the state for next time."""

    requests: tuple[Request, ...]
    gone: tuple[str, ...]
    state: dict[str, Watched]


def read_state(cursor: str | None) -> dict[str, Watched]:
    """The state of a sensor's cursor; an unreadable cursor starts anew, which costs one scan of everything."""
    try:
        told = json.loads(cursor) if cursor else {}
        return {slug: Watched(**values) for slug, values in told.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def write_state(state: dict[str, Watched]) -> str:
    """The state as a sensor's cursor."""
    return json.dumps({slug: asdict(watched) for slug, watched in state.items()})


def _asked_again(watched: Watched, listed: Listed, slug: str, now: float) -> Watched:
    """The state after a look at a folder that was asked for as it is: asked for again when its run ended without
    listing it. A run that died is replaced at once; others wait, longer each time."""
    listing = listed(slug)
    missing = not listing.running and (listing.fingerprint != watched.seen or listing.unsettled > 0)
    if not missing:
        return watched
    again = replace(watched, asked_at=now, generation=watched.generation + 1)
    if listing.died:
        return again
    wait_s = min(RETRY_SECONDS * 2 ** min(watched.retries, _MOST_DOUBLINGS), _MOST_RETRY_SECONDS)
    if 0 <= now - watched.asked_at < wait_s:
        return watched
    return replace(again, retries=watched.retries + 1)


def _judge(watched: Watched, scan: FolderScan, listed: Listed, slug: str, now: float, settle_s: float) -> Watched:
    """The folder's new state; its generation grows by one when it is to be listed now."""
    # A time in the future was noted before the clock was set back: nothing would come of waiting for it.
    if watched.seen != scan.fingerprint or now < watched.since:
        watched = replace(watched, seen=scan.fingerprint, since=now)
    watched = replace(watched, gone=False, born=watched.born or now)
    if watched.seen == watched.asked:
        watched = replace(watched, restless_since=None)
        # A folder that lost all its files is refused for a reason that trying again does not mend.
        return _asked_again(watched, listed, slug, now) if scan.files else watched
    if not watched.asked and not scan.files:
        return replace(watched, restless_since=None)
    began = now if watched.restless_since is None else min(watched.restless_since, now)
    stands_still = now - watched.since >= settle_s
    if not stands_still and now - began < RESTLESS_SECONDS:
        return replace(watched, restless_since=began)
    # Of a folder in motion only the settled files are taken: this very state must be asked for once more at rest.
    asked = scan.fingerprint if stands_still else f"{scan.fingerprint}+"
    generation = watched.generation + 1
    return replace(watched, asked=asked, asked_at=now, generation=generation, retries=0, restless_since=None)


def look_at_folders(
    datasets: Iterable[DatasetSpec],
    state: dict[str, Watched],
    now: float,
    listed: Listed,
    *,
    settle_s: float = SETTLE_SECONDS,
    budget_s: float = BUDGET_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Watch:
    """Scan folders, the restless first and then the one not scanned for longest, until the budget is spent.

    `listed` tells what is listed of a dataset on disk; it is asked only for folders that were asked for.
    """
    began = clock()
    new_state = dict(state)
    requests: list[Request] = []
    gone: list[str] = []
    known = {spec.slug: spec for spec in datasets}
    for slug in sorted(set(state) - set(known)):
        # Neither folder nor registration is left: its results stay, and it is told every time until it returns.
        new_state[slug] = replace(state[slug], gone=True)
        gone.append(slug)

    def urgency(spec: DatasetSpec) -> tuple[bool, float]:
        watched = state.get(spec.slug, Watched())
        scanned_at = watched.scanned_at if watched.scanned_at <= now else 0.0  # the clock was set back
        return (watched.restless_since is None and spec.slug in state, scanned_at)

    for spec in sorted(known.values(), key=urgency):
        if clock() - began > budget_s:
            break
        watched = replace(state.get(spec.slug, Watched()), scanned_at=now)
        try:
            scan = scan_folder(spec.folder, spec.only)
        except FolderGone:
            new_state[spec.slug] = replace(watched, gone=True)
            gone.append(spec.slug)
            continue
        judged = _judge(watched, scan, listed, spec.slug, now, settle_s)
        new_state[spec.slug] = judged
        if judged.generation != watched.generation:
            key = f"{spec.slug}:{judged.born:.0f}:{judged.generation}:{scan.fingerprint}"
            requests.append(Request(spec, key))
    return Watch(tuple(requests), tuple(gone), new_state)
