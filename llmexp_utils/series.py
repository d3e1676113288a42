"""Parts of the predictions: which rows stand for which series of the study, and how they are compared.

The *grid* has every condition at each number of real faults; the *sweep* varies the number of added faults; the *arms*
vary who wrote them. A part that a run does not have is an empty frame.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from llmexp_utils import metrics
from llmexp_utils.benchmarks import N_GROUPS
from llmexp_utils.cells import Measure, as_measure
from llmexp_utils.errors import StudyError
from llmexp_utils.pair_metrics import per_pair
from llmexp_utils.plots import CONDITIONS, Look

RUN = ["student", "series", "condition", "n_real", "n_added", "generator", "form", "policy", "names", "fold", "seed"]
ARM = ("generator", "form", "policy")
EXTERNAL, EXTERNAL_PAIRS = "HumanEvalPack/", "ConDefects/"
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
    faults = metrics.per_fault(_once(predictions, "fault_id", "05_finetune_fault_localization"))
    return _apart(faults, faults["fault_id"].str.startswith(EXTERNAL))


def measured_pairs(predictions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What each test pair counts for in each run: of our own pairs, and of those from other people's programs.

    Pairs of other people are tested in every fold, so a fold is one more repeat there: ``seed`` numbers the repeats.

    Parameters
    ----------
    predictions : DataFrame
        See :func:`llmexp_utils.pair_metrics.per_pair`; with ``student`` and the facts of each run.

    Raises
    ------
    StudyError
        If a pair stands twice in one run of a series.
    """
    pairs = per_pair(_once(predictions, "pair_id", "06_finetune_clone_detection"))
    ours, external = _apart(pairs, pairs["pair_id"].str.startswith(EXTERNAL_PAIRS))
    return ours, external.assign(seed=N_GROUPS * external["seed"] + external["fold"])


def part(faults: pd.DataFrame, series: str, student: str = "") -> pd.DataFrame:
    """Rows of one series, of one student if one is named; says in one line if there is none."""
    rows = faults[faults["series"] == series]
    rows = rows[rows["student"] == student] if student else rows
    if rows.empty:
        print(
            f"no runs of the series {series!r}{' of ' + student if student else ''} here: what needs them is left out"
        )
    return rows


def counts(per_item: pd.DataFrame, metric: str | Measure = "top1") -> str:
    """How many items of a measure, problems, seeds and folds stand behind a figure: a part of its caption.

    Students with fewer seeds than the others are named, with the number of theirs.
    """
    measure = as_measure(metric)
    n_items, n_problems, n_seeds, n_folds = (
        per_item[name].nunique() for name in (measure.item, "task_id", "seed", "fold")
    )
    seeds = per_item.groupby("student", sort=False)["seed"].nunique()
    fewer = [f"{', '.join(rows.index)}: {n}" for n, rows in seeds[seeds < n_seeds].groupby(seeds)]
    said = f"{n_seeds} ({'; '.join(fewer)})" if fewer else f"{n_seeds}"
    return f"{n_items} {measure.items} of {n_problems} problems, seeds: {said}, folds: {n_folds}"


def names(*conditions: str, looks: Mapping[str, Look] = CONDITIONS) -> str:
    """What conditions are, for a caption.

    Examples
    --------
    >>> names("C0", "C2")
    'C0: real only; C2: real + mutants'
    """
    return "; ".join(f"{name}: {looks[name].label}" for name in conditions)


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
    """Rows at each student's largest number of real faults, in each benchmark if there are several."""
    each = ["student", "benchmark"] if "benchmark" in grid else ["student"]
    return grid[grid["n_real"] == grid.groupby(each)["n_real"].transform("max")]


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


def _once(predictions: pd.DataFrame, item: str, notebook: str) -> pd.DataFrame:
    """Predictions with empty arms as text; refuses an item that stands twice in a run of a series."""
    filled = predictions.fillna(dict.fromkeys(ARM, ""))
    keys = [name for name in (*RUN, item) if name in filled]
    twice = filled.duplicated(keys)
    if twice.any():
        where = ", ".join(f"{name}={filled[twice].iloc[0][name]}" for name in keys)
        raise StudyError(f"a {item.removesuffix('_id')} was scored twice in one run ({where}): run {notebook} again")
    return filled


def _apart(rows: pd.DataFrame, outside: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    return rows[~outside].reset_index(drop=True), rows[outside].reset_index(drop=True)
