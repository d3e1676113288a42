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
from llmexp_utils.sandbox import Job, Limits, run_programs
from llmexp_utils.select import MAX_LINES, Embed, deduplicate, statistics
from llmexp_utils.validate import ARM, FAILING, as_faults

EXAMPLE_LINES = 20  # longest function that a prompt shows: every request reads it
UNTESTED = "untested"


class Pooled(NamedTuple):
    """The pool with its statistics, the funnel, and ids of the faults that prompts show.

    The funnel has ``source`` (an arm, or ``mutation``), ``stage`` and ``count``; copies are dropped within a source.
    """

    faults: pd.DataFrame
    funnel: pd.DataFrame
    shown: list[str]


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
        found = int((short.task_id.map(groups) == group).sum())
        if found < N_EXAMPLES:
            raise StudyError(
                f"{benchmark.name}: group {group} of the split has {found} real faults of one line in functions of at "
                f"most {EXAMPLE_LINES} lines, and prompts show {N_EXAMPLES}: raise n_functions or lower max_lines"
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
    parts, rows = [benchmark.faults], []
    by_arm = candidates.groupby(ARM, sort=False)
    written = [(injection.Arm(*arm).name, as_faults(answers), len(answers)) for arm, answers in by_arm]
    for source, frame, asked in [*written, ("mutation", mutants, len(mutants))]:
        tested = _with_verdicts(frame, benchmark, limits, cache)
        failing = tested[tested.verdict.isin([*FAILING, UNTESTED])]
        pairs = zip(failing.correct, failing.code, strict=True)
        small = failing[[lines_touched(*pair) <= MAX_LINES for pair in pairs]]
        kept, _ = deduplicate(small, benchmark.faults, language(benchmark.language).tokens)
        counts = {"made": asked, "parses and differs": len(frame), "compiles": _compiling(tested)}
        counts |= {"fails its tests": len(failing), "small": len(small), "kept": len(kept)}
        if not benchmark.tested:  # nobody can say
            del counts["compiles"], counts["fails its tests"]
        rows += [(source, stage, count) for stage, count in counts.items()]
        parts.append(kept)
    faults = statistics(pd.concat(parts, ignore_index=True), embed)
    return Pooled(faults, pd.DataFrame(rows, columns=["source", "stage", "count"]), list(shown))


def _compiling(tested: pd.DataFrame) -> int:
    return int((tested.verdict != "syntax").sum())


def _with_verdicts(frame: pd.DataFrame, benchmark: FaultBenchmark, limits: Limits, cache: Path) -> pd.DataFrame:
    if not benchmark.tested:
        return frame.assign(verdict=UNTESTED)
    by_id = {function.task_id: function for function in benchmark.functions}
    jobs = []
    for row in frame.itertuples():
        function = by_id[row.task_id]
        program, test = function.program(row.code), function.test
        jobs.append(Job(row.fault_id, program, test, function.entry_point, benchmark.language))
    outcomes = run_programs(jobs, limits, cache=cache)
    return frame.assign(verdict=[str(outcome.verdict) for outcome in outcomes])
