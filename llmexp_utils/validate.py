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
LOST = (
    ("no answer", "answered"),
    ("does not parse", "parses"),
    ("unchanged", "differs"),
    ("renamed or new imports", "usable"),
)
"""Status of an answer that became no candidate (in the order of the checks), and the stage it does not reach."""


def with_verdicts(
    programs: pd.DataFrame,
    functions: Sequence[Function],
    limits: Limits,
    cache: Path | None = None,
    name: str = "fault_id",
) -> pd.DataFrame:
    """Run every program against the tests of its problem.

    Parameters
    ----------
    programs : DataFrame
        ``task_id``, ``code``, the column ``name``; and ``preamble``, if a program has imports of its own.
    functions : sequence of Function
        The problems with their tests.
    limits : Limits
        What a program may use.
    cache : Path, optional
        File of verdicts by content.
    name : str
        Column that names the programs.

    Returns
    -------
    DataFrame
        The rows with ``verdict`` ("pass", "fail", "error", "timeout" or "syntax") and ``detail``.
    """
    by_id = {function.task_id: function for function in functions}
    unknown = set(programs.task_id) - by_id.keys()
    if unknown:
        raise StudyError(f"no tests for {min(unknown)} ({len(unknown)} problems): load the whole benchmark")
    jobs = []
    for row in programs.itertuples():
        function = by_id[row.task_id]
        program = function.program(getattr(row, "preamble", "") + row.code)
        jobs.append(Job(getattr(row, name), program, function.test, function.entry_point, function.language))
    outcomes = run_programs(jobs, limits, cache=cache)
    return programs.assign(
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


def funnel(candidates: pd.DataFrame, tested: pd.DataFrame, kept: pd.DataFrame, max_lines: int) -> pd.DataFrame:
    """What is left of each arm's answers after each check, in the order of the checks.

    Parameters
    ----------
    candidates, tested, kept : DataFrame
        All answers; those that became candidates, with verdicts; those that are kept.
    max_lines : int
        Largest number of lines that a kept fault may touch.

    Returns
    -------
    DataFrame
        ``generator, form, policy, stage, count``, the stages being ``asked``, ``answered`` (holds code),
        ``parses``, ``differs`` (from the correct function), ``usable`` (defines it under its name, without new
        imports), ``compiles``, ``fails`` (the tests), ``small`` and ``kept`` (neither a copy of a gold fault nor
        a repetition).

    Raises
    ------
    StudyError
        If an answer has a status that no stage counts.
    """
    refuse_unknown_status(candidates, LOST)
    rows = []
    for arm, answers in candidates.groupby(ARM, dropna=False, sort=False):
        ran = _of(tested, arm)
        failing = ran[ran.verdict.isin(FAILING)]
        counts = {"asked": len(answers)}
        for status, stage in LOST:
            counts[stage] = list(counts.values())[-1] - (answers.status == status).sum()
        counts |= {
            "compiles": (ran.verdict != "syntax").sum(),
            "fails": len(failing),
            "small": len(hygiene(failing, max_lines)[0]),
            "kept": len(_of(kept, arm)),
        }
        rows += [(*arm, stage, int(count)) for stage, count in counts.items()]
    return pd.DataFrame(rows, columns=[*ARM, "stage", "count"])


def refuse_unknown_status(candidates: pd.DataFrame, lost: Sequence[tuple[str, str]]) -> None:
    """Raise a StudyError if an answer has a status that is in no row of ``lost``: no stage would count it."""
    unknown = set(candidates.status) - {status for status, _ in lost} - {"candidate"}
    if unknown:
        raise StudyError(f"unknown status {min(unknown)!r} of an answer: no stage of the funnel counts it")


def price(candidates: pd.DataFrame, kept: pd.DataFrame) -> pd.DataFrame:
    """What a kept fault cost, by arm, in answers and in tokens: they do not depend on the machine.

    Returns
    -------
    DataFrame
        ``generator, form, policy, answers, kept, yield`` (kept faults an answer), and for each kept fault
        ``read_per_kept`` (tokens of all prompts without the prefix that the server still had) and
        ``written_per_kept``; the last two are empty for an arm without a kept fault.
    """
    rows = []
    for arm, answers in candidates.groupby(ARM, dropna=False, sort=False):
        n = len(_of(kept, arm))
        read = (answers.prompt_tokens - answers.cached_tokens).sum()
        tokens = [total / n if n else None for total in (read, answers.completion_tokens.sum())]
        rows.append((*arm, len(answers), n, n / len(answers), *tokens))
    return pd.DataFrame(rows, columns=[*ARM, "answers", "kept", "yield", "read_per_kept", "written_per_kept"])


def _of(frame: pd.DataFrame, arm: tuple[str, str, str]) -> pd.DataFrame:
    generator, form, policy = arm
    return frame[(frame.generator == generator) & (frame.form == form) & (frame.policy == policy)]
