"""What becomes of the answers that should be clones: code in normal form, and the first thing that is wrong with it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from textwrap import dedent, indent
from typing import Any

from llmexp_utils.asking import Request, cost_of
from llmexp_utils.benchmarks import Function
from llmexp_utils.code import CodeError, normalise, parse, tokens
from llmexp_utils.prompts import FENCED, read_function_answer

KEPT_STATEMENTS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)


def read_clone(function: Function, answer: str) -> tuple[str, str, str]:
    """(status, imports, code) of an answer, the latter two in normal form and empty unless the status is ``candidate``.

    A fenced body without its function is put under the signature that was given, and a helper that the specification
    gives, if the answer uses it without writing it again, before it. Examples that the generator adds below the
    function (calls, prints, asserts) are cut off. ``unchanged`` is the canonical solution again.
    """
    text = read_function_answer(answer) or _under_signature(function, answer)
    if text is None:
        return "no answer", "", ""
    try:
        program = normalise(_missing_helpers(function, text) + _definitions(text))
        same = tokens(program.code) == tokens(function.code)
    except (CodeError, SyntaxError):
        return "does not parse", "", ""
    if same:
        return "unchanged", "", ""
    if function.entry_point not in {getattr(node, "name", "") for node in parse(program.code).body}:
        return "renamed", "", ""
    return "candidate", program.preamble, program.code


def clone_rows(
    requests: Sequence[Request], answers: Iterable[dict[str, Any]], functions: Sequence[Function], generator: str
) -> list[dict[str, Any]]:
    """One row an answer: what was asked, what it cost, and what became of it."""
    by_id = {function.task_id: function for function in functions}
    rows = []
    for request, answer in zip(requests, answers, strict=True):
        function = by_id[request.task_id]
        status, preamble, code = read_clone(function, answer["answer"])
        rows.append(
            {
                "candidate_id": f"{request.task_id}/{generator}/{request.form}/{request.occurrence}",
                "task_id": request.task_id,
                "generator": generator,
                "form": request.form,
                "construct": request.construct,
                "sample": request.occurrence,
                "status": status,
                "preamble": preamble,
                "code": code,
                "correct": function.code,
                **cost_of(answer),
            }
        )
    return rows


def _under_signature(function: Function, answer: str) -> str | None:
    fenced = FENCED.search(answer)
    return function.prompt + indent(dedent(fenced.group(1)), "    ") if fenced else None


def _missing_helpers(function: Function, text: str) -> str:
    """Functions beside the one asked for that an answer uses and does not define (four problems give one)."""
    tree = parse(text)
    defined = {getattr(node, "name", "") for node in tree.body}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    wanted = used - defined - {function.entry_point}
    lines = function.code.splitlines(keepends=True)
    helpers = [node for node in parse(function.code).body if getattr(node, "name", "") in wanted]
    return "".join("".join(lines[node.lineno - 1 : node.end_lineno]) for node in helpers)


def _definitions(text: str) -> str:
    """A program without the statements that only show how to use it."""
    # By lines of the text: ``ast.unparse`` has a style of its own, and a style gives away who wrote a clone.
    lines = text.splitlines(keepends=True)
    for node in parse(text).body:
        if not isinstance(node, KEPT_STATEMENTS):
            for number in range(node.lineno - 1, node.end_lineno):
                lines[number] = ""
    return "".join(lines)
