"""Benchmarks of clones behind one record: what each loader gives, however it is split and whoever wrote it.

The embedded problems, ConDefects, HumanEval-X beside HumanEval-Java and one's own pairs are dealt into five folds by
problem, task or group. BigCloneBench and POJ-104 have a published split: one fold, of which seeds are the repeats.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from llmexp_utils.benchmarks import N_GROUPS, rows_of_split
from llmexp_utils.clone_types import TYPES
from llmexp_utils.code import CodeError
from llmexp_utils.errors import StudyError
from llmexp_utils.languages import language

PUBLISHED_SPLIT = {"test": 0, "dev": 1, "train": 2}
"""Groups by which fold 0 of :func:`llmexp_utils.benchmarks.split_of` is a published split."""
PROGRAMS = ["program_id", "task_id", "code"]


@dataclass(frozen=True)
class Sizes:
    """How much of a benchmark is used.

    Attributes
    ----------
    max_lines : int
        Longest function, in lines of the normal form.
    n_tasks : int
        Most problems (tasks, groups) that are drawn, in each part of a published split.
    pairs_a_task : int
        Most clones of a task, where tasks have several correct programs; as many pairs are none.
    ranked_a_task : int
        Most test programs of a POJ-104 problem that are ranked; other benchmarks rank all correct programs.
    n_pairs : int
        Most pairs that are drawn of each part of BigCloneBench.
    share : float
        Share of BigCloneBench's training and development pairs, drawn before anything else.
    seed : int
        Of every draw.
    """

    max_lines: int
    n_tasks: int
    pairs_a_task: int
    ranked_a_task: int
    n_pairs: int
    share: float
    seed: int


@dataclass(frozen=True)
class CloneBenchmark:
    """Pairs with labels, and correct programs that are ranked.

    Attributes
    ----------
    name, language : str
        As in parameters; see :mod:`llmexp_utils.languages`.
    pairs : DataFrame
        Pair frame (:mod:`llmexp_utils.pairs`).
    programs : DataFrame
        ``program_id, task_id, code`` of correct programs, for retrieval; empty where nobody says which of them are
        clones.
    groups : mapping
        Group of every ``task_id``.
    folds : tuple of int
        Folds that can be asked for.
    names : {"own", "neutral"}
        Whether functions keep their names.
    split_by : {"task", "pair"}
        What a published split, or ours, keeps on one side. Of pairs (BigCloneBench) the programs are on several.
    facts : mapping
        Counts of the dataset card, in the order of the loader.
    """

    name: str
    language: str
    pairs: pd.DataFrame
    programs: pd.DataFrame
    groups: Mapping[str, int]
    folds: tuple[int, ...] = tuple(range(N_GROUPS))
    names: str = "own"
    split_by: str = "task"
    facts: Mapping[str, int] = field(default_factory=dict)

    def folds_of(self, asked: Sequence[int]) -> list[int]:
        """Those of the asked folds that there are; the one fold of a published split stands for any."""
        return [fold for fold in asked if fold in self.folds] or list(self.folds[:1])


class Kept(NamedTuple):
    """A text in normal form, or the reason why it is left out."""

    code: str
    reason: str


def normal_form(source: str, name: str, max_lines: int) -> Kept:
    """Text in normal form, if it can be read and is not too long."""
    try:
        code = language(name).normalise(source).code
    except CodeError:
        return Kept("", "unreadable")
    return Kept("", f"longer than {max_lines} lines") if len(code.splitlines()) > max_lines else Kept(code, "")


def in_later_part(keys: Sequence[Hashable], parts: Sequence[str]) -> np.ndarray:
    """Which items of a published split come again in a later part; the test part, which comes last, stays whole.

    Examples
    --------
    >>> in_later_part(["a", "b", "b", "a"], ["train", "train", "dev", "test"]).tolist()
    [True, True, False, False]
    """
    pairs = list(zip(keys, parts, strict=True))
    dev, test = ({key for key, part in pairs if part == one} for one in ("dev", "test"))
    later = {"train": dev | test, "dev": test, "test": set()}
    return np.array([key in later[part] for key, part in pairs], dtype=bool)


def refuse_shared_programs(benchmark: CloneBenchmark) -> None:
    """Raise a StudyError if two groups hold the same text, in its tokens, unless it is pairs that the split keeps."""
    if benchmark.split_by == "pair":
        return
    owner: dict[tuple[str, ...], tuple[int, str]] = {}
    tokens = language(benchmark.language).tokens
    sides = [("left", "task_id"), ("right", "other_id")]
    texts = pd.concat([benchmark.pairs[[*side]].set_axis(["code", "task_id"], axis=1) for side in sides])
    for row in texts.drop_duplicates().itertuples():
        mine = benchmark.groups[row.task_id], row.task_id
        first = owner.setdefault(tuple(tokens(row.code)), mine)
        if first[0] != mine[0]:
            raise StudyError(f"{mine[1]} and {first[1]} share a text, but are in two groups of the split")


def pair_statistics(benchmark: CloneBenchmark) -> dict[str, object]:
    """Facts of the pairs that are used: a row of the card.

    Its last number is the share of the programs of a fold's test pairs whose text, in its tokens, is in training pairs.
    """
    pairs, rows = benchmark.pairs, {}
    clones = pairs[pairs.label == 1]
    lines = pd.concat([pairs.left, pairs.right]).drop_duplicates().str.count("\n")
    per_fold = [len(rows_of_split(pairs, benchmark.groups, fold, "test")) for fold in benchmark.folds]
    for kind in TYPES:
        rows[kind] = float((clones.clone_type == kind).mean())
    return {
        "benchmark": benchmark.name,
        "language": language(benchmark.language).title,
        "pairs": len(pairs),
        "tasks": len({*pairs.task_id, *pairs.other_id}),
        "clones": float(pairs.label.mean()),
        "median lines": float(lines.median()),
        **rows,
        "ranked programs": len(benchmark.programs),
        "test pairs by fold": "/".join(map(str, per_fold)),
        "test programs known from training": float(np.mean([_known(benchmark, fold) for fold in benchmark.folds])),
    }


def _known(benchmark: CloneBenchmark, fold: int) -> float:
    """Share of the programs of the test pairs that training pairs hold, too."""
    tokens = language(benchmark.language).tokens
    parts = (rows_of_split(benchmark.pairs, benchmark.groups, fold, split) for split in ("train", "test"))
    train, test = ({tuple(tokens(code)) for code in {*rows.left, *rows.right}} for rows in parts)
    return len(test & train) / len(test)
