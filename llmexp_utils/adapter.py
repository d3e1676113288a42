"""Student (A) ``frozen-llm``: a small bidirectional transformer over the line states of a frozen code model.

The idea is LLMAO's (Yang et al. 2024, arXiv 2310.01726); unlike its released code the attention has no causal mask,
so that a line's score may depend on the lines below it, and lines are ranked within their function.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from llmexp_utils.reproducible import one_thread
from llmexp_utils.small_training import Settings, fit

if TYPE_CHECKING:
    import torch

POSITIONS = 64
HEADS, LAYERS, DROPOUT = 4, 2, 0.1


def build(hidden: int, width: int) -> torch.nn.Module:
    """Untrained adapter: line states of several functions, one after the other, to one logit a line.

    Nothing is padded: the lines of a batch form one sequence in which a line attends to the lines of its own
    function, to those above it as well as to those below.

    Parameters
    ----------
    hidden : int
        Width of the line states.
    width : int
        Width of the adapter; 160 gives 0.8 million parameters on 896-wide states.

    Returns
    -------
    torch.nn.Module
        Called with states (lines, hidden) and lengths (functions,), it returns logits (lines,).
    """
    import torch
    from torch import nn

    class Adapter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, width), nn.Dropout(DROPOUT))
            self.from_start, self.from_end = nn.Embedding(POSITIONS, width), nn.Embedding(POSITIONS, width)
            for table in (self.from_start, self.from_end):
                nn.init.normal_(table.weight, std=0.02)
            layer = nn.TransformerEncoderLayer(
                width, HEADS, 4 * width, DROPOUT, "gelu", batch_first=True, norm_first=True
            )
            self.blocks = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
            self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 1))

        def forward(self, states: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            function = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
            start = torch.cat([torch.arange(n) for n in lengths.tolist()])
            end = lengths[function] - 1 - start
            x = self.read(states)
            x = x + self.from_start(start.clamp(max=POSITIONS - 1)) + self.from_end(end.clamp(max=POSITIONS - 1))
            elsewhere = function[:, None] != function[None, :]
            return self.head(self.blocks(x[None], mask=elsewhere)[0])[:, 0]

    return Adapter()


def train(
    states: Sequence[np.ndarray], labels: Sequence[Sequence[int]], settings: Settings, seed: int
) -> torch.nn.Module:
    """Train an adapter; the loss is the cross-entropy of the faulty lines under a softmax over the function's lines.

    Parameters
    ----------
    states : sequence of ndarray (n_lines, hidden)
        Line states of the faulty functions.
    labels : sequence of sequence of int
        Faulty lines, 1-based; a fault of several lines spreads its mass evenly.
    seed : int
        Decides initial weights, dropout and order: the same call gives the same weights.
    """

    def loss(model: torch.nn.Module, rows: list[int]) -> torch.Tensor:
        return _loss(model, [states[row] for row in rows], [labels[row] for row in rows])

    return fit(lambda: build(states[0].shape[1], settings.width), loss, len(states), settings, seed)


def score(model: torch.nn.Module, states: Sequence[np.ndarray], batch_size: int = 32) -> list[np.ndarray]:
    """One float64 score a line of each function; higher is more suspicious."""
    import torch

    scores: list[np.ndarray] = []
    with one_thread(), torch.inference_mode():
        for start in range(0, len(states), batch_size):
            inputs, lengths = _packed(states[start : start + batch_size])
            logits = model(inputs, lengths).double().numpy()
            scores += np.split(logits, np.cumsum(lengths.tolist())[:-1])
    return scores


def _loss(model: torch.nn.Module, states: Sequence[np.ndarray], labels: Sequence[Sequence[int]]) -> torch.Tensor:
    """Mean over the functions."""
    import torch

    inputs, lengths = _packed(states)
    logits = torch.split(model(inputs, lengths), lengths.tolist())
    padded = torch.nn.utils.rnn.pad_sequence(logits, batch_first=True, padding_value=float("-inf"))
    target = _targets(labels, padded.shape[1])
    return -(target * padded.log_softmax(dim=1).masked_fill(target == 0, 0)).sum(dim=1).mean()


def _packed(states: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """All lines one after the other, float32, and the number of lines of each function."""
    import torch

    rows = np.concatenate(states).astype(np.float32)
    return torch.from_numpy(rows), torch.tensor([len(one) for one in states])


def _targets(labels: Sequence[Sequence[int]], n_lines: int) -> torch.Tensor:
    import torch

    target = torch.zeros(len(labels), n_lines)
    for row, lines in enumerate(labels):
        target[row, [line - 1 for line in lines]] = 1 / len(lines)
    return target
