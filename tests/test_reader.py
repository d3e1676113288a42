"""Which frozen code model is read: embedded, from a file, a folder or the hub; and the student that stands on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_decoder import make_decoder

from llmexp_utils import reader
from llmexp_utils.errors import StudyError
from llmexp_utils.lower_layers import model_id
from llmexp_utils.pair_students import FrozenPairs
from llmexp_utils.reader import Reader, check_model, weights
from llmexp_utils.small_training import Settings
from llmexp_utils.states import line_states_of
from llmexp_utils.students import FrozenLLM

BEFORE = "def f(x):\n    total = 0\n    for i in range(x):\n        total += i * 2\n    return total\n"
AFTER = BEFORE.replace("return total", "return x - 1")


def frame(*codes: str) -> pd.DataFrame:
    """Faults whose correct version is their own text, so that each is read on its own."""
    return pd.DataFrame({"code": codes, "correct": codes, "lines": [[2 + n % 3] for n in range(len(codes))]})


@pytest.fixture
def tiny(tmp_path: Path, cache: Path) -> Reader:
    """Two of the three layers of a random decoder."""
    return Reader(str(make_decoder(tmp_path / "model")), layers=2)


def test_editing_the_last_line_changes_the_score_of_the_first(tiny: Reader, tmp_path: Path) -> None:
    """The model reads from left to right, the adapter looks both ways."""
    before, after = line_states_of([BEFORE, AFTER], [BEFORE, AFTER], tmp_path, tiny, workers=1, progress=False)
    assert np.array_equal(before[:4], after[:4]), "the model itself has not seen the last line yet"
    student = FrozenLLM(str(tmp_path), Settings(steps=10, batch_size=4, width=16), tiny)
    codes = [BEFORE.replace("2", str(n)) for n in range(3, 9)]
    _, (one, other) = student.run(frame(*codes), frame(*codes[:2]), frame(BEFORE, AFTER), seed=0)
    assert abs(one[0] - other[0]) > 1e-4


@pytest.mark.parametrize("kind", [FrozenLLM, FrozenPairs])
def test_model_layer_and_pooling_are_part_of_a_run(tiny: Reader, tmp_path: Path, kind: type) -> None:
    readers = [tiny, Reader(tiny.model, 1), Reader(tiny.model, 2, "mean")]
    identities = [kind(str(tmp_path), Settings(), one).identity for one in readers]
    assert len({str(identity) for identity in identities}) == 3
    assert identities[0]["states"] == model_id(tiny.model, 2)


def test_the_default_is_the_embedded_model_as_it_was_read_before(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmexp_utils.asset_table import ASSETS

    path = ASSETS["qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"].path
    monkeypatch.setattr("llmexp_utils.assets.fetch", lambda name: ASSETS[name].path)
    assert weights(Reader().model) == weights(path.name) == path
    assert weights("qwen2.5-coder-1.5b").name == "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
    monkeypatch.setattr("llmexp_utils.lower_layers._content_hash", lambda path: path.name)
    assert Reader().identity == model_id(path, 16) == model_id(path)


def test_a_name_on_the_hub_is_downloaded_once_it_is_known_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda self, name, timeout: asked.append(name))
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, allow_patterns: str(tmp_path / name))
    assert weights("some/decoder") == tmp_path / "some/decoder"
    assert asked == ["some/decoder"]


@pytest.mark.parametrize("name", ["no/such/model", "nobody/no-such-model", "missing.gguf"])
def test_an_unknown_model_is_refused_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for refuse in (lambda model: check_model(model, Path("nowhere")), weights):
        with pytest.raises(StudyError, match="give qwen2.5-coder-1.5b or qwen2.5-coder-0.5b, a GGUF file") as caught:
            refuse(name)
        assert "\n" not in str(caught.value)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="frozen model 'empty' is a folder without config.json"):
        (tmp_path / "empty").mkdir()
        check_model("empty", tmp_path)
    check_model("qwen2.5-coder-1.5b", tmp_path)


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(StudyError, match="unknown pooling 'max': choose last or mean"):
        reader.Reader(pooling="max")
