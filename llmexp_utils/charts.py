"""The charts of results: each takes an Axes and a tidy frame and returns the Axes.

Shares and Top-k are fractions of one; the axes show per cent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmexp_utils.axes import by_look, dodge, doublings, legend, need, percent, points
from llmexp_utils.plots import CONDITIONS, MODEL_COLOURS

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

MOST_BANDS = 4  # more than this on one another cannot be read


def curve(ax: Axes, frame: pd.DataFrame, *, metric: str = "Top-1") -> Axes:
    """Metric against the number of real training faults (a step is a doubling), with 95 % intervals.

    Up to four lines have a band each; more lines, and conditions with one size only, have bars side by side.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        Rows of :func:`llmexp_utils.statistics.bands`: ``condition``, ``n_real``, ``estimate``, ``low``,
        ``high``; rows of condition ``floor`` become one dashed line.
    metric : str
        Name on the axis.
    """
    need(frame, ["condition", "n_real", "estimate", "low", "high"], ["condition", "n_real"])
    sizes = sorted(frame.loc[frame["condition"] != "floor", "n_real"].unique())
    place = doublings(sizes)
    groups = by_look(frame.sort_values("n_real"), "condition", CONDITIONS)
    lines = [name for name, rows in groups if name != "floor" and len(rows) > 1]
    single = [name for name, rows in groups if name != "floor" and len(rows) == 1]
    shift = dodge(lines) | dodge(single)
    handles: list[Artist] = []
    for condition, rows in groups:
        look, value = CONDITIONS[condition], rows["estimate"].to_numpy(float)
        mark = {"color": look.colour, "marker": look.marker, "label": look.label}
        if condition == "floor":
            handles.append(ax.axhline(value.mean(), linestyle="--", linewidth=1, **mark))
            continue
        x = np.array([place[size] for size in rows["n_real"]])
        low, high = rows["low"].to_numpy(float), rows["high"].to_numpy(float)
        if len(lines) <= MOST_BANDS and condition in lines:
            ax.fill_between(x, low, high, color=look.colour, alpha=0.12, linewidth=0)
        else:
            x = x + shift[condition]
            ax.vlines(x, low, high, color=look.colour, linewidth=1)
        handles += ax.plot(x, value, linestyle="-" if condition in lines else "", **mark)
    ax.set_xticks([place[size] for size in sizes], [f"{size:,}" for size in sizes])
    ax.set(xlabel="real faults in training", ylabel=metric)
    percent(ax.yaxis)
    return legend(ax, handles)


def difference(ax: Axes, frame: pd.DataFrame, *, metric: str = "Top-1", baseline: str = "real only") -> Axes:
    """Forest plot of condition minus baseline with 95 % intervals; filled where Holm's p is under 0.05.

    Parameters
    ----------
    ax : Axes
        Where to draw; about 0.25 inch of height a row is right.
    frame : DataFrame
        Rows of :func:`llmexp_utils.statistics.compare`: ``condition``, ``n_real``, ``estimate``, ``low``,
        ``high``, ``p_holm``; a row without an estimate is written as such.
    metric, baseline : str
        Names on the axis.
    """
    need(frame, ["condition", "n_real", "estimate", "low", "high", "p_holm"], ["condition", "n_real"])
    ordered = pd.concat([rows for _, rows in by_look(frame, "condition", CONDITIONS)])
    rows = ordered.sort_values("n_real", kind="stable")
    gaps = (rows["n_real"] != rows["n_real"].shift()).cumsum() - 1  # half a row between the groups
    places = np.arange(len(rows)) + 0.6 * gaps.to_numpy()
    side = {"transform": ax.get_yaxis_transform(), "va": "center", "fontsize": 8}
    for place, row in zip(places, rows.itertuples(), strict=True):
        look = CONDITIONS[row.condition]
        if np.isnan(row.estimate):
            ax.text(1.02, place, "no baseline", color="#7F7F7F", **side)
            continue
        ax.plot([row.low, row.high], [place, place], color=look.colour, linewidth=1.4)
        face = look.colour if row.p_holm < 0.05 else "white"
        ax.plot(row.estimate, place, marker=look.marker, color=look.colour, markerfacecolor=face)
        ax.text(1.02, place, f"{points(row.estimate)} [{points(row.low)}, {points(row.high)}]", **side)
    ax.axvline(0, color="black", linewidth=0.8)
    labels = [f"{CONDITIONS[row.condition].label}, against {row.n_real} real" for row in rows.itertuples()]
    ax.set_yticks(places, labels)
    ax.set_ylim(len(rows) - 0.4 + 0.6 * gaps.max(), -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(f"{metric} minus that of {baseline} (percentage points)\nfilled: p < 0.05 after Holm")
    return percent(ax.xaxis, sign="")


def by_group(ax: Axes, frame: pd.DataFrame, *, group: str = "fault_type", metric: str = "Top-1") -> Axes:
    """Bars with 95 % intervals for each group of faults (by default, the fault type) and condition.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        Rows of :func:`llmexp_utils.statistics.bands` by ``condition`` and ``group``: also ``estimate``,
        ``low``, ``high``, ``n_faults``.
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
    ax.set_yticks(range(len(sizes)), [f"{name or 'unknown'}\nn = {count:,}" for name, count in sizes.items()])
    ax.set_ylim(len(sizes) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(metric)
    percent(ax.xaxis)
    return legend(ax)


def arms(ax: Axes, frame: pd.DataFrame, *, floor: float, metric: str = "Top-1") -> Axes:
    """Metric by who wrote the added faults, with 95 % intervals; the dashed line is a random ranking.

    Parameters
    ----------
    ax : Axes
        Where to draw; about 0.3 inch of height a row is right.
    frame : DataFrame
        Rows of :func:`llmexp_utils.statistics.bands` by ``condition``, ``generator``, ``form`` and ``policy``.
    floor : float
        Value of a random ranking.
    metric : str
        Name on the axis.
    """
    names = ["condition", "generator", "form", "policy"]
    need(frame, [*names, "estimate", "low", "high"], names)
    rows = frame.sort_values([*names], kind="stable").reset_index(drop=True)
    generators = [name for name in dict.fromkeys(frame["generator"]) if name]
    colours = dict(zip(generators, MODEL_COLOURS, strict=False))
    labels = []
    for place, row in enumerate(rows.itertuples()):
        look = CONDITIONS[row.condition]
        colour = colours.get(row.generator, look.colour)
        ax.plot([row.low, row.high], [place, place], color=colour, linewidth=1.4)
        ax.plot(row.estimate, place, marker=look.marker, color=colour)
        labels.append(" ".join(part for part in (row.generator, row.form, row.policy) if part) or look.label)
    ax.axvline(floor, linestyle="--", linewidth=1, color=CONDITIONS["floor"].colour)
    ax.set_yticks(range(len(rows)), labels)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(f"{metric} (dashed: {CONDITIONS['floor'].label})")
    return percent(ax.xaxis)
