"""From answers to clones: the tests decide, copies are dropped, all is counted (arXiv 2408.08553, validation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rapidfuzz.distance import Indel

from llmexp_utils.benchmarks import Function
from llmexp_utils.clone_types import clone_type, normal_tokens
from llmexp_utils.hard_coded import leaks_tests
from llmexp_utils.validate import refuse_unknown_status

SAME = 0.95  # similarity of normalised tokens from which two clones of a problem are one
ARM = ["generator", "form"]
LOST = (
    ("no answer", "answered"),
    ("does not parse", "parses"),
    ("unchanged", "differs"),
    ("renamed", "usable"),
)
"""Status of an answer that became no candidate (in the order of the checks), and the stage it does not reach."""
DROPPED = (
    ("fails the tests", "passes"),
    ("holds test values", "computes"),
    ("renamed source", "rewritten"),
    ("copy of the gold clone", "new"),
    ("repeated", "kept"),
)
"""Why a candidate is no clone to train on (in the order of the checks), and the stage that it does not reach."""


def as_programs(candidates: pd.DataFrame) -> pd.DataFrame:
    """Answers that became candidates, as programs of the source "llm"."""
    return (
        candidates[candidates.status == "candidate"].rename(columns={"candidate_id": "program_id"}).assign(source="llm")
    )


def judge(tested: pd.DataFrame, functions: Sequence[Function], gold: Mapping[str, str]) -> pd.DataFrame:
    """Say of every candidate why it is no clone to train on.

    Parameters
    ----------
    tested : DataFrame
        Candidates with ``task_id``, ``code`` and ``verdict``, in the order in which the first of two alike is kept.
    functions : sequence of Function
        The problems.
    gold : mapping
        Code of the gold clone by ``task_id``.

    Returns
    -------
    DataFrame
        The rows with ``reason``: "" for a clone, otherwise one of ``DROPPED``. Two programs are alike if their
        normalised tokens have a similarity of at least 0.95: one minus the insertions and deletions that turn one
        sequence into the other, by the length of both. Candidates that fail are compared among themselves
        (``again``: whether an earlier one is alike), for they serve as negatives.
    """
    by_id = {function.task_id: function for function in functions}
    kept: dict[str, list[list[str]]] = {}
    failed: dict[str, list[list[str]]] = {}
    reasons, again = [], []
    for row in tested.itertuples():
        function, stream = by_id[row.task_id], normal_tokens(row.code)
        reason = _reason(row, function, stream, gold[row.task_id])
        pool = failed if reason == "fails the tests" else kept
        repeated = any(Indel.normalized_similarity(stream, other) >= SAME for other in pool.get(row.task_id, []))
        if reason in ("", "fails the tests") and not repeated:
            pool.setdefault(row.task_id, []).append(stream)
        reasons.append("repeated" if repeated and not reason else reason)
        again.append(repeated)
    return tested.assign(reason=reasons, again=again)


def clone_pool(gold: pd.DataFrame, *judged: pd.DataFrame) -> pd.DataFrame:
    """Clones to train on, and near misses: candidates that fail, those that are alike once.

    Returns
    -------
    DataFrame
        The gold clones, and of the judged candidates of each author what is kept; with ``is_clone`` and, of clones,
        ``clone_type`` against the canonical solution.
    """
    useful = [rows[(rows.reason == "") | ((rows.reason == "fails the tests") & ~rows.again)] for rows in judged]
    pool = pd.concat([gold.assign(reason=""), *useful], ignore_index=True)
    pool = pool.assign(is_clone=pool.reason == "").drop(columns=["reason", "again", "verdict", "detail"])
    rows = zip(pool.correct, pool.code, pool.is_clone, strict=True)
    return pool.assign(clone_type=[clone_type(correct, code) if clone else "" for correct, code, clone in rows])


def authors(programs: pd.DataFrame) -> pd.Series:
    """Who wrote each program, in words: "gold", "rule", or generator and form."""
    by_llm = programs["generator"].fillna("") + " " + programs["form"].fillna("")
    return programs["source"].where(programs["source"] != "llm", by_llm).rename("author")


def clone_funnel(candidates: pd.DataFrame, judged: pd.DataFrame) -> pd.DataFrame:
    """What is left of each arm's answers after each check, in the order of the checks.

    Returns
    -------
    DataFrame
        ``generator, form, stage, count``, the stages being ``asked``, ``answered`` (holds code), ``parses``,
        ``differs`` (from the canonical solution), ``usable`` (defines the function), ``passes`` (the tests),
        ``computes`` (holds no test values), ``rewritten`` (more than renamed), ``new`` (not the gold clone) and
        ``kept`` (not repeated).

    Raises
    ------
    StudyError
        If an answer has a status that no stage counts.
    """
    refuse_unknown_status(candidates, LOST)
    rows = []
    for arm, answers in candidates.groupby(ARM, sort=False):
        counts = {"asked": len(answers)}
        ran = judged[(judged.generator == arm[0]) & (judged.form == arm[1])]
        for column, lost in ((answers.status, LOST), (ran.reason, DROPPED)):
            for value, stage in lost:
                counts[stage] = list(counts.values())[-1] - int((column == value).sum())
        rows += [(*arm, stage, count) for stage, count in counts.items()]
    return pd.DataFrame(rows, columns=[*ARM, "stage", "count"])


def _reason(row: Any, function: Function, stream: list[str], gold: str) -> str:
    if row.verdict != "pass":
        return "fails the tests"
    if leaks_tests(row.code, function.test, function.code):
        return "holds test values"
    if stream == normal_tokens(function.code):
        return "renamed source"
    if Indel.normalized_similarity(stream, normal_tokens(gold)) >= SAME:
        return "copy of the gold clone"
    return ""
