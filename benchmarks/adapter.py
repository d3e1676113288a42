"""What training an adapter costs: padded or packed batches, AdamW's kernel, runs one by one or stacked.

Random states with the real numbers of lines of HumanEval functions, so that nothing has to be read first;
batches of 16 functions, one thread. Processor seconds are this process's own, so that other work on the
machine counts little. ``stacked`` trains several seeds as one batched model (``torch.func``) on the same
batches, which is the best case for it: runs with different data would have to be padded to each other.
Writes ``benchmarks/adapter.csv``.

Run with ``python -m benchmarks.adapter``; about a minute on an idle machine.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from llmexp_utils import adapter
from llmexp_utils.benchmarks import load_humaneval
from llmexp_utils.reproducible import seeded
from llmexp_utils.small_training import CLIP, Settings, epochs

HIDDEN, FUNCTIONS, STEPS = 896, 200, 20
SETTINGS = Settings()
States = Sequence[np.ndarray]
Labels = Sequence[Sequence[int]]


def data(seed: int = 0) -> tuple[list[np.ndarray], list[list[int]]]:
    """Random states and labels of functions with real numbers of lines."""
    rng = np.random.default_rng(seed)
    lengths = rng.choice([len(function.lines) for function in load_humaneval()], FUNCTIONS)
    states = [rng.normal(size=(n, HIDDEN)).astype(np.float16) for n in lengths]
    return states, [[int(rng.integers(n)) + 1] for n in lengths]


def padded_loss(model: torch.nn.Module, states: States, labels: Labels) -> torch.Tensor:
    """The loss of :mod:`llmexp_utils.adapter`, all functions of the batch padded to the longest one."""
    lengths = torch.tensor([len(one) for one in states])
    inputs = torch.nn.utils.rnn.pad_sequence(
        [torch.from_numpy(one.astype(np.float32)) for one in states], batch_first=True
    )
    line = torch.arange(inputs.shape[1]).expand(len(states), -1)
    padding, last = line >= lengths[:, None], adapter.POSITIONS - 1
    end = (lengths[:, None] - 1 - line).clamp(0, last)
    x = model.read(inputs) + model.from_start(line.clamp(max=last)) + model.from_end(end)
    logits = model.head(model.blocks(x, src_key_padding_mask=padding))[..., 0]
    target = adapter._targets(labels, inputs.shape[1])
    log_share = logits.masked_fill(padding, float("-inf")).log_softmax(dim=1)
    return -(target * log_share.masked_fill(target == 0, 0)).sum(dim=1).mean()


def one_by_one(loss: Callable[..., torch.Tensor], fused: bool, states: States, labels: Labels) -> None:
    """Train one run, as :func:`llmexp_utils.adapter.train` does."""
    model = adapter.build(HIDDEN, SETTINGS.width).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=SETTINGS.learning_rate, fused=fused)
    for rows in batches(len(states)):
        value = loss(model, [states[row] for row in rows], [labels[row] for row in rows])
        optimiser.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()


def stacked(runs: int, states: States, labels: Labels) -> None:
    """Train several runs on the same batches as one model with stacked weights."""
    from torch.func import functional_call, grad, stack_module_state, vmap

    models = [adapter.build(HIDDEN, SETTINGS.width).train()]
    models += [copy.deepcopy(models[0]) for _ in range(runs - 1)]  # dropout alone tells them apart
    weights, buffers = stack_module_state(models)
    optimiser = torch.optim.AdamW(weights.values(), lr=SETTINGS.learning_rate, fused=True)

    def loss(values: dict[str, torch.Tensor], batch: States, lines: Labels) -> torch.Tensor:
        inputs, lengths = adapter._packed(batch)
        logits = functional_call(models[0], (values, buffers), (inputs, lengths))
        parts = zip(torch.split(logits, lengths.tolist()), lines, strict=True)
        losses = [part.logsumexp(0) - part[[n - 1 for n in marked]].mean() for part, marked in parts]
        return sum(losses) / len(losses)  # the same loss, without padding: vmap cannot pad

    for rows in batches(len(states)):
        batch, lines = [states[row] for row in rows], [labels[row] for row in rows]
        step = vmap(grad(loss), in_dims=(0, None, None), randomness="different")
        for value, gradient in zip(weights.values(), step(weights, batch, lines).values(), strict=True):
            value.grad = gradient
        optimiser.step()


def batches(n: int) -> list[list[int]]:
    """Rows of each step."""
    order = epochs(n, np.random.default_rng(0))
    return [[next(order) for _ in range(SETTINGS.batch_size)] for _ in range(STEPS)]


def measure(name: str, train: Callable[[], None], runs: int) -> dict[str, object]:
    """Seconds for one run of the study's number of steps; the better of two tries."""
    tries = []
    for _ in range(2):
        wall, processor = time.perf_counter(), time.process_time()
        with seeded(0):
            train()
        tries.append((time.process_time() - processor, time.perf_counter() - wall))
    seconds = np.min(tries, axis=0) / runs / STEPS * SETTINGS.steps
    names = ("processor_seconds_per_run", "wall_seconds_per_run")
    return {"arm": name, "steps": SETTINGS.steps, **dict(zip(names, seconds.tolist(), strict=True))}


def main() -> None:
    """Measure every arm, print the table and write it."""
    given = data()
    ours = adapter._loss
    arms = [
        ("padded to the longest", lambda: one_by_one(padded_loss, False, *given), 1),
        ("packed", lambda: one_by_one(ours, False, *given), 1),
        ("ours: packed, fused AdamW", lambda: one_by_one(ours, True, *given), 1),
        ("packed, 2 seeds stacked", lambda: stacked(2, *given), 2),
        ("packed, 4 seeds stacked", lambda: stacked(4, *given), 4),
    ]
    rows = []
    for name, train, runs in arms:
        rows.append(measure(name, train, runs))
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    seconds = table["processor_seconds_per_run"]
    table["speed_up"] = (seconds.iloc[0] / seconds).round(2)
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False, float_format="%.3g")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
