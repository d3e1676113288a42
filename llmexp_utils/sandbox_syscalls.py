"""Which system calls a confined program may make, as a filter that the kernel runs (seccomp, classic BPF).

What is not listed is refused with "operation not permitted": no sockets, no new processes or programs, no tracing, no
mounting, no namespaces, no modules, no io_uring. A few calls are allowed with certain arguments only: threads but no
processes, signals to itself alone, limits of its own. Threads made by ``clone3``, whose arguments a filter cannot see,
are refused as "not implemented", after which the C library makes them by ``clone``.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Sequence

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the tables below, and what the kernel calls the machine (AUDIT_ARCH)."""

# fmt: off
ALLOWED = {
    "brk": (12, 214), "madvise": (28, 233), "mincore": (27, 232), "mmap": (9, 222), "mprotect": (10, 226),
    "mremap": (25, 216), "msync": (26, 227), "munmap": (11, 215), "access": (21, None), "chdir": (80, 49),
    "chmod": (90, None), "close": (3, 57), "close_range": (436, 436), "copy_file_range": (326, 285),
    "creat": (85, None), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24), "faccessat": (269, 48),
    "faccessat2": (439, 439), "fadvise64": (221, 223), "fallocate": (285, 47), "fchdir": (81, 50),
    "fchmod": (91, 52), "fchmodat": (268, 53), "fdatasync": (75, 83), "flock": (73, 32), "fstat": (5, 80),
    "fstatfs": (138, 44), "fsync": (74, 82), "ftruncate": (77, 46), "getcwd": (79, 17), "getdents": (78, None),
    "getdents64": (217, 61), "lchown": (94, None), "link": (86, None), "linkat": (265, 37), "lseek": (8, 62),
    "lstat": (6, None), "mkdir": (83, None), "mkdirat": (258, 34), "newfstatat": (262, 79), "open": (2, None),
    "openat": (257, 56), "openat2": (437, 437), "pipe": (22, None), "pipe2": (293, 59), "pread64": (17, 67),
    "preadv": (295, 69), "preadv2": (327, 286), "pwrite64": (18, 68), "pwritev": (296, 70), "pwritev2": (328, 287),
    "read": (0, 63), "readlink": (89, None), "readlinkat": (267, 78), "readv": (19, 65), "rename": (82, None),
    "renameat": (264, 38), "renameat2": (316, 276), "rmdir": (84, None), "sendfile": (40, 71), "splice": (275, 76),
    "stat": (4, None), "statfs": (137, 43), "statx": (332, 291), "symlink": (88, None), "symlinkat": (266, 36),
    "tee": (276, 77), "truncate": (76, 45), "umask": (95, 166), "unlink": (87, None), "unlinkat": (263, 35),
    "utimensat": (280, 88), "write": (1, 64), "writev": (20, 66), "epoll_create": (213, None),
    "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_pwait": (281, 22), "epoll_wait": (232, None),
    "eventfd": (284, None), "eventfd2": (290, 19), "poll": (7, None), "ppoll": (271, 73), "pselect6": (270, 72),
    "select": (23, None), "timerfd_create": (283, 85), "timerfd_gettime": (287, 87), "timerfd_settime": (286, 86),
    "alarm": (37, None), "clock_getres": (229, 114), "clock_gettime": (228, 113), "clock_nanosleep": (230, 115),
    "getitimer": (36, 102), "gettimeofday": (96, 169), "nanosleep": (35, 101), "setitimer": (38, 103),
    "time": (201, None), "times": (100, 153), "futex": (202, 98), "get_robust_list": (274, 100),
    "membarrier": (324, 283), "rseq": (334, 293), "sched_getaffinity": (204, 123), "sched_yield": (24, 124),
    "set_robust_list": (273, 99), "set_tid_address": (218, 96), "arch_prctl": (158, None), "getcpu": (309, 168),
    "pause": (34, None), "restart_syscall": (219, 128), "rt_sigaction": (13, 134), "rt_sigpending": (127, 136),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigsuspend": (130, 133),
    "rt_sigtimedwait": (128, 137), "sigaltstack": (131, 132), "exit": (60, 93), "exit_group": (231, 94),
    "getegid": (108, 177), "geteuid": (107, 175), "getgid": (104, 176), "getgroups": (115, 158),
    "getpgid": (121, 155), "getpgrp": (111, None), "getpid": (39, 172), "getppid": (110, 173),
    "getpriority": (140, 141), "getrandom": (318, 278), "getresgid": (120, 150), "getresuid": (118, 148),
    "getrlimit": (97, 163), "getrusage": (98, 165), "getsid": (124, 156), "gettid": (186, 178),
    "getuid": (102, 174), "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126),
    "sched_getparam": (143, 121), "sched_getscheduler": (145, 120), "sysinfo": (99, 179), "uname": (63, 160),
    "wait4": (61, 260), "waitid": (247, 95),
}
"""Number of each call on x86_64 and aarch64; None where the machine has no such call."""
# fmt: on

