"""Source text of Java methods: the normal form, tokens and lines that :mod:`llmexp_utils.code` has for Python.

A text is what stands between the braces of a class: one or more methods. There is no formatter for Java among Python's
packages, so the author's line breaks stay: normal form is without comments and blank lines, moved to the left margin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING

from llmexp_utils.code import CodeError, Program

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

OPEN, CLOSE = "class Solution {\n", "\n}"
HEAD = 3  # tokens before the inside of the class
COMMENTS = {"line_comment", "block_comment"}
NAMING = {
    "method_declaration", "constructor_declaration", "class_declaration", "formal_parameter", "variable_declarator",
    "enhanced_for_statement", "catch_formal_parameter", "resource",
}  # fmt: skip
WHOLE = {"string_literal", "character_literal"}  # tokens, though the grammar looks into them


def normalise(source: str) -> Program:
    """Normal form of methods, or of a file with one class, of which the imports become the preamble.

    Raises
    ------
    CodeError
        If the text does not parse, or holds no method.

    Examples
    --------
    >>> normalise("  int f(int x) { // doubles\\n\\n    return x + x;\\n  }").code
    'int f(int x) {\\n  return x + x;\\n}\\n'
    """
    imports, body = _imports_and_body(source)
    code = "".join(f"{text}\n" for _, text in code_lines(body))
    if not method_names(code):
        raise CodeError("contains no method")
    return Program(imports, code)


def code_lines(source: str) -> list[tuple[int, str]]:
    """(number in ``source``, text) of the lines that are left in normal form."""
    data = source.replace("\t", "    ").replace("\r\n", "\n").encode()
    kept = bytearray(data)
    shift = len(OPEN.encode())
    for node in _leaves(parse(data.decode())):
        if node.type in COMMENTS:
            start, end = node.start_byte - shift, node.end_byte - shift
            kept[start:end] = bytes(byte if byte == 10 else 32 for byte in data[start:end])
    rows = [(number, row.rstrip()) for number, row in enumerate(kept.decode().split("\n"), start=1)]
    rows = [(number, row) for number, row in rows if row]
    margin = min((len(row) - len(row.lstrip()) for _, row in rows), default=0)
    return [(number, row[margin:]) for number, row in rows]


def tokens(code: str) -> list[str]:
    """Lexical tokens of methods, without layout and comments."""
    inside = list(_leaves(parse(code)))[HEAD:-1]
    return [node.text.decode() for node in inside if node.type not in COMMENTS]


def parse(code: str) -> Node:
    """Syntax tree of methods, inside a class of one line more.

    Raises
    ------
    CodeError
        If the text is no Java, or closes the class that it stands in.
    """
    tree = _parser().parse(f"{OPEN}{code}{CLOSE}".encode()).root_node
    if tree.has_error or tree.named_child_count != 1:
        raise CodeError("does not parse as methods of a Java class")
    return tree


def method_names(code: str) -> set[str]:
    """Names of the methods of a text, constructors included."""
    body = parse(code).named_children[0].child_by_field_name("body")
    methods = [node for node in body.named_children if node.type in ("method_declaration", "constructor_declaration")]
    return {node.child_by_field_name("name").text.decode() for node in methods}


def normal_tokens(code: str) -> list[str]:
    """Tokens with the names that the methods give replaced by their order of appearance, literals by their kind.

    Examples
    --------
    >>> " ".join(normal_tokens("int f(int x) { return Math.abs(x) + 1; }"))
    'int v0 ( int v1 ) { return Math . abs ( v1 ) + <decimal_integer> ; }'
    """
    root = parse(code)
    own, numbers, found = _own_names(root), {}, []
    for node in list(_leaves(root))[HEAD:-1]:
        text = node.text.decode()
        if node.type in COMMENTS:
            continue
        if node.type == "identifier" and text in own and not _is_foreign(node):
            text = numbers.setdefault(text, f"v{len(numbers)}")
        elif node.type.endswith("_literal"):
            text = f"<{node.type.removesuffix('_literal')}>"
        found.append(text)
    return found


def neutral_names(code: str, entry_point: str) -> str:
    """Methods whose entry point is called ``program`` and whose helpers ``helper0``, …: names tell the problem.

    Examples
    --------
    >>> neutral_names("int twice(int x) { return x + this.twice(0); }", "twice")
    'int program(int x) { return x + this.program(0); }'
    """
    helpers = [name for name in names_in_order(code) if name != entry_point]
    return renamed(code, {entry_point: "program"} | {name: f"helper{number}" for number, name in enumerate(helpers)})


def renamed(code: str, new: Mapping[str, str]) -> str:
    """Methods under the names that ``new`` gives them, wherever they are called."""
    data, shift = bytearray(code.encode()), len(OPEN.encode())
    for node in reversed(list(_leaves(parse(code)))):
        text = node.text.decode()
        if node.type == "identifier" and text in new and _names_method(node):
            data[node.start_byte - shift : node.end_byte - shift] = new[text].encode()
    return data.decode()


def names_in_order(code: str) -> list[str]:
    """Names of the methods of a text, in the order of the text."""
    body = parse(code).named_children[0].child_by_field_name("body")
    methods = [node for node in body.named_children if node.type == "method_declaration"]
    return list(dict.fromkeys(node.child_by_field_name("name").text.decode() for node in methods))


def _names_method(node: Node) -> bool:
    """Whether an identifier is the name of a method of the text: declared, or called without another object."""
    parent = node.parent
    if parent.type not in ("method_declaration", "method_invocation") or parent.child_by_field_name("name") != node:
        return False
    return not _is_foreign(node)


def _is_foreign(node: Node) -> bool:
    """Whether an identifier is a member of another object (``box.size``), which the text does not name."""
    parent = node.parent
    field = {"method_invocation": "name", "field_access": "field"}.get(parent.type)
    if field is None or parent.child_by_field_name(field) != node:
        return False
    owner = parent.child_by_field_name("object")
    return owner is not None and owner.type != "this"


def _own_names(root: Node) -> set[str]:
    """Names that a text gives: of methods, parameters, variables and classes."""
    found, todo = set(), list(root.named_children[0].child_by_field_name("body").named_children)
    while todo:
        node = todo.pop()
        todo += node.named_children
        if node.type in NAMING and (name := node.child_by_field_name("name")) is not None:
            found.add(name.text.decode())
        elif node.type in ("inferred_parameters", "lambda_expression"):
            found |= {child.text.decode() for child in node.named_children[:1] if child.type == "identifier"}
    return found


def _imports_and_body(source: str) -> tuple[str, str]:
    """Import lines of a file and the inside of its class; a text that is no file is such an inside itself."""
    tree = _parser().parse(source.encode()).root_node
    classes = [node for node in tree.named_children if node.type == "class_declaration"]
    if tree.has_error or len(classes) != 1:
        return "", source
    imports = [node.text.decode() for node in tree.named_children if node.type == "import_declaration"]
    body = classes[0].child_by_field_name("body").text.decode()
    return "".join(f"{line}\n" for line in imports), body[1:-1]


def _leaves(node: Node) -> Iterator[Node]:
    if node.type in WHOLE or node.type in COMMENTS or not node.children:
        yield node
        return
    for child in node.children:
        yield from _leaves(child)


@cache
def _parser() -> Parser:
    import tree_sitter
    import tree_sitter_java

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_java.language()))
