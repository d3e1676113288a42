"""Bring your own faults: a JSONL file with one fault a line, checked on load.

``{"group": "project or problem", "language": "python", "correct": "def f...", "faulty": "def f..."}``; optionally
``fault_id``, ``lines`` (1-based, in ``faulty`` as it stands in the file, which then has to be in normal form), and
``test``: in Python it defines ``check(candidate)`` and needs ``entry_point``, in Java it is a class ``Main``; every
row has one, or none has. A group is never split.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from llmexp_utils import java
from llmexp_utils.benchmarks import Function
from llmexp_utils.code import CodeError, changed_lines
from llmexp_utils.errors import StudyError
from llmexp_utils.fault_benchmarks import FaultBenchmark, fault_rows
from llmexp_utils.languages import language
from llmexp_utils.own_rows import read_rows, wrong

Text = Annotated[str, Field(min_length=1)]


class OwnFault(BaseModel):
    """A row of the file."""

    model_config = ConfigDict(extra="forbid")

    group: Text
    language: Literal["python", "java"]
    correct: Text
    faulty: Text
    fault_id: str = ""
    lines: list[Annotated[int, Field(ge=1)]] = []
    test: str = ""
    entry_point: str = ""


def load_own(path: Path) -> FaultBenchmark:
    """Read a file of faults in one language.

    Raises
    ------
    StudyError
        One line with the number of the row that is malformed, and why.
    """
    rows, functions, unit, languages, without = [], [], {}, set(), []
    for number, row in read_rows(path, OwnFault, "fault"):
        try:
            function, fault = _read(row, number)
            if function.task_id in unit:
                raise ValueError(f"fault_id {function.task_id!r} is there twice")
        except (CodeError, ValueError) as error:
            raise wrong(path, number, error) from None
        languages.add(row.language)
        without += [] if row.test else [number]
        unit[function.task_id] = row.group
        functions.append(function)
        rows.append(fault)
    if len(languages) > 1:
        raise StudyError(f"{path} mixes {' and '.join(sorted(languages))}: give one file a language")
    if 0 < len(without) < len(rows):
        raise wrong(path, without[0], ValueError("no test, where other rows have one: give every row a test, or none"))
    return FaultBenchmark(Path(path).stem, languages.pop(), functions, fault_rows(rows), unit, {"rows": len(rows)})


def _read(row: OwnFault, number: int) -> tuple[Function, dict[str, object]]:
    normalise = language(row.language).normalise
    correct, faulty = normalise(row.correct), normalise(row.faulty)
    entry_point = row.entry_point
    if row.test and row.language == "python":
        if not entry_point:
            raise ValueError("a test needs entry_point, the function that it checks")
        if entry_point not in {getattr(node, "name", "") for node in ast.parse(correct.code).body}:
            raise ValueError(f"entry_point {entry_point!r} is not defined in `correct`")
    elif row.test and not entry_point:
        entry_point = min(java.method_names(correct.code), default="")  # the test calls methods by their names
    if row.lines and faulty.code != row.faulty:
        raise ValueError("`lines` count lines of the normal form: leave them out, or give `faulty` in normal form")
    lines = sorted(set(row.lines)) or changed_lines(correct.code, faulty.code)
    if not lines or max(lines) > faulty.code.count("\n"):
        raise ValueError(f"labels {lines} are no lines of the faulty text" if lines else "both versions are the same")
    task_id = row.fault_id or f"{row.group}/{number}"
    function = Function(task_id, entry_point, correct.preamble, correct.code, "", row.test, row.language)
    fault = {"fault_id": f"{task_id}/real", "task_id": task_id, "code": faulty.code, "lines": lines}
    return function, fault | {"correct": correct.code}
