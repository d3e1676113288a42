"""A sweep on this machine: two workers against one, over equal points.

A point is notebook 05 with seeds of its own: an interpreter, a kernel and its imports, then training on one thread. The
frozen model has read all functions before, so that no point waits for another's reading. One worker, two, two, one: a
drift of the machine's speed counts for both. ``of_twice`` is the speed over twice that of one worker. Writes
``benchmarks/sweep.csv``.

Run with ``python -m benchmarks.sweep`` on an otherwise idle machine; about fifteen minutes.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from llmexp_utils.paths import repository

POINTS = 6
ROUNDS = (1, 2, 2, 1)
NEEDED = ("llmexp_utils", "notebooks", "data", "params", "Snakefile", "pyproject.toml", "results/study/pool.jsonl")
PROFILE = """05_finetune_fault_localization:
  n_functions: 60
  conditions: [C0]
  n_real: [8, 16, 24]
  steps: 300
  encoder_conditions: []
sweep:
  05_finetune_fault_localization:
    seeds: {seeds}
    workers: [1]
"""


def main() -> None:
    """Run the sweep once to fill the cache of line states, then once for each round, and write the table."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        copy(repository(), root)
        (root / "params" / "bench.yaml").write_text(PROFILE.format(seeds=[[seed] for seed in range(POINTS)]))
        sweep(root, 2)
        rows = [sweep(root, workers) for workers in ROUNDS]
    table = pd.DataFrame(rows)
    one = table[table.workers == 1].seconds.mean()
    table["of_twice"] = (one / (table.workers * table.seconds)).round(3)
    table.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(table.to_string(index=False))


def copy(source: Path, target: Path) -> None:
    """What a run of the notebook needs, in a folder of its own."""
    for name in NEEDED:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source / name, target / name)


def sweep(root: Path, workers: int) -> dict[str, float]:
    """Run all points anew; seconds of the whole command, and of its processes on the processors."""
    for old in (root / "runs" / "bench", root / "runs" / "cache" / "fits"):
        shutil.rmtree(old, ignore_errors=True)
    command = [sys.executable, "-m", "llmexp_utils.run", "sweep", "--profile", "bench", "--cores", str(workers)]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=root, check=True)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"workers": workers, "points": POINTS, "seconds": round(seconds, 1), "processor_seconds": round(used, 1)}


if __name__ == "__main__":
    main()
