"""Frames between notebooks: what is written comes back; what is wrong is named by file, line and column."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from llmexp_utils.errors import StudyError
from llmexp_utils.frames import FAULTS, PREDICTIONS, check_frame, read_frame, write_frame

GOLD = {
    "fault_id": "a",
    "task_id": "t",
    "source": "gold",
    "code": "x\u2028 = 'é'\n",
    "lines": [1],
    "correct": "y\n",
}
LLM = GOLD | {"fault_id": "b", "source": "llm", "lines": [1, 2], "generator": "g", "sample": 3}


def predictions() -> pd.DataFrame:
    row = {"run_id": "r", "student": "A", "series": "s", "condition": "C0", "n_real": 8, "n_added": 0}
    row |= {
        "fold": 0,
        "seed": 1,
        "fault_id": "a",
        "task_id": "t",
        "n_lines": 2,
        "scores": [0.25, -np.inf],
        "lines": [1],
        "threshold": 0.5,
    }
    return pd.DataFrame([row, row | {"fault_id": "b", "scores": np.array([1, 2], "float32")}])


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_faults_come_back(tmp_path, suffix):
    path = write_frame(pd.DataFrame([GOLD, LLM]), tmp_path / f"f.{suffix}", FAULTS)
    back = read_frame(path, FAULTS)
    assert list(back.columns) == list(FAULTS) and back["lines"].tolist() == [[1], [1, 2]]
    assert back["generator"].tolist() == ["", "g"] and back["code"][0] == GOLD["code"]
    assert back["sample"].isna().tolist() == [True, False] and back["sample"][1] == 3
    again = write_frame(back, tmp_path / f"again.{suffix}", FAULTS)
    assert again.read_bytes() == path.read_bytes()


def test_jsonl_has_one_object_a_line_without_empty_cells(tmp_path):
    path = write_frame(pd.DataFrame([GOLD, LLM]), tmp_path / "f.jsonl", FAULTS)
    assert [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]] == [GOLD, LLM]


def test_predictions_come_back_from_parquet(tmp_path):
    back = read_frame(write_frame(predictions(), tmp_path / "p.parquet", PREDICTIONS), PREDICTIONS)
    assert back["scores"].tolist() == [[0.25, -np.inf], [1.0, 2.0]] and isinstance(back["scores"][0], list)
    assert back["n_real"].dtype == "int64" and back["threshold"].dtype == "float64"


def test_other_columns_are_kept_after_those_of_the_schema(tmp_path):
    path = write_frame(pd.DataFrame([{"extra": 1} | GOLD]), tmp_path / "f.jsonl", FAULTS)
    back = read_frame(path, FAULTS)
    assert list(back.columns) == [*FAULTS, "extra"] and back["extra"].tolist() == [1]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_an_empty_frame_keeps_its_columns(tmp_path, suffix):
    path = write_frame(pd.DataFrame([GOLD]).iloc[:0], tmp_path / f"f.{suffix}", FAULTS)
    assert list(read_frame(path, FAULTS).columns) == list(FAULTS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (json.dumps(GOLD)[:-9], r"f\.jsonl: line 2: not JSON"),
        ("[1]", "line 2: expected an object, found"),
        ("", "line 2: not JSON"),
        (json.dumps(GOLD | {"lines": "3"}), r"line 2, column 'lines': expected list\[int\], found '3'"),
        (json.dumps(GOLD | {"lines": [1.5]}), r"line 2, column 'lines': expected list\[int\]"),
        (json.dumps(GOLD | {"lines": [True]}), r"line 2, column 'lines': expected list\[int\]"),
        (json.dumps(GOLD | {"code": None}), "line 2, column 'code': expected str, found nothing"),
        (
            json.dumps({k: v for k, v in GOLD.items() if k != "code"}),
            "line 2, column 'code': .*found nothing",
        ),
        (json.dumps(GOLD | {"sample": "x"}), "line 2, column 'sample': expected int, found 'x'"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    path = tmp_path / "f.jsonl"
    path.write_text(f"{json.dumps(GOLD)}\n{line}\n{json.dumps(GOLD)}\n")
    with pytest.raises(StudyError, match=message) as error:
        read_frame(path, FAULTS)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_a_missing_file_names_the_notebook_that_writes_it(tmp_path):
    with pytest.raises(StudyError, match="no such file: run notebook 02_inject_faults first"):
        read_frame(tmp_path / "f.jsonl", FAULTS, written_by="02_inject_faults")


def test_other_bad_files(tmp_path):
    (tmp_path / "f.parquet").write_bytes(b"no")
    with pytest.raises(StudyError, match="not a readable Parquet"):
        read_frame(tmp_path / "f.parquet", FAULTS)
    (tmp_path / "f.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(StudyError, match="not UTF-8"):
        read_frame(tmp_path / "f.jsonl", FAULTS)
    with pytest.raises(StudyError, match="use .jsonl or .parquet"):
        read_frame(tmp_path / "f.csv", FAULTS)
    pd.DataFrame({"run_id": ["r"]}).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(StudyError, match=r"column 'student': missing \(columns: run_id\)"):
        read_frame(tmp_path / "p.parquet", PREDICTIONS)


def test_a_bad_frame_is_not_written(tmp_path):
    with pytest.raises(StudyError, match="column 'scores'"):
        write_frame(predictions().assign(scores=[[0.1, np.nan]] * 2), tmp_path / "p.parquet", PREDICTIONS)
    with pytest.raises(StudyError, match="line 1: JSON has no NaN or infinity"):
        write_frame(predictions(), tmp_path / "p.jsonl", PREDICTIONS)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_is_a_mistake_in_the_schema():
    with pytest.raises(StudyError, match="unknown kind 'text'"):
        check_frame(pd.DataFrame({"a": ["x"]}), {"a": "text"})