JUDGE_ALLOWED = {"sendmsg": (46, 211)}
"""What the process that runs the tests needs besides: it hands pipes to the next program."""


CLONE, CLONE3 = (56, 220), (435, 435)
SIGNALS = {"kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131)}
FCNTL, IOCTL, PRCTL, PRLIMIT = (72, 25), (16, 29), (157, 167), (302, 261)

EXECUTING = {"execve": (59, 221)}
"""What programs need that are no Python: their process begins as a copy of Python."""

PARENT_ALLOWED = {
    "clone": (56, 220),
    "recvmsg": (47, 212),
    "seccomp": (317, 277),
    "setresuid": (117, 147),
    **SIGNALS,
}
"""What the parent of programs needs besides, and what each program gives up first (:func:`second_filter`)."""

CLONE_THREAD = 0x10000
FCNTL_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)  # not F_SETOWN and F_SETSIG: they signal others
IOCTL_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # terminal?, its size, bytes waiting, flags
PRCTL_OPTIONS = (15, 16, 0x53564D41)  # name of a thread, name of a mapping

ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in the kernel's description of a call
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06

SELF = 0x5E1F5E1F

Instruction = tuple[int, int, int, int]
REFUSE: Instruction = (RETURN, 0, 0, ERRNO | errno.EPERM)


def own_filter(pid: int, template: bytes) -> bytes:
    """Filter for one process, as the kernel takes it: of all, it may signal itself alone."""
    return template.replace(struct.pack("=I", SELF), struct.pack("=I", pid))


def second_filter() -> bytes:
    """Filter that takes back what a parent of programs was allowed besides; signals stay, in its own PID namespace."""
    column, _ = _machine()
    code: list[Instruction] = [(LOAD, 0, 0, NUMBER), *_threads_only(column)]
    for name in ("recvmsg", "seccomp", "setresuid"):
        code += [(EQUAL, 0, 1, PARENT_ALLOWED[name][column]), REFUSE]
    return _packed([*code, (RETURN, 0, 0, ALLOW)])


def filter_template(more: dict[str, tuple] | None = None) -> bytes:
    """Filter for any process, :data:`SELF` standing for its number.

    Parameters
    ----------
    more : dict, optional
        Calls that are allowed besides, in the form of :data:`ALLOWED`.

    Raises
    ------
    OSError
        If the machine is none of those whose calls are known here.
    """
    column, architecture = _machine()
    more = more or {}
    code: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER),
    ]
    if "clone" not in more:
        code += _threads_only(column)
    code += _when(CLONE3[column], [(RETURN, 0, 0, ERRNO | errno.ENOSYS)])
    for name, call in SIGNALS.items():
        if name not in more:
            code += _one_of(call[column], 0, (SELF,))
    code += _one_of(PRLIMIT[column], 0, (0,))
    code += _one_of(FCNTL[column], 1, FCNTL_COMMANDS)
    code += _one_of(IOCTL[column], 1, IOCTL_REQUESTS)
    code += _one_of(PRCTL[column], 0, PRCTL_OPTIONS)
    numbers = {pair[column] for pair in {**ALLOWED, **more}.values()} - {None}
    code += _search([n for n in range(max(numbers) + 2) if (n in numbers) != (n - 1 in numbers)])
    return _packed(code)


def _machine() -> tuple[int, int]:
    machine = platform.machine()
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"the system calls of {machine} are not known here")
    return MACHINES[machine]


def _packed(code: Sequence[Instruction]) -> bytes:
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def _threads_only(column: int) -> list[Instruction]:
    return _when(CLONE[column], [(LOAD, 0, 0, ARGUMENTS), (ANY_BIT, 0, 1, CLONE_THREAD), (RETURN, 0, 0, ALLOW)])


def _search(changes: Sequence[int], allowed: bool = False) -> list[Instruction]:
    """Binary search for a call in ranges: below ``changes[0]`` the answer is ``allowed``, and changes at each number.

    The kernel tries a new filter on every call there is, so a long list of comparisons would cost each program.
    """
    if not changes:
        return [(RETURN, 0, 0, ALLOW if allowed else ERRNO | errno.EPERM)]
    middle = len(changes) // 2
    below = _search(changes[:middle], allowed)
    above = _search(changes[middle + 1 :], allowed == (middle % 2 == 1))
    return [(AT_LEAST, len(below), 0, changes[middle]), *below, *above]


def _when(number: int, body: Sequence[Instruction]) -> list[Instruction]:
    """For one call, ``body``, and refusal if it does not return; all other calls pass by."""
    rest = [*body, REFUSE]
    return [(EQUAL, 0, len(rest), number), *rest]


def _one_of(number: int, argument: int, values: Sequence[int]) -> list[Instruction]:
    """Allow a call if an argument, as 32 bits, has one of these values."""
    body: list[Instruction] = [(LOAD, 0, 0, ARGUMENTS + 8 * argument)]
    for value in values:
        body += [(EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW)]
    return _when(number, body)
