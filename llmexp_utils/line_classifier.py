"""A pretrained encoder with one logit a line, and its batches.

The softmax over the lines of a function ranks them; the loss is the cross-entropy with the target mass spread
evenly over the labelled lines (after arXiv 2408.08553, which classifies lines with a fine-tuned encoder).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from llmexp_utils.line_windows import EncodedFunction

NO_LINE = torch.finfo(torch.float32).min  # logit of a place without a line: finite, because 0 * -inf is nan


@dataclass(frozen=True)
class LineItem:
    """One training example: a function and the numbers (1-based) of its faulty lines."""

    function: EncodedFunction
    lines: Sequence[int]

    @property
    def size(self) -> int:
        """Length of the function's longest window, in tokens."""
        return self.function.size


class LineClassifier(nn.Module):
    """Encoder, dropout, and a linear layer from a separator's hidden state to the logit of its line.

    Parameters
    ----------
    backbone : PreTrainedModel
        Any encoder whose output has ``last_hidden_state``.
    dropout : float
        Probability of dropping a unit of a line's hidden state in training.
    """

    def __init__(self, backbone: PreTrainedModel, dropout: float = 0.1) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(backbone.config.hidden_size, 1)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        reads: torch.Tensor,
        n_lines: torch.Tensor,
        targets: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Score every line of a batch of functions.

        Parameters
        ----------
        input_ids, attention_mask : Tensor, shape (windows, tokens)
            Windows of all functions of the batch.
        reads : Tensor, shape (lines of all functions, 2)
            Window and token at which each line is read.
        n_lines : Tensor, shape (functions,)
        targets : Tensor, shape (functions, most lines), optional
            Target mass of each line; rows sum to 1.

        Returns
        -------
        dict
            ``logits`` of shape (functions, most lines), filled with ``NO_LINE``; ``loss`` if targets are
            given.
        """
        states = self.backbone(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        flat = self.head(self.dropout(states[reads[:, 0], reads[:, 1]])).squeeze(-1).float()
        logits = pad_sequence(flat.split(n_lines.tolist()), batch_first=True, padding_value=NO_LINE)
        if targets is None:
            return {"logits": logits}
        return {"loss": nn.functional.cross_entropy(logits, targets), "logits": logits}


def collate(items: Sequence[LineItem], pad: int) -> dict[str, torch.Tensor]:
    """Batch of functions, padded to the longest of its windows (``pad`` = id of the padding token)."""
    functions = [item.function for item in items]
    windows = [torch.tensor(window) for function in functions for window in function.windows]
    before = np.cumsum([0, *(len(function.windows) for function in functions)])
    reads = [
        (start + row, column)
        for start, function in zip(before, functions, strict=False)
        for row, column in function.reads
    ]
    targets = [_target(item) for item in items]
    return {
        "input_ids": pad_sequence(windows, batch_first=True, padding_value=pad),
        "attention_mask": pad_sequence([torch.ones_like(window) for window in windows], batch_first=True),
        "reads": torch.tensor(np.array(reads)),
        "n_lines": torch.tensor([len(target) for target in targets]),
        "targets": pad_sequence(targets, batch_first=True),
    }


def score_lines(
    model: LineClassifier, functions: Sequence[EncodedFunction], pad: int, batch_size: int = 16
) -> list[np.ndarray]:
    """Logits of the lines of each function, in the order given: arrays of shape (lines,)."""
    # Not Trainer.predict: with grouping by length it visits items in another order and never restores theirs.
    device = next(model.parameters()).device
    order = np.argsort([function.size for function in functions], kind="stable")
    scores: list[np.ndarray] = [np.empty(0)] * len(functions)
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = collate([LineItem(functions[n], ()) for n in chosen], pad)
            batch.pop("targets")
            logits = model(**{name: value.to(device) for name, value in batch.items()})["logits"].cpu().numpy()
            for n, row in zip(chosen, logits, strict=True):
                scores[n] = row[: len(functions[n].reads)].astype(float)
    return scores


def _target(item: LineItem) -> torch.Tensor:
    target = torch.zeros(len(item.function.reads))
    for line in item.lines:
        target[line - 1] = 1 / len(item.lines)
    return target
