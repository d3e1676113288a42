"""What each condition trains on: real faults, and the faults added to them, in one fold.

C0 real only; C2 real + mutants; C3 real + LLM faults chosen at random; C4 real + LLM faults chosen by Score; C5 LLM
only; C5m mutants only; mix real + half LLM, half mutants. All are trained for the same number of optimiser steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from llmexp_utils.benchmarks import rows_of_split
from llmexp_utils.cloning import CloneArm
from llmexp_utils.errors import StudyError
from llmexp_utils.injection import Arm
from llmexp_utils.select import choose
from llmexp_utils.train import Job

REAL_FREE = ("C5", "C5m")
WITHOUT_LLM = ("C0", "C2", "C5m", "none")
AnyArm = Arm | CloneArm


@dataclass(frozen=True)
class Pool:
    """All validated faults with their statistics, the split, and the gold faults that the prompts show."""

    faults: pd.DataFrame
    groups: Mapping[str, int]
    shown: Sequence[str]

    job: ClassVar[type[Job]] = Job

    def part(self, source: str, fold: int, split: str) -> pd.DataFrame:
        """Faults of one source in one split of a fold."""
        return rows_of_split(self.faults[self.faults.source == source], self.groups, fold, split)

    def of_arm(self, arm: Arm, fold: int) -> pd.DataFrame:
        """Training faults that one arm of a generator wrote; there may be none."""
        rows = self.part("llm", fold, "train")
        same = (rows.generator == arm.generator) & (rows.form == arm.form) & (rows.policy.fillna("") == arm.policy)
        return rows[same].reset_index(drop=True)

    def required(self, arm: Arm, fold: int) -> pd.DataFrame:
        """:meth:`of_arm`, refused if there are none."""
        rows = self.of_arm(arm, fold)
        if rows.empty:
            raise StudyError(f"the pool has no faults of {arm.name}: add the arm to 02_inject_faults and run it again")
        return rows

    def real(self, fold: int, split: str) -> pd.DataFrame:
        """Real faults in one split of a fold."""
        return self.part("gold", fold, split)

    def training(self, cell: Cell) -> pd.DataFrame:
        """See :func:`training_set`."""
        return training_set(self, cell)

    def most(self, arm: Arm, fold: int) -> int:
        """Number of training faults that an arm wrote."""
        return len(self.required(arm, fold))

    def facts(self, cell: Cell) -> dict[str, Any]:
        """Columns that describe a cell in a prediction frame."""
        return cell.facts

    def elsewhere(self, external: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
        """Faults by other people for the test problems."""
        return external[external.task_id.isin(set(test.task_id))]


@dataclass(frozen=True)
class Cell:
    """One training set, of faults or of pairs; ``series`` says which part of the study asks for it."""

    condition: str
    n_real: int
    n_added: int
    arm: AnyArm
    fold: int
    seed: int
    series: str = "grid"

    @property
    def facts(self) -> dict[str, Any]:
        """Columns that describe the cell in a prediction frame."""
        by_llm = self.condition not in WITHOUT_LLM
        return {
            "series": self.series,
            "condition": self.condition,
            "n_real": self.n_real,
            "n_added": self.n_added,
            "generator": self.arm.generator if by_llm else "",
            "form": self.arm.form if by_llm else "",
            "policy": self.arm.policy if by_llm else "",
            "fold": self.fold,
        }


def training_set(pool: Pool, cell: Cell) -> pd.DataFrame:
    """Faults to train on, with the column ``added`` (False for real ones), real ones first.

    Real faults are nested: a smaller number is always the beginning of a larger one, the same in every condition. The
    order starts with the faults that the generator's prompts show, so that they are part of every budget; then it is
    random by fold and seed.
    """
    real = _real(pool, cell)
    added = _added(pool, cell, real)
    if len(added) < cell.n_added and cell.condition != "C0":
        raise StudyError(
            f"{cell.condition} of {cell.arm.name} has {len(added)} faults in fold {cell.fold}, {cell.n_added} were "
            "asked for: lower n_added or generate more"
        )
    return pd.concat([real.assign(added=False), added.assign(added=True)], ignore_index=True)


def available(pool: Pool, arm: Arm, folds: Sequence[int]) -> pd.DataFrame:
    """Faults to choose from in the training split of each fold: real, of the arm, mutants."""
    rows = [
        (
            fold,
            len(pool.real(fold, "train")),
            len(pool.of_arm(arm, fold)),
            len(pool.part("mutation", fold, "train")),
        )
        for fold in folds
    ]
    return pd.DataFrame(rows, columns=["fold", "real", "llm", "mutants"])


def _real(pool: Pool, cell: Cell) -> pd.DataFrame:
    rows = pool.real(cell.fold, "train")
    if cell.condition in REAL_FREE:
        return rows.head(0)
    rng = np.random.default_rng([cell.seed, cell.fold, 0])
    first = rows.fault_id.isin(pool.shown).to_numpy()
    order = np.concatenate([rng.permutation(np.flatnonzero(first)), rng.permutation(np.flatnonzero(~first))])
    if cell.n_real > len(rows):
        raise StudyError(
            f"fold {cell.fold} has {len(rows)} real training faults, {cell.n_real} were asked for: lower n_real"
        )
    return rows.iloc[order[: cell.n_real]]


def _added(pool: Pool, cell: Cell, real: pd.DataFrame) -> pd.DataFrame:
    n, rng = cell.n_added, np.random.default_rng([cell.seed, cell.fold, 1])
    if cell.condition == "C0":
        return real.head(0)
    if cell.condition in ("C2", "C5m"):
        return choose(pool.part("mutation", cell.fold, "train"), n, "random", rng=rng)
    written = pool.required(cell.arm, cell.fold)
    if cell.condition == "C4":
        return choose(written, n, "score", real)
    if cell.condition == "mix":
        mutants = choose(pool.part("mutation", cell.fold, "train"), n - n // 2, "random", rng=rng)
        return pd.concat([choose(written, n // 2, "random", rng=rng), mutants], ignore_index=True)
    return choose(written, n, "random", rng=rng)
