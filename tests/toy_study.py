"""A study in miniature for tests: the real parameter models, notebooks of one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from llmexp_utils.notebook_params import NOTEBOOKS
from llmexp_utils.params import Params

REPOSITORY = Path(__file__).resolve().parent.parent
SPECIAL = {"prices": [], "money_budget": 0.0, "n_tasks": 10, "n_added": 2, "arm_added": [2]}
SPECIAL |= {name: ["humaneval"] for name in ("benchmarks", "encoder_benchmarks")}
FOLDERS = ("figures", "results")
STUB = '''"""Stands for papermill: runs the cells in this process."""
import json, os, pathlib

class PapermillExecutionError(Exception):
    exec_count, ename, evalue, traceback = 4, "ValueError", "boom", ["..."]

def execute_notebook(notebook, executed, parameters, cwd, **kwargs):
    pathlib.Path(executed).write_text(pathlib.Path(notebook).read_text())
    with open("log.txt", "a") as log:
        log.write(pathlib.Path(notebook).stem + "\\n")
    space = {}
    for cell in json.loads(pathlib.Path(notebook).read_text())["cells"]:
        if cell["cell_type"] == "code":
            try:
                exec(cell["source"], space)
            except ValueError as error:
                raise PapermillExecutionError from error
        if "parameters" in cell["metadata"].get("tags", []):
            space.update(parameters)
'''


def make_notebook(cells: list[tuple[str, str, list[str]]]) -> dict[str, Any]:
    """A valid notebook from (kind, source, tags) triples."""
    written = []
    for number, (kind, source, tags) in enumerate(cells):
        cell: dict[str, Any] = {"id": f"cell{number}", "cell_type": kind, "source": source, "metadata": {}}
        cell |= {"metadata": {"tags": tags}} if tags else {}
        cell |= {"outputs": [], "execution_count": None} if kind == "code" else {}
        written.append(cell)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": written}


def make_study(root: Path, stub: bool = True) -> Path:
    """A repository with toy notebooks, one profile ``smoke`` and the real package and Snakefile."""
    for folder in ("notebooks", "params", "data"):
        (root / folder).mkdir(parents=True)
    (root / "pyproject.toml").write_text("")
    (root / "llmexp_utils").symlink_to(REPOSITORY / "llmexp_utils")
    (root / "Snakefile").write_text((REPOSITORY / "Snakefile").read_text())
    (root / "params" / "smoke.yaml").write_text("common:\n  seed: 3\nminutes:\n  01_benchmarks: 2\n")
    if stub:  # a module beside the working folder wins over the installed one
        (root / "papermill.py").write_text(STUB)
        (root / "nbclient").mkdir()
        (root / "nbclient" / "exceptions.py").write_text("class DeadKernelError(Exception): pass\n")
    for name in NOTEBOOKS:
        write_toy(root, name)
    return root


def write_toy(root: Path, name: str, code: str = "", prose: str = "# Toy") -> None:
    """Write one toy notebook, which writes every file it declares and then runs ``code``."""
    model = NOTEBOOKS[name]
    values = {field: toy_value(root, model, field) for field in model.model_fields}
    types = model.plain_types()
    parameters = "\n".join(f"{field}: {types[field]} = {value!r}  # toy" for field, value in values.items())
    build = "from llmexp_utils.notebook_params import NOTEBOOKS\n"
    build += f"p = NOTEBOOKS['{name}'].from_notebook(globals())"
    writes = "import pathlib\n" + "".join(_writing(field, name) for field in model.names("writes"))
    cells = [
        ("markdown", prose, []),
        ("code", parameters, ["parameters"]),
        ("code", build, []),
        ("code", writes + code, []),
    ]
    (root / "notebooks" / f"{name}.ipynb").write_text(json.dumps(make_notebook(cells)))


def _writing(field: str, name: str) -> str:
    """Lines that write a declared file, or a table into a declared folder."""
    if field not in FOLDERS:
        return f"open(p.{field}, 'w').write('x')\n"
    return (
        f"folder = pathlib.Path(p.{field})\nfolder.mkdir(exist_ok=True)\n(folder / 'tab_{name}.csv').write_text('x')\n"
    )


def toy_value(root: Path, model: type[Params], field: str) -> Any:
    """Some valid value of a field; what another notebook writes under the same name is read from there."""
    info = model.model_fields[field]
    if field in FOLDERS:
        return f"runs/notebook/{field}"
    if "writes" in info.metadata or any(field in other.names("writes") for other in NOTEBOOKS.values()):
        return f"runs/notebook/{field}.txt"
    if "reads" in info.metadata:
        (root / "data" / f"{field}.txt").write_text(field)
        return f"data/{field}.txt"
    if field in SPECIAL:
        return SPECIAL[field]
    if field == "conditions" and model.notebook.startswith(("08", "09")):
        return ["C0", "C3"]
    annotation, plain = info.annotation, model.plain_types()[field]
    inner = get_args(annotation)[0] if get_origin(annotation) is list else annotation
    of_clones = "clone" in field or "clone" in model.notebook
    arm = "x/rewrite" if of_clones else "x/function"
    simple = {"str": arm if "arm" in field else "x", "int": 1, "float": 0.5, "bool": True}[
        plain.removeprefix("list[").removesuffix("]")
    ]
    value = get_args(inner)[0] if get_origin(inner) is Literal else simple
    return [value] if plain.startswith("list") else value
