"""Which training runs the study makes: three series of cells, and each cell as a job for a student.

The *grid* crosses conditions with numbers of real faults; the *sweep* varies the number of added faults, the *arms*
who wrote them and how they were asked, both at one number of real faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import pandas as pd

from llmexp_utils.conditions import REAL_FREE, Cell, Pool, training_set
from llmexp_utils.errors import StudyError
from llmexp_utils.injection import Arm
from llmexp_utils.train import Job


@dataclass(frozen=True)
class Repeats:
    """What every cell is repeated over: folds of the split, and seeds."""

    folds: Sequence[int]
    seeds: Sequence[int]


def grid_cells(
    conditions: Sequence[str], sizes: Sequence[int], n_added: int, arm: Arm, repeats: Repeats, series: str = "grid"
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
    conditions: Sequence[str], n_real: int, amounts: Sequence[int], arm: Arm, repeats: Repeats
) -> list[Cell]:
    """Every condition at every number of added faults beside the same real ones, and C0 to compare with."""
    if not amounts:
        return []
    found = grid_cells(["C0"], [n_real], 0, arm, repeats, "sweep")
    for n_added in amounts:
        found += grid_cells([one for one in conditions if one != "C0"], [n_real], n_added, arm, repeats, "sweep")
    return found


def arm_cells(
    pool: Pool, arms: Sequence[Arm], n_real: int, amounts: Sequence[int], main: Arm, repeats: Repeats
) -> list[Cell]:
    """C3 with the faults of every arm that has enough of them in every fold, beside C0 and as many mutants (C2).

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
        most = min(len(pool.of_arm(arm, fold)) for fold in repeats.folds)
        if most < min(amounts):
            raise StudyError(f"{arm.name} has {most} faults in a fold, arm_added asks for {min(amounts)}: lower it")
        for n_added in [n for n in amounts if n <= most]:
            found += grid_cells(["C3"], [n_real], n_added, arm, repeats, "arm")
    return found


def jobs_of(pool: Pool, cells: Sequence[Cell], external: pd.DataFrame | None = None) -> list[Job]:
    """Jobs of the cells, in their order.

    Parameters
    ----------
    pool : Pool
        All validated faults.
    cells : sequence of Cell
        Each one once.
    external : DataFrame, optional
        Faults by other people for the same problems; those of a fold's test problems are scored with its test faults.

    Raises
    ------
    StudyError
        If a cell is there twice, asks for more faults than there are, or a problem is in two splits.
    """
    if len(set(cells)) < len(cells):
        twice = next(cell for cell in cells if cells.count(cell) > 1)
        raise StudyError(f"a training run is asked for twice: {twice}; remove what is repeated in the parameters")
    gold = {
        (fold, split): pool.part("gold", fold, split) for fold in {c.fold for c in cells} for split in ("dev", "test")
    }
    return [_job(pool, cell, gold[cell.fold, "dev"], gold[cell.fold, "test"], external) for cell in cells]


def _job(pool: Pool, cell: Cell, dev: pd.DataFrame, test: pd.DataFrame, external: pd.DataFrame | None) -> Job:
    if external is not None and len(external):
        test = pd.concat([test, external[external.task_id.isin(set(test.task_id))]], ignore_index=True)
    fit = training_set(pool, cell)
    splits = [set(frame.task_id) for frame in (fit, dev, test)]
    shared = (splits[0] & splits[1]) | (splits[0] & splits[2]) | (splits[1] & splits[2])
    if shared:
        raise StudyError(f"{min(shared)} is in two splits of fold {cell.fold}: the split must be by problem")
    return Job(cell.facts, cell.seed, fit, dev, test)
