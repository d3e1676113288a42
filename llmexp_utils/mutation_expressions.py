"""Mutation operators on expressions; sources of the names and rules in :mod:`llmexp_utils.mutation`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from llmexp_utils.scopes import alternatives, called_name, kind_of, variables_at
from llmexp_utils.source_edits import Edit, Source

Operator = Callable[[ast.AST, Source], Iterator[Edit]]

SYMBOLS = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in", ast.And: "and", ast.Or: "or",
}  # fmt: skip
ARITHMETIC = ("+", "-", "*", "/", "//", "%")
RELATIONAL = ("==", "!=", "<", "<=", ">", ">=")
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
COMPLEMENT = {"is": "is not", "is not": "is", "in": "not in", "not in": "in"}
BITWISE = {"&": ("|", "^"), "|": ("&", "^"), "^": ("&", "|"), "<<": (">>",), ">>": ("<<",)}
PAIRS = (
    ("min", "max"), ("any", "all"), ("sum", "len"), ("floor", "ceil"), ("int", "round"), ("sorted", "list"),
    ("set", "list"), ("deepcopy", "copy"), ("lower", "upper"), ("islower", "isupper"), ("isalpha", "isalnum"),
    ("isdigit", "isalnum"), ("startswith", "endswith"), ("lstrip", "rstrip"), ("strip", "rstrip"),
    ("find", "rfind"), ("index", "rindex"), ("ljust", "rjust"), ("split", "rsplit"),
    ("partition", "rpartition"), ("removeprefix", "removesuffix"), ("append", "extend"), ("keys", "values"),
    ("union", "intersection"),
)  # fmt: skip
COMMUTATIVE = {"min", "max", "gcd", "lcm", "isclose"}


def arithmetic_replacement(node: ast.AST, source: Source) -> Iterator[Edit]:
    """AOR: each of ``+ - * / // %`` by the others; ``**`` by ``*``, and none by ``**``, which may not end."""
    if isinstance(node, ast.BinOp) and not is_sequence(node, source):
        symbol = SYMBOLS.get(type(node.op), "")
        for other in other_arithmetic(symbol):
            yield source.swap_between(node.left, node.right, symbol, other)


def arithmetic_deletion(node: ast.AST, source: Source) -> Iterator[Edit]:
    """AOD: a sign is dropped, ``-x`` to ``x``."""
    if isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.Not):
        yield source.replace(node, source.segment(node.operand))


def unary_insertion(node: ast.AST, source: Source) -> Iterator[Edit]:
    """UOI: ``-x``, ``x + 1``, ``x - 1`` for a variable or a length in arithmetic, an ordering or an index."""
    is_length = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "len"
    is_variable = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    numeric = _is_numeric_place(node, source) and not is_sequence(node, source)
    if (is_length or is_variable) and numeric:
        text = source.segment(node)
        yield from (source.replace(node, new) for new in (f"-{text}", f"{text} + 1", f"{text} - 1"))


def operand_deletion(node: ast.AST, source: Source) -> Iterator[Edit]:
    """ODL: one operand and its operator are dropped, ``a + b`` to ``a``, ``a and b and c`` to ``a and c``."""
    if isinstance(node, ast.BinOp):
        yield from (source.replace(node, source.segment(side)) for side in (node.left, node.right))
    elif isinstance(node, ast.BoolOp):
        for dropped in node.values:
            kept = [source.operand(value) for value in node.values if value is not dropped]
            yield source.replace(node, f" {SYMBOLS[type(node.op)]} ".join(kept))
    elif isinstance(node, ast.Compare) and len(node.ops) > 1:
        (start, end), links = source.span(node), node.comparators
        yield Edit(start, source.span(links[0])[0], "")
        yield Edit(source.span(links[-2])[1], end, "")


def relational_replacement(node: ast.AST, source: Source) -> Iterator[Edit]:
    """ROR: each of ``== != < <= > >=`` by the others; ``in`` and ``is`` by their negation."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        for left, kind, right in zip(sides, node.ops, sides[1:], strict=False):
            old = SYMBOLS[type(kind)]
            others = [COMPLEMENT[old]] if old in COMPLEMENT else [new for new in RELATIONAL if new != old]
            yield from (source.swap_between(left, right, old, new) for new in others)


def connector_replacement(node: ast.AST, source: Source) -> Iterator[Edit]:
    """LCR: one ``and`` by ``or``, or the other way round."""
    if isinstance(node, ast.BoolOp):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield source.swap_between(left, right, old, new)


def bitwise_replacement(node: ast.AST, source: Source) -> Iterator[Edit]:
    """LOR: ``& | ^`` by each other, a shift by the opposite one."""
    if isinstance(node, ast.BinOp) and (old := SYMBOLS.get(type(node.op))) in BITWISE:
        yield from (source.swap_between(node.left, node.right, old, new) for new in BITWISE[old])


def condition_insertion(node: ast.AST, source: Source) -> Iterator[Edit]:
    """COI: ``not`` before a condition or one of its operands (ROR negates single comparisons already)."""
    parent = source.parents[node]
    tested = isinstance(parent, (ast.If, ast.While, ast.IfExp)) and parent.test is node
    filters = isinstance(parent, ast.comprehension) and node in parent.ifs
    if (tested or filters or isinstance(parent, ast.BoolOp)) and is_negatable(node):
        yield source.replace(node, f"not {source.operand(node)}")


def condition_deletion(node: ast.AST, source: Source) -> Iterator[Edit]:
    """COD: a ``not`` is dropped."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield source.replace(node, source.segment(node.operand))


