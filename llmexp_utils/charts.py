"""The charts of levels: each takes an Axes and a tidy frame and returns the Axes.

Shares and Top-k are fractions of one; the axes show per cent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmexp_utils.axes import by_look, dodge, doublings, legend, need, percent
from llmexp_utils.errors import StudyError
from llmexp_utils.plots import BASELINES, CONDITIONS, Look

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

BANDS = ("C0", "C3")  # real faults only, and the plainest form of the question: LLM faults chosen at random
MOST_BANDS = 2  # more than this on one another cannot be read
AXES = {"n_real": "real {} in training", "n_added": "added {} in training"}
FLOORS = ("--", "-.", (0, (9, 4)), (0, (3, 1, 1, 1, 1, 1)))  # dots are taken: conditions with one number


def curve(
    ax: Axes,
    frame: pd.DataFrame,
    *,
    x: str = "n_real",
    bands: Sequence[str] = BANDS,
    looks: Mapping[str, Look] = CONDITIONS,
    items: str = "faults",
    metric: str = "Top-1",
) -> Axes:
    """Metric against a number of training faults (a step is a doubling), with 95 % intervals.

    Lines named in ``bands`` have a band and stand on the ticks; the others, and conditions with one number only, have
    thin bars side by side.
    A condition with one number has a dotted line to compare the others with.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        Rows of :func:`llmexp_utils.statistics.bands`: ``condition``, ``x``, ``estimate``, ``low``, ``high``; rows of
        condition ``floor`` become dashed lines, one a name in the column ``label`` if there is one.
    x : str
        Column of the number: ``n_real`` or ``n_added``.
    bands : sequence of str
        Conditions whose interval is a band, at most two.
    looks : mapping
        How conditions look.
    items : str
        What is counted on the axis: faults or pairs.
    metric : str
        Name on the axis.

    Raises
    ------
    StudyError
        If the frame cannot be drawn, or more than two bands are asked for.
    """
    unique = ["condition", x, *(["label"] if "label" in frame else [])]
    need(frame, ["condition", x, "estimate", "low", "high"], unique)
    if len(bands) > MOST_BANDS:
        raise StudyError(f"cannot draw {len(bands)} bands on one another: name {MOST_BANDS} at most")
    place = doublings(sorted(frame.loc[frame["condition"] != "floor", x].unique()))
    groups = by_look(frame.sort_values(x, kind="stable"), "condition", looks)
    lines = [name for name, rows in groups if name != "floor" and len(rows) > 1]
    single = [name for name, rows in groups if name != "floor" and len(rows) == 1]
    banded = [name for name in lines if name in bands]
    shift = dict.fromkeys(banded, 0.0) | dodge([name for name in lines if name not in banded]) | dodge(single)
    handles: list[Artist] = []
    for condition, rows in groups:
        if condition == "floor":
            handles += _floors(ax, rows, looks[condition])
            continue
        centre = np.array([place[size] for size in rows[x]]) + shift[condition]
        handles += _line(ax, looks[condition], centre, rows, band=condition in banded)
    ax.set_xticks(list(place.values()), [f"{size:,}" for size in place])
    ax.set(xlabel=AXES.get(x, x).format(items), ylabel=metric)
    percent(ax.yaxis)
    return legend(ax, handles)


def _floors(ax: Axes, rows: pd.DataFrame, look: Look) -> list[Artist]:
    """A line at each level that needs no training, told apart by its dashes."""
    labels = rows["label"].replace(BASELINES).fillna(look.label) if "label" in rows else [look.label] * len(rows)
    return [
        ax.axhline(level, linestyle=dashes, linewidth=1, color=look.colour, label=label)
        for level, label, dashes in zip(rows["estimate"], labels, cycle(FLOORS), strict=False)
    ]


def _line(ax: Axes, look: Look, x: np.ndarray, rows: pd.DataFrame, *, band: bool) -> list[Artist]:
    """One condition: its band or its bars, and its marks, joined where there are several."""
    value = rows["estimate"].to_numpy(float)
    low, high = rows["low"].to_numpy(float), rows["high"].to_numpy(float)
    if band:
        ax.fill_between(x, low, high, color=look.colour, alpha=0.13, linewidth=0)
    else:
        ax.vlines(x, low, high, color=look.colour, linewidth=0.8, alpha=0.7)
    if len(rows) == 1:
        ax.axhline(value[0], linestyle=":", linewidth=0.9, color=look.colour)
    joined = "-" if len(rows) > 1 else ""
    return ax.plot(x, value, linestyle=joined, color=look.colour, marker=look.marker, label=look.label)


def by_group(
    ax: Axes,
    frame: pd.DataFrame,
    *,
    floor: pd.Series,
    group: str = "fault_type",
    metric: str = "Top-1",
) -> Axes:
    """Bars with 95 % intervals for each group of faults (by default, the fault type) and condition.

    Each group has its own dashed line for a random ranking, because functions differ in length.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        Rows of :func:`llmexp_utils.statistics.bands` by ``condition`` and ``group``: also ``estimate``,
        ``low``, ``high``, ``n_faults``.
    floor : Series
        Value of a random ranking by group.
    group : str
        Column of the groups; the largest group comes first.
    metric : str
        Name on the axis.
    """
    need(frame, ["condition", group, "estimate", "low", "high", "n_faults"], ["condition", group])
    sizes = frame.groupby(group)["n_faults"].max().sort_values(ascending=False, kind="stable")
    conditions = by_look(frame, "condition", CONDITIONS)
    height = 0.8 / len(conditions)
    for index, (condition, rows) in enumerate(conditions):
        look, rows = CONDITIONS[condition], rows.set_index(group).reindex(sizes.index)
        places = np.arange(len(sizes)) - 0.4 + height * (index + 0.5)
        error = [rows["estimate"] - rows["low"], rows["high"] - rows["estimate"]]
        lines = {"elinewidth": 0.9, "capsize": 1.5, "ecolor": "#7F7F7F" if condition == "C0" else "#333333"}
        bars = {"color": look.colour, "label": look.label, "error_kw": lines}
        ax.barh(places, rows["estimate"], height * 0.92, xerr=error, **bars)
    look, rows = CONDITIONS["floor"], np.arange(len(sizes))
    line = {"color": "white", "linewidth": 2.6}, {"color": look.colour, "linewidth": 1.2, "linestyle": "--"}
    for settings, label in zip(line, ("", look.label), strict=True):  # a white edge, to be seen on the bars
        ax.vlines(floor.reindex(sizes.index), rows - 0.44, rows + 0.44, label=label or None, **settings)
    ax.set_yticks(range(len(sizes)), [f"{name or 'unknown'}\nn = {count:,}" for name, count in sizes.items()])
    ax.set_ylim(len(sizes) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(metric)
    percent(ax.xaxis)
    return legend(ax)
