"""What every notebook of the study promises, as functions that list what is wrong with one (JSON form)."""

from __future__ import annotations

import ast
import re
from typing import Any

from llmexp_utils.errors import StudyError
from llmexp_utils.notebooks import Cell, cells_of, read_parameters
from llmexp_utils.params import Params

LONGEST_CELL = 20
HEAD_ROWS = ("reads", "writes", "minutes", "you will learn")
ABSOLUTE = re.compile(r"(?<![\w.:/])(/(home|Users|root|tmp|work|mnt|media|opt|var|usr|srv|etc)/|~/|[A-Za-z]:\\)")
RESULT_NUMBER = re.compile(r"(?<![\w.])(\d[\d.]*\s?%|\d+\.\d+(?![\d.]*\w)|\d[\d.]*\s(percent|points)\b)")


def problems(notebook: dict[str, Any], model: type[Params]) -> list[str]:
    """Everything that is wrong with a notebook; empty when it keeps the contract."""
    cells = cells_of(notebook)
    return [
        *file_problems(notebook),
        *parameter_problems(cells, model),
        *head_problems(cells),
        *end_problems(cells),
        *code_problems(cells, model),
        *prose_problems(cells),
    ]


def file_problems(notebook: dict[str, Any]) -> list[str]:
    """Valid, for the kernel python3, without outputs and traces of a run."""
    import nbformat

    found = []
    try:
        nbformat.validate(nbformat.from_dict(notebook))
    except nbformat.ValidationError as error:
        found.append(f"not valid: {str(error).splitlines()[0]}")
    if notebook.get("metadata", {}).get("kernelspec", {}).get("name") != "python3":
        found.append("the kernel is not python3")
    ids = [cell.get("id") for cell in notebook["cells"]]
    if len(set(ids)) < len(ids) or None in ids:
        found.append("cell ids are missing or not unique")
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell.get("outputs") or cell.get("execution_count") is not None:
            found.append(f"cell {number} has outputs or an execution count")
        if {"execution", "papermill"} & cell["metadata"].keys():
            found.append(f"cell {number} has traces of a run in its metadata")
    return found


def parameter_problems(cells: list[Cell], model: type[Params]) -> list[str]:
    """The first code cell sets exactly the model's fields, to valid values; results go to ``runs/``."""
    try:
        declared = read_parameters(cells)
        params = model.check({parameter.name: parameter.value for parameter in declared})
    except StudyError as error:
        return str(error).splitlines()
    found = []
    if "parameters" not in next(cell for cell in cells if cell.kind == "code").tags:
        found.append("the parameters cell is not the first code cell")
    types = model.plain_types()
    for parameter in declared:
        if parameter.annotation not in (types[parameter.name], types[parameter.name].split("[")[0]):
            found.append(f"parameter {parameter.name}: the type is {types[parameter.name]}")
    for name in model.names("writes"):
        if not getattr(params, name).startswith("runs/"):
            found.append(f"parameter {name}: the default writes outside runs/")
    return found


def head_problems(cells: list[Cell]) -> list[str]:
    """Title, question as a quote, table."""
    if not cells or cells[0].kind != "markdown":
        return ["the first cell is not Markdown"]
    lines = cells[0].source.splitlines()
    found = [] if lines and lines[0].startswith("# ") else ["the first line is not a title (`# `)"]
    if not any(line.startswith("> ") and line.rstrip().endswith("?") for line in lines):
        found.append("the head has no question as a quote (`> ...?`)")
    entries = {entry.strip().lower() for line in lines if line.startswith("|") for entry in line.split("|")}
    return found + [f"the head's table has no entry '{row}'" for row in HEAD_ROWS if row not in entries]


