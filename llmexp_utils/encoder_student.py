"""Student (B): a pretrained encoder fine-tuned whole to rank the lines of a function by suspicion.

Any ``transformers`` encoder of the BERT, RoBERTa or T5 kind serves, as in arXiv 2408.08553: the tokens of
each line are followed by a separator, at which the line's logit is read (``line_windows``,
``line_classifier``).
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from llmexp_utils.encoders import MINILM, EncoderChoice, as_choice, load_encoder, quiet
from llmexp_utils.errors import StudyError
from llmexp_utils.line_windows import EncodedFunction, encode_functions
from llmexp_utils.reproducible import seeded

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from llmexp_utils.line_classifier import LineClassifier

PASS = 4  # functions in one forward and backward pass on a processor: a third of the memory of 16, and no slower

# Arguments that change nothing in what is learned: a run continues from its checkpoint if only these differ.
INCIDENTAL = (
    "output_dir",
    "disable_tqdm",
    "save_steps",
    "save_strategy",
    "save_total_limit",
    "dataloader_pin_memory",
)


class LineScores(NamedTuple):
    """Logits of the lines of the test and development faults (arrays of shape (lines,), in frame order).

    ``window_share`` is the share of all functions that needed more than one window, ``shortened`` the number
    of lines that alone exceed the window and lost their end.
    """

    test: list[np.ndarray]
    dev: list[np.ndarray]
    window_share: float
    shortened: int


def training_arguments(
    output_dir: Path | str,
    *,
    steps: int,
    batch_size: int = 16,
    learning_rate: float = 5e-5,
    seed: int = 0,
    **more: Any,
) -> TrainingArguments:
    """``TrainingArguments`` of this study: fixed steps, passes of similar length, warm-up, linear decay.

    A step is the mean over ``batch_size`` functions; on a processor their gradients are accumulated over
    passes of a few, to save memory. ``more`` overrides or adds any argument of
    ``transformers.TrainingArguments``.
    """
    import torch
    from transformers import TrainingArguments

    together = batch_size if torch.cuda.is_available() else math.gcd(batch_size, PASS)
    settings: dict[str, Any] = {
        "max_steps": steps,
        "per_device_train_batch_size": together,
        "gradient_accumulation_steps": batch_size // together,
        "learning_rate": learning_rate,
        "seed": seed,
        "train_sampling_strategy": "group_by_length",
        "warmup_steps": 0.1,  # below 1: a share of the steps
        "weight_decay": 0.01,
        "logging_strategy": "no",
        "save_steps": max(1, min(50, steps // 2)),
        "save_total_limit": 1,
        "report_to": "none",
    }
    return TrainingArguments(str(output_dir), **(settings | more))


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


def _train_and_score(
    train: pd.DataFrame,
    dev: pd.DataFrame,
    test: pd.DataFrame,
    arguments: TrainingArguments,
    choice: EncoderChoice,
) -> LineScores:
    from llmexp_utils.line_classifier import LineClassifier, freeze, score_lines

    for name, frame in {"train": train, "dev": dev, "test": test}.items():
        _check_frame(name, frame)
    if arguments.max_steps <= 0:
        raise StudyError("max_steps is not set in the training arguments: students are compared at equal steps")
    backbone, tokenizer, window = load_encoder(choice)
    freeze(backbone, choice.frozen_layers, choice.freeze_embeddings)
    model = LineClassifier(backbone)
    encoded = [encode_functions(frame["code"], tokenizer, window, choice.indent_tokens) for frame in (train, dev, test)]
    functions = [function for part in encoded for function in part]
    share = float(np.mean([len(function.windows) > 1 for function in functions]))
    shortened = sum(function.shortened for function in functions)
    pad = tokenizer.pad_token_id or 0
    with quiet():
        folder = Path(arguments.output_dir) / _identity((train, dev, test), arguments, choice)
        _train(model, encoded[0], train["lines"], arguments, folder, pad)
    scores = [score_lines(model, part, pad) for part in encoded[1:]]
    shutil.rmtree(folder, ignore_errors=True)
    return LineScores(scores[1], scores[0], share, shortened)


def _train(
    model: LineClassifier,
    functions: Sequence[EncodedFunction],
    lines: Sequence[Sequence[int]],
    arguments: TrainingArguments,
    folder: Path,
    pad: int,
) -> None:
    from transformers import PrinterCallback

    from llmexp_utils.line_classifier import Item, LineTrainer, collate

    items = [Item(function=function, lines=labels) for function, labels in zip(functions, lines, strict=True)]
    trainer = LineTrainer(
        model=model,
        args=_prepared(arguments, folder),
        data_collator=lambda batch: collate(batch, pad),
        train_dataset=items,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=_last_checkpoint(folder))


def _prepared(arguments: TrainingArguments, folder: Path) -> TrainingArguments:
    """The notebook's arguments with what this student cannot do without."""
    import torch

    arguments = copy.copy(arguments)
    arguments.output_dir = str(folder)
    arguments.remove_unused_columns = False  # the collator needs items as they are
    arguments.disable_tqdm = True
    arguments.dataloader_pin_memory = torch.cuda.is_available()
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # DataParallel would cut a batch between the windows of one function
    return arguments


def _identity(frames: Sequence[pd.DataFrame], arguments: TrainingArguments, choice: EncoderChoice) -> str:
    """Name of a run's checkpoint folder, so that no other run, before it or beside it, meets its files."""
    import torch
    import transformers

    settings = {name: value for name, value in arguments.to_dict().items() if name not in INCIDENTAL}
    data = [[frame["code"].tolist(), [list(map(int, lines)) for lines in frame["lines"]]] for frame in frames]
    versions = [torch.__version__, transformers.__version__]
    text = json.dumps([asdict(choice), settings, data, versions], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _last_checkpoint(folder: Path) -> str | None:
    """Newest complete checkpoint; one that a kill left half written is removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in found:
        try:
            json.loads((path / "trainer_state.json").read_text())  # the last file that is written
            return str(path)
        except (OSError, ValueError):
            shutil.rmtree(path)
    return None


def _check_frame(name: str, frame: pd.DataFrame) -> None:
    if frame.empty:
        raise StudyError(f"the {name} frame has no fault: the student needs at least one")
    for fault, code, lines in zip(frame["fault_id"], frame["code"], frame["lines"], strict=True):
        count = len(code.splitlines())
        if len(lines) == 0 or min(lines) < 1 or max(lines) > count:
            raise StudyError(f"fault {fault!r} of the {name} frame has labels {list(lines)} for {count} lines of code")
