"""The grid: many training runs side by side, each one kept by content as soon as it has ended.

A run is a job for a student: what to train on, what to choose its threshold on, what to score. Its key covers all
of it, so a grid that was killed continues, an overlapping grid shares its runs, and changed data are new runs.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from llmexp_utils.paths import atomic_write

VERSION = 1  # raise it when the same job would be trained differently
DIGITS = 6  # of a stored score


class Student(Protocol):
    """A student that can be trained in a process of its own; ``identity`` is everything that decides its results."""

    name: str

    @property
    def identity(self) -> dict[str, Any]:
        """Plain values that decide the result, apart from data and seed."""
        ...

    def run(self, train: pd.DataFrame, dev: pd.DataFrame, test: pd.DataFrame, seed: int) -> tuple[list, list]:
        """Scores of the lines of the dev and of the test faults, after training on ``train``."""
        ...


@dataclass(frozen=True)
class Job:
    """One run. The frames have ``fault_id``, ``code``, ``correct`` and ``lines``; ``facts`` describe the run."""

    facts: dict[str, Any]
    seed: int
    train: pd.DataFrame
    dev: pd.DataFrame
    test: pd.DataFrame

    def key(self, student: Student) -> str:
        """Hash of everything that decides the scores."""
        content = hashlib.sha256(json.dumps([VERSION, student.name, student.identity, self.seed]).encode())
        for frame in (self.train, self.dev, self.test):
            rows = zip(frame.correct, frame.code, map(list, frame.lines), strict=True)
            content.update(json.dumps(list(rows), default=int).encode())
        return content.hexdigest()[:32]


def run_grid(
    student: Student, jobs: Sequence[Job], cache: Path, workers: int = 2, progress: bool = True
) -> pd.DataFrame:
    """Run every job that is not known yet and return all predictions.

    Parameters
    ----------
    student : Student
        What is trained; sent to the processes as it is.
    jobs : sequence of Job
        Jobs with the same key are run once.
    cache : Path
        Folder of the finished runs, one JSON file each.
    workers : int
        Processes of one thread each; one runs in this process.

    Returns
    -------
    DataFrame
        One row a test fault and job: the job's facts, ``run_id``, ``student``, ``seed``, and the columns of
        :data:`llmexp_utils.frames.PREDICTIONS`.
    """
    from tqdm.auto import tqdm

    folder = Path(cache) / "fits" / student.name
    keys = [job.key(student) for job in jobs]
    todo = {key: job for key, job in zip(keys, jobs, strict=True) if not (folder / f"{key}.json").exists()}
    with tqdm(total=len(set(keys)), initial=len(set(keys)) - len(todo), desc=f"training {student.name}") as bar:
        bar.disable = not progress
        for key, scores in _run(student, todo, workers):
            atomic_write(folder / f"{key}.json", json.dumps(scores))
            bar.update()
    frames = [_predictions(student, job, key, folder) for key, job in zip(keys, jobs, strict=True)]
    return pd.concat(frames, ignore_index=True)


def estimate(student: Student, jobs: Sequence[Job], cache: Path, workers: int = 2) -> str:
    """What a grid will take, in words: its runs, those that are known, and minutes as known runs took."""
    folder = Path(cache) / "fits" / student.name
    keys = {job.key(student) for job in jobs}
    known = [path for key in keys if (path := folder / f"{key}.json").exists()]
    text = f"{student.name}: {len(keys)} runs, {len(known)} known"
    others = sorted(folder.glob("*.json"))[:50]
    if len(known) == len(keys) or not others:
        return text
    seconds = float(np.median([json.loads(path.read_text())["seconds"] for path in others]))
    return f"{text}, about {(len(keys) - len(known)) * seconds / workers / 60:.0f} minutes at {seconds:.1f} s a run"


def _run(student: Student, todo: dict[str, Job], workers: int) -> Iterator[tuple[str, dict]]:
    if workers == 1 or len(todo) <= 1:
        yield from ((key, _fit(student, job)) for key, job in todo.items())
        return
    context = multiprocessing.get_context("spawn")  # torch does not survive a fork with threads
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = {pool.submit(_fit, student, job): key for key, job in todo.items()}
        try:
            for future in as_completed(futures):
                yield futures.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _fit(student: Student, job: Job) -> dict[str, list]:
    start = time.perf_counter()
    dev, test = student.run(job.train, job.dev, job.test, job.seed)
    scores = {"dev": [_rounded(one) for one in dev], "test": [_rounded(one) for one in test]}
    return scores | {"seconds": round(time.perf_counter() - start, 2)}


def _rounded(scores: np.ndarray) -> list[float]:
    return [round(float(value), DIGITS) for value in scores]


def _predictions(student: Student, job: Job, key: str, folder: Path) -> pd.DataFrame:
    from llmexp_utils.metrics import choose_threshold

    scores = json.loads((folder / f"{key}.json").read_text())
    threshold = choose_threshold(job.dev[["fault_id", "lines"]].assign(scores=scores["dev"]))
    test = job.test
    return pd.DataFrame(
        {
            "run_id": key,
            "student": student.name,
            **{name: [value] * len(test) for name, value in job.facts.items()},
            "seed": job.seed,
            "fault_id": test.fault_id.to_numpy(),
            "task_id": test.task_id.to_numpy(),
            "fault_type": test.fault_type.to_numpy(),
            "n_lines": [len(one) for one in scores["test"]],
            "scores": scores["test"],
            "lines": [[int(line) for line in lines] for lines in test.lines],
            "threshold": threshold,
        }
    )
