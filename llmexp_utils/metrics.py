"""Fault localization metrics of ranked lines, in expectation over the random breaking of ties.

A prediction is one score a line. Lines with equal scores have no order, so every metric here is its exact
mean over all orders of the tied lines: a model that gives every line the same score gets exactly the metrics
of a random ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from math import comb

import numpy as np
import pandas as pd

from llmexp_utils.errors import StudyError

TOP = (1, 3, 5)
TOP_NAMES = ("top1", "top3", "top5")
RANKING = (*TOP_NAMES, "first_rank", "average_rank", "reciprocal_rank", "average_precision", "exam")
SUMMARY = {"first_rank": "mfr", "average_rank": "mar", "reciprocal_rank": "mrr", "average_precision": "map"}


@dataclass(frozen=True)
class _Lines:
    """All lines of all predictions, end to end: ``row`` is the prediction, ``start`` its first line."""

    row: np.ndarray
    start: np.ndarray
    score: np.ndarray
    labelled: np.ndarray


def per_fault(predictions: pd.DataFrame) -> pd.DataFrame:
    """Add the ranking metrics of each prediction.

    Parameters
    ----------
    predictions : DataFrame
        One row a test fault in one run: ``scores`` (one number a line, higher = more suspicious) and
        ``lines`` (1-based labels); see ``PREDICTIONS`` in :mod:`llmexp_utils.tables`.

    Returns
    -------
    DataFrame
        The same rows with ``top1``, ``top3``, ``top5`` (chance that a labelled line is among the k best;
        Top-k), ``first_rank`` (expected rank of the best labelled line; its mean over faults is MFR),
        ``average_rank`` (expected rank of the labelled lines; MAR), ``reciprocal_rank`` (expectation of
        1 / first rank; MRR), ``average_precision`` (MAP) and ``exam`` (first rank as a share of the lines).

    Raises
    ------
    StudyError
        If a prediction has no score, a score that is NaN, no labelled line, or a label outside the function.

    Examples
    --------
    >>> frame = pd.DataFrame({"fault_id": ["a"], "scores": [[0.9, 0.1, 0.1]], "lines": [[2]]})
    >>> per_fault(frame)[["top1", "top3", "first_rank", "average_rank"]].values.tolist()
    [[0.0, 1.0, 2.5, 2.5]]
    """
    if predictions.empty:
        return predictions.assign(**{name: pd.Series(dtype=float) for name in RANKING})
    return predictions.assign(**_ranking(_lines(predictions)))


def random_floor(frame: pd.DataFrame) -> pd.DataFrame:
    """Metrics of a uniformly random ranking, exact; one row a fault.

    Parameters
    ----------
    frame : DataFrame
        Predictions (several runs may hold the same fault) or faults: ``fault_id``, ``lines``, and ``n_lines``
        or ``code``.

    Returns
    -------
    DataFrame
        ``fault_id``, ``n_lines``, the metrics of :func:`per_fault`; where given, ``task_id``, ``fault_type``.

    Examples
    --------
    >>> faults = pd.DataFrame({"fault_id": ["a"], "code": ["x\\ny\\nz\\n"], "lines": [[1, 2]]})
    >>> float(random_floor(faults)["top1"].round(3).iloc[0])
    0.667
    """
    faults = frame.drop_duplicates("fault_id").reset_index(drop=True)
    if "n_lines" in faults:
        length = faults["n_lines"].astype(int)
    else:
        length = faults["code"].map(lambda code: len(code.splitlines()))
    tied = faults.assign(n_lines=length, scores=[[0.0] * n for n in length])
    known = [name for name in ("fault_id", "task_id", "fault_type", "n_lines") if name in tied]
    return per_fault(tied)[[*known, *RANKING]]


def summarise(faults: pd.DataFrame, by: Sequence[str] = ("condition",)) -> pd.DataFrame:
    """Mean of each metric over faults, a fault counting once however many seeds it has.

    Columns: ``by``, ``n_faults``, ``top1``, ``top3``, ``top5``, ``mfr``, ``mar``, ``mrr``, ``map``, ``exam``.
    """
    keys = list(by)
    each = faults.groupby([*keys, "fault_id"], observed=True, dropna=False)[list(RANKING)].mean()
    groups = each.groupby(level=keys, dropna=False)
    table = groups.mean().rename(columns=SUMMARY)
    table.insert(0, "n_faults", groups.size())
    return table.reset_index()


def line_probabilities(predictions: pd.DataFrame) -> list[np.ndarray]:
    """Softmax of the scores over the lines of each function: one array (n_lines,) a row, summing to 1."""
    lines = _lines(predictions)
    return np.split(_softmax(lines), lines.start[1:])


def line_counts(predictions: pd.DataFrame) -> pd.DataFrame:
    """Add ``tp``, ``fp``, ``fn``: labels against the lines that reach the row's ``threshold`` (softmax)."""
    lines = _lines(predictions)
    flagged = _softmax(lines) >= predictions["threshold"].to_numpy(float)[lines.row]
    hits = {
        "tp": flagged & lines.labelled,
        "fp": flagged & ~lines.labelled,
        "fn": ~flagged & lines.labelled,
    }
    counts = {name: np.add.reduceat(hit.astype(int), lines.start) for name, hit in hits.items()}
    return predictions.assign(**counts)