def constant_replacement(node: ast.AST, source: Source) -> Iterator[Edit]:
    """CRP: a number ``n`` by ``n + 1``, ``n - 1``, 0, 1, ``-n``; a text by ``""`` or ``"XX"``; booleans."""
    value = _constant(node)
    if value is None or _constant(source.parents[node]) is not None:  # the 1 of -1 is a part of it
        return
    if isinstance(value, bool):
        others = [not value]
    elif isinstance(value, (int, float)):
        others = [value + 1, value - 1, type(value)(0), type(value)(1), -value]
    else:
        others = ["", "XX"]
    for other in dict.fromkeys(others):
        if other != value:
            yield source.replace(node, repr(other))


def variable_replacement(node: ast.AST, source: Source) -> Iterator[Edit]:
    """VRR: a local variable that is read by another one that holds a value there and may be of its kind."""
    called = isinstance(source.parents[node], ast.Call) and source.parents[node].func is node
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and not called:
        yield from (Edit(*source.span(node), name) for name in alternatives(node, source))


def slice_removal(node: ast.AST, source: Source) -> Iterator[Edit]:
    """SIR: the lower bound, the upper bound or the step of a slice is dropped."""
    if isinstance(node, ast.Slice):
        parts = [node.lower, node.upper, node.step]
        for dropped in (part for part in parts if part is not None):
            texts = ["" if part in (None, dropped) else source.segment(part) for part in parts]
            yield Edit(*source.span(node), ":".join(texts[:2]) + (f":{texts[2]}" if texts[2] else ""))


def argument_swap(node: ast.AST, source: Source) -> Iterator[Edit]:
    """AIR: two neighbouring positional arguments change places."""
    if isinstance(node, ast.Call) and called_name(node) not in COMMUTATIVE:
        for left, right in zip(node.args, node.args[1:], strict=False):
            (start, middle), (resume, end) = source.span(left), source.span(right)
            yield Edit(start, end, source.segment(right) + source.text[middle:resume] + source.segment(left))


def argument_deletion(node: ast.AST, source: Source) -> Iterator[Edit]:
    """ADL: a keyword argument, or one of several positional arguments, is dropped."""
    if isinstance(node, ast.Call):
        given = [*node.args, *node.keywords]
        start, end = source.text.index("(", source.span(node.func)[1]), source.span(node)[1]
        for dropped in given if len(node.args) > 1 else node.keywords:
            kept = ", ".join(source.segment(argument) for argument in given if argument is not dropped)
            yield Edit(start, end, f"({kept})")


def call_deletion(node: ast.AST, source: Source) -> Iterator[Edit]:
    """CDL: a call by its only argument, a method call by the object it was called on."""
    if not isinstance(node, ast.Call) or isinstance(source.parents[node], ast.Expr):
        return
    argument = node.args[0] if len(node.args) == 1 and not node.keywords else None
    if argument is not None and not isinstance(argument, (ast.GeneratorExp, ast.Starred)):
        yield source.replace(node, source.segment(argument))
    if isinstance(node.func, ast.Attribute):
        receiver = node.func.value
        if not isinstance(receiver, ast.Name) or receiver.id in variables_at(node, source):  # not a module
            yield source.replace(node, source.segment(receiver))


def function_replacement(node: ast.AST, source: Source) -> Iterator[Edit]:
    """FNR: a function or method by its counterpart, such as ``min`` by ``max`` or ``lower`` by ``upper``."""
    name = called_name(node)
    if isinstance(node, ast.Call) and name:
        single = len(node.args) + len(node.keywords) == 1
        end = source.span(node.func)[1]
        for other in dict.fromkeys(b if a == name else a for a, b in PAIRS if name in (a, b)):
            if single or name not in ("sorted", "round", "sum"):  # their counterparts take one argument
                yield Edit(end - len(name), end, other)


def other_arithmetic(symbol: str) -> list[str]:
    """Arithmetic operators that may stand for another one."""
    if symbol == "**":
        return ["*"]
    return [other for other in ARITHMETIC if other != symbol] if symbol in ARITHMETIC else []


def is_sequence(node: ast.AST, source: Source) -> bool:
    """Whether the expression looks like a text or a collection, with which there is no other arithmetic."""
    if isinstance(node, ast.BinOp):
        return is_sequence(node.left, source) or is_sequence(node.right, source)
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Slice)
    return kind_of(node, source) not in ("", "number")


def _is_numeric_place(node: ast.AST, source: Source) -> bool:
    parent = source.parents[node]
    if isinstance(parent, ast.BinOp):
        return SYMBOLS.get(type(parent.op)) in ARITHMETIC and not is_sequence(parent, source)
    if isinstance(parent, ast.Compare):
        return any(isinstance(kind, ORDER) for kind in parent.ops)
    if isinstance(parent, ast.Subscript):
        return parent.slice is node
    return isinstance(parent, ast.Slice) or (called_name(parent) == "range" and node is not parent.func)


def is_negatable(node: ast.AST) -> bool:
    """Whether ``not`` before it is something that neither ROR, COD nor CRP does already."""
    single = isinstance(node, ast.Compare) and len(node.ops) == 1
    return not (single or isinstance(node, ast.Constant) or getattr(node, "op", None).__class__ is ast.Not)


def _constant(node: ast.AST) -> bool | int | float | str | None:
    """Value of a literal number (with its sign), text or truth value; None for any other node."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, (bool, int, float, str)) else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = node.operand.value if isinstance(node.operand, ast.Constant) else None
        return -value if isinstance(value, (int, float)) else None
    return None
