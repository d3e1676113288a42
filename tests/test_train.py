"""The grid: runs once, continues after a kill, and its key covers what decides a result."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pytest

from llmexp_utils.frames import PREDICTIONS, check_frame
from llmexp_utils.train import Job, estimate, run_grid


@dataclass(frozen=True)
class Counting:
    """Scores every line by its number, and notes in a file that it was run."""

    log: str
    bias: float = 0.0
    fail_on: int = -1
    name: str = "counting"

    @property
    def identity(self):
        return {"bias": self.bias}

    def run(self, train, dev, test, seed):
        if seed == self.fail_on:
            raise RuntimeError("killed")
        with Path(self.log).open("a") as stream:
            stream.write(f"{seed}\n")
        return tuple([np.arange(code.count("\n")) + self.bias for code in frame.code] for frame in (dev, test))


def frame(n, start=0):
    codes = [f"def f():\n    x = {number}\n    return x\n" for number in range(start, start + n)]
    return pd.DataFrame(
        {
            "fault_id": [f"T/{number}#1" for number in range(start, start + n)],
            "task_id": [f"T/{number}" for number in range(start, start + n)],
            "code": codes,
            "correct": codes,
            "lines": [[3]] * n,
            "fault_type": "",
        }
    )


def jobs(seeds):
    facts = {"condition": "C0", "n_real": 4, "n_added": 0, "fold": 0, "series": "grid"}
    return [Job(facts, seed, frame(4), frame(2, 4), frame(3, 6)) for seed in seeds]


def runs(log):
    return Path(log).read_text().split() if Path(log).exists() else []


@pytest.mark.parametrize("workers", [1, 2])
def test_predictions_have_a_row_a_fault_and_the_runs_facts(tmp_path, workers):
    found = run_grid(Counting(str(tmp_path / "log")), jobs([0, 1]), tmp_path, workers, progress=False)
    check_frame(found, PREDICTIONS)
    assert len(found) == 6 and found.run_id.nunique() == 2 and set(found.condition) == {"C0"}
    assert found.scores[0] == [0.0, 1.0, 2.0] and found.n_lines.eq(3).all()
    assert 0 < found.threshold[0] < 1


def test_an_estimate_is_of_runs_with_the_same_settings(tmp_path):
    student = Counting(str(tmp_path / "log"))
    assert estimate(student, jobs([0, 1]), tmp_path).endswith("no estimate yet (none of its kind has run here)")
    run_grid(student, jobs([0]), tmp_path, 1, progress=False)
    for seeds, known in (([0, 1], 1), ([5, 6], 0)):
        assert f"2 runs, {known} known, about 0 minutes at " in estimate(student, jobs(seeds), tmp_path)
    assert "no estimate yet" in estimate(Counting(student.log, bias=1.0), jobs([0]), tmp_path), "another setting"
    assert estimate(student, jobs([0]), tmp_path).endswith("1 runs, 1 known")


def test_a_second_call_trains_nothing(tmp_path):
    log = tmp_path / "log"
    first = run_grid(Counting(str(log)), jobs([0, 1, 1]), tmp_path, 1, progress=False)
    assert runs(log) == ["0", "1"], "equal jobs run once"
    again = run_grid(Counting(str(log)), jobs([0, 1, 1]), tmp_path, 1, progress=False)
    assert runs(log) == ["0", "1"]
    pd.testing.assert_frame_equal(first, again)


def test_a_killed_grid_continues(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(RuntimeError):
        run_grid(Counting(str(log), fail_on=1), jobs([0, 1, 2]), tmp_path, 1, progress=False)
    assert runs(log) == ["0"]
    run_grid(Counting(str(log)), jobs([0, 1, 2]), tmp_path, 1, progress=False)
    assert sorted(runs(log)) == ["0", "1", "2"]


def test_a_job_that_another_run_trains_is_waited_for(tmp_path):
    """Two points of a sweep share the runs that do not differ; neither trains nor writes them twice."""
    log, job = tmp_path / "log", jobs([0])[0]
    path = tmp_path / "fits" / "counting" / f"{job.key(Counting(str(log)))}.json"
    path.parent.mkdir(parents=True)
    with ThreadPoolExecutor() as pool, filelock.FileLock(path.with_suffix(".lock")):
        waiting = pool.submit(run_grid, Counting(str(log)), [job], tmp_path, 1, progress=False)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.5)
        path.write_text(json.dumps({"dev": [[0.0, 1.0, 2.0]] * 2, "test": [[2.0, 1.0, 0.0]] * 3}))
    assert waiting.result().scores[0] == [2.0, 1.0, 0.0] and runs(log) == []
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_the_key_changes_with_student_seed_data_and_labels():
    student, base = Counting("log"), jobs([0])[0]
    relabelled = frame(4).assign(lines=[[2]] * 4)
    others = [
        base.key(Counting("log", bias=1.0)),
        jobs([1])[0].key(student),
        Job(base.facts, 0, frame(5), base.dev, base.test).key(student),
        Job(base.facts, 0, relabelled, base.dev, base.test).key(student),
        Job(base.facts, 0, base.train, base.dev, frame(2, 6)).key(student),
    ]
    assert len({base.key(student), *others}) == 6
    renamed = Job({**base.facts, "condition": "C3"}, 0, base.train, base.dev, base.test)
    assert renamed.key(student) == base.key(student), "the same training under another name is the same run"
