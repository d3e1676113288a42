"""Gold clones: for each problem another correct implementation, written for this project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from llmexp_utils.benchmarks import Function, read_records
from llmexp_utils.clone_prompts import CONSTRUCTS, CloneExample
from llmexp_utils.code import normalise
from llmexp_utils.errors import StudyError
from llmexp_utils.examples import Ranking


@dataclass(frozen=True)
class GoldClone:
    """A correct implementation that differs from the canonical one; ``code`` has the imports that it needs."""

    task_id: str
    construct: str
    note: str
    code: str


def read_clones(path: Path) -> list[GoldClone]:
    """Read gold clones; a malformed line stops with its number and what is wrong."""
    return read_records(path, GoldClone, "gold clone", "construct", CONSTRUCTS)


def clone_frame(clones: Sequence[GoldClone]) -> pd.DataFrame:
    """One row a gold clone: ``task_id, construct, code``."""
    return pd.DataFrame([(c.task_id, c.construct, c.code) for c in clones], columns=["task_id", "construct", "code"])


def gold_programs(functions: Sequence[Function], clones: Sequence[GoldClone]) -> pd.DataFrame:
    """Gold clones in normal form: ``program_id, task_id, source, construct, preamble, code, correct``."""
    code = {clone.task_id: (clone.construct, normalise(clone.code)) for clone in clones}
    rows = []
    for function in functions:
        construct, program = code[function.task_id]
        name = f"{function.task_id}/gold"
        rows.append((name, function.task_id, "gold", construct, program.preamble, program.code, function.code))
    return pd.DataFrame(rows, columns=["program_id", "task_id", "source", "construct", "preamble", "code", "correct"])


def clone_examples(
    functions: Sequence[Function],
    clones: Sequence[GoldClone],
    groups: Mapping[str, int],
    rankings: Mapping[str, Ranking],
) -> dict[str, list[CloneExample]]:
    """Examples of every problem's prompt: the best of its own group that are not the problem itself.

    Returns
    -------
    dict
        Two examples for each ``task_id``. See :mod:`llmexp_utils.examples` for why this leaks nothing.

    Raises
    ------
    StudyError
        If a ranking names a problem that has no clone.
    """
    by_id = {function.task_id: function for function in functions}
    example = {}
    for clone in clones:
        correct = by_id[clone.task_id]
        example[clone.task_id] = CloneExample(clone.task_id, correct.prompt, correct.code, clone.construct, clone.code)
    lost = {name for ranking in rankings.values() for ids in ranking for name in ids} - set(example)
    if lost:
        raise StudyError(f"the prompt examples name {min(lost)}, which has no gold clone")
    return {
        task_id: [example[next(name for name in ids if name != task_id)] for ids in rankings[str(groups[task_id])]]
        for task_id in by_id
    }
