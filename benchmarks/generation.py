"""What a validated fault costs in time: generators and answer forms asked one after the other on one machine.

Every arm breaks the same functions, spread over HumanEval, with a generator of its own that was just started
and the settings of the committed recordings; nothing is replayed. The answers then meet the tests in the
sandbox and the rule that the study keeps faults by. Seconds are wall-clock seconds from question to answer,
without the start of the server and without the tests, so run this on an idle machine. ``low`` and ``high``
are a 95 % bootstrap interval of ``kept_an_hour`` over functions. Writes ``benchmarks/generation.csv``.

Run with ``python -m benchmarks.generation``; about a quarter of an hour on two idle cores.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from llmexp_utils import asking, generate, injection
from llmexp_utils.benchmarks import gold_frame, load_groups, load_humaneval, read_gold
from llmexp_utils.examples import load_examples
from llmexp_utils.llm import connect, model_identity
from llmexp_utils.paths import gold_dir
from llmexp_utils.recordings import Recordings
from llmexp_utils.sandbox import Limits
from llmexp_utils.select import MAX_LINES
from llmexp_utils.validate import as_faults, keep_faults, with_verdicts

ARMS = (
    "qwen2.5-coder-1.5b/line/uniform",
    "qwen2.5-coder-1.5b/function",
    "qwen2.5-coder-0.5b/line/uniform",
    "qwen2.5-coder-0.5b/function",
)
SAMPLES = {"line": 6, "function": 2}
THREADS = 2
RESAMPLES = 2000


def plan_for(n: int) -> injection.Plan:
    """The study's plan for ``n`` functions that are spread evenly over the benchmark."""
    functions, gold = load_humaneval(), gold_dir()
    step = max(1, len(functions) // n)
    return injection.Plan(
        functions=functions[::step][:n],
        gold=gold_frame(read_gold(gold / "faults.jsonl"), functions),
        groups=load_groups(gold / "folds.json"),
        rankings=load_examples(gold / "examples.json", "semantic"),
        n_samples=SAMPLES,
        temperature=1.0,
        top_p=0.95,
        seed=0,
    )


def ask(arm: injection.Arm, plan: injection.Plan, book: Recordings) -> pd.DataFrame:
    """Candidates of an arm, asked now; a first question that does not count loads the weights."""
    model, engine = model_identity(arm.generator), f"xllamacpp {importlib.metadata.version('xllamacpp')}"
    requests = injection.requests_of(arm, plan, {})
    first = generate.choose_request(plan.functions[0], injection.N_NAMED, plan.seed)
    with connect(arm.generator, threads=THREADS) as client:
        client.complete(first.messages, first.decoding)
        asking.record(requests, model, arm.generator, book, client.complete, engine)
    answers = asking.replay(requests, model, book)
    return generate.candidate_frame(requests, answers, plan.functions, arm.generator, arm.policy)


def interval(candidates: pd.DataFrame, kept: pd.DataFrame) -> tuple[float, float]:
    """95 % bootstrap interval over functions of the kept faults an hour."""
    seconds = candidates.groupby("task_id").seconds.sum()
    faults = kept.groupby("task_id").size().reindex(seconds.index, fill_value=0)
    rows = np.random.default_rng(0).integers(len(seconds), size=(RESAMPLES, len(seconds)))
    rates = 3600 * faults.to_numpy()[rows].sum(axis=1) / seconds.to_numpy()[rows].sum(axis=1)
    low, high = np.quantile(rates, [0.025, 0.975])
    return float(low), float(high)


def measure(name: str, plan: injection.Plan, folder: Path) -> dict[str, object]:
    """One row of the table."""
    arm = injection.parse_arm(name)
    candidates = ask(arm, plan, Recordings(folder / f"{arm.form}_{arm.generator}.jsonl"))
    tested = with_verdicts(as_faults(candidates), plan.functions, Limits())
    kept, _ = keep_faults(tested, plan.gold, MAX_LINES)
    answers, seconds = len(candidates), float(candidates.seconds.sum())
    low, high = interval(candidates, kept)
    return {
        "generator": arm.generator,
        "form": arm.form,
        "policy": arm.policy,
        "functions": len(plan.functions),
        "answers": answers,
        "kept": len(kept),
        "seconds": seconds,
        "seconds_an_answer": seconds / answers,
        "read_an_answer": float((candidates.prompt_tokens - candidates.cached_tokens).mean()),
        "written_an_answer": float(candidates.completion_tokens.mean()),
        "kept_share": len(kept) / answers,
        "kept_an_hour": 3600 * len(kept) / seconds,
        "low": low,
        "high": high,
    }


def main() -> None:
    """Measure every arm, print the table and write it."""
    parser = argparse.ArgumentParser(description="Validated faults an hour, by generator and answer form.")
    parser.add_argument("--functions", type=int, default=10, help="functions that each arm breaks, 1 to 164")
    plan = plan_for(max(1, parser.parse_args().functions))
    rows = []
    for name in ARMS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(name, plan, Path(folder)))
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False, float_format="%.4g")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
