"""Java programs in the sandbox: the study's side of a warm compiler and of a runner.

A job has the shape of HumanEval-X (Zheng et al. 2023, arXiv 2303.17568): a class ``Solution``, and a class ``Main``
whose ``main`` throws where the solution is wrong. Other classes of the default package are refused: one that is called
like a library's would take its place in the test. Program and test share a Java machine, so unlike in Python an object
that a solution returns is asked itself whether it equals what is expected. An early exit is no pass.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import filelock

from llmexp_utils.paths import cache_dir
from llmexp_utils.sandbox_job import DETAIL, Job, Limits, Outcome, SandboxError, Verdict
from llmexp_utils.sandbox_pipes import read_exactly, write_all
from llmexp_utils.sandbox_pool import Worker
from llmexp_utils.sandbox_process import Process

OLDEST = 17
SOURCES = Path(__file__).with_name("java")
MACHINE = ("-Xshare:auto", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:CICompilerCount=1", "-XX:TieredStopAtLevel=1")
ADDRESSES = 16 << 30  # bytes; a Java machine reserves far more than it uses: its heap is what is limited
THREADS = 64
COMPILER_SECONDS = 30.0
OWN = ("Solution", "Main")


def find_jdk() -> Path:
    """Home of a Java development kit, by ``JAVA_HOME`` or ``PATH``.

    Raises
    ------
    SandboxError
        If there is none, or it is too old.
    """
    named = os.environ.get("JAVA_HOME")
    found = Path(named) / "bin/javac" if named else shutil.which("javac")
    if not found or not Path(found).exists():
        raise SandboxError(f"no Java compiler: install a JDK {OLDEST} or newer, or set JAVA_HOME")
    home = Path(found).resolve().parents[1]
    release = home / "release"
    facts = dict(line.split("=", 1) for line in release.read_text().splitlines() if "=" in line)
    version = facts.get("JAVA_VERSION", "0").strip('"')
    if int(version.split(".")[0]) < OLDEST:
        raise SandboxError(f"{home} is Java {version}: install a JDK {OLDEST} or newer, or set JAVA_HOME")
    return home


class JavaWorker:
    """A compiler and a runner; a context that leaves nothing behind. Same use as :class:`Worker`.

    Raises
    ------
    SandboxError
        If there is no JDK, or the system cannot give the boundary.
    """

    def __init__(self, limits: Limits, core: int = 0) -> None:
        home = find_jdk()
        classes = _harness(home)
        readable = [str(home), *_settings(home), str(classes)]
        java = [str(home / "bin/java"), *MACHINE]
        heap = f"-Xmx{limits.memory_mb}m"
        self.limits = limits
        self._runner = _Runner(limits, [*java, heap, "-cp", f"{classes}:.", "Run"], readable)
        self._compiler = _Compiler(limits, [*java[:4], "-Xmx512m", "-cp", str(classes), "Compiler"], readable)

    def __enter__(self) -> Self:
        self._runner.start()
        self._compiler.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._compiler.stop()
        self._runner.stop()

    @property
    def layers(self) -> list[str]:
        """What confines programs."""
        return self._runner.layers

    def run(self, job: Job) -> tuple[Outcome, bool]:
        """Outcome of one job, and whether the machine may be to blame for it: only the wall clock ended it."""
        start = time.monotonic()
        try:
            classes = self._compiler.compile(f"{job.program}\n{job.test}\n")
        except CompileError as error:
            seconds = round(time.monotonic() - start, 4)
            return Outcome(job.job_id, Verdict.SYNTAX, str(error)[:DETAIL], seconds), False
        strange = [name for name in classes if name.split("$")[0] not in OWN]
        if strange:
            return Outcome(job.job_id, Verdict.ERROR, f"it defines the class {strange[0]}"[:DETAIL], 0.0), False
        packed = {name: base64.b64encode(content).decode() for name, content in classes.items()}
        return self._runner.judged(job.job_id, {"classes": packed})


class CompileError(Exception):
    """What the compiler said, on one line."""


class _Java(Process):
    """A process of :mod:`llmexp_utils.sandbox_java_worker`."""

    module: ClassVar[str] = "sandbox_java_worker"
    role: ClassVar[str]

    def __init__(self, limits: Limits, command: Sequence[str], readable: Sequence[str]) -> None:
        super().__init__(limits)
        self.command, self.readable = list(command), list(readable)

    def setup(self) -> dict[str, Any]:
        bounds = super().setup()
        bounds["limits"] |= {"memory": ADDRESSES, "processes": max(THREADS, self.limits.processes)}
        libraries = {"LD_LIBRARY_PATH": f"{Path(self.command[0]).parents[1]}/lib"}  # which it finds by /proc elsewhere
        return bounds | {
            "role": self.role,
            "command": self.command,
            "environment": libraries,
            "readable": self.readable,
        }


class _Runner(_Java, Worker):
    """Runs compiled programs."""

    role: ClassVar[str] = "run"


class _Compiler(_Java):
    """Compiles programs."""

    role: ClassVar[str] = "compile"

    def setup(self) -> dict[str, Any]:
        bounds = super().setup()
        bounds["limits"]["cpu"] = 1 << 30  # it lives as long as the study
        return bounds

    def compile(self, source: str) -> dict[str, bytes]:
        """Classes by name; a compiler that does not answer is replaced."""
        text = source.encode("utf-8", "replace")
        try:
            write_all(self.input, len(text).to_bytes(4, "big") + text)
            if not self.wait(COMPILER_SECONDS):
                raise EOFError(f"no answer in {COMPILER_SECONDS:g} s")
            count = self._number()
            if count < 0:
                raise CompileError(" ".join(self._bytes().decode("utf-8", "replace").split()))
            return {self._bytes().decode(): self._bytes() for _ in range(count)}
        except (OSError, EOFError) as error:
            self.restart()
            raise CompileError(f"the compiler ended or did not answer: {error}") from None

    def _number(self) -> int:
        data = read_exactly(self.output, 4)
        if len(data) < 4:
            raise EOFError("no answer")
        return int.from_bytes(data, "big", signed=True)

    def _bytes(self) -> bytes:
        return read_exactly(self.output, self._number())


def _harness(home: Path) -> Path:
    """Folder of our own classes, compiled once for a JDK into the user's cache."""
    sources = sorted(SOURCES.glob("*.java"))
    content = hashlib.sha256(b"".join(path.read_bytes() for path in sources) + (home / "release").read_bytes())
    folder = cache_dir() / "java" / content.hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{folder}.lock"):
        if not folder.exists():
            made = folder.with_suffix(".new")
            command = [str(home / "bin/javac"), "-d", str(made), *map(str, sources)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SandboxError(f"{home}: javac fails: {done.stderr.splitlines()[:1]}")
            os.replace(made, folder)
    return folder


def _settings(home: Path) -> list[str]:
    """Folders outside a JDK that its settings are linked to, as Debian's are."""
    links = [path.resolve() for path in (home / "conf").rglob("*") if path.is_symlink()]
    return sorted({str(path if path.is_dir() else path.parent) for path in links if path.exists()})
