"""What the charts share: checks of their frames, and the conventions of axes and legends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmexp_utils.errors import StudyError
from llmexp_utils.plots import Look

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis


def need(frame: pd.DataFrame, columns: list[str], unique: list[str]) -> None:
    """Refuse a frame that cannot be drawn: a missing column, no row, or two rows for one mark."""
    missing = [name for name in columns if name not in frame]
    if missing:
        raise StudyError(f"cannot draw: no column {missing[0]!r} (columns: {', '.join(map(str, frame.columns))})")
    if frame.empty:
        raise StudyError("cannot draw: the frame has no row")
    twice = frame[frame.duplicated(unique)] if unique else frame.iloc[:0]
    if len(twice):
        where = ", ".join(f"{name}={twice.iloc[0][name]}" for name in unique)
        raise StudyError(f"cannot draw: two rows for {where}: filter the frame (one student, one generator) first")


def by_look(frame: pd.DataFrame, column: str, looks: Mapping[str, Look]) -> list[tuple[str, pd.DataFrame]]:
    """Split by a column, in the fixed order of the looks."""
    unknown = sorted(set(frame[column]) - set(looks))
    if unknown:
        raise StudyError(f"cannot draw: unknown {column} {unknown[0]!r}: choose from {', '.join(looks)}")
    return [(name, frame[frame[column] == name]) for name in looks if (frame[column] == name).any()]


def doublings(sizes: Sequence[int]) -> dict[int, float]:
    """Place of each number of faults or pairs on the axis: log2, and zero one step to the left of the smallest."""
    positive = [size for size in sizes if size > 0]
    first = np.log2(min(positive)) - 1 if positive else 0.0
    return {size: float(np.log2(size)) if size > 0 else float(first) for size in sizes}


def dodge(names: Sequence[str], step: float = 0.1) -> dict[str, float]:
    """Small shifts, centred on zero, that keep bars at one place apart."""
    return {name: step * (index - (len(names) - 1) / 2) for index, name in enumerate(names)}


def percent(axis: Axis, sign: str = " %") -> Axes:
    """Show fractions of one as per cent."""
    axis.set_major_formatter(lambda value, _: f"{round(100 * value, 6):g}{sign}".replace("-", "\N{MINUS SIGN}"))
    return axis.axes


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{round(100 * share, 1) + 0.0:+.1f}".replace("-", "\N{MINUS SIGN}")


def legend(ax: Axes, handles: list[Artist] | None = None) -> Axes:
    """Legend outside, on the right: it never covers data."""
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0)
    return ax
