"""Source text of C and C++ programs, as far as clone detection needs it: without comments, and as tokens.

Pygments tells comments, names and literals apart; it does not parse, so that any text is taken for a program.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from llmexp_utils.code import CodeError, Program

if TYPE_CHECKING:
    from pygments.lexers.c_cpp import CppLexer

INCLUDE = re.compile(r"\s*#\s*include\b")


def normalise(source: str) -> Program:
    """Program without comments and blank lines; its includes are the preamble.

    Raises
    ------
    CodeError
        If nothing is left.

    Examples
    --------
    >>> normalise("#include <cstdio>\\nint main() { // starts\\n\\n  return 0;\\n}").code
    'int main() {\\n  return 0;\\n}\\n'
    """
    text = "".join(
        "\n" * value.count("\n") or " " if _is_comment(kind) else value
        for _, kind, value in _lexer().get_tokens_unprocessed(source.replace("\r\n", "\n").replace("\t", "    "))
    )
    rows = [row.rstrip() for row in text.split("\n") if row.strip()]
    includes = "".join(f"{row}\n" for row in rows if INCLUDE.match(row))
    code = "".join(f"{row}\n" for row in rows if not INCLUDE.match(row))
    if not code:
        raise CodeError("holds no code")
    return Program(includes, code)


def tokens(code: str) -> list[str]:
    """Lexical tokens without layout and comments."""
    return [value for _, value in _lexed(code)]


def normal_tokens(code: str) -> list[str]:
    """Tokens with names replaced by their order of appearance and literals by their kind.

    Without a parser, names of the program's own cannot be told from a library's: both are replaced.

    Examples
    --------
    >>> " ".join(normal_tokens("int f(int x) { return x + 1; }"))
    'int v0 ( int v1 ) { return v1 + <number> ; }'
    """
    from pygments.token import Name, Number, String

    numbers: dict[str, str] = {}
    found = []
    for kind, value in _lexed(code):
        if kind in Name and kind not in Name.Builtin:
            value = numbers.setdefault(value, f"v{len(numbers)}")
        found.append("<number>" if kind in Number else "<string>" if kind in String else value)
    return found


def function_names(code: str) -> set[str]:
    """Names that the lexer takes for those of functions."""
    from pygments.token import Name

    return {value for kind, value in _lexed(code) if kind in Name.Function}


def _lexed(code: str) -> list[tuple[object, str]]:
    found = _lexer().get_tokens_unprocessed(code)
    return [(kind, value.strip()) for _, kind, value in found if value.strip() and not _is_comment(kind)]


def _is_comment(kind: object) -> bool:
    from pygments.token import Comment

    return kind in Comment and kind not in Comment.Preproc and kind not in Comment.PreprocFile  # these are directives


@cache
def _lexer() -> CppLexer:
    from pygments.lexers.c_cpp import CppLexer

    return CppLexer()
