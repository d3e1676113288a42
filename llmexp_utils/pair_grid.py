"""Which training runs clone detection makes, each cell as a job for a student."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import pandas as pd

from llmexp_utils.cloning import CloneArm
from llmexp_utils.errors import StudyError
from llmexp_utils.grid import Repeats
from llmexp_utils.pair_conditions import PairCell, PairPool, training_pairs
from llmexp_utils.pair_metrics import best_threshold
from llmexp_utils.train import Job

DESCRIBED = ["pair_id", "task_id", "other_id", "kind", "label", "clone_type", "overlap"]


@dataclass(frozen=True)
class PairJob(Job):
    """One run on pairs: the frames are pair frames (:mod:`llmexp_utils.pairs`)."""

    content: ClassVar[Sequence[str]] = ("left", "right", "label")

    def rows(self, scores: dict[str, list]) -> pd.DataFrame:
        """One row a test pair: what it is, its score, and the threshold that the development pairs chose."""
        dev, test = ([float(one[0]) for one in scores[name]] for name in ("dev", "test"))
        threshold = best_threshold(dev, self.dev.label.tolist())
        return self.test[DESCRIBED].reset_index(drop=True).assign(score=test, threshold=threshold)


def pair_cells(
    conditions: Sequence[str], sizes: Sequence[int], n_added: int, arm: CloneArm, repeats: Repeats
) -> list[PairCell]:
    """Every condition at every number of real pairs; C5, which has none, once, and C0 without added ones."""
    found = []
    for condition in conditions:
        own_sizes = [0] if condition == "C5" else sizes
        added = 0 if condition == "C0" else n_added
        for n_real, fold, seed in product(own_sizes, repeats.folds, repeats.seeds):
            found.append(PairCell(condition, n_real, added, arm, fold, seed))
    return found


def pair_jobs(pool: PairPool, cells: Sequence[PairCell], external: pd.DataFrame | None = None) -> list[PairJob]:
    """Jobs of the cells, in their order.

    Parameters
    ----------
    pool : PairPool
        Real pairs and the programs that others are made of.
    cells : sequence of PairCell
        The training sets.
    external : DataFrame, optional
        Pairs of other people's programs for problems that are none of ours: every fold tests on all of them.

    Raises
    ------
    StudyError
        If a cell asks for more than there is, or a problem is in two splits.
    """
    parts = {(fold, split): pool.real(fold, split) for fold in {c.fold for c in cells} for split in ("dev", "test")}
    return [_job(pool, cell, parts[cell.fold, "dev"], parts[cell.fold, "test"], external) for cell in cells]


def _job(
    pool: PairPool, cell: PairCell, dev: pd.DataFrame, test: pd.DataFrame, external: pd.DataFrame | None
) -> PairJob:
    if external is not None and len(external):
        test = pd.concat([test, external], ignore_index=True)
    fit = training_pairs(pool, cell)
    splits = [{*frame.task_id, *frame.other_id} for frame in (fit, dev, test)]
    shared = (splits[0] & splits[1]) | (splits[0] & splits[2]) | (splits[1] & splits[2])
    if shared:
        raise StudyError(f"{min(shared)} is in two splits of fold {cell.fold}: the split must be by problem")
    facts: dict[str, Any] = cell.facts
    return PairJob(facts, cell.seed, fit, dev, test)
