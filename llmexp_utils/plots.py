"""Figures of the study: one style, one colour a condition everywhere, and one function that writes a figure.

Every chart takes an Axes and a tidy frame and returns the Axes; shares and Top-k are given as fractions of
one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from llmexp_utils.captions import one_line, show
from llmexp_utils.paths import atomic_write
from llmexp_utils.tables import csv_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Look:
    """How a condition is shown everywhere."""

    label: str
    colour: str
    marker: str


# Colours of Okabe and Ito (2008), which colour-blind readers can tell apart; markers say the same in print.
CONDITIONS = {
    "C0": Look("real only", "#000000", "o"),
    "C2": Look("real + mutants", "#E69F00", "s"),
    "C3": Look("real + LLM, random", "#56B4E9", "^"),
    "C4": Look("real + LLM, Score", "#0072B2", "D"),
    "mix": Look("real + half LLM, half mutants", "#CC79A7", "P"),
    "C5": Look("LLM only", "#009E73", "v"),
    "C5m": Look("mutants only", "#D55E00", "X"),
    "floor": Look("random ranking", "#7F7F7F", ""),
}
# Conditions of clone detection look like those that mean the same for faults; the red of C4far stays apart from all.
PAIR_CONDITIONS = {
    "C0": CONDITIONS["C0"],
    "C2": replace(CONDITIONS["C2"], label="real + rewriting"),
    "C3": CONDITIONS["C3"],
    "C4": CONDITIONS["C4"],
    "C4far": Look("real + LLM, Score, no near misses", "#B22222", "*"),
    "C5": CONDITIONS["C5"],
    "floor": replace(CONDITIONS["floor"], label="all called clones"),
}
BASELINES = {
    "always-clone": "all called clones",
    "token-overlap": "token overlap",
    "cosine-minilm": "cosine of untouched MiniLM",
    "cosine-frozen-llm": "cosine of the untouched LLM",
}
"""What pair baselines, which are not trained, are called in figures."""
# Sources of faults wear the colour of the condition that trains on them.
SOURCES = {
    "gold": Look("gold (real)", CONDITIONS["C0"].colour, "o"),
    "mutation": Look("mutants", CONDITIONS["C2"].colour, "s"),
    "all": Look("LLM, all kept", CONDITIONS["C5"].colour, "v"),
    "random": Look("LLM, random choice", CONDITIONS["C3"].colour, "^"),
    "score": Look("LLM, chosen by Score", CONDITIONS["C4"].colour, "D"),
}
# Tokens are neither a condition nor a generator: greys.
TOKENS = {"read": "#BFBFBF", "written": "#595959"}
# Generators are no condition: other colours (Tol, muted). Read them through `model_colours`.
EMBEDDED_COLOURS = {"qwen2.5-coder-1.5b": "#332288", "qwen2.5-coder-0.5b": "#999933"}
MODEL_COLOURS = (*EMBEDDED_COLOURS.values(), "#882255", "#44AA99", "#DDCC77", "#661100")


def model_colours(names: Iterable[str]) -> dict[str, str]:
    """Colour of each generator: an embedded one always has its own, the others share out what is left by name.

    Parameters
    ----------
    names : iterable of str
        Generators, in any order and repeated or not; an empty name (no generator) is left out.

    Returns
    -------
    dict
        Colour by name, in the order in which the names were first given; beyond four other generators, colours
        repeat.

    Examples
    --------
    >>> model_colours(["qwen2.5-coder-0.5b", "other"])
    {'qwen2.5-coder-0.5b': '#999933', 'other': '#882255'}
    """
    given = [name for name in dict.fromkeys(names) if name]
    others = sorted(set(given) - EMBEDDED_COLOURS.keys())
    colours = EMBEDDED_COLOURS | dict(zip(others, cycle(MODEL_COLOURS[len(EMBEDDED_COLOURS) :]), strict=False))
    return {name: colours[name] for name in given}


def style() -> dict[str, object]:
    """Matplotlib settings of the study, for ``plt.rcParams.update(...)`` or ``with plt.rc_context(...)``."""
    return {
        "font.family": "DejaVu Sans",  # ships with matplotlib: the same text on every machine
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": "#E5E5E5",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "lines.markersize": 5,
        "figure.figsize": (6.4, 3.6),
        "figure.constrained_layout.use": True,
        "pdf.fonttype": 42,
        "svg.hashsalt": "llmexp",
    }


def save_figure(
    fig: Figure, name: str, *, data: pd.DataFrame, folder: str | Path, caption: str, source: str = ""
) -> list[Path]:
    """Write ``name.pdf``, ``name.png`` and ``name.csv`` (the plotted numbers); the figure stays open.

    In a notebook the caption is shown above the figure.
    The files are written atomically and hold no date, so that the same numbers give the same bytes. Caption
    and source are kept in the PNG, from where :func:`llmexp_utils.tables.write_index` reads them.

    Parameters
    ----------
    fig : Figure
        The figure.
    name : str
        ``figNN_subject_by_factor``, without a suffix.
    data : DataFrame
        Tidy frame of what the figure shows.
    folder : str or Path
        Where to write; created if missing.
    caption : str
        What is shown, n, seeds and what the interval is.
    source : str
        Name of the notebook that draws the figure.
    """
    import matplotlib

    words = one_line(caption)
    png = {"Title": name, "Description": words, "Source": source, "Software": None}
    pdf = {"Title": name, "Subject": words, "Creator": None, "Producer": None, "CreationDate": None}
    contents = {"csv": csv_text(data).encode()}
    with matplotlib.rc_context({key: style()[key] for key in ("pdf.fonttype", "svg.hashsalt")}):
        for suffix, metadata in (("pdf", pdf), ("png", png)):
            stream = BytesIO()
            fig.savefig(stream, format=suffix, dpi=160, bbox_inches="tight", metadata=metadata)
            contents[suffix] = stream.getvalue()
    show(name, caption)
    return [atomic_write(Path(folder) / f"{name}.{suffix}", contents[suffix]) for suffix in ("pdf", "png", "csv")]
