"""HumanEval-X in Java beside HumanEval-Java: the same problems solved by different people (clones nobody made for us).

HumanEval-X (Zheng et al. 2023, arXiv 2303.17568; THUDM/CodeGeeX, commit 2838420) and HumanEval-Java (Jiang et al. 2023,
arXiv 2302.05020) were translated from HumanEval by different authors. Both solutions of a problem are clones; the
faulty versions that both data sets have of theirs (HumanEvalPack's of HumanEval-X) are its near misses. Methods are
matched by name, and then lose it. That both are correct, their authors say; of those in ``humaneval-x-java-tested``,
HumanEvalPack's tests say so too (``data/gold/humaneval_x_tested.json``; :func:`jobs_of_clones` runs them).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from llmexp_utils import humaneval_java, humanevalpack, java
from llmexp_utils.benchmarks import Function, load_groups
from llmexp_utils.clone_benchmarks import PROGRAMS, CloneBenchmark, Sizes
from llmexp_utils.errors import StudyError
from llmexp_utils.paths import gold_dir
from llmexp_utils.pinned import PinnedFile
from llmexp_utils.program_pairs import program_pairs
from llmexp_utils.sandbox import Job

NAME, TESTED, N_PROBLEMS = "humaneval-x-java", "humaneval-x-java-tested", 164
PUBLISHED = PinnedFile(
    "HumanEval-X in Java",
    folder="humaneval_x",
    name="humaneval_java.jsonl.gz",
    sha256="276f36db2eb7aeb864f36a19a2f4e1bb2460fb6e22ff100f0b5bedabe3799967",
    repository="THUDM/CodeGeeX",
    commit="2838420b7b4492cf3d16bce5320e26e65960c9e2",
    path="codegeex/benchmark/humaneval-x/java/data/humaneval_java.jsonl.gz",
)
ADVICE = f"{PUBLISHED.advice}, and the files of humaneval-java and humanevalpack-java as well"


def find_humaneval_x() -> Path | None:
    """File in ``LLMEXP_DATA_DIR``, if the two other sources are there as well."""
    path = PUBLISHED.find()
    there = path and humaneval_java.find_humaneval_java() and humanevalpack.find_local("java")
    return path if there else None


def read_solutions(path: Path) -> dict[str, str]:
    """Canonical solution of each ``task_id`` of HumanEval, as a Java class.

    Raises
    ------
    StudyError
        If the file is not the published one.
    """
    rows = [json.loads(text) for text in gzip.decompress(PUBLISHED.verified(path)).decode().splitlines()]
    if len(rows) != N_PROBLEMS:
        raise StudyError(f"{path} has {len(rows)} problems, HumanEval-X has {N_PROBLEMS}")
    return {f"HumanEval/{row['task_id'].split('/')[1]}": row["declaration"] + row["canonical_solution"] for row in rows}


def problems_tested() -> list[str]:
    """Problems whose solution in HumanEval-Java passes HumanEvalPack's tests."""
    return json.loads((gold_dir() / "humaneval_x_tested.json").read_text())


def load_humaneval_x(path: Path, sizes: Sizes, *, tested: bool = False) -> CloneBenchmark:
    """Pairs of the problems that both data sets have; the frozen split of HumanEval holds for them.

    With ``tested``, of those problems alone whose clones are validated by tests.

    Raises
    ------
    StudyError
        If a file is not the published one.
    """
    programs, facts = _programs(path)
    if tested:
        programs = programs[programs.task_id.isin(problems_tested())]
        facts |= {"tested": programs.task_id.nunique()}
    short = programs[programs.code.str.count("\n") <= sizes.max_lines]
    correct = short[short.is_correct].groupby("task_id").size()
    tasks = pd.Series(sorted(correct[correct > 1].index, key=lambda name: int(name.split("/")[1])))
    groups = load_groups(gold_dir() / "folds.json")
    turn = tasks.groupby(tasks.map(groups)).cumcount()  # the groups in turn, so that each has problems to pair
    drawn = tasks[turn.sort_values(kind="stable").index[: sizes.n_tasks]]
    used = short[short.task_id.isin(drawn)].reset_index(drop=True)
    parts = used.task_id.map(groups)
    pairs = [
        program_pairs(used[parts == group], "", sizes.seed, 1, java.normal_tokens, two_authors=True)
        for group in sorted(parts.unique())
    ]
    ranked = used[used.is_correct].assign(program_id=lambda frame: frame.task_id + "/" + frame.submission)
    facts |= {"both short": len(tasks), "used": len(drawn)}
    found = pd.concat(pairs, ignore_index=True)
    programs = ranked[PROGRAMS].reset_index(drop=True)
    return CloneBenchmark(TESTED if tested else NAME, "java", found, programs, groups, names="neutral", facts=facts)


