"""Many programs in the sandbox: order, cache, a killed batch, limits that cannot be."""

import json
import os
from pathlib import Path

import pytest

from llmexp_utils import sandbox, sandbox_process
from llmexp_utils.sandbox import Job, Limits, Outcome, SandboxError, Verdict, run_program, run_programs

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
    """Ids of the jobs for which a process was started."""
    started: list[str] = []
    real = sandbox.attempt

    def counted(job: Job, limits: Limits) -> tuple[Outcome, bool]:
        started.append(job.job_id)
        return real(job, limits)

    monkeypatch.setattr(sandbox, "attempt", counted)
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


def test_killed_batch_keeps_what_it_had(runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, jobs, counted = tmp_path / "cache.jsonl", programs(6), sandbox.attempt

    def breaks(job: Job, limits: Limits) -> tuple[Outcome, bool]:
        if job.job_id == "j3":
            raise SandboxError("broken")
        return counted(job, limits)

    monkeypatch.setattr(sandbox, "attempt", breaks)
    with pytest.raises(SandboxError, match="broken"):
        run_programs(jobs, workers=1, cache=cache, progress=False)
    kept = len([json.loads(line) for line in cache.read_text().splitlines()])
    assert kept >= 1
    monkeypatch.setattr(sandbox, "attempt", counted)
    runs.clear()
    run_programs(jobs, workers=1, cache=cache, progress=False)
    assert len(runs) == 6 - kept


def test_late_program_is_run_once_more_alone(runs: list[str], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    slow_once = (
        "import os, time\n"
        f"if not os.path.exists({str(mark)!r}):\n    open({str(mark)!r}, 'w').close()\n    time.sleep(9)\n"
    )
    jobs = [Job("slow", slow_once + GOOD, TEST, "f"), *programs(3)]
    outcomes = run_programs(jobs, limits=Limits(seconds=1.0), workers=2, progress=False)
    assert outcomes[0].verdict == Verdict.PASS
    assert runs.count("slow") == 2 and runs[-1] == "slow"


# --- refusals


def test_bad_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="Limits.memory_mb is 0"):
        Limits(memory_mb=0)


def test_platform_without_the_means_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "waitid")
    with pytest.raises(SandboxError, match="needs Linux"):
        run(GOOD)


def test_interpreter_that_does_not_start_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox_process.sys, "executable", "/bin/false")
    with pytest.raises(SandboxError, match="does not start"):
        run(GOOD + "#" * 1_000_000)  # more than a pipe holds
    monkeypatch.setattr(sandbox_process.sys, "executable", "/no/python")
    with pytest.raises(SandboxError, match="cannot start"):
        run(GOOD)
