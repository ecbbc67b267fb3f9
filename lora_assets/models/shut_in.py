"""Shuts this process in and becomes another program: `python -I -S shut_in.py FOLDER MEMORY CPU FILE COMMAND...`.

Linux' namespaces: no network, the disk read-only but for FOLDER, no other process in sight, no rights to undo that.
Only the standard library is imported, and little of it: the system gives new namespaces to a process of one thread
only. Who calls it, and with which limits, is in confinement.py.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

NOT_SHUT_IN = 97
"""Exit code of a process that could not be shut in; then nothing was run."""
# CLONE_NEWUSER, NEWNET, NEWNS, NEWPID, NEWIPC, NEWUTS of linux/sched.h.
_NAMESPACES = 0x10000000 | 0x40000000 | 0x00020000 | 0x20000000 | 0x08000000 | 0x04000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD, _AT_RECURSIVE, _ATTR_READ_ONLY = -100, 0x8000, 1
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
# Sockets of other programs lie there, and are reached although nothing can be written.
_HIDDEN = ("/run", "/tmp", "/var/tmp", "/dev/shm", "/var/run")
_INSIDE_ID = 1000


class _Attributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "spread", "namespace"))


def _checked(call: Callable[..., int], what: str, *arguments: object) -> None:
    if call(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _shut_in(folder: str) -> None:
    """New namespaces for this process and its children. Raises OSError where the system refuses one of the steps."""
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    _checked(libc.unshare, "unshare", _NAMESPACES)
    Path("/proc/self/setgroups").write_text("deny")
    # Not as root, not even within: all rights over the namespaces go when the program is started.
    Path("/proc/self/uid_map").write_text(f"{_INSIDE_ID} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{_INSIDE_ID} {group} 1")
    mount = libc.mount
    _checked(mount, "private mounts", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    place = os.fsencode(folder)
    _checked(mount, "the folder", place, place, None, _MS_BIND, None)
    needed = {Path(path).resolve() for path in (sys.prefix, sys.base_prefix, __file__, folder)}
    for hidden in map(Path, _HIDDEN):
        if hidden.is_dir() and not hidden.is_symlink() and not any(hidden in path.parents for path in needed):
            flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
            _checked(mount, f"hiding {hidden}", b"none", bytes(hidden), b"tmpfs", flags, b"size=64k,mode=555")
    _set_read_only(libc, b"/", _AT_RECURSIVE, True)
    _set_read_only(libc, place, 0, False)
    # The current folder still is the one below the mount that was laid over it.
    os.chdir(folder)


def _set_read_only(libc: ctypes.CDLL, place: bytes, flags: int, shut: bool) -> None:
    told = _Attributes(_ATTR_READ_ONLY if shut else 0, 0 if shut else _ATTR_READ_ONLY, 0, 0)
    arguments = (_SYS_MOUNT_SETATTR, _AT_FDCWD, place, flags, ctypes.byref(told), ctypes.c_size_t(ctypes.sizeof(told)))
    _checked(libc.syscall, "a read-only disk", *arguments)


def _start(command: Sequence[str], memory: int, cpu_s: int, file_bytes: int) -> None:
    """The first process of the new namespaces becomes the command; does not return."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Through another process' entry in /proc its memory could be written to: only one's own are shown.
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    if libc.mount(b"proc", b"/proc", b"proc", flags, None) != 0:
        _checked(libc.mount, "hiding /proc", b"none", b"/proc", b"tmpfs", flags, b"size=64k,mode=555")
    _checked(libc.prctl, "no new rights", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for kind, most in (
        (resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 512),
    ):  # fmt: skip
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    os.execv(command[0], list(command))


def main(arguments: Sequence[str]) -> int:
    """FOLDER MEMORY CPU FILE COMMAND...: run the command shut in; its exit code, or NOT_SHUT_IN."""
    folder, memory, cpu_s, file_bytes, *command = arguments
    try:
        _shut_in(folder)
    except OSError as error:
        print(error, file=sys.stderr)
        return NOT_SHUT_IN
    child = os.fork()
    if child == 0:
        try:
            _start(command, int(memory), int(cpu_s), int(file_bytes))
        except OSError as error:
            print(error, file=sys.stderr)
        os._exit(NOT_SHUT_IN)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
