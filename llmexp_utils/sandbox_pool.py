"""The study's side of the sandbox: workers are given one job at a time, watched, and replaced if they hang."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from llmexp_utils.sandbox_job import DETAIL, Job, Limits, Outcome, Verdict
from llmexp_utils.sandbox_process import Process

if TYPE_CHECKING:
    from llmexp_utils.sandbox_java import JavaWorker

Key = TypeVar("Key")

GRACE_SECONDS = 5.0


class Worker(Process):
    """Runs Python programs, one after the other (:mod:`llmexp_utils.sandbox_worker`)."""

    module: ClassVar[str] = "sandbox_worker"

    def run(self, job: Job) -> tuple[Outcome, bool]:
        """Outcome of one job, and whether the machine may be to blame for it: only the wall clock ended it."""
        return self.judged(job.job_id, {"program": job.program, "test": job.test, "entry_point": job.entry_point})

    def judged(self, job_id: str, message: dict[str, Any]) -> tuple[Outcome, bool]:
        """Outcome of a job in the words of the process."""
        start = time.monotonic()
        try:
            self.send(message)
            report = self.receive(self.limits.seconds + GRACE_SECONDS)
        except (OSError, EOFError, ValueError) as error:
            self.restart()
            seconds = round(time.monotonic() - start, 4)
            return Outcome(job_id, Verdict.ERROR, f"its judge ended: {error}"[:DETAIL], seconds), True
        if report is None:  # a test that cannot be interrupted
            self.restart()
            report = {"verdict": "late", "detail": "", "seconds": self.limits.seconds, "status": 0}
        return self._outcome(job_id, report), report["verdict"] == "late"

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


def outcomes(
    jobs: Iterable[tuple[Key, Job]], limits: Limits, workers: int, kind: type[Worker | JavaWorker] = Worker
) -> Iterator[tuple[Key, Outcome, bool]]:
    """(key, outcome, whether it deserves another run) of every job, as they end, from several workers.

    A worker takes the next job when it is free, so no more jobs are held than there are workers.
    """
    source, lock, done = iter(jobs), threading.Lock(), SimpleQueue()
    stopped = threading.Event()

    def work(core: int) -> None:
        try:
            with kind(limits, core) as worker:
                while not stopped.is_set():
                    with lock:
                        key, job = next(source, (None, None))
                    if job is None:
                        break
                    done.put((key, *worker.run(job)))
            done.put(None)
        except BaseException as error:  # noqa: BLE001 (raised again by the thread that reads)
            done.put(error)

    threads = [threading.Thread(target=work, args=(core,), name="sandbox", daemon=True) for core in range(workers)]
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
