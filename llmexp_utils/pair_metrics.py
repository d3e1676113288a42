"""Metrics of clone detection: precision, recall and F1 of the clones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from llmexp_utils.cells import Measure
from llmexp_utils.errors import StudyError
from llmexp_utils.pairs import made_for

F1 = Measure("f1", "f1_top", "f1_bottom", "pair_id", "pairs")
PRECISION = Measure("precision", "hit", "found", "pair_id", "pairs")
RECALL = Measure("recall", "hit", "label", "pair_id", "pairs")
ACCURACY = Measure("accuracy", "correct", "", "pair_id", "pairs")
SPECIFICITY = Measure("specificity", "refused", "other", "pair_id", "pairs")


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


def per_pair(predictions: pd.DataFrame) -> pd.DataFrame:
    """Add what each test pair counts for, in each run.

    Parameters
    ----------
    predictions : DataFrame
        One row a test pair and run: ``pair_id``, ``label``, ``score``, ``threshold``.

    Returns
    -------
    DataFrame
        The same rows; ``task_id`` is the problem that the pair was made for, which the bootstrap draws. Added are
        ``found`` (1: taken for clones), ``correct``, ``hit`` (a clone that is found), ``other`` (no clone), ``refused``
        (one that is not taken for a clone), and ``f1_top`` (2 TP) and ``f1_bottom`` (2 TP + FP + FN), whose sums give
        F1.

    Examples
    --------
    >>> pairs = pd.DataFrame({"pair_id": ["T/0/clone0"], "label": [1], "score": [0.7], "threshold": [0.5]})
    >>> per_pair(pairs)[["task_id", "found", "correct", "hit", "f1_top", "f1_bottom"]].values.tolist()
    [['T/0', 1, 1, 1, 2, 2]]
    """
    found = (predictions["score"] >= predictions["threshold"]).astype(int)
    label = predictions["label"].astype(int)
    return predictions.assign(
        task_id=made_for(predictions["pair_id"]),
        found=found,
        correct=(found == label).astype(int),
        hit=found * label,
        other=1 - label,
        refused=(1 - found) * (1 - label),
        f1_top=2 * found * label,
        f1_bottom=found + label,
    )


def parts(pairs: pd.DataFrame) -> pd.DataFrame:
    """Rows of each part of the pairs, named in the column ``part``; a pair is in several parts.

    For each kind of pairs that are none, these with all clones; for each clone type, the clones of it with all others.

    Parameters
    ----------
    pairs : DataFrame
        Predictions or rows of :func:`per_pair`: ``label``, ``kind``, ``clone_type``.
    """
    is_clone = pairs["label"] == 1
    chosen = {kind: is_clone | (pairs["kind"] == kind) for kind in pairs.loc[~is_clone, "kind"].unique()}
    types = pairs.loc[is_clone, "clone_type"].unique()
    chosen |= {name: ~is_clone | (pairs["clone_type"] == name) for name in types}
    return pd.concat([pairs[rows].assign(part=part) for part, rows in chosen.items()], ignore_index=True)


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


def discrimination(predictions: pd.DataFrame, by: Sequence[str] = ("condition",)) -> pd.DataFrame:
    """How well clones are told from the other pairs, in measures that do not depend on the share of clones.

    F1 does: where most pairs are clones, calling all of them clones is hard to beat.

    Parameters
    ----------
    predictions, by
        See :func:`summarise`.

    Returns
    -------
    DataFrame
        ``by``, ``n_pairs``, ``specificity`` (share of the other pairs that are refused), ``recall`` (of the clones
        that are found), and ``auc``, the area under the ROC curve (0.5: chance), taken within each run and averaged
        over those that have both kinds.

    Examples
    --------
    >>> pairs = pd.DataFrame({"label": [1, 1, 0, 0], "score": [3, 1, 2, 0], "threshold": 1, "run_id": "a"})
    >>> discrimination(pairs.assign(condition="C0")).to_dict("records")
    [{'condition': 'C0', 'n_pairs': 4, 'specificity': 0.5, 'recall': 1.0, 'auc': 0.75}]
    """
    rows = []
    for key, cell in predictions.groupby(list(by), sort=False, dropna=False):
        found, clone = cell.score >= cell.threshold, cell.label == 1
        rows.append(
            dict(zip(by, key, strict=True))
            | {
                "n_pairs": len(cell),
                "specificity": float((~found[~clone]).mean()),
                "recall": float(found[clone].mean()),
                "auc": pd.Series([_area_under_roc(run) for _, run in cell.groupby("run_id")]).mean(),
            }
        )
    return pd.DataFrame(rows)


def _counts(found: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    """True positives, false positives, false negatives."""
    right = truth == 1
    return int((found & right).sum()), int((found & ~right).sum()), int((~found & right).sum())


def _area_under_roc(run: pd.DataFrame) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(run.label, run.score)) if run.label.nunique() == 2 else float("nan")


def _average_precision(run: pd.DataFrame) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(run.label, run.score)) if run.label.any() else float("nan")
