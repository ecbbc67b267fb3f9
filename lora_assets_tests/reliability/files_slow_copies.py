"""G9: pictures that are copied slowly into a watched folder, in every style that copying tools have, and replacements
in place. None may be listed with other bytes than its last ones, and none may be missed.

The watch of the folders and the listing are the real ones; times are shortened alike for the copier and the watch.
"""

from __future__ import annotations

import hashlib
import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from lora_assets.folder_watch import Listing, look_at_folders, read_state, write_state
from lora_assets.input_folders import scan_folder
from lora_assets.main_line.frames import update_raw_frames
from lora_assets.main_line.reading import kept_readers
from lora_assets.specs import DatasetSpec
from lora_assets.store import Store
from lora_assets.tables import RawFrame, from_table
from lora_assets_tests.reliability.goals import Figures, Level, Trials
from lora_assets_tests.reliability.hostile_pictures import ENCODINGS, drawn_picture

_SETTLE_S = 0.5
_PAUSE_S = 0.06
_PIECES = 12
_BATCH = 40
_PATIENCE_S = 90.0
Copy = Callable[[Path, bytes], None]


class _Pauses(threading.local):
    """The longest time that the copy of this thread stood still."""

    since: float | None = None
    longest: float = 0.0


_pauses = _Pauses()


def _pause() -> None:
    """What every copier does between two pieces."""
    time.sleep(_PAUSE_S)
    now = time.monotonic()
    if _pauses.since is not None:
        _pauses.longest = max(_pauses.longest, now - _pauses.since)
    _pauses.since = now


