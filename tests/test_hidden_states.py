"""States come from the right tokens, and sharing the reading of a function changes nothing."""

import numpy as np
import pytest
import torch
from tiny_decoder import TEXTS, make_decoder

from llmexp_utils import hidden_states
from llmexp_utils.errors import StudyError
from llmexp_utils.hidden_states import line_ends, line_states

F, G = TEXTS
VERSIONS = [
    F,
    F.replace("range(x)", "range(x + 1)"),
    F.replace("total = 0", "total = 1"),
    F.replace("def f", "def h"),  # differs almost at once
    F.replace("    return total\n", ""),  # a beginning of the correct function: nothing new to read
    F + "# end\n",  # the correct function is a beginning of it
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    from transformers import AutoModel, AutoTokenizer

    folder = make_decoder(tmp_path_factory.mktemp("decoder"))
    return AutoModel.from_pretrained(folder, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(folder)


def plain(code, reader):
    """Reference: the library's own causal attention over the whole text, line ends found by decoding."""
    model, tokenizer = reader
    model.set_attn_implementation("sdpa")
    tokens = tokenizer(code, return_tensors="pt").input_ids
    with torch.no_grad():
        states = model(tokens).last_hidden_state[0].numpy()
    done, ends = 0, []
    for line in code.splitlines(keepends=True):
        done += len(line)
        ends.append(next(n for n in range(len(states)) if len(tokenizer.decode(tokens[0, : n + 1])) >= done))
    return states[ends]


def test_versions_read_together_equal_plain_passes(reader):
    together = line_states(VERSIONS, *reader, corrects=[F] * len(VERSIONS))
    for code, states in zip(VERSIONS, together, strict=True):
        assert states.shape == (len(code.splitlines()), 32) and states.dtype == np.float16
        np.testing.assert_allclose(states, plain(code, reader), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("tokens", [1, 60, 200])
def test_what_is_read_beside_a_version_does_not_change_one_bit_of_it(reader, monkeypatch, tokens):
    pairs = [(code, F) for code in VERSIONS] + [(G, G), (G.replace("-", "+"), G)]
    alone = [line_states([code], *reader, corrects=[correct])[0] for code, correct in pairs]
    monkeypatch.setattr(hidden_states, "TOKENS_A_PASS", tokens)
    order = np.random.default_rng(tokens).permutation(len(pairs))
    codes, corrects = zip(*[pairs[i] for i in order], strict=True)
    for i, states in zip(order, line_states(codes, *reader, corrects=corrects), strict=True):
        assert np.array_equal(states, alone[i])


def test_without_correct_functions_each_text_stands_alone(reader):
    for code, states in zip(VERSIONS, line_states(VERSIONS, *reader), strict=True):
        np.testing.assert_allclose(states, plain(code, reader), rtol=2e-3, atol=2e-3)


def test_a_later_line_does_not_change_an_earlier_state_but_an_earlier_one_does(reader):
    base, late, early = line_states([F, VERSIONS[1], VERSIONS[2]], *reader)
    assert np.array_equal(base[:2], late[:2]) and not np.array_equal(base[2:], late[2:])
    assert not np.array_equal(base[-1], early[-1])


def test_result_repeats_and_threads_are_left_as_they_were(reader):
    threads = torch.get_num_threads()
    one, two = (line_states(VERSIONS, *reader, corrects=[F] * len(VERSIONS)) for _ in range(2))
    assert all(map(np.array_equal, one, two)) and torch.get_num_threads() == threads


def test_a_mean_is_over_the_tokens_that_hold_a_character_of_the_line(reader):
    model, tokenizer = reader
    together = line_states(VERSIONS, *reader, corrects=[F] * len(VERSIONS), pooling="mean")
    model.set_attn_implementation("sdpa")
    for code, states in zip(VERSIONS, together, strict=True):
        encoded = tokenizer(code, return_offsets_mapping=True)
        with torch.no_grad():
            whole = model(torch.tensor([encoded["input_ids"]])).last_hidden_state[0].numpy()
        start, expected = 0, []
        for line in code.splitlines(keepends=True):
            held = [i for i, (a, b) in enumerate(encoded["offset_mapping"]) if a < start + len(line) and b > start]
            expected.append(whole[held].mean(axis=0))
            start += len(line)
        np.testing.assert_allclose(states, np.stack(expected), rtol=2e-3, atol=2e-3)


def test_a_mean_too_does_not_depend_on_what_is_read_beside_it(reader):
    together = line_states(VERSIONS, *reader, corrects=[F] * len(VERSIONS), pooling="mean")
    for code, states in zip(VERSIONS, together, strict=True):
        assert np.array_equal(states, line_states([code], *reader, corrects=[F], pooling="mean")[0])


@pytest.mark.parametrize(
    ("code", "offsets", "expected"),
    [
        ("a\n\nb\n", [(0, 1), (1, 3), (3, 4), (4, 5)], [1, 1, 3]),  # one token holds two newlines
        ("a\nb", [(0, 2), (2, 3)], [0, 1]),  # the last line has no newline
        ("a\nb\n", [(0, 0), (0, 2), (2, 4), (0, 0)], [1, 2]),  # special tokens at both ends
        ("é\nb\n", [(0, 1), (0, 1), (1, 2), (2, 4)], [2, 3]),  # a character of two tokens
    ],
)
def test_line_ends(code, offsets, expected):
    assert line_ends(code, offsets).tolist() == expected


def test_nothing_is_cut(reader):
    model, tokenizer = reader
    fits, too_long = F * 4, F * 40
    assert len(line_states([fits], model, tokenizer)[0]) == 20
    with pytest.raises(StudyError, match="tokens, the model reads 400"):
        line_states([too_long], model, tokenizer)


def test_empty_input(reader):
    assert line_states([], *reader) == []
    with pytest.raises(StudyError, match="without text"):
        line_states([""], *reader)
    with pytest.raises(StudyError, match="as many correct ones"):
        line_states([F, G], *reader, corrects=[F])
