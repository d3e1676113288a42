"""Source text of Java methods: the normal form, tokens and lines that :mod:`llmexp_utils.code` has for Python.

A text is what stands between the braces of a class: one or more methods. There is no formatter for Java among Python's
packages, so the author's line breaks stay: normal form is without comments and blank lines, moved to the left margin.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from llmexp_utils.code import CodeError, Program

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

OPEN, CLOSE = "class Solution {\n", "\n}"
HEAD = 3  # tokens before the inside of the class
COMMENTS = {"line_comment", "block_comment"}
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
