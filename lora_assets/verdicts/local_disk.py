"""Is a folder on a disk of this machine? SQLite's write-ahead log shares memory among processes of one host only."""

from __future__ import annotations

import os
from pathlib import Path

# https://www.sqlite.org/wal.html: "all processes using a database must be on the same host computer".
_SHARES = frozenset(
    ("9p", "afs", "ceph", "cifs", "drvfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "prl_fs", "smb3", "smbfs",
     "vboxsf", "vmhgfs", "beegfs", "gfs2", "gpfs", "ocfs2", "orangefs", "fuse.sshfs",
     "fuse.rclone", "fuse.glusterfs", "fuse.vmhgfs-fuse", "fuse.grpcfuse", "fuse.osxfs", "fuse.gvfsd-fuse", "fuse.s3fs",
     "fuse.gcsfuse", "fuse.juicefs", "fuse.ceph")
)  # fmt: skip
_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


def _unescaped(path: str) -> str:
    for code, char in _ESCAPES.items():
        path = path.replace(code, char)
    return path


def share_type(folder: Path, mounts: str | None = None) -> str | None:
    """The kind of share (nfs, cifs, 9p, ...) that `folder` lies on, or None for a local disk.

    `mounts` is the text of /proc/mounts; without one (another system than Linux) every folder counts as local.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
    place = os.path.realpath(folder)
    longest, kind = "", ""
    for line in mounts.splitlines():
        parts = line.split(" ")
        if len(parts) < 3:
            continue
        point = _unescaped(parts[1])
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        # The last of equal mount points lies on top.
        if inside and len(point) >= len(longest):
            longest, kind = point, parts[2]
    return kind if kind in _SHARES else None