def line_metrics(predictions: pd.DataFrame, by: Sequence[str] = ("run_id",)) -> pd.DataFrame:
    """Precision, recall and F1 of the faulty lines, pooled over all lines of a group (micro average).

    Parameters
    ----------
    predictions : DataFrame
        ``scores``, ``lines``, ``threshold`` (see :func:`choose_threshold`) and the columns of ``by``.
    by : sequence of str
        One row of the result a group.

    Returns
    -------
    DataFrame
        ``by``, ``tp``, ``fp``, ``fn``, ``precision`` (0 where no line is flagged), ``recall``, ``f1``.
    """
    counts = line_counts(predictions).groupby(list(by), observed=True, dropna=False)[["tp", "fp", "fn"]].sum()
    flagged = counts["tp"] + counts["fp"]
    counts["precision"] = counts["tp"] / flagged.clip(lower=1)
    counts["recall"] = counts["tp"] / (counts["tp"] + counts["fn"])
    counts["f1"] = 2 * counts["tp"] / (flagged + counts["tp"] + counts["fn"])
    return counts.reset_index()


def choose_threshold(dev: pd.DataFrame) -> float:
    """Threshold on the softmax with the best line F1 on the development faults; the highest of equal ones.

    Parameters
    ----------
    dev : DataFrame
        Predictions on the development split of one run: ``scores`` and ``lines``.
    """
    from sklearn.metrics import precision_recall_curve

    lines = _lines(dev)
    precision, recall, thresholds = precision_recall_curve(lines.labelled, _softmax(lines))
    total = np.maximum(precision + recall, 1e-12)
    f1 = (2 * precision * recall / total)[:-1]  # the curve ends with a point that no threshold reaches
    return float(thresholds[np.flatnonzero(np.isclose(f1, f1.max(), rtol=0, atol=1e-12))[-1]])


@lru_cache(maxsize=100_000)
def first_position(ties: int, marked: int) -> tuple[float, ...]:
    """P(first marked item is at position 1, 2, ...) when ``marked`` of ``ties`` items are in random order."""
    every = comb(ties, marked)
    return tuple(comb(ties - place, marked - 1) / every for place in range(1, ties - marked + 2))


@lru_cache(maxsize=100_000)
def _first(above: int, ties: int, marked: int) -> tuple[float, ...]:
    """Top-k for each k of ``TOP``, expected rank and expected reciprocal rank of the first marked line.

    ``above`` lines are certainly better; then come ``ties`` equal lines, ``marked`` of them labelled.
    """
    chance = np.array(first_position(ties, marked))
    rank = above + np.arange(1, len(chance) + 1)
    top = [min(1.0, chance[rank <= k].sum()) for k in TOP]
    return (*top, above + (ties + 1) / (marked + 1), float((chance / rank).sum()))


@lru_cache(maxsize=100_000)
def _precision(above: int, ties: int, marked: int, found: int) -> float:
    """Sum over the marked lines of one tied group of the expected precision at their rank.

    ``found`` marked lines are certainly better. At position ``j`` of the group, the ``j - 1`` lines before a
    marked line hold (j - 1)(marked - 1) / (ties - 1) other marked ones on average.
    """
    place = np.arange(1, ties + 1)
    before = (place - 1) * (marked - 1) / max(ties - 1, 1)
    return float(marked * ((found + 1 + before) / (above + place)).mean())


