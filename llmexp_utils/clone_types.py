"""How alike two programs are in their tokens, and the clone type that follows from it.

Types after Svajlenko et al. 2014 (BigCloneBench): Type-1 and Type-2 clones are the same up to layout, names and
literals; the others are told apart by the share of tokens that they have in common. The share is SourcererCC's
(Sajnani et al. 2016, arXiv 1512.06448): common tokens, counted as often as both have them, by the larger number.
"""

from __future__ import annotations

import ast
import io
import keyword
import tokenize
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import count

from llmexp_utils.code import tokens

TYPES = ("Type-1/2", "Type-3 strong", "Type-3 moderate", "Type-4")
STRONG, MODERATE = 0.7, 0.5
Normal = Callable[[str], list[str]]
LITERALS = {tokenize.NUMBER: "<number>", tokenize.STRING: "<string>"}


def normal_tokens(code: str) -> list[str]:
    """Tokens with the names that the program gives replaced by their order of appearance, literals by their kind.

    Names that come from elsewhere (builtins, methods, imported functions) stay: they are part of how a program works.

    Examples
    --------
    >>> " ".join(normal_tokens("def f(x): return len(x) + 1"))
    'def v0 ( v1 ) : return len ( v1 ) + <number> <newline>'
    """
    own, fresh = own_names(code), count()
    numbers: dict[str, str] = {}
    kinds = {token.string: LITERALS[token.type] for token in _lexed(code) if token.type in LITERALS}
    found = []
    for token in tokens(code):
        if token in own and not keyword.iskeyword(token):
            if token not in numbers:
                numbers[token] = f"v{next(fresh)}"
            token = numbers[token]
        found.append(kinds.get(token, token))
    return found


def overlap(one: str, other: str, normal: Normal = normal_tokens) -> float:
    """Share of normalised tokens that two programs have in common, 0 to 1; ``normal`` knows their language.

    Examples
    --------
    >>> overlap("x = 1", "y = 2"), overlap("x = 1", "print(x)")
    (1.0, 0.2)
    """
    first, second = _bag(one, normal), _bag(other, normal)
    return (first & second).total() / max(first.total(), second.total())


def clone_type(one: str, other: str, normal: Normal = normal_tokens) -> str:
    """Type of two clones, one of ``TYPES``; ``normal`` knows their language.

    Examples
    --------
    >>> clone_type("def f(x): return x + 1", "def g(number): return number + 1")
    'Type-1/2'
    """
    if normal(one) == normal(other):
        return TYPES[0]
    common = overlap(one, other, normal)
    return TYPES[1] if common >= STRONG else TYPES[2] if common >= MODERATE else TYPES[3]


def neutral_names(code: str, entry_point: str) -> str:
    """Program whose function is called ``program`` and whose helpers ``helper0``, …: names tell the problem.

    Examples
    --------
    >>> neutral_names("def twice(x):\\n    return double(x)\\n", "twice")
    'def program(x):\\n    return double(x)\\n'
    """
    defined = [node.name for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    helpers = [name for name in dict.fromkeys(defined) if name != entry_point]
    new = {entry_point: "program"} | {name: f"helper{number}" for number, name in enumerate(helpers)}
    return renamed(code, new)


def renamed(code: str, new: Mapping[str, str]) -> str:
    """Program with other names; attributes that are called alike stay, and so does every other character.

    Examples
    --------
    >>> renamed("size = box.size", {"size": "n", "box": "b"})
    'n = b.size'
    """
    lines = code.splitlines(keepends=True)
    for token in reversed(_lexed(code)):
        row, start = token.start
        line = lines[row - 1] if token.type == tokenize.NAME else ""
        if token.string in new and line and not line[:start].rstrip().endswith("."):
            lines[row - 1] = line[:start] + new[token.string] + line[token.end[1] :]
    return "".join(lines)


@lru_cache(maxsize=4096)  # one program is compared with many
def _bag(code: str, normal: Normal) -> Counter[str]:
    return Counter(normal(code))


def _lexed(code: str) -> list[tokenize.TokenInfo]:
    return list(tokenize.generate_tokens(io.StringIO(code).readline))


def own_names(code: str) -> set[str]:
    """Names that a program binds: functions, classes, parameters, variables."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names
