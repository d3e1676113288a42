"""Intervals and tests over problems: paired cluster bootstrap and Holm's correction.

Faults of one problem share its code, as do pairs, so they are not independent: a draw of the bootstrap takes whole
problems (``task_id``) with replacement. Seeds are averaged first, and every condition sees the same draws,
which makes each difference a paired one: of means, the mean of the differences item by item; of ratios such as F1, the
difference of both ratios in each draw. The intervals say what another sample of *problems* would change; the spread
over seeds is reported beside them (``sd_seeds``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from llmexp_utils.cells import Cell, Measure, as_measure, cells, named, same_items
from llmexp_utils.errors import StudyError

DRAWS = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Resample:
    """How often each problem is in each draw: ``weights`` (draws, problems), problems as in ``tasks``."""

    tasks: pd.Index
    weights: np.ndarray

    def ratios(self, cell: Cell) -> np.ndarray:
        """Measure of a cell, shape (1 + draws,): entry 0 is the estimate, the rest are draws.

        `einsum` rather than a matrix product: the product is so thin that the linear algebra library's threads cost
        more than they bring.
        """
        total = cell.sums.groupby(level="task_id").sum().reindex(self.tasks, fill_value=0).to_numpy(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            top, bottom = np.einsum("dp,kp->kd", self.weights, np.ascontiguousarray(total.T))
            return np.append(cell.estimate, top / bottom)


def resample(task_ids: Sequence[str], rng: np.random.Generator, draws: int = DRAWS) -> Resample:
    """Draw problems with replacement, as many as there are, ``draws`` times."""
    tasks = pd.Index(sorted(set(task_ids)), name="task_id")
    if tasks.empty:
        raise StudyError("nothing to resample: the frame is empty")
    return Resample(tasks, rng.multinomial(len(tasks), np.full(len(tasks), 1 / len(tasks)), draws).astype(float))


def rounded(value: np.ndarray | float) -> np.ndarray | float:
    """Value without a negative zero and without the noise of sums (beyond 1e-12), which would break ties."""
    return np.round(value, 12) + 0.0


def interval(draws: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Percentile interval of bootstrap draws; infinite draws are allowed, NaN ones are left out."""
    known = draws[~np.isnan(draws)]
    if not len(known):
        return np.nan, np.nan
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)


def two_sided_p(draws: np.ndarray) -> float:
    """Two-sided p-value of "no difference": the level at which the percentile interval first holds zero.

    Twice the smaller tail, with one added to both counts so that it is never 0 (Davison & Hinkley 1997, 4.2). NaN draws
    are left out.

    Examples
    --------
    >>> two_sided_p(np.array([1.0, 2.0, 3.0, -1.0]))
    0.8
    """
    known = draws[~np.isnan(draws)]
    if not len(known):
        return np.nan
    tail = min((known <= 0).sum(), (known >= 0).sum())
    return float(min(1.0, 2 * (tail + 1) / (len(known) + 1)))


def holm(p: Sequence[float]) -> np.ndarray:
    """Holm's step-down correction of one family of p-values; NaN (no test) stays NaN and is not counted."""
    from statsmodels.stats.multitest import multipletests

    values = np.asarray(p, float)
    known = ~np.isnan(values)
    if known.any():
        values = values.copy()
        values[known] = multipletests(values[known], method="holm")[1]
    return values


def bands(
    per_item: pd.DataFrame,
    *,
    rng: np.random.Generator,
    metric: str | Measure = "top1",
    by: Sequence[str] = ("student", "condition", "n_real"),
    draws: int = DRAWS,
) -> pd.DataFrame:
    """A measure with its interval, one row a cell.

    Parameters
    ----------
    per_item : DataFrame
        See :func:`llmexp_utils.metrics.per_fault`: ``fault_id``, ``task_id``, ``seed`` (if any), ``metric``; of pairs,
        :func:`llmexp_utils.pair_metrics.per_pair`.
    rng : numpy.random.Generator
        Source of the draws.
    metric : str or Measure
        What is measured; the name of a column stands for its mean over faults.
    by : sequence of str
        Columns that name a cell.
    draws : int
        Number of bootstrap draws.

    Returns
    -------
    DataFrame
        ``by``, ``metric`` (its name), ``estimate``, ``low``, ``high``, ``sd_seeds`` (standard deviation of the measure
        over seeds; NaN for one seed), ``n_faults`` (or the measure's ``items``), ``n_problems``, ``n_seeds``.
    """
    name, problems = as_measure(metric).name, resample(per_item["task_id"], rng, draws)
    rows = []
    for key, cell in cells(per_item, metric, by).items():
        value = rounded(problems.ratios(cell))
        low, high = interval(value[1:])
        row = dict(zip(by, key, strict=True)) | {"metric": name, "estimate": value[0], "low": low, "high": high}
        rows.append(row | {"sd_seeds": rounded(cell.seeds.std())} | cell.sizes())
    return pd.DataFrame(rows)


