"""Which line of a function the generator is asked to break (answer form ``line``)."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from llmexp_utils.benchmarks import Function

POLICIES = ("uniform", "gold", "llm")
KEYWORDS = (
    "for",
    "while",
    "if",
    "elif",
    "return",
    "with",
    "except",
    "raise",
    "assert",
    "break",
    "continue",
    "pass",
)
NOT_ASKED = ("def ", "async def ", "class ", "@", "else:", "try:", "finally:", "import ", "from ")
NOT_ASKED_IN_JAVA = re.compile(r"[{}();]*$|@|(public|private|protected|case|default)\b|}?\s*(else|try|finally)\s*{?$")
"""Headers, labels and lines that hold nothing but brackets."""


def statement_kind(line: str) -> str:
    """Kind of the statement that a line starts: a keyword, ``assignment``, ``augmented assignment`` or ``expression``.

    Examples
    --------
    >>> [statement_kind(line) for line in ("    if x == 1:", "total += 1", "n = 0", "out.append(n)", "else:")]
    ['if', 'augmented assignment', 'assignment', 'expression', 'header']
    """
    text = line.strip()
    first = text.split("(")[0].split(":")[0].split(" ")[0]
    if first in KEYWORDS:
        return first
    if text.startswith(NOT_ASKED):
        return "header"
    head = text.split("==")[0].split("(")[0]
    if any(f" {operator}= " in head for operator in ("+", "-", "*", "/", "//", "%", "**", "&", "|", "^", ">>", "<<")):
        return "augmented assignment"
    return "assignment" if " = " in head else "expression"


def position_third(line: int, n_lines: int) -> int:
    """Third of the function (0, 1 or 2) in which a 1-based line stands."""
    return min(2, 3 * (line - 1) // max(1, n_lines))


def askable_lines(function: Function) -> list[int]:
    """Lines that can carry a fault of their own: not headers, decorators, imports or bare keywords."""
    return _askable(function.lines) if function.language == "python" else _askable_in_java(function.lines)


def uniform(function: Function, n: int, rng: np.random.Generator) -> list[int]:
    """``n`` lines, every askable line once before any is asked again."""
    lines = askable_lines(function)
    order: list[int] = []
    while len(order) < n:
        order += rng.permutation(lines).tolist()
    return order[:n]


def gold_weights(gold: pd.DataFrame) -> dict[tuple[str, int], float]:
    """How much likelier a line of a kind and position is faulty in the gold set than its share of all lines.

    The ratio (add-one smoothed) of two shares: of the gold faults' first labelled lines, and of all askable lines of
    their correct functions. Only counts of the training gold enter, never its code.
    """
    everywhere: Counter[tuple[str, int]] = Counter()
    for code in gold.correct.unique():
        lines = code.splitlines()
        everywhere.update(_cell(lines, line) for line in _askable(lines))
    faulty: Counter[tuple[str, int]] = Counter()
    for row in gold.itertuples():
        lines = row.code.splitlines()
        if row.lines[0] in _askable(lines):
            faulty[_cell(lines, row.lines[0])] += 1
    scale = (sum(everywhere.values()) + len(everywhere)) / (sum(faulty.values()) + len(everywhere))
    return {cell: scale * (faulty[cell] + 1) / (count + 1) for cell, count in everywhere.items()}


def by_gold(
    function: Function, n: int, weights: Mapping[tuple[str, int], float], rng: np.random.Generator
) -> list[int]:
    """``n`` lines drawn with replacement in proportion to :func:`gold_weights`."""
    lines = askable_lines(function)
    weight = np.array([weights.get(_cell(function.lines, line), 1.0) for line in lines])
    return rng.choice(lines, size=n, p=weight / weight.sum()).tolist()


def named(function: Function, n: int, chosen: Sequence[int], rng: np.random.Generator) -> list[int]:
    """``n`` lines taken in turn from those that the generator named; uniform when it named none that can be asked."""
    lines = [line for line in chosen if line in set(askable_lines(function))]
    return [lines[turn % len(lines)] for turn in range(n)] if lines else uniform(function, n, rng)


def occurrences(function: Function, lines: Sequence[int]) -> list[tuple[int, int]]:
    """Each line with how often its text was asked before: the same pair is the same request in every policy.

    The prompt names a line by its text, so two lines with the same text are told apart by their count.
    """
    seen: Counter[str] = Counter()
    pairs = []
    for line in lines:
        text = function.lines[line - 1].strip()
        pairs.append((line, seen[text]))
        seen[text] += 1
    return pairs


def function_rng(seed: int, task_id: str) -> np.random.Generator:
    """Generator of one function: its draw does not depend on which other functions are asked."""
    return np.random.default_rng([seed, zlib.crc32(task_id.encode())])


def _cell(lines: Sequence[str], line: int) -> tuple[str, int]:
    return statement_kind(lines[line - 1]), position_third(line, len(lines))


def _askable(lines: Sequence[str]) -> list[int]:
    texts = [line.strip() for line in lines]
    found = [n for n, text in enumerate(texts, 1) if text != "pass" and not text.startswith(NOT_ASKED)]
    return found or [len(lines)]


def _askable_in_java(lines: Sequence[str]) -> list[int]:
    found = [n for n, line in enumerate(lines, 1) if n > 1 and not NOT_ASKED_IN_JAVA.match(line.strip())]
    return found or [len(lines)]
