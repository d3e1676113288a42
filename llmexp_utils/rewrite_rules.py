"""Rules that rewrite a Python function without changing what it does: the edits of one rule in one text.

The transformations are those of rule-based clone generation and of semantic-preserving augmentation (Rabin et al. 2021,
arXiv 2008.01566: variable renaming, loop exchange, operand swap, unused statement). Python leaves exceptions to each of
them (overloaded operators, iterators with effects), so the tests of a problem decide in the end.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from textwrap import indent

from llmexp_utils.source_edits import Edit, Source

MIRRORED = {ast.Lt: ">", ast.Gt: "<", ast.LtE: ">=", ast.GtE: "<=", ast.Eq: "==", ast.NotEq: "!="}
SYMBOLS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "//", ast.Mod: "%", ast.Div: "/"}


def swapped_operands(source: Source) -> Iterator[Edit]:
    """``a < b`` as ``b > a``, ``a * b`` as ``b * a``."""
    for node in source.nodes():
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in MIRRORED:
            left, right = source.operand(node.left), source.operand(node.comparators[0])
            yield source.replace(node, f"{right} {MIRRORED[type(node.ops[0])]} {left}")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            yield source.replace(node, f"({source.segment(node.right)}) * ({source.segment(node.left)})")


def loop_as_while(source: Source) -> Iterator[Edit]:
    """``for x in xs`` as a ``while`` over a list and an index, which moves on first, so that ``continue`` is safe."""
    for number, node in enumerate(found for found in source.nodes() if isinstance(found, ast.For) and not found.orelse):
        items, place = f"items_{number}", f"at_{number}"
        head = (
            f"{items} = list({source.segment(node.iter)})\n{place} = 0\nwhile {place} < len({items}):\n"
            f"    {source.segment(node.target)} = {items}[{place}]\n    {place} += 1\n"
        )
        yield _statement(source, node, head + indent(_block(source, node.body), "    "))


def comprehension_as_loop(source: Source) -> Iterator[Edit]:
    """A list comprehension that is assigned or returned, as a loop that appends."""
    for number, node in enumerate(source.nodes()):
        value = getattr(node, "value", None)
        if not isinstance(node, ast.Assign | ast.Return) or not isinstance(value, ast.ListComp):
            continue
        name, depth = f"built_{number}", 0
        text = f"{name} = []\n"
        for generator in value.generators:
            text += _pad(depth, f"for {source.segment(generator.target)} in {source.segment(generator.iter)}:")
            depth += 1
            for condition in generator.ifs:
                text += _pad(depth, f"if {source.segment(condition)}:")
                depth += 1
        text += _pad(depth, f"{name}.append({source.segment(value.elt)})")
        start = source.segment(node)[: source.span(value)[0] - source.span(node)[0]]
        yield _statement(source, node, f"{text}{start}{name}\n")


def loop_as_comprehension(source: Source) -> Iterator[Edit]:
    """``r = []`` and a loop that only appends to ``r``, as a list comprehension."""
    for node in ast.walk(source.tree):
        body = getattr(node, "body", None)
        for first, loop in pairwise(body) if isinstance(body, list) else ():
            name = _empty_list(first)
            appended = _appended(loop, name) if name else None
            if appended is None:
                continue
            conditions, element = appended
            ifs = "".join(f" if {source.segment(condition)}" for condition in conditions)
            over = f"for {source.segment(loop.target)} in {source.segment(loop.iter)}"
            text = f"{name} = [{source.segment(element)} {over}{ifs}]"
            yield Edit(source.span(first)[0], source.span(loop)[1], text)


def inverted_condition(source: Source) -> Iterator[Edit]:
    """``if c: A else: B`` as ``if not c: B else: A``."""
    for node in source.nodes():
        parent = source.parents.get(node)
        is_elif = isinstance(parent, ast.If) and parent.orelse == [node] and _is_elif(source, node)
        if isinstance(node, ast.If) and node.orelse and not is_elif:
            if len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If) and _is_elif(source, node.orelse[0]):
                continue  # a chain of elif would nest
            then, other = (indent(_block(source, part), "    ") for part in (node.body, node.orelse))
            yield _statement(source, node, f"if not ({source.segment(node.test)}):\n{other}else:\n{then}")
        elif isinstance(node, ast.IfExp):
            parts = [source.operand(part) for part in (node.orelse, node.test, node.body)]
            yield source.replace(node, f"{parts[0]} if not ({parts[1]}) else {parts[2]}")


def long_assignment(source: Source) -> Iterator[Edit]:
    """``x += y`` as ``x = x + y``."""
    for node in source.nodes():
        if isinstance(node, ast.AugAssign) and type(node.op) in SYMBOLS:
            target = source.segment(node.target)
            yield Edit(
                *source.span(node), f"{target} = {target} {SYMBOLS[type(node.op)]} ({source.segment(node.value)})"
            )


def named_result(source: Source) -> Iterator[Edit]:
    """``return e`` as ``outcome = e`` and ``return outcome``."""
    for node in source.nodes():
        if isinstance(node, ast.Return) and node.value and not isinstance(node.value, ast.Name | ast.Constant):
            yield _statement(source, node, f"outcome = {source.segment(node.value)}\nreturn outcome\n")


def dead_code(source: Source) -> Iterator[Edit]:
    """An assignment that nobody reads, before a statement of the function."""
    for number, node in enumerate(source.nodes()):
        if isinstance(node, ast.Assign | ast.For | ast.While | ast.Return) and not _is_elif(source, node):
            start = source.line_span(node.lineno, node.lineno)[0]
            yield Edit(start, start, f"{' ' * node.col_offset}unused_{number} = {number}\n")


def _statement(source: Source, node: ast.stmt, text: str) -> Edit:
    """Edit that puts the statements ``text`` in the place of one, with its indentation."""
    start, end = source.line_span(node.lineno, node.end_lineno)
    return Edit(start, end, indent(text, " " * node.col_offset))


def _block(source: Source, body: list[ast.stmt]) -> str:
    """Text of some statements without their common indentation."""
    start, end = source.line_span(body[0].lineno, body[-1].end_lineno)
    margin = body[0].col_offset
    return "".join(
        line[margin:] if line[:margin].isspace() else line for line in source.text[start:end].splitlines(True)
    )


def _pad(depth: int, text: str) -> str:
    return f"{'    ' * depth}{text}\n"


def _is_elif(source: Source, node: ast.stmt) -> bool:
    return source.lines[node.lineno - 1][node.col_offset :].startswith("elif")


def _empty_list(node: ast.stmt) -> str:
    """Name to which a statement assigns an empty list; "" for anything else."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.List) or node.value.elts:
        return ""
    return getattr(node.targets[0], "id", "") if len(node.targets) == 1 else ""


def _appended(loop: ast.stmt, name: str) -> tuple[list[ast.expr], ast.expr] | None:
    """(conditions, element) of a loop that does nothing but append to ``name``."""
    if not isinstance(loop, ast.For) or loop.orelse or len(loop.body) != 1:
        return None
    inner, conditions = loop.body[0], []
    if isinstance(inner, ast.If) and not inner.orelse and len(inner.body) == 1:
        conditions, inner = [inner.test], inner.body[0]
    call = inner.value if isinstance(inner, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "append":
        return None
    used = {
        found.id
        for part in (*conditions, *call.args, loop.iter)
        for found in ast.walk(part)
        if isinstance(found, ast.Name)
    }
    return None if getattr(call.func.value, "id", "") != name or name in used else (conditions, call.args[0])
