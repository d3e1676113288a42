"""A process behind the boundary, as the study holds it: started, told how to set up, spoken to, ended as a whole."""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar, Self

from llmexp_utils.sandbox_job import Boundary, Limits, SandboxError
from llmexp_utils.sandbox_pipes import read_exactly, write_all

START_SECONDS = 60.0
HASH_SEED = "0"  # the order of a set of strings must not change a verdict from run to run
HOMES = 4  # a program's files together may be so many times as large as one of them
ROOT = Path(__file__).parents[1]
COMMAND = f"import sys; sys.path.append({str(ROOT)!r}); from llmexp_utils.{{}} import main; main()"
WEAKER = "accept a weaker boundary with the parameter boundary: "
ADVICE = {
    Boundary.FULL: f"allow user namespaces, or {WEAKER}confined",
    Boundary.CONFINED: f"use Linux 5.13 or newer, or, for programs that you trust, {WEAKER}limits",
    Boundary.LIMITS: "use Linux or macOS (on Windows: WSL)",
}


class Process:
    """One process behind the boundary and its children; a context that leaves nothing behind.

    ``core`` says on which of the processor's cores it runs, if it is one that should stay on one.

    Raises
    ------
    SandboxError
        If the system cannot give the boundary that is asked for.
    """

    module: ClassVar[str]
    """Whose ``main`` it runs."""

    def __init__(self, limits: Limits, core: int = 0) -> None:
        self.limits, self.core = limits, core
        self.layers: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Number of the process: another one after it had to be replaced."""
        return self._process.pid

    @property
    def input(self) -> int:
        """Descriptor that the process reads from."""
        return self._process.stdin.fileno()

    @property
    def output(self) -> int:
        """Descriptor that the process writes to."""
        return self._process.stdout.fileno()

    def setup(self) -> dict[str, Any]:
        """What the process is told first."""
        limits = self.limits
        bounds = {
            "seconds": limits.seconds,
            "cpu": math.ceil(limits.cpu),
            "memory": limits.memory_mb << 20,
            "file": limits.file_mb << 20,
            "home": HOMES * limits.file_mb,
            "processes": limits.processes,
            "output": limits.output_kb << 10,
        }
        return {"boundary": str(limits.boundary), "limits": bounds, "core": self.core}

    def start(self) -> None:
        """Start the process and wait until it has set up."""
        _require_system()
        boundary = self.limits.boundary
        home = "" if boundary == Boundary.FULL else tempfile.mkdtemp(prefix="sandbox-")
        try:
            self._life, held = os.pipe()
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-S", "-B", "-P", "-c", COMMAND.format(self.module)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                env={"PYTHONHASHSEED": HASH_SEED},
                pass_fds=[held],
                start_new_session=True,
            )
            os.close(held)
            self.send(self.setup() | {"home": home})
            answer = self.receive(START_SECONDS) or {"missing": "the worker does not answer"}
        except (OSError, EOFError) as error:
            raise SandboxError(f"the sandbox's worker ({sys.executable}) does not start: {error}") from None
        if "missing" in answer:
            self.stop()
            raise SandboxError(f"no {boundary} sandbox here ({answer['missing']}): {ADVICE[boundary]}")
        self.layers = answer["layers"]

    def stop(self) -> None:
        """End the process and all that it started."""
        process = self._process
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        self._wait_for(self._life, START_SECONDS)  # ends when the parent of programs is gone too
        os.close(self._life)

    def restart(self) -> None:
        """Another process in place of this one."""
        self.stop()
        self.start()

    def send(self, message: dict[str, Any]) -> None:
        """Say something."""
        data = json.dumps(message).encode()
        write_all(self.input, len(data).to_bytes(4, "little") + data)

    def receive(self, seconds: float) -> Any:
        """Next message; None if there is none in time."""
        if not self.wait(seconds):
            return None
        size = int.from_bytes(read_exactly(self.output, 4), "little")
        if not size:
            raise EOFError("no message")
        return json.loads(read_exactly(self.output, size))

    def wait(self, seconds: float) -> bool:
        """Whether the process says something, or ends, in time."""
        return self._wait_for(self.output, seconds)

    @staticmethod
    def _wait_for(pipe: int, seconds: float) -> bool:
        return bool(select.select([pipe], [], [], seconds)[0])


def _require_system() -> None:
    """Raise SandboxError where what the processes are made of does not exist."""
    try:
        from llmexp_utils import sandbox_java_worker, sandbox_worker  # noqa: F401
    except (ImportError, AttributeError, OSError) as error:
        raise SandboxError(f"no sandbox here ({error}): {ADVICE[Boundary.LIMITS]}") from None
