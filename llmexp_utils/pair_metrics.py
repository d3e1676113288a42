"""Metrics of clone detection: precision, recall and F1 of the clones, and retrieval (MAP@R)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from llmexp_utils.errors import StudyError

EXTERNAL = "ConDefects/"
"""How the ids of pairs begin whose programs are other people's."""


def best_threshold(scores: Sequence[float], labels: Sequence[int]) -> float:
    """Threshold with the largest F1 on development pairs: a pair is taken for clones from it on.

    It lies halfway between the lowest score that is taken and the next one below. Of several with the same F1, the
    highest: fewer pairs are called clones.

    Raises
    ------
    StudyError
        If there is no clone, or a score is not a number.

    Examples
    --------
    >>> best_threshold([4, 3, 1, 0], [1, 1, 0, 0])
    2.0
    """
    values, truth = np.asarray(scores, float), np.asarray(labels, int)
    if not truth.sum():
        raise StudyError("the development pairs hold no clone: F1 has no threshold to choose")
    if not np.isfinite(values).all():
        raise StudyError("a score of the development pairs is not a number")
    levels = np.unique(values)[::-1]
    f1 = [f1_score(*_counts(values >= level, truth)) for level in levels]
    best = int(np.argmax(f1))
    return float((levels[best] + levels[best + 1]) / 2 if best + 1 < len(levels) else levels[best])


def f1_score(true_positives: float, false_positives: float, false_negatives: float) -> float:
    """F1 of the clones from counts; 0 if nothing is right.

    Examples
    --------
    >>> f1_score(2, 1, 1)
    0.6666666666666666
    """
    total = 2 * true_positives + false_positives + false_negatives
    return 2 * true_positives / total if total else 0.0


def own_and_external(predictions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of our own pairs, and of pairs of other people's programs.

    Examples
    --------
    >>> own, external = own_and_external(pd.DataFrame({"pair_id": ["HumanEval/0/clone0", "ConDefects/abc221_a/clone"]}))
    >>> external.pair_id.tolist()
    ['ConDefects/abc221_a/clone']
    """
    outside = predictions.pair_id.str.startswith(EXTERNAL)
    return predictions[~outside].reset_index(drop=True), predictions[outside].reset_index(drop=True)


def summarise(predictions: pd.DataFrame, by: Sequence[str] = ("condition",)) -> pd.DataFrame:
    """Metrics of every cell over all its pairs, folds and seeds together.

    Parameters
    ----------
    predictions : DataFrame
        One row a test pair and run: ``label``, ``score``, ``threshold``, ``run_id`` and the columns ``by``.
    by : sequence of str
        Columns that name a cell.

    Returns
    -------
    DataFrame
        ``by``, ``n_pairs``, ``precision``, ``recall``, ``f1``, ``accuracy``, and ``average_precision``, which is taken
        within each run, whose scores alone are comparable, and averaged over the runs.
    """
    rows = []
    for key, cell in predictions.groupby(list(by), sort=False, dropna=False):
        found = cell.score >= cell.threshold
        tp, fp, fn = _counts(found.to_numpy(), cell.label.to_numpy())
        rows.append(
            dict(zip(by, key, strict=True))
            | {
                "n_pairs": len(cell),
                "precision": tp / (tp + fp) if tp + fp else 0.0,
                "recall": tp / (tp + fn) if tp + fn else 0.0,
                "f1": f1_score(tp, fp, fn),
                "accuracy": float((found == cell.label).mean()),
                "average_precision": float(np.mean([_average_precision(run) for _, run in cell.groupby("run_id")])),
            }
        )
    return pd.DataFrame(rows)


def by_kind(predictions: pd.DataFrame, by: Sequence[str] = ("condition",)) -> pd.DataFrame:
    """Metrics of every cell on a part of its pairs: all clones with one kind of others, one clone type with all others.

    Returns
    -------
    DataFrame
        ``by``, ``part`` (the kind or the type), ``n_pairs``, ``precision``, ``recall``, ``f1``, ``accuracy``,
        ``average_precision``.
    """
    is_clone = predictions.label == 1
    parts = {kind: is_clone | (predictions.kind == kind) for kind in predictions[~is_clone].kind.unique()}
    parts |= {name: ~is_clone | (predictions.clone_type == name) for name in predictions[is_clone].clone_type.unique()}
    tables = [summarise(predictions[rows], by).assign(part=part) for part, rows in parts.items()]
    table = pd.concat(tables, ignore_index=True)
    return table[[*by, "part", *(name for name in table if name not in (*by, "part"))]]


def map_at_r(vectors: np.ndarray, problems: Sequence[str]) -> float:
    """Mean average precision at R of retrieval by cosine (Musgrave et al. 2020, arXiv 2003.08505, section 3.2).

    Parameters
    ----------
    vectors : ndarray, shape (n, d)
        One vector a function.
    problems : sequence of str
        Problem of each function; functions of one problem are clones. A function alone in its problem is only found,
        never a query.

    Returns
    -------
    float
        For each query with R clones, the mean over its R nearest neighbours of precision at the places that hold
        a clone; then the mean over the queries.

    Examples
    --------
    >>> map_at_r(np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]]), ["a", "a", "b", "b"])
    1.0
    """
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    names = np.asarray(problems)
    similar = units @ units.T
    np.fill_diagonal(similar, -np.inf)
    found = []
    for row, name in enumerate(names):
        n_clones = int((names == name).sum()) - 1
        if n_clones:
            hits = names[np.argsort(-similar[row], kind="stable")[:n_clones]] == name
            precision = np.cumsum(hits) / np.arange(1, n_clones + 1)
            found.append(float((precision * hits).sum() / n_clones))
    if not found:
        raise StudyError("no problem has two functions: there is nothing to retrieve")
    return float(np.mean(found))


def _counts(found: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    """True positives, false positives, false negatives."""
    right = truth == 1
    return int((found & right).sum()), int((found & ~right).sum()), int((~found & right).sum())


def _average_precision(run: pd.DataFrame) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(run.label, run.score)) if run.label.any() else float("nan")
