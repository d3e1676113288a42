"""From a benchmark of real faults to a pool that conditions are made of: real, LLM-written and rule-made faults.

With tests, a generated fault must fail them. Without tests (Defects4J, ConDefects) it is checked as far as it can be:
it parses, differs from the correct function, is small and no copy; what share of such faults would have *passed* their
tests is measured where there are some.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from llmexp_utils import injection, mutation, mutation_java
from llmexp_utils.code import lines_touched
from llmexp_utils.errors import StudyError
from llmexp_utils.examples import N_EXAMPLES, Ranking, rank_examples, single_line
from llmexp_utils.fault_benchmarks import FaultBenchmark
from llmexp_utils.languages import language
from llmexp_utils.sandbox import Limits
from llmexp_utils.select import MAX_LINES, Embed, deduplicate, statistics
from llmexp_utils.validate import ARM, FAILING, as_faults, with_verdicts

EXAMPLE_LINES = 20  # longest function that a prompt shows: every request reads it
UNTESTED = "untested"
NOISE = ["source", "candidates", "does not compile", "passes"]


class Pooled(NamedTuple):
    """The pool with its statistics, the funnel, ids of the faults that prompts show, and what tests keep out.

    The funnel has ``source`` (an arm, or ``mutation``), ``stage`` and ``count``; copies are dropped within a source.
    The noise has for each source the number of ``candidates`` that would be kept without tests, and how many of these
    do not compile, or pass their tests; it is empty where there are none.
    """

    faults: pd.DataFrame
    funnel: pd.DataFrame
    shown: list[str]
    noise: pd.DataFrame


def examples_of(benchmark: FaultBenchmark, groups: Mapping[str, int], embed: Embed, how: str) -> dict[str, Ranking]:
    """Prompt examples of every group: its own real faults of one line, in functions of at most 20 lines.

    Raises
    ------
    StudyError
        If a group has fewer than a prompt shows.
    """
    faults = benchmark.faults
    short = faults[single_line(faults) & (faults.correct.str.count("\n") <= EXAMPLE_LINES)].reset_index(drop=True)
    for group in sorted(set(groups.values())):
        of_task = short.task_id[short.task_id.map(groups) == group].value_counts()
        found = int(of_task.sum() - of_task.max()) if len(of_task) else 0  # no prompt shows its own function's
        if found < N_EXAMPLES:
            raise StudyError(
                f"{benchmark.name}: group {group} of the split has {found} real faults of one line in functions of at "
                f"most {EXAMPLE_LINES} lines that are not a function's own, and prompts show {N_EXAMPLES}: raise "
                "n_functions or lower max_lines"
            )
    return rank_examples(short, groups, embed(short.code.tolist()), how)


def plan_of(
    benchmark: FaultBenchmark, groups: Mapping[str, int], rankings: Mapping[str, Ranking], samples: int, seed: int
) -> injection.Plan:
    """What generators are asked, by the settings of the paper's sampling (temperature 1, nucleus 0.95)."""
    return injection.Plan(
        functions=benchmark.functions,
        gold=benchmark.faults,
        groups=groups,
        rankings=rankings,
        n_samples={"line": samples, "function": samples},
        temperature=1.0,
        top_p=0.95,
        seed=seed,
    )


def mutants_of(benchmark: FaultBenchmark, per_function: int, seed: int) -> pd.DataFrame:
    """Rule-based faults of the benchmark's functions."""
    make = mutation_java.sample_mutants if benchmark.language == "java" else mutation.sample_mutants
    return make(benchmark.functions, per_function, np.random.default_rng(seed))


def check_tests(benchmark: FaultBenchmark, limits: Limits, cache: Path) -> None:
    """Refuse tests that cannot tell: any correct function that does not pass, any real fault that does.

    A test that always fails would make every candidate a "validated" fault.

    Raises
    ------
    StudyError
        With the first such function or fault, and how many there are.
    """
    if not benchmark.tested:
        return
    texts = [(one.task_id, one.task_id, one.code) for one in benchmark.functions]
    correct = pd.DataFrame(texts, columns=["fault_id", "task_id", "code"])
    for frame, wrong in ((correct, "is correct, but does not pass"), (benchmark.faults, "is faulty, but passes")):
        tested = with_verdicts(frame, benchmark.functions, limits, cache)
        passed = tested.verdict == "pass"
        odd = tested[~passed if frame is correct else passed]
        if len(odd):
            first = odd.iloc[0]
            seen = f" ({first.verdict}: {' '.join(first.detail.split())})" if frame is correct else ""
            raise StudyError(f"{benchmark.name}: {first.fault_id} {wrong} its test{seen}; {len(odd)} in all")


def pool_of(
    benchmark: FaultBenchmark,
    candidates: pd.DataFrame,
    mutants: pd.DataFrame,
    shown: Sequence[str],
    limits: Limits,
    cache: Path,
    embed: Embed,
) -> Pooled:
    """Keep what can be a fault, count the rest, add the statistics of the Score.

    Parameters
    ----------
    benchmark : FaultBenchmark
        Functions (with or without tests) and real faults.
    candidates : DataFrame
        Answers of one or more arms (:func:`llmexp_utils.injection.answers_of`).
    mutants : DataFrame
        See :func:`mutants_of`.
    shown : sequence of str
        Ids of the real faults that prompts show.
    limits, cache
        Of the sandbox, and its file of verdicts.
    embed : callable
        Of :func:`llmexp_utils.select.statistics`.
    """
    parts, rows, noise = [benchmark.faults], [], []
    tokens = language(benchmark.language).tokens
    by_arm = candidates.groupby(ARM, sort=False)
    written = [(injection.Arm(*arm).name, as_faults(answers), len(answers)) for arm, answers in by_arm]
    for source, frame, asked in [*written, ("mutation", mutants, len(mutants))]:
        tested = _with_verdicts(frame, benchmark, limits, cache)
        failing = tested[tested.verdict.isin([*FAILING, UNTESTED])]
        small = _small(failing)
        kept, _ = deduplicate(small, benchmark.faults, tokens)
        counts = {"made": asked, "parses and differs": len(frame), "compiles": _compiling(tested)}
        counts |= {"fails its tests": len(failing), "small": len(small), "kept": len(kept)}
        if not benchmark.tested:  # nobody can say
            del counts["compiles"], counts["fails its tests"]
        else:
            untested, _ = deduplicate(_small(tested), benchmark.faults, tokens)
            noise.append((source, len(untested), *((untested.verdict == one).sum() for one in ("syntax", "pass"))))
        rows += [(source, stage, count) for stage, count in counts.items()]
        parts.append(kept)
    faults = statistics(pd.concat(parts, ignore_index=True), embed)
    funnel = pd.DataFrame(rows, columns=["source", "stage", "count"])
    return Pooled(faults, funnel, list(shown), pd.DataFrame(noise, columns=NOISE))


def _small(faults: pd.DataFrame) -> pd.DataFrame:
    pairs = zip(faults.correct, faults.code, strict=True)
    return faults[[lines_touched(*pair) <= MAX_LINES for pair in pairs]]


def _compiling(tested: pd.DataFrame) -> int:
    return int((tested.verdict != "syntax").sum())


def _with_verdicts(frame: pd.DataFrame, benchmark: FaultBenchmark, limits: Limits, cache: Path) -> pd.DataFrame:
    if not benchmark.tested:
        return frame.assign(verdict=UNTESTED)
    return with_verdicts(frame, benchmark.functions, limits, cache)
