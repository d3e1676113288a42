"""The external check: HumanEvalPack's faults, where they are at hand."""

import json

import pytest

from llmexp_utils import humanevalpack
from llmexp_utils.errors import StudyError
from llmexp_utils.humanevalpack import find_humanevalpack, load_humanevalpack, rows_hash
from llmexp_utils.metrics import random_floor
from llmexp_utils.paths import data_dir


def test_a_malformed_row_and_a_wrong_count_are_named(tmp_path):
    path = tmp_path / "python.jsonl"
    row = {
        "task_id": "Python/0",
        "declaration": "def f(x):\n",
        "canonical_solution": "    return x + 1\n",
        "buggy_solution": "    return x - 1\n",
        "bug_type": "operator misuse",
    }
    path.write_text(json.dumps(row) + "\n{}\n")
    with pytest.raises(StudyError, match="line 2: not a HumanEvalPack row"):
        load_humanevalpack(path)
    path.write_bytes(json.dumps(row).encode() + b"\n\xe4\n")
    with pytest.raises(StudyError, match="line 2: not a HumanEvalPack row"):
        load_humanevalpack(path)
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(StudyError, match="has 1 rows, HumanEvalPack-Python has 164"):
        load_humanevalpack(path)


def test_rows_that_were_not_published_are_refused_wherever_they_are_from(tmp_path, monkeypatch):
    path, row = tmp_path / "python.jsonl", dict.fromkeys(humanevalpack.FIELDS, "x")
    path.write_text((json.dumps({**row, "prompt": "unused"}) + "\n") * humanevalpack.N_FAULTS)
    with pytest.raises(StudyError, match=r"not HumanEvalPack-Python as it was published \(wrong SHA-256 of its rows\)"):
        load_humanevalpack(path)
    monkeypatch.setitem(humanevalpack.ROWS_SHA256, "python", rows_hash([row] * humanevalpack.N_FAULTS))
    assert len(humanevalpack.read_rows(path)) == humanevalpack.N_FAULTS, "other fields do not count"


def test_the_hub_is_asked_one_question_of_five_seconds(monkeypatch):
    import huggingface_hub

    asked = []

    def no_answer(self, repository, timeout):
        asked.append((repository, timeout))
        raise TimeoutError

    monkeypatch.delenv("LLMEXP_DATA_DIR", raising=False)
    monkeypatch.delenv("LLMEXP_NO_HUB", raising=False)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *values, **names: None)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", no_answer)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *values, **names: pytest.fail("asked again"))
    assert find_humanevalpack() is None and asked == [("bigcode/humanevalpack", 5.0)]
    monkeypatch.setenv("LLMEXP_NO_HUB", "1")
    assert find_humanevalpack() is None and len(asked) == 1


def test_counts_labels_and_floor_of_the_published_file(functions):
    folder = data_dir()
    path = folder / "humanevalpack" / "python.jsonl" if folder else None
    if path is None or not path.is_file():
        pytest.skip("LLMEXP_DATA_DIR has no humanevalpack/python.jsonl")
    faults = load_humanevalpack(path)
    types = faults.fault_type.value_counts().to_dict()
    assert types == {
        "value misuse": 44,
        "missing logic": 33,
        "excess logic": 31,
        "operator misuse": 25,
        "variable misuse": 23,
        "function misuse": 8,
    }
    assert (faults.lines.map(len) == 1).sum() == 144
    assert set(faults.task_id) == {function.task_id for function in functions}
    assert {row.task_id: row.correct for row in faults.itertuples()} == {f.task_id: f.code for f in functions}
    assert random_floor(faults).top1.mean() == pytest.approx(0.2355, abs=1e-3)
