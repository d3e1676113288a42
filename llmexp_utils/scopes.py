"""Local variables of a Python function: which ones hold a value at a place, and of what kind they look."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from llmexp_utils.source_edits import Source

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
KIND_OF_NAME = {
    "int": "number", "float": "number", "bool": "number", "len": "number", "sum": "number", "abs": "number",
    "round": "number", "ord": "number", "count": "number", "str": "text", "join": "text", "lower": "text",
    "upper": "text", "chr": "text", "list": "list", "sorted": "list", "split": "list", "dict": "dict",
    "set": "set", "tuple": "tuple",
}  # fmt: skip
KIND_OF_NODE = {
    ast.JoinedStr: "text", ast.List: "list", ast.ListComp: "list", ast.Dict: "dict", ast.DictComp: "dict",
    ast.Set: "set", ast.SetComp: "set", ast.Tuple: "tuple", ast.Compare: "number",
}  # fmt: skip


def called_name(node: ast.AST) -> str:
    """Name of the function or method that a call calls; "" for anything else."""
    func = getattr(node, "func", None)
    return getattr(func, "id", getattr(func, "attr", ""))


def variables_at(node: ast.AST, source: Source) -> list[str]:
    """Local variables (parameters included) that hold a value at ``node``, outer scopes first.

    Examples
    --------
    >>> source = Source.read("def f(a):\\n    b = a\\n    return a + b\\n")
    >>> variables_at(source.tree.body[0].body[0].value, source)
    ['a']
    """
    position, names = source.span(node)[0], {}
    for scope in reversed(list(source.ancestors(node))):
        names.update((name, None) for name, bound in _bound_in(scope, node, source) if bound <= position)
    return list(names)


def alternatives(node: ast.Name, source: Source) -> list[str]:
    """Variables that could stand in the place of one: those whose kind is the same, or not known."""
    names, kinds = variables_at(node, source), variable_kinds(source.tree)
    if node.id not in names:
        return []
    own = kinds.get(node.id)
    return [name for name in names if name != node.id and (own is None or kinds.get(name, own) == own)]


def variable_kinds(tree: ast.AST) -> dict[str, str]:
    """Kind (number, text, list, ...) of the variables whose annotation or first-hand values agree on one."""
    seen: dict[str, set[str]] = {}
    nodes = (node for node in ast.walk(tree) if isinstance(node, (ast.arg, ast.Assign, ast.For)))
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
        for name, kind in _evidence(node, seen):
            if kind:
                seen.setdefault(name, set()).add(kind)
    return {name: next(iter(kinds)) for name, kinds in seen.items() if len(kinds) == 1}


def _evidence(node: ast.AST, seen: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.arg):
        yield node.arg, annotated_name(node.annotation)
    elif isinstance(node, ast.Assign) and len(node.targets) == 1:
        yield from _paired(node.targets[0], node.value)
    elif isinstance(node, ast.For):
        called, target = called_name(node.iter), node.target
        if called == "enumerate" and isinstance(target, ast.Tuple):
            target, called = target.elts[0], "range"
        if isinstance(target, ast.Name) and called == "range":
            yield target.id, "number"
        elif isinstance(target, ast.Name) and seen.get(getattr(node.iter, "id", "")) == {"text"}:
            yield target.id, "text"  # the characters of a text


def _paired(target: ast.AST, value: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(target, ast.Name):
        yield target.id, _kind(value)
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, other in zip(target.elts, value.elts, strict=False):
            yield from _paired(one, other)


def kind_of(node: ast.AST, source: Source) -> str:
    """Kind that an expression looks to be of, by its form or its variable; "" if that is open."""
    return variable_kinds(source.tree).get(node.id, "") if isinstance(node, ast.Name) else _kind(node)


def _kind(value: ast.AST) -> str:
    if isinstance(value, ast.Constant):
        return KIND_OF_NAME.get(type(value.value).__name__, "")
    return KIND_OF_NODE.get(type(value), KIND_OF_NAME.get(called_name(value), ""))


def annotated_name(annotation: ast.AST | None) -> str:
    """Kind that an annotation promises, such as "list" for ``List[int]``; "" if it is not known."""
    name = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return KIND_OF_NAME.get(getattr(name, "id", "").lower(), "")


def _bound_in(scope: ast.AST, user: ast.AST, source: Source) -> Iterator[tuple[str, int]]:
    """(name, offset from which it holds a value) of what ``scope`` binds, as ``user`` sees it."""
    if isinstance(scope, (*FUNCTIONS, ast.Lambda)):
        yield from ((arg.arg, 0) for arg in ast.walk(scope.args) if isinstance(arg, ast.arg))
        body = scope.body if isinstance(scope.body, list) else []
        for name in (found for statement in body for found in _stores(statement)):
            yield name.id, _bound_from(name, source)
    elif isinstance(scope, COMPREHENSIONS):
        first = scope.generators[0].iter
        if user is not first and first not in source.ancestors(user):  # it is evaluated outside the scope
            targets = (found for generator in scope.generators for found in ast.walk(generator.target))
            yield from ((found.id, 0) for found in targets if isinstance(found, ast.Name))


def _bound_from(name: ast.Name, source: Source) -> int:
    """Offset after which a stored name has its value: not yet on the right side of its own assignment."""
    for node in source.ancestors(name):
        if isinstance(node, (ast.For, ast.AsyncFor)):
            return source.span(node.iter)[1]
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            return source.span(node)[1]
        if isinstance(node, (ast.NamedExpr, ast.stmt)):
            return source.span(name)[1]
    return 0


def _stores(node: ast.AST) -> Iterator[ast.Name]:
    """Names stored by a statement in its own scope (nested functions and comprehensions keep theirs)."""
    if isinstance(node, (*COMPREHENSIONS, ast.Lambda, *FUNCTIONS, ast.ClassDef)):
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _stores(child)
