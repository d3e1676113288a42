"""Training runs on one benchmark: what every condition adds, the same number in each, and what Score chooses from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from llmexp_utils.conditions import WITHOUT_LLM, Cell, Pool, available
from llmexp_utils.errors import StudyError
from llmexp_utils.grid import Repeats, arm_cells, grid_cells, jobs_of
from llmexp_utils.injection import Arm
from llmexp_utils.train import Job

if TYPE_CHECKING:
    from llmexp_utils.benchmark_study import Split
    from llmexp_utils.fault_pool import Pooled
    from llmexp_utils.notebook_params import RealBenchmarks


class Jobs(NamedTuple):
    """Training runs of one benchmark, of students (A) and (B), and what these have to choose from (a table's row)."""

    grid: list[Job]
    encoder: list[Job]
    to_choose_from: dict[str, object]


@dataclass(frozen=True)
class BenchmarkPool(Pool):
    """The pool of one benchmark, named in every prediction."""

    name: str = ""

    def facts(self, cell: Cell) -> dict[str, Any]:
        """Columns that describe a cell in a prediction frame."""
        return cell.facts | {"benchmark": self.name}


def jobs_of_benchmark(split: Split, pooled: Pooled, p: RealBenchmarks, arms: Sequence[Arm]) -> Jobs:
    """All runs that the parameters of ``08_real_benchmarks`` ask of a benchmark; the first arm is that of the grid.

    Raises
    ------
    StudyError
        If there is nothing to add in some fold, or a unit is in two splits.
    """
    pool, most = BenchmarkPool(pooled.faults, split.groups, pooled.shown, split.benchmark.name), max(p.n_real)
    repeats, by_encoder = (Repeats(p.folds, [p.seed + one for one in seeds]) for seeds in (p.seeds, p.encoder_seeds))
    cells = cells_of(pool, p.conditions, p.n_real, p.n_added, arms[0], repeats, p.share_added)
    if len(arms) > 1:
        cells += cells_of_arms(pool, arms, most, p.n_added, repeats)
    encoder_cells = cells_of(pool, p.encoder_conditions, [most], p.n_added, arms[0], by_encoder, p.share_added)
    by_llm = (cell for cell in cells + encoder_cells if cell.series == "grid" and cell.condition not in WITHOUT_LLM)
    added = max((cell.n_added for cell in by_llm), default=0)
    return Jobs(jobs_of(pool, cells), jobs_of(pool, encoder_cells), to_choose_from(pool, arms[0], p.folds, added))


def cells_of(
    pool: BenchmarkPool,
    conditions: Sequence[str],
    n_real: Sequence[int],
    n_added: int,
    arm: Arm,
    repeats: Repeats,
    share_added: float = 1.0,
) -> list[Cell]:
    """Cells of a benchmark: numbers beyond what its smallest fold has become all that it has.

    Of the LLM faults of that fold at most ``share_added`` are added: a condition that selects has to leave some out.

    Raises
    ------
    StudyError
        If a fold has no fault of the arm, or no mutant.
    """
    has = available(pool, arm, repeats.folds)
    sizes = sorted({min(size, int(has.real.min())) for size in n_real})
    added = min(n_added, math.ceil(share_added * has.llm.min()), int(has.mutants.min()))
    adding = [condition for condition in conditions if condition != "C0"]
    if adding and not added:
        raise StudyError(
            f"{pool.name}: {arm.name}, or the rules, have no fault in some fold: raise samples or n_functions"
        )
    return grid_cells(conditions, sizes, added, arm, repeats)


def to_choose_from(pool: BenchmarkPool, arm: Arm, folds: Sequence[int], added: int) -> dict[str, object]:
    """How much a condition that selects has to choose from: a row of the table, without numbers if nothing is added.

    The number that is added is the same in every fold, so the fold with the fewest LLM faults leaves least to choose.
    """
    has = available(pool, arm, folds).llm
    numbers = (added, has.min(), has.max(), added / has.mean()) if added else (None,) * 4
    names = ("added", "LLM faults of the smallest fold", "of the largest", "added, of the mean")
    return {"benchmark": pool.name, "arm": arm.name} | dict(zip(names, numbers, strict=True))


def cells_of_arms(pool: BenchmarkPool, arms: Sequence[Arm], n_real: int, n_added: int, repeats: Repeats) -> list[Cell]:
    """Cells that compare arms under C3, with as many faults as every arm and the rules have in every fold.

    Raises
    ------
    StudyError
        If there are none.
    """
    counts = [available(pool, arm, repeats.folds) for arm in arms]
    real = min(n_real, int(counts[0].real.min()))
    added = min([n_added, *(int(has[["llm", "mutants"]].min().min()) for has in counts)])
    if not added:
        raise StudyError(f"{pool.name}: an arm, or the rules, have no fault in some fold: raise samples or n_functions")
    return arm_cells(pool, arms, real, [added], arms[0], repeats)
