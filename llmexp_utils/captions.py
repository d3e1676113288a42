"""Captions on the page: a reader of a notebook sees what a figure or a table shows, its n, seeds and intervals."""

from __future__ import annotations

import re

KINDS = {"fig": "Figure", "tab": "Table"}


def one_line(text: str) -> str:
    """Text without line breaks and repeated spaces."""
    return " ".join(text.split())


def show(name: str, caption: str) -> None:
    """Display a caption in a notebook, above the figure or table that the cell shows; elsewhere do nothing."""
    from IPython import get_ipython
    from IPython.display import Markdown, display

    if get_ipython() is not None:
        display(Markdown(headed(name, caption)))


def headed(name: str, caption: str) -> str:
    """Caption as Markdown, after the number in the name of its figure or table.

    Examples
    --------
    >>> headed("fig10_top1_by_real_faults", "Top-1,\\n n = 3.")
    '**Figure 10.** Top-1, n = 3.'
    """
    found = re.match(r"(fig|tab)(\d+)_", name)
    head = f"{KINDS[found[1]]} {int(found[2])}" if found else name
    return f"**{head}.** {one_line(caption)}"
