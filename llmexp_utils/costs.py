"""What answers cost, in tokens: they do not depend on the machine, as seconds do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from llmexp_utils.plots import TOKENS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def cost_by_arm(candidates: pd.DataFrame, arm: Sequence[str]) -> pd.DataFrame:
    """Means over the answers of each arm.

    Parameters
    ----------
    candidates : DataFrame
        One row an answer: ``prompt_tokens``, ``cached_tokens``, ``completion_tokens``, ``finish_reason``, ``key``.
    arm : sequence of str
        Columns that name an arm.

    Returns
    -------
    DataFrame
        ``answers``, ``prompt_tokens``, ``cached_tokens`` (of the prompt, still in the server's memory),
        ``read_tokens`` (the others), ``written_tokens``, and ``cut_short``, the share that reached the limit.
    """
    return (
        candidates.assign(read=candidates.prompt_tokens - candidates.cached_tokens)
        .groupby(list(arm), sort=False)
        .agg(
            answers=("key", "size"),
            prompt_tokens=("prompt_tokens", "mean"),
            cached_tokens=("cached_tokens", "mean"),
            read_tokens=("read", "mean"),
            written_tokens=("completion_tokens", "mean"),
            cut_short=("finish_reason", lambda reasons: (reasons == "length").mean()),
        )
        .reset_index()
    )


def tokens_by_problem(candidates: pd.DataFrame, arm: Sequence[str]) -> pd.DataFrame:
    """Mean tokens of an answer for each arm and problem: ``arm, task_id, tokens`` ("read" or "written"), ``count``."""
    named = candidates.assign(
        arm=candidates[list(arm)].agg(lambda parts: ", ".join(filter(None, parts)), axis=1),
        read=candidates.prompt_tokens - candidates.cached_tokens,
        written=candidates.completion_tokens,
    )
    means = named.groupby(["arm", "task_id"], sort=False)[["read", "written"]].mean().reset_index()
    return means.melt(["arm", "task_id"], ["read", "written"], "tokens", "count")


def tokens_by_arm(ax: Axes, tokens: pd.DataFrame, seed: int) -> Axes:
    """Bars of tokens read and written for one answer, with 95 % bootstrap intervals over problems.

    Parameters
    ----------
    ax : Axes
        Where to draw; about 0.5 inch of height an arm is right.
    tokens : DataFrame
        See :func:`tokens_by_problem`.
    seed : int
        Of the bootstrap.
    """
    import seaborn as sns

    look = {"palette": TOKENS, "saturation": 1, "errorbar": ("ci", 95), "seed": seed, "err_kws": {"linewidth": 1}}
    sns.barplot(tokens, x="count", y="arm", hue="tokens", **look, ax=ax)
    ax.set(xlabel="tokens an answer", ylabel="")
    sns.move_legend(ax, "upper left", bbox_to_anchor=(1, 1), title="")
    return ax
