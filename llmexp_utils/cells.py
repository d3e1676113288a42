"""Cells of the study: one condition in one setting, and what is measured there, of faults or of pairs.

A measure is a ratio of two sums over the items of a cell. A mean is the sum of a column over the number of items; F1 is
2 TP / (2 TP + FP + FN), which no single pair has. Seeds are averaged first, item by item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from llmexp_utils.errors import StudyError


@dataclass(frozen=True)
class Measure:
    """What is measured: the sum of the column ``top`` over that of ``bottom``.

    Without ``bottom`` it is the mean of ``top``. ``item`` is the column that names an item, ``items`` the word in
    counts (``n_faults``).
    """

    name: str
    top: str
    bottom: str = ""
    item: str = "fault_id"
    items: str = "faults"


@dataclass(frozen=True)
class Cell:
    """One condition in one setting.

    ``sums`` has ``top`` and ``bottom`` by task and item (means over seeds), ``seeds`` the measure of each seed,
    ``items`` the word in counts.
    """

    sums: pd.DataFrame
    seeds: pd.Series
    items: str = "faults"

    @property
    def estimate(self) -> float:
        """The measure over all items; NaN where the sum below is zero."""
        total = self.sums.sum()
        return float(total["top"] / total["bottom"]) if total["bottom"] else float("nan")

    def sizes(self) -> dict[str, int]:
        """Numbers of items, problems and seeds behind an estimate."""
        problems = self.sums.index.get_level_values("task_id").nunique()
        return {f"n_{self.items}": len(self.sums), "n_problems": problems, "n_seeds": len(self.seeds)}


def as_measure(metric: str | Measure) -> Measure:
    """A measure; the name of a column stands for its mean over faults.

    Examples
    --------
    >>> as_measure("top1")
    Measure(name='top1', top='top1', bottom='', item='fault_id', items='faults')
    """
    return metric if isinstance(metric, Measure) else Measure(metric, metric)


def cells(per_item: pd.DataFrame, metric: str | Measure, by: Sequence[str]) -> dict[tuple, Cell]:
    """Split into cells by the columns ``by``; within a cell an item may occur once a seed."""
    measure = as_measure(metric)
    frame = per_item if "seed" in per_item else per_item.assign(seed=0)
    sums = [name for name in (measure.top, measure.bottom) if name]
    missing = [name for name in (*by, *sums, "task_id", measure.item) if name not in frame]
    if missing:
        raise StudyError(f"no column {missing[0]!r}: the frame has {', '.join(map(str, frame.columns))}")
    for name in sums:
        if frame[name].isna().any():
            raise StudyError(f"column {name!r} has an empty value: finish or drop that run first")
    twice = frame.duplicated([*by, measure.item, "seed"])
    if twice.any():
        where = named(frame[twice].iloc[0][[*by, measure.item, "seed"]].to_dict())
        raise StudyError(f"two rows for {where}: filter the frame, or add the column that differs to the cells")
    return {key: _cell(group, measure) for key, group in frame.groupby(list(by), dropna=False, observed=True)}


def same_items(cell: Cell, base: Cell, name: str) -> None:
    """Refuse two cells that were not measured on the same items; ``name`` is for the message."""
    if set(cell.sums.index) != set(base.sums.index):
        counts = f"{len(cell.sums)} {cell.items} against {len(base.sums)} of the baseline"
        raise StudyError(f"{name}: {counts}, not the same ones; finish the grid or keep the folds that both have")


def named(row: dict[str, object]) -> str:
    """Columns and their values, for a message."""
    return ", ".join(f"{key}={value}" for key, value in row.items())


def _cell(group: pd.DataFrame, measure: Measure) -> Cell:
    bottom = group[measure.bottom] if measure.bottom else 1.0
    rows = group[["task_id", measure.item, "seed"]].assign(top=group[measure.top], bottom=bottom)
    by_seed = rows.groupby("seed")[["top", "bottom"]].sum()
    sums = rows.groupby(["task_id", measure.item])[["top", "bottom"]].mean()
    return Cell(sums, by_seed["top"] / by_seed["bottom"], measure.items)
