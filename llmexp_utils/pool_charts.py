"""The charts of the pool: from answers to faults, where they stand, and what the chosen ones look like.

A generator is a colour and a line policy a marker, in every chart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmexp_utils.axes import by_look, legend, need, percent
from llmexp_utils.errors import StudyError
from llmexp_utils.plots import SOURCES, Look, model_colours

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

ARM = ["generator", "form", "policy"]
STAGES = {
    "asked": "asked",
    "answered": "answered",
    "parses": "parses",
    "differs": "differs",
    "usable": "same name, no new import",
    "compiles": "compiles",
    "fails": "fails the tests",
    "small": "touches few lines",
    "kept": "kept (no copy)",
}
STATISTICS = {
    "lines_changed": "lines changed (share of the faults)",
    "edit_distance": "edit distance (characters)",
    "similarity": "semantic similarity (cosine)",
}
POLICY_MARKERS = {"uniform": "o", "gold": "s", "llm": "^", "": "D"}
REFERENCE = "#D9D9D9"
LINE_TONES = {"1 line": 0.3, "2 lines": 0.6, "3 or more": 1.0}


def arm_looks(frame: pd.DataFrame) -> dict[tuple[str, str, str], Look]:
    """Label, colour (the generator's) and marker (the policy's) of every arm, in the order of their rows."""
    colours = model_colours(frame["generator"])
    arms = list(dict.fromkeys(frame[ARM].itertuples(index=False, name=None)))
    return {arm: Look(", ".join(filter(None, arm)), colours[arm[0]], POLICY_MARKERS.get(arm[2], "v")) for arm in arms}


def funnel(axes: Sequence[Axes], frame: pd.DataFrame, names: Mapping[str, str] = STAGES) -> Sequence[Axes]:
    """What is left of the generator's answers after each check: a panel a generator and form, a mark a policy.

    Parameters
    ----------
    axes : sequence of Axes
        One for each generator and form, side by side with a shared y axis.
    frame : DataFrame
        ``generator``, ``form``, ``policy``, ``stage``, ``count``; each arm has the stage ``asked``.
    names : mapping
        What each stage is called, in the order of the checks.
    """
    need(frame, [*ARM, "stage", "count"], [*ARM, "stage"])
    panels = list(frame.groupby(["generator", "form"], sort=False))
    if len(axes) != len(panels):
        raise StudyError(f"funnel: {len(panels)} generators and forms need as many axes, not {len(axes)}")
    stages = [stage for stage in names if (frame["stage"] == stage).any()]
    looks = arm_looks(frame)
    for ax, ((generator, form), rows) in zip(axes, panels, strict=True):
        _stages(ax, rows, stages, {arm: looks[arm] for arm in arm_looks(rows)})
        ax.set_title(f"{generator}\nform {form}", fontsize=9)
        ax.set(xlim=(0, 1.28), xlabel="share of the answers")
        ax.set_xticks([0, 0.5, 1])
        percent(ax.xaxis)
        ax.grid(axis="y", visible=False)
        if (rows["policy"] != "").any():
            under = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "borderaxespad": 4.2}  # the axis' own text
            ax.legend(ncols=3, handletextpad=0, columnspacing=0.6, **under)
    axes[0].set_yticks(range(len(stages)), [names[stage] for stage in stages])
    axes[0].set_ylim(len(stages) - 0.5, -0.5)
    return axes


def _stages(ax: Axes, frame: pd.DataFrame, stages: Sequence[str], looks: dict[tuple[str, str, str], Look]) -> None:
    """The stages of one generator and form; the share that is kept is written out."""
    for shift, ((_, form, policy), look) in zip(_shifts(len(looks)), looks.items(), strict=True):
        counts = frame[frame["policy"] == policy].set_index("stage")["count"].reindex(stages)
        if not counts.get("asked", 0) > 0:
            raise StudyError(f"funnel: no stage 'asked' for {look.label}: shares need it")
        shares, places = (counts / counts["asked"]).to_numpy(float), np.arange(len(stages)) + shift
        ax.hlines(places, 0, shares, color=look.colour, linewidth=1, alpha=0.5)
        ax.plot(shares, places, look.marker, color=look.colour, markersize=4.5, label=policy or form)
        for stage, share, place in zip(stages, shares, places, strict=True):
            if stage == "kept" or (len(looks) == 1 and not np.isnan(share)):
                ax.text(share + 0.05, place, f"{100 * share:.0f} %", va="center", fontsize=7)


def an_hour(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Kept faults an hour of generation by arm, with 95 % intervals and the number written beside the mark.

    Parameters
    ----------
    ax : Axes
        Where to draw; about 0.5 inch of height a row is right.
    frame : DataFrame
        ``generator``, ``form``, ``policy``, ``kept_an_hour``, ``low``, ``high``; one row an arm.
    """
    need(frame, [*ARM, "kept_an_hour", "low", "high"], ARM)
    looks = arm_looks(frame)
    for place, (row, look) in enumerate(zip(frame.itertuples(), looks.values(), strict=True)):
        ax.plot([row.low, row.high], [place, place], color=look.colour, linewidth=1.4)
        ax.plot(row.kept_an_hour, place, look.marker, color=look.colour)
        ax.annotate(
            f"{row.kept_an_hour:,.0f}", (row.kept_an_hour, place), (0, 5), textcoords="offset points", ha="center"
        )
    ax.set_yticks(range(len(looks)), [f"{generator}\n{form} {policy}".strip() for generator, form, policy in looks])
    ax.set_ylim(len(looks) - 0.5, -0.5)
    ax.set_xlim(left=min(0, -0.02 * frame["high"].max()))  # a mark at zero is seen whole
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("kept faults an hour of generation")
    return ax


