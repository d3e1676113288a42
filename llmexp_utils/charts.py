"""The charts of the study: each takes an Axes and a tidy frame and returns the Axes.

Shares and Top-k are fractions of one; the axes show per cent.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmexp_utils.errors import StudyError
from llmexp_utils.plots import CONDITIONS, MODEL_COLOURS, SOURCES, Look

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

MOST_BANDS = 4  # more than this on one another cannot be read
STAGES = {
    "asked": "asked",
    "answered": "answered",
    "parses": "parses",
    "differs": "differs",
    "compiles": "compiles",
    "fails": "fails the tests",
    "kept": "kept",
}
STATISTICS = {
    "lines_changed": "lines changed",
    "edit_distance": "edit distance (tokens)",
    "similarity": "semantic similarity (cosine)",
}


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
    _need(frame, ["condition", "n_real", "estimate", "low", "high"], ["condition", "n_real"])
    sizes = sorted(frame.loc[frame["condition"] != "floor", "n_real"].unique())
    place = _doublings(sizes)
    groups = _by_look(frame.sort_values("n_real"), "condition", CONDITIONS)
    lines = [name for name, rows in groups if name != "floor" and len(rows) > 1]
    single = [name for name, rows in groups if name != "floor" and len(rows) == 1]
    shift = _dodge(lines) | _dodge(single)
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
    _percent(ax.yaxis)
    return _legend(ax, handles)


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
    _need(frame, ["condition", "n_real", "estimate", "low", "high", "p_holm"], ["condition", "n_real"])
    ordered = pd.concat([rows for _, rows in _by_look(frame, "condition", CONDITIONS)])
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
        ax.text(1.02, place, f"{_points(row.estimate)} [{_points(row.low)}, {_points(row.high)}]", **side)
    ax.axvline(0, color="black", linewidth=0.8)
    labels = [f"{CONDITIONS[row.condition].label}, n = {row.n_real}" for row in rows.itertuples()]
    ax.set_yticks(places, labels)
    ax.set_ylim(len(rows) - 0.4 + 0.6 * gaps.max(), -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel(f"{metric} minus that of {baseline} (percentage points)\nfilled: p < 0.05 after Holm")
    return _percent(ax.xaxis, sign="")


def funnel(ax: Axes, frame: pd.DataFrame) -> Axes:
    """What is left of the generator's answers after each check, by model and form.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        ``model``, ``form``, ``stage`` (keys of ``STAGES``), ``count``; each series has the stage ``asked``.
    """
    _need(frame, ["model", "form", "stage", "count"], ["model", "form", "stage"])
    series = list(dict.fromkeys(zip(frame["model"], frame["form"], strict=True)))
    stages = [stage for stage in STAGES if (frame["stage"] == stage).any()]
    colours = dict(zip(dict.fromkeys(frame["model"]), cycle(MODEL_COLOURS), strict=False))
    forms = list(dict.fromkeys(frame["form"]))
    height = 0.84 / len(series)
    for index, (model, form) in enumerate(series):
        rows = frame[(frame["model"] == model) & (frame["form"] == form)].set_index("stage")["count"]
        if not rows.get("asked", 0):
            raise StudyError(f"funnel: no stage 'asked' for {model}, {form}: shares need it")
        places = np.arange(len(stages)) - 0.42 + height * (index + 0.5)
        counts = rows.reindex(stages)
        hatch = "////" if forms.index(form) else ""
        bars = {"color": colours[model], "hatch": hatch, "edgecolor": "white", "label": f"{model}, {form}"}
        ax.barh(places, counts.fillna(0), height, linewidth=0.5, **bars)
        for place, count in zip(places, counts, strict=True):
            text = "" if np.isnan(count) else f" {count:,.0f} ({100 * count / rows['asked']:.0f} %)"
            ax.text(0 if np.isnan(count) else count, place, text, va="center", fontsize=7)
    ax.set_yticks(range(len(stages)), [STAGES[stage] for stage in stages])
    ax.set_ylim(len(stages) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("answers")
    ax.set_xlim(0, 1.3 * frame["count"].max())  # room for the numbers
    return _legend(ax)


def three_statistics(axes: Sequence[Axes], frame: pd.DataFrame) -> Sequence[Axes]:
    """Distribution of the three statistics of the Score by source; diamonds are means, the line that of gold.

    Parameters
    ----------
    axes : sequence of three Axes
        Where to draw; only the first one names the sources.
    frame : DataFrame
        One row a fault: ``source`` (keys of ``SOURCES``), ``lines_changed``, ``edit_distance``,
        ``similarity``.
    """
    _need(frame, ["source", *STATISTICS], [])
    groups = _by_look(frame, "source", SOURCES)
    order = [source for source, _ in groups]
    mean = {"marker": "D", "markersize": 4, "markeredgecolor": "none", "markerfacecolor": "black"}
    for ax, (name, label) in zip(axes, STATISTICS.items(), strict=True):
        for place, (source, rows) in enumerate(groups):
            ink = {"color": SOURCES[source].colour}
            inks = dict.fromkeys(("boxprops", "whiskerprops", "capprops", "medianprops"), ink)
            box = {"showfliers": False, "showmeans": True, "meanprops": mean, "widths": 0.6} | inks
            ax.boxplot(rows[name], positions=[place], orientation="horizontal", manage_ticks=False, **box)
        if "gold" in order:
            centre = frame.loc[frame["source"] == "gold", name].mean()
            ax.axvline(centre, color="black", linestyle="--", linewidth=0.8, zorder=0)
        ax.set_yticks(range(len(order)), [""] * len(order))
        ax.set(xlabel=label, ylim=(len(order) - 0.5, -0.5))
        ax.grid(axis="y", visible=False)
    names = [f"{SOURCES[source].label}\nn = {len(rows):,}" for source, rows in groups]
    axes[0].set_yticks(range(len(order)), names)
    return axes


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
    _need(frame, ["condition", group, "estimate", "low", "high", "n_faults"], ["condition", group])
    sizes = frame.groupby(group)["n_faults"].max().sort_values(ascending=False, kind="stable")
    conditions = _by_look(frame, "condition", CONDITIONS)
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
    _percent(ax.xaxis)
    return _legend(ax)


def _need(frame: pd.DataFrame, columns: list[str], unique: list[str]) -> None:
    """Refuse a frame that cannot be drawn: a missing column, no row, or two rows for one mark."""
    missing = [name for name in columns if name not in frame]
    if missing:
        raise StudyError(
            f"cannot draw: no column {missing[0]!r} (columns: {', '.join(map(str, frame.columns))})"
        )
    if frame.empty:
        raise StudyError("cannot draw: the frame has no row")
    twice = frame[frame.duplicated(unique)] if unique else frame.iloc[:0]
    if len(twice):
        where = ", ".join(f"{name}={twice.iloc[0][name]}" for name in unique)
        raise StudyError(
            f"cannot draw: two rows for {where}: filter the frame (one student, one generator) first"
        )


def _by_look(frame: pd.DataFrame, column: str, looks: dict[str, Look]) -> list[tuple[str, pd.DataFrame]]:
    """Split by a column, in the fixed order of the looks."""
    unknown = sorted(set(frame[column]) - set(looks))
    if unknown:
        raise StudyError(f"cannot draw: unknown {column} {unknown[0]!r}: choose from {', '.join(looks)}")
    return [(name, frame[frame[column] == name]) for name in looks if (frame[column] == name).any()]


def _doublings(sizes: Sequence[int]) -> dict[int, float]:
    """Place of each number of faults on the axis: log2, and zero one step to the left of the smallest."""
    positive = [size for size in sizes if size > 0]
    first = np.log2(min(positive)) - 1 if positive else 0.0
    return {size: float(np.log2(size)) if size > 0 else float(first) for size in sizes}


def _dodge(names: Sequence[str], step: float = 0.1) -> dict[str, float]:
    """Small shifts, centred on zero, that keep bars at one place apart."""
    return {name: step * (index - (len(names) - 1) / 2) for index, name in enumerate(names)}


def _percent(axis: Axis, sign: str = " %") -> Axes:
    """Show fractions of one as per cent."""
    axis.set_major_formatter(
        lambda value, _: f"{round(100 * value, 6):g}{sign}".replace("-", "\N{MINUS SIGN}")
    )
    return axis.axes


def _points(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{round(100 * share, 1) + 0.0:+.1f}".replace("-", "\N{MINUS SIGN}")


def _legend(ax: Axes, handles: list[Artist] | None = None) -> Axes:
    """Legend outside, on the right: it never covers data."""
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)
    return ax
