"""What goes into the sandbox and what comes out: jobs, limits, boundaries, verdicts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Literal

from llmexp_utils.errors import StudyError

DETAIL = 300


class SandboxError(StudyError):
    """The sandbox itself cannot work here; says nothing about a program."""


class Boundary(StrEnum):
    """What stands between a program and the machine, from the strongest to the weakest.

    ``full``: namespaces (user, mount, PID, IPC, network), Landlock, seccomp and resource limits. ``confined``: the same
    without namespaces, which some containers forbid. ``limits``: resource limits alone, for systems without Landlock or
    seccomp; a program can read what the user can read, and use the network.
    """

    FULL = "full"
    CONFINED = "confined"
    LIMITS = "limits"


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
    """What one program may use, and the boundary that holds it.

    ``seconds`` is wall-clock time; ``cpu`` seconds of processor time; ``memory_mb`` address space; ``file_mb`` size of
    a file it writes, and of four times that of all its files; ``processes`` the threads that it may start (processes,
    where only resource limits hold); ``output_kb`` the part of its output that is kept (the end). The boundary is the
    one that must be there: a machine that cannot give it runs nothing.
    """

    seconds: float = 5.0
    cpu: int = 2
    memory_mb: int = 512
    file_mb: int = 16
    processes: int = 32
    output_kb: int = 64
    boundary: Boundary = Boundary.FULL

    def __post_init__(self) -> None:
        object.__setattr__(self, "boundary", Boundary(self.boundary))
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "boundary" and not value > 0:
                raise ValueError(f"Limits.{field.name} is {value}: give a positive number")


@dataclass(frozen=True)
class Job:
    """A program, and the test that defines ``check(candidate)`` for the function ``entry_point``.

    In Java the program is the class ``Solution``, with its imports, and the test the class ``Main``.
    """

    job_id: str
    program: str
    test: str
    entry_point: str
    language: Literal["python", "java"] = "python"


@dataclass(frozen=True)
class Outcome:
    """Verdict on a job, its reason in one line of at most 300 characters, and the seconds it ran."""

    job_id: str
    verdict: Verdict
    detail: str
    seconds: float
