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
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from transformers import PrinterCallback, Trainer, TrainerCallback

from llmexp_utils.benchmarks import gold_frame, load_humaneval, read_gold
from llmexp_utils.encoder_student import training_arguments
from llmexp_utils.encoders import EncoderChoice, load_encoder, quiet
from llmexp_utils.line_classifier import Item, LineClassifier, LineTrainer, collate, freeze
from llmexp_utils.line_windows import encode_functions
from llmexp_utils.paths import gold_dir

FUNCTIONS = 48
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
    Arm("similar lengths", LineTrainer, whole=True),
    Arm("ours: similar lengths, passes of four", LineTrainer),
    Arm("ours, token embeddings frozen", LineTrainer, choice=EncoderChoice(freeze_embeddings=True)),
    Arm("ours, lower 3 of 6 layers frozen", LineTrainer, choice=EncoderChoice(frozen_layers=3)),
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


def counting_collator(pad: int, pad_to: int, shapes: list[tuple[int, int]]) -> Callable[[Sequence[Item]], dict]:
    """Collator that pads on to ``pad_to`` tokens and notes (tokens computed, tokens of code) a batch."""

    def collator(items: Sequence[Item]) -> dict[str, torch.Tensor]:
        batch = collate(items, pad)
        extra = max(0, pad_to - batch["input_ids"].shape[1])
        for name, value in (("input_ids", pad), ("attention_mask", 0)):
            batch[name] = torch.nn.functional.pad(batch[name], (0, extra), value=value)
        shapes.append((batch["input_ids"].numel(), int(batch["attention_mask"].sum())))
        return batch

    return collator


def measure(arm: Arm, frame: pd.DataFrame, folder: str) -> dict[str, object]:
    """Train one arm for one pass over ``frame``."""
    torch.manual_seed(0)
    backbone, tokenizer, window = load_encoder(arm.choice)
    freeze(backbone, arm.choice.frozen_layers, arm.choice.freeze_embeddings)
    functions = encode_functions(frame["code"], tokenizer, min(window, arm.pad_to or window))
    items = [Item(function=f, lines=lines) for f, lines in zip(functions, frame["lines"], strict=True)]
    shapes: list[tuple[int, int]] = []
    grouped = arm.trainer is LineTrainer
    one_pass = {"per_device_train_batch_size": BATCH, "gradient_accumulation_steps": 1}
    arguments = training_arguments(
        folder,
        steps=len(items) // BATCH,
        batch_size=BATCH,
        train_sampling_strategy="group_by_length" if grouped else "random",
        remove_unused_columns=False,
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **({} if grouped and not arm.whole else one_pass),
    )
    clock, collator = Clock(), counting_collator(tokenizer.pad_token_id, arm.pad_to, shapes)
    trainer = arm.trainer(
        LineClassifier(backbone), arguments, data_collator=collator, train_dataset=items, callbacks=[clock]
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    computed, useful = np.sum(shapes, axis=0)
    return {
        "arm": arm.name,
        "steps": len(clock.wall),
        "functions": len(items),
        "tokens_per_step": round(computed / len(clock.wall)),
        "useful_share": round(useful / computed, 3),
        "processor_seconds_per_step": round(float(np.mean(clock.processor)), 2),
        "wall_seconds_per_step": round(float(np.mean(clock.wall)), 2),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),  # of the process
    }


def run(arm: Arm) -> dict[str, object]:
    """Measure one arm in a fresh process, after one step that warms up the libraries."""
    torch.set_num_threads(1)
    gold = gold_frame(read_gold(gold_dir() / "faults.jsonl"), load_humaneval())
    frame = gold.sample(FUNCTIONS, random_state=0)
    with quiet(), tempfile.TemporaryDirectory() as folder:
        measure(ARMS[-1], frame.sort_values("code", key=lambda code: code.str.len()).iloc[:BATCH], folder)
        return measure(arm, frame, folder)


def main() -> None:
    """Measure every arm, print the table and write it."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        table = pd.DataFrame(pool.imap(run, ARMS))
    seconds = table["processor_seconds_per_step"]
    table["speed_up"] = (seconds.iloc[0] / seconds).round(2)
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
