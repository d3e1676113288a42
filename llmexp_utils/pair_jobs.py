"""Training runs of clone detection as jobs of the grid: tested on real pairs, or on the ranking of test functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from llmexp_utils.conditions import Cell
from llmexp_utils.freshness import modules_hash
from llmexp_utils.grid import jobs_of
from llmexp_utils.pair_metrics import best_threshold
from llmexp_utils.ranking import average_precisions
from llmexp_utils.train import Job, Student

if TYPE_CHECKING:
    from llmexp_utils.pair_conditions import PairPool

DESCRIBED = ["pair_id", "task_id", "other_id", "kind", "label", "clone_type", "overlap"]


@dataclass(frozen=True)
class PairJob(Job):
    """One run on pairs: the frames are pair frames (:mod:`llmexp_utils.pairs`)."""

    content: ClassVar[Sequence[str]] = ("left", "right", "label")

    @staticmethod
    def problems(frame: pd.DataFrame) -> set[str]:
        """Problems of both sides."""
        return {*frame.task_id, *frame.other_id}

    def rows(self, scores: dict[str, list]) -> pd.DataFrame:
        """One row a test pair: what it is, its score, and the threshold that the development pairs chose."""
        dev, test = ([float(one[0]) for one in scores[name]] for name in ("dev", "test"))
        threshold = best_threshold(dev, self.dev.label.tolist())
        return self.test[DESCRIBED].reset_index(drop=True).assign(score=test, threshold=threshold)


@dataclass(frozen=True)
class RankJob(PairJob):
    """One run that is trained on pairs and ranks programs: ``test`` has ``program_id, task_id, code``."""

    @property
    def parts(self) -> list[tuple[pd.DataFrame, Sequence[str]]]:
        """No development pair decides a ranking."""
        return [(self.train, self.content), (self.test, ["task_id", "code"])]

    def identity(self, student: Student) -> dict[str, Any]:
        """That of the student, and the code that ranks."""
        return student.identity | {"ranking": modules_hash(("ranking", "retrieval"))}

    def scores(self, student: Student) -> tuple[Sequence[np.ndarray], Sequence[np.ndarray]]:
        """The average precision of each program, and nothing of the development pairs."""
        return [], average_precisions(student, self.train, self.test, self.seed)[:, None]

    def rows(self, scores: dict[str, list]) -> pd.DataFrame:
        """One row a query with its average precision at R; a program without a clone among the others is none."""
        found = self.test[["program_id", "task_id"]].assign(ap_at_r=[float(one[0]) for one in scores["test"]])
        return found.dropna().reset_index(drop=True)


def rank_jobs(pool: PairPool, cells: Sequence[Cell]) -> list[RankJob]:
    """Jobs that train as the cells say and rank all correct functions of the test problems."""
    programs = {fold: pool.correct_programs(fold, "test") for fold in {cell.fold for cell in cells}}
    return [
        RankJob(job.facts, job.seed, job.train, job.dev, programs[job.facts["fold"]]) for job in jobs_of(pool, cells)
    ]


def texts_of(jobs: Iterable[PairJob]) -> list[str]:
    """Texts of all pairs and programs of some jobs, each once, in their order."""
    found: dict[str, None] = {}
    for job in jobs:
        for frame in (job.train, job.dev, job.test):
            for side in ("left", "right", "code"):
                found |= dict.fromkeys(frame[side]) if side in frame else {}
    return list(found)