def end_problems(cells: list[Cell]) -> list[str]:
    """What we learned (3 bullets), check yourself (2 or 3 questions), next, provenance footer."""
    text = "\n".join(cell.source for cell in cells if cell.kind == "markdown")
    sections = re.split(r"(?m)^## ", text)[1:]
    titles = [section.splitlines()[0].strip().lower() for section in sections]
    found = []
    ending = [title for title in titles if title != "next"][-2:]
    if ending != ["what we learned", "check yourself"]:
        return ["the last sections are not 'What we learned', 'Check yourself' and what is next"]
    learned, asked = (sections[titles.index(title)] for title in ending)
    if len(re.findall(r"(?m)^[-*] ", learned)) != 3:
        found.append("'What we learned' has not three bullets")
    items = re.split(r"(?m)^(?:[-*]|\d\.) ", re.split(r"(?m)^\*\*Next", asked)[0])[1:]
    if len(items) not in (2, 3):
        found.append("'Check yourself' has not two or three questions")
    if "next" not in titles and not re.search(r"(?m)^\*\*Next\b", asked):
        found.append("nothing says what is next")
    if cells[-1].kind != "code" or "provenance" not in cells[-1].source:
        found.append("the last cell is not the provenance footer")
    return found


def code_problems(cells: list[Cell], model: type[Params]) -> list[str]:
    """Short cells, imports in one place, messages in asserts, one figure a cell, the model built once."""
    code = [cell for cell in cells if cell.kind == "code"]
    after = [position for position, cell in enumerate(code, start=1) if "parameters" in cell.tags]
    found = []
    for position, cell in enumerate(code):
        lines = cell.source.strip().splitlines()
        place = f"code cell {position + 1} (`{lines[0] if lines else 'empty'}`)"
        if "parameters" not in cell.tags and not 0 < len(lines) <= LONGEST_CELL:
            found.append(f"{place} has {len(lines)} lines, not 1 to {LONGEST_CELL}")
        try:
            nodes = list(ast.walk(ast.parse(re.sub(r"(?m)^[%!?].*$", "", cell.source))))
        except SyntaxError as error:
            found.append(f"{place} does not parse: {error.msg}")
            continue
        if position not in after and any(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes):
            found.append(f"{place} imports; the imports belong into the cell after the parameters")
        if any(isinstance(node, ast.Assert) and node.msg is None for node in nodes):
            found.append(f"{place} has an assert without a message")
        if sum(isinstance(node, ast.Call) and _name(node) == "save_figure" for node in nodes) > 1:
            found.append(f"{place} saves more than one figure")
    built = sum(cell.source.count(f"{model.__name__}.from_notebook(globals())") for cell in code)
    if built != 1:
        found.append(f"`{model.__name__}.from_notebook(globals())` is called {built} times, not once")
    return found


def prose_problems(cells: list[Cell]) -> list[str]:
    """No path of one machine; no result typed by hand (a percentage or a decimal number) in the Markdown.

    Sentences about another paper may have its numbers.
    """
    found = []
    for number, cell in enumerate(cells, start=1):
        if match := ABSOLUTE.search(cell.source):
            found.append(f"cell {number} has an absolute path ({match[0]})")
        if cell.kind == "markdown" and (match := RESULT_NUMBER.search(_plain_prose(cell.source))):
            found.append(f"cell {number}: a number typed by hand ('{match[0]}'); let a code cell print it")
    return found


def _plain_prose(text: str) -> str:
    """Markdown without code, formulas, links' targets, tables, interval levels and sentences about papers."""
    for pattern in (
        r"```.*?```",
        r"`[^`]*`",
        r"\$\$.*?\$\$",
        r"\$[^$\n]*\$",
        r"\]\([^)]*\)",
        r"(?m)^[|#].*$",
    ):
        text = re.sub(pattern, " ", text, flags=re.DOTALL if "." in pattern and "(?m)" not in pattern else 0)
    text = re.sub(r"\b(version|Python|section|arXiv:?)\s*\d[\d.]*|\b95\s?%", " ", text, flags=re.IGNORECASE)
    sentences = re.split(r"(?<=[.?!])\s", text)
    return " ".join(each for each in sentences if not re.search(r"\bpapers?\b|et al\.", each, re.IGNORECASE))


def _name(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))
