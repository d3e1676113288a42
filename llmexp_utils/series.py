"""Parts of the predictions: which rows stand for which series of the study, and how they are compared.

The *grid* has every condition at each number of real faults; the *sweep* varies the number of added faults; the *arms*
vary who wrote them. A part that a run does not have is an empty frame.
"""

from __future__ import annotations

import pandas as pd

from llmexp_utils import metrics
from llmexp_utils.errors import StudyError
from llmexp_utils.plots import CONDITIONS

RUN = ["student", "series", "condition", "n_real", "n_added", "generator", "form", "policy", "fold", "seed"]
ARM = ("generator", "form", "policy")
EXTERNAL = "HumanEvalPack/"
CONTROL, CONTROL_ALONE = "C2", "C5m"


def measured(predictions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ranking metrics of each test fault in each run: of our own faults, and of those by other people.

    Parameters
    ----------
    predictions : DataFrame
        See ``PREDICTIONS`` in :mod:`llmexp_utils.frames`.

    Raises
    ------
    StudyError
        If a fault stands twice in one run of a series.
    """
    filled = predictions.fillna(dict.fromkeys(ARM, ""))
    twice = filled.duplicated([*RUN, "fault_id"])
    if twice.any():
        where = ", ".join(f"{name}={filled[twice].iloc[0][name]}" for name in (*RUN, "fault_id"))
        raise StudyError(f"a fault was scored twice in one run ({where}): run 05_finetune_fault_localization again")
    faults = metrics.per_fault(filled)
    outside = faults["fault_id"].str.startswith(EXTERNAL)
    return faults[~outside].reset_index(drop=True), faults[outside].reset_index(drop=True)


def part(faults: pd.DataFrame, series: str, student: str = "") -> pd.DataFrame:
    """Rows of one series, of one student if one is named; says in one line if there is none."""
    rows = faults[faults["series"] == series]
    rows = rows[rows["student"] == student] if student else rows
    if rows.empty:
        print(
            f"no runs of the series {series!r}{' of ' + student if student else ''} here: what needs them is left out"
        )
    return rows


def counts(faults: pd.DataFrame) -> str:
    """How many faults, problems, seeds and folds stand behind a figure: a part of its caption."""
    sizes = {name: faults[name].nunique() for name in ("fault_id", "task_id", "seed", "fold")}
    return "{fault_id} faults of {task_id} problems, seeds: {seed}, folds: {fold}".format(**sizes)


def names(*conditions: str) -> str:
    """What conditions are, for a caption.

    Examples
    --------
    >>> names("C0", "C2")
    'C0: real only; C2: real + mutants'
    """
    return "; ".join(f"{name}: {CONDITIONS[name].label}" for name in conditions)


def at_every_size(grid: pd.DataFrame) -> pd.DataFrame:
    """Rows of the grid, those without real faults repeated at each number of real faults that their student has.

    So that a condition without real faults can be compared with every number of real faults alone.
    """
    found = [grid[grid["n_real"] > 0]]
    for student, rows in grid[grid["n_real"] == 0].groupby("student"):
        sizes = grid.loc[(grid["student"] == student) & (grid["n_real"] > 0), "n_real"].unique()
        found += [rows.assign(n_real=size) for size in sorted(sizes)]
    return pd.concat(found, ignore_index=True)


def against_mutants(grid: pd.DataFrame) -> pd.DataFrame:
    """Rows with added faults; without real faults, mutants alone take the place of the control (C2)."""
    rows = grid[grid["condition"] != "C0"]
    return rows.assign(condition=rows["condition"].replace({CONTROL_ALONE: CONTROL}))


def most_real(grid: pd.DataFrame) -> pd.DataFrame:
    """Rows at each student's largest number of real faults."""
    return grid[grid["n_real"] == grid.groupby("student")["n_real"].transform("max")]


def middle_size(grid: pd.DataFrame) -> pd.DataFrame:
    """Rows at the number of real faults in the middle of those measured (the upper of two)."""
    sizes = sorted(grid.loc[grid["condition"] == "C0", "n_real"].unique())
    if not sizes:
        raise StudyError("the grid has no runs with real faults only: add C0 to its conditions")
    return grid[grid["n_real"] == sizes[len(sizes) // 2]]


def with_floor(bands: pd.DataFrame, faults: pd.DataFrame, x: str = "n_real") -> pd.DataFrame:
    """Bands and one row ``floor``: Top-1 of a random ranking of these faults, which has no interval."""
    floor = metrics.random_floor(faults)["top1"].mean()
    row = {"condition": "floor", x: 0, "metric": "top1", "estimate": floor, "low": floor, "high": floor}
    return pd.concat([bands, pd.DataFrame([row])], ignore_index=True)


def floor_by(faults: pd.DataFrame, group: str) -> pd.Series:
    """Top-1 of a random ranking for each group of faults; groups differ as their functions differ in length."""
    return metrics.random_floor(faults).groupby(group)["top1"].mean()