def with_intervals(
    summary: pd.DataFrame,
    per_item: pd.DataFrame,
    measures: Sequence[Measure],
    by: Sequence[str],
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """A summary with one row a cell, and the interval of each measure at its end (``f1_low``, ``f1_high``, ...).

    Parameters
    ----------
    summary : DataFrame
        One row a cell, with the columns ``by``.
    per_item, rng, draws
        See :func:`bands`.
    measures : sequence of Measure
        What is measured.
    by : sequence of str
        Columns that name a cell.
    """
    for measure in measures:
        names = {end: f"{measure.name}_{end}" for end in ("low", "high")}
        ends = bands(per_item, rng=rng, metric=measure, by=by, draws=draws)[[*by, *names]].rename(columns=names)
        summary = summary.merge(ends, on=list(by), how="left", validate="one_to_one")
    return summary


def compare(
    per_item: pd.DataFrame,
    *,
    rng: np.random.Generator,
    baseline: str = "C0",
    metric: str | Measure = "top1",
    by: Sequence[str] = ("student", "n_real"),
    arms: Sequence[str] = ("condition",),
    family: Sequence[str] = (),
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Paired difference of each condition to the baseline in the same cell, on the same items.

    Parameters
    ----------
    per_item, rng, metric, draws
        See :func:`bands`; the frame has a column ``condition``.
    baseline : str
        The condition that is subtracted.
    by : sequence of str
        Columns in which a condition and the baseline must agree.
    arms : sequence of str
        Columns that tell the compared arms apart: add ``generator``, ``policy``, ``n_added``... if they vary.
    family : sequence of str
        Holm's correction is taken within each value of these columns; over the whole table if empty.

    Returns
    -------
    DataFrame
        ``by``, ``arms``, ``metric``, ``baseline``, ``estimate``, ``low``, ``high``, ``p``, ``p_holm``,
        ``n_faults`` (or the measure's ``items``), ``n_problems``, ``n_seeds``, ``note`` (why there is no estimate, or a
        warning).

    Raises
    ------
    StudyError
        If an arm and the baseline were not tested on the same items, or a cell has an item twice for a seed.
    """
    is_base = per_item["condition"] == baseline
    if is_base.all() or not is_base.any():
        raise StudyError(f"nothing to compare: the frame needs {baseline!r} and another condition")
    reference = cells(per_item[is_base], metric, by)
    problems = resample(per_item["task_id"], rng, draws)
    names, rows = [*by, *arms], []
    for key, cell in cells(per_item[~is_base], metric, names).items():
        name = dict(zip(names, key, strict=True))
        row = name | {"metric": as_measure(metric).name, "baseline": baseline}
        row |= dict.fromkeys(("estimate", "low", "high", "p", "p_holm"), np.nan)
        row |= cell.sizes() | {"note": f"no {baseline} in this cell"}
        base = reference.get(key[: len(by)])
        if base is not None:
            same_items(cell, base, named(name))
            difference = rounded(problems.ratios(cell) - problems.ratios(base))
            row |= {"estimate": difference[0], "p": two_sided_p(difference[1:])}
            row["low"], row["high"] = interval(difference[1:])
            same = set(cell.seeds.index) == set(base.seeds.index)
            row["note"] = "" if same else f"seeds differ from those of {baseline}"
        rows.append(row)
    table = pd.DataFrame(rows)
    groups = [group for _, group in table.groupby(list(family), dropna=False)] if family else [table]
    for group in groups:
        table.loc[group.index, "p_holm"] = holm(group["p"])
    return table
