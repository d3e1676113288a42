"""What the fine-tuned students share: batches of similar length. Resumption is tested with each student."""

from __future__ import annotations

import numpy as np

from llmexp_utils.fine_tuning import grouped_order


def test_batches_hold_similar_lengths_and_epochs_hold_every_item() -> None:
    sizes = np.random.default_rng(0).lognormal(4, 0.6, 96).astype(int) + 1

    def useful(group: int) -> float:
        batches = np.reshape(grouped_order(sizes, 24, 8, np.random.default_rng(1), group), (-1, 8))
        return float(sizes[batches].sum() / (8 * sizes[batches].max(axis=1)).sum())

    order = grouped_order(sizes, 24, 8, np.random.default_rng(1))
    assert sorted(order) == sorted([*range(96)] * 2)
    assert useful(16) > 0.85
    assert useful(1) < 0.6
    assert order == grouped_order(sizes, 24, 8, np.random.default_rng(1))


def test_a_batch_of_a_tiny_set_is_not_made_of_copies() -> None:
    order = np.reshape(grouped_order([*range(16)], 32, 8, np.random.default_rng(0)), (-1, 8))
    assert all(len(set(batch)) == 8 for batch in order)
