"""What the Linux kernel offers to confine a process, and Python does not: by way of the C library.

Namespaces and mounts (``unshare``, ``mount``, ``pivot_root``), Landlock, seccomp, capabilities. Every function raises
OSError with the name of the call that failed. Nothing here decides anything; :mod:`llmexp_utils.sandbox_layers` does.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterable

NEW_MOUNT, NEW_UTS, NEW_IPC, NEW_USER = 0x00020000, 0x04000000, 0x08000000, 0x10000000
NEW_PID, NEW_NET = 0x20000000, 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x1, 0x2, 0x4, 0x8
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
DETACH = 2
AT_FDCWD, AT_RECURSIVE = -100, 0x8000

NO_NEW_PRIVS, PARENT_DEATH_SIGNAL, DUMPABLE = 38, 1, 4
SECCOMP_FILTER = 1

PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
SECCOMP = {"x86_64": 317, "aarch64": 277}
CAPSET = {"x86_64": 126, "aarch64": 91}
MOUNT_SETATTR, LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 442, 444, 445, 446
CAPABILITIES_3 = 0x20080522

READ_FILES = 0b1101  # execute (map as code), read a file, list a folder
CHANGE_FILES = 0b1_0101_1011_1110  # all but execute, make a device, make a socket
DEVICE_FILE = 0b110  # write, read

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def _syscall(name: str, number: int, *arguments: object) -> int:
    return _checked(name, _libc.syscall(ctypes.c_long(number), *arguments))


def unshare(flags: int) -> None:
    """Move into new namespaces."""
    _checked("unshare", _libc.unshare(flags))


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Mount ``source`` on the folder or file ``target``."""
    text = (part.encode() if part is not None else None for part in (source, target, kind))
    _checked("mount", _libc.mount(*text, ctypes.c_ulong(flags), options.encode() or None))


def protect_mount(path: str, flags: int, below: bool = False) -> None:
    """Add ``MS_RDONLY`` and the like to a mount, and to those below it; flags it has are kept."""
    attributes = struct.pack("=QQQQ", flags, 0, 0, 0)
    how = AT_RECURSIVE if below else 0
    _syscall("mount_setattr", MOUNT_SETATTR, AT_FDCWD, path.encode(), how, attributes, ctypes.c_size_t(32))


def unmount(path: str) -> None:
    """Take a mount out of the tree, also while it is in use."""
    _checked("umount2", _libc.umount2(path.encode(), DETACH))


def change_root(folder: str) -> None:
    """Make a mounted folder the root; the old tree is gone."""
    os.chdir(folder)
    _syscall("pivot_root", PIVOT_ROOT[platform.machine()], b".", b".")
    unmount(".")
    os.chdir("/")


def set_flag(option: int, value: int) -> None:
    """``prctl`` with one number."""
    _checked("prctl", _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def landlock_version() -> int:
    """Version of the kernel's Landlock; 0 where there is none."""
    try:
        return _syscall("landlock", LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    except OSError:
        return 0


def landlock_rules(readable: Iterable[str], writable: Iterable[str], devices: Iterable[str]) -> int:
    """Descriptor of a set of rules: paths and what may be done below them; everything else is denied.

    Connections by TCP, signals and abstract sockets to the outside are denied too where the kernel knows how.
    """
    version = landlock_version()
    files = (1 << (13 + (version >= 2) + (version >= 3))) - 1 | (1 << 15 if version >= 5 else 0)
    network, scopes = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    handled = struct.pack("=QQQ", files, network, scopes)
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = _syscall("landlock_create_ruleset", LANDLOCK_CREATE, handled, ctypes.c_size_t(size), 0)
    change = (CHANGE_FILES | 0b110_0000_0000_0000) & files  # moving between folders, truncating
    for paths, access in ((readable, READ_FILES), (writable, change), (devices, DEVICE_FILE)):
        for path in paths:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            rule = struct.pack("=Qi", access, place)
            _syscall("landlock_add_rule", LANDLOCK_ADD, rules, 1, rule, 0)
            os.close(place)
    return rules


def landlock_restrict(rules: int) -> None:
    """Put this process under the rules, for good; it needs ``NO_NEW_PRIVS``."""
    _syscall("landlock_restrict_self", LANDLOCK_RESTRICT, rules, 0)


def drop_capabilities() -> None:
    """Give up every capability that this process has or could raise."""
    head, none = struct.pack("=Ii", CAPABILITIES_3, 0), bytes(24)
    _syscall("capset", CAPSET[platform.machine()], head, none)


class Filter:
    """A filter of system calls, ready to be installed: a child that does it should touch little memory."""

    def __init__(self, program: bytes) -> None:
        self._code = ctypes.create_string_buffer(program, len(program))
        self._head = struct.pack("@HP", len(program) // 8, ctypes.addressof(self._code))
        self._call = (ctypes.c_long(SECCOMP[platform.machine()]), SECCOMP_FILTER, 0, self._head)

    def install(self) -> None:
        """Put this process under the filter, for good; it needs ``NO_NEW_PRIVS``."""
        _checked("seccomp", _libc.syscall(*self._call))
