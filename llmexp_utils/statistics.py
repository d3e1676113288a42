"""Intervals and tests over problems: paired cluster bootstrap and Holm's correction.

Faults of one problem share its code, so they are not independent: a draw of the bootstrap takes whole
problems (``task_id``) with replacement. Seeds are averaged first, and every condition sees the same draws,
which makes each difference a paired one. The intervals say what another sample of *problems* would change;
the spread over seeds is reported beside them (``sd_seeds``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from llmexp_utils.errors import StudyError

DRAWS = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Cell:
    """One condition in one setting: ``values`` by task and fault (mean over seeds), ``seeds`` each mean."""

    values: pd.Series
    seeds: pd.Series

    def sizes(self) -> dict[str, int]:
        """Numbers of faults, problems and seeds behind an estimate."""
        problems = self.values.index.get_level_values("task_id").nunique()
        return {"n_faults": len(self.values), "n_problems": problems, "n_seeds": len(self.seeds)}


@dataclass(frozen=True)
class Resample:
    """How often each problem is in each draw: ``weights`` (draws, problems), problems as in ``tasks``."""

    tasks: pd.Index
    weights: np.ndarray

    def means(self, values: pd.Series) -> np.ndarray:
        """Mean over faults in each draw, shape (draws,); ``values`` by (task_id, fault_id).

        Rounded, so that sums taken in another order give the same draws and the same ties. `einsum` rather than a
        matrix product: the product is so thin that the linear algebra library's threads cost more than they bring.
        """
        groups = values.groupby(level="task_id").agg(["sum", "count"])
        total = groups.reindex(self.tasks, fill_value=0).to_numpy(float)
        with np.errstate(invalid="ignore"):
            top, bottom = np.einsum("dp,kp->kd", self.weights, np.ascontiguousarray(total.T))
            return rounded(top / bottom)


def resample(task_ids: Sequence[str], rng: np.random.Generator, draws: int = DRAWS) -> Resample:
    """Draw problems with replacement, as many as there are, ``draws`` times."""
    tasks = pd.Index(sorted(set(task_ids)), name="task_id")
    if tasks.empty:
        raise StudyError("no fault to resample: the frame is empty")
    return Resample(tasks, rng.multinomial(len(tasks), np.full(len(tasks), 1 / len(tasks)), draws).astype(float))


def rounded(value: np.ndarray | float) -> np.ndarray | float:
    """Value without the noise of floating-point sums (beyond 1e-12) and without a negative zero."""
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

    Twice the smaller tail, with one added to both counts so that it is never 0 (Davison & Hinkley 1997, 4.2).

    Examples
    --------
    >>> two_sided_p(np.array([1.0, 2.0, 3.0, -1.0]))
    0.8
    """
    known = draws[~np.isnan(draws)]
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


def cells(per_fault: pd.DataFrame, metric: str, by: Sequence[str]) -> dict[tuple, Cell]:
    """Split into cells by the columns ``by``; within a cell a fault may occur once a seed."""
    frame = per_fault if "seed" in per_fault else per_fault.assign(seed=0)
    missing = [name for name in (*by, metric, "task_id", "fault_id") if name not in frame]
    if missing:
        raise StudyError(f"no column {missing[0]!r}: the frame has {', '.join(map(str, frame.columns))}")
    if frame[metric].isna().any():
        raise StudyError(f"column {metric!r} has an empty value: finish or drop that run first")
    twice = frame.duplicated([*by, "fault_id", "seed"])
    if twice.any():
        where = _name(frame[twice].iloc[0][[*by, "fault_id", "seed"]].to_dict())
        raise StudyError(f"two rows for {where}: filter the frame, or add the column that differs to the cells")
    return {key: _cell(group, metric) for key, group in frame.groupby(list(by), dropna=False, observed=True)}


