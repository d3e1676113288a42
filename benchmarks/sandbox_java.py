"""Java programs a second in the sandbox: compiled by a warm compiler, each run by a Java machine of its own.

The correct solutions of HumanEvalPack (``LLMEXP_DATA_DIR``), by two workers with every layer on; the start of the
workers, which compile the first programs slowly, counts apart. Writes ``benchmarks/sandbox_java.csv``.

Run with ``python -m benchmarks.sandbox_java`` on an idle machine; about a minute.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from llmexp_utils.sandbox import Job, Limits
from llmexp_utils.sandbox_java import JavaWorker
from llmexp_utils.sandbox_pool import outcomes

WORKERS, WARM_UP, TURNS = 2, 20, 3


def programs() -> list[Job]:
    """Correct solutions with their tests."""
    path = Path(os.environ["LLMEXP_DATA_DIR"]) / "humanevalpack/java.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        Job(row["task_id"], row["declaration"] + row["canonical_solution"], row["test"], row["entry_point"], "java")
        for row in rows
    ]


def main() -> None:
    """Measure several turns in one life of the workers."""
    jobs, ends = programs(), []
    source = [(n, jobs[n % len(jobs)]) for n in range(WARM_UP + TURNS * len(jobs))]
    start = time.perf_counter()
    for _, outcome, _ in outcomes(source, Limits(seconds=20.0, cpu=15), WORKERS, JavaWorker):
        assert outcome.verdict == "pass", outcome
        ends.append(time.perf_counter() - start)
    marks = [ends[WARM_UP + turn * len(jobs) - 1] for turn in range(TURNS + 1)]
    rates = len(jobs) / np.diff(marks)
    row = {"workers": WORKERS, "programs_per_second": np.median(rates), "slowest": min(rates), "fastest": max(rates)}
    table = pd.DataFrame([row | {"seconds_to_warm_up": marks[0]}]).round(2)
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
