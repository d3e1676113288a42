"""Parameters: what is accepted, and the line that each mistake gets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pydantic
import pytest

from llmexp_utils.access import Access
from llmexp_utils.errors import StudyError
from llmexp_utils.notebook_params import NOTEBOOKS
from llmexp_utils.notebooks import Cell, Parameter, read_cells, read_parameters
from llmexp_utils.params import Params, Reads, Writes
from llmexp_utils.profiles import profile_path, read_profile, resolve, resolve_all

ASK = "02_inject_faults"


class Train(Params):
    notebook: ClassVar[str] = "05_train"
    learning_rate: float
    n_samples: Annotated[int, pydantic.Field(ge=1)]
    seeds: list[int]
    mode: Literal["replay", "record"]
    shuffle: bool
    faults: Reads
    model: Writes


GOOD = {
    "learning_rate": 1e-4,
    "n_samples": 8,
    "seeds": [0, 1],
    "mode": "replay",
    "shuffle": True,
    "faults": "runs/smoke/faults.jsonl",
    "model": "runs/smoke/model",
}
MODELS = {"05_train": Train}
CELL = """# a comment line
learning_rate: float = 1.0e-4  # step size
n_samples: int = 8  # answers a function

seeds: list[int] = [0, 1]  # of the student
mode: str = "replay"  # replay or record; "#" in text is fine
shuffle: bool = True  # order of the rows
faults: str = "runs/smoke/faults.jsonl"  # input
model: str = "runs/smoke/model"  # output
"""


def message(values: dict[str, object]) -> str:
    with pytest.raises(StudyError) as caught:
        Train.check(values)
    return str(caught.value)


def test_a_model_is_frozen_and_takes_only_its_fields_from_a_notebook() -> None:
    params = Train.from_notebook({**GOOD, "pd": object(), "_": 3})
    assert params.model_dump() == GOOD
    assert Train.names("reads") == ["faults"] and Train.names("writes") == ["model"]
    with pytest.raises(pydantic.ValidationError):
        params.n_samples = 3  # type: ignore[misc]


def test_a_whole_number_is_a_fine_float() -> None:
    assert Train.check({**GOOD, "learning_rate": 1}).learning_rate == 1.0


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("learning_rate", "1e-4", "learning_rate: '1e-4' is text; write 1.0e-4 (YAML needs the dot)"),
        (
            "learning_rate",
            "2.5e3",
            "learning_rate: '2.5e3' is text; write 2.5e+3 (YAML needs the dot and the sign)",
        ),
        ("learning_rate", "0.1", "learning_rate: '0.1' is text; write 0.1 without quotes"),
        ("learning_rate", "fast", "learning_rate: 'fast' is text; write a number"),
        ("learning_rate", float("nan"), "learning_rate: nan does not fit; it should be a finite number"),
        ("n_samples", "1e3", "n_samples: '1e3' is text; write 1000"),
        ("n_samples", 8.0, "n_samples: 8.0 is a decimal number; write 8"),
        ("n_samples", 8.5, "n_samples: 8.5 is a decimal number; write a whole number"),
        ("n_samples", True, "n_samples: True does not fit; it should be a valid integer"),
        ("n_samples", 0, "n_samples: 0 does not fit; it should be greater than or equal to 1"),
        ("seeds", [0, "1"], "seeds[1]: '1' is text; write 1"),
        ("seeds", 3, "seeds: 3 does not fit; it should be a valid list"),
        ("mode", "replai", "mode: unknown value 'replai': did you mean 'replay'?"),
        ("mode", "x", "mode: unknown value 'x'; known: record, replay"),
        ("shuffle", "yes", "shuffle: 'yes' does not fit; it should be a valid boolean"),
        ("faults", 3, 'faults: 3 is a number; write it in quotes, "3"'),
        (
            "faults",
            False,
            "faults: False is not text; write it in quotes (YAML reads yes, no, on, off as true, false)",
        ),
    ],
)
def test_a_wrong_value_gets_one_line(name: str, value: object, expected: str) -> None:
    assert message({**GOOD, name: value}) == f"05_train: {expected}"


def test_unknown_and_missing_names() -> None:
    unknown = {"n_sample": 8, **{name: value for name, value in GOOD.items() if name != "n_samples"}}
    assert message(unknown).splitlines() == [
        "unknown parameter 'n_sample' in 05_train: did you mean 'n_samples'?",
        "05_train: the parameters cell does not set 'n_samples'",
    ]
    assert message({**GOOD, 7: 1}).startswith("unknown parameter '7' in 05_train; known: faults, learning_rate")


def test_a_field_that_yaml_cannot_say_is_refused_when_the_model_is_written() -> None:
    with pytest.raises(TypeError, match="a parameter is str, int"):
        type("Bad", (Params,), {"__annotations__": {"table": dict[str, int]}})


def test_an_error_shows_in_a_notebook_as_its_line_alone() -> None:
    assert StudyError("say make record")._render_traceback_() == ["say make record"]


def test_the_parameters_cell_is_read_without_running_it() -> None:
    found = read_parameters([Cell("markdown", "# Title"), Cell("code", CELL, ("parameters",))])
    assert {item.name: item.value for item in found} == GOOD
    assert found[3] == Parameter("mode", "str", "replay", 'replay or record; "#" in text is fine')


@pytest.mark.parametrize(
    "line",
    [
        "n = 8  # no type",
        "n: int = 8",
        "n: int = 8  #",
        "n: int = 4 + 4  # not a literal",
        "n: int = len('x')  # a call",
        "n: int  # no value",
        "import os  # not a parameter",
        "n: int = 1; m: int = 2  # two",
        "n: int = (  # open",
    ],
)
def test_a_parameters_line_that_is_not_a_plain_assignment_is_refused(line: str) -> None:
    with pytest.raises(StudyError, match="write `name: type = literal  # help`"):
        read_parameters([Cell("code", line, ("parameters",))])


def test_exactly_one_parameters_cell_and_each_name_once() -> None:
    cell = Cell("code", "n: int = 1  # one", ("parameters",))
    for cells in ([], [cell, cell], [Cell("markdown", "n", ("parameters",))]):
        with pytest.raises(StudyError, match="a notebook needs one, of code"):
            read_parameters(cells)
    with pytest.raises(StudyError, match="'n' is set twice"):
        read_parameters([Cell("code", f"{cell.source}\n{cell.source}", ("parameters",))])


def test_a_file_that_is_no_notebook(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="does not exist"):
        read_cells(tmp_path / "none.ipynb")
    (tmp_path / "bad.ipynb").write_text("[]")
    with pytest.raises(StudyError, match="is not a notebook"):
        read_cells(tmp_path / "bad.ipynb")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import json

    cells = [{"cell_type": "code", "source": CELL, "metadata": {"tags": ["parameters"]}}]
    (tmp_path / "05_train.ipynb").write_text(json.dumps({"cells": cells}))
    return tmp_path


def resolved(folder: Path, text: str, name: str = "study") -> Params:
    (folder / f"{name}.yaml").write_text(text)
    return resolve(read_profile(folder / f"{name}.yaml", MODELS), "05_train", Train, folder)


def test_a_section_wins_over_common_and_common_over_the_notebook(folder: Path) -> None:
    text = "common:\n  n_samples: 3\n  seeds: [7]\n05_train:\n  n_samples: 4\nminutes:\n  05_train: 2\n"
    params = resolved(folder, text)
    assert (params.n_samples, params.seeds, params.mode) == (4, [7], "replay")
    assert read_profile(folder / "study.yaml", MODELS).minutes == {"05_train": 2.0}


def test_a_default_path_of_another_folder_stays(folder: Path) -> None:
    text = (folder / "05_train.ipynb").read_text().replace("runs/smoke/faults", "data/runs/faults")
    (folder / "05_train.ipynb").write_text(text)
    assert resolved(folder, "").faults == "data/runs/faults.jsonl"


def test_each_profile_writes_to_its_own_folder_unless_told_otherwise(folder: Path) -> None:
    assert resolved(folder, "").faults == "runs/study/faults.jsonl"
    assert resolved(folder, "", "smoke").faults == "runs/smoke/faults.jsonl"
    assert resolved(folder, "05_train:\n  model: results/model\n").model == "results/model"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("05_trian:\n  n_samples: 3\n", "study.yaml: unknown notebook '05_trian': did you mean '05_train'?"),
        ("common:\n  sead: 3\n", "study.yaml: unknown parameter 'sead' in common"),
        ("common:\n", "study.yaml: 'common:' needs lines `name: value` below it, or must be left out"),
        (
            "05_train:\n  n_sample: 3\n",
            "study.yaml: unknown parameter 'n_sample' in 05_train: did you mean 'n_samples'?",
        ),
        (
            "05_train:\n  learning_rate: 1e-4\n",
            "study.yaml: 05_train: learning_rate: '1e-4' is text; write 1.0e-4",
        ),
        ("05_train:\n  n_samples: 3\n  n_samples: 4\n", "study.yaml, line 3: 'n_samples' is set twice"),
        ("05_train:\n  profile: x\n", "study.yaml: 'profile' in 05_train: leave it out"),
        (
            "minutes:\n  05_train: soon\n",
            "study.yaml: minutes of 05_train: 'soon' is not a number above zero",
        ),
        ("05_train: [", "study.yaml is not valid YAML"),
        ("- 3", "study.yaml: needs sections"),
    ],
)
def test_a_mistake_in_a_profile_gets_one_line(folder: Path, text: str, expected: str) -> None:
    with pytest.raises(StudyError) as caught:
        resolved(folder, text)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_the_mistakes_of_all_notebooks_are_told_at_once(folder: Path) -> None:
    (folder / "study.yaml").write_text("05_train:\n  n_samples: 0\n  mode: x\n")
    profile = read_profile(folder / "study.yaml", MODELS)
    with pytest.raises(StudyError) as caught:
        resolve_all(profile, ["05_train", "06_none"], {**MODELS, "06_none": Train}, folder)
    assert len(str(caught.value).splitlines()) == 3


def test_an_unknown_profile_lists_the_known_ones(folder: Path) -> None:
    (folder / "smoke.yaml").write_text("")
    (folder / "study.yaml").write_text("")
    assert profile_path(folder, "smoke") == folder / "smoke.yaml"
    with pytest.raises(StudyError, match="unknown profile 'x'; known: smoke, study"):
        profile_path(folder, "x")


def test_the_notebook_models_are_registered_under_their_names_in_order() -> None:
    assert list(NOTEBOOKS) == sorted(NOTEBOOKS)
    assert all(model.notebook == name for name, model in NOTEBOOKS.items())


def asking(**changes: object) -> Params:
    notebooks = Path(__file__).resolve().parent.parent / "notebooks"
    own = {parameter.name: parameter.value for parameter in read_parameters(read_cells(notebooks / f"{ASK}.ipynb"))}
    return NOTEBOOKS[ASK].check({**own, **changes})


def test_how_a_server_may_be_used_is_one_value() -> None:
    assert asking().access == Access()
    assert asking(prices=[1, 2.5], money_budget=3.0, concurrency=8).access == Access(
        concurrency=8, prices=(1.0, 2.5), money_budget=3.0
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"concurrency": 0}, "concurrency: 0 does not fit; it should be greater than or equal to 1"),
        ({"prices": [1.0]}, "prices: write two numbers, for a million tokens read and written; or none"),
        ({"money_budget": 1.0}, "money_budget: a budget in money needs prices; or set token_budget"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(changes: dict, line: str) -> None:
    with pytest.raises(StudyError) as told:
        asking(**changes)
    assert str(told.value) == f"{ASK}: {line}"
