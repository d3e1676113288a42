"""Candidate faults: what is asked of a generator, in which order, and what its answers become.

Requests depend on the function, the line, how often that line was asked before, and the decoding; never on the policy
that picked the line. Policies that pick the same line therefore share the recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import pandas as pd

from llmexp_utils import prompts
from llmexp_utils.asking import Request, cost_of
from llmexp_utils.benchmarks import Function
from llmexp_utils.code import CodeError
from llmexp_utils.frames import CANDIDATES
from llmexp_utils.languages import language
from llmexp_utils.prompts import Example
from llmexp_utils.recordings import Decoding

MAX_TOKENS = {"line": 80, "function": 400, "choose": 30}
ROWS_AT_ONCE = 200
"""Rows that wait to become part of a frame: as single objects they take several times the memory."""


def line_requests(
    function: Function,
    examples: Sequence[Example],
    picks: Iterable[tuple[int, int]],
    temperature: float,
    top_p: float,
    seed: int,
) -> list[Request]:
    """One request for each (line, occurrence)."""
    return [
        Request(
            function.task_id,
            "line",
            line,
            occurrence,
            tuple(prompts.line_messages(examples, function.code, function.lines[line - 1], function.language)),
            Decoding(temperature, top_p, MAX_TOKENS["line"], seed * 1000 + occurrence),
        )
        for line, occurrence in picks
    ]


def function_requests(
    function: Function,
    examples: Sequence[Example],
    n_samples: int,
    temperature: float,
    top_p: float,
    seed: int,
) -> list[Request]:
    """``n_samples`` requests for the whole function with a fault."""
    messages = tuple(prompts.function_messages(examples, function.code, function.language))
    return [
        Request(
            function.task_id,
            "function",
            0,
            sample,
            messages,
            Decoding(temperature, top_p, MAX_TOKENS["function"], seed * 1000 + sample),
        )
        for sample in range(n_samples)
    ]


def choose_request(function: Function, n_lines: int, seed: int) -> Request:
    """The greedy request for the lines that the generator itself would break (policy ``llm``)."""
    messages = tuple(prompts.choose_messages(function.code, n_lines, function.language))
    return Request(function.task_id, "choose", 0, 0, messages, Decoding(0.0, 1.0, MAX_TOKENS["choose"], seed * 1000))


def read_candidate(function: Function, form: str, line: int, answer: str) -> tuple[str, str]:
    """(status, code in normal form) of an answer; the code is empty unless the status is ``candidate``."""
    if form == "line":
        text = prompts.read_line_answer(answer, function.code, line)
    else:
        text = prompts.read_function_answer(answer, function.language)
    if text is None:
        return "no answer", ""
    known = language(function.language)
    try:
        program = known.normalise(text)
        names = known.names(program.code)
        same = known.tokens(program.code) == known.tokens(function.code)
    except (CodeError, SyntaxError):
        return "does not parse", ""
    if same:
        return "unchanged", ""
    if len(program.code.splitlines()) != program.code.count("\n"):
        return "does not parse", ""  # a line separator inside a string: lines could not be counted
    known_imports = set(function.preamble.splitlines())
    renamed = function.entry_point and function.entry_point not in names  # a whole program has no entry point
    if renamed or set(program.preamble.splitlines()) - known_imports:
        return "renamed or new imports", ""
    return "candidate", program.code


def candidate_frame(
    requests: Sequence[Request],
    answers: Iterable[dict[str, Any]],
    functions: Sequence[Function],
    generator: str,
    policy: str,
) -> pd.DataFrame:
    """One row an answer: what was asked, what it cost, and what became of it."""
    rows = _candidate_rows(requests, answers, functions, generator, policy)
    parts = iter(lambda: list(islice(rows, ROWS_AT_ONCE)), [])
    frames = [pd.DataFrame(part, columns=list(CANDIDATES)) for part in parts]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(CANDIDATES))


def _candidate_rows(
    requests: Sequence[Request],
    answers: Iterable[dict[str, Any]],
    functions: Sequence[Function],
    generator: str,
    policy: str,
) -> Iterator[dict[str, Any]]:
    by_id = {function.task_id: function for function in functions}
    sample: dict[str, int] = {}
    for request, answer in zip(requests, answers, strict=True):
        function = by_id[request.task_id]
        status, code = read_candidate(function, request.form, request.line, answer["answer"])
        number = sample[request.task_id] = sample.get(request.task_id, -1) + 1
        yield {
            "candidate_id": f"{request.task_id}/{generator}/{request.form}/{policy or '-'}/{number}",
            "task_id": request.task_id,
            "generator": generator,
            "form": request.form,
            "policy": policy,
            "sample": number,
            "line": request.line,
            "status": status,
            "code": code,
            "correct": function.code,
            **cost_of(answer),
        }