def _programs(path: Path) -> tuple[pd.DataFrame, dict[str, int]]:
    """Correct and faulty methods of both authors, without their names, and how many problems were matched."""
    solutions = _solutions(path)
    faulty = humanevalpack.load_java(humanevalpack.find_local("java")).faults.set_index("task_id").code
    other = humaneval_java.load_humaneval_java(humaneval_java.find_humaneval_java())
    wrong = other.faults.set_index("task_id").code
    rows, matched = [], _matched(other.functions, solutions)
    for function, name, task_id, its_name in matched:
        both = [("x", its_name, True, solutions[task_id]), ("x", its_name, False, faulty[task_id])]
        both.append(("java", name, True, function.code))
        both += [("java", name, False, wrong[function.task_id])] if function.task_id in wrong.index else []
        rows += [(task_id, by, correct, java.neutral_names(code, own)) for by, own, correct, code in both]
    frame = pd.DataFrame(rows, columns=["task_id", "submission", "is_correct", "code"])
    facts = {"HumanEval-X": len(solutions), "HumanEval-Java": len(other.functions), "matched by name": len(matched)}
    return frame.drop_duplicates(["task_id", "code"]).reset_index(drop=True), facts


def jobs_of_clones(path: Path) -> list[Job]:
    """HumanEval-Java's solutions as programs for HumanEvalPack's tests, under the names that these call.

    One that passes is a clone by the tests of a third hand. One that does not compile, or fails, need not be wrong:
    many take or return other types (an array for a list), and some call helpers that are not with them.
    """
    functions = {one.task_id: one for one in humanevalpack.load_java(humanevalpack.find_local("java")).functions}
    other = humaneval_java.load_humaneval_java(humaneval_java.find_humaneval_java())
    jobs = []
    for clone, name, task_id, its_name in _matched(other.functions, _solutions(path)):
        function = functions[task_id]
        program = function.program(java.renamed(clone.code, {name: its_name}))
        jobs.append(Job(task_id, program, function.test, function.entry_point, "java"))
    return jobs


def _solutions(path: Path) -> dict[str, str]:
    return {task_id: java.normalise(text).code for task_id, text in read_solutions(path).items()}


def _matched(functions: Sequence[Function], solutions: Mapping[str, str]) -> list[tuple[Function, str, str, str]]:
    """Each of HumanEval-Java's functions that has a counterpart: it, its method, the problem, the method there."""
    owners, found = _owners(solutions), []
    for function in functions:
        names = [name for name in java.names_in_order(function.code) if _plain(name) in owners]
        found += [(function, names[0], *owners[_plain(names[0])])] if names else []
    return found


def _owners(solutions: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Problem and method of each name that one problem alone uses; seven names are those of two problems."""
    found: dict[str, tuple[str, str]] = {}
    twice = set()
    for task_id, code in solutions.items():
        for name in java.names_in_order(code):
            twice |= {_plain(name)} if found.get(_plain(name), (task_id, ""))[0] != task_id else set()
            found.setdefault(_plain(name), (task_id, name))
    return {name: owner for name, owner in found.items() if name not in twice}


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
