"""The layers of the boundary, put together: where a worker lives, what its programs and its judge may do.

Standard library alone, and little of it: a child of the worker's process starts with everything that is loaded here.
"""

from __future__ import annotations

import os
import resource
import sys
import sysconfig
from collections.abc import Sequence

from llmexp_utils import sandbox_kernel as kernel
from llmexp_utils.sandbox_syscalls import (
    EXECUTING,
    JUDGE_ALLOWED,
    PARENT_ALLOWED,
    filter_template,
    own_filter,
    second_filter,
)

NOBODY = 65534
OPEN_FILES = 64
INODES = 1024
WORKERS_OWN = 3  # judge, parent and program count too, where they are one user
HOME, AROUND = "/tmp/program", "/tmp"
"""Home of programs in its own root. Landlock's rule is for the folder around it, which is there before the home is."""
NULL = os.devnull
MOUNT_POINT = "/proc"  # exists everywhere; the new root hides it for good
LIBRARIES = ("/lib", "/lib64", "/lib32", "/usr/lib", "/usr/lib64")


class Layers:
    """What confines a worker's programs.

    Attributes
    ----------
    home : str
        The only folder that a program may write to.
    names : list of str
        The layers that are on, for people.
    namespaces : bool
        Whether programs live in namespaces of their own.
    user : int or None
        User that programs become.
    rules : int
        Descriptor of the Landlock rules; -1 without Landlock.
    filter, parent_filter : bytes
        Templates of the filters of system calls, of programs and of their parent.
    second : Filter or None
        With namespaces programs share their parent's filter, and install only this small one.
    """

    def __init__(self, home: str) -> None:
        self.home, self.names, self.namespaces = home, [], False
        self.user: int | None = None
        self.rules, self.filter, self.parent_filter = -1, b"", b""
        self.second: kernel.Filter | None = None


def enter(boundary: str, home: str, readable: Sequence[str] = (), execute: bool = False) -> Layers:
    """Put this process where programs will run.

    Parameters
    ----------
    boundary : {"full", "confined", "limits"}
        See :class:`llmexp_utils.sandbox_job.Boundary`.
    home : str
        Private folder; not used with namespaces, which bring their own.
    readable : sequence of str
        Folders that programs may read besides Python's and the system's libraries.
    execute : bool
        Whether programs may replace themselves by another one, as those do that are no Python.

    Raises
    ------
    OSError
        If a layer is missing: the message names it.
    """
    layers = Layers(home)
    folders = _needed(readable)
    if boundary == "full":
        layers.user = _enter_namespaces(folders)
        layers.home, layers.namespaces = HOME, True
        layers.names.append("namespaces (user, mount, PID, IPC, network)")
    if boundary != "limits":
        version = kernel.landlock_version()
        if not version:
            raise OSError("no Landlock")
        writable = AROUND if layers.namespaces else layers.home
        layers.rules = kernel.landlock_rules(folders, [writable], [NULL])
        more = EXECUTING if execute else {}
        layers.parent_filter = filter_template({**PARENT_ALLOWED, **more})
        layers.filter, layers.second = filter_template(more), kernel.Filter(second_filter())
        layers.names += [f"Landlock {version}", "seccomp"]
    layers.names.append("resource limits")
    return layers


def make_home(layers: Layers, size_mb: int) -> None:
    """The home of programs: a file system in memory where there are namespaces."""
    if layers.namespaces:
        flags = kernel.MS_NOSUID | kernel.MS_NODEV
        kernel.mount("tmpfs", HOME, "tmpfs", flags, f"size={size_mb}m,nr_inodes={INODES},mode=1777")
    else:
        os.makedirs(layers.home, 0o700, exist_ok=True)


def remove_below(folder: str) -> None:
    """Remove all that is in a folder, however deep and whatever its permissions."""
    levels = 0
    os.chdir(folder)
    while True:
        inner = None
        for name in os.listdir("."):
            if os.path.isdir(name) and not os.path.islink(name):
                os.chmod(name, 0o700)
                inner = inner or name
            else:
                os.unlink(name)
        if inner:
            os.chdir(inner)
            levels += 1
        elif levels:
            here = os.stat(".").st_ino
            os.chdir("..")
            levels -= 1
            os.rmdir(next(name for name in os.listdir(".") if os.lstat(name).st_ino == here))
        else:
            return


def confine_parent(layers: Layers, limits: dict[str, int]) -> None:
    """Give up what neither programs nor their parent may have: children inherit it, at no cost.

    Parameters
    ----------
    layers : Layers
        From :func:`enter`.
    limits : dict
        ``cpu`` (seconds), ``memory`` and ``file`` (bytes), ``processes``.
    """
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_FSIZE, limits["file"])
    lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    lower(resource.RLIMIT_AS, limits["memory"])
    lower(resource.RLIMIT_NPROC, limits["processes"] + (WORKERS_OWN if layers.namespaces else _tasks_of_user()))
    if not layers.namespaces:
        return  # it has the home to remove at the end, which its programs must not
    if layers.user is None:
        kernel.drop_capabilities()
    else:
        os.setgroups([])
        os.setresgid(layers.user, layers.user, layers.user)
    _restrict(layers, layers.parent_filter)


