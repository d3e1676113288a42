"""Text edits placed by syntax tree: replace the text of one node and leave every other character as it is.

Positions of :mod:`ast` count UTF-8 bytes within a line; here they are offsets in characters within the text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from llmexp_utils.code import CodeError, parse


@dataclass(frozen=True)
class Edit:
    """Replace ``text[start:end]`` by ``new``; an ``expression`` is put in parentheses where it needs them."""

    start: int
    end: int
    new: str
    expression: bool = False


@dataclass(frozen=True)
class Source:
    """A parsed text with the offsets and the parent of every node."""

    text: str
    tree: ast.Module = field(compare=False)

    @classmethod
    def read(cls, text: str) -> Source:
        """Parse ``text``; raises ``CodeError`` if Python refuses it."""
        return cls(text, parse(text))

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """Parent of every node but the module."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def lines(self) -> list[str]:
        """Lines with their ends."""
        return self.text.splitlines(keepends=True)

    def offset(self, line: int, column: int) -> int:
        """Offset in characters of a position of :mod:`ast` (1-based line, 0-based column in bytes)."""
        before = sum(len(text) for text in self.lines[: line - 1])
        return before + len(self.lines[line - 1].encode()[:column].decode())

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Start and end offset of a node (parentheses around it are outside, as :mod:`ast` has it)."""
        return self.offset(node.lineno, node.col_offset), self.offset(node.end_lineno, node.end_col_offset)

    def segment(self, node: ast.AST) -> str:
        """Text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def operand(self, node: ast.AST) -> str:
        """Text of a node as operand of ``and``, ``or``, ``not``: in parentheses if it binds less tightly."""
        loose = (ast.BoolOp, ast.IfExp, ast.Lambda, ast.NamedExpr)
        return f"({self.segment(node)})" if isinstance(node, loose) else self.segment(node)

    def replace(self, node: ast.AST, new: str) -> Edit:
        """Edit that puts another expression in the place of ``node``."""
        return Edit(*self.span(node), new, expression=True)

    def swap_between(self, left: ast.AST, right: ast.AST, old: str, new: str) -> Edit:
        """Edit of the operator ``old`` that stands between two operands."""
        start, end = self.span(left)[1], self.span(right)[0]
        at = self.text.index(old, start, end)
        return Edit(at, at + len(old), new)

    def line_span(self, first: int, last: int) -> tuple[int, int]:
        """Offsets of the whole lines ``first`` to ``last`` (1-based, inclusive), line ends included."""
        start = sum(len(text) for text in self.lines[: first - 1])
        return start, start + sum(len(text) for text in self.lines[first - 1 : last])

    def nodes(self) -> list[ast.AST]:
        """Nodes whose text may be edited, in the order of the text.

        Annotations do not run, parts of f-strings have no reliable position before Python 3.12: left out.
        """
        return sorted(_editable(self.tree), key=lambda node: (node.lineno, node.col_offset))

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Parent, grandparent, and so on up to the module."""
        while (node := self.parents.get(node)) is not None:
            yield node


def apply(text: str, edit: Edit) -> str | None:
    """Edited text, or None if Python would refuse it.

    Parentheses around a new expression are kept only where the syntax tree needs them, and those that stood
    around the old one go when they have become idle.

    Examples
    --------
    >>> apply("y = x * 2", Edit(4, 5, "x + 1", expression=True))
    'y = (x + 1) * 2'
    >>> apply("y = (x + 1) * 2", Edit(5, 10, "x", expression=True))
    'y = x * 2'
    """
    before, after = text[: edit.start], text[edit.end :]
    plain = before + edit.new + after
    if not edit.expression:
        return plain if _shape(plain) is not None else None
    wrapped = f"{before}({edit.new}){after}"
    meant = _shape(wrapped)
    if meant is None:
        return plain if _shape(plain) is not None else None
    candidates = [plain, wrapped]
    if before.endswith("(") and after.startswith(")"):
        candidates.insert(0, before[:-1] + edit.new + after[1:])
    return next(candidate for candidate in candidates if _shape(candidate) == meant)


def _shape(text: str) -> str | None:
    try:
        return ast.dump(parse(text))
    except CodeError:
        return None


def _editable(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr):
                continue
            if hasattr(child, "lineno"):
                yield child
            yield from _editable(child)
