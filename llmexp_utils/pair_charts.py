"""The chart of clone detection by part: which clones are found, and which other pairs are taken for clones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from llmexp_utils.axes import by_look, dodge, legend, need, percent
from llmexp_utils.clone_types import TYPES
from llmexp_utils.pairs import NEGATIVES
from llmexp_utils.plots import PAIR_CONDITIONS, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS_HEAD, TYPES_HEAD = "by kind of the others", "by clone type"


def by_part(ax: Axes, frame: pd.DataFrame, *, looks: Mapping[str, Look] = PAIR_CONDITIONS, metric: str = "F1") -> Axes:
    """Metric with 95 % intervals by kind of the pairs that are none, and by clone type; one mark a condition.

    Parts differ in their share of clones, so marks are compared within a part, and with its own floor.

    Parameters
    ----------
    ax : Axes
        Where to draw; about 1 inch of width a part is right.
    frame : DataFrame
        Rows of :func:`llmexp_utils.statistics.bands` by ``condition`` and ``part`` (see
        :func:`llmexp_utils.pair_metrics.parts`): also ``estimate``, ``low``, ``high``, ``n_pairs``; rows of condition
        ``floor`` become a dashed line in each part.
    looks : mapping
        How conditions look.
    metric : str
        Name on the axis.

    Raises
    ------
    StudyError
        If the frame cannot be drawn.
    """
    need(frame, ["condition", "part", "estimate", "low", "high", "n_pairs"], ["condition", "part"])
    places = _places(frame["part"])
    groups = by_look(frame, "condition", looks)
    shift = dodge([name for name, _ in groups if name != "floor"])
    for condition, rows in groups:
        look, centre = looks[condition], rows["part"].map(places)
        if condition == "floor":
            line = {"linewidth": 1, "linestyle": "--", "color": look.colour, "label": look.label}
            ax.hlines(rows["estimate"], centre - 0.4, centre + 0.4, **line)
            continue
        x = centre + shift[condition]
        ax.vlines(x, rows["low"], rows["high"], color=look.colour, linewidth=0.9, alpha=0.8)
        ax.plot(x, rows["estimate"], linestyle="", color=look.colour, marker=look.marker, label=look.label)
    _parts(ax, frame, places)
    ax.set_ylabel(metric)
    percent(ax.yaxis)
    return legend(ax)


def _places(parts: Iterable[str]) -> dict[str, float]:
    """Place of each part on the axis: kinds of other pairs, a gap, clone types."""
    found = set(parts)
    kinds = [name for name in (*NEGATIVES, *sorted(found - {*NEGATIVES, *TYPES})) if name in found]
    types = [name for name in TYPES if name in found]
    gap = 0.5 if kinds and types else 0.0
    return {name: float(k) for k, name in enumerate(kinds)} | {
        name: len(kinds) + gap + k for k, name in enumerate(types)
    }


def _parts(ax: Axes, frame: pd.DataFrame, places: dict[str, float]) -> None:
    """Names and sizes of the parts below, and above what the two groups of them are."""
    sizes = frame.groupby("part")["n_pairs"].max()
    labels = [f"{name.replace(' ', chr(10))}\nn = {sizes[name]:,}" for name in places]
    ax.set_xticks(list(places.values()), labels)
    ax.set_xlim(min(places.values()) - 0.5, max(places.values()) + 0.5)
    ax.grid(axis="x", visible=False)
    for head, is_type in ((KINDS_HEAD, False), (TYPES_HEAD, True)):
        own = [place for name, place in places.items() if (name in TYPES) == is_type]
        if own:
            middle = (own[0] + own[-1]) / 2
            ax.text(middle, 1.02, head, transform=ax.get_xaxis_transform(), ha="center", va="bottom")
