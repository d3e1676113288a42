"""The charts of differences: estimates with their intervals, one a row, and the numbers written beside them.

Differences are fractions of one; the axes show percentage points. A mark is filled where Holm's p is under 0.05.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmexp_utils.axes import by_look, need, percent, points
from llmexp_utils.plots import CONDITIONS, Look, model_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIGNIFICANT = 0.05
GREY = "#7F7F7F"
LEVELS = ["benchmark", "student", "condition"]
NAMES = ["n_added", "condition", "generator", "form"]


def difference(
    ax: Axes,
    frame: pd.DataFrame,
    *,
    looks: Mapping[str, Look] = CONDITIONS,
    items: str = "faults",
    metric: str = "Top-1",
    baseline: str = "real only",
) -> Axes:
    """Forest plot of condition minus baseline with 95 % intervals; filled where Holm's p is under 0.05.

    Parameters
    ----------
    ax : Axes
        Where to draw; about 0.24 inch of height a row and a group is right.
    frame : DataFrame
        Rows of :func:`llmexp_utils.statistics.compare`: ``condition``, ``n_real``, ``estimate``, ``low``,
        ``high``, ``p_holm``; a row without an estimate is written as such.
    looks : mapping
        How conditions look.
    items : str
        What a training set is counted in: faults or pairs.
    metric, baseline : str
        Names on the axis.
    """
    need(frame, ["condition", "n_real", "estimate", "low", "high", "p_holm"], ["condition", "n_real"])
    ordered = pd.concat([rows for _, rows in by_look(frame, "condition", looks)])
    rows = ordered.sort_values("n_real", kind="stable")
    heads = [f"against {size} real {items}" for size in rows["n_real"]]
    places = _grouped(ax, heads, [looks[name].label for name in rows["condition"]])
    for place, row in zip(places, rows.itertuples(), strict=True):
        look = looks[row.condition]
        if np.isnan(row.estimate):
            ax.text(1.02, place, "no baseline", color=GREY, transform=ax.get_yaxis_transform(), va="center", fontsize=8)
            continue
        _mark(ax, place, row, look.colour, look.marker, filled=row.p_holm < SIGNIFICANT)
        _numbers(ax, place, row)
    return _zero(ax, f"{metric} minus that of {baseline}")


def arms(
    axes: Sequence[Axes],
    frame: pd.DataFrame,
    *,
    floor: float,
    looks: Mapping[str, Look] = CONDITIONS,
    metric: str = "Top-1",
) -> Sequence[Axes]:
    """Who wrote what is added: left the metric (dashed: the floor), right the difference to as much of the control C2.

    Rows stand in groups by the number that is added.

    Parameters
    ----------
    axes : sequence of Axes
        Two, which share their rows; about 0.26 inch of height a row and a group is right.
    frame : DataFrame
        Rows of :func:`llmexp_utils.contrasts.minus_controls` by ``condition``, ``generator``, ``form`` and, of faults,
        ``policy``; ``n_added``.
    floor : float
        Value without training, such as that of a random ranking.
    looks : mapping
        How conditions look.
    metric : str
        Name on the axes.
    """
    columns = [*NAMES, "policy"] if "policy" in frame else NAMES
    need(frame, [*columns, "minus", "estimate", "low", "high", "p_holm"], [*columns, "minus"])
    rows = frame[frame["minus"] == "nothing"].sort_values(columns, kind="stable").reset_index(drop=True)
    against = frame[frame["minus"] == "C2"].set_index(columns)
    colours = model_colours(rows["generator"])
    left, right = axes
    names = [
        " ".join(part for name in columns[2:] if (part := getattr(row, name))) or looks[row.condition].label
        for row in rows.itertuples()
    ]
    heads = [f"{n} added" if n else "none added" for n in rows["n_added"]]
    places = _grouped(left, heads, names)
    for place, row in zip(places, rows.itertuples(), strict=True):
        look = looks[row.condition]
        colour = colours.get(row.generator, look.colour)
        _mark(left, place, row, colour, look.marker, filled=True)
        key = tuple(getattr(row, name) for name in columns)
        if key in against.index:
            other = against.loc[key]
            _mark(right, place, other, colour, look.marker, filled=other.p_holm < SIGNIFICANT)
            _numbers(right, place, other)
    left.axvline(floor, linestyle="--", linewidth=1, color=looks["floor"].colour)
    _same_rows(right, left, places)
    left.set_xlabel(f"{metric}\n(dashed: {looks['floor'].label})")
    percent(left.xaxis)
    _zero(right, f"minus {looks['C2'].label}", narrow=True)
    return axes


def by_benchmark(
    ax: Axes,
    frame: pd.DataFrame,
    *,
    looks: Mapping[str, Look] = CONDITIONS,
    items: str = "faults",
    metric: str = "Top-1",
) -> Axes:
    """Forest plot of condition minus real only, grouped by benchmark.

    Parameters
    ----------
    ax : Axes
        Where to draw; about 0.24 inch of height a row and a group is right.
    frame : DataFrame
        ``benchmark``, ``n_real``, ``condition``, ``estimate``, ``low``, ``high``, ``p_holm``.
    looks, items, metric
        See :func:`difference`.
    """
    need(frame, ["benchmark", "n_real", "condition", "estimate", "low", "high", "p_holm"], ["benchmark", "condition"])
    heads = [f"{row.benchmark}, {row.n_real} real {items}" for row in frame.itertuples()]
    places = _grouped(ax, heads, [looks[name].label for name in frame["condition"]])
    for place, row in zip(places, frame.itertuples(), strict=True):
        look = looks[row.condition]
        _mark(ax, place, row, look.colour, look.marker, filled=row.p_holm < SIGNIFICANT)
        _numbers(ax, place, row)
    return _zero(ax, f"{metric} minus that of {looks['C0'].label}")


def levels(
    axes: Sequence[Axes],
    frame: pd.DataFrame,
    *,
    looks: Mapping[str, Look] = CONDITIONS,
    metric: str = "Top-1",
    floor: str = "random ranking",
) -> Sequence[Axes]:
    """Levels of every condition by benchmark, one panel a student; dashed: the floor of each benchmark.

    Parameters
    ----------
    axes : sequence of Axes
        One for each student, in the order of the frame, which share their rows (:func:`level_panels`).
    frame : DataFrame
        ``benchmark``, ``student``, ``condition``, ``estimate``, ``low``, ``high``, ``floor``.
    looks : mapping
        How conditions look.
    metric, floor : str
        Names on the axis.
    """
    need(frame, [*LEVELS, "estimate", "low", "high", "floor"], LEVELS)
    rows = frame.drop_duplicates(["benchmark", "condition"]).sort_values("benchmark", kind="stable", key=_in_order)
    names = list(zip(rows["benchmark"], rows["condition"], strict=True))
    places = _grouped(axes[0], list(rows["benchmark"]), [looks[name].label for _, name in names])
    place = dict(zip(names, places, strict=True))
    for ax, (student, own) in zip(axes, frame.groupby("student", sort=False), strict=True):
        for row in own.itertuples():
            look = looks[row.condition]
            _mark(ax, place[row.benchmark, row.condition], row, look.colour, look.marker, filled=True)
        for name, of_one in own.groupby("benchmark"):
            reach = [place[name, condition] for condition in of_one["condition"]]
            ends = [min(reach) - 0.45, max(reach) + 0.45]
            ax.plot([of_one["floor"].iloc[0]] * 2, ends, linestyle="--", linewidth=1, color=looks["floor"].colour)
        ax.set_title(student)
        ax.set_xlabel(f"{metric}\n(dashed: {floor})")
        percent(ax.xaxis)
    for ax in axes[1:]:
        _same_rows(ax, axes[0], places)
    return axes


def level_panels(frame: pd.DataFrame) -> tuple[Figure, Sequence[Axes]]:
    """Figure with a panel a student, as high as the rows of :func:`levels` need."""
    import matplotlib.pyplot as plt

    rows = len(frame[["benchmark", "condition"]].drop_duplicates()) + frame["benchmark"].nunique()
    figure, axes = plt.subplots(
        1, frame["student"].nunique(), figsize=(7.2, 1.2 + 0.24 * rows), sharex=True, squeeze=False
    )
    return figure, axes[0]


def factors(ax: Axes, frame: pd.DataFrame, *, metric: str = "Top-1") -> Axes:
    """Every planned comparison of a factor with its 95 % interval, grouped by the question that it answers.

    Parameters
    ----------
    ax : Axes
        Where to draw; about 0.24 inch of height a row and a group is right.
    frame : DataFrame
        Rows of :func:`llmexp_utils.factors.factor_table`.
    metric : str
        Name on the axis.
    """
    need(frame, ["question", "comparison", "n_real", "estimate", "low", "high", "p_holm"], ["question", "comparison"])
    places = _grouped(ax, list(frame["question"]), list(frame["comparison"]))
    for place, row in zip(places, frame.itertuples(), strict=True):
        _mark(ax, place, row, "#333333", "o", filled=row.p_holm < SIGNIFICANT)
        _numbers(ax, place, row)
    return _zero(ax, f"difference of {metric}")


def _in_order(names: pd.Series) -> pd.Series:
    """Place of each name by its first appearance."""
    return pd.Series(pd.factorize(names)[0], index=names.index)


def _mark(ax: Axes, place: float, row: object, colour: str, marker: str, *, filled: bool) -> None:
    ax.plot([row.low, row.high], [place, place], color=colour, linewidth=1.4)
    size = 8 if marker in "X*" else 5  # a cross or a star as small as the others looks filled when it is not
    ax.plot(row.estimate, place, marker=marker, color=colour, markerfacecolor=colour if filled else "white", ms=size)


def _numbers(ax: Axes, place: float, row: object) -> None:
    """Estimate and interval in points, to the right of the row."""
    text = f"{points(row.estimate)} [{points(row.low)}, {points(row.high)}]"
    ax.text(1.02, place, text, transform=ax.get_yaxis_transform(), va="center", fontsize=8)


def _rows(ax: Axes, places: Sequence[float], labels: Sequence[str]) -> None:
    """Rows from top to bottom."""
    ax.set_yticks(places, labels)
    ax.set_ylim(max(places) + 0.6, min(places) - 0.6)
    ax.grid(axis="y", visible=False)


def _same_rows(ax: Axes, labelled: Axes, places: Sequence[float]) -> None:
    """The rows of another panel, whose labels do for both."""
    _rows(ax, places, [""] * len(places))
    ax.set_ylim(labelled.get_ylim())
    ax.tick_params(axis="y", length=0)


def _grouped(ax: Axes, heads: Sequence[str], labels: Sequence[str]) -> list[int]:
    """Rows with a bold line above each group of equal heads; places of the labels, in their order."""
    places, written = [], {}
    for head in heads:
        if head not in written:
            written[head] = len(written) + len(places)
        places.append(len(written) + len(places))
    _rows(ax, [*places, *written.values()], [*labels, *written])
    for text in ax.get_yticklabels()[len(labels) :]:
        text.set_fontweight("bold")
    return places


def _zero(ax: Axes, label: str, *, narrow: bool = False) -> Axes:
    """A line at no difference, and the name of the axis; under a narrow panel the unit has a line of its own."""
    ax.axvline(0, color="black", linewidth=0.8)
    between = "\n" if narrow else " "
    ax.set_xlabel(f"{label}{between}(percentage points)\nfilled: p < {SIGNIFICANT:g} after Holm")
    return percent(ax.xaxis, sign="")
