"""Defects4J: 483 real faults of Java projects that lie in one method (Just et al. 2014; single-function subset).

The file is that of Yin et al. 2024 (ThinkRepair, repository vinci-grape/ThinkRepair, commit 98689fc), which states no
licence: it is read where it lies, never shipped. Labels are absolute line numbers in the faulty file. In 53 methods
every labelled line is blank, a lone brace or a comment: code is missing there, and a rule says what stands for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from llmexp_utils import java
from llmexp_utils.benchmarks import Function
from llmexp_utils.errors import StudyError
from llmexp_utils.fault_benchmarks import FaultBenchmark, fault_rows
from llmexp_utils.pinned import PinnedFile

PUBLISHED = PinnedFile(
    "Defects4J's single functions",
    folder="defects4j",
    name="single_function_repair.json",
    sha256="1f5bd440d2fa7f8f1ec36f6f3a248012957303fce8f0f393496df0a1813c3015",
    repository="vinci-grape/ThinkRepair",
    commit="98689fcfa3dcd46c48435ccc9be4aa8b6c1c19ac",
    path="Datasets/D4J/single_function_repair.json",
)
N_FAULTS, N_WITHOUT_CODE = 483, 53
BRACES = {"{", "}", "};", "});"}
Rule = Literal["next", "drop"]


def find_defects4j() -> Path | None:
    """File in ``LLMEXP_DATA_DIR``; None without it."""
    return PUBLISHED.find()


def load_defects4j(path: Path, rule: Rule = "next") -> FaultBenchmark:
    """Read the faults, labels mapped to lines of the normal form.

    Parameters
    ----------
    path : Path
        The published file.
    rule : {"next", "drop"}
        What becomes of a fault whose labelled lines hold no code: the next line with code carries the label (the last
        one before where none follows), as everywhere in the study where code is missing; or the fault is dropped.

    Raises
    ------
    StudyError
        If the file is not the published one.
    """
    bugs = PUBLISHED.read(path)
    rows, functions, without = [], [], 0
    for name, bug in bugs.items():
        task_id, fix = f"Defects4J/{name}", java.normalise(bug["fix"]).code
        labels = code_labels(bug["buggy"], [line - bug["start"] + 1 for line in bug["location"]])
        without += not labels
        functions.append(Function(task_id, min(java.method_names(fix)), "", fix, "", "", "java"))
        if labels or rule == "next":
            lines = labels or [next_label(bug["buggy"], bug["location"][0] - bug["start"] + 1)]
            code = java.normalise(bug["buggy"]).code
            rows.append(
                {"fault_id": f"{task_id}/real", "task_id": task_id, "code": code, "lines": lines, "correct": fix}
            )
    if (len(bugs), without) != (N_FAULTS, N_WITHOUT_CODE):
        raise StudyError(f"{path}: {len(bugs)} faults, {without} without code, not {N_FAULTS} and {N_WITHOUT_CODE}")
    facts = {"published": len(bugs), "labels without code": without, "dropped by the rule": len(bugs) - len(rows)}
    faults = fault_rows([row for row in rows if row["code"] != row["correct"]])
    facts["the same in normal form"] = len(rows) - len(faults)
    unit = {function.task_id: function.task_id.split("/")[1].split("-")[0] for function in functions}
    return FaultBenchmark("defects4j", "java", functions, faults, unit, facts)


def code_labels(source: str, labels: list[int]) -> list[int]:
    """Lines of the normal form that labelled lines (1-based, in ``source``) became; lines without code fall away.

    Examples
    --------
    >>> code_labels("int f() {\\n  // why\\n  return 1;\\n}", [2, 3, 4])
    [2]
    """
    place = {number: new for new, (number, text) in enumerate(java.code_lines(source), 1) if text.strip() not in BRACES}
    return sorted(place[label] for label in labels if label in place)


def next_label(source: str, label: int) -> int:
    """Line of the normal form that stands for missing code at a line of ``source``."""
    place = {number: new for new, (number, text) in enumerate(java.code_lines(source), 1) if text.strip() not in BRACES}
    return place[min((n for n in place if n > label), default=max(place))]
