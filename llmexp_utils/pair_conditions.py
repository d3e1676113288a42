"""What each condition of clone detection trains on: real pairs, and the pairs added to them, in one fold.

C0 real only; C2 real + rule-based clones; C3 real + LLM clones chosen at random; C4 real + LLM clones chosen by Score;
C4far like C4, but with other problems instead of near misses; C5 LLM only. Every clone that is added brings one pair
that is none, of the same author, so that who wrote a program does not tell its label. All are trained for the same
number of optimiser steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from llmexp_utils.benchmarks import rows_of_split
from llmexp_utils.clone_types import neutral_names
from llmexp_utils.cloning import CloneArm
from llmexp_utils.conditions import Cell
from llmexp_utils.errors import StudyError
from llmexp_utils.pair_jobs import PairJob
from llmexp_utils.pairs import COLUMNS, described, made_for, neutral
from llmexp_utils.select import choose

CONDITIONS = ("C0", "C2", "C3", "C4", "C4far", "C5")


def by_arm(programs: pd.DataFrame, arm: CloneArm) -> pd.Series:
    """Whether an arm wrote each program."""
    return (programs["generator"] == arm.generator) & (programs["form"] == arm.form)


@dataclass(frozen=True)
class PairPool:
    """Real pairs, and the validated programs that pairs are made of.

    ``pairs`` is a pair frame (:mod:`llmexp_utils.pairs`). ``programs`` has one row a program: ``program_id``,
    ``task_id``, ``source`` ("gold", "llm" or "rule"), ``generator``, ``form``, ``is_clone`` (it passes the tests;
    otherwise it is a near miss), ``code``, ``correct`` and the statistics of the Score. ``shown`` are the problems
    whose gold clones the generator's prompts show, ``names`` says whether functions have their "own" names or
    "neutral" ones.
    """

    pairs: pd.DataFrame
    programs: pd.DataFrame
    groups: Mapping[str, int]
    shown: Sequence[str]
    names: str

    job: ClassVar[type[PairJob]] = PairJob

    def with_neutral_names(self, entry_points: Mapping[str, str]) -> PairPool:
        """The same pool without the names of its functions, which would tell the problem.

        Parameters
        ----------
        entry_points : mapping
            Name of the function of each problem.
        """
        sides = {
            side: [
                neutral_names(code, entry_points[task_id])
                for code, task_id in zip(self.programs[side], self.programs.task_id, strict=True)
            ]
            for side in ("code", "correct")
        }
        pairs = neutral(self.pairs, entry_points)
        return replace(self, pairs=pairs, programs=self.programs.assign(**sides), names="neutral")

    def real(self, fold: int, split: str) -> pd.DataFrame:
        """Real pairs in one split of a fold."""
        return rows_of_split(self.pairs, self.groups, fold, split)

    def training(self, cell: Cell) -> pd.DataFrame:
        """See :func:`training_pairs`."""
        return training_pairs(self, cell)

    def written(self, source: str, fold: int, arm: CloneArm | None = None) -> pd.DataFrame:
        """Training programs of one source, and of one arm if it is given; there may be none."""
        rows = rows_of_split(self.programs[self.programs.source == source], self.groups, fold, "train")
        if arm is not None:
            rows = rows[by_arm(rows, arm)].reset_index(drop=True)
        return rows

    def required(self, source: str, fold: int, arm: CloneArm | None = None) -> pd.DataFrame:
        """:meth:`written`, refused if there are none."""
        rows = self.written(source, fold, arm)
        if rows.empty:
            name = arm.name if arm else source
            raise StudyError(
                f"the pool has no program of {name} in fold {fold}: add it to 03_write_clones and run it again"
            )
        return rows

    @property
    def solutions(self) -> dict[str, str]:
        """Correct solution of each problem that an added clone may be paired with."""
        return self.programs.drop_duplicates("task_id").set_index("task_id").correct.to_dict()

    def most(self, arm: CloneArm, fold: int) -> int:
        """Number of pairs that an arm can add: each clone brings one that is none."""
        return 2 * int(self.required("llm", fold, arm).is_clone.sum())

    def facts(self, cell: Cell) -> dict[str, Any]:
        """Columns that describe a cell in a prediction frame."""
        return {name: value for name, value in cell.facts.items() if name != "policy"} | {"names": self.names}

    def elsewhere(self, external: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
        """Pairs by other people: all of them, no problem of theirs is ours."""
        return external

    def correct_programs(self, fold: int, split: str) -> pd.DataFrame:
        """Canonical and alternative solution of every problem in one split: ``program_id, task_id, code``."""
        gold = rows_of_split(self.programs[self.programs.source == "gold"], self.groups, fold, split)
        canonical = gold.assign(program_id=gold.task_id + "/canonical", code=gold.correct)
        return pd.concat([canonical, gold], ignore_index=True)[["program_id", "task_id", "code"]]

    def available(self, arm: CloneArm, folds: Sequence[int]) -> pd.DataFrame:
        """What there is to choose from in the training split of each fold: real pairs, clones and near misses."""
        rows = []
        for fold in folds:
            counts = {"fold": fold, "real pairs": len(self.real(fold, "train"))}
            for name, written in (("LLM", self.written("llm", fold, arm)), ("rule", self.written("rule", fold))):
                clones = int(written.is_clone.sum())
                counts |= {f"{name} clones": clones, f"{name} near misses": len(written) - clones}
            rows.append(counts)
        return pd.DataFrame(rows)


def training_pairs(pool: PairPool, cell: Cell) -> pd.DataFrame:
    """Pairs to train on, with the column ``added`` (False for real ones), real ones first.

    Real pairs are nested and go by whole problems: first those whose clones the prompts show, then a random order
    by fold and seed, the same in every condition.

    The condition "none" is for baselines, which train on nothing.

    Raises
    ------
    StudyError
        If the condition is unknown, or there are fewer pairs than the cell asks for.
    """
    if cell.condition == "none":
        return pool.pairs.head(0).assign(added=False)
    if cell.condition not in CONDITIONS:
        raise StudyError(f"unknown condition {cell.condition!r}: choose one of {', '.join(CONDITIONS)}")
    real = _real(pool, cell)
    added = described(_added(pool, cell, real)) if cell.condition != "C0" else real.head(0)
    return pd.concat([real.assign(added=False), added.assign(added=True)], ignore_index=True)


def _real(pool: PairPool, cell: Cell) -> pd.DataFrame:
    rows = pool.real(cell.fold, "train")
    if cell.condition == "C5":
        return rows.head(0)
    if cell.n_real > len(rows):
        raise StudyError(
            f"fold {cell.fold} has {len(rows)} real training pairs, {cell.n_real} were asked for: lower n_real"
        )
    rng = np.random.default_rng([cell.seed, cell.fold, 0])
    problems = made_for(rows.pair_id)
    order = rng.permutation(sorted(set(problems))).tolist()
    order.sort(key=lambda problem: problem not in pool.shown)
    rank = problems.map({problem: place for place, problem in enumerate(order)})
    return rows.iloc[np.argsort(rank, kind="stable")[: cell.n_real]]


def _added(pool: PairPool, cell: Cell, real: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng([cell.seed, cell.fold, 1])
    source, arm = ("rule", None) if cell.condition == "C2" else ("llm", cell.arm)
    programs = pool.required(source, cell.fold, arm)
    clones = programs[programs.is_clone]
    if cell.n_added // 2 > len(clones):
        raise StudyError(
            f"{cell.condition} of {cell.arm.name} has {len(clones)} clones in fold {cell.fold}, "
            f"{cell.n_added // 2} were asked for: lower n_added or generate more"
        )
    if cell.condition in ("C4", "C4far"):
        gold = pool.programs[(pool.programs.source == "gold") & pool.programs.is_clone]
        real_clones = gold[gold.task_id.isin(set(made_for(real.pair_id)))]
        chosen = choose(clones, cell.n_added // 2, "score", real_clones, name="program_id")
    else:
        chosen = choose(clones, cell.n_added // 2, "random", rng=rng, name="program_id")
    misses = programs[~programs.is_clone] if cell.condition != "C4far" else programs.head(0)
    return couples(chosen, misses, pool.solutions, pool.groups, rng)


def couples(
    clones: pd.DataFrame,
    misses: pd.DataFrame,
    solutions: Mapping[str, str],
    groups: Mapping[str, int],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """For each clone two pairs: the clone with its correct solution, and one that is none.

    Parameters
    ----------
    clones, misses : DataFrame
        Programs that pass, and programs of the same author that fail: ``program_id, task_id, code, correct``.
    solutions : mapping
        Correct solution of each problem.
    groups : mapping
        Group of each problem: both programs of a pair come from one.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    DataFrame
        A pair frame. The pair that is none is the correct solution with a near miss of its problem, each one used once;
        where there is none left, the clone with the solution of a random other problem of its group.
    """
    left: dict[str, list[str]] = {
        task_id: rng.permutation(rows.code.to_numpy(object)).tolist() for task_id, rows in misses.groupby("task_id")
    }
    rows = []
    for row in clones.itertuples():
        rows.append((f"{row.program_id}/clone", row.task_id, row.task_id, "clone", 1, row.correct, row.code))
        if left.get(row.task_id):
            other, kind, one, two = row.task_id, "near-miss", row.correct, left[row.task_id].pop()
        else:
            others = [name for name in solutions if name != row.task_id and groups[name] == groups[row.task_id]]
            if not others:
                raise StudyError(f"{row.task_id} is alone in its group: a pair of different problems needs two")
            other = str(rng.choice(others))
            kind, one, two = "random", row.code, solutions[other]
        rows.append((f"{row.program_id}/other", row.task_id, other, kind, 0, one, two))
    return pd.DataFrame(rows, columns=COLUMNS)
