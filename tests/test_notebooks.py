"""The notebook contract: each rule on a made-up notebook that breaks it, then all rules on the real ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import ClassVar

import pytest
from notebook_contract import problems
from toy_study import make_notebook

from llmexp_utils.notebook_params import NOTEBOOKS
from llmexp_utils.params import Params, Writes
from llmexp_utils.profiles import read_profile, resolve
from llmexp_utils.study import open_study

ROOT = Path(__file__).resolve().parent.parent
REAL = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


class Demo(Params):
    notebook: ClassVar[str] = "demo"
    n: int
    figures: Writes


ROWS = "| | |\n|---|---|\n| Reads | a |\n| Writes | b |\n| Minutes | 1 |\n| You will learn | c |"
HEAD = f"# Title\n\n> Why?\n\n{ROWS}"
CELL = 'n: int = 3  # rows\nfigures: str = "runs/notebook/figures"  # folder'
IMPORTS = "import json\n\nfrom llmexp_utils.notebook_params import Demo\n\np = Demo.from_notebook(globals())"
END = "## What we learned\n\n- One.\n- Two.\n- Three.\n\n"
END += "## Check yourself\n\n1. A?\n2. B?\n\n**Next:** `02_more`."
GOOD = [
    ("markdown", HEAD, []),
    ("code", CELL, ["parameters"]),
    ("code", IMPORTS, []),
    (
        "markdown",
        "## Why\n\nThe paper reports 58.4 %. `0.5`, 95 % intervals and 164 problems of a 0.5B model fit.",
        [],
    ),
    ("code", "%matplotlib inline\nassert p.n, 'no rows'\nsave_figure(1)", []),
    ("markdown", END, []),
    ("code", "provenance.footer()", []),
]


def wrong(position: int, old: str, new: str) -> list[str]:
    """Problems of the good notebook after one change in one cell."""
    cells = list(GOOD)
    kind, source, tags = cells[position]
    assert old in source
    cells[position] = (kind, source.replace(old, new), tags)
    return problems(make_notebook(cells), Demo)


def test_a_good_notebook_has_no_problem() -> None:
    assert problems(make_notebook(GOOD), Demo) == []


@pytest.mark.parametrize(
    ("position", "old", "new", "expected"),
    [
        (0, "# Title", "Title", "the first line is not a title"),
        (0, "Why?", "Why.", "the head has no question"),
        (0, "Minutes", "Hours", "the head's table has no entry 'minutes'"),
        (1, "n: int", "m: int", "unknown parameter 'm' in demo"),
        (1, "= 3", "= '3'", "demo: n: '3' is text; write 3"),
        (1, "n: int", "n: float", "parameter n: the type is int"),
        (1, "# rows", "", "write `name: type = literal  # help`"),
        (1, "runs/notebook/", "", "parameter figures: the default writes outside runs/"),
        (2, "p = Demo.from_notebook(globals())", "", "is called 0 times, not once"),
        (3, "fit", "gain 12 %", "a number typed by hand ('12 %')"),
        (3, "fit", "reach 0.53", "a number typed by hand ('0.53')"),
        (3, "fit", "lie in /home/me/data", "cell 4 has an absolute path (/home/)"),
        (4, "save_figure(1)", "import os", "imports; the imports belong"),
        (4, "save_figure(1)", "save_figure(1)\nplots.save_figure(2)", "saves more than one figure"),
        (4, ", 'no rows'", "", "has an assert without a message"),
        (4, "save_figure(1)", "x = 1\n" * 20, "has 22 lines, not 1 to 20"),
        (4, "save_figure(1)", "x = ", "does not parse"),
        (4, "save_figure(1)", "open('/tmp/x')", "cell 5 has an absolute path (/tmp/)"),
        (5, "What we learned", "Results", "the last sections are not"),
        (5, "- Three.\n", "", "has not three bullets"),
        (5, "2. B?", "", "has not two or three questions"),
        (5, "**Next:**", "Then:", "nothing says what is next"),
        (6, "provenance.footer()", "print()", "the last cell is not the provenance footer"),
    ],
)
def test_each_broken_rule_is_found(position: int, old: str, new: str, expected: str) -> None:
    found = wrong(position, old, new)
    assert any(expected in problem for problem in found), found


@pytest.mark.filterwarnings("ignore:Non-unique cell id")
def test_a_notebook_that_was_run_or_is_not_valid_is_found() -> None:
    def changed(**values: object) -> list[str]:
        notebook = make_notebook(GOOD)
        notebook["cells"][1].update(values)
        return problems(notebook, Demo)

    assert changed(execution_count=1) == ["cell 2 has outputs or an execution count"]
    assert changed(metadata={"tags": ["parameters"], "papermill": {}}) == ["cell 2 has traces of a run in its metadata"]
    assert "cell ids are missing or not unique" in changed(id="cell0")
    assert changed(cell_type="sourcecode")[0].startswith("not valid: ")
    other = make_notebook(GOOD)
    other["metadata"]["kernelspec"]["name"] = "mine"
    assert problems(other, Demo) == ["the kernel is not python3"]


def test_two_parameters_cells_and_one_in_the_wrong_place_are_found() -> None:
    twice = make_notebook([*GOOD[:2], GOOD[1], *GOOD[2:]])
    assert "2 cells are tagged 'parameters'; a notebook needs one, of code" in problems(twice, Demo)
    late = make_notebook([GOOD[0], ("code", "x = 1", []), *GOOD[1:]])
    assert problems(late, Demo) == ["the parameters cell is not the first code cell"]


# --- the real notebooks, profiles and Snakefile -------------------------------------------------------------


@pytest.mark.parametrize("name", REAL)
def test_a_notebook_keeps_the_contract(name: str) -> None:
    assert name in NOTEBOOKS, f"{name} has no model in llmexp_utils/notebook_params.py"
    notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    found = problems(notebook, NOTEBOOKS[name])
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", REAL)
def test_a_notebook_stands_in_the_readme_table(name: str) -> None:
    rows = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert any(name in row for row in rows), f"{name} is in no table of README.md"


def test_every_model_has_a_notebook() -> None:
    assert list(NOTEBOOKS) == REAL


@pytest.mark.parametrize("path", sorted((ROOT / "params").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_profile_is_valid_for_every_notebook(path: Path) -> None:
    assert len(open_study(ROOT, path).params) == len(NOTEBOOKS)


def rules() -> dict[str, set[str]]:
    """Notebooks of the Snakefile, each with those that its rule waits for."""
    text = (ROOT / "Snakefile").read_text(encoding="utf-8")
    found = {}
    for rule in re.split(r"(?m)^rule ", text)[2:]:
        if rule.startswith(("point:", "sweep:")):
            continue  # they run any notebook
        named = {word: re.findall(r'"([^"]+)"', part) for word, part in re.findall(r"(\w+): (.+)", rule)}
        (name,) = named["output"]
        assert named["params"] == named["shell"] == [name] and rule.startswith(f"{name.split('_', 1)[1]}:")
        found[name] = set(named.get("input", []))
    return found


def before(name: str, waits: dict[str, set[str]]) -> set[str]:
    """All notebooks that have ended when this one starts."""
    return waits[name].union(*(before(other, waits) for other in waits[name]))


def test_the_snakefile_has_a_rule_for_each_notebook_after_those_whose_files_it_reads() -> None:
    waits = rules()
    assert list(waits) == list(NOTEBOOKS)
    if not REAL or not (ROOT / "params" / "smoke.yaml").exists():
        pytest.skip("no notebooks yet")
    profile = read_profile(ROOT / "params" / "smoke.yaml", NOTEBOOKS)
    params = {name: resolve(profile, name, NOTEBOOKS[name], ROOT / "notebooks") for name in REAL}
    for reader, own in params.items():
        read = {getattr(own, field) for field in own.names("reads")}
        for writer, other in params.items():
            if writer != reader and read & {getattr(other, field) for field in other.names("writes")}:
                assert writer in before(reader, waits), f"{reader} reads what {writer} writes"
