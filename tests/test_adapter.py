"""The adapter looks both ways, ignores padding, learns, and repeats itself."""

import numpy as np
import pytest
import torch

from llmexp_utils import adapter
from llmexp_utils.small_training import Settings

SMALL = Settings(steps=60, batch_size=8, learning_rate=3e-3, width=32)


def toy(n=40, hidden=12, seed=0):
    """Functions whose faulty line is the one with the largest first coordinate."""
    rng = np.random.default_rng(seed)
    states = [rng.normal(size=(rng.integers(3, 9), hidden)).astype(np.float16) for _ in range(n)]
    return states, [[int(one[:, 0].argmax()) + 1] for one in states]


@pytest.fixture(scope="module")
def trained():
    states, labels = toy()
    return adapter.train(states, labels, SMALL, seed=1)


def test_it_learns(trained):
    states, labels = toy(seed=5)
    hits = [
        scores.argmax() + 1 == lines[0] for scores, lines in zip(adapter.score(trained, states), labels, strict=True)
    ]
    assert np.mean(hits) > 0.6, "guessing gives about 0.2"


def test_the_last_line_changes_the_score_of_the_first(trained):
    states, _ = toy(1, seed=3)
    edited = states[0].copy()
    edited[-1] += 5
    first, again = adapter.score(trained, [states[0], edited])
    assert first[0] != again[0]


def test_the_other_functions_of_a_batch_change_nothing(trained):
    states, _ = toy(6, seed=4)
    together = adapter.score(trained, states)
    for one, scores in zip(states, together, strict=True):
        assert len(scores) == len(one)
        np.testing.assert_allclose(adapter.score(trained, [one])[0], scores, atol=1e-5)


def test_the_same_call_gives_the_same_bytes(trained):
    states, labels = toy()
    threads = torch.get_num_threads()
    again = adapter.train(states, labels, SMALL, seed=1)
    other = adapter.train(states, labels, SMALL, seed=2)
    same = [torch.equal(a, b) for a, b in zip(trained.parameters(), again.parameters(), strict=True)]
    assert all(same) and torch.get_num_threads() == threads
    assert any(not torch.equal(a, b) for a, b in zip(trained.parameters(), other.parameters(), strict=True))


def test_all_labelled_lines_share_the_target():
    target = adapter._targets([[1, 3], [2]], 4)
    assert target.tolist() == [[0.5, 0, 0.5, 0], [0, 1, 0, 0]]


def test_size_is_about_one_million():
    model = adapter.build(896, Settings().width)
    assert 0.7e6 < sum(parameter.numel() for parameter in model.parameters()) < 1.1e6
