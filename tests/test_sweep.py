"""A sweep: its points and their names, what is told before it starts, files of their own, a kill, the tables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import toy_study
from toy_study import make_study, write_toy

from llmexp_utils import frames, freshness, run, study, sweep_table
from llmexp_utils.study import open_study
from llmexp_utils.sweep import Point, points_of

SWEPT = "05_finetune_fault_localization"
BEFORE = ["01_benchmarks", "02_inject_faults", "03_write_clones", "04_validate_and_select"]
COMMON = "common:\n  seed: 3\n  predictions: runs/smoke/predictions.parquet\n"
SWEEP = f"sweep:\n  {SWEPT}:\n    conditions: [[C0], [C3]]\n    seeds: [[0], [1]]\n"
# What a training notebook does: finished steps are kept in the cache, the table is written at the end.
CODE = """import os, pathlib, time
import pandas as pd
kept = pathlib.Path("steps"); kept.mkdir(exist_ok=True)
for step in range(3):
    done = kept / f"{p.conditions[0]}-{p.seeds[0]}-{step}"
    if not done.exists():
        if step == 1 and pathlib.Path("hang").exists():
            pathlib.Path("hang").write_text(str(os.getpid()))
            time.sleep(300)
        with open("steps.txt", "a") as log:
            log.write(done.name + "\\n")
        done.touch()
if pathlib.Path("boom").exists() and pathlib.Path("boom").read_text() == str(p.seeds[0]):
    raise ValueError("boom")
