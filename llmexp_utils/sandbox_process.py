"""One program in one child process: start it, watch it, kill what is left of it.

:mod:`llmexp_utils.sandbox` is the module to use; it says what the sandbox does and what it does not do.
"""

from __future__ import annotations

import importlib.util
import marshal
import math
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path

CHUNK = 1 << 16
DETAIL = 300
POLL_SECONDS = 0.05
START_SECONDS = 60.0
CHILD = Path(__file__).with_name("sandbox_child.py")


class SandboxError(RuntimeError):
    """The sandbox itself cannot work here; says nothing about a program."""


class Verdict(StrEnum):
    """What became of a program.

    ``fail`` is an assertion of the test; ``error`` any other exception, an early exit or a crash; ``syntax``
    a program that does not compile.
    """

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    TIMEOUT = "timeout"
    SYNTAX = "syntax"


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    ``seconds`` is wall-clock time from the moment the interpreter is ready; ``cpu`` seconds of processor time
    of each process; ``memory_mb`` address space; ``file_mb`` size of a file it writes; ``processes`` the
    processes and threads that it may start; ``output_kb`` the part of its output that is kept (the end).
    """

    seconds: float = 5.0
    cpu: int = 4
    memory_mb: int = 512
    file_mb: int = 16
    processes: int = 32
    output_kb: int = 64

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not value > 0:
                raise ValueError(f"Limits.{field.name} is {value}: give a positive number")


@dataclass(frozen=True)
class Job:
    """A program, and the test that defines ``check(candidate)`` for the function ``entry_point``."""

    job_id: str
    program: str
    test: str
    entry_point: str


@dataclass(frozen=True)
class Outcome:
    """Verdict on a job, its reason in one line of at most 300 characters, and the seconds it ran."""

    job_id: str
    verdict: Verdict
    detail: str
    seconds: float


def require_platform() -> None:
    """Raise :class:`SandboxError` where the operating system lacks what the sandbox is made of."""
    needed = all(hasattr(os, name) for name in ("waitid", "killpg", "setsid"))
    if not (needed and importlib.util.find_spec("resource") and sys.executable):
        raise SandboxError("running generated programs needs Linux: use WSL, a container or a Linux machine")


def attempt(job: Job, limits: Limits) -> tuple[Outcome, bool]:
    """Outcome of one run, and whether only the wall clock ended it."""
    nonce = secrets.token_hex(16)
    bounds = {"cpu": math.ceil(limits.cpu), "processes": limits.processes}
    bounds |= {"memory": limits.memory_mb << 20, "file": limits.file_mb << 20}
    payload = marshal.dumps((nonce, bounds, (job.program, job.test, job.entry_point)))
    with _private_folder() as folder, _child(folder) as (process, channel):
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(payload)
        report = _watch(process, channel, nonce.encode(), limits)
    if report.verdict:
        verdict, detail = report.verdict, report.detail
    elif report.late:
        verdict, detail = Verdict.TIMEOUT, f"no end after {limits.seconds:g} s of wall-clock time"
    else:
        verdict, detail = _without_verdict(report, process.returncode, limits)
    return Outcome(job.job_id, Verdict(verdict), detail, round(report.seconds, 4)), report.late


@dataclass
class _Report:
    """What the parent learned about a child; ``verdict`` is empty when the child never gave one."""

    verdict: str = ""
    detail: str = ""
    output: bytes = b""
    seconds: float = 0.0
    late: bool = False


def _watch(process: subprocess.Popen, channel: int, nonce: bytes, limits: Limits) -> _Report:
    """Read from a child until its verdict, its end or the limit, whichever comes first."""
    report, ready, ended, heard = _Report(), False, False, b""
    start = time.monotonic()
    deadline = start + START_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(process.stdout, selectors.EVENT_READ)
        while not (report.verdict or report.late or ended):
            ended = _has_ended(process)  # asked before reading: its last words are in the pipes now
            pause = POLL_SECONDS if selector.get_map() else 0.001
            for key, _ in selector.select(0 if ended else pause):
                data = os.read(key.fd, CHUNK)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.fd == channel:
                    heard = (heard + data)[-2 * CHUNK :]
                else:
                    report.output = (report.output + data)[-1024 * limits.output_kb :]
            for word, detail in _messages(heard, nonce):
                if word != "ready":
                    report.verdict, report.detail = word, detail
                elif not ready:
                    ready, start = True, time.monotonic()
                    deadline = start + limits.seconds
            report.late = not (report.verdict or ended) and time.monotonic() >= deadline
    if not ready:
        reason = _last_line(report.output) or "no message"
        raise SandboxError(f"the child's interpreter ({sys.executable}) does not start: {reason}")
    report.seconds = time.monotonic() - start
    return report


def _messages(heard: bytes, nonce: bytes) -> list[tuple[str, str]]:
    """(word, detail) of every complete line that begins with the nonce."""
    lines = (line for line in heard.split(b"\n")[:-1] if line.startswith(nonce))
    parts = (line.decode("utf-8", "replace").split(" ", 2) for line in lines)
    return [(part[1], part[2] if len(part) > 2 else "") for part in parts]


@contextmanager
def _child(folder: str) -> Iterator[tuple[subprocess.Popen, int]]:
    """A waiting child and the pipe on which it reports; at the end its whole process group is killed."""
    receive, send = os.pipe()
    try:
        command = [sys.executable, "-I", "-S", "-B", str(CHILD), str(send)]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={},
                pass_fds=[send],
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"cannot start a child process: {error}") from error
        finally:
            os.close(send)
        try:
            yield process, receive
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # before wait(), which would free the number
            process.wait()
            process.stdin.close()
            process.stdout.close()
    finally:
        os.close(receive)


@contextmanager
def _private_folder() -> Iterator[str]:
    """A new folder that only this user can read, removed at the end whatever the program left in it."""
    folder = tempfile.TemporaryDirectory(prefix="sandbox-", ignore_cleanup_errors=True)
    try:
        yield folder.name
    finally:
        with suppress(OSError, RecursionError):  # recursion: folders nested by the thousand
            folder.cleanup()
        if os.path.exists(folder.name):  # killed processes may have written until now
            subprocess.run(["rm", "-rf", folder.name], stderr=subprocess.DEVNULL, check=False)
        if os.path.exists(folder.name):
            warnings.warn(f"could not remove {folder.name}", RuntimeWarning, stacklevel=2)


def _has_ended(process: subprocess.Popen) -> bool:
    """Whether the child has ended, leaving it unreaped so that its group can still be killed safely."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _without_verdict(report: _Report, status: int, limits: Limits) -> tuple[Verdict, str]:
    """What the end of a child means that gave no verdict."""
    killed_late = status == -signal.SIGKILL and report.seconds >= limits.cpu  # it had ignored SIGXCPU
    if status == -signal.SIGXCPU or killed_late:
        return Verdict.TIMEOUT, f"no end after {limits.cpu} s of processor time"
    cause = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    line = _last_line(report.output)
    return Verdict.ERROR, f"ended before its test did ({cause})" + (f": {line}" if line else "")


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return " ".join(lines[-1].split())[:DETAIL] if lines else ""
