"""What padding costs: the plain trainer's fixed length against batches of similar length.

Every arm sees the same 48 gold faults once (three steps of sixteen), in a process of its own, on one thread,
with the embedded encoder trained whole unless the arm says otherwise. Processor seconds are those of that
process, so that other work on the machine counts little. Writes ``benchmarks/padding.csv``.

Run with ``python -m benchmarks.padding``; about three minutes on an idle machine.
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from transformers import PrinterCallback, Trainer, TrainerCallback

from llmexp_utils.benchmarks import gold_frame, load_humaneval, read_gold
from llmexp_utils.encoders import EncoderChoice, load_encoder, quiet
from llmexp_utils.fine_tuning import Collate, GroupedTrainer, Item, training_arguments
from llmexp_utils.line_classifier import LineClassifier, LineItem, collate
from llmexp_utils.line_windows import encode_functions
from llmexp_utils.paths import gold_dir

ITEMS = 48
BATCH = 16


class Arm(NamedTuple):
    """One way to batch and to train."""

    name: str
    trainer: type[Trainer]
    pad_to: int = 0
    choice: EncoderChoice = EncoderChoice()
    whole: bool = False  # the whole step in one pass


ARMS = (
    Arm("trainer, padded to 512", Trainer, 512),
    Arm("trainer, padded to 256", Trainer, 256),
    Arm("trainer, padded to the batch", Trainer),
    Arm("similar lengths", GroupedTrainer, whole=True),
    Arm("ours: similar lengths, passes of four", GroupedTrainer),
    Arm("ours, token embeddings frozen", GroupedTrainer, choice=EncoderChoice(freeze_embeddings=True)),
    Arm("ours, lower 3 of 6 layers frozen", GroupedTrainer, choice=EncoderChoice(frozen_layers=3)),
)


class Clock(TrainerCallback):
    """Seconds of wall clock and of processor time in the training steps."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.processor: list[float] = []

    def on_step_begin(self, *given: Any, **named: Any) -> None:
        self.began = time.perf_counter(), time.process_time()

    def on_step_end(self, *given: Any, **named: Any) -> None:
        self.wall.append(time.perf_counter() - self.began[0])
        self.processor.append(time.process_time() - self.began[1])


class Task(NamedTuple):
    """What is trained: a model, its training items, and how batches are made of them."""

    model: torch.nn.Module
    items: Sequence[Item]
    collate: Collate
    pad: int


def fault_lines(arm: Arm) -> Task:
    """The lines of gold faults (:mod:`llmexp_utils.encoder_student`)."""
    gold = gold_frame(read_gold(gold_dir() / "faults.jsonl"), load_humaneval()).sample(ITEMS, random_state=0)
    backbone, tokenizer, window = load_encoder(arm.choice)
    functions = encode_functions(gold["code"], tokenizer, min(window, arm.pad_to or window))
    items = [LineItem(function, lines) for function, lines in zip(functions, gold["lines"], strict=True)]
    pad = tokenizer.pad_token_id
    return Task(LineClassifier(backbone), items, lambda batch: collate(batch, pad), pad)


def counting_collator(task: Task, pad_to: int, shapes: list[tuple[int, int]]) -> Collate:
    """Collator that pads on to ``pad_to`` tokens and notes (tokens computed, tokens of code) a batch."""

    def collator(items: Sequence[Item]) -> dict[str, torch.Tensor]:
        batch = task.collate(items)
        extra = max(0, pad_to - batch["input_ids"].shape[1])
        for name, value in {"input_ids": task.pad, "attention_mask": 0, "token_type_ids": 0}.items():
            if name in batch:
                batch[name] = torch.nn.functional.pad(batch[name], (0, extra), value=value)
        shapes.append((batch["input_ids"].numel(), int(batch["attention_mask"].sum())))
        return batch

    return collator


def measure(arm: Arm, task: Task, folder: str) -> dict[str, object]:
    """Train one arm for one pass over the task's items."""
    shapes: list[tuple[int, int]] = []
    grouped = arm.trainer is GroupedTrainer
    one_pass = {"per_device_train_batch_size": BATCH, "gradient_accumulation_steps": 1}
    arguments = training_arguments(
        folder,
        steps=len(task.items) // BATCH,
        batch_size=BATCH,
        train_sampling_strategy="group_by_length" if grouped else "random",
        remove_unused_columns=False,
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **({} if grouped and not arm.whole else one_pass),
    )
    clock, collator = Clock(), counting_collator(task, arm.pad_to, shapes)
    trainer = arm.trainer(task.model, arguments, data_collator=collator, train_dataset=task.items, callbacks=[clock])
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    computed, useful = np.sum(shapes, axis=0)
    return {
        "arm": arm.name,
        "steps": len(clock.wall),
        "items": len(task.items),
        "tokens_per_step": round(computed / len(clock.wall)),
        "useful_share": round(useful / computed, 3),
        "processor_seconds_per_step": round(float(np.mean(clock.processor)), 2),
        "wall_seconds_per_step": round(float(np.mean(clock.wall)), 2),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),  # of the process
    }


def run(arm: Arm, prepare: Callable[[Arm], Task]) -> dict[str, object]:
    """Measure one arm in a fresh process, after one step that warms up the libraries."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with quiet(), tempfile.TemporaryDirectory() as folder:
        first = prepare(ARMS[-1])
        shortest = sorted(first.items, key=lambda item: item.size)[:BATCH]
        measure(ARMS[-1], first._replace(items=shortest), folder)
        del first
        return measure(arm, prepare(arm), folder)


def compare(prepare: Callable[[Arm], Task], arms: Sequence[Arm], path: Path) -> None:
    """Measure every arm on one task, print the table and write it."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        table = pd.DataFrame(pool.imap(partial(run, prepare=prepare), arms))
    seconds = table["processor_seconds_per_step"]
    table["speed_up"] = (seconds.iloc[0] / seconds).round(2)
    table.to_csv(path, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    compare(fault_lines, ARMS, Path(__file__).with_suffix(".csv"))