def statements(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Share of the faults by kind of statement: gold faults as bars, a mark an arm.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    frame : DataFrame
        ``generator`` (empty for gold faults), ``form``, ``policy``, ``kind``, ``share``; kinds are drawn in
        the order in which they first come.
    """
    need(frame, [*ARM, "kind", "share"], [*ARM, "kind"])
    kinds = list(dict.fromkeys(frame["kind"]))
    real, written = frame[frame["generator"] == ""], frame[frame["generator"] != ""]
    heights = real.set_index("kind")["share"].reindex(kinds).fillna(0)
    handles: list[Artist] = [ax.barh(range(len(kinds)), heights, 0.84, color=REFERENCE, label=SOURCES["gold"].label)]
    looks = arm_looks(written)
    for shift, (arm, look) in zip(_shifts(len(looks)), looks.items(), strict=True):
        rows = written[(written[ARM] == list(arm)).all(axis=1)].set_index("kind")["share"].reindex(kinds).fillna(0)
        places, ink = np.arange(len(kinds)) + shift, {"color": look.colour, "clip_on": False}  # whole also at zero
        handles += ax.plot(rows, places, look.marker, label=look.label, **ink)
    ax.set_yticks(range(len(kinds)), kinds)
    ax.set_ylim(len(kinds) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.set_xlabel("share of the candidates (bars: of the gold faults)")
    ax.grid(axis="y", visible=False)
    percent(ax.xaxis)
    return legend(ax, handles)


def _shifts(n: int) -> np.ndarray:
    """Places of ``n`` marks in a row of height one."""
    return (np.arange(n) - (n - 1) / 2) * min(0.24, 0.8 / n)


def three_statistics(axes: Sequence[Axes], frame: pd.DataFrame) -> Sequence[Axes]:
    """The three statistics of the Score by source: shares of lines changed, and boxes with means (diamonds).

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
    _lines_changed(axes[0], groups)
    for ax, name in zip(axes[1:], list(STATISTICS)[1:], strict=True):
        _boxes(ax, groups, name)
    for ax, label in zip(axes, STATISTICS.values(), strict=True):
        ax.set_yticks(range(len(groups)), [""] * len(groups))
        ax.set(xlabel=label, ylim=(len(groups) - 0.5, -0.5))
        ax.grid(axis="y", visible=False)
    names = [f"{SOURCES[source].label}\nn = {len(rows):,}" for source, rows in groups]
    axes[0].set_yticks(range(len(groups)), names)
    return axes


def _lines_changed(ax: Axes, groups: Sequence[tuple[str, pd.DataFrame]]) -> None:
    """Shares of faults that change one, two, or more lines: a box plot of almost always one shows nothing."""
    from matplotlib.patches import Patch

    for place, (source, rows) in enumerate(groups):
        lines, start = rows["lines_changed"].clip(1, len(LINE_TONES)), 0.0
        for number, tone in enumerate(LINE_TONES.values(), start=1):
            share = float((lines == number).mean())
            ax.barh(place, share, 0.6, left=start, color=SOURCES[source].colour, alpha=tone, linewidth=0)
            start += share
        ax.text(0.03, place, f"{100 * (lines == 1).mean():.3g} %", va="center", fontsize=8)
    patches = [Patch(color="black", alpha=tone, linewidth=0, label=name) for name, tone in LINE_TONES.items()]
    layout = {"handlelength": 1, "handletextpad": 0.4, "columnspacing": 0.8, "fontsize": 8}
    ax.legend(handles=patches, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, **layout)
    ax.set_xlim(0, 1)
    ax.set_xticks([0, 0.5, 1])
    percent(ax.xaxis)


def _boxes(ax: Axes, groups: Sequence[tuple[str, pd.DataFrame]], name: str) -> None:
    """A box and a diamond (mean) a source; the dashed line is the mean of the gold faults."""
    ax.locator_params(axis="x", nbins=4)
    mean = {"marker": "D", "markersize": 4, "markeredgecolor": "none", "markerfacecolor": "black"}
    for place, (source, rows) in enumerate(groups):
        ink = {"color": SOURCES[source].colour}
        inks = dict.fromkeys(("boxprops", "whiskerprops", "capprops", "medianprops"), ink)
        box = {"showfliers": False, "showmeans": True, "meanprops": mean, "widths": 0.6} | inks
        ax.boxplot(rows[name], positions=[place], orientation="horizontal", manage_ticks=False, **box)
        if source == "gold":
            ax.axvline(rows[name].mean(), color="black", linestyle="--", linewidth=0.8, zorder=0)


def mutants_by_operator(ax: Axes, mix: pd.DataFrame) -> Axes:
    """Number of kept mutants of each mutation operator: ``operator``, ``faults``; 0.24 inch a row is right."""
    import seaborn as sns

    need(mix, ["operator", "faults"], ["operator"])
    sns.barplot(mix, x="faults", y="operator", color=SOURCES["mutation"].colour, saturation=1, ax=ax)
    ax.set(xlabel="kept mutants", ylabel="")
    return ax
