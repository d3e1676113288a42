"""The charts of clones: what was asked for and what came."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from llmexp_utils.axes import legend, need, percent
from llmexp_utils.clone_prompts import VISIBLE, constructs_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STAGES = {
    "asked": "asked",
    "answered": "answered",
    "parses": "parses",
    "differs": "not the source again",
    "usable": "defines the function",
    "passes": "passes the tests",
    "computes": "holds no test values",
    "rewritten": "more than renamed",
    "new": "not the gold clone",
    "kept": "kept (no copy)",
}
TONES = {"Type-1/2": "#C6DBEF", "Type-3 strong": "#9ECAE1", "Type-3 moderate": "#4292C6", "Type-4": "#084594"}
ASKED = {True: "asked for", False: "another one asked for"}
GREYS = {"asked for": "#595959", "another one asked for": "#BFBFBF"}


def constructs_shown(candidates: pd.DataFrame) -> pd.DataFrame:
    """Whether each rewrite shows each visible construct that its source lacks.

    Parameters
    ----------
    candidates : DataFrame
        ``task_id, form, construct`` (asked for), ``status, code, correct``.

    Returns
    -------
    DataFrame
        ``task_id, construct, asked`` ("asked for" or "another one asked for") and ``shown`` (0 or 1); one row a
        candidate of the form ``rewrite`` and construct.
    """
    rows = []
    for row in candidates[(candidates.form == "rewrite") & (candidates.status == "candidate")].itertuples():
        before, after = constructs_in(row.correct), constructs_in(row.code)
        rows += [
            (row.task_id, construct, ASKED[construct == row.construct], int(construct in after))
            for construct in VISIBLE
            if construct not in before
        ]
    return pd.DataFrame(rows, columns=["task_id", "construct", "asked", "shown"])


def types_by_author(ax: Axes, frame: pd.DataFrame) -> Axes:
    """Stacked shares of the clone types of each author; the number of clones is written beside its name.

    Parameters
    ----------
    ax : Axes
        Where to draw; about 0.5 inch of height an author is right.
    frame : DataFrame
        ``author`` and ``clone_type``, one row a clone.
    """
    need(frame, ["author", "clone_type"], [])
    authors = list(dict.fromkeys(frame.author))
    shares = pd.crosstab(frame.author, frame.clone_type, normalize="index").reindex(authors)
    shown = [name for name in TONES if name in shares]
    shares[shown].plot.barh(stacked=True, color=[TONES[name] for name in shown], width=0.7, ax=ax)
    counts = frame.author.value_counts()
    ax.set_yticks(range(len(authors)), [f"{author}\nn = {counts[author]}" for author in authors])
    ax.set(xlabel="share of the clones", ylabel="", xlim=(0, 1))
    ax.invert_yaxis()
    percent(ax.xaxis)
    ax.grid(axis="y", visible=False)
    return legend(ax)


def constructs_by_wish(ax: Axes, shown: pd.DataFrame, seed: int) -> Axes:
    """Share of rewrites that show a construct, asked for or not, with 95 % bootstrap intervals by problem.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    shown : DataFrame
        See :func:`constructs_shown`.
    seed : int
        Of the bootstrap.
    """
    import seaborn as sns

    need(shown, ["task_id", "construct", "asked", "shown"], [])
    order = [
        construct for construct in VISIBLE if ((shown.construct == construct) & (shown.asked == ASKED[True])).any()
    ]
    look = {"palette": GREYS, "saturation": 1, "errorbar": ("ci", 95), "seed": seed, "err_kws": {"linewidth": 1}}
    sns.barplot(
        shown, x="shown", y="construct", order=order, hue="asked", hue_order=list(GREYS), units="task_id", **look, ax=ax
    )
    ax.set(xlabel="share of the rewrites that show it", ylabel="", xlim=(0, 1))
    percent(ax.xaxis)
    ax.grid(axis="y", visible=False)
    return legend(ax)
