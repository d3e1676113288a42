"""Which training runs the study makes: three series of cells, and each cell as a job for a student.

The *grid* crosses conditions with numbers of real faults; the *sweep* varies the number of added faults, the *arms*
who wrote them and how they were asked, both at one number of real faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import pandas as pd

from llmexp_utils.conditions import REAL_FREE, AnyArm, Cell
from llmexp_utils.errors import StudyError
from llmexp_utils.train import Job


class TaskPool(Protocol):
    """Data of one task, from which the training, development and test frames of every run are taken."""

    job: type[Job]

    def real(self, fold: int, split: str) -> pd.DataFrame:
        """Real items in one split of a fold."""
        ...

    def training(self, cell: Cell) -> pd.DataFrame:
        """What a cell trains on."""
        ...

    def most(self, arm: AnyArm, fold: int) -> int:
        """Largest number of items that an arm can add in a fold."""
        ...

    def facts(self, cell: Cell) -> dict[str, Any]:
        """Columns that describe a cell in a prediction frame."""
        ...

    def elsewhere(self, external: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
        """Items by other people that may be scored together with the test items of a fold."""
        ...


@dataclass(frozen=True)
class Repeats:
    """What every cell is repeated over: folds of the split, and seeds."""

    folds: Sequence[int]
    seeds: Sequence[int]


def grid_cells(
    conditions: Sequence[str], sizes: Sequence[int], n_added: int, arm: AnyArm, repeats: Repeats, series: str = "grid"
) -> list[Cell]:
    """Every condition at every number of real faults; conditions without real faults once, C0 without added ones."""
    found = []
    for condition in conditions:
        own_sizes = [0] if condition in REAL_FREE else sizes
        added = 0 if condition == "C0" else n_added
        for n_real, fold, seed in product(own_sizes, repeats.folds, repeats.seeds):
            found.append(Cell(condition, n_real, added, arm, fold, seed, series))
    return found


def sweep_cells(
    conditions: Sequence[str], n_real: int, amounts: Sequence[int], arm: AnyArm, repeats: Repeats
) -> list[Cell]:
    """Every condition at every number of added faults beside the same real ones, and C0 to compare with."""
    if not amounts:
        return []
    found = grid_cells(["C0"], [n_real], 0, arm, repeats, "sweep")
    for n_added in amounts:
        found += grid_cells([one for one in conditions if one != "C0"], [n_real], n_added, arm, repeats, "sweep")
    return found


def arm_cells(
    pool: TaskPool, arms: Sequence[AnyArm], n_real: int, amounts: Sequence[int], main: AnyArm, repeats: Repeats
) -> list[Cell]:
    """C3 with what every arm wrote that has enough in every fold, beside C0 and as many by rule (C2).

    Raises
    ------
    StudyError
        If an arm has too few for the smallest number: it would silently be missing.
    """
    if not arms:
        return []
    found = grid_cells(["C0"], [n_real], 0, main, repeats, "arm")
    for n_added in amounts:
        found += grid_cells(["C2"], [n_real], n_added, main, repeats, "arm")
    for arm in arms:
        most = min(pool.most(arm, fold) for fold in repeats.folds)
        if most < min(amounts):
            raise StudyError(f"{arm.name} can add {most} in a fold, arm_added asks for {min(amounts)}: lower it")
        for n_added in [n for n in amounts if n <= most]:
            found += grid_cells(["C3"], [n_real], n_added, arm, repeats, "arm")
    return found


def jobs_of(pool: TaskPool, cells: Sequence[Cell], external: pd.DataFrame | None = None) -> list[Job]:
    """Jobs of the cells, in their order.

    Parameters
    ----------
    pool : TaskPool
        All validated data of a task.
    cells : sequence of Cell
        Each one once.
    external : DataFrame, optional
        Items by other people, scored with the test items of a fold as far as the pool allows; nothing learns from them.

    Raises
    ------
    StudyError
        If a cell is there twice, asks for more than there is, or a problem is in two splits.
    """
    if len(set(cells)) < len(cells):
        twice = next(cell for cell in cells if cells.count(cell) > 1)
        raise StudyError(f"a training run is asked for twice: {twice}; remove what is repeated in the parameters")
    parts = {(fold, split): pool.real(fold, split) for fold in {c.fold for c in cells} for split in ("dev", "test")}
    return [_job(pool, cell, parts[cell.fold, "dev"], parts[cell.fold, "test"], external) for cell in cells]


def _job(pool: TaskPool, cell: Cell, dev: pd.DataFrame, test: pd.DataFrame, external: pd.DataFrame | None) -> Job:
    if external is not None and len(external):
        test = pd.concat([test, pool.elsewhere(external, test)], ignore_index=True)
    fit = pool.training(cell)
    splits = [pool.job.problems(frame) for frame in (fit, dev, test)]
    shared = (splits[0] & splits[1]) | (splits[0] & splits[2]) | (splits[1] & splits[2])
    if shared:
        raise StudyError(f"{min(shared)} is in two splits of fold {cell.fold}: the split must be by problem")
    return pool.job(pool.facts(cell), cell.seed, fit, dev, test)
