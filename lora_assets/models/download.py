"""One weights file from the net: resumable, checked by size and hash, and in place whole or not at all.

Bytes gather in a `.part` file beside the target, with a note of the address and the validator (ETag, or else
Last-Modified) they came with; a later attempt asks for the rest with Range and If-Range, so that a changed file starts
anew. What belongs elsewhere: which file to fetch and what its hash must be (folder, registry).
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lora_assets.models.digests import file_sha256
from lora_assets.models.registry import ModelError
from lora_assets.store import atomic_write_json, put_in_place

if TYPE_CHECKING:
    import httpx

Progress = Callable[[int, int | None], None]
"""Told of bytes on disk, and of bytes in all where known."""

_ATTEMPTS = 4
_PAUSE_S = 0.2


def _no_progress(_done: int, _total: int | None) -> None:
    return


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to fetch: addresses in order, its final place, and its size and hash (0 and "" when not known)."""

    name: str
    urls: tuple[str, ...]
    target: Path
    bytes: int = 0
    sha256: str = ""

    @property
    def part(self) -> Path:
        """Where the bytes gather."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def note(self) -> Path:
        """Where the address and the validator of the part are written."""
        return self.target.with_name(f"{self.target.name}.part.json")


class _Refused(Exception):
    """One address did not give the file; the text is the reason, for the summary of all addresses."""


class _StartAnew(Exception):
    """The part on disk cannot be continued from this address; the text is the reason."""


def fetch(wanted: Wanted, progress: Progress | None = None, timeout_s: float = 30.0) -> str:
    """Fetch the file, put it at its target and return its SHA-256.

    Raises ModelError when no address gave the right file; the text names each reason and the place where the file can
    be put by hand. A part with the wrong hash is deleted; a cut one is kept and continued next time.
    """
    wanted.target.parent.mkdir(parents=True, exist_ok=True)
    reasons: list[str] = []
    for url in wanted.urls:
        try:
            _gather(wanted, url, progress or _no_progress, timeout_s)
            return _finish(wanted)
        except _Refused as refused:
            reasons.append(f"{url}: {refused}")
    told = "; ".join(reasons) or "no address is known"
    expected = f" (SHA-256 {wanted.sha256})" if wanted.sha256 else ""
    raise ModelError(
        f"{wanted.name} could not be fetched: {told}. Try again, or get the file by other means and put it at "
        f"{wanted.target}{expected}"
    )


def _gather(wanted: Wanted, url: str, progress: Progress, timeout_s: float) -> None:
    """Ask one address until the part is whole; a cut connection is tried again while it makes headway."""
    import httpx

    failures = 0
    with httpx.Client(follow_redirects=True, timeout=timeout_s, headers={"Accept-Encoding": "identity"}) as client:
        while True:
            before = _part_bytes(wanted)
            try:
                _stream(client, wanted, url, progress)
                return
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                failures = 0 if _part_bytes(wanted) > before else failures + 1
                if failures >= _ATTEMPTS or isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
                    raise _Refused(f"{type(error).__name__}: {error}") from error
                time.sleep(_PAUSE_S * failures)
            except _StartAnew as error:
                _forget_part(wanted)
                failures += 1
                if failures >= _ATTEMPTS:
                    raise _Refused(str(error)) from error
            except OSError as error:
                raise _Refused(f"cannot write {wanted.part}: {error.strerror or error}") from error


def _part_bytes(wanted: Wanted) -> int:
    return wanted.part.stat().st_size if wanted.part.exists() else 0


def _validator(response: httpx.Response) -> str:
    """What If-Range may carry: a strong ETag, else the date; "" when the server tells neither."""
    etag = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified", "")


def _resume_headers(wanted: Wanted, url: str) -> dict[str, str]:
    """Headers that ask for the rest of the part; none when the part cannot be continued from this address."""
    size = _part_bytes(wanted)
    try:
        note = json.loads(wanted.note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not size or note.get("url") != url or not note.get("validator"):
        return {}
    return {"Range": f"bytes={size}-", "If-Range": note["validator"]}


def _stream(client: httpx.Client, wanted: Wanted, url: str, progress: Progress) -> None:
    headers = _resume_headers(wanted, url)
    with client.stream("GET", url, headers=headers) as response:
        start = _start_of(response, wanted, bool(headers))
        if start is None:
            return
        total = _total(response, start) or wanted.bytes or None
        _check_size(wanted, total, start)
        atomic_write_json(wanted.note, {"url": url, "validator": _validator(response)})
        done = start
        with wanted.part.open("r+b" if start else "wb") as handle:
            handle.seek(start)
            handle.truncate()
            progress(done, total)
            # Pieces as they come: with a fixed size, the last one would be lost when the connection is cut.
            for chunk in response.iter_raw():
                handle.write(chunk)
                done += len(chunk)
                if wanted.bytes and done > wanted.bytes:
                    break
                progress(done, total)
            handle.flush()
            os.fsync(handle.fileno())


def _start_of(response: httpx.Response, wanted: Wanted, resuming: bool) -> int | None:
    """Offset of the first byte that the answer brings; None when the part is whole already."""
    if response.status_code == 206:
        told = response.headers.get("Content-Range", "")
        start = told.removeprefix("bytes ").partition("-")[0]
        if not start.isdigit() or int(start) != _part_bytes(wanted):
            raise _StartAnew(f"the server answered with the wrong part ({told!r})")
        return int(start)
    if response.status_code == 416 and resuming:
        if response.headers.get("Content-Range", "").rpartition("/")[2] == str(_part_bytes(wanted)):
            return None
        raise _StartAnew("the file on the server is shorter than the part that was fetched")
    if response.status_code != 200:
        raise _Refused(f"HTTP {response.status_code} {response.reason_phrase}")
    return 0


def _total(response: httpx.Response, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else None


def _check_size(wanted: Wanted, total: int | None, start: int) -> None:
    if total is None:
        return
    if wanted.bytes and total != wanted.bytes:
        raise _Refused(f"the server's file has {total} bytes, expected {wanted.bytes}")
    free = shutil.disk_usage(wanted.target.parent).free
    if free < total - start:
        raise _Refused(f"needs {total - start} bytes, {free} are free in {wanted.target.parent}; make room")


def _forget_part(wanted: Wanted) -> None:
    wanted.part.unlink(missing_ok=True)
    wanted.note.unlink(missing_ok=True)


def _finish(wanted: Wanted) -> str:
    """Check the whole part and move it to its place; a wrong one is deleted."""
    size = _part_bytes(wanted)
    sha256 = file_sha256(wanted.part)
    wrong_size = wanted.bytes and size != wanted.bytes
    if wrong_size or (wanted.sha256 and sha256 != wanted.sha256):
        _forget_part(wanted)
        reason = f"{size} bytes instead of {wanted.bytes}" if wrong_size else f"SHA-256 {sha256} instead of the pinned"
        raise _Refused(f"the server gave another file ({reason}); what came was deleted")
    put_in_place(wanted.part, wanted.target)
    wanted.note.unlink(missing_ok=True)
    return sha256
