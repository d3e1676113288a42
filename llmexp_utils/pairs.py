"""Pairs of programs for clone detection: clones, and three kinds of pairs that are none.

A pair frame has one row a pair: ``pair_id`` (of a real one: the problem it was made for, and its kind);
``task_id, other_id`` (problems of the left and the right program);
``kind, label`` (1: clones); ``left, right`` (texts); ``overlap`` of normalised tokens; ``clone_type`` of clones.
Both programs of a pair come from one group of the split, so that no problem is in two splits of a fold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from llmexp_utils.benchmarks import Function
from llmexp_utils.clone_types import Normal, clone_type, neutral_names, normal_tokens, overlap
from llmexp_utils.code import normalise
from llmexp_utils.errors import StudyError
from llmexp_utils.gold_clones import GoldClone

NEGATIVES = ("random", "similar", "near-miss")
PAIRS_A_PROBLEM = 4
COLUMNS = ["pair_id", "task_id", "other_id", "kind", "label", "left", "right"]


def gold_pairs(
    functions: Sequence[Function],
    clones: Sequence[GoldClone],
    faults: pd.DataFrame,
    groups: Mapping[str, int],
    embeddings: np.ndarray,
    seed: int = 0,
) -> pd.DataFrame:
    """Real pairs: as many clones as pairs that are none, in every group.

    Parameters
    ----------
    functions : sequence of Function
        The problems; their canonical solutions.
    clones : sequence of GoldClone
        The alternative solution of each problem.
    faults : DataFrame
        Gold faults: ``task_id`` and ``code``.
    groups : mapping
        Group of each problem.
    embeddings : ndarray, shape (len(functions), d)
        One vector a canonical solution.
    seed : int
        Of every draw.

    Returns
    -------
    DataFrame
        For each problem four pairs. Two clones: canonical and alternative solution, in both orders. Two others,
        of two of the three kinds in turn: ``random`` (with a program of a random other problem), ``similar`` (of the
        nearest other problem, by embedding for one half and by token overlap for the other) and ``near-miss`` (with
        a faulty variant of the same problem). Canonical and alternative solutions take turns.
    """
    by_id = {function.task_id: function for function in functions}
    alternative = {clone.task_id: normalise(clone.code).code for clone in clones}
    programs = {task_id: (function.code, alternative[task_id]) for task_id, function in by_id.items()}
    faulty = faults.groupby("task_id").code.agg(list).to_dict()
    nearest = _nearest(functions, groups, embeddings)
    rows = []
    for group in sorted({groups[task_id] for task_id in by_id}):
        members = [task_id for task_id in by_id if groups[task_id] == group]
        if len(members) < 2:
            raise StudyError(f"group {group} has one problem: pairs of different problems need two")
        rng = np.random.default_rng([seed, group])
        for turn, task_id in enumerate(rng.permutation(members).tolist()):
            canonical, other = programs[task_id]
            orders = ((canonical, other), (other, canonical))
            rows += [(f"{task_id}/clone{n}", task_id, task_id, "clone", 1, *order) for n, order in enumerate(orders)]
            for kind in NEGATIVES[: turn % 3] + NEGATIVES[turn % 3 + 1 :]:
                left = programs[task_id][int(rng.integers(2))]
                if kind == "near-miss":
                    partner, right = task_id, faulty[task_id][int(rng.integers(len(faulty[task_id])))]
                else:
                    others = [member for member in members if member != task_id]
                    partner = nearest[task_id][turn // 3 % 2] if kind == "similar" else str(rng.choice(others))
                    right = programs[partner][int(rng.integers(2))]
                sides = [(task_id, left), (partner, right)]
                (first, one), (second, two) = sides if rng.integers(2) else sides[::-1]
                rows.append((f"{task_id}/{kind}", first, second, kind, 0, one, two))
    return described(pd.DataFrame(rows, columns=COLUMNS))


def described(pairs: pd.DataFrame, normal: Normal = normal_tokens) -> pd.DataFrame:
    """Pairs with the ``overlap`` of their tokens, and the ``clone_type`` of those that are clones.

    ``normal`` gives the normalised tokens of a text in the language of the pairs.
    """
    texts = list(zip(pairs.left, pairs.right, strict=True))
    return pairs.assign(
        overlap=[overlap(*pair, normal) for pair in texts],
        clone_type=[clone_type(*pair, normal) if label else "" for pair, label in zip(texts, pairs.label, strict=True)],
    )


def made_for(pair_ids: pd.Series) -> pd.Series:
    """Problem that each real pair was made for, which need not be that of its left program.

    Examples
    --------
    >>> made_for(pd.Series(["HumanEval/0/near-miss"])).item()
    'HumanEval/0'
    """
    return pair_ids.str.rpartition("/")[0]


def neutral(pairs: pd.DataFrame, entry_points: Mapping[str, str]) -> pd.DataFrame:
    """Pairs without the names of their functions, which would tell the problem.

    Parameters
    ----------
    pairs : DataFrame
        A pair frame.
    entry_points : mapping
        Name of the function of each problem.
    """
    sides = {
        side: [
            neutral_names(code, entry_points[task_id]) for code, task_id in zip(pairs[side], pairs[name], strict=True)
        ]
        for side, name in (("left", "task_id"), ("right", "other_id"))
    }
    return pairs.assign(**sides)


def _nearest(
    functions: Sequence[Function], groups: Mapping[str, int], embeddings: np.ndarray
) -> dict[str, tuple[str, str]]:
    """Nearest other problem of the same group for each problem: by cosine of the embeddings, and by token overlap."""
    if len(embeddings) != len(functions):
        raise StudyError(f"{len(embeddings)} embeddings for {len(functions)} functions: give one a function")
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = {}
    for row, function in enumerate(functions):
        others = [
            place
            for place, other in enumerate(functions)
            if place != row and groups[other.task_id] == groups[function.task_id]
        ]
        shared = [overlap(function.code, functions[place].code) for place in others]
        by_embedding = others[int(np.argmax(units[others] @ units[row]))]
        found[function.task_id] = (functions[by_embedding].task_id, functions[others[int(np.argmax(shared))]].task_id)
    return found
