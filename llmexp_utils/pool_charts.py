"""The charts of the pool: from answers to faults, and what the chosen ones look like."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmexp_utils.axes import by_look, legend, need
from llmexp_utils.errors import StudyError
from llmexp_utils.plots import MODEL_COLOURS, SOURCES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
    "edit_distance": "edit distance (characters)",
    "similarity": "semantic similarity (cosine)",
}


def funnel(ax: Axes, frame: pd.DataFrame) -> Axes:
    """What is left of the generator's answers after each check, by model and form.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        ``model``, ``form``, ``stage`` (keys of ``STAGES``), ``count``; each series has the stage ``asked``.
    """
    need(frame, ["model", "form", "stage", "count"], ["model", "form", "stage"])
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
    return legend(ax)


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
    need(frame, ["source", *STATISTICS], [])
    groups = by_look(frame, "source", SOURCES)
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
