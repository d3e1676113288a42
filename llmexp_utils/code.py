"""Source text of Python functions: one normal form, line labels by diff, token comparison.

Everything the study compares (gold faults, answers of a generator, mutants) first goes through :func:`normalise`,
so that a difference between two versions is a difference of code and never of layout or comments.
"""

from __future__ import annotations

import ast
import difflib
import io
import tokenize
from dataclasses import dataclass

LINE_LENGTH = 100


class CodeError(ValueError):
    """The text is not a Python program that this study can read."""


@dataclass(frozen=True)
class Program:
    """A normalised program: the import lines, and the function(s) whose lines are ranked."""

    preamble: str
    code: str

    @property
    def source(self) -> str:
        """Complete text, ready to be executed."""
        return f"{self.preamble}\n{self.code}" if self.preamble else self.code


def parse(source: str) -> ast.Module:
    """Parse ``source``; any way in which Python refuses it becomes a :class:`CodeError`."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CodeError(f"does not parse: {error}") from error


def normalise(source: str) -> Program:
    """Return the normal form of a program: formatted by black, without comments, docstrings and blank lines.

    Parameters
    ----------
    source : str
        A module text: imports and one or more top-level functions.

    Returns
    -------
    Program
        ``code`` has one entry a line and no blank line, so line ``n`` (1-based) is ``code.splitlines()[n - 1]``.

    Raises
    ------
    CodeError
        If the text does not parse.

    Examples
    --------
    >>> normalise("import math\\ndef f( x ):\\n  '''doc'''\\n\\n  return  x+1 # next").code
    'def f(x):\\n    return x + 1\\n'
    """
    tree = _without_docstrings(parse(source))
    text = _without_comments(source, tree)
    try:
        import black

        formatted = black.format_str(text, mode=black.Mode(line_length=LINE_LENGTH))
    except Exception as error:  # black raises several unrelated classes for text it cannot format
        raise CodeError(f"cannot be formatted: {error}") from error
    lines = _without_blank_lines(formatted)
    imports = _import_lines(formatted)
    preamble = [line for number, line in lines if number in imports]
    code = [line for number, line in lines if number not in imports]
    if not code:
        raise CodeError("contains no function")
    return Program("".join(preamble), "".join(code))


def changed_lines(correct: str, faulty: str) -> list[int]:
    """Line numbers (1-based, in ``faulty``) of the fault that turns ``correct`` into ``faulty``.

    A replaced or inserted line is labelled itself. Where lines were only deleted, nothing in the faulty text differs,
    so the line that follows the gap is labelled (the last line when the gap is at the end): it is where a reader
    would put the missing code.
    """
    old, new = correct.splitlines(), faulty.splitlines()
    labels: set[int] = set()
    for tag, _, _, start, end in _opcodes(old, new):
        if tag == "delete":
            labels.add(min(start + 1, len(new)))
        elif tag != "equal":
            labels.update(range(start + 1, end + 1))
    return sorted(labels)


def lines_touched(correct: str, faulty: str) -> int:
    """Number of lines changed between two versions: removed or inserted, a replacement counting once."""
    old, new = correct.splitlines(), faulty.splitlines()
    return sum(max(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in _opcodes(old, new) if tag != "equal")


def tokens(code: str) -> list[str]:
    """Lexical tokens of Python code, without layout; the same for two texts that differ in layout alone."""
    skip = {tokenize.NL, tokenize.COMMENT, tokenize.ENCODING, tokenize.ENDMARKER}
    names = {tokenize.INDENT: "<indent>", tokenize.DEDENT: "<dedent>", tokenize.NEWLINE: "<newline>"}
    found = tokenize.generate_tokens(io.StringIO(code).readline)
    return [names.get(token.type, token.string) for token in found if token.type not in skip]


def _opcodes(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    return difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Mark every bare string (docstrings, and strings that stand where a docstring would have no effect)."""
    for node in ast.walk(tree):
        for body in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            for statement in body if isinstance(body, list) else []:
                if isinstance(statement, ast.Expr) and isinstance(getattr(statement.value, "value", None), str):
                    statement.is_docstring = True
                    statement.is_whole_body = len(body) == 1 and not isinstance(node, ast.Module)
    return tree


def _without_comments(source: str, tree: ast.Module) -> str:
    """Source text with docstrings and comments cut out."""
    text = source.replace("\r\n", "\n").replace("\t", "    ") if "\t" in source or "\r" in source else source
    if text != source:
        tree = _without_docstrings(parse(text))
    lines = [bytearray(line, "utf-8") for line in text.splitlines(keepends=True)]
    docstrings = [node for node in ast.walk(tree) if getattr(node, "is_docstring", False)]
    for node in sorted(docstrings, key=lambda n: (n.lineno, n.col_offset), reverse=True):
        first, last = node.lineno - 1, node.end_lineno - 1
        rest = lines[last][node.end_col_offset :].lstrip(b"; ")
        kept = lines[first][: node.col_offset] + (b"pass" if node.is_whole_body else b"") + rest
        lines[first : last + 1] = [kept]
    text = b"".join(lines).decode("utf-8")
    try:
        found = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, IndentationError) as error:
        raise CodeError(f"does not parse: {error}") from error
    rows = text.splitlines(keepends=True)
    for token in found:
        if token.type == tokenize.COMMENT:
            (row, start), (_, end) = token.start, token.end
            rows[row - 1] = rows[row - 1][:start] + rows[row - 1][end:]
    return "".join(rows)


def _without_blank_lines(text: str) -> list[tuple[int, str]]:
    """(line number, line) of the lines that are not blank; a blank line inside a string literal is kept."""
    inside: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.start[0] != token.end[0] and token.type not in (tokenize.NL, tokenize.NEWLINE):
            inside.update(range(token.start[0], token.end[0] + 1))
    rows = enumerate(text.splitlines(keepends=True), start=1)
    return [(number, row) for number, row in rows if row.strip() or number in inside]


def _import_lines(text: str) -> set[int]:
    """Numbers of the lines that belong to top-level import statements."""
    lines: set[int] = set()
    for node in parse(text).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            lines.update(range(node.lineno, node.end_lineno + 1))
    return lines
