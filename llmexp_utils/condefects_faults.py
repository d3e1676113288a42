"""ConDefects for fault localization: programs that people submitted to AtCoder and their own corrections.

Where the data come from and how they are pinned: :mod:`llmexp_utils.condefects`. There are no tests. The published
label is one line of the text as submitted; normal form moves lines, so a fault is labelled by the difference of both
versions in normal form, and the facts say how often that holds the published line.
"""

from __future__ import annotations

import hashlib
import json
import platform
import zlib
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from llmexp_utils.benchmarks import Function
from llmexp_utils.code import CodeError, changed_lines, lines_touched, normalise
from llmexp_utils.condefects import ADVICE, CORRECT, FAULTY, TASK, verify
from llmexp_utils.errors import StudyError
from llmexp_utils.fault_benchmarks import FaultBenchmark, fault_rows
from llmexp_utils.freshness import modules_hash
from llmexp_utils.paths import atomic_write, cache_dir

N_PROGRAMS, N_LABELLED = 1115, 998
"""Faulty programs of these tasks, and those of them whose difference holds the published line."""
LABEL = "faultLocation.txt"
MAX_CHANGED = 3
BEGINNING = 15  # characters of a line by which it is known again after formatting


def load_condefects(folder: Path) -> FaultBenchmark:
    """Faults of at most three lines, one function a task to inject into (drawn by its name alone).

    Raises
    ------
    StudyError
        If the programs are not the published ones.
    """
    programs = _programs(folder)
    if len(programs) != N_PROGRAMS:
        raise StudyError(f"{folder} has {len(programs)} faulty programs, ConDefects has {N_PROGRAMS} of these tasks")
    kept = programs[programs.dropped == ""]
    rows = kept[["fault_id", "task_id", "code", "lines", "correct"]].to_dict("records")
    order = kept.fault_id.map(lambda name: zlib.crc32(name.encode()))
    drawn = kept.assign(order=order).sort_values("order").drop_duplicates("task_id").sort_values("task_id")
    functions = [Function(row.task_id, "", "", row.correct, "", "") for row in drawn.itertuples()]
    unit = {task_id: task_id for task_id in kept.task_id}
    reasons = programs.dropped[programs.dropped != ""].value_counts()
    facts = {"published": len(programs)} | {reason: int(count) for reason, count in reasons.items()}
    agree = facts["label is the published line"] = int(kept.agrees.sum())
    if agree != N_LABELLED:
        raise StudyError(f"{folder}: {agree} labels agree with {LABEL}, of ConDefects {N_LABELLED} do: {ADVICE}")
    return FaultBenchmark("condefects", "python", functions, fault_rows(rows), unit, facts)


def _programs(folder: Path) -> pd.DataFrame:
    """One row a submission, and why it is dropped; kept in the cache folder: formatting takes a minute."""
    key = " ".join([verify(folder), modules_hash(("code", "condefects", "condefects_faults")), version("black")])
    name = hashlib.sha256(f"{key} {platform.python_version()}".encode()).hexdigest()[:16]
    path = cache_dir() / f"condefects-faults-{name}.json"
    if not path.is_file():
        files = [file for file in folder.glob(f"*/Python/*/{FAULTY}") if TASK.fullmatch(file.parts[-4])]
        rows = [_program(file) for file in sorted(files, key=lambda file: file.relative_to(folder).as_posix())]
        atomic_write(path, json.dumps(rows))
    return pd.DataFrame(json.loads(path.read_text()))


def _program(file: Path) -> dict[str, object]:
    task_id = f"ConDefects/{file.parts[-4]}"
    row = {"fault_id": f"{task_id}/{file.parts[-2]}", "task_id": task_id, "code": "", "correct": "", "lines": []}
    texts = [file.with_name(name).read_text(encoding="utf-8", errors="replace") for name in (CORRECT, FAULTY)]
    try:
        correct, faulty = (normalise(text).code for text in texts)
    except CodeError:
        return row | {"dropped": "unreadable", "agrees": False}
    lines = changed_lines(correct, faulty)
    small = bool(lines) and lines_touched(correct, faulty) <= MAX_CHANGED
    dropped = "" if small else f"changes more than {MAX_CHANGED} lines" if lines else "the same in normal form"
    agrees = _is_published(texts[1], file.with_name(LABEL), [faulty.splitlines()[line - 1] for line in lines])
    return row | {"code": faulty, "correct": correct, "lines": lines, "dropped": dropped, "agrees": agrees}


def _is_published(text: str, label: Path, found: list[str]) -> bool:
    """Whether one of the labelled lines begins as the published one does, quotes and layout apart."""
    try:
        number = int(label.read_text())
    except (OSError, ValueError):
        raise StudyError(f"{label}: not the number of a line of the program beside it") from None
    line = _bare("".join(text.splitlines()[number - 1 : number]).split("#")[0])  # empty after the last line
    return bool(line) and any(line[:BEGINNING] in _bare(one) for one in found)


def _bare(line: str) -> str:
    return "".join(line.split()).replace("'", '"').rstrip(";,")
