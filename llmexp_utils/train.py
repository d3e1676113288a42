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
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from llmexp_utils.paths import atomic_write

VERSION = 1  # raise it when the same job would be trained differently
DIGITS = 6  # of a stored score
MOST_READ = 200  # earlier runs that an estimate looks at


class Student(Protocol):
    """A student that can be trained in a process of its own; ``identity`` is everything that decides its results."""

    name: str

    @property
    def identity(self) -> dict[str, Any]:
        """Plain values that decide the result, apart from data and seed."""
        ...

    def run(self, train: pd.DataFrame, dev: pd.DataFrame, test: pd.DataFrame, seed: int) -> tuple[list, list]:
        """Arrays of scores, one an item of ``dev`` and of ``test``, after training on ``train``."""
        ...


@dataclass(frozen=True)
class Job:
    """One run on faults: the frames have ``fault_id``, ``code``, ``correct`` and ``lines``; ``facts`` describe the run.

    Another task is another kind of job: the columns that decide a fit, and the rows that its scores become.
    """

    content: ClassVar[Sequence[str]] = ("correct", "code", "lines")

    facts: dict[str, Any]
    seed: int
    train: pd.DataFrame
    dev: pd.DataFrame
    test: pd.DataFrame

    @property
    def parts(self) -> list[tuple[pd.DataFrame, Sequence[str]]]:
        """Frames that decide the scores, and their columns that do."""
        return [(frame, self.content) for frame in (self.train, self.dev, self.test)]

    def key(self, student: Student) -> str:
        """Hash of everything that decides the scores."""
        content = hashlib.sha256(json.dumps([VERSION, student.name, self.identity(student), self.seed]).encode())
        for frame, names in self.parts:
            rows = list(zip(*(frame[name] for name in names), strict=True))
            content.update(json.dumps(rows, default=_plain).encode())
        return content.hexdigest()[:32]

    def identity(self, student: Student) -> dict[str, Any]:
        """Plain values that decide what this kind of job makes of the student, apart from data and seed."""
        return student.identity

    def scores(self, student: Student) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
        """Arrays of scores of ``dev`` and of ``test``, after training."""
        return student.run(self.train, self.dev, self.test, self.seed)

    @staticmethod
    def problems(frame: pd.DataFrame) -> set[str]:
        """Problems that a frame tells something about: none may be in two splits."""
        return set(frame.task_id)

    def rows(self, scores: dict[str, list]) -> pd.DataFrame:
        """One row a test fault: what it is, its scores, and the threshold that the development faults chose."""
        from llmexp_utils.metrics import choose_threshold

        threshold = choose_threshold(self.dev[["fault_id", "lines"]].assign(scores=scores["dev"]))
        return pd.DataFrame(
            {
                "fault_id": self.test.fault_id.to_numpy(),
                "task_id": self.test.task_id.to_numpy(),
                "fault_type": self.test.fault_type.to_numpy(),
                "n_lines": [len(one) for one in scores["test"]],
                "scores": scores["test"],
                "lines": [[int(line) for line in lines] for lines in self.test.lines],
                "threshold": threshold,
            }
        )


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
        The :meth:`Job.rows` of every job, with its facts, ``run_id``, ``student`` and ``seed``; of faults, see
        :data:`llmexp_utils.frames.PREDICTIONS`.
    """
    from tqdm.auto import tqdm

    folder = Path(cache) / "fits" / student.name
    keys = [job.key(student) for job in jobs]
    todo = {key: job for key, job in zip(keys, jobs, strict=True) if not (folder / f"{key}.json").exists()}
    count, title = len(set(keys)), f"training {student.name}"
    with tqdm(total=count, initial=count - len(todo), desc=title, disable=not progress) as bar:
        for _ in _run(student, {folder / f"{key}.json": job for key, job in todo.items()}, workers):
            bar.update()
    frames = [_predictions(student, job, key, folder) for key, job in zip(keys, jobs, strict=True)]
    return pd.concat(frames, ignore_index=True)


def estimate(student: Student, jobs: Sequence[Job], cache: Path, workers: int = 2) -> str:
    """What a grid will take, in words: its runs, those that are known, and minutes as known runs took."""
    folder = Path(cache) / "fits" / student.name
    keys = {job.key(student) for job in jobs}
    known = [json.loads(path.read_text()) for key in keys if (path := folder / f"{key}.json").exists()]
    text = f"{student.name}: {len(keys)} runs, {len(known)} known"
    if len(known) == len(keys):
        return text
    # Runs of other settings (steps, another head) say nothing of how long these will take.
    others = [] if known else [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))[:MOST_READ]]
    alike = known or [fit for fit in others if fit.get("identity") == _identity(student, jobs[0])]
    if not alike:
        return f"{text}, no estimate yet (none of its kind has run here)"
    seconds = float(np.median([fit["seconds"] for fit in alike]))
    return f"{text}, about {(len(keys) - len(known)) * seconds / workers / 60:.0f} minutes at {seconds:.1f} s a run"


def _run(student: Student, todo: dict[Path, Job], workers: int) -> Iterator[None]:
    if workers == 1 or len(todo) <= 1:
        yield from (_fit(student, job, path) for path, job in todo.items())
        return
    context = multiprocessing.get_context("spawn")  # torch does not survive a fork with threads
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(_fit, student, job, path) for path, job in todo.items()]
        try:
            yield from (future.result() for future in as_completed(futures))
        finally:
            pool.shutdown(cancel_futures=True)


def _fit(student: Student, job: Job, path: Path) -> None:
    """Train, score and write the file; a process of another run that is at the same job is waited for."""
    import filelock

    lock = path.with_suffix(".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(lock):
        if not path.exists():
            start = time.perf_counter()
            dev, test = job.scores(student)
            scores = {"dev": [_rounded(one) for one in dev], "test": [_rounded(one) for one in test]}
            facts = {"seconds": round(time.perf_counter() - start, 2), "identity": _identity(student, job)}
            atomic_write(path, json.dumps(scores | facts))
        lock.unlink(missing_ok=True)  # whoever still waits, or comes later, finds the result


def _identity(student: Student, job: Job) -> dict[str, Any]:
    """What decides a run apart from data and seed, as it is read back from a file."""
    return json.loads(json.dumps(job.identity(student)))


def _rounded(scores: np.ndarray) -> list[float]:
    return [round(float(value), DIGITS) for value in scores]


def _plain(value: Any) -> Any:
    """Lists of labels, however they are held, as JSON has them."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else list(value)


def _predictions(student: Student, job: Job, key: str, folder: Path) -> pd.DataFrame:
    rows = job.rows(json.loads((folder / f"{key}.json").read_text()))
    facts = {"run_id": key, "student": student.name, **job.facts, "seed": job.seed}
    described = pd.DataFrame({name: [value] * len(rows) for name, value in facts.items()})
    return pd.concat([described, rows], axis=1)
