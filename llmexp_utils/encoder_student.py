"""Student (B): a pretrained encoder fine-tuned whole to rank the lines of a function by suspicion.

Any ``transformers`` encoder of the BERT, RoBERTa or T5 kind serves, as in arXiv 2408.08553: the tokens of
each line are followed by a separator, at which the line's logit is read (``line_windows``,
``line_classifier``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from transformers import TrainingArguments

from llmexp_utils.encoders import MINILM, EncoderChoice, as_choice, load_encoder
from llmexp_utils.errors import StudyError
from llmexp_utils.fine_tuning import checkpoints, fine_tune, training_arguments
from llmexp_utils.line_classifier import LineClassifier, LineItem, collate, score_lines
from llmexp_utils.line_windows import EncodedFunction, encode_functions
from llmexp_utils.reproducible import seeded


class LineScores(NamedTuple):
    """Logits of the lines of the test and development faults (arrays of shape (lines,), in frame order).

    ``window_share`` is the share of all functions that needed more than one window, ``cut_share`` the share of those
    with a line that alone exceeds the window and lost its end.
    """

    test: list[np.ndarray]
    dev: list[np.ndarray]
    window_share: float
    cut_share: float


def train_and_score(
    train: pd.DataFrame,
    dev: pd.DataFrame,
    test: pd.DataFrame,
    *,
    encoder: EncoderChoice | str = MINILM,
    steps: int,
    batch_size: int = 16,
    learning_rate: float = 5e-5,
    seed: int = 0,
    output_dir: Path | str,
) -> LineScores:
    """Fine-tune an encoder on faults and score the lines of others: one run of a grid.

    Parameters
    ----------
    train, dev, test : DataFrame
        Fault frames: ``fault_id``, ``code``, ``lines``. Nothing is learned from ``dev`` and ``test``.
    encoder : EncoderChoice or str
        See :class:`EncoderChoice`.
    steps, batch_size, learning_rate, seed
        Optimiser steps, functions in a step, peak learning rate, seed of weights, dropout and order.
    output_dir : Path or str
        Where checkpoints are kept until the run is complete; the same call after a kill continues from the
        last.

    Returns
    -------
    LineScores
        The same bytes for the same call, on one thread.
    """
    arguments = training_arguments(
        output_dir, steps=steps, batch_size=batch_size, learning_rate=learning_rate, seed=seed
    )
    with seeded(seed):  # on one thread: the same bytes whatever else runs, and however many cores there are
        return _train_and_score(train, dev, test, arguments, as_choice(encoder))


class WindowUse(NamedTuple):
    """Shares of functions that need more than one window, and of those with a line that exceeds one and is cut."""

    split_share: float
    cut_share: float


def window_use(codes: Sequence[str], encoder: EncoderChoice | str = MINILM) -> WindowUse:
    """How functions fit into an encoder's window; what needs several windows is read in several, nothing is cut."""
    choice = as_choice(encoder)
    _, tokenizer, window = load_encoder(choice)
    return _use(encode_functions(codes, tokenizer, window, choice.indent_tokens))


def _train_and_score(
    train: pd.DataFrame,
    dev: pd.DataFrame,
    test: pd.DataFrame,
    arguments: TrainingArguments,
    choice: EncoderChoice,
) -> LineScores:
    frames = {"train": train, "dev": dev, "test": test}
    for name, frame in frames.items():
        _check_frame(name, frame)
    backbone, tokenizer, window = load_encoder(choice)
    model = LineClassifier(backbone)
    encoded = [encode_functions(frame["code"], tokenizer, window, choice.indent_tokens) for frame in frames.values()]
    use = _use([function for part in encoded for function in part])
    items = [LineItem(function, lines) for function, lines in zip(encoded[0], train["lines"], strict=True)]
    pad = tokenizer.pad_token_id or 0
    with checkpoints(arguments, asdict(choice), *map(_content, frames.values())) as folder:
        fine_tune(model, items, lambda batch: collate(batch, pad), arguments, folder)
        scores = [score_lines(model, part, pad) for part in encoded[1:]]
    return LineScores(scores[1], scores[0], *use)


def _use(functions: Sequence[EncodedFunction]) -> WindowUse:
    split = [len(function.windows) > 1 for function in functions]
    return WindowUse(float(np.mean(split)), float(np.mean([function.shortened > 0 for function in functions])))


def _content(frame: pd.DataFrame) -> list[list]:
    """What of a frame decides a run, as plain values."""
    return [frame["code"].tolist(), [list(map(int, lines)) for lines in frame["lines"]]]


def _check_frame(name: str, frame: pd.DataFrame) -> None:
    if frame.empty:
        raise StudyError(f"the {name} frame has no fault: the student needs at least one")
    for fault, code, lines in zip(frame["fault_id"], frame["code"], frame["lines"], strict=True):
        count = len(code.splitlines())
        if len(lines) == 0 or min(lines) < 1 or max(lines) > count:
            raise StudyError(f"fault {fault!r} of the {name} frame has labels {list(lines)} for {count} lines of code")
