"""Fine-tuning a whole encoder with ``transformers.Trainer``: settings, order of the items, checkpoints.

What is learned is the caller's: a model that returns its loss, items that say their size, and a function that makes a
batch of some.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import transformers
from transformers import PrinterCallback, Trainer, TrainingArguments

from llmexp_utils.encoders import quiet
from llmexp_utils.errors import StudyError

PASS = 4  # items in one forward and backward pass on a processor: a third of the memory of 16, and no slower
GROUP = 16  # optimiser steps whose items are sorted by length together: 97 % useful tokens in passes of four

# Arguments that change nothing in what is learned: a run continues from its checkpoint if only these differ.
INCIDENTAL = (
    "output_dir",
    "disable_tqdm",
    "save_steps",
    "save_strategy",
    "save_total_limit",
    "dataloader_pin_memory",
)


class Item(Protocol):
    """One training example."""

    @property
    def size(self) -> int:
        """Length in tokens: what a batch is padded to."""
        ...


Collate = Callable[[Sequence[Any]], dict[str, torch.Tensor]]


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

    A step is the mean over ``batch_size`` items; on a processor their gradients are accumulated over passes of a few,
    to save memory. ``more`` overrides or adds any argument of ``transformers.TrainingArguments``.
    """
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


class GroupedTrainer(Trainer):
    """``Trainer`` that takes the whole run's batches from :func:`grouped_order`.

    ``train_sampling_strategy="group_by_length"`` groups by length, any other value shuffles. The order depends on the
    seed alone, so a resumed run sees the batches that it would have seen.
    """

    def _get_train_sampler(self, train_dataset: Sequence[Item] | None = None) -> list[int]:
        arguments = self.args
        grouped = arguments.train_sampling_strategy == "group_by_length"
        passes = arguments.gradient_accumulation_steps
        return grouped_order(
            [item.size for item in train_dataset or self.train_dataset],
            arguments.max_steps * passes,
            arguments.train_batch_size,
            np.random.default_rng(arguments.seed),
            group=GROUP * passes if grouped else 1,
        )


def fine_tune(
    model: torch.nn.Module, items: Sequence[Item], collate: Collate, arguments: TrainingArguments, folder: Path
) -> None:
    """Train a model in place, from the last checkpoint in ``folder`` if there is one.

    Parameters
    ----------
    model : Module
        Called with a batch's tensors by name, it returns a dict with ``loss``, a mean over the items.
    items : sequence of Item
        Training examples.
    collate : callable
        Makes a batch of some items.
    arguments : TrainingArguments
        See :func:`training_arguments`.
    folder : Path
        The run's own, see :func:`checkpoints`.

    Raises
    ------
    StudyError
        If the number of steps is not set.
    """
    if arguments.max_steps <= 0:
        raise StudyError("max_steps is not set in the training arguments: students are compared at equal steps")
    with quiet():
        trainer = GroupedTrainer(model, _prepared(arguments, folder), data_collator=collate, train_dataset=items)
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=_last_checkpoint(folder))


@contextmanager
def checkpoints(arguments: TrainingArguments, *content: Any) -> Iterator[Path]:
    """Folder of a run's checkpoints under ``output_dir``; removed at the end, kept when the run breaks off.

    Its name covers ``content`` (plain values: data, model), the arguments and the versions of the libraries; what else
    decides a run (the code, the weights) is for ``output_dir`` to tell apart.
    """
    settings = {name: value for name, value in arguments.to_dict().items() if name not in INCIDENTAL}
    versions = [torch.__version__, transformers.__version__]
    text = json.dumps([*content, settings, versions], sort_keys=True, default=str)
    folder = Path(arguments.output_dir) / hashlib.sha256(text.encode()).hexdigest()[:16]
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def grouped_order(
    sizes: Sequence[int], batches: int, batch_size: int, rng: np.random.Generator, group: int = GROUP
) -> list[int]:
    """Order of training items for a whole run, in which every batch holds items of similar length.

    The library's own sampler sorts within a quarter of an epoch at most, which is no grouping at all for a
    few dozen items, ends each epoch with an odd batch, and cannot be resumed within an epoch. Here
    permutations of the items follow one another, are sorted in pieces of ``group`` batches (never more than
    an epoch, so that a batch is not made of copies of one item), and the batches of a piece are shuffled.

    Parameters
    ----------
    sizes : sequence of int
        Length of each item, in tokens.
    batches, batch_size : int
        Number of batches of the run, items in each.
    group : int
        1 gives plain shuffling.

    Returns
    -------
    list of int
        ``batches * batch_size`` positions in ``sizes``.
    """
    length = np.asarray(sizes)
    total = batches * batch_size
    epochs = -(-total // len(length))
    stream = np.concatenate([rng.permutation(len(length)) for _ in range(epochs)])[:total]
    piece = batch_size * max(1, min(group, len(length) // batch_size))
    order: list[int] = []
    for start in range(0, total, piece):
        part = stream[start : start + piece]
        if group > 1:
            part = part[np.argsort(length[part], kind="stable")]
        order += rng.permutation(part.reshape(-1, batch_size)).ravel().tolist()
    return order


def _prepared(arguments: TrainingArguments, folder: Path) -> TrainingArguments:
    """The notebook's arguments with what the students cannot do without."""
    arguments = copy.copy(arguments)
    arguments.output_dir = str(folder)
    arguments.remove_unused_columns = False  # the collator needs items as they are
    arguments.disable_tqdm = True
    arguments.dataloader_pin_memory = torch.cuda.is_available()
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1  # DataParallel would cut a batch between the texts of one item
    return arguments


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
