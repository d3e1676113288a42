"""Are the sandbox's verdicts those of one interpreter for program and test, and the same run after run?

All correct functions, gold faults and gold clones, and 500 answers of generators. These benchmarks are commonly run by
one interpreter that executes program and test together; here it does so as a program inside the sandbox, since what
language models wrote runs nowhere else. Writes ``benchmarks/sandbox_verdicts.csv``: how many programs had each verdict
there and here, and whether it was the same in all runs of the sandbox.

Run with ``python -m benchmarks.sandbox_verdicts``; about two minutes on two idle cores.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from llmexp_utils.benchmarks import Function, gold_frame, load_humaneval, read_gold
from llmexp_utils.frames import CANDIDATES, read_frame
from llmexp_utils.gold_clones import read_clones
from llmexp_utils.paths import gold_dir, repository
from llmexp_utils.sandbox import Job, Limits, Verdict, run_programs

RUNS, ANSWERS = 3, 500
TOGETHER = """
def together():
    program, test, name = {content!r}
    try:
        code = compile(program, "program", "exec", dont_inherit=True)
    except Exception:
        return "syntax"
    names = {{"__name__": "program"}}
    try:
        exec(code, names)
        exec(compile(test, "test", "exec", dont_inherit=True), names)
        names["check"](names[name])
    except BaseException as error:
        place, step = "", error.__traceback__
        while step:
            place, step = step.tb_frame.f_code.co_filename, step.tb_next
        return "fail" if isinstance(error, AssertionError) and place == "test" else "error"
    return "pass"
"""
TELL = "def check(candidate):\n    assert False, candidate()\n"


def programs() -> list[Job]:
    """Everything that the study has, and some of what generators wrote."""
    functions = {function.task_id: function for function in load_humaneval()}
    faults = gold_frame(read_gold(gold_dir() / "faults.jsonl"), list(functions.values()))
    clones = read_clones(gold_dir() / "clones.jsonl")
    answers = read_frame(repository() / "results/candidates.jsonl", CANDIDATES, written_by="02_inject_faults")
    answers = answers[answers.status == "candidate"].sample(ANSWERS, random_state=0)
    found = [job(f.task_id, f, f.code) for f in functions.values()]
    found += [job(row.fault_id, functions[row.task_id], row.code) for row in faults.itertuples()]
    found += [job(f"{row.task_id}/clone", functions[row.task_id], row.code) for row in clones]
    return found + [job(row.candidate_id, functions[row.task_id], row.code) for row in answers.itertuples()]


def job(name: str, function: Function, code: str) -> Job:
    """A version of a function against the function's test."""
    return Job(name, function.program(code), function.test, function.entry_point)


def together(one: Job) -> Job:
    """A program that runs another one with its test and says what happened."""
    content = (one.program, one.test, one.entry_point)
    return Job(one.job_id, TOGETHER.format(content=content), TELL, "together")


if __name__ == "__main__":
    jobs = programs()
    told = run_programs([together(one) for one in jobs], Limits(), 2)
    there = [one.detail.split()[-1] if one.verdict == Verdict.FAIL else str(one.verdict) for one in told]
    runs = [[str(one.verdict) for one in run_programs(jobs, Limits(), 2)] for _ in range(RUNS)]
    alike = [len(set(verdicts)) == 1 for verdicts in zip(*runs, strict=True)]
    table = pd.DataFrame({"together": there, "sandbox": runs[0], "same_in_every_run": alike})
    names = [one.job_id for one, a, b in zip(jobs, there, runs[0], strict=True) if a != b]
    print("different:", ", ".join(names) or "none")
    counts = table.value_counts().rename("programs").reset_index().sort_values(["together", "sandbox"])
    counts.to_csv(Path(__file__).with_suffix(".csv"), index=False)
    print(counts.to_string(index=False))
