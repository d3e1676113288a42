"""Student (A) for pairs: a small symmetric head on two vectors of a frozen code model, one for each function.

A function's vector is the mean of its line states and the state of its last line, after which the model has read it.
With ``u`` and ``v`` for the two functions the head sees ``u, v, |u - v|, u * v`` (Conneau et al. 2017, arXiv
1705.02364), in both orders, and answers with the mean: the order of a pair means nothing.

A few of a language model's features are far larger than all others and drown them in any comparison of vectors, so each
is standardised by the training functions (Timkey and van Schijndel 2021, arXiv 2109.04404, "rogue dimensions"). This,
like all settings of the head, was chosen on development pairs, once for all conditions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from llmexp_utils.errors import StudyError
from llmexp_utils.reproducible import one_thread
from llmexp_utils.small_training import Settings, fit

if TYPE_CHECKING:
    import torch

DROPOUT = 0.2
FLAT = 1e-6  # a feature that never changes stays zero instead of dividing by zero


def function_vectors(states: Sequence[np.ndarray]) -> np.ndarray:
    """Vectors (n, 2 * hidden), float32, of functions with line states (n_lines, hidden)."""
    return np.stack([np.concatenate([one.mean(axis=0, dtype=np.float32), one[-1]]) for one in states]).astype(
        np.float32
    )


def build(seen: np.ndarray, width: int) -> torch.nn.Module:
    """Untrained head: vectors (pairs, features) of the left and of the right functions to logits (pairs,).

    ``seen`` of shape (functions, features) are vectors that say how large each feature is.
    """
    import torch
    from torch import nn

    features = seen.shape[1]

    class PairHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.from_numpy(seen.mean(axis=0)))
            self.register_buffer("spread", torch.from_numpy(seen.std(axis=0) + FLAT))
            self.read = nn.Sequential(nn.LayerNorm(features), nn.Linear(features, width), nn.Dropout(DROPOUT))
            self.head = nn.Sequential(nn.Linear(4 * width, width), nn.GELU(), nn.Dropout(DROPOUT), nn.Linear(width, 1))

        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            u, v = (self.read((side - self.mean) / self.spread) for side in (left, right))
            shared = (torch.abs(u - v), u * v)
            orders = [self.head(torch.cat([*order, *shared], dim=1)) for order in ((u, v), (v, u))]
            return torch.stack(orders).mean(dim=0)[:, 0]

    return PairHead()


def train(left: np.ndarray, right: np.ndarray, labels: Sequence[int], settings: Settings, seed: int) -> torch.nn.Module:
    """Train a head with binary cross-entropy.

    Parameters
    ----------
    left, right : ndarray, shape (pairs, features)
        Vectors of both functions of each pair.
    labels : sequence of int
        1 for clones, 0 for others.
    settings : Settings
        Steps, batch, rate.
    seed : int
        Decides initial weights, dropout and order: the same call gives the same weights.

    Raises
    ------
    StudyError
        If one of the two labels is missing: there is nothing to tell apart.
    """
    import torch

    if set(labels) != {0, 1}:
        raise StudyError(f"the training pairs have the labels {sorted(set(labels))}: a student needs clones and others")
    one, other, target = torch.from_numpy(left), torch.from_numpy(right), torch.tensor(labels, dtype=torch.float32)

    def loss(model: torch.nn.Module, rows: list[int]) -> torch.Tensor:
        return torch.nn.functional.binary_cross_entropy_with_logits(model(one[rows], other[rows]), target[rows])

    return fit(lambda: build(np.concatenate([left, right]), settings.width), loss, len(left), settings, seed)


def score(model: torch.nn.Module, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """One float64 logit a pair; above zero the head takes the two for clones."""
    import torch

    with one_thread(), torch.inference_mode():
        return model(torch.from_numpy(left), torch.from_numpy(right)).double().numpy()
