"""HumanEval-Java: 163 Java methods, each with a fault that people injected (Jiang et al. 2023, arXiv 2302.05020).

The file is that of ASSERT-KTH/human-eval-java, commit c01484f. Faults are labelled by the difference of both versions
in normal form. The problems are HumanEval's, in other words: never train here and test on HumanEvalPack.
"""

from __future__ import annotations

from pathlib import Path

from llmexp_utils import java
from llmexp_utils.benchmarks import Function
from llmexp_utils.code import changed_lines
from llmexp_utils.errors import StudyError
from llmexp_utils.fault_benchmarks import FaultBenchmark, fault_rows
from llmexp_utils.pinned import PinnedFile

PUBLISHED = PinnedFile(
    "HumanEval-Java",
    folder="humaneval_java",
    name="humaneval-java-sf.json",
    sha256="dd009268cb3fe724ea6c727ad33604f613b975bf4454c79746767fa9c08a82f8",
    repository="ASSERT-KTH/human-eval-java",
    commit="c01484f754b0b0fd4869b0f923f0d55d39ebd861",
    path="humaneval-java-sf.json",
)
N_FAULTS = 163


def find_humaneval_java() -> Path | None:
    """File in ``LLMEXP_DATA_DIR``; None without it."""
    return PUBLISHED.find()


def load_humaneval_java(path: Path) -> FaultBenchmark:
    """Read the faults.

    Raises
    ------
    StudyError
        If the file is not the published one.
    """
    bugs = PUBLISHED.read(path)
    if len(bugs) != N_FAULTS:
        raise StudyError(f"{path} has {len(bugs)} faults, HumanEval-Java has {N_FAULTS}")
    rows, functions = [], []
    for name, bug in bugs.items():
        task_id = f"HumanEvalJava/{name}"
        correct, faulty = java.normalise(bug["fix"]).code, java.normalise(bug["buggy"]).code
        functions.append(Function(task_id, min(java.method_names(correct)), "", correct, "", "", "java"))
        lines = changed_lines(correct, faulty)
        row = {"fault_id": f"{task_id}/real", "task_id": task_id, "code": faulty, "lines": lines, "correct": correct}
        rows += [row] if lines else []
    unit = {function.task_id: function.task_id for function in functions}
    facts = {"published": len(bugs), "the same in normal form": len(bugs) - len(rows)}
    return FaultBenchmark("humaneval-java", "java", functions, fault_rows(rows), unit, facts)
