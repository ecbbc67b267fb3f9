"""Shuts this process in and becomes another program:
`python -I -S shut_in.py FOLDER MEMORY CPU FILE PLACE... -- COMMAND...`.

Linux' namespaces: no network, no other process in sight, and a root folder of its own in which only the system's
programs, the PLACEs (read-only) and FOLDER are laid: a socket, a pipe or a terminal that lies elsewhere is reached by
being seen, also on a read-only disk. Beyond that the kernel gives it no socket of any kind (seccomp). Only the standard
library is imported, and little of it: the system gives new namespaces to a process of one thread only. Who calls it,
and with which limits, is in confinement.py.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
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
_MNT_DETACH = 2
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD, _AT_RECURSIVE, _ATTR_READ_ONLY = -100, 0x8000, 1
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_INSIDE_ID = 1000
_OLD_ROOT = "/.old-root"
# What programs need of the system; none of it is the person's own.
_SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
    "/etc/alternatives", "/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/localtime", "/etc/fonts",
    "/sys/devices/system/cpu", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
)  # fmt: skip
# The architecture as seccomp tells it, and the numbers of pivot_root, socket, connect: linux/audit.h, asm/unistd.h.
_MACHINES = {"x86_64": (0xC000003E, 155, 41, 42), "aarch64": (0xC00000B7, 41, 198, 203)}
# It opens and connects sockets past a filter; the same number everywhere.
_SYS_IO_URING_SETUP = 425
_X32_CALLS = 0x40000000
_ALLOWED, _REFUSED = 0x7FFF0000, 0x00050000 | errno.EACCES  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
_LOAD, _IS, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # of linux/bpf_common.h


class _Attributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "spread", "namespace"))


class _Step(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32))


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("steps", ctypes.POINTER(_Step)))


def _checked(call: Callable[..., int], what: str, *arguments: object) -> None:
    if call(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _machine() -> tuple[int, int, int, int]:
    if platform.machine() not in _MACHINES:
        raise OSError(errno.ENOSYS, f"the calls of a {platform.machine()} processor are not known here")
    return _MACHINES[platform.machine()]


def _leave(libc: ctypes.CDLL) -> None:
    """New namespaces for this process and its children. Raises OSError where the system refuses them."""
    user, group = os.getuid(), os.getgid()
    _checked(libc.unshare, "unshare", _NAMESPACES)
    Path("/proc/self/setgroups").write_text("deny")
    # Not as root, not even within: all rights over the namespaces go when the program is started.
    Path("/proc/self/uid_map").write_text(f"{_INSIDE_ID} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{_INSIDE_ID} {group} 1")
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _change_root(libc: ctypes.CDLL, folder: str, places: Sequence[str]) -> None:
    """A root in memory with what the program needs of the disk; everything else is gone. Raises OSError."""
    mount, libraries = libc.mount, _libraries()
    _checked(mount, "private mounts", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    # Over the folder, since that is there; with the change of root it moves away from it again.
    _checked(mount, "a new root", b"none", os.fsencode(folder), b"tmpfs", _MS_NOSUID, b"size=1m,mode=755")
    Path(folder + _OLD_ROOT).mkdir()
    _checked(libc.syscall, "pivot_root", _machine()[1], os.fsencode(folder), os.fsencode(folder + _OLD_ROOT))
    os.chdir("/")
    # Folders before what lies in them, which then is there already.
    for path in (*_SYSTEM, *sorted({*places, *libraries}, key=len)):
        _lay(libc, path)
    Path(folder).mkdir(parents=True, exist_ok=True)
    place = os.fsencode(folder)
    _checked(mount, "the folder", os.fsencode(_OLD_ROOT + folder), place, None, _MS_BIND | _MS_REC, None)
    for path in ("/proc", "/tmp", "/dev/shm"):
        Path(path).mkdir(parents=True, exist_ok=True)
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    # Of another process' entries in /proc its memory could be written to: only one's own are shown, or none.
    mount(b"proc", b"/proc", b"proc", flags, None)
    _checked(libc.umount2, "leaving the old root", os.fsencode(_OLD_ROOT), _MNT_DETACH)
    Path(_OLD_ROOT).rmdir()
    _set_read_only(libc, b"/", _AT_RECURSIVE, True)
    _set_read_only(libc, place, 0, False)
    os.chdir(folder)


def _libraries() -> list[str]:
    """The folders of the libraries of this interpreter, wherever the system keeps them."""
    with Path("/proc/self/maps").open(encoding="utf-8", errors="surrogateescape") as told:
        found = {line.rstrip("\n").split(maxsplit=5)[-1] for line in told if ".so" in line and " /" in line}
    return sorted({str(Path(path).parent) for path in found})


def _lay(libc: ctypes.CDLL, path: str) -> None:
    """Show `path` of the old root in the new one: a link as a link, a folder or file as a mount."""
    old, new = Path(_OLD_ROOT + path), Path(path)
    if os.path.lexists(new) or not os.path.lexists(old):
        return
    new.parent.mkdir(parents=True, exist_ok=True)
    if old.is_symlink():
        new.symlink_to(old.readlink())
        _lay(libc, os.path.normpath(new.parent / new.readlink()))
        return
    if old.is_dir():
        new.mkdir()
    else:
        new.touch()
    _checked(libc.mount, f"showing {path}", bytes(old), bytes(new), None, _MS_BIND | _MS_REC, None)


def _set_read_only(libc: ctypes.CDLL, place: bytes, flags: int, shut: bool) -> None:
    told = _Attributes(_ATTR_READ_ONLY if shut else 0, 0 if shut else _ATTR_READ_ONLY, 0, 0)
    arguments = (_SYS_MOUNT_SETATTR, _AT_FDCWD, place, flags, ctypes.byref(told), ctypes.c_size_t(ctypes.sizeof(told)))
    _checked(libc.syscall, "a read-only disk", *arguments)


def _refuse_sockets(libc: ctypes.CDLL) -> None:
    """No socket of any family from here on: those of a virtual machine's host know no namespaces. Raises OSError."""
    architecture, _, *calls = _machine()
    refused = (*calls, _SYS_IO_URING_SETUP)
    steps = [
        (_LOAD, 0, 0, 4),  # the architecture: a program of 32 bits has other numbers
        (_IS, 0, len(refused) + 3, architecture),
        (_LOAD, 0, 0, 0),  # the number of the call
        (_AT_LEAST, len(refused) + 1, 0, _X32_CALLS),
        *((_IS, len(refused) - at, 0, call) for at, call in enumerate(refused)),
        (_RETURN, 0, 0, _ALLOWED),
        (_RETURN, 0, 0, _REFUSED),
    ]
    program = (_Step * len(steps))(*(_Step(*step) for step in steps))
    told = _Filter(len(steps), ctypes.cast(program, ctypes.POINTER(_Step)))
    _checked(libc.prctl, "seccomp", _PR_SET_SECCOMP, 2, ctypes.byref(told), 0, 0)


def _start(folder: str, limits: Sequence[int], places: Sequence[str], command: Sequence[str]) -> None:
    """The first process of the new namespaces becomes the command; does not return. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _change_root(libc, folder, places)
    _checked(libc.prctl, "no new rights", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    memory, cpu_s, file_bytes = limits
    for kind, most in (
        (resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 512),
    ):  # fmt: skip
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    _refuse_sockets(libc)
    os.execv(command[0], list(command))


def main(arguments: Sequence[str]) -> int:
    """FOLDER MEMORY CPU FILE PLACE... -- COMMAND...: run the command shut in; its exit code, or NOT_SHUT_IN."""
    end = arguments.index("--")
    folder, *limits = arguments[:4]
    places, command = arguments[4:end], arguments[end + 1 :]
    try:
        _leave(ctypes.CDLL(None, use_errno=True))
    except OSError as error:
        print(error, file=sys.stderr)
        return NOT_SHUT_IN
    child = os.fork()
    if child == 0:
        try:
            _start(folder, [int(limit) for limit in limits], places, command)
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
        os._exit(NOT_SHUT_IN)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
