"""Many programs in the sandbox: order, cache, a killed batch, limits that cannot be."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from llmexp_utils import sandbox, sandbox_kernel, sandbox_process
from llmexp_utils.sandbox import Boundary, Job, Limits, Outcome, SandboxError, Verdict, run_program, run_programs
from llmexp_utils.sandbox_pool import Worker

TEST = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 6\n"
GOOD = "def f(x):\n    return x + x\n"
QUICK = Limits(seconds=1.0, cpu=1)


def run(program: str, test: str = TEST, limits: Limits = sandbox.DEFAULT) -> Outcome:
    return run_program(Job("job", program, test, "f"), limits)


def programs(count: int) -> list[Job]:
    wrong = "def f(x):\n    return {}\n"
    return [Job(f"j{n}", wrong.format(n) if n % 2 else f"{GOOD}y = {n}\n", TEST, "f") for n in range(count)]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the jobs that were run."""
    started: list[str] = []
    real = Worker.run

    def counted(worker: Worker, job: Job) -> tuple[Outcome, bool]:
        started.append(job.job_id)
        return real(worker, job)

    monkeypatch.setattr(Worker, "run", counted)
    return started


def test_order_and_duplicates(runs: list[str]) -> None:
    jobs = programs(7)
    jobs.append(Job("same as j3", jobs[3].program, TEST, "f"))
    outcomes = run_programs(jobs, workers=3, progress=False)
    assert [outcome.job_id for outcome in outcomes] == [job.job_id for job in jobs]
    assert [outcome.verdict for outcome in outcomes] == ["pass", "fail"] * 3 + ["pass", "fail"]
    assert len(runs) == 7
    assert run_programs([], progress=False) == []


def test_cache_resumes_after_a_half_written_line(runs: list[str], tmp_path: Path) -> None:
    cache, jobs = tmp_path / "deep" / "cache.jsonl", programs(5)
    first = run_programs(jobs, cache=cache, progress=False)
    assert len(runs) == 5 and run_programs(jobs, cache=cache, progress=False) == first
    assert len(runs) == 5
    cache.write_bytes(cache.read_bytes()[:-30])
    again = run_programs(jobs, cache=cache, progress=False)
    assert len(runs) == 6 and [o.verdict for o in again] == [o.verdict for o in first]
    assert run_programs(jobs, cache=cache, progress=False) == again
    assert len(runs) == 6
    run_programs(jobs[:1], limits=Limits(seconds=4.0), cache=cache, progress=False)
    assert len(runs) == 7, "other limits are another question"


def test_a_line_that_another_process_left_unfinished_spoils_none_of_ours(tmp_path: Path) -> None:
    cache, outcome = tmp_path / "cache.jsonl", run(GOOD)
    with sandbox._appender(cache) as append:
        append("a", outcome)
        with cache.open("ab") as killed:
            killed.write(b'{"key": "half')
        append("b", outcome)
    assert sandbox._read_cache(cache) == {"a": outcome, "b": outcome}


def test_killed_batch_keeps_what_it_had(runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, jobs, counted = tmp_path / "cache.jsonl", programs(6), Worker.run

    def breaks(worker: Worker, job: Job) -> tuple[Outcome, bool]:
        if job.job_id == "j3":
            raise SandboxError("broken")
        return counted(worker, job)

    monkeypatch.setattr(Worker, "run", breaks)
    with pytest.raises(SandboxError, match="broken"):
        run_programs(jobs, workers=1, cache=cache, progress=False)
    kept = len([json.loads(line) for line in cache.read_text().splitlines()])
    assert kept >= 1
    monkeypatch.setattr(Worker, "run", counted)
    runs.clear()
    run_programs(jobs, workers=1, cache=cache, progress=False)
    assert len(runs) == 6 - kept


def test_late_program_is_run_once_more_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    real, ran = Worker.run, []

    def slow_at_first(worker: Worker, job: Job) -> tuple[Outcome, bool]:
        ran.append(job.job_id)
        if ran.count("slow") == 1 and job.job_id == "slow":
            job = Job("slow", "import time\ntime.sleep(9)\n", TEST, "f")
        return real(worker, job)

    monkeypatch.setattr(Worker, "run", slow_at_first)
    jobs = [Job("slow", GOOD + "#", TEST, "f"), *programs(3)]
    outcomes = run_programs(jobs, limits=Limits(seconds=1.0), workers=2, progress=False)
    assert outcomes[0].verdict == Verdict.PASS
    assert ran.count("slow") == 2 and ran[-1] == "slow"


def test_a_worker_that_dies_is_replaced_and_its_job_run_again() -> None:
    with Worker(QUICK) as worker:
        first = worker.pid
        os.kill(first, 9)
        outcome, again = worker.run(programs(1)[0])
        assert again and outcome.detail.startswith("its judge ended")
        assert worker.pid != first and worker.run(programs(1)[0])[0].verdict == Verdict.PASS


@pytest.mark.parametrize("boundary", Boundary)
def test_no_process_outlives_its_batch(boundary: Boundary) -> None:
    before = children()
    run_programs(
        [*programs(4), Job("slow", "import time\ntime.sleep(60)\n", TEST, "f")], replace(QUICK, boundary=boundary), 2
    )
    assert children() == before


def children() -> set[str]:
    """Numbers of all processes of this user that were started from this test's."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[path.parent.name] = fields[1]
    found = {str(os.getpid())}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


# --- refusals


def test_bad_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="Limits.memory_mb is 0"):
        Limits(memory_mb=0)


def test_a_missing_layer_is_one_line_and_never_a_weaker_boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = "import sys; sys.path.append({!r})\nfrom llmexp_utils import sandbox_kernel as k, sandbox_worker as w\n"
    broken += "{}\nw.main()"
    root = str(sandbox_process.ROOT)
    refuse = "def no(*a): raise OSError(1, 'unshare: Operation not permitted')\nk.unshare = no"
    monkeypatch.setattr(sandbox_process, "COMMAND", broken.format(root, refuse))
    with pytest.raises(SandboxError, match=r"no full sandbox here \(unshare: .*\): .* boundary: confined"):
        run(GOOD)
    assert run_program(Job("j", GOOD, TEST, "f"), Limits(boundary="confined")).verdict == Verdict.PASS
    monkeypatch.setattr(sandbox_process, "COMMAND", broken.format(root, "k.landlock_version = lambda: 0"))
    with pytest.raises(SandboxError, match=r"no confined sandbox here \(no Landlock\): .* boundary: limits"):
        run_program(Job("j", GOOD, TEST, "f"), Limits(boundary="confined"))
    assert run_program(Job("j", GOOD, TEST, "f"), Limits(boundary="limits")).verdict == Verdict.PASS


def test_layers_are_named() -> None:
    assert sandbox.layers(Limits(boundary="limits")) == ["resource limits"]
    if sandbox_kernel.landlock_version():
        assert "seccomp" in sandbox.layers(Limits(boundary="confined"))


def test_interpreter_that_does_not_start_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_process.sys, "executable", "/bin/false")
    with pytest.raises(SandboxError, match="does not start"):
        run(GOOD)
    monkeypatch.setattr(sandbox_process.sys, "executable", "/no/python")
    with pytest.raises(SandboxError, match="does not start"):
        run(GOOD)