rows = {"seed": p.seeds * 2, "condition": p.conditions * 2, "top1": [0.5, 0.25], "scores": [[1.0], [2.0]]}
pd.DataFrame(rows).to_parquet(p.predictions)
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A toy study in the working folder, with a sweep of four points."""
    root = make_study(tmp_path / "toy")
    (root / "params" / "smoke.yaml").write_text(COMMON + SWEEP)
    write_toy(root, SWEPT, CODE)
    monkeypatch.chdir(root)
    monkeypatch.setenv(run.CHECKED, "1")  # a toy has no gold; tests/test_preflight.py is about that
    return root


def points(root: Path) -> dict[str, Point]:
    return points_of(open_study(root, root / "params/smoke.yaml"))


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "llmexp_utils.run", *words, "--profile", "smoke"]


def sweep(*words: str) -> subprocess.CompletedProcess[str]:
    line = command("sweep", "--cores", "2", *words)
    return subprocess.run(line, capture_output=True, text=True, timeout=200, check=False)


def test_points_are_the_product_and_differ_in_what_is_swept(toy: Path) -> None:
    found = points(toy)
    values = [(point.values["conditions"], point.values["seeds"]) for point in found.values()]
    assert values == [(["C0"], [0]), (["C0"], [1]), (["C3"], [0]), (["C3"], [1])]
    for name, point in found.items():
        params = point.study.params[SWEPT]
        assert (params.conditions, params.seeds) == (point.values["conditions"], point.values["seeds"])
        assert params.seed == 3 and params.pool == "runs/smoke/pool.txt", "the rest is the profile's"
        assert params.predictions == f"runs/smoke/sweep/{name}/predictions.parquet"
        assert point.needs() == ["04_validate_and_select"] and point.threads == params.workers


def test_the_code_of_a_notebook_is_looked_at_once_for_all_its_points(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, looked = study._code, []
    monkeypatch.setattr(study, "_code", lambda root, name: looked.append(name) or whole(root, name))
    found = {name: point.study.fingerprint(SWEPT) for name, point in points(toy).items()}
    assert looked == [SWEPT] and len({str(parts) for parts in found.values()}) == 4
    for name, point in points(toy).items():
        assert found[name] == replace(point.study, ask=study.call).fingerprint(SWEPT)


def test_names_say_the_values_and_are_of_the_content(toy: Path) -> None:
    names = list(points(toy))
    assert [name.rpartition("_")[0] for name in names] == ["05_0_C0", "05_1_C0", "05_0_C3", "05_1_C3"]
    other = f"sweep:\n  {SWEPT}:\n    seeds: [[1], [0], [2]]\n    conditions: [[C3], [C0]]\n"
    (toy / "params" / "smoke.yaml").write_text(COMMON + other)
    assert set(names) < set(points(toy)), "another order, or more values, leave a point its name"
    encoders = ["x" * 200, "x" * 201, "a/b: c"]
    (toy / "params" / "smoke.yaml").write_text(f"{COMMON}sweep:\n  {SWEPT}:\n    encoder: {encoders}\n")
    long = list(points(toy))
    assert len(set(long)) == 3 and max(map(len, long)) < 100 and long[2].startswith("05_a-b-c_")


@pytest.mark.parametrize(
    ("section", "line"),
    [
        (
            "{05_finetune_fault_local: {seeds: [[0]]}}",
            f"unknown notebook '05_finetune_fault_local' in sweep: did you mean '{SWEPT}'?",
        ),
        (f"{{{SWEPT}: [C0]}}", f"sweep of {SWEPT}: needs lines `parameter: [value, value]` below it"),
        (f"{{{SWEPT}: {{foldz: [[0]]}}}}", f"sweep of {SWEPT}: unknown parameter 'foldz': did you mean 'folds'?"),
        (f"{{{SWEPT}: {{seeds: [0, 1]}}}}", f"sweep of {SWEPT}: seeds: each value is itself a list; write [[0], [1]]"),
        (f"{{{SWEPT}: {{seeds: []}}}}", f"sweep of {SWEPT}: seeds: the list is empty"),
        (f"{{{SWEPT}: {{steps: 4}}}}", f"sweep of {SWEPT}: steps: 4 is no list of values"),
        (f"{{{SWEPT}: {{steps: [4, 4]}}}}", f"sweep of {SWEPT}: steps: 4 stands twice; leave one out"),
        (
            f"{{{SWEPT}: {{predictions: [a]}}}}",
            f"sweep of {SWEPT}: 'predictions' cannot be swept: each point has its own",
        ),
        (f"{{{SWEPT}: {{steps: [4, x]}}}}", f"sweep: {SWEPT}: steps: 'x' is text; write a whole number"),
        (f"{{{SWEPT}: {{conditions: [[C0], [C9]]}}}}", f"sweep: {SWEPT}: conditions[0]: unknown value 'C9'; known: "),
    ],
)
def test_a_mistake_is_one_line_before_anything_runs(
    toy: Path, capsys: pytest.CaptureFixture[str], section: str, line: str
) -> None:
    (toy / "params" / "smoke.yaml").write_text(f"{COMMON}sweep: {section}\n")
    assert run.main(["sweep", "--profile", "smoke"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: smoke.yaml: {line}") and error.count("\n") == 1
    assert not (toy / "runs").exists()


def test_resources_and_other_words_are_checked(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (toy / "params" / "smoke.yaml").write_text("resources: {gpus: 1, mem_mb: much}\n")
    assert run.main(["check", "--profile", "smoke"]) == 2
    said = capsys.readouterr().err
    assert (
        "unknown resource 'gpus': did you mean 'gpu'?" in said and "'much' is not a whole number of megabytes" in said
    )
    (toy / "params" / "smoke.yaml").write_text(COMMON)
    assert run.main(["sweep", "--profile", "smoke"]) == 2
    assert "smoke.yaml: has no section `sweep:`" in capsys.readouterr().err
    (toy / "params" / "smoke.yaml").write_text(COMMON + SWEEP)
    assert run.main(["point", "05_0_C1", "--profile", "smoke"]) == 2
    assert "unknown point '05_0_C1': did you mean '05_0_C" in capsys.readouterr().err
    assert run.main(["check", "--profile", "smoke"]) == 0 and "and 4 points of a sweep" in capsys.readouterr().out
    assert run.main(["sweep", "--on", "nowhere", "--profile", "smoke"]) == 2
    assert "nowhere/config.yaml does not exist" in capsys.readouterr().err


def test_a_sweep_runs_what_it_needs_collects_and_repeats_nothing(
    toy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("snakemake")
    assert run.main(["sweep", "--dry-run", "--profile", "smoke"]) == 0
    shown = capsys.readouterr().out
    assert "4 of 4 points to run" in shown and shown.count("it has not run yet") == 4 and not (toy / "runs").exists()
    in_process(monkeypatch, *BEFORE[:-1])
    first = sweep()
    assert (first.returncode, first.stderr) == (0, ""), first.stdout
    log = (toy / "log.txt").read_text().split()
    assert log == BEFORE + [SWEPT] * 4, "what the points read is written first"
    found = points(toy)
    written = [path for point in found.values() for path in record(point).outputs]
    of_each = len(next(iter(found.values())).study.params[SWEPT].names("writes"))
    assert len(set(written)) == len(written) == 4 * of_each, "no two points write one file"

    table = pd.read_parquet(toy / "runs/smoke/sweep/predictions.parquet")
    assert len(table) == 8 and set(table.point) == set(found)
    assert (table.swept_conditions == table.condition).all() and (table.swept_seeds == table.seed.map(str)).all()
    assert table.point_code.nunique() == 1 and table.point_versions.str.contains("python 3").all()
    plain = pd.read_csv(toy / "runs/smoke/sweep/predictions.csv")
    assert set(table.columns) - set(plain.columns) == {"scores"} and plain.top1.tolist() == table.top1.tolist()
    assert pd.read_csv(toy / "runs/smoke/sweep/points.csv").point.tolist() == list(found)

    before = (toy / "runs/smoke/sweep/predictions.parquet").read_bytes()
    capsys.readouterr()
    assert run.main(["sweep", "--profile", "smoke"]) == 0 and (toy / "log.txt").read_text().split() == log
    assert "0 of 4 points to run, all is up to date" in capsys.readouterr().out
    assert (toy / "runs/smoke/sweep/predictions.parquet").read_bytes() == before
    one = next(iter(found.values()))
    (toy / one.study.params[SWEPT].predictions).unlink()
    assert run.main(["collect", "--profile", "smoke"]) == 0
    assert one.name not in set(pd.read_csv(toy / "runs/smoke/sweep/points.csv").point), "only what stands is collected"


def test_a_killed_sweep_continues_and_a_failed_point_leaves_the_others(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed for good, without a chance to tidy up: neither finished points nor finished steps are done again."""
    pytest.importorskip("snakemake")
    (toy / "params" / "smoke.yaml").write_text(f"{COMMON}sweep:\n  {SWEPT}:\n    seeds: [[0], [1]]\n")
    in_process(monkeypatch, *BEFORE)
    (toy / "hang").touch()
    process = subprocess.Popen(command("sweep", "--cores", "1"), stdout=subprocess.DEVNULL)
    limit = time.monotonic() + 100
    while not (toy / "hang").read_text() and time.monotonic() < limit:
        time.sleep(0.1)
    os.killpg(os.getpgid(int((toy / "hang").read_text())), signal.SIGKILL)  # Snakemake and the point
    assert process.wait() == 1
    (toy / "hang").unlink()
    first = (toy / "steps.txt").read_text().split()
    assert len(first) == 1
    (toy / "boom").write_text(str(1 - int(first[0].split("-")[1])))  # the other seed
    failed = sweep()
    assert failed.returncode == 1 and "1 of 2 points are not done; the same command continues" in failed.stderr
    assert "1 of 2 points in runs/smoke/sweep/points.csv" in failed.stdout
    assert pd.read_csv("runs/smoke/sweep/predictions.csv").swept_seeds.unique().tolist() == [
        int(first[0].split("-")[1])
    ]
    steps = (toy / "steps.txt").read_text().split()
    assert len(steps) == len(set(steps)) == 6, "no step twice"


