"""Prompts for clones: task description, two examples, instruction (arXiv 2408.08553, section on generation).

Two ways of asking. ``from_spec``: the signature with its docstring, as the paper does. ``rewrite``: the canonical
code and the construct that the clone shall use; the construct comes last, so that a server that keeps the prefix of
the last prompt reads each function once.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from llmexp_utils.prompts import Message, fence

TASK = {
    "from_spec": "You are given the signature and the specification of a Python function. Answer with the complete "
    "function only, without comments, docstring or explanation.",
    "rewrite": "You are given a correct Python function and a construct. Answer with the function only, rewritten with "
    "that construct: the same name, the same parameters and the same results, but another way to compute them. "
    "No comments, docstring or explanation.",
}
CONSTRUCTS = {
    "loop": "explicit loops instead of comprehensions",
    "comprehension": "comprehensions or generator expressions instead of explicit loops",
    "recursion": "recursion instead of loops",
    "library": "functions of the standard library",
    "functional": "map, filter, reduce or lambda",
    "sorting": "sorting",
    "dictionary": "dictionaries or sets",
    "string methods": "string methods",
    "closed form": "a closed formula",
    "other": "another algorithm",
}
VISIBLE = ("loop", "comprehension", "recursion", "functional", "sorting")
"""Constructs that the syntax tree shows; the others only a reader can tell."""


@dataclass(frozen=True)
class CloneExample:
    """A gold clone shown to the generator: ``spec`` and ``correct`` are what it is a clone of."""

    task_id: str
    spec: str
    correct: str
    construct: str
    clone: str


def spec_messages(examples: Sequence[CloneExample], spec: str) -> list[Message]:
    """Chat that asks for an implementation of a specification."""
    messages = [{"role": "system", "content": TASK["from_spec"]}]
    for example in examples:
        messages.append({"role": "user", "content": fence(example.spec.strip() + "\n")})
        messages.append({"role": "assistant", "content": fence(example.clone)})
    return [*messages, {"role": "user", "content": fence(spec.strip() + "\n")}]


def rewrite_messages(examples: Sequence[CloneExample], code: str, construct: str) -> list[Message]:
    """Chat that asks for ``code`` rewritten with a construct (a key of ``CONSTRUCTS``)."""
    messages = [{"role": "system", "content": TASK["rewrite"]}]
    for example in examples:
        messages.append({"role": "user", "content": _rewrite_turn(example.correct, example.construct)})
        messages.append({"role": "assistant", "content": fence(example.clone)})
    return [*messages, {"role": "user", "content": _rewrite_turn(code, construct)}]


def constructs_in(code: str) -> set[str]:
    """Constructs of ``VISIBLE`` that a function uses.

    Examples
    --------
    >>> sorted(constructs_in("def f(x):\\n    return sum(map(int, [y for y in x]))\\n"))
    ['comprehension', 'functional']
    """
    tree = ast.parse(code)
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    kinds = {type(node) for node in ast.walk(tree)}
    found = {
        "loop": kinds & {ast.For, ast.While},
        "comprehension": kinds & {ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp},
        "recursion": names & called,
        "functional": ast.Lambda in kinds or called & {"map", "filter", "reduce"},
        "sorting": called & {"sorted"},
    }
    return {construct for construct, evidence in found.items() if evidence}


def _rewrite_turn(code: str, construct: str) -> str:
    return f"{fence(code)}\nConstruct: {CONSTRUCTS[construct]}."
