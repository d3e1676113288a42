"""One benchmark's way through the study of clones: its real pairs, and the validated ones that are added to them.

What is added was written for HumanEval's problems and passed (clones) or failed (near misses) their tests in
04_validate_and_select: other people's programs come without tests, so nobody could validate clones of them. No problem
is on two sides of a split: where a benchmark is HumanEval's problems, what is added follows its split; elsewhere all of
it may be trained on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from llmexp_utils import frames
from llmexp_utils.benchmarks import N_GROUPS, rows_of_split
from llmexp_utils.clone_benchmarks import PROGRAMS, CloneBenchmark
from llmexp_utils.clone_types import neutral_names
from llmexp_utils.cloning import CloneArm
from llmexp_utils.conditions import Cell
from llmexp_utils.errors import StudyError
from llmexp_utils.grid import Repeats, grid_cells, jobs_of
from llmexp_utils.pair_conditions import PairPool, by_arm
from llmexp_utils.pair_jobs import rank_jobs
from llmexp_utils.select import Embed, statistics
from llmexp_utils.train import Job

if TYPE_CHECKING:
    from llmexp_utils.notebook_params import RealClones

ALWAYS_TRAINED = N_GROUPS  # a group that no fold tests or develops on


class Jobs(NamedTuple):
    """Training runs of one benchmark, and what is scored without training; ``ranked`` ones rank all test programs."""

    grid: list[Job]
    encoder: list[Job]
    ranked: list[Job]
    encoder_ranked: list[Job]
    untrained: list[Job]
    untrained_ranked: list[Job]


@dataclass(frozen=True)
class BenchmarkPairs(PairPool):
    """The pool of one benchmark, named in every prediction; ``ranked`` are the programs of its retrieval."""

    name: str = ""
    ranked: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=PROGRAMS))

    @property
    def solutions(self) -> dict[str, str]:
        """Solutions of the problems that were added: real pairs of the same problems may be in another language."""
        added = self.programs[self.programs.source != "gold"].drop_duplicates("task_id")
        return added.set_index("task_id").correct.to_dict()

    def facts(self, cell: Cell) -> dict[str, Any]:
        """Columns that describe a cell in a prediction frame."""
        return super().facts(cell) | {"benchmark": self.name}

    def correct_programs(self, fold: int, split: str) -> pd.DataFrame:
        """Programs of the benchmark in one split: ``program_id, task_id, code``."""
        return rows_of_split(self.ranked, self.groups, fold, split)


def pool_of(
    benchmark: CloneBenchmark,
    programs: pd.DataFrame,
    arm: CloneArm,
    entry_points: Mapping[str, str],
    shown: Sequence[str],
    embed: Embed,
) -> BenchmarkPairs:
    """Pool of a benchmark: its pairs, and clones and near misses of HumanEval's problems to add.

    Parameters
    ----------
    benchmark : CloneBenchmark
        Real pairs. Its clones are what Score compares with.
    programs : DataFrame
        Programs of 04_validate_and_select.
    arm : CloneArm
        Who wrote the clones that Score chooses from.
    entry_points : mapping
        Name of the function of each of HumanEval's problems: added programs lose it.
    shown : sequence of str
        Problems that the generator's prompts show; they begin every budget of real pairs of these problems.
    embed : callable
        See :func:`llmexp_utils.select.statistics`.
    """
    clones = benchmark.pairs[benchmark.pairs.label == 1]
    real = pd.DataFrame(
        {
            "program_id": clones.pair_id,
            "task_id": clones.task_id,
            "source": "gold",
            "is_clone": True,
            "code": clones.right,
            "correct": clones.left,
        }
    )
    added = programs[programs.source != "gold"]
    without_name = cache(neutral_names)  # a canonical solution stands beside each of its clones
    named = {
        side: [without_name(code, entry_points[task]) for code, task in zip(added[side], added.task_id, strict=True)]
        for side in ("code", "correct")
    }
    both = pd.concat([real, added.assign(**named)], ignore_index=True)
    scored = both.is_clone & ((both.source == "gold") | by_arm(both, arm))
    # Score compares like with like: the statistics of 04 are those of functions that have their names.
    others = both[~scored].drop(columns=list(frames.STATISTICS))
    both = pd.concat([statistics(both[scored], embed), others]).sort_index()
    groups = dict.fromkeys(added.task_id, ALWAYS_TRAINED) | dict(benchmark.groups)
    found = benchmark.pairs, both, groups, shown, benchmark.names
    return BenchmarkPairs(*found, name=benchmark.name, ranked=benchmark.programs)


def cells_of(
    pool: BenchmarkPairs,
    conditions: Sequence[str],
    n_real: Sequence[int],
    n_added: int,
    arm: CloneArm,
    repeats: Repeats,
) -> list[Cell]:
    """Cells of a benchmark: numbers beyond what its smallest fold has become all that it has.

    Raises
    ------
    StudyError
        If a fold has no clone of the arm.
    """
    real = min(len(pool.real(fold, "train")) for fold in repeats.folds)
    sizes = sorted({min(size, real) for size in n_real})
    if set(conditions) <= {"C0"}:
        return grid_cells(conditions, sizes, 0, arm, repeats)
    has = pool.available(arm, repeats.folds)
    most = 2 * int(has[["LLM clones", "rule clones"]].min().min())
    if not most:
        raise StudyError(f"{pool.name}: a fold has no clone of {arm.name} to add: validate more functions in 04")
    return grid_cells(conditions, sizes, min(n_added, most), arm, repeats)


def jobs_of_benchmark(pool: BenchmarkPairs, p: RealClones, arm: CloneArm, folds: Sequence[int]) -> Jobs:
    """All runs that the parameters of ``09_real_clones`` ask of a benchmark.

    Raises
    ------
    StudyError
        If there is nothing to add, or a task is in two splits.
    """
    most, idle = [max(p.n_real)], grid_cells(["none"], [0], 0, arm, Repeats(folds, [p.seed]), "baseline")

    def cells(conditions: Sequence[str], sizes: Sequence[int], seeds: Sequence[int]) -> list[Cell]:
        repeats = Repeats(folds, [p.seed + seed for seed in seeds])
        return cells_of(pool, conditions, sizes, p.n_added, arm, repeats) if conditions and seeds else []

    encoder_conditions = p.encoder_conditions if pool.name in (p.encoder_benchmarks or [pool.name]) else []
    # An encoder that reads both programs of a pair at once has no vectors to compare.
    both = [name for name in encoder_conditions if name in p.retrieval_conditions and p.encoder_head == "bi"]
    ranked = [cells(p.retrieval_conditions, most, p.seeds), cells(both, most, p.encoder_seeds), idle]
    ranked = [rank_jobs(pool, found) if len(pool.ranked) else [] for found in ranked]
    return Jobs(
        grid=jobs_of(pool, cells(p.conditions, p.n_real, p.seeds)),
        encoder=jobs_of(pool, cells(encoder_conditions, most, p.encoder_seeds)),
        ranked=ranked[0],
        encoder_ranked=ranked[1],
        untrained=jobs_of(pool, idle),
        untrained_ranked=ranked[2],
    )