def bands(
    per_fault: pd.DataFrame,
    *,
    rng: np.random.Generator,
    metric: str = "top1",
    by: Sequence[str] = ("student", "condition", "n_real"),
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Mean of a metric with its interval, one row a cell.

    Parameters
    ----------
    per_fault : DataFrame
        See :func:`llmexp_utils.metrics.per_fault`: ``fault_id``, ``task_id``, ``seed`` (if any), ``metric``.
    rng : numpy.random.Generator
        Source of the draws.
    metric : str
        Column to average.
    by : sequence of str
        Columns that name a cell.
    draws : int
        Number of bootstrap draws.

    Returns
    -------
    DataFrame
        ``by``, ``metric``, ``estimate``, ``low``, ``high``, ``sd_seeds`` (standard deviation over seeds of
        the mean; NaN for one seed), ``n_faults``, ``n_problems``, ``n_seeds``.
    """
    problems = resample(per_fault["task_id"], rng, draws)
    rows = []
    for key, cell in cells(per_fault, metric, by).items():
        low, high = interval(problems.means(cell.values))
        row = dict(zip(by, key, strict=True)) | {"metric": metric, "estimate": rounded(cell.values.mean())}
        rows.append(row | {"low": low, "high": high, "sd_seeds": rounded(cell.seeds.std())} | cell.sizes())
    return pd.DataFrame(rows)


def compare(
    per_fault: pd.DataFrame,
    *,
    rng: np.random.Generator,
    baseline: str = "C0",
    metric: str = "top1",
    by: Sequence[str] = ("student", "n_real"),
    arms: Sequence[str] = ("condition",),
    family: Sequence[str] = (),
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Paired difference of each condition to the baseline in the same cell, fault by fault.

    Parameters
    ----------
    per_fault, rng, metric, draws
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
        ``n_faults``, ``n_problems``, ``n_seeds``, ``note`` (why there is no estimate, or a warning).

    Raises
    ------
    StudyError
        If an arm and the baseline were not tested on the same faults, or a cell has a fault twice for a seed.
    """
    is_base = per_fault["condition"] == baseline
    if is_base.all() or not is_base.any():
        raise StudyError(f"nothing to compare: the frame needs {baseline!r} and another condition")
    reference = cells(per_fault[is_base], metric, by)
    problems = resample(per_fault["task_id"], rng, draws)
    names, rows = [*by, *arms], []
    for key, cell in cells(per_fault[~is_base], metric, names).items():
        name = dict(zip(names, key, strict=True))
        row = name | {
            "metric": metric,
            "baseline": baseline,
            "estimate": np.nan,
            "low": np.nan,
            "high": np.nan,
        }
        row |= {"p": np.nan, "p_holm": np.nan} | cell.sizes() | {"note": f"no {baseline} in this cell"}
        base = reference.get(key[: len(by)])
        if base is not None:
            difference = paired(cell, base, _name(name))
            sample = problems.means(difference)
            row |= {"estimate": rounded(difference.mean()), "p": two_sided_p(sample)}
            row["low"], row["high"] = interval(sample)
            same = set(cell.seeds.index) == set(base.seeds.index)
            row["note"] = "" if same else f"seeds differ from those of {baseline}"
        rows.append(row)
    table = pd.DataFrame(rows)
    groups = [group for _, group in table.groupby(list(family), dropna=False)] if family else [table]
    for group in groups:
        table.loc[group.index, "p_holm"] = holm(group["p"])
    return table


def paired(cell: Cell, base: Cell, name: str) -> pd.Series:
    """Difference of two cells fault by fault, which must be the same faults; ``name`` is for the message."""
    if set(cell.values.index) != set(base.values.index):
        counts = f"{len(cell.values)} faults against {len(base.values)} of the baseline"
        raise StudyError(f"{name}: {counts}, not the same ones; finish the grid or keep the folds that both have")
    return cell.values - base.values.reindex(cell.values.index)


def _cell(group: pd.DataFrame, metric: str) -> Cell:
    return Cell(group.groupby(["task_id", "fault_id"])[metric].mean(), group.groupby("seed")[metric].mean())


def _name(row: dict[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in row.items())
