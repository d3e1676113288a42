"""How a benchmark is split: units that share a text go together, and are dealt into the groups of the folds."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterable, Mapping

import numpy as np

from llmexp_utils.benchmarks import N_GROUPS
from llmexp_utils.errors import StudyError


def together(texts: Iterable[tuple[str, Hashable]]) -> dict[str, str]:
    """First of the units that share a text with a unit, directly or through others.

    Parameters
    ----------
    texts : iterable of (str, hashable)
        Unit and a text of it, in a form that is the same for texts that count as one.

    Examples
    --------
    >>> together([("b", "x"), ("a", "y"), ("c", "y"), ("c", "x"), ("d", "z")])
    {'b': 'a', 'a': 'a', 'c': 'a', 'd': 'd'}
    """
    head: dict[str, str] = {}
    seen: dict[Hashable, str] = {}

    def first(unit: str) -> str:
        while head[unit] != unit:
            unit = head[unit]
        return unit

    for unit, text in texts:
        head.setdefault(unit, unit)
        one, other = first(seen.setdefault(text, unit)), first(unit)
        head[max(one, other)] = min(one, other)
    return {unit: first(unit) for unit in head}


def deal(sizes: Mapping[str, int], name: str) -> dict[str, int]:
    """Group of each unit: five groups of about as many items each, the largest units first.

    Raises
    ------
    StudyError
        If there are fewer units than groups.

    Examples
    --------
    >>> sorted(deal({"a": 9, "b": 5, "c": 4, "d": 3, "e": 2, "f": 2}, "made").values())
    [0, 1, 2, 3, 4, 4]
    """
    if len(sizes) < N_GROUPS:
        raise StudyError(
            f"{name} has {len(sizes)} separate units, a split into {N_GROUPS} groups needs more: raise max_lines, or "
            "the number of tasks"
        )
    loads, group = [0] * N_GROUPS, {}
    for unit, size in sorted(sizes.items(), key=lambda item: (-item[1], zlib.crc32(item[0].encode()))):
        group[unit] = int(np.argmin(loads))
        loads[group[unit]] += size
    return group
