"""Two-shot examples of the prompts: the gold faults or clones that a generator is shown (arXiv 2408.08553).

Leak rule: a problem's examples come from its own group of the split. In every fold a group is in training, in dev or in
test as a whole, so whenever a generated fault is trained on, the examples of its prompt are training data too, and one
set of recordings serves all folds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from llmexp_utils.embeddings import medoids
from llmexp_utils.errors import StudyError
from llmexp_utils.prompts import Example

N_EXAMPLES = 2

Ranking = list[list[str]]  # one list of fault ids an example, best first


def single_line(gold: pd.DataFrame) -> pd.Series:
    """Whether a gold fault replaces one line by another with the same indentation: such a one serves both forms."""
    return gold.apply(lambda row: _replaced_line(row.correct, row.code) is not None, axis=1)


def rank_examples(
    gold: pd.DataFrame, groups: Mapping[str, int], embeddings: np.ndarray, how: str, seed: int = 0
) -> dict[str, Ranking]:
    """Candidates for each of the two examples of every group, best first.

    Parameters
    ----------
    gold : DataFrame
        Usable gold examples, in the order of ``embeddings``: ``task_id``, and ``fault_id`` of faults
        (clones, one a problem, go by their ``task_id``).
    embeddings : ndarray, shape (len(gold), d)
        Embeddings of the faulty functions, or of the clones (unit length).
    how : {"semantic", "random"}
        ``semantic``: k-means with two clusters inside the group, members by distance to their centroid (the paper's
        k-means selection for diversity); ``random``: a random order.
    """
    rankings: dict[str, Ranking] = {}
    for group in sorted(set(groups.values())):
        rows = np.flatnonzero(gold.task_id.map(groups) == group)
        rng = np.random.default_rng([seed, group])
        orders = (
            medoids(embeddings[rows], N_EXAMPLES, seed)
            if how == "semantic"
            else np.array_split(rng.permutation(len(rows)), N_EXAMPLES)
        )
        rankings[str(group)] = [_one_a_problem(gold.iloc[rows[order]]) for order in orders]
    return rankings


def load_examples(path: Path, how: str) -> dict[str, Ranking]:
    """Frozen rankings of one way of choosing; the recordings depend on them."""
    known = json.loads(Path(path).read_text())
    if how not in known:
        raise StudyError(f"unknown way of choosing examples {how!r}: choose one of {', '.join(known)}")
    return known[how]


def examples_for(
    task_id: str, groups: Mapping[str, int], rankings: Mapping[str, Ranking], gold: pd.DataFrame
) -> list[Example]:
    """Best examples of the problem's group that are not faults of the problem itself."""
    return best_examples(task_id, groups, rankings, gold.set_index("fault_id"))


def best_examples(
    task_id: str, groups: Mapping[str, int], rankings: Mapping[str, Ranking], by_id: pd.DataFrame
) -> list[Example]:
    """The same as :func:`examples_for`, out of faults indexed by ``fault_id``: one index serves many problems."""
    chosen = []
    own = rankings[str(groups[task_id])]
    for ranking in own:
        taken = {example.fault_id for example in chosen}
        following = [fault_id for one in (ranking, *own) for fault_id in one]  # a small cluster may be one problem
        usable = [fault_id for fault_id in following if by_id.task_id[fault_id] != task_id and fault_id not in taken]
        if not usable:
            raise StudyError(f"group {groups[task_id]} has too few short faults of one line to show beside {task_id}")
        fault_id = usable[0]
        row = by_id.loc[fault_id]
        original, faulty = _replaced_line(row.correct, row.code)
        chosen.append(Example(fault_id, row.correct, row.code, original, faulty))
    return chosen


def shown_first(rankings: Mapping[str, Ranking]) -> list[str]:
    """Ids of the gold faults that the prompts show: real training data that every LLM condition has seen."""
    return [ranking[0] for group in sorted(rankings) for ranking in rankings[group]]


def _replaced_line(correct: str, faulty: str) -> tuple[str, str] | None:
    old, new = correct.splitlines(), faulty.splitlines()
    if len(old) != len(new):
        return None
    changed = [(before, after) for before, after in zip(old, new, strict=True) if before != after]
    return changed[0] if len(changed) == 1 and _indent(changed[0][0]) == _indent(changed[0][1]) else None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _one_a_problem(faults: pd.DataFrame, keep: int = 3) -> list[str]:
    ids = "fault_id" if "fault_id" in faults else "task_id"
    return faults.drop_duplicates("task_id")[ids].head(keep).tolist()
