"""From candidates to faults: the tests decide, what is dropped is counted (arXiv 2408.08553, validation)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from llmexp_utils.benchmarks import Function
from llmexp_utils.code import changed_lines
from llmexp_utils.errors import StudyError
from llmexp_utils.sandbox import Job, Limits, run_programs
from llmexp_utils.select import deduplicate, hygiene

FAILING = ("fail", "error", "timeout")
ARM = ["generator", "form", "policy"]


def with_verdicts(
    faults: pd.DataFrame, functions: Sequence[Function], limits: Limits, cache: Path | None = None
) -> pd.DataFrame:
    """Run every faulty text against the tests of its problem.

    Returns
    -------
    DataFrame
        The rows with ``verdict`` ("pass", "fail", "error", "timeout" or "syntax") and ``detail``.
    """
    by_id = {function.task_id: function for function in functions}
    unknown = set(faults.task_id) - by_id.keys()
    if unknown:
        raise StudyError(f"no tests for {min(unknown)} ({len(unknown)} problems): load the whole benchmark")
    jobs = []
    for row in faults.itertuples():
        function = by_id[row.task_id]
        jobs.append(Job(row.fault_id, function.program(row.code), function.test, function.entry_point))
    outcomes = run_programs(jobs, limits, cache=cache)
    return faults.assign(
        verdict=[str(outcome.verdict) for outcome in outcomes],
        detail=[outcome.detail for outcome in outcomes],
    )


def as_faults(candidates: pd.DataFrame) -> pd.DataFrame:
    """Fault frame of the answers that became candidates; labels are the lines that differ."""
    rows = candidates[candidates.status == "candidate"].rename(columns={"candidate_id": "fault_id"})
    pairs = zip(rows.correct, rows.code, strict=True)
    return rows.assign(source="llm", fault_type="", lines=[changed_lines(*pair) for pair in pairs])


def keep_faults(tested: pd.DataFrame, gold: pd.DataFrame, max_lines: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Faults worth training on: they fail the tests, are small, and are neither repeated nor a gold fault.

    Returns
    -------
    kept : DataFrame
    funnel : DataFrame
        ``reason`` and ``count`` of everything that was dropped, in the order of the checks, and "kept".
    """
    failing = tested[tested.verdict.isin(FAILING)]
    passed = {"reason": "passes the tests", "count": int((tested.verdict == "pass").sum())}
    broken = {"reason": "does not compile", "count": int((tested.verdict == "syntax").sum())}
    small, size_funnel = hygiene(failing, max_lines)
    kept, repeat_funnel = deduplicate(small, gold)
    dropped = pd.concat([size_funnel, repeat_funnel])
    dropped = dropped[(dropped.reason != "kept") & (dropped["count"] > 0)]
    kept_row = {"reason": "kept", "count": len(kept)}
    return kept, pd.concat([pd.DataFrame([broken, passed]), dropped, pd.DataFrame([kept_row])], ignore_index=True)


def funnel(candidates: pd.DataFrame, tested: pd.DataFrame, kept: pd.DataFrame) -> pd.DataFrame:
    """Counts at each stage of each arm: asked, answered, parses, differs, compiles, fails the tests, kept.

    Parameters
    ----------
    candidates, tested, kept : DataFrame
        All answers; those that became candidates, with verdicts; those that are kept.

    Returns
    -------
    DataFrame
        ``generator, form, policy, stage, count``.
    """
    rows = []
    for arm, answers in candidates.groupby(ARM, dropna=False, sort=False):
        ran, stayed = _of(tested, arm), _of(kept, arm)
        counts = {
            "asked": len(answers),
            "answered": (answers.status != "no answer").sum(),
            "parses": (~answers.status.isin(["no answer", "does not parse"])).sum(),
            "differs": len(ran),
            "compiles": (ran.verdict != "syntax").sum(),
            "fails": ran.verdict.isin(FAILING).sum(),
            "kept": len(stayed),
        }
        rows += [(*arm, stage, int(count)) for stage, count in counts.items()]
    return pd.DataFrame(rows, columns=[*ARM, "stage", "count"])


def faults_an_hour(candidates: pd.DataFrame, kept: pd.DataFrame) -> pd.DataFrame:
    """Kept faults for an hour of generation, by arm; seconds are those of the machine that recorded."""
    rows = []
    for arm, answers in candidates.groupby(ARM, dropna=False, sort=False):
        n, seconds = len(_of(kept, arm)), answers.seconds.sum()
        rows.append((*arm, len(answers), n, n / len(answers), seconds / 3600, 3600 * n / seconds))
    return pd.DataFrame(rows, columns=[*ARM, "answers", "kept", "yield", "hours", "kept_an_hour"])


def _of(frame: pd.DataFrame, arm: tuple[str, str, str]) -> pd.DataFrame:
    generator, form, policy = arm
    return frame[(frame.generator == generator) & (frame.form == form) & (frame.policy == policy)]
