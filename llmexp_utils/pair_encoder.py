"""Student (B) for pairs: a pretrained encoder fine-tuned whole to tell clones from other pairs.

``cross``: one text holds both functions, and every token can attend to both. A text's score depends on the order in it,
so a pair's score is the mean over both orders; training takes the order as given.
``bi``: each function is read alone, and the classifier sees ``|u - v|`` and ``u * v`` (after Conneau et al. 2017, arXiv
1705.02364), in which the order means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, TrainingArguments

from llmexp_utils.encoders import MINILM, EncoderChoice, as_choice, load_encoder
from llmexp_utils.errors import StudyError
from llmexp_utils.fine_tuning import checkpoints, fine_tune, training_arguments
from llmexp_utils.pair_inputs import Head, PairItem, encode_pairs
from llmexp_utils.reproducible import seeded


class PairScores(NamedTuple):
    """Logits of the test and development pairs (arrays of shape (pairs,), in frame order)."""

    test: np.ndarray
    dev: np.ndarray


class PairClassifier(nn.Module):
    """Encoder, mean over the tokens of all windows, dropout, and a linear layer to the logit of a pair.

    The mean serves T5 as well, which has no first token, and is what the embedded encoder was pretrained for.

    Parameters
    ----------
    backbone : PreTrainedModel
        Any encoder whose output has ``last_hidden_state``.
    head : {"cross", "bi"}
        Texts with both functions, or of one function each.
    dropout : float
        Probability of dropping a feature of a pair in training.
    """

    def __init__(self, backbone: PreTrainedModel, head: Head, dropout: float = 0.1) -> None:
        super().__init__()
        self.backbone = backbone
        self.apart = head == "bi"
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(backbone.config.hidden_size * (2 if self.apart else 1), 1)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        owners: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        targets: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Score the pairs of a batch.

        Parameters
        ----------
        input_ids, attention_mask, token_type_ids : Tensor, shape (texts, tokens)
            Texts of the pairs; with ``bi`` those of all left functions, then those of all right ones.
        owners : Tensor, shape (texts,)
            Pair of each text, counted from 0 and in order; with ``bi`` its function, all left ones first.
        targets : Tensor, shape (pairs,), optional
            1 for clones, 0 for others.

        Returns
        -------
        dict
            ``logits`` of shape (pairs,); ``loss``, the binary cross-entropy, if targets are given.
        """
        types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **types).last_hidden_state
        mask = attention_mask[:, :, None].to(states.dtype)
        features = _of_owners((states * mask).sum(dim=1), owners) / _of_owners(mask.sum(dim=1), owners)
        if self.apart:
            u, v = features.chunk(2)
            features = torch.cat([torch.abs(u - v), u * v], dim=1)
        logits = self.head(self.dropout(features)).squeeze(-1).float()
        if targets is None:
            return {"logits": logits}
        return {"loss": nn.functional.binary_cross_entropy_with_logits(logits, targets), "logits": logits}


def collate(items: Sequence[PairItem], pad: int) -> dict[str, torch.Tensor]:
    """Batch of pairs, padded to the longest of their texts (``pad`` = id of the padding token)."""
    readings = [texts for side in zip(*(item.sides for item in items), strict=True) for texts in side]
    texts = [text for reading in readings for text in reading]
    owners = [owner for owner, reading in enumerate(readings) for _ in reading]
    batch = {
        name: pad_sequence(
            [torch.tensor(text[name]) for text in texts],
            batch_first=True,
            padding_value=pad if name == "input_ids" else 0,
        )
        for name in texts[0]
    }
    labels = torch.tensor([float(item.label) for item in items])
    return batch | {"owners": torch.tensor(owners), "targets": labels}


