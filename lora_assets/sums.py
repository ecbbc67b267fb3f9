"""SHA-256 of written files, kept beside them in `.sha256sums`, so that a byte that changed by itself is found.

One line per write in the form of `sha256sum`, appended before the file appears under its name. A file is right when it
holds the bytes of any of its lines: after a kill in between it is still the version before. A line that a full disk cut
is taken back, or ended so that it says nothing. Who writes is atomic; what is done about a damaged file belongs to
main_line.verifying.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
from pathlib import Path

SUMS = ".sha256sums"
# The last line in one line: earlier versions left a cut line without an end, to which the next one was glued.
_LINE = re.compile(r".*([0-9a-f]{64})  ([^/\n]+)")
# Ends what another writer left unfinished: no name holds a slash, so that the line is no line of any file.
_CANCEL = b"/\n"


def file_sha256(path: Path) -> str:
    """SHA-256 of the bytes of `path`, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def note_sum(path: Path, sha256: str, *, durable: bool) -> None:
    """Remember that `path` is about to hold the bytes with this hash; on disk when this returns if `durable`.

    Lines of two processes never mix: each is one write, under a lock. What a full disk cut short is taken back.
    """
    line = f"{sha256}  {path.name}\n".encode("utf-8", "surrogateescape")
    handle = os.open(path.parent / SUMS, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        alone = _is_locked(handle)
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = _CANCEL + line
        if os.write(handle, line) != len(line):
            if alone:
                os.ftruncate(handle, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)


def _is_locked(handle: int) -> bool:
    """Lock the file until it is closed; False on a disk without locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def read_sums(folder: Path) -> dict[str, set[str]]:
    """The remembered hashes of each file name of `folder`; a line that a power cut spoiled is left out."""
    try:
        text = (folder / SUMS).read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return {}
    found: dict[str, set[str]] = {}
    for line in text.split("\n"):
        if match := _LINE.fullmatch(line):
            found.setdefault(match[2], set()).add(match[1])
    return found
