"""Benchmarks of real faults behind one record: what each loader gives, how it is split, what is refused.

The unit of the split is what shares code: a project (Defects4J), a problem (HumanEvalPack, HumanEval-Java), a task
(ConDefects). Units that share a text are put together, so no text is on two sides of a split.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from llmexp_utils.benchmarks import N_GROUPS, Function, rows_of_split
from llmexp_utils.code import CodeError
from llmexp_utils.errors import StudyError
from llmexp_utils.frames import FAULTS, check_frame
from llmexp_utils.grouping import deal, together
from llmexp_utils.languages import language


@dataclass(frozen=True)
class FaultBenchmark:
    """Real faults, and correct functions that more can be injected into.

    Attributes
    ----------
    name, language : str
        As in parameters; see :mod:`llmexp_utils.languages`.
    functions : list of Function
        One a ``task_id``; without tests where ``tested`` is False.
    faults : DataFrame
        Fault frame of the real faults (source "gold").
    unit : dict of str to str
        What is never split, by ``task_id``: the project, the problem, the task.
    facts : dict of str to int
        Counts of the dataset card, in the order of the loader: published faults, what was dropped and why.
    """

    name: str
    language: str
    functions: list[Function]
    faults: pd.DataFrame
    unit: Mapping[str, str]
    facts: Mapping[str, int]

    @property
    def tested(self) -> bool:
        """Whether a test suite can tell a fault from a harmless change."""
        return bool(self.functions) and all(function.test for function in self.functions)


Loader = Callable[[Path], FaultBenchmark]


def shorter(benchmark: FaultBenchmark, max_lines: int, n_functions: int | None = None, seed: int = 0) -> FaultBenchmark:
    """Functions and faults of at most ``max_lines`` lines, and of those at most ``n_functions`` tasks drawn by seed.

    What is left out is counted in the facts.
    """
    faults = benchmark.faults[benchmark.faults.code.str.count("\n") <= max_lines]
    functions = [function for function in benchmark.functions if len(function.lines) <= max_lines]
    facts = dict(benchmark.facts) | {f"longer than {max_lines} lines": len(benchmark.faults) - len(faults)}
    tasks = sorted({function.task_id for function in functions} & set(faults.task_id))
    if n_functions is not None and len(tasks) > n_functions:
        tasks.sort(key=lambda task_id: zlib.crc32(f"{seed} {task_id}".encode()))
        tasks = tasks[:n_functions]
    kept = set(tasks)
    drawn = faults[faults.task_id.isin(kept)].reset_index(drop=True)
    facts |= {"not drawn": len(faults) - len(drawn), "used": len(drawn)}
    return replace(benchmark, functions=[one for one in functions if one.task_id in kept], faults=drawn, facts=facts)


def split_groups(benchmark: FaultBenchmark) -> dict[str, int]:
    """Deal the units into five groups of about as many faults each; units that share a text go together.

    Returns
    -------
    dict of str to int
        Group of every ``task_id``: fold ``f`` tests on group ``f`` (:func:`llmexp_utils.benchmarks.split_of`).

    Raises
    ------
    StudyError
        If there are fewer than five units that can be told apart.
    """
    head = together(_texts(benchmark))
    group = deal(Counter(head[benchmark.unit[task_id]] for task_id in benchmark.faults.task_id), benchmark.name)
    found = {task: group.get(head[unit]) for task, unit in sorted(benchmark.unit.items()) if unit in head}
    return {task: number for task, number in found.items() if number is not None}


def refuse_shared_texts(faults: pd.DataFrame, groups: Mapping[str, int], name: str) -> None:
    """Raise a StudyError if two groups hold the same text, after normalisation."""
    found = language(name)
    owner: dict[tuple[str, ...], tuple[int, str]] = {}
    for row in faults.itertuples():
        for text in (row.correct, row.code):
            key, mine = tuple(found.tokens(text)), (groups[row.task_id], row.fault_id)
            first = owner.setdefault(key, mine)
            if first[0] != mine[0]:
                raise StudyError(f"{row.fault_id} and {first[1]} share a text, but are in two groups of the split")


def fault_rows(rows: Sequence[dict[str, object]]) -> pd.DataFrame:
    """Fault frame of real faults, checked: ids are unique, labels are lines of the text."""
    frame = pd.DataFrame(rows).assign(source="gold")
    frame["fault_type"] = frame["fault_type"].fillna("") if "fault_type" in frame else ""
    check_frame(frame, FAULTS)
    if frame.fault_id.duplicated().any():
        raise StudyError(f"fault {frame.fault_id[frame.fault_id.duplicated()].iloc[0]} is there twice")
    for row in frame.itertuples():
        if not row.lines or not 1 <= min(row.lines) <= max(row.lines) <= row.code.count("\n"):
            raise StudyError(f"fault {row.fault_id} has labels {row.lines} for {row.code.count(chr(10))} lines")
    return frame


def label_statistics(benchmark: FaultBenchmark, groups: Mapping[str, int]) -> dict[str, object]:
    """Facts of the faults that are used: a row of the card."""
    lines, labels = benchmark.faults.code.str.count("\n"), benchmark.faults.lines.map(len)
    per_fold = [len(rows_of_split(benchmark.faults, groups, fold, "test")) for fold in range(N_GROUPS)]
    return {
        "benchmark": benchmark.name,
        "language": language(benchmark.language).title,
        "faults": len(benchmark.faults),
        "functions": len(benchmark.functions),
        "units": len({benchmark.unit[task_id] for task_id in benchmark.faults.task_id}),
        "median lines": float(lines.median()),
        "longest": int(lines.max()),
        "one line faulty": float((labels == 1).mean()),
        "tests": "yes" if benchmark.tested else "no",
        "faults by fold": "/".join(map(str, per_fold)),
    }


def _texts(benchmark: FaultBenchmark) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Unit and tokens of every text of a benchmark."""
    found = language(benchmark.language)
    texts = [(row.task_id, text) for row in benchmark.faults.itertuples() for text in (row.correct, row.code)]
    for task_id, text in [*texts, *((function.task_id, function.code) for function in benchmark.functions)]:
        try:
            yield benchmark.unit[task_id], tuple(found.tokens(text))
        except (CodeError, SyntaxError):
            yield benchmark.unit[task_id], (text,)
