"""Drawn pages that are given again as they are, for as long as nothing that they were drawn from has changed.

A page names the files and folders that it was made of. Each time it is asked for they are looked at again (inode,
size, times), so that a mark or a run shows in the very next answer; nothing is trusted for a length of time. Which
files a page is made of is in page_sources, how it is drawn in site and pages.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from fastapi.responses import Response

SETTLED_NS = 2_000_000_000
"""A file that changed less than this before a page was begun may change again without a newer time: coarse clocks of
file systems tick every few milliseconds (ext4) to two seconds (FAT)."""
MOST_BYTES = 32 * 2**20
_LARGEST = MOST_BYTES // 8
_PATH_BYTES = 512
"""What a path and its mark take beside the text: two objects, a tuple and five numbers."""

Mark = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of content and inode in nanoseconds."""
Place = tuple[int, int, int]
"""Device, inode and mode."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What a page was made of. `paths` are files, also such as are not there, and folders, whose entries count; of
    `places` it matters only what stands there, not what is in it. `still` is asked about what no file tells."""

    paths: tuple[str, ...]
    places: tuple[str, ...] = ()
    still: Callable[[], bool] = lambda: True


def _mark(path: str) -> Mark | None:
    try:
        told = os.stat(path)  # noqa: PTH116 - looked at for every page: a Path would cost half as much again
    except OSError:
        return None
    return told.st_dev, told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns


def _place(path: str) -> Place | None:
    try:
        told = os.stat(path)  # noqa: PTH116 - as above
    except OSError:
        return None
    return told.st_dev, told.st_ino, told.st_mode


@dataclass(frozen=True, slots=True)
class _Kept:
    response: Response
    sources: Sources
    marks: tuple[Mark | None, ...]
    places: tuple[Place | None, ...]
    weight: int

    def is_current(self) -> bool:
        return (
            all(mark == _mark(path) for path, mark in zip(self.sources.paths, self.marks, strict=True))
            and all(place == _place(path) for path, place in zip(self.sources.places, self.places, strict=True))
            and self.sources.still()
        )


def _weight(key: Hashable, response: Response, sources: Sources) -> int:
    """Bytes of memory, roughly: a small page of many datasets has more sources than text, and a key has cookies."""
    paths = (*sources.paths, *sources.places)
    return len(response.body) + len(repr(key)) + sum(map(len, paths)) + _PATH_BYTES * len(paths)


class KeptPages:
    """Answers by key, the least used first to go when they take more than `most_bytes` together. For one event loop: it
    has no lock, and its looks at files take a fraction of a millisecond where the disk is this machine's."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._most_bytes = most_bytes
        self._bytes = 0
        self._looked_at: set[Hashable] = set()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> Response | None:
        """The answer, when it is there and still right; it may be sent many times.

        Requests of one turn of the event loop share one look at the files: each of them came before that look.
        """
        kept = self._kept.get(key)
        if kept is None:
            return None
        if key not in self._looked_at:
            if not kept.is_current():
                self._drop(key)
                return None
            if not self._looked_at:
                # Runs before anything that is received from now on: callbacks run in the order they were asked for.
                asyncio.get_running_loop().call_soon(self._looked_at.clear)
            self._looked_at.add(key)
        self._kept.move_to_end(key)
        return kept.response

    def keep(self, key: Hashable, response: Response, sources: Sources, begun_ns: int) -> bool:
        """Keep an answer whose drawing began at `begun_ns` (`time.time_ns`); False when that would not be safe.

        What stood still from before that moment until now is what the answer shows: the marks are taken afterwards, and
        anything younger is refused. Those who waited for one drawing may all bring it.
        """
        known = self._kept.get(key)
        if known is not None and known.response is response:
            return True
        # What is not there leaves its trace in its folder when it comes, unless it is a link to somewhere else.
        sources = replace(sources, paths=tuple(path for path in sources.paths if os.path.lexists(path)))
        marks = tuple(map(_mark, sources.paths))
        youngest = max((max(mark[3:]) for mark in marks if mark is not None), default=0)
        weight = _weight(key, response, sources)
        if weight > _LARGEST or youngest > begun_ns - SETTLED_NS:
            return False
        kept = _Kept(response, sources, marks, tuple(map(_place, sources.places)), weight)
        if not sources.still():
            return False
        self._drop(key)
        self._kept[key] = kept
        self._bytes += weight
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))
        return True

    def _drop(self, key: Hashable) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.weight
