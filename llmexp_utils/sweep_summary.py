"""What a sweep found: every condition as it is, minus real only and minus as much by rule, for all that was swept.

Points differ in a condition or a seed, or in what a comparison is made *within*: a generator, a student, a benchmark.
Rows of the points that share the latter belong together.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from llmexp_utils.cells import Measure
from llmexp_utils.contrasts import minus_controls
from llmexp_utils.errors import StudyError
from llmexp_utils.metrics import per_fault
from llmexp_utils.pair_metrics import F1, per_pair
from llmexp_utils.series import measured, measured_pairs
from llmexp_utils.statistics import holm

SWEPT = "swept_"
ACROSS = ("conditions", "seeds", "folds")  # what is compared, and what is repeated
MEASURED = {"fault_id": {"scores", "lines"}, "pair_id": {"score", "label"}}
GRID = "grid"
DRAWS = 2000


def is_within(column: str) -> bool:
    """Whether a column says what was swept, and comparisons are made within its values."""
    return column.startswith(SWEPT) and not column.endswith(ACROSS)


def distinct(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Rows of some points, without the runs of an earlier one.

    What does not depend on all that is swept is trained once, and stands in several points.
    """
    seen: set[str] = set()
    found = []
    for rows in tables:
        new = rows[~rows.run_id.isin(seen)] if "run_id" in rows else rows
        seen |= set(new.run_id) if "run_id" in new else set()
        found.append(new)
    return pd.concat(found, ignore_index=True)


def summary(tables: Iterable[pd.DataFrame], draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Levels and differences of a sweep.

    Parameters
    ----------
    tables : iterable of DataFrame
        Rows of the points (:mod:`llmexp_utils.sweep_table`): predictions, and what was swept in ``swept_...``. What is
        compared with each other has to be in one of them, each run once (:func:`distinct`).
    draws, seed : int
        Of the bootstrap over problems.

    Returns
    -------
    DataFrame
        What was swept, apart from conditions, folds and seeds; ``benchmark`` if the rows have one; then the columns of
        :func:`llmexp_utils.contrasts.minus_controls` (Top-1 of faults, F1 of pairs), Holm's p within a student over the
        whole table. A part that cannot be compared has one row with the reason in ``note``. Empty where the rows are no
        predictions.
    """
    parts = [part for table in tables if (part := _of_table(table, draws, seed)) is not None]
    if not parts:
        return pd.DataFrame()
    whole = pd.concat(parts, ignore_index=True)
    for _, part in whole[whole.p.notna()].groupby("student"):
        whole.loc[part.index, "p_holm"] = holm(part["p"])
    keys = [name for name in whole if is_within(name) or name == "benchmark"]
    return whole[[*keys, *(name for name in whole if name not in keys)]]


def _of_table(table: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame | None:
    """Levels and differences of some rows; None if these are no predictions, or none of the grid."""
    item = next((name for name, needed in MEASURED.items() if {name, *needed} <= set(table)), "")
    if not item or (rows := table[table.series == GRID]).empty:
        return None
    keys = [name for name in table if is_within(name)] + (["benchmark"] if "benchmark" in table else [])
    groups = rows.groupby(keys, sort=False, dropna=False) if keys else [((), rows)]
    found = [
        _compared(part, item, draws, seed).assign(**dict(zip(keys, values, strict=True))) for values, part in groups
    ]
    return pd.concat(found, ignore_index=True)


def _compared(rows: pd.DataFrame, item: str, draws: int, seed: int) -> pd.DataFrame:
    of_faults = item == "fault_id"
    metric = "top1" if of_faults else F1
    try:
        if "benchmark" in rows:
            items = per_fault(rows) if of_faults else per_pair(rows)
        else:  # those of other people, on which 05 and 06 only test, are another benchmark
            items = (measured if of_faults else measured_pairs)(rows)[0]
        return minus_controls(items, rng=np.random.default_rng(seed), metric=metric, draws=draws)
    except StudyError as error:
        name = metric.name if isinstance(metric, Measure) else metric
        return pd.DataFrame([{"metric": name, "p": np.nan, "note": str(error)}])
