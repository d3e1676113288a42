"""Notebook files as data: their cells, and the ``parameters`` cell read without running it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmexp_utils.errors import StudyError


@dataclass(frozen=True)
class Cell:
    """One cell: ``kind`` is "code", "markdown" or "raw"."""

    kind: str
    source: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parameter:
    """One line of a ``parameters`` cell: ``name: annotation = value  # help``."""

    name: str
    annotation: str
    value: Any
    help: str


def read_cells(path: Path) -> list[Cell]:
    """Cells of a notebook file, read as plain JSON: nbformat takes seconds to import."""
    try:
        return cells_of(json.loads(Path(path).read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudyError(f"{path} is not a notebook ({error})") from error


def cells_of(notebook: dict[str, Any]) -> list[Cell]:
    """Cells of a notebook in its JSON form."""
    return [
        Cell(cell["cell_type"], "".join(cell["source"]), tuple(cell.get("metadata", {}).get("tags", ())))
        for cell in notebook["cells"]
    ]


def read_parameters(cells: Sequence[Cell]) -> list[Parameter]:
    """Parameters that a notebook declares, in its one cell tagged ``parameters``.

    Raises
    ------
    StudyError
        If there is not exactly one such cell, or if a line of it is not ``name: type = literal  # help``.

    Examples
    --------
    >>> cell = Cell("code", "n_samples: int = 8  # answers a function", ("parameters",))
    >>> read_parameters([cell])
    [Parameter(name='n_samples', annotation='int', value=8, help='answers a function')]
    """
    tagged = [cell for cell in cells if "parameters" in cell.tags]
    if len(tagged) != 1 or tagged[0].kind != "code":
        raise StudyError(f"{len(tagged)} cells are tagged 'parameters'; a notebook needs one, of code")
    lines = [line for line in tagged[0].source.splitlines() if line.strip() and not line.startswith("#")]
    found = [_parameter(line) for line in lines]
    names = [parameter.name for parameter in found]
    for name in names:
        if names.count(name) > 1:
            raise StudyError(f"parameters cell: '{name}' is set twice")
    return found


def _parameter(line: str) -> Parameter:
    advice = StudyError(f"parameters cell: write `name: type = literal  # help` in place of `{line.strip()}`")
    try:
        (node,) = ast.parse(line).body
        value = ast.literal_eval(node.value)
        name, annotation = node.target.id, ast.unparse(node.annotation)
    except (SyntaxError, ValueError, AttributeError):
        raise advice from None
    rest = line.encode()[node.end_col_offset :].decode()
    comment = re.fullmatch(r"\s+#\s*(\S.*)", rest)
    if comment is None:
        raise advice
    return Parameter(name, annotation, value, comment[1].strip())