def _ranking(lines: _Lines) -> dict[str, np.ndarray]:
    """Metrics of each prediction, from the tied groups that hold a labelled line."""
    ranks = pd.Series(lines.score).groupby(lines.row)
    low, high = ranks.rank("min", ascending=False), ranks.rank("max", ascending=False)
    labelled = pd.DataFrame({"row": lines.row, "low": low, "high": high})[lines.labelled].astype(int)
    groups = labelled.groupby(["row", "low"]).agg(high=("high", "first"), marked=("high", "size"))
    groups = groups.reset_index()
    groups["above"] = groups["low"] - 1
    groups["ties"] = groups["high"] - groups["above"]
    groups["found"] = groups.groupby("row")["marked"].cumsum() - groups["marked"]
    groups["precision"] = _cached(_precision, groups[["above", "ties", "marked", "found"]])[:, 0]
    first = _cached(_first, groups.drop_duplicates("row")[["above", "ties", "marked"]])
    middle = (labelled["low"] + labelled["high"]) / 2
    result = dict(zip(RANKING, first[:, :4].T, strict=False))
    result["average_rank"] = middle.groupby(labelled["row"]).mean().to_numpy()
    result["reciprocal_rank"] = first[:, 4]
    by_row = groups.groupby("row")
    result["average_precision"] = (by_row["precision"].sum() / by_row["marked"].sum()).to_numpy()
    result["exam"] = result["first_rank"] / np.bincount(lines.row)
    return {name: result[name] for name in RANKING}


def _cached(function, arguments: pd.DataFrame) -> np.ndarray:
    """Apply a function of small integers to each row, once for each distinct row: shape (rows, values)."""
    distinct, where = np.unique(arguments.to_numpy(), axis=0, return_inverse=True)
    values = np.array([function(*map(int, row)) for row in distinct], dtype=float)
    return values.reshape(len(distinct), -1)[where.ravel()]


def _lines(predictions: pd.DataFrame) -> _Lines:
    """Check the predictions and lay their lines end to end."""
    if predictions.empty:
        raise StudyError("no predictions to measure: run the notebook that fine-tunes the students first")
    names = predictions.get("fault_id", predictions.index)
    length = predictions["scores"].map(len).to_numpy(int)
    n_labels = predictions["lines"].map(len).to_numpy(int)
    score = np.fromiter(chain.from_iterable(predictions["scores"]), float, length.sum())
    label = np.fromiter(chain.from_iterable(predictions["lines"]), int, n_labels.sum())
    row = np.repeat(np.arange(len(length)), length)
    of_label = np.repeat(np.arange(len(length)), n_labels)
    bad_score = np.bincount(row[np.isnan(score) | (score == np.inf)], minlength=len(length)) > 0
    bad_label = np.bincount(of_label[(label < 1) | (label > length[of_label])], minlength=len(length)) > 0
    _refuse(length == 0, names, "has no scores: give one score a line")
    _refuse(bad_score, names, "has a score that is NaN or +inf: check the training run")
    _refuse(n_labels == 0, names, "has no labelled line: drop it before training")
    _refuse(bad_label, names, "has a label outside its lines: labels are 1-based, every line has a score")
    if "n_lines" in predictions:
        other = length != predictions["n_lines"].to_numpy(int)
        _refuse(other, names, "has not one score a line (see n_lines)")
    start = np.cumsum(length) - length
    labelled = np.zeros(len(score), bool)
    labelled[start[of_label] + label - 1] = True
    return _Lines(row, start, score, labelled)


def _refuse(bad: np.ndarray, names: pd.Series | pd.Index, problem: str) -> None:
    if bad.any():
        raise StudyError(f"prediction of fault {np.asarray(names)[bad.argmax()]!r} {problem}")


def _softmax(lines: _Lines) -> np.ndarray:
    """Softmax over the lines of each prediction, flat."""
    best = np.maximum.reduceat(lines.score, lines.start)
    best[np.isneginf(best)] = 0.0  # every line was cut off: no line is suspected
    weight = np.exp(lines.score - best[lines.row])
    total = np.add.reduceat(weight, lines.start)
    return weight / np.where(total > 0, total, 1.0)[lines.row]
