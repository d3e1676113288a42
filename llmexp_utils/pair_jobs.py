"""Training runs of clone detection as jobs of the grid, tested on real pairs or on every pair of test functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from llmexp_utils.conditions import Cell
from llmexp_utils.grid import jobs_of
from llmexp_utils.pair_metrics import best_threshold
from llmexp_utils.retrieval import all_pairs
from llmexp_utils.train import Job

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


def retrieval_jobs(pool: PairPool, cells: Sequence[Cell]) -> list[PairJob]:
    """Jobs that train as the cells say and score every pair of the correct functions of the test problems."""
    pairs = {fold: all_pairs(pool.correct_programs(fold, "test")) for fold in {cell.fold for cell in cells}}
    return [replace(job, test=pairs[job.facts["fold"]]) for job in jobs_of(pool, cells)]
