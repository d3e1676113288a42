"""Run Python programs that a language model wrote against their tests, each in a process of its own.

A job has the shape of HumanEval (Chen et al. 2021, arXiv:2107.03374): the text of a program, the text of a
test that defines ``check(candidate)``, and the name of the function that is handed to it. The child
(:mod:`llmexp_utils.sandbox_child`) runs in an isolated interpreter without site packages, with an empty
environment, no input, a private working folder, resource limits and a session of its own, which is killed as
a whole at the end.

What this does not do: it hides neither the files that the user can read nor the network; it bounds the size
of a file, not of all files together; a process that opens a session of its own outlives its program; root is
exempt from the limit on processes; and a program that inspects its own interpreter, or returns an object that
equals everything, can pass a test that it should not.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from tqdm.auto import tqdm

from llmexp_utils.sandbox_process import (
    Job,
    Limits,
    Outcome,
    SandboxError,
    Verdict,
    attempt,
    require_platform,
)

__all__ = ["Job", "Limits", "Outcome", "SandboxError", "Verdict", "run_program", "run_programs"]

DEFAULT = Limits()
CACHE_VERSION = 1  # raise it when the same job may get another verdict


def run_program(job: Job, limits: Limits = DEFAULT) -> Outcome:
    """Run one job now.

    Raises
    ------
    SandboxError
        If the platform lacks what the sandbox needs, or the child's interpreter does not start.

    Examples
    --------
    >>> test = "def check(f):\\n    assert f(2) == 4"
    >>> run_program(Job("a", "def double(x):\\n    return x + x", test, "double")).verdict
    <Verdict.PASS: 'pass'>
    """
    require_platform()
    return attempt(job, limits)[0]


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
        Processes at a time; the number of processors by default.
    cache : path, optional
        JSONL file to which each outcome is added as soon as it is known, by a hash of job, limits and Python
        version. What it holds is not run again.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of Outcome
        In the order of ``jobs``.
    """
    require_platform()
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
    """(key, final outcome) of every job, as they end."""
    again = []
    pool = ThreadPoolExecutor(workers, thread_name_prefix="sandbox")
    try:
        futures = {pool.submit(attempt, job, limits): key for key, job in todo.items()}
        for future in as_completed(futures):
            outcome, starved = future.result()
            if starved:
                again.append(futures[future])
            else:
                yield futures[future], outcome
    finally:
        pool.shutdown(cancel_futures=True)
    for key in again:
        yield key, attempt(todo[key], limits)[0]


def _key(job: Job, limits: Limits) -> str:
    """Hash of everything that the outcome of a job depends on."""
    content = [CACHE_VERSION, sys.version_info[:2], job.program, job.test, job.entry_point, asdict(limits)]
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
    """A function that adds one outcome to the cache file (or does nothing without one)."""
    if cache is None:
        yield lambda key, outcome: None
        return
    path = Path(cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
            file.write(b"\n")  # closes the unfinished line of a killed run

        def append(key: str, outcome: Outcome) -> None:
            file.write(json.dumps({"key": key, **asdict(outcome)}).encode() + b"\n")

        yield append
