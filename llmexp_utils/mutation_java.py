"""Rule-based faults in Java: first-order mutants by the operators of :mod:`llmexp_utils.mutation` that Java shares.

Names follow the same literature: AOR, ROR, LCR, COI, COD, CRP, SDL, RVR, ASR, and UOI as MuJava has it (Ma, Offutt,
Kwon 2005). Edits are made on the syntax tree; a mutant that does not parse, or repeats another one, is not made.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from llmexp_utils import java
from llmexp_utils.code import CodeError, changed_lines, lines_touched
from llmexp_utils.mutation import MAX_LINES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from tree_sitter import Node

    from llmexp_utils.benchmarks import Function

REPLACED = {
    "AOR": (("+", "-"), ("*", "/", "%")),
    "ROR": (("<", "<=", ">", ">=", "==", "!="),),
    "LCR": (("&&", "||"),),
}
ASSIGNED = (("+=", "-="), ("*=", "/="))
DELETED = ("expression_statement", "break_statement", "continue_statement", "if_statement", "throw_statement")
CONDITIONED = ("if_statement", "while_statement", "do_statement")


class Edit(NamedTuple):
    """Bytes ``start`` to ``stop`` of the parsed text become ``new``; ``operator`` says why."""

    operator: str
    start: int
    stop: int
    new: str


def sample_mutants(functions: Sequence[Function], n_per_function: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw mutants evenly over the operators, as :func:`llmexp_utils.mutation.sample_mutants` does for Python.

    Returns
    -------
    DataFrame
        A fault frame with ``source`` "mutation" and the column ``operator``; nothing is tested yet.
    """
    import pandas as pd

    columns = ["fault_id", "task_id", "source", "code", "lines", "correct", "fault_type", "operator"]
    pairs = zip(functions, rng.spawn(len(functions)), strict=True)
    rows = [row for function, own in pairs for row in itertools.islice(_rows(function, own), n_per_function)]
    return pd.DataFrame(rows, columns=columns)


def edits(code: str) -> dict[str, list[Edit]]:
    """Every edit of every operator, in the order of the text.

    Examples
    --------
    >>> sorted(edits("int f(int x) {\\n    return x + 1;\\n}\\n"))
    ['AOR', 'CRP', 'RVR', 'UOI']
    """
    found: dict[str, list[Edit]] = {}
    for edit in itertools.chain.from_iterable(_edits(node) for node in _nodes(java.parse(code))):
        found.setdefault(edit.operator, []).append(edit)
    return found


def _rows(function: Function, rng: np.random.Generator) -> Iterator[dict[str, object]]:
    seen = {tuple(java.tokens(function.code))}
    left = edits(function.code)
    while left:
        operator = list(left)[rng.integers(len(left))]
        edit = left[operator].pop(rng.integers(len(left[operator])))
        if not left[operator]:
            del left[operator]
        code = _applied(function.code, edit, seen)
        if code is None:
            continue
        digest = hashlib.sha256(code.encode()).hexdigest()[:10]
        yield {
            "fault_id": f"{function.task_id}#{operator}-{digest}",
            "task_id": function.task_id,
            "source": "mutation",
            "code": code,
            "lines": changed_lines(function.code, code),
            "correct": function.code,
            "fault_type": "",
            "operator": operator,
        }


def _applied(code: str, edit: Edit, seen: set[tuple[str, ...]]) -> str | None:
    """The mutant of an edit, or None if it is no method, too large or seen before (``seen`` grows)."""
    shift, data = len(java.OPEN.encode()), code.encode()
    text = data[: edit.start - shift].decode() + edit.new + data[edit.stop - shift :].decode()
    try:
        mutant = java.normalise(text).code
    except CodeError:
        return None
    key = tuple(java.tokens(mutant))
    if key in seen or lines_touched(code, mutant) > MAX_LINES:
        return None
    seen.add(key)
    return mutant


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _nodes(child)


def _edits(node: Node) -> Iterator[Edit]:
    match node.type:
        case "binary_expression":
            yield from _replaced(node, REPLACED)
        case "assignment_expression":
            yield from _replaced(node, {"ASR": ASSIGNED})
        case "unary_expression" if node.children[0].type == "!":
            yield Edit("COD", node.start_byte, node.children[0].end_byte, "")
        case "decimal_integer_literal":
            yield from (_whole("CRP", node, f"({node.text.decode()} {sign} 1)") for sign in "+-")
        case "true" | "false":
            yield _whole("CRP", node, "false" if node.type == "true" else "true")
        case "identifier" if node.parent.type in ("binary_expression", "return_statement", "array_access"):
            yield _whole("UOI", node, f"-{node.text.decode()}")
        case "return_statement" if node.named_child_count:
            yield from (_whole("RVR", node.named_children[0], value) for value in _others(node.named_children[0]))
        case "parenthesized_expression" if node.parent.type in CONDITIONED:
            yield _whole("COI", node, f"(!{node.text.decode()})")
    if node.type in DELETED and node.parent.type == "block":
        yield _whole("SDL", node, "")


def _replaced(node: Node, table: dict[str, tuple[tuple[str, ...], ...]]) -> Iterator[Edit]:
    operator = node.child_by_field_name("operator")
    for name, families in table.items():
        for family in families:
            if operator.type in family:
                yield from (_whole(name, operator, other) for other in family if other != operator.type)


def _others(value: Node) -> list[str]:
    """Constants of the method's type that a returned value is not."""
    method = value
    while method.type != "method_declaration" and method.parent is not None:
        method = method.parent
    kind = method.child_by_field_name("type")
    constants = {"boolean_type": ["true", "false"], "integral_type": ["0"], "floating_point_type": ["0"]}
    found = constants.get(kind.type, ["null"]) if kind else []
    return [constant for constant in found if constant != value.text.decode()]


def _whole(operator: str, node: Node, new: str) -> Edit:
    return Edit(operator, node.start_byte, node.end_byte, new)
