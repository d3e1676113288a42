"""What padding costs the student that reads pairs: the plain trainer's fixed length against batches of similar length.

As :mod:`benchmarks.padding`, with 48 gold pairs (three steps of sixteen) and both functions of a pair in one text; in
the last arm each function has a text of its own. Processor seconds are what counts: wall seconds depend on what else
was running. Writes ``benchmarks/pair_padding.csv``.

Run with ``python -m benchmarks.pair_padding``; about five minutes on an idle machine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from transformers import Trainer

from benchmarks.padding import ITEMS, Arm, Task, compare
from llmexp_utils.benchmarks import gold_frame, load_groups, load_humaneval, read_gold
from llmexp_utils.encoders import load_encoder
from llmexp_utils.fine_tuning import GroupedTrainer
from llmexp_utils.gold_clones import read_clones
from llmexp_utils.pair_encoder import PairClassifier, collate
from llmexp_utils.pair_inputs import encode_pairs
from llmexp_utils.pairs import gold_pairs
from llmexp_utils.paths import gold_dir

APART = "ours, each function in its own text"
ARMS = (
    Arm("trainer, padded to 512", Trainer, 512),
    Arm("trainer, padded to the batch", Trainer),
    Arm("ours: similar lengths, passes of four", GroupedTrainer),
    Arm(APART, GroupedTrainer),
)


def clone_pairs(arm: Arm) -> Task:
    """Gold pairs (:mod:`llmexp_utils.pair_encoder`); random vectors choose similar ones, since only lengths count."""
    functions, gold = load_humaneval(), gold_dir()
    faults = gold_frame(read_gold(gold / "faults.jsonl"), functions)
    vectors = np.random.default_rng(0).normal(size=(len(functions), 8))
    clones = read_clones(gold / "clones.jsonl")
    pairs = gold_pairs(functions, clones, faults, load_groups(gold / "folds.json"), vectors)
    backbone, tokenizer, window = load_encoder(arm.choice)
    head = "bi" if arm.name == APART else "cross"
    items = encode_pairs(pairs.sample(ITEMS, random_state=0), tokenizer, min(window, arm.pad_to or window), head)
    pad = tokenizer.pad_token_id
    return Task(PairClassifier(backbone, head), items, lambda batch: collate(batch, pad), pad)


if __name__ == "__main__":
    compare(clone_pairs, ARMS, Path(__file__).with_suffix(".csv"))