def train_and_score_pairs(
    train: pd.DataFrame,
    dev: pd.DataFrame,
    test: pd.DataFrame,
    *,
    encoder: EncoderChoice | str = MINILM,
    head: Head = "cross",
    steps: int,
    batch_size: int = 16,
    learning_rate: float = 5e-5,
    seed: int = 0,
    output_dir: Path | str,
) -> PairScores:
    """Fine-tune an encoder on pairs and score others: one run of a grid.

    Parameters
    ----------
    train, dev, test : DataFrame
        Pair frames (:mod:`llmexp_utils.pairs`): ``left``, ``right``, ``label``. Nothing is learned from ``dev`` and
        ``test``.
    encoder : EncoderChoice or str
        See :class:`EncoderChoice`.
    head : {"cross", "bi"}
        Both functions in one text, or each in its own.
    steps, batch_size, learning_rate, seed
        Optimiser steps, pairs in a step, peak learning rate, seed of weights, dropout and order.
    output_dir : Path or str
        Where checkpoints are kept until the run is complete; the same call after a kill continues from the last.

    Returns
    -------
    PairScores
        The same bytes for the same call, on one thread.

    Raises
    ------
    StudyError
        If a frame is empty, the training pairs have one label only, or the encoder does not suit the head.
    """
    arguments = training_arguments(
        output_dir, steps=steps, batch_size=batch_size, learning_rate=learning_rate, seed=seed
    )
    with seeded(seed):
        return _train_and_score(train, dev, test, arguments, as_choice(encoder), head)


def _train_and_score(
    train: pd.DataFrame,
    dev: pd.DataFrame,
    test: pd.DataFrame,
    arguments: TrainingArguments,
    choice: EncoderChoice,
    head: Head,
) -> PairScores:
    frames = {"train": train, "dev": dev, "test": test}
    _check_frames(frames)
    backbone, tokenizer, window = load_encoder(choice)
    model = PairClassifier(backbone, head)

    def encode(frame: pd.DataFrame) -> list[PairItem]:
        return encode_pairs(frame, tokenizer, window, head, choice.indent_tokens)

    pad = tokenizer.pad_token_id or 0
    encoded = [encode(frame) for frame in frames.values()]
    with checkpoints(arguments, asdict(choice), head, *map(_content, frames.values())) as folder:
        fine_tune(model, encoded[0], lambda batch: collate(batch, pad), arguments, folder)
        scores = [score_pairs(model, part, pad) for part in encoded[1:]]
        if head == "cross":
            swapped = [score_pairs(model, encode(_swapped(frame)), pad) for frame in (dev, test)]
            scores = [(one + other) / 2 for one, other in zip(scores, swapped, strict=True)]
    return PairScores(scores[1], scores[0])


def split_share(pairs: pd.DataFrame, encoder: EncoderChoice | str = MINILM, head: Head = "cross") -> float:
    """Share of pairs that exceed the encoder's window and are read in several; nothing is cut."""
    choice = as_choice(encoder)
    _, tokenizer, window = load_encoder(choice)
    items = encode_pairs(pairs, tokenizer, window, head, choice.indent_tokens)
    return float(np.mean([item.is_split for item in items]))


def score_pairs(model: PairClassifier, items: Sequence[PairItem], pad: int, batch_size: int = 16) -> np.ndarray:
    """Logits of pairs, shape (pairs,), each in the order of its texts."""
    device = next(model.parameters()).device
    order = np.argsort([item.size for item in items], kind="stable")
    scores = np.empty(len(items))
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            batch = collate([items[n] for n in chosen], pad)
            batch.pop("targets")
            scores[chosen] = model(**{name: value.to(device) for name, value in batch.items()})["logits"].cpu().numpy()
    return scores


def _of_owners(values: torch.Tensor, owners: torch.Tensor) -> torch.Tensor:
    """Sums of the rows that belong together, shape (owners, ...)."""
    count = int(owners[-1]) + 1
    return values.new_zeros(count, *values.shape[1:]).index_add(0, owners, values)


def _swapped(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(left=frame["right"], right=frame["left"])


def _content(frame: pd.DataFrame) -> list[list]:
    """What of a frame decides a run, as plain values."""
    return [frame["left"].tolist(), frame["right"].tolist(), [int(label) for label in frame["label"]]]


def _check_frames(frames: dict[str, pd.DataFrame]) -> None:
    for name, frame in frames.items():
        if frame.empty:
            raise StudyError(f"the {name} frame has no pair: the student needs at least one")
    labels = set(frames["train"]["label"])
    if labels != {0, 1}:
        raise StudyError(f"the training pairs have the labels {sorted(labels)}: a student needs clones and others")
