"""Answers that repeat the tests instead of computing: literal inputs and outputs of the tests in a program."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

MOST = 1  # cases that a program may hold by chance: more is a table of answers
TRIVIAL = {repr(value) for value in (None, True, False, 0, 1, -1, 2, "", [], (), {}, 0.0, 1.0)}  # inputs of base cases


def hard_coded(code: str, test: str, reference: str = "") -> int:
    """Number of test cases whose input and expected output both stand in a program as literals.

    Inputs that a correct program tests for on its own (0, 1, an empty list, …) do not count.

    Parameters
    ----------
    code : str
        The program.
    test : str
        Python source with assertions ``candidate(inputs) == output``.
    reference : str
        A correct solution that knows no tests: a pair whose two literals it holds too does not count.

    Examples
    --------
    >>> test = "assert candidate(7) == 13\\nassert candidate(8) == 21"
    >>> hard_coded("def f(n):\\n    return {7: 13, 8: 21}[n]", test)
    2
    >>> hard_coded("def f(n):\\n    return round(1.618 ** n / 5 ** 0.5)", test)
    0
    """
    held, known = set(_literals(ast.parse(code))), set(_literals(ast.parse(reference)))
    cases = {pair for pair in _cases(ast.parse(test)) if pair[0] not in TRIVIAL and not set(pair) <= known}
    return sum(set(pair) <= held for pair in cases)


def leaks_tests(code: str, test: str, reference: str = "") -> bool:
    """Whether a program holds more test cases than chance explains."""
    return hard_coded(code, test, reference) > MOST


def _cases(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq)):
            continue
        call = node.left
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "candidate" and call.args:
            given = call.args[0] if len(call.args) == 1 else ast.Tuple(call.args, ast.Load())
            pair = _value(given), _value(node.comparators[0])
            if None not in pair:
                yield pair


def _literals(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        value = _value(node) if isinstance(node, ast.expr) else None
        if value is not None:
            yield value


def _value(node: Any) -> str | None:
    """Text of a literal, the same for two ways of writing one value; None for what is computed."""
    try:
        return repr(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
