"""What it costs to read a faulty function: on its own, from the first difference on, and many in one pass.

Every arm reads the same correct functions and mutants of each, on one thread. Processor seconds are this
process's own, so that other work on the machine counts little. ``difference`` is the largest one to the plain
pass, as a share of the largest state. Writes ``benchmarks/hidden_states.csv``.

Run with ``python -m benchmarks.hidden_states``; about two minutes on an idle machine.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from llmexp_utils import hidden_states
from llmexp_utils.assets import fetch
from llmexp_utils.benchmarks import load_humaneval
from llmexp_utils.hidden_states import line_ends, line_states
from llmexp_utils.lower_layers import load_lower_layers
from llmexp_utils.mutation import mutate

FUNCTIONS = 8
VERSIONS = 4
Families = list[tuple[str, list[str]]]
States = list[np.ndarray]


def choose(seed: int = 0) -> Families:
    """Correct functions, and mutants spread over each of them."""
    rng = np.random.default_rng(seed)
    families: Families = []
    for function in rng.permutation(np.array(load_humaneval(), dtype=object)):
        mutants = mutate(function.code, function.preamble)
        if len(mutants) >= VERSIONS:
            chosen = rng.choice(len(mutants), VERSIONS, replace=False)
            families.append((function.code, [mutants[i].code for i in sorted(chosen)]))
        if len(families) == FUNCTIONS:
            return families
    raise SystemExit("too few functions with mutants")


class Plain:
    """The library's own attention: whole texts, a key-value cache, or a padded batch behind one."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer

    def tokens(self, code: str) -> torch.Tensor:
        return self.tokenizer(code, return_tensors="pt").input_ids

    def picked(self, code: str, states: torch.Tensor) -> np.ndarray:
        offsets = self.tokenizer(code, return_offsets_mapping=True).offset_mapping
        return states[line_ends(code, offsets)].half().numpy()

    def whole(self, families: Families) -> States:
        """Every text on its own."""
        texts = [text for correct, versions in families for text in (correct, *versions)]
        return [self.picked(text, self.model(self.tokens(text)).last_hidden_state[0]) for text in texts]

    def cached(self, families: Families) -> States:
        """Every version after the cached beginning of the correct function."""
        found = []
        for correct, versions in families:
            first, base = self._first(correct)
            found.append(self.picked(correct, base))
            for version in versions:
                tokens = self.tokens(version)
                shared = self._shared(tokens, correct)
                cache = copy.deepcopy(first.past_key_values)
                if extra := len(base) - shared:
                    cache.crop(-extra)
                rest = tokens[:, shared:]
                new = [self.model(rest, past_key_values=cache).last_hidden_state[0]] if rest.numel() else []
                found.append(self.picked(version, torch.cat([base[:shared], *new])))
        return found

    def padded(self, families: Families) -> States:
        """All versions of a function as one padded batch after the cached function."""
        found = []
        for correct, versions in families:
            first, base = self._first(correct)
            tokens = [self.tokens(version) for version in versions]
            shared = [self._shared(one, correct) for one in tokens]
            rest = [one[0, n:] for one, n in zip(tokens, shared, strict=True)]
            width, n = max(map(len, rest)), len(base)
            inputs = torch.nn.utils.rnn.pad_sequence(rest, batch_first=True)
            seen = torch.zeros(len(rest), 1, width, n + width, dtype=torch.bool)
            seen[..., n:] = torch.ones(width, width, dtype=torch.bool).tril()
            for row, count in enumerate(shared):
                seen[row, ..., :count] = True
            mask = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
            cache = copy.deepcopy(first.past_key_values)
            cache.batch_repeat_interleave(len(rest))
            positions = torch.tensor(shared)[:, None] + torch.arange(width)
            states = self.model(
                inputs, past_key_values=cache, attention_mask=mask, position_ids=positions
            ).last_hidden_state
            found.append(self.picked(correct, base))
            for version, count, new in zip(versions, shared, states, strict=True):
                found.append(self.picked(version, torch.cat([base[:count], new])))
        return found

    def _first(self, correct: str) -> tuple[Any, torch.Tensor]:
        output = self.model(self.tokens(correct), use_cache=True)
        return output, output.last_hidden_state[0]

    def _shared(self, tokens: torch.Tensor, correct: str) -> int:
        other = self.tokens(correct)
        n = min(tokens.shape[1], other.shape[1])
        different = (tokens[0, :n] != other[0, :n]).nonzero()
        return int(different[0]) if len(different) else n


def together(families: Families, model: Any, tokenizer: Any, tokens: int) -> States:
    """The study's way: a family in one pass, short families share a pass."""
    before, hidden_states.TOKENS_A_PASS = hidden_states.TOKENS_A_PASS, tokens
    try:
        pairs = [(text, correct) for correct, versions in families for text in (correct, *versions)]
        return line_states([text for text, _ in pairs], model, tokenizer, [correct for _, correct in pairs])
    finally:
        hidden_states.TOKENS_A_PASS = before


def measure(name: str, read: Callable[[], States], reference: States | None) -> tuple[dict[str, Any], States]:
    """One row of the table, and the states."""
    wall, processor = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        states = read()
    row: dict[str, Any] = {
        "arm": name,
        "functions": len(states),
        "processor_seconds_per_function": (time.process_time() - processor) / len(states),
        "wall_seconds_per_function": (time.perf_counter() - wall) / len(states),
    }
    gaps = [np.abs(a.astype(float) - b).max() for a, b in zip(states, reference or states, strict=True)]
    row["difference"] = max(gaps) / max(float(np.abs(one).max()) for one in states)
    return row, states


def main() -> None:
    """Measure every arm, print the table and write it."""
    torch.set_num_threads(1)
    model, tokenizer = load_lower_layers(fetch("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"))
    model.set_attn_implementation("sdpa")
    families, plain = choose(), Plain(model, tokenizer)
    with torch.inference_mode():
        plain.whole(families[:1])  # warms up the libraries
    row, reference = measure("each text on its own", lambda: plain.whole(families), None)
    rows = [row]
    rows += [measure("cached beginning, one version", lambda: plain.cached(families), reference)[0]]
    rows += [measure("cached beginning, padded batch", lambda: plain.padded(families), reference)[0]]
    for tokens in (256, 512, 1024):
        name = f"{'ours: ' if tokens == hidden_states.TOKENS_A_PASS else ''}passes of {tokens} tokens"
        rows += [measure(name, lambda n=tokens: together(families, model, tokenizer, n), reference)[0]]
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    seconds = table["processor_seconds_per_function"]
    table["speed_up"] = (seconds.iloc[0] / seconds).round(2)
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False, float_format="%.3g")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
