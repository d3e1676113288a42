"""The study's side of the sandbox: workers are started, given one job at a time, watched, and replaced if they hang."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self, TypeVar

from llmexp_utils.sandbox_job import DETAIL, Boundary, Job, Limits, Outcome, SandboxError, Verdict
from llmexp_utils.sandbox_pipes import read_exactly, write_all

Key = TypeVar("Key")

START_SECONDS = 60.0
GRACE_SECONDS = 5.0
HASH_SEED = "0"  # the order of a set of strings must not change a verdict from run to run
ROOT = Path(__file__).parents[1]
COMMAND = f"import sys; sys.path.append({str(ROOT)!r}); from llmexp_utils.sandbox_worker import main; main()"
HOMES = 4  # a program's files together may be so many times as large as one of them
WEAKER = "accept a weaker boundary with the parameter boundary: "
ADVICE = {
    Boundary.FULL: f"allow user namespaces, or {WEAKER}confined",
    Boundary.CONFINED: f"use Linux 5.13 or newer, or, for programs that you trust, {WEAKER}limits",
    Boundary.LIMITS: "use Linux or macOS (on Windows: WSL)",
}


class Worker:
    """One worker process and its programs; a context that leaves nothing behind.

    Raises
    ------
    SandboxError
        If the system cannot give the boundary that is asked for.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.layers: list[str] = []

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop()

    @property
    def pid(self) -> int:
        """Number of the worker's process: another one after it had to be replaced."""
        return self._process.pid

    def run(self, job: Job) -> tuple[Outcome, bool]:
        """Outcome of one job, and whether the machine may be to blame for it: only the wall clock ended it."""
        start = time.monotonic()
        try:
            self._send({"program": job.program, "test": job.test, "entry_point": job.entry_point})
            report = self._receive(self.limits.seconds + GRACE_SECONDS)
        except (OSError, EOFError, ValueError) as error:
            self._stop()
            self._start()
            seconds = round(time.monotonic() - start, 4)
            return Outcome(job.job_id, Verdict.ERROR, f"its judge ended: {error}"[:DETAIL], seconds), True
        if report is None:  # a test that cannot be interrupted
            self._stop()
            self._start()
            report = {"verdict": "late", "detail": "", "seconds": self.limits.seconds, "status": 0}
        return self._outcome(job.job_id, report), report["verdict"] == "late"

    def _outcome(self, job_id: str, report: dict[str, Any]) -> Outcome:
        verdict, detail = report["verdict"], report["detail"]
        if verdict == "late":
            verdict, detail = Verdict.TIMEOUT, f"no end after {self.limits.seconds:g} s of wall-clock time"
        elif verdict == "ended":
            verdict, detail = self._how_it_ended(report["status"], report["cpu"], detail)
        clean = " ".join(detail.encode("utf-8", "backslashreplace").decode().split())[:DETAIL]
        return Outcome(job_id, Verdict(verdict), clean, round(report["seconds"], 4))

    def _how_it_ended(self, status: int, cpu: float, said: str) -> tuple[Verdict, str]:
        """What the end of a program means that gave no answer; ``status`` is that of ``waitpid``."""
        code = os.waitstatus_to_exitcode(status)
        if -code == signal.SIGXCPU or (-code == signal.SIGKILL and cpu >= self.limits.cpu):  # it ignored SIGXCPU
            return Verdict.TIMEOUT, f"no end after {self.limits.cpu} s of processor time"
        cause = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return Verdict.ERROR, f"ended before its test did ({cause})" + (f": {said}" if said else "")

    def _start(self) -> None:
        _require_system()
        self._home, boundary = None, self.limits.boundary
        if boundary != Boundary.FULL:
            self._home = tempfile.mkdtemp(prefix="sandbox-")
        try:
            self._life, held = os.pipe()
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-S", "-B", "-P", "-c", COMMAND],
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
            self._send({"boundary": str(boundary), "home": self._home or "", "limits": self._bounds()})
            answer = self._receive(START_SECONDS) or {"missing": "the worker does not answer"}
        except (OSError, EOFError) as error:
            raise SandboxError(f"the sandbox's worker ({sys.executable}) does not start: {error}") from None
        if "missing" in answer:
            self._stop()
            raise SandboxError(f"no {boundary} sandbox here ({answer['missing']}): {ADVICE[boundary]}")
        self.layers = answer["layers"]

    def _bounds(self) -> dict[str, float]:
        limits = self.limits
        return {
            "seconds": limits.seconds,
            "cpu": math.ceil(limits.cpu),
            "memory": limits.memory_mb << 20,
            "file": limits.file_mb << 20,
            "home": HOMES * limits.file_mb,
            "processes": limits.processes,
            "output": limits.output_kb << 10,
        }

    def _stop(self) -> None:
        process = self._process
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        select.select([self._life], [], [], START_SECONDS)  # ends when the parent of programs is gone too
        os.close(self._life)

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode()
        write_all(self._process.stdin.fileno(), len(data).to_bytes(4, "little") + data)

    def _receive(self, seconds: float) -> Any:
        """Next message; None if there is none in time."""
        pipe = self._process.stdout.fileno()
        if not select.select([pipe], [], [], seconds)[0]:
            return None
        size = int.from_bytes(read_exactly(pipe, 4), "little")
        if not size:
            raise EOFError("no message")
        return json.loads(read_exactly(pipe, size))


def _require_system() -> None:
    """Raise SandboxError where what the worker is made of does not exist."""
    try:
        from llmexp_utils import sandbox_worker  # noqa: F401
    except (ImportError, AttributeError, OSError) as error:
        raise SandboxError(f"no sandbox here ({error}): {ADVICE[Boundary.LIMITS]}") from None


def outcomes(jobs: Iterable[tuple[Key, Job]], limits: Limits, workers: int) -> Iterator[tuple[Key, Outcome, bool]]:
    """(key, outcome, whether it deserves another run) of every job, as they end, from several workers.

    A worker takes the next job when it is free, so no more jobs are held than there are workers.
    """
    source, lock, done = iter(jobs), threading.Lock(), SimpleQueue()
    stopped = threading.Event()

    def work() -> None:
        try:
            with Worker(limits) as worker:
                while not stopped.is_set():
                    with lock:
                        key, job = next(source, (None, None))
                    if job is None:
                        break
                    done.put((key, *worker.run(job)))
            done.put(None)
        except BaseException as error:  # noqa: BLE001 (raised again by the thread that reads)
            done.put(error)

    threads = [threading.Thread(target=work, name="sandbox", daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    running = len(threads)
    try:
        while running:
            item = done.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                running -= 1
            else:
                yield item
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
