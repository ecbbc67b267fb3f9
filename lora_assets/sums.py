"""SHA-256 of written files, kept beside them in `.sha256sums`, so that a byte that changed by itself is found.

One line per write in the form of `sha256sum`, appended before the file appears under its name. A file is right when it
holds the bytes of any of its lines: after a kill in between it is still the version before. Who writes is atomic; what
is done about a damaged file belongs to main_line.verifying.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
from pathlib import Path

SUMS = ".sha256sums"
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\n]+)")


def file_sha256(path: Path) -> str:
    """SHA-256 of the bytes of `path`, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def note_sum(path: Path, sha256: str, *, durable: bool) -> None:
    """Remember that `path` is about to hold the bytes with this hash; on disk when this returns if `durable`.

    Lines of two processes never mix: each is one write.
    """
    line = f"{sha256}  {path.name}\n".encode("utf-8", "surrogateescape")
    handle = os.open(path.parent / SUMS, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        if os.write(handle, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        if durable:
            os.fsync(handle)
    finally:
        os.close(handle)


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
