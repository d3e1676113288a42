"""Retrieval: does a function find the others that do the same? (MAP@R; Musgrave et al. 2020, arXiv 2003.08505, 3.2)

Each function is a query, and its clones are to be ranked first; :mod:`llmexp_utils.ranking` is how students rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from llmexp_utils.cells import Measure
from llmexp_utils.errors import StudyError

Similarity = Callable[[slice], np.ndarray]
"""Similarity of some of n programs, the queries, to all of them: shape (queries, n); larger is more alike."""
MAP_AT_R = Measure("map_at_r", "ap_at_r", "", "program_id", "queries")


def average_precision_at_r(similar: Similarity, problems: Sequence[str], block: int = 64) -> np.ndarray:
    """Average precision at R of each of n queries.

    Parameters
    ----------
    similar : callable
        Scores of some rows of all pairs, shape (rows, n); larger is more alike. What a query has with itself is not
        read. Equal scores are broken in expectation: the value is the mean over all orders of what is tied.
    problems : sequence of str
        Problem of each function: those of one problem are clones.
    block : int
        Rows that are asked for at a time.

    Returns
    -------
    ndarray, shape (n,)
        For a query with R clones, the mean over its first R neighbours of the precision at those that are clones, and
        0 at the others; NaN without a clone.

    Raises
    ------
    StudyError
        If no function has a clone.

    Examples
    --------
    >>> scores = np.array([[0, 2, 1], [2, 0, 1], [1, 2, 0]])
    >>> average_precision_at_r(lambda rows: scores[rows], ["a", "a", "b"]).tolist()
    [1.0, 1.0, nan]
    >>> average_precision_at_r(lambda rows: 0 * scores[rows], ["a", "a", "b"]).tolist()
    [0.5, 0.5, nan]
    """
    names = np.asarray(problems)
    if len(np.unique(names)) == len(names):
        raise StudyError("no problem has two functions: there is nothing to retrieve")
    found = []
    for start in range(0, len(names), block):
        for row, scores in enumerate(similar(slice(start, start + block)), start):
            found.append(_of_query(np.delete(scores, row), np.delete(names == names[row], row)))
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