def confine_program(layers: Layers, limits: dict[str, int]) -> None:
    """Give up everything else that a program must not have; there is no way back."""
    lower(resource.RLIMIT_CPU, limits["cpu"], limits["cpu"] + 1)  # SIGXCPU first; SIGKILL if that is ignored
    if layers.user is not None:
        os.setresuid(layers.user, layers.user, layers.user)  # which drops all capabilities
    if layers.namespaces:
        layers.second.install()
    elif layers.rules >= 0:
        kernel.drop_capabilities()
        _restrict(layers, layers.filter)


def confine_judge(layers: Layers, memory: int) -> None:
    """Give up what the process that runs the tests does not need."""
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_AS, memory)
    if layers.rules >= 0:
        kernel.drop_capabilities()
        _restrict(layers, filter_template(JUDGE_ALLOWED))


def _restrict(layers: Layers, template: bytes) -> None:
    kernel.set_flag(kernel.NO_NEW_PRIVS, 1)
    kernel.landlock_restrict(layers.rules)
    kernel.Filter(own_filter(os.getpid(), template)).install()


def lower(kind: int, soft: int, hard: int | None = None) -> None:
    """Set a resource limit, or keep the present one where that is already lower."""
    ceiling = resource.getrlimit(kind)[1]
    wanted = soft if hard is None else hard
    hard = wanted if ceiling == resource.RLIM_INFINITY else min(wanted, ceiling)
    try:
        resource.setrlimit(kind, (min(soft, hard), hard))
    except ValueError:
        if sys.platform == "linux":  # elsewhere some limits exist by name only
            raise


def _enter_namespaces(readable: Sequence[str]) -> int | None:
    """New namespaces with a root of their own; children are in a PID namespace. Returns the user for programs."""
    user, group = os.geteuid(), os.getegid()
    flags = kernel.NEW_USER | kernel.NEW_MOUNT | kernel.NEW_IPC | kernel.NEW_NET | kernel.NEW_UTS | kernel.NEW_PID
    if user:
        kernel.unshare(flags)
        _map_ids("self", f"0 {user} 1", f"0 {group} 1")
    else:  # root is exempt from the limit on processes: programs become somebody else, whom only root can map
        both = f"0 0 1\n{NOBODY} {NOBODY} 1"
        ready, go = os.pipe()
        helper = os.fork()
        if not helper:
            _map_when_told(ready, go, both)
        os.close(ready)
        kernel.unshare(flags)
        os.write(go, b"1")
        os.close(go)
        if os.waitpid(helper, 0)[1]:
            raise OSError("no map of users for a namespace")
    _enter_root(readable)
    return None if user else NOBODY


def _map_when_told(ready: int, go: int, ids: str) -> None:
    """A helper outside maps the users of its parent's new namespace, then ends."""
    status = 1
    try:
        os.close(go)
        if os.read(ready, 1):
            _map_ids(str(os.getppid()), ids, ids)
            status = 0
    finally:
        os._exit(status)


def _map_ids(process: str, users: str, groups: str) -> None:
    for name, text in (("setgroups", "allow" if "\n" in groups else "deny"), ("uid_map", users), ("gid_map", groups)):
        with open(f"/proc/{process}/{name}", "w") as file:
            file.write(text)


def _enter_root(readable: Sequence[str]) -> None:
    """A root in memory that holds these folders, ``/dev/null``, a place for a home, and nothing else."""
    protected = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    links = {path: os.readlink(path) for path in LIBRARIES if os.path.islink(path)}
    kernel.mount("tmpfs", MOUNT_POINT, "tmpfs", protected, "size=1m,mode=755")
    for path, target in links.items():
        _make_folder(os.path.dirname(path))
        os.symlink(target, MOUNT_POINT + path)
    for path in readable:
        if path not in links:
            _make_folder(path)
            kernel.mount(path, MOUNT_POINT + path, None, kernel.MS_BIND | kernel.MS_REC)
            kernel.protect_mount(MOUNT_POINT + path, kernel.MS_RDONLY | protected, below=True)
    _make_folder("/dev")
    _make_folder(HOME)
    os.close(os.open(MOUNT_POINT + NULL, os.O_CREAT, 0o644))
    kernel.mount(NULL, MOUNT_POINT + NULL, None, kernel.MS_BIND)
    kernel.protect_mount(MOUNT_POINT + NULL, kernel.MS_NOSUID | kernel.MS_NOEXEC)
    kernel.change_root(MOUNT_POINT)
    kernel.protect_mount("/", kernel.MS_RDONLY)


def _make_folder(path: str) -> None:
    os.makedirs(MOUNT_POINT + path, 0o755, exist_ok=True)


def _needed(more: Sequence[str]) -> list[str]:
    """Folders that Python needs, its own library and those of the system, and some more; none inside another one."""
    own = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    own += [os.path.join(prefix, "lib") for prefix in (sys.base_prefix, sys.base_exec_prefix)]
    found: list[str] = []
    for path in sorted({*LIBRARIES, *own, *more}, key=len):
        inside = any(path.startswith(f"{outer}/") for outer in found)
        if os.path.isdir(path) and not inside:
            found.append(path)
    return found


def _tasks_of_user() -> int:
    """Threads that the user runs now: without a namespace the kernel counts all of them against the limit."""
    user, tasks = os.getuid(), 0
    for name in os.listdir("/proc") if user and os.path.isdir("/proc") else []:
        if name.isdigit():
            try:
                status = os.stat(f"/proc/{name}/task")
            except OSError:
                continue  # has ended meanwhile
            tasks += status.st_nlink - 2 if status.st_uid == user else 0
    return tasks