def _pieces(content: bytes) -> Iterator[tuple[int, bytes]]:
    step = -(-len(content) // _PIECES)
    for at in range(0, len(content), step):
        yield at, content[at : at + step]
        _pause()


def append(path: Path, content: bytes) -> None:
    """As `cp` and browsers do."""
    with path.open("wb", buffering=0) as handle:
        for _, piece in _pieces(content):
            handle.write(piece)


def preallocate(path: Path, content: bytes) -> None:
    """As Windows does: the full size first, and the time of the source all along."""
    with path.open("wb", buffering=0) as handle:
        handle.truncate(len(content))
        for at, piece in _pieces(content):
            handle.seek(at)
            handle.write(piece)
            os.utime(path, (1_000_000, 1_000_000))
    os.utime(path, (1_000_000, 1_000_000))


def renamed(path: Path, content: bytes) -> None:
    """As rsync and many browsers do: under another name, which is hidden or has another ending."""
    temporary = path.with_name(f".{path.name}.part")
    append(temporary, content)
    temporary.rename(path)


def rewritten(path: Path, content: bytes) -> None:
    """As careless editors do: the file is there, is emptied and written anew."""
    path.write_bytes(content[: len(content) // 3])
    _pause()
    append(path, content)


def with_hole(path: Path, content: bytes) -> None:
    """As download managers do: pieces from both ends, the middle last."""
    with path.open("wb", buffering=0) as handle:
        handle.truncate(len(content))
        for at, piece in sorted(_pieces(content), key=lambda part: -abs(part[0] - len(content) / 2)):
            handle.seek(at)
            handle.write(piece)
            _pause()


def under_the_same_times(path: Path, content: bytes) -> None:
    """As tools do that write into a file and set its time back: same name, size, modification time and inode."""
    told = path.stat()
    with path.open("r+b") as handle:
        handle.write(content)
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


STYLES: tuple[Copy, ...] = (append, preallocate, renamed, rewritten, with_hole)


@dataclass(slots=True)
class Watcher:
    """Looks at one folder over and over, as the sensor does, and lists it when it is asked to."""

    data: Path
    folder: Path
    looks: int = 0
    seen: list[dict[str, str]] = field(default_factory=list)
    _cursor: str | None = None

    def look(self) -> dict[str, str]:
        """One look, and the listing that it asks for; the usable frames of the published table: hash by name."""
        store, dataset = Store(self.data), DatasetSpec("film", "film", self.folder)

        def listed(slug: str) -> Listing:
            table = store.frames_of(slug)
            facts = table.facts if table else {}
            return Listing(str(facts.get("fingerprint", "")), int(facts.get("unsettled", 0)))

        now = time.time() * 10  # the waits of a failed run are shortened, too
        watch = look_at_folders([dataset], read_state(self._cursor), now, listed, settle_s=_SETTLE_S * 10)
        self._cursor = write_state(watch.state)
        for _ in watch.requests:
            update_raw_frames(store, dataset, settle_s=_SETTLE_S)
        self.looks += 1
        table = store.frames_of("film")
        rows = from_table(table.read(), RawFrame) if table else []
        found = {row.path: str(row.sha256) for row in rows if row.quarantine_reason is None}
        self.seen.append(found)
        return found


class SizeOnly:
    """The planted fault: a file is ready when its size is the same in two looks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sizes: dict[str, int] = {}
        self.seen: list[dict[str, str]] = []

    def look(self) -> None:
        """One look; what is ready is hashed at once."""
        found, sizes = {}, {}
        for file in scan_folder(self.folder).files:
            sizes[file.path] = file.size
            if self.sizes.get(file.path) == file.size:
                content = (self.folder / file.path).read_bytes()
                found[file.path] = hashlib.sha256(content).hexdigest()
        self.sizes = sizes
        self.seen.append(found)


def _planted(folder: Path) -> int:
    """How many early listings the planted fault makes: it looks after each piece of a slow copy in each style, so that
    what it sees depends on no clock."""
    folder.mkdir()
    careless, last = SizeOnly(folder), {}
    with mock.patch(f"{__name__}._pause", careless.look):
        for number, style in enumerate(STYLES):
            content = ENCODINGS[0].encode(drawn_picture(200, 150, 3000 + number))
            last[f"{style.__name__}.jpg"] = {hashlib.sha256(content).hexdigest()}
            style(folder / f"{style.__name__}.jpg", content)
    return len(_early(careless.seen, last))


def _early(seen: list[dict[str, str]], last: dict[str, set[str]]) -> set[tuple[str, str]]:
    """Names that were listed with bytes that the file never had as a whole, with that hash."""
    return {(name, sha) for found in seen for name, sha in found.items() if name in last and sha not in last[name]}


def _copy_all(folder: Path, wanted: dict[str, tuple[Copy, bytes]], stood: set[str]) -> list[threading.Thread]:
    """Start all copies; those that a busy machine held up for as long as the watch waits are added to `stood`."""

    def run_copy(name: str, copy: Copy, content: bytes) -> None:
        copy(folder / name, content)
        if _pauses.longest > 0.8 * _SETTLE_S:
            stood.add(name)

    threads = [threading.Thread(target=run_copy, args=(name, *each)) for name, each in wanted.items()]
    for thread in threads:
        thread.start()
    return threads


def _wait_until_listed(watcher: Watcher, expected: dict[str, str]) -> set[str]:
    """Look until all names have their last hash; the names that were not listed so in time."""
    ends = time.monotonic() + _PATIENCE_S
    while True:
        found = watcher.look()
        missed = {name for name, sha in expected.items() if found.get(name) != sha}
        if not missed or time.monotonic() > ends:
            return missed
        time.sleep(0.02)


def _replace_under_the_same_times(watcher: Watcher, last: dict[str, set[str]], trials: Trials) -> None:
    """A BMP among the others gets other pixels, and nothing but its change time tells."""
    encoding = next(each for each in ENCODINGS if each.suffix == ".bmp")
    path = watcher.folder / "same times.bmp"
    path.write_bytes(encoding.encode(drawn_picture(200, 150, 2000)))
    first = hashlib.sha256(path.read_bytes()).hexdigest()
    trials.check(not _wait_until_listed(watcher, {path.name: first}), f"{path.name} was missed")
    under_the_same_times(path, encoding.encode(drawn_picture(200, 150, 2001)))
    second = hashlib.sha256(path.read_bytes()).hexdigest()
    last[path.name] = {first, second}
    missed = _wait_until_listed(watcher, {path.name: second})
    trials.check(not missed, f"{path.name} was replaced under the same size and time, and its new content was missed")


def run(level: Level) -> Figures:
    """Measure G9."""
    copies, replaced = (200, 50) if level == "full" else (5, 2)
    how = (
        f"{copies} slow copies in {len(STYLES)} styles, then {replaced} replaced in place and one under the same size "
        "and time, while the folder is watched and listed"
    )
    trials = Trials("G9", how, "ready when the size is the same in two looks")
    rng = random.Random(9)
    with tempfile.TemporaryDirectory(prefix="lora_assets-copies-") as made, kept_readers():
        data, folder = Path(made) / "data", Path(made) / "film"
        folder.mkdir()
        watcher = Watcher(data, folder)
        last: dict[str, set[str]] = {}
        names: list[str] = []
        stood: set[str] = set()
        for start in range(0, copies, _BATCH):
            wanted = {}
            for number in range(start, min(copies, start + _BATCH)):
                encoding = ENCODINGS[number % len(ENCODINGS)]
                content = encoding.encode(drawn_picture(200, 150, number))
                name = f"{number:03d} {STYLES[number % len(STYLES)].__name__}{encoding.suffix}"
                wanted[name] = (STYLES[number % len(STYLES)], content)
                last[name] = {hashlib.sha256(content).hexdigest()}
            names += wanted
            threads = _copy_all(folder, wanted, stood)
            while any(thread.is_alive() for thread in threads):
                watcher.look()
                time.sleep(_PAUSE_S)
            missed = _wait_until_listed(watcher, {name: next(iter(last[name])) for name in wanted})
            for name in wanted:
                trials.check(name not in missed, f"{name} was missed")
        chosen, replacing = rng.sample(names, replaced), {}
        for number, name in enumerate(chosen):
            encoding = next(each for each in ENCODINGS if name.endswith(each.suffix))
            content = encoding.encode(drawn_picture(200, 150, 1000 + number))
            replacing[name] = (STYLES[number % len(STYLES)], content)
            last[name].add(hashlib.sha256(content).hexdigest())
        threads = _copy_all(folder, replacing, stood)
        while any(thread.is_alive() for thread in threads):
            watcher.look()
            time.sleep(_PAUSE_S)
        expected = {name: hashlib.sha256(content).hexdigest() for name, (_, content) in replacing.items()}
        missed = _wait_until_listed(watcher, expected)
        for name in replacing:
            trials.check(name not in missed, f"{name} was replaced, and its new content was missed")
        _replace_under_the_same_times(watcher, last, trials)
        early = _early(watcher.seen, last)
        for name in set(names) - stood:
            trials.check(name not in {each for each, _ in early}, f"{name} was listed before its copy had ended")
        planted = _planted(Path(made) / "planted")
        trials.caught = planted > 0
        trials.notes.append(
            f"{watcher.looks} looks; {len(early)} early; {len(stood)} copies not judged, since "
            f"the machine held them up for as long as the watch waits; readiness by size alone: {planted} early"
        )
    return trials.figures()
