"""Retrieval: does a function find the others that do the same? (MAP@R; Musgrave et al. 2020, arXiv 2003.08505, 3.2)

A student scores every pair of the test functions; each function is a query, its clones are to be ranked first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from llmexp_utils.cells import Measure
from llmexp_utils.errors import StudyError
from llmexp_utils.pairs import COLUMNS

KIND = "retrieval"
MAP_AT_R = Measure("map_at_r", "ap_at_r", "", "program_id", "queries")
FACTS = ["run_id", "student", "condition", "names", "n_real", "n_added", "fold", "seed"]


def all_pairs(programs: pd.DataFrame) -> pd.DataFrame:
    """Every pair of programs once, as a pair frame of the kind "retrieval".

    Parameters
    ----------
    programs : DataFrame
        ``program_id, task_id, code``.
    """
    rows = []
    for one, other in combinations(programs.itertuples(), 2):
        same = int(one.task_id == other.task_id)
        name = f"{one.program_id} ~ {other.program_id}"
        rows.append((name, one.task_id, other.task_id, KIND, same, one.code, other.code))
    return pd.DataFrame(rows, columns=COLUMNS).assign(overlap=np.nan, clone_type="")


def queries(predictions: pd.DataFrame) -> pd.DataFrame:
    """Average precision at R of every query of every run.

    Parameters
    ----------
    predictions : DataFrame
        Scored pairs of :func:`all_pairs`, with the facts of their runs.

    Returns
    -------
    DataFrame
        The facts of the run, ``program_id`` and ``task_id`` of the query, ``ap_at_r``; a function without a clone among
        the others is found, but is no query.

    Raises
    ------
    StudyError
        If no function of a run has a clone.
    """
    tables = []
    for facts, run in predictions.groupby(FACTS, sort=False):
        names, problems, similar = _matrix(run)
        values = average_precision_at_r(similar, problems)
        table = pd.DataFrame({"program_id": names, "task_id": problems, "ap_at_r": values})
        tables.append(table.dropna().assign(**dict(zip(FACTS, facts, strict=True))))
    return pd.concat(tables, ignore_index=True)[[*FACTS, "program_id", "task_id", "ap_at_r"]]


def average_precision_at_r(similar: np.ndarray, problems: Sequence[str]) -> np.ndarray:
    """Average precision at R of each query.

    Parameters
    ----------
    similar : ndarray, shape (n, n)
        Score of each pair; larger is more alike. The diagonal is not read. Equal scores are broken in expectation:
        the value is the mean over all orders of what is tied.
    problems : sequence of str
        Problem of each function: those of one problem are clones.

    Returns
    -------
    ndarray, shape (n,)
        For a query with R clones, the mean over its first R neighbours of the precision at those that are clones, and
        0 at the others; NaN without a clone.

    Examples
    --------
    >>> average_precision_at_r(np.array([[0, 2, 1], [2, 0, 1], [1, 2, 0]]), ["a", "a", "b"]).tolist()
    [1.0, 1.0, nan]
    >>> average_precision_at_r(np.zeros((3, 3)), ["a", "a", "b"]).tolist()
    [0.5, 0.5, nan]
    """
    names, found = np.asarray(problems), []
    for row, name in enumerate(names):
        others = np.delete(np.arange(len(names)), row)
        found.append(_of_query(similar[row, others], names[others] == name))
    if np.isnan(found).all():
        raise StudyError("no problem has two functions: there is nothing to retrieve")
    return np.array(found)


def _of_query(scores: np.ndarray, is_clone: np.ndarray) -> float:
    """Expected average precision at R of one query, over all orders of what is tied."""
    n_clones = int(is_clone.sum())
    if not n_clones:
        return np.nan
    values, tie, sizes = np.unique(-scores, return_inverse=True, return_counts=True)
    clones = np.bincount(tie, is_clone)
    ties = np.repeat(np.arange(len(values)), sizes)  # that each place belongs to, best first
    place = np.arange(len(scores)) - (np.cumsum(sizes) - sizes)[ties]  # within its tie, from 0
    # A place holds a clone as often as its tie does; the clones that are left fall on the tie's places above it alike.
    above = (np.cumsum(clones) - clones)[ties] + place * (clones[ties] - 1) / np.maximum(sizes[ties] - 1, 1)
    precision = (clones / sizes)[ties] * (above + 1) / np.arange(1, len(scores) + 1)
    return float(precision[:n_clones].sum() / n_clones)


def _matrix(run: pd.DataFrame) -> tuple[list[str], list[str], np.ndarray]:
    """Functions of a run, their problems, and the score of each two."""
    sides = run.pair_id.str.split(" ~ ", regex=False, expand=True)
    problem = dict(zip(sides[0], run.task_id, strict=True)) | dict(zip(sides[1], run.other_id, strict=True))
    names = sorted(problem)
    place = {name: number for number, name in enumerate(names)}
    similar = np.full((len(names), len(names)), -np.inf)
    rows, columns = sides[0].map(place), sides[1].map(place)
    similar[rows, columns] = similar[columns, rows] = run.score
    return names, [problem[name] for name in names], similar
