"""Training of the small models on kept states: fixed steps, warm-up and decay, the same weights for the same call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from llmexp_utils.reproducible import seeded

if TYPE_CHECKING:
    import torch

WARM_UP = 0.1
CLIP = 1.0


@dataclass(frozen=True)
class Settings:
    """How a small model is trained; equal for all conditions."""

    steps: int = 200
    batch_size: int = 16
    learning_rate: float = 5e-4
    width: int = 160
    weight_decay: float = 0.01


def fit(
    build: Callable[[], torch.nn.Module],
    loss: Callable[[torch.nn.Module, list[int]], torch.Tensor],
    n: int,
    settings: Settings,
    seed: int,
) -> torch.nn.Module:
    """Train a new model with AdamW, on one thread.

    Parameters
    ----------
    build : callable
        Gives the untrained model.
    loss : callable
        Mean loss of a model over the training items in the given rows.
    n : int
        Number of training items.
    settings : Settings
        Steps, batch, rate.
    seed : int
        Decides initial weights, dropout and order: the same call gives the same weights.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.
    """
    import torch

    with seeded(seed):
        model = build().train()
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rate(step, settings.steps))
        order = epochs(n, np.random.default_rng(seed))
        for _ in range(settings.steps):
            value = loss(model, [next(order) for _ in range(settings.batch_size)])
            optimiser.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimiser.step()
            schedule.step()
    return model.eval()


def rate(step: int, steps: int) -> float:
    """Share of the learning rate: linear warm-up, then linear decay to zero."""
    return min((step + 1) / max(1.0, WARM_UP * steps), (steps - step) / steps)


def epochs(n: int, rng: np.random.Generator) -> Iterator[int]:
    """Endless order: every item once before any comes again."""
    while True:
        yield from rng.permutation(n).tolist()