def test_two_sweeps_at_once_do_every_point_once(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("snakemake")
    in_process(monkeypatch, *BEFORE)
    both = [subprocess.Popen(command("sweep", "--cores", "1"), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=200)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    steps = (toy / "steps.txt").read_text().split()
    assert len(steps) == len(set(steps)) == 12
    assert len(pd.read_parquet("runs/smoke/sweep/predictions.parquet")) == 8


def in_process(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Run notebooks of the toy here, without the seconds that an interpreter takes to start."""
    stub: dict[str, Any] = {}
    exec(toy_study.STUB, stub)

    def execute(notebook: Path, executed: Path, parameters: dict[str, Any], root: Path, title: str) -> None:
        executed.parent.mkdir(parents=True, exist_ok=True)
        stub["execute_notebook"](notebook, executed, parameters, root)

    with monkeypatch.context() as patched:
        patched.setattr(study, "execute", execute)
        assert [run.main(["notebook", name, "--profile", "smoke"]) for name in names] == [0] * len(names)


def record(point: Point) -> freshness.Record:
    return freshness.read_record(point.study.record_path(point.notebook))


def test_tables_are_joined_a_point_at_a_time_and_a_csv_is_for_what_a_spreadsheet_opens(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Points whose columns differ in kind or are missing; of a million points no two are in memory at once."""
    found, at_once = points(toy), []
    for number, (name, point) in enumerate(found.items()):
        rows = {"run_id": [name] * 50, "top1": [number if number % 2 else 0.5] * 50, "scores": [[1.0]] * 50}
        rows |= {"note": [None] * 50} if number < 2 else {"note": ["x"] * 50, "more": [1] * 50}
        frames.write_frame(pd.DataFrame(rows), toy / point.study.params[SWEPT].predictions)
        stands(point)
    read = sweep_table._rows
    monkeypatch.setattr(sweep_table, "_rows", lambda point, field: counted(read(point, field), at_once))
    monkeypatch.setattr(sweep_table, "_compared", lambda own, field: [])  # these points are compared with each other
    monkeypatch.setattr(sweep_table, "CSV_ROWS", 200)
    assert sweep_table.collect(found) == []
    table, plain = (
        pd.read_parquet("runs/smoke/sweep/predictions.parquet"),
        pd.read_csv("runs/smoke/sweep/predictions.csv"),
    )
    assert len(table) == len(plain) == 200 and table.point.unique().tolist() == list(found)
    assert table.top1[::50].tolist() == plain.top1[::50].tolist() == [0.5, 1, 0.5, 3]
    assert table.note.isna().sum() == 100 and table.more.sum() == 100 and list(table.scores[7]) == [1.0]
    assert max(at_once) <= 2, "of the file: the one that is written, and the one that is read next"
    monkeypatch.setattr(sweep_table, "CSV_ROWS", 199)
    assert sweep_table.collect(found) == [] and not (toy / "runs/smoke/sweep/predictions.csv").exists()
    assert pd.read_parquet("runs/smoke/sweep/predictions.parquet").equals(table)


def counted(rows: pd.DataFrame, at_once: list[int]) -> pd.DataFrame:
    """The rows; notes how many such frames are alive."""
    ALIVE.append(weakref.ref(rows))
    at_once.append(sum(one() is not None for one in ALIVE))
    return rows


ALIVE: list[weakref.ref[pd.DataFrame]] = []


def stands(point: Point) -> None:
    """Record a point as if its notebook had run now."""
    params, root = point.study.params[SWEPT], point.study.root
    for path in (root / getattr(params, field) for field in params.names("writes")):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
    written = freshness.outputs(params, root, 0.0)
    of_now = freshness.Record(point.study.fingerprint(SWEPT), written, 1.0, provenance={"versions": "made"})
    freshness.write_record(point.study.record_path(SWEPT), of_now)
