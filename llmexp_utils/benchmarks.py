"""Benchmarks as plain records: functions with tests, gold faults, and the frozen split by problem.

A fault frame (pandas) has one row a fault: ``fault_id, task_id, source, code, lines, correct, fault_type``;
``code`` and ``correct`` are in the normal form of :mod:`llmexp_utils.code`, ``lines`` are 1-based numbers in
``code``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from llmexp_utils import code as source_code
from llmexp_utils.errors import StudyError

FAULT_TYPES = (
    "value misuse",
    "missing logic",
    "excess logic",
    "operator misuse",
    "variable misuse",
    "function misuse",
)
N_GROUPS = 5

Record = TypeVar("Record")


@dataclass(frozen=True)
class Function:
    """A correct function, its specification and its tests.

    ``preamble`` (imports) and ``code`` (function text) are in normal form; ``prompt`` is the published specification
    (signature and docstring); ``test`` defines ``check(candidate)``, in Java a class ``Main``, and is empty where a
    benchmark has no tests.
    """

    task_id: str
    entry_point: str
    preamble: str
    code: str
    prompt: str
    test: str
    language: str = "python"

    @property
    def lines(self) -> list[str]:
        """Lines of ``code``; line ``n`` of the study is ``lines[n - 1]``."""
        return self.code.splitlines()

    def program(self, code: str) -> str:
        """Executable text of a variant of this function; in Java the methods stand in a class ``Solution``."""
        if self.language == "java":
            return f"{self.preamble}class Solution {{\n{code}}}\n"
        return f"{self.preamble}\n{code}" if self.preamble else code


@dataclass(frozen=True)
class GoldFault:
    """One hand-injected fault, as a line edit against the canonical solution in normal form."""

    task_id: str
    line: int
    original: str
    faulty: str
    fault_type: str
    note: str


def load_humaneval(path: Path | None = None) -> list[Function]:
    """Read the 164 HumanEval problems (Chen et al. 2021, arXiv 2107.03374), solutions in normal form.

    Parameters
    ----------
    path : Path, optional
        ``HumanEval.jsonl.gz``; fetched and verified when not given.
    """
    if path is None:
        from llmexp_utils.assets import fetch

        path = fetch("humaneval")
    rows = [json.loads(line) for line in gzip.decompress(Path(path).read_bytes()).decode().splitlines()]
    return [_function(row) for row in rows]


def _function(row: dict[str, str]) -> Function:
    program = source_code.normalise(row["prompt"] + row["canonical_solution"])
    return Function(row["task_id"], row["entry_point"], program.preamble, program.code, row["prompt"], row["test"])


def read_gold(path: Path) -> list[GoldFault]:
    """Read line edits; a malformed line stops with its number and what is wrong."""
    return read_records(path, GoldFault, "gold fault", "fault_type", FAULT_TYPES)


def read_records(path: Path, kind: type[Record], what: str, field: str, known: Iterable[str]) -> list[Record]:
    """Read a JSONL file of one kind of record whose ``field`` has one of the ``known`` values.

    Raises
    ------
    StudyError
        With the number of the first line that is no such record.
    """
    records = []
    for number, text in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        try:
            record = kind(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise StudyError(f"{path}, line {number}: not a {what} ({error})") from error
        value = getattr(record, field)
        if value not in known:
            raise StudyError(f"{path}, line {number}: unknown {field} {value!r}")
        records.append(record)
    return records


def apply_edit(fault: GoldFault, function: Function) -> str:
    """Faulty text of ``function``; refuses an edit whose ``original`` is not what stands there."""
    lines, original = function.lines, fault.original.split("\n")
    start, end = fault.line - 1, fault.line - 1 + len(original)
    if lines[start:end] != original:
        raise StudyError(f"gold fault of {fault.task_id}, line {fault.line}: `original` is not the text of that line")
    replacement = fault.faulty.split("\n") if fault.faulty else []
    return "\n".join([*lines[:start], *replacement, *lines[end:]]) + "\n"


def gold_frame(faults: Iterable[GoldFault], functions: Sequence[Function]) -> pd.DataFrame:
    """Fault frame of the gold faults; ids are ``<task_id>#<running number within the problem>``."""
    by_id = {function.task_id: function for function in functions}
    seen: dict[str, int] = {}
    rows = []
    for fault in faults:
        if fault.task_id not in by_id:
            raise StudyError(f"gold fault of {fault.task_id}: no such problem in the benchmark")
        function = by_id[fault.task_id]
        seen[fault.task_id] = seen.get(fault.task_id, 0) + 1
        code = apply_edit(fault, function)
        rows.append(
            {
                "fault_id": f"{fault.task_id}#{seen[fault.task_id]}",
                "task_id": fault.task_id,
                "source": "gold",
                "code": code,
                "lines": source_code.changed_lines(function.code, code),
                "correct": function.code,
                "fault_type": fault.fault_type,
            }
        )
    return pd.DataFrame(rows)


def make_groups(task_ids: Sequence[str], seed: int = 0) -> dict[str, int]:
    """Deal the problems into five groups of almost equal size; the frozen file was made with the default seed."""
    order = np.random.default_rng(seed).permutation(len(task_ids))
    groups = {task_ids[position]: int(rank % N_GROUPS) for rank, position in enumerate(order)}
    return {task_id: groups[task_id] for task_id in task_ids}


def load_groups(path: Path) -> dict[str, int]:
    """Read the frozen split ``{task_id: group}``."""
    return {str(task): int(group) for task, group in json.loads(Path(path).read_text()).items()}


def rows_of_split(frame: pd.DataFrame, groups: Mapping[str, int], fold: int, split: str) -> pd.DataFrame:
    """Rows of a frame with ``task_id`` whose problems are in one split of a fold, with a new index."""
    splits = frame.task_id.map(lambda task_id: split_of(groups[task_id], fold))
    return frame[splits == split].reset_index(drop=True)


def split_of(group: int, fold: int) -> str:
    """Split of a group in a fold: fold ``f`` tests on group ``f``, develops on the next, trains on the others.

    Examples
    --------
    >>> [split_of(group, fold=4) for group in range(5)]
    ['dev', 'train', 'train', 'train', 'test']
    """
    if group == fold:
        return "test"
    return "dev" if group == (fold + 1) % N_GROUPS else "train"
