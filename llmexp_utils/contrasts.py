"""Levels and differences in one table: each setting beside real faults only and beside as many mutants.

All differences are paired, on the same faults or pairs, with the intervals of :mod:`llmexp_utils.statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from llmexp_utils.cells import Measure, cells, same_items
from llmexp_utils.errors import StudyError
from llmexp_utils.series import against_mutants, at_every_size
from llmexp_utils.statistics import DRAWS, bands, compare, holm, interval, resample, rounded

LEVEL = "nothing"
ORDER = {LEVEL: 0, "C0": 1, "C2": 2}


def minus_controls(
    per_item: pd.DataFrame,
    *,
    rng: np.random.Generator,
    arms: Sequence[str] = ("condition",),
    metric: str | Measure = "top1",
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Each setting of a series: its level, its difference to C0, and to C2 with as many added faults.

    Parameters
    ----------
    per_item : DataFrame
        Rows of one series with ``student``, ``condition``, ``n_real``, ``n_added``, at one or more settings.
    rng, metric, draws
        See :func:`llmexp_utils.statistics.bands`.
    arms : sequence of str
        Columns that tell settings apart, beside student, numbers of real and of added faults.

    Returns
    -------
    DataFrame
        ``student``, ``n_real``, ``n_added``, ``arms``, ``minus`` (what is subtracted: ``nothing``, ``C0`` or ``C2``),
        ``metric``, ``estimate``, ``low``, ``high``, ``p``, ``p_holm`` (within a student, over all differences of the
        table), ``n_faults`` (or the measure's ``items``), ``n_problems``, ``n_seeds``, ``note``. Where a control
        was not run, its rows are missing.
    """
    settings = ["student", "n_real", "n_added"]
    levels = bands(per_item, rng=rng, metric=metric, by=[*settings, *arms], draws=draws).assign(minus=LEVEL)
    options = {"rng": rng, "metric": metric, "draws": draws}
    tables = [levels]
    if _has(per_item, "C0"):
        names = [*arms, "n_added"]
        tables.append(compare(per_item, by=["student", "n_real"], arms=names, **options).assign(minus="C0"))
    added = per_item[per_item["condition"] != "C0"]
    if _has(added, "C2"):
        tables.append(compare(added, baseline="C2", by=settings, arms=arms, **options).assign(minus="C2"))
    return _together(tables, [*settings, *arms])


def grid_minus_controls(
    grid: pd.DataFrame, *, rng: np.random.Generator, metric: str | Measure = "top1", draws: int = DRAWS
) -> pd.DataFrame:
    """Every condition of a grid minus real only and minus as many mutants; one family a student.

    Columns of :func:`minus_controls` without levels. Without real faults, LLM only (C5) stands against every number of
    real faults, and against mutants alone at ``n_real`` 0.
    """
    options = {"rng": rng, "metric": metric, "draws": draws}
    lifted, rivals, tables = at_every_size(grid), against_mutants(grid), []
    if _has(lifted, "C0"):
        tables.append(compare(lifted, arms=["condition", "n_added"], **options).assign(minus="C0"))
    if _has(rivals, "C2"):
        settings = ["student", "n_real", "n_added"]
        tables.append(compare(rivals, baseline="C2", by=settings, **options).assign(minus="C2"))
    if not tables:
        raise StudyError("nothing to compare: the grid needs C0 or C2, and another condition")
    return _together(tables, ["student", "n_real", "n_added", "condition"])


def before_after(
    per_item: pd.DataFrame,
    *,
    rng: np.random.Generator,
    conditions: Sequence[str] = ("C2", "C3", "C4"),
    metric: str | Measure = "top1",
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Change from real faults only (C0) to each condition, in points and relative to C0, on the same items.

    Parameters
    ----------
    per_item, rng, metric, draws
        See :func:`llmexp_utils.statistics.bands`.
    conditions : sequence of str
        What comes after, as far as a student has it.

    Returns
    -------
    DataFrame
        ``student``, ``n_real``, ``condition``, ``before``, ``after`` (shares), ``points`` with ``points_low`` and
        ``points_high`` (percentage points), ``percent`` with its bounds (of ``before``; in each draw the ratio of the
        two measures), ``n_faults`` (or the measure's ``items``), ``n_problems``, ``n_seeds``.
    """
    problems, rows = resample(per_item["task_id"], rng, draws), []
    found = cells(per_item, metric, ["student", "n_real", "condition"])
    for (student, n_real, name), cell in found.items():
        base = found.get((student, n_real, "C0"))
        if name not in conditions or base is None:
            continue
        same_items(cell, base, f"{student}, {name}, n_real={n_real}")
        before, after = (rounded(problems.ratios(one)) for one in (base, cell))
        with np.errstate(divide="ignore", invalid="ignore"):
            percent = 100 * (after / before - 1)
        row = {"student": student, "n_real": n_real, "condition": name, "before": before[0], "after": after[0]}
        rows.append(row | _bounds("points", 100 * (after - before)) | _bounds("percent", percent) | cell.sizes())
    if not rows:
        raise StudyError(f"no change to show: no student has C0 and one of {', '.join(conditions)} at one n_real")
    return pd.DataFrame(rows)


def _bounds(name: str, values: np.ndarray) -> dict[str, float]:
    """Estimate (entry 0) and interval of the draws (the rest)."""
    low, high = interval(values[1:])
    return {name: values[0], f"{name}_low": low, f"{name}_high": high}


def _has(per_item: pd.DataFrame, control: str) -> bool:
    same = per_item["condition"] == control
    return bool(same.any() and not same.all())


def _together(tables: list[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """One table of all that has an estimate, corrected as one family a student."""
    table = pd.concat(tables, ignore_index=True)
    table = table[table["estimate"].notna()].assign(order=lambda rows: rows["minus"].map(ORDER))
    table = table.sort_values(["order", *keys], kind="stable", ignore_index=True)
    table = table.reindex(columns=[*table.columns.drop(["p", "p_holm"], errors="ignore"), "p", "p_holm"])
    for _, rows in table.groupby("student"):
        table.loc[rows.index, "p_holm"] = holm(rows["p"])
    counts = [name for name in table if name.startswith("n_") and name not in keys]
    table["note"] = table["note"].fillna("") if "note" in table else ""
    return table[[*keys, "minus", "metric", "estimate", "low", "high", "p", "p_holm", *counts, "note"]]
