"""Run programs that a language model wrote against their tests, behind a boundary that holds: Python, and Java.

A job has the shape of HumanEval (Chen et al. 2021, arXiv:2107.03374): the text of a program, the text of a
test that defines ``check(candidate)``, and the name of the function that is handed to it.

Workers (:mod:`llmexp_utils.sandbox_worker`) live in namespaces of their own; each program gets a new process there, a
copy of one that has imported what tests need, so that it costs no start of an interpreter. That process has no network,
no files but Python's library and an empty folder in memory, no other processes, and limits on time, memory, files and
threads; Landlock, seccomp and the namespaces forbid the same things independently. The test runs in another process,
and only calls and plain values pass between the two: a program cannot see the test, nor say anything about its verdict
but by its answers (:mod:`llmexp_utils.sandbox_judge`). Both draw from ``random`` with the same seed in every run.

Java programs (:mod:`llmexp_utils.sandbox_java`) are confined alike, in a Java machine each.

What this does not do: it does not protect against faults of the kernel, nor against a processor's side channels, and a
program that recognises the arguments of a known benchmark can still know the answers by heart.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from tqdm.auto import tqdm

from llmexp_utils.sandbox_java import JavaWorker
from llmexp_utils.sandbox_job import Boundary, Job, Limits, Outcome, SandboxError, Verdict
from llmexp_utils.sandbox_pool import Worker, outcomes

__all__ = ["Boundary", "Job", "Limits", "Outcome", "SandboxError", "Verdict", "layers", "run_program", "run_programs"]

DEFAULT = Limits()
KINDS = {"python": Worker, "java": JavaWorker}
CACHE_VERSION = 2  # raise it when the same job may get another verdict


def layers(limits: Limits = DEFAULT) -> list[str]:
    """What confines programs on this machine, for provenance.

    Raises
    ------
    SandboxError
        If the machine cannot give that boundary.
    """
    with Worker(limits) as worker:
        return worker.layers


def run_program(job: Job, limits: Limits = DEFAULT) -> Outcome:
    """Run one job now.

    Raises
    ------
    SandboxError
        If the machine cannot give the boundary; never a weaker one instead.

    Examples
    --------
    >>> test = "def check(f):\\n    assert f(2) == 4"
    >>> run_program(Job("a", "def double(x):\\n    return x + x", test, "double")).verdict
    <Verdict.PASS: 'pass'>
    """
    with KINDS[job.language](limits) as worker:
        return worker.run(job)[0]


def run_programs(
    jobs: Sequence[Job],
    limits: Limits = DEFAULT,
    workers: int | None = None,
    cache: Path | str | None = None,
    progress: bool = True,
) -> list[Outcome]:
    """Run many jobs, several at a time; jobs with the same content run once.

    A program that reached the wall-clock limit is run once more, alone, after all others, and that outcome
    counts: a busy machine is no property of a program. One that used up its processor time had its chance and
    is not run again.

    Parameters
    ----------
    jobs : sequence of Job
    limits : Limits
    workers : int, optional
        Programs at a time; the number of processors by default.
    cache : path, optional
        JSONL file to which each outcome is added as soon as it is known, by a hash of job, limits and Python
        version. What it holds is not run again.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of Outcome
        In the order of ``jobs``.

    Raises
    ------
    SandboxError
        If the machine cannot give the boundary.
    """
    if limits.boundary != Boundary.FULL:
        warnings.warn(f"the boundary around programs is {limits.boundary!s}, weaker than full", stacklevel=2)
    keys = [_key(job, limits) for job in jobs]
    wanted = dict(zip(keys, jobs, strict=True))
    known = {key: row for key, row in _read_cache(cache).items() if key in wanted}
    todo = {key: job for key, job in wanted.items() if key not in known}
    with (
        _appender(cache) as append,
        tqdm(desc="sandbox", total=len(wanted), initial=len(known), disable=not progress) as bar,
    ):
        for key, outcome in _run_all(todo, limits, workers or os.cpu_count() or 1):
            known[key] = outcome
            append(key, outcome)
            bar.update()
    return [replace(known[key], job_id=job.job_id) for key, job in zip(keys, jobs, strict=True)]


def _run_all(todo: dict[str, Job], limits: Limits, workers: int) -> Iterator[tuple[str, Outcome]]:
    """(key, final outcome) of every job, language by language, as they end."""
    for language, kind in KINDS.items():
        jobs = {key: job for key, job in todo.items() if job.language == language}
        again = []
        for key, outcome, starved in outcomes(jobs.items(), limits, min(workers, len(jobs)), kind):
            if starved:
                again.append(key)
            else:
                yield key, outcome
        for key, outcome, _ in outcomes([(key, jobs[key]) for key in again], limits, min(1, len(again)), kind):
            yield key, outcome


def _key(job: Job, limits: Limits) -> str:
    """Hash of everything that the outcome of a job depends on."""
    content = [CACHE_VERSION, sys.version_info[:2], job.program, job.test, job.entry_point, asdict(limits)]
    content += [job.language] * (job.language != "python")
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _read_cache(cache: Path | str | None) -> dict[str, Outcome]:
    """Outcomes of earlier runs by key, without the line that a killed run left unfinished."""
    known: dict[str, Outcome] = {}
    if cache is None or not Path(cache).exists():
        return known
    for line in Path(cache).read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
            known[row["key"]] = Outcome(row["job_id"], Verdict(row["verdict"]), row["detail"], row["seconds"])
        except (ValueError, KeyError, TypeError):
            continue
    return known


@contextmanager
def _appender(cache: Path | str | None) -> Iterator[Callable[[str, Outcome], None]]:
    """A function that adds one outcome to the cache file (or does nothing without one).

    Points of a sweep share the file, perhaps on several machines, where appending alone keeps no lines apart.
    """
    import filelock

    if cache is None:
        yield lambda key, outcome: None
        return
    path = Path(cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(f"{path}.lock")
    with path.open("a+b", buffering=0) as file:

        def append(key: str, outcome: Outcome) -> None:
            with lock:
                size = file.seek(0, os.SEEK_END)
                killed = size and os.pread(file.fileno(), 1, size - 1) != b"\n"  # amid a line
                file.write(b"\n" * bool(killed) + json.dumps({"key": key, **asdict(outcome)}).encode() + b"\n")

        yield append
