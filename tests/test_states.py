"""The store of line states: appended, found again, and safe against a kill."""

import numpy as np
import pytest

from llmexp_utils.reader import Reader
from llmexp_utils.states import StateStore, line_states_of, pair_key


def arrays(n, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(size, 4)).astype(np.float16) for size in range(1, n + 1)]


def test_what_is_added_is_found_again(tmp_path):
    store, states = StateStore(tmp_path, 4), arrays(3)
    store.add(["a", "b"], states[:2])
    store.add(["c"], states[2:])
    again = StateStore(tmp_path, 4)
    for one, other in zip(again.get(["c", "a", "b"]), [states[2], states[0], states[1]], strict=True):
        np.testing.assert_array_equal(one, other)
    assert "a" in again and "d" not in again


@pytest.mark.parametrize("torn", ["index", "rows", "both"])
def test_a_kill_loses_only_what_was_being_written(tmp_path, torn):
    store, states = StateStore(tmp_path, 4), arrays(3)
    store.add(["a", "b"], states[:2])
    if torn in ("index", "both"):
        with (tmp_path / "index.jsonl").open("a") as stream:
            stream.write('{"key": "c", "ro')
    if torn in ("rows", "both"):
        with (tmp_path / "states.f16").open("ab") as stream:
            stream.write(b"12345")
    again = StateStore(tmp_path, 4)
    assert "c" not in again
    np.testing.assert_array_equal(again.get(["a"])[0], states[0])
    again.add(["c"], states[2:])
    for store in (again, StateStore(tmp_path, 4)):
        for one, other in zip(store.get(["a", "b", "c"]), states, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_key_depends_on_the_model_and_on_both_texts():
    assert (
        len(
            {
                pair_key("m", "a", "b"),
                pair_key("n", "a", "b"),
                pair_key("m", "b", "a"),
                pair_key("m", "a", "a"),
            }
        )
        == 4
    )


def test_states_of_a_real_decoder_are_read_once(tmp_path, cache, monkeypatch):
    from tiny_decoder import make_decoder

    from llmexp_utils import states

    reader = Reader(str(make_decoder(tmp_path / "model")), layers=2)
    correct = "def f(x):\n    return x + 1\n"
    codes = [correct.replace("+", sign) for sign in "-*/"]
    first = line_states_of(codes, [correct] * 3, tmp_path / "cache", reader, workers=1, progress=False)
    assert [one.shape[0] for one in first] == [2, 2, 2]
    assert not np.array_equal(first[0][1], first[1][1])
    monkeypatch.setattr(states, "FUNCTIONS_A_TASK", 2)
    two = line_states_of(codes, [correct] * 3, tmp_path / "two", reader, workers=2, progress=False)
    for one, other in zip(two, first, strict=True):
        np.testing.assert_array_equal(one, other)
    monkeypatch.setattr(states, "_read", lambda *args: pytest.fail("read twice"))
    again = line_states_of(codes[::-1], [correct] * 3, tmp_path / "cache", reader, workers=1, progress=False)
    for one, other in zip(again[::-1], first, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_usual_states_are_known_by_model_and_layers_alone_and_a_mean_has_a_place_of_its_own(tmp_path, cache):
    """What was read before there was a choice stays known."""
    from tiny_decoder import make_decoder

    from llmexp_utils.lower_layers import model_id

    source = make_decoder(tmp_path / "model")
    code = "def f(x):\n    return x + 1\n"
    read = {}
    for layers, pooling in [(2, "last"), (2, "mean"), (1, "last")]:
        reader = Reader(str(source), layers, pooling)
        (read[layers, pooling],) = line_states_of([code], [code], tmp_path, reader, workers=1, progress=False)
    folders = {path.name for path in (tmp_path / "states").iterdir()}
    two, one = model_id(source, 2), model_id(source, 1)
    assert folders == {two[:16], f"{two[:16]}-mean", one[:16]}
    assert pair_key(two, code, code) in StateStore(tmp_path / "states" / two[:16], 32)
    assert len({states.tobytes() for states in read.values()}) == 3
