"""Exchange rate: how many LLM-written faults are worth one real fault.

The learning curve of real faults alone (C0) is fitted by a straight line in log2 of their number: one
slope, the gain of a doubling. A line is taken rather than an isotonic step curve because the step curve has
flat pieces, where it cannot be inverted, ends at the largest measured budget, and jumps between bootstrap
draws; a line has none of this, at the price of assuming a constant gain a doubling (``misfit`` reports how
far the points are from it).

A condition with ``n_real`` real faults and a gain over C0 *at the same n_real* is then worth

    n_eq = n_real * 2 ** (gain / slope)

real faults. The line is anchored at C0 itself, so no gain means exactly ``n_real``, whatever the fit. With
no real fault at all (C5), there is no such C0 and the line is read where it is. N added faults are worth
``n_eq - n_real``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from llmexp_utils.cells import Cell, Measure, cells, same_items
from llmexp_utils.errors import StudyError
from llmexp_utils.statistics import DRAWS, Resample, interval, resample, rounded

UNCLEAR = 0.025  # no interval from this share of draws in which more real faults do not help


@dataclass(frozen=True)
class Curve:
    """C0 by number of real faults; entry 0 of the last axis is the estimate, the rest are draws.

    ``means`` has shape (points, 1 + draws); ``slope`` (1 + draws,) is in units of the metric a doubling.
    """

    points: dict[int, Cell]
    sizes: np.ndarray
    means: np.ndarray
    slope: np.ndarray

    @property
    def misfit(self) -> float:
        """Largest distance of a measured point from the line."""
        x = np.log2(self.sizes)
        line = self.means[:, 0].mean() + self.slope[0] * (x - x.mean())
        return float(rounded(np.abs(self.means[:, 0] - line).max()))

    def anchor(self, n_real: int) -> tuple[float, np.ndarray]:
        """A point of the line, C0 at ``n_real`` or the centre of all: (n, value in each draw)."""
        if n_real in self.points:
            return float(n_real), self.means[list(self.sizes).index(n_real)]
        return float(2 ** np.log2(self.sizes).mean()), self.means.mean(axis=0)


def exchange_rate(
    per_item: pd.DataFrame,
    *,
    rng: np.random.Generator,
    baseline: str = "C0",
    metric: str | Measure = "top1",
    by: Sequence[str] = ("student",),
    arms: Sequence[str] = ("condition",),
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Real faults that the added faults are worth, and added faults for one real fault.

    Parameters
    ----------
    per_item, rng, metric, draws
        See :func:`llmexp_utils.statistics.bands`; the frame has ``condition``, ``n_real`` and ``n_added``.
    baseline : str
        Condition with real faults only, at two or more sizes; leave sizes out of the frame to fit fewer.
    by : sequence of str
        Columns with one learning curve a value.
    arms : sequence of str
        Columns that tell the compared arms apart; ``n_real`` and ``n_added`` always do.

    Returns
    -------
    DataFrame
        ``by``, ``arms``, ``n_real``, ``n_added``, ``value`` (of the metric), ``gain`` (over the baseline at
        the same ``n_real``), ``slope`` (of the baseline, a doubling), ``misfit``, ``n_eq``, ``n_eq_low``,
        ``n_eq_high``, ``rate``, ``rate_low``, ``rate_high``, ``note``. ``rate`` is empty where nothing is
        gained, ``rate_high`` is infinite where the interval reaches "no gain"; ``note`` says so.

    Raises
    ------
    StudyError
        If a curve has fewer than two sizes, or the cells were not tested on the same faults.
    """
    added = per_item[(per_item["condition"] != baseline) & (per_item["n_added"] > 0)]
    real = per_item[(per_item["condition"] == baseline) & (per_item["n_real"] > 0)]
    if added.empty or real.empty:
        raise StudyError(f"no exchange rate: the frame needs {baseline!r} and a condition with added faults")
    problems = resample(per_item["task_id"], rng, draws)
    curves = _curves(cells(real, metric, [*by, "n_real"]), problems)
    names, rows = [*by, *arms, "n_real", "n_added"], []
    for key, cell in cells(added, metric, names).items():
        curve = curves.get(key[: len(by)])
        if curve is None:
            raise StudyError(f"no exchange rate for {key}: no {baseline} with two or more numbers of real faults")
        rows.append(dict(zip(names, key, strict=True)) | _worth(cell, curve, problems, *key[-2:]))
    return pd.DataFrame(rows)


def _curves(real: dict[tuple, Cell], problems: Resample) -> dict[tuple, Curve]:
    """Fit one line for each value of the leading keys (ordinary least squares, in every draw)."""
    grouped: dict[tuple, dict[int, Cell]] = {}
    for (*group, n_real), cell in real.items():
        grouped.setdefault(tuple(group), {})[int(n_real)] = cell
    curves = {}
    for group, points in grouped.items():
        if len(points) > 1:
            sizes = np.array(sorted(points))
            means = np.array([rounded(problems.ratios(points[size])) for size in sizes])
            x = np.log2(sizes) - np.log2(sizes).mean()
            curves[group] = Curve(points, sizes, means, rounded(x @ means / (x @ x)))
            for size in sizes:
                same_items(points[size], points[sizes[-1]], f"curve of real faults, n_real={size}")
    return curves


def _worth(cell: Cell, curve: Curve, problems: Resample, n_real: int, n_added: int) -> dict[str, object]:
    """Read one condition off the curve."""
    if n_real in curve.points:
        same_items(cell, curve.points[n_real], f"n_real={n_real}, n_added={n_added}")
    value, (start, base) = rounded(problems.ratios(cell)), curve.anchor(n_real)
    gain = rounded(value - base)
    row = {"value": value[0], "gain": gain[0] if n_real in curve.points else np.nan}
    row |= {"slope": curve.slope[0], "misfit": curve.misfit}
    row |= dict.fromkeys(("n_eq", "n_eq_low", "n_eq_high", "rate", "rate_low", "rate_high"), np.nan)
    if curve.slope[0] <= 0:
        return row | {"note": f"more real {cell.items} do not help: no exchange rate"}
    n_eq = _invert(start, gain, curve.slope)
    row["n_eq"], notes = n_eq[0], []
    if n_eq[0] > n_real:
        row["rate"] = n_added / (n_eq[0] - n_real)
    else:
        notes.append(f"no gain: no number of added {cell.items} is worth a real one")
    flat = float((curve.slope[1:] <= 0).mean())
    if flat > UNCLEAR:
        return row | {"note": "; ".join([*notes, f"no interval: in {flat:.0%} of draws real {cell.items} do not help"])}
    low, high = interval(n_eq[1:])
    row |= {
        "n_eq_low": low,
        "n_eq_high": high,
        "rate_high": n_added / (low - n_real) if low > n_real else np.inf,
    }
    row["rate_low"] = n_added / (high - n_real) if high > n_real else np.inf
    if low <= n_real < n_eq[0]:
        notes.append("interval reaches no gain")
    if not curve.sizes[0] <= n_eq[0] <= curve.sizes[-1]:
        notes.append(f"beyond the measured {curve.sizes[0]} to {curve.sizes[-1]} real {cell.items}")
    return row | {"note": "; ".join(notes)}


def _invert(start: float, gain: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Number of real faults at ``gain`` above the anchor; a falling curve counts as a flat one."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        sloped = start * 2.0 ** (gain / slope)  # exactly the start where nothing is gained
    flat = np.select([gain > 0, gain < 0], [np.inf, 0.0], start)
    return np.where(slope > 0, sloped, flat)
