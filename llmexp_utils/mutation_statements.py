"""Mutation operators on statements; sources of the names and rules in :mod:`llmexp_utils.mutation`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from llmexp_utils.mutation_expressions import (
    BITWISE,
    SYMBOLS,
    is_negatable,
    is_sequence,
    other_arithmetic,
)
from llmexp_utils.scopes import FUNCTIONS, called_name
from llmexp_utils.source_edits import Edit, Source

EMPTY = {"str": '""', "int": "0", "float": "0.0", "list": "[]", "dict": "{}", "tuple": "()", "set": "set()"}
LOOPS = (ast.For, ast.AsyncFor, ast.While)
KEPT = (*FUNCTIONS, ast.ClassDef, ast.Pass, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal)


def statement_deletion(node: ast.AST, source: Source) -> Iterator[Edit]:
    """SDL: a statement or branch is dropped (``pass`` for one that is alone), or the ``if`` around a body."""
    parent = source.parents[node]
    if not isinstance(node, ast.stmt) or isinstance(node, KEPT) or isinstance(parent, ast.Module):
        return
    block = next(value for _, value in ast.iter_fields(parent) if isinstance(value, list) and node in value)
    if isinstance(node, ast.Return) and isinstance(parent, FUNCTIONS) and block[-1] is node:
        return  # the same as RVR's None
    start, end = source.line_span(node.lineno, node.end_lineno)
    if source.text.startswith("elif", source.span(node)[0]):
        yield Edit(*source.line_span(node.lineno, node.body[-1].end_lineno), "")
        return
    if len(block) > 1:
        yield Edit(start, end, "")
    elif block is getattr(parent, "orelse", None):  # goes with the line of its ``else``
        yield Edit(source.line_span(node.lineno - 1, node.lineno)[0], end, "")
    else:
        yield Edit(start, end, " " * node.col_offset + "pass\n")
    if isinstance(node, ast.If) and not node.orelse:
        body = source.lines[node.body[0].lineno - 1 : node.end_lineno]
        yield Edit(start, end, "".join(line[4:] for line in body))


def assignment_replacement(node: ast.AST, source: Source) -> Iterator[Edit]:
    """ASR: ``+=`` by ``=`` and by the other arithmetic assignments; likewise for the bitwise ones."""
    if isinstance(node, ast.AugAssign):
        old = SYMBOLS.get(type(node.op), "@")
        sides = (node.target, node.value)
        others = (
            () if any(is_sequence(side, source) for side in sides) else (*other_arithmetic(old), *BITWISE.get(old, ()))
        )
        for new in ("", *others):
            yield source.swap_between(node.target, node.value, f"{old}=", f"{new}=")


def return_replacement(node: ast.AST, source: Source) -> Iterator[Edit]:
    """RVR: a returned value by ``None``, its negation, the empty value of its type, a part of its tuple."""
    if not isinstance(node, ast.Return) or node.value is None:
        return
    value, annotation = node.value, _returned_kind(node, source)
    new = [EMPTY[annotation]] if annotation in EMPTY else ["True", "False"] if annotation == "bool" else []
    if (annotation == "bool" or _is_boolean(value)) and is_negatable(value):
        new.append(f"not {source.operand(value)}")
    if isinstance(value, ast.Tuple) and len(value.elts) > 1:
        for dropped in value.elts:
            new.append(", ".join(source.segment(kept) for kept in value.elts if kept is not dropped))
    yield from (source.replace(value, text) for text in ("None", *new))


def jump_replacement(node: ast.AST, source: Source) -> Iterator[Edit]:
    """BCR: ``break`` by ``continue``, or the other way round."""
    if isinstance(node, (ast.Break, ast.Continue)):
        yield Edit(*source.span(node), "continue" if isinstance(node, ast.Break) else "break")


def zero_iterations(node: ast.AST, source: Source) -> Iterator[Edit]:
    """ZIL: a ``break`` opens the body of a loop."""
    if isinstance(node, LOOPS):
        start, _ = source.line_span(node.body[0].lineno, node.body[0].lineno)
        yield Edit(start, start, " " * node.body[0].col_offset + "break\n")


def one_iteration(node: ast.AST, source: Source) -> Iterator[Edit]:
    """OIL: a ``break`` closes the body of a loop."""
    leaving = (ast.Return, ast.Raise, ast.Break, ast.Continue)
    if isinstance(node, LOOPS) and not isinstance(node.body[-1], leaving):
        _, end = source.line_span(node.body[-1].lineno, node.body[-1].end_lineno)
        yield Edit(end, end, " " * node.body[0].col_offset + "break\n")


def reverse_iteration(node: ast.AST, source: Source) -> Iterator[Edit]:
    """RIL: a ``for`` loop runs backwards; only over what :func:`reversed` can take."""
    if isinstance(node, ast.For):
        one_way = {"reversed", "enumerate", "zip", "map", "filter", "set", "iter"}
        if called_name(node.iter) not in one_way and not isinstance(node.iter, (ast.GeneratorExp, ast.Set)):
            yield source.replace(node.iter, f"reversed({source.segment(node.iter)})")


def handler_deletion(node: ast.AST, source: Source) -> Iterator[Edit]:
    """EHD: an exception handler only raises again."""
    if isinstance(node, ast.ExceptHandler):
        first, last = node.body[0], node.body[-1]
        yield Edit(source.span(first)[0], source.span(last)[1], "raise")


def _is_boolean(node: ast.AST) -> bool:
    predicates = {"all", "any", "callable", "bool", "startswith", "endswith"}
    called = called_name(node)
    return isinstance(node, (ast.BoolOp, ast.Compare)) or called in predicates or called.startswith("is")


def _returned_kind(node: ast.AST, source: Source) -> str:
    """Name of the annotated return type of the function around ``node``: lower case, without parameters."""
    returns = next(scope.returns for scope in source.ancestors(node) if isinstance(scope, FUNCTIONS))
    name = returns.value if isinstance(returns, ast.Subscript) else returns
    return getattr(name, "id", "").lower()
