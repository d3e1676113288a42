"""The head for pairs: symmetric, repeatable, and able to learn what "the same" is."""

import numpy as np
import pytest

from llmexp_utils import pair_head
from llmexp_utils.errors import StudyError
from llmexp_utils.small_training import Settings

SETTINGS = Settings(steps=150, batch_size=16, learning_rate=3e-3, width=16)


def pairs(n, seed):
    """Vectors in which clones share their direction up to noise, and others do not."""
    rng = np.random.default_rng(seed)
    left = rng.normal(size=(n, 12)).astype(np.float32)
    labels = np.arange(n) % 2
    other = rng.normal(size=(n, 12))
    right = np.where(labels[:, None] == 1, left + 0.3 * other, other).astype(np.float32)
    return left, right, labels.tolist()


def test_it_learns_whether_two_vectors_are_alike():
    model = pair_head.train(*pairs(200, 0), SETTINGS, seed=0)
    left, right, labels = pairs(200, 1)
    assert ((pair_head.score(model, left, right) > 0) == labels).mean() > 0.8


def test_a_large_feature_drowns_no_other():
    def loud(n, seed):
        left, right, labels = pairs(n, seed)
        noise = np.random.default_rng(seed + 9).normal(500, 100, size=(2, n, 1)).astype(np.float32)
        return np.hstack([left, noise[0]]), np.hstack([right, noise[1]]), labels

    model = pair_head.train(*loud(200, 0), SETTINGS, seed=0)
    left, right, labels = loud(200, 1)
    assert ((pair_head.score(model, left, right) > 0) == labels).mean() > 0.75


def test_a_feature_that_never_changes_is_no_division_by_zero():
    left, right, labels = pairs(40, 0)
    left[:, 0] = right[:, 0] = 3
    scores = pair_head.score(pair_head.train(left, right, labels, SETTINGS, seed=0), left, right)
    assert np.isfinite(scores).all()


def test_both_orders_have_the_same_score():
    left, right, labels = pairs(40, 0)
    model = pair_head.train(left, right, labels, Settings(steps=3, width=8), seed=0)
    np.testing.assert_allclose(pair_head.score(model, left, right), pair_head.score(model, right, left), rtol=1e-6)


def test_the_seed_decides_everything():
    data = pairs(40, 0)
    one, again, other = (
        pair_head.score(pair_head.train(*data, Settings(steps=3), seed), *data[:2]) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_a_function_is_its_mean_line_and_its_last_line():
    states = [np.array([[1, 2], [3, 6]], np.float16), np.array([[5, 5]], np.float16)]
    np.testing.assert_array_equal(pair_head.function_vectors(states), [[2, 4, 3, 6], [5, 5, 5, 5]])


def test_pairs_of_one_kind_are_refused():
    left, right, _ = pairs(4, 0)
    with pytest.raises(StudyError, match=r"the labels \[1\]"):
        pair_head.train(left, right, [1, 1, 1, 1], SETTINGS, seed=0)
