"""The loop that the small models share: its order and its rate."""

import numpy as np
import pytest

from llmexp_utils.small_training import epochs, rate


def test_every_item_comes_before_any_comes_again():
    order = epochs(5, np.random.default_rng(0))
    assert sorted(next(order) for _ in range(5)) == list(range(5))


def test_rate_warms_up_and_ends_at_zero():
    rates = [rate(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(0.91) and rates[-1] == pytest.approx(0.01)
