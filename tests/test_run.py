"""Running a study: what is repeated and why, what a failure says, how an interruption ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import toy_study
from toy_study import make_study, write_toy

from llmexp_utils import execute, freshness, run, study
from llmexp_utils.errors import StudyError

FIRST = "01_benchmarks"


# --- one notebook, without a kernel -------------------------------------------------------------------------


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A toy study in the working folder, whose notebooks run in this process."""
    stub: dict[str, Any] = {}
    exec(toy_study.STUB, stub)

    def in_process(notebook: Path, executed: Path, parameters: dict[str, Any], root: Path, title: str) -> None:
        executed.parent.mkdir(exist_ok=True)
        stub["execute_notebook"](notebook, executed, parameters, root)

    monkeypatch.setattr(study, "execute", in_process)
    monkeypatch.setenv(run.CHECKED, "1")  # a toy has no gold; tests/test_preflight.py is about that
    monkeypatch.chdir(make_study(tmp_path / "toy"))
    return tmp_path / "toy"


def runs(root: Path) -> list[str]:
    log = root / "log.txt"
    return log.read_text().split() if log.exists() else []


def say(*words: str) -> int:
    return run.main([*words, "--profile", "smoke"])


def test_a_result_that_stands_is_not_made_again(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("notebook", FIRST) == 0 and say("notebook", "01") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{FIRST}: started, about 2 min (it has not run yet)"
    assert lines[2] == f"{FIRST}: up to date" and runs(toy) == [FIRST]
    write_toy(toy, FIRST, "# a comment", prose="# Other words")
    assert say("notebook", FIRST) == 0 and runs(toy) == [FIRST]
    assert say("notebook", FIRST, "--force") == 0 and runs(toy) == [FIRST, FIRST]


def test_a_removed_or_edited_result_is_made_again(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say("notebook", FIRST)
    result = next(iter(written(toy, FIRST)))
    (toy / result).unlink()
    say("notebook", FIRST)
    (toy / result).write_text("by hand")
    say("notebook", FIRST)
    said = capsys.readouterr().out
    assert f"({result} was removed)" in said and f"({result} was changed)" in said and len(runs(toy)) == 3


def test_new_parameters_and_new_inputs_start_a_run(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say("notebook", FIRST)
    (toy / "params" / "smoke.yaml").write_text("common:\n  seed: 4\n")
    (toy / "data" / "gold.txt").write_text("more")
    say("notebook", FIRST)
    assert "(file data/gold.txt changed, parameter seed changed)" in capsys.readouterr().out


def test_a_missing_input_names_the_notebook_that_writes_it(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("notebook", "04") == 2
    assert capsys.readouterr().err == (
        "error: 04_validate_and_select: runs/smoke/candidates.txt does not exist; "
        "run 02_inject_faults first, it writes it\n"
    )


def test_results_say_where_they_come_from(toy: Path) -> None:
    say("notebook", FIRST)
    (path,) = toy.rglob("provenance/*.json")
    facts = json.loads(path.read_text())
    assert path.stem == facts["notebook"] == FIRST and facts["profile"] == "smoke" and facts["seconds"] >= 0
    assert {"finished", "commit", "versions", "machine"} <= facts.keys()
    assert not any("provenance" in name for name in written(toy, FIRST)), "the same results stay the same"


def test_the_index_lists_what_every_notebook_wrote_and_is_no_result_of_one(toy: Path) -> None:
    assert say("notebook", FIRST) == 0
    assert say("notebook", "02") == 0
    text = (toy / "runs/smoke/figures/index.md").read_text()
    assert f"tab_{FIRST}" in text and "tab_02_inject_faults" in text
    assert not any("index" in file for name in (FIRST, "02_inject_faults") for file in written(toy, name))
    assert say("notebook", FIRST) == 0 and runs(toy) == [FIRST, "02_inject_faults"], "both results stand"


def test_a_run_in_another_process_is_waited_for(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with held(toy / "runs/smoke/locks" / f"{FIRST}.lock"):
        assert say("notebook", FIRST) == 0
    assert capsys.readouterr().out.startswith(f"{FIRST}: another process runs it; waiting\n{FIRST}: started")


def test_two_profiles_that_write_one_file_wait_for_each_other(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, profile = "02_inject_faults", "02_inject_faults:\n  candidates: shared/candidates.jsonl\n  seed: {}\n"
    for number, copy in enumerate(("smoke", "other")):
        (toy / "params" / f"{copy}.yaml").write_text(profile.format(number))
    locks = [study.locks(study.open_study(toy, toy / f"params/{copy}.yaml"), name) for copy in ("smoke", "other")]
    (both,) = set(locks[0]) & set(locks[1])
    assert locks[0][both] == "writes candidates.jsonl" and len(locks[0]) == 2, "its own folder's files are its alone"
    (toy / "shared").mkdir()
    with held(both):
        assert run.main(["notebook", name, "--profile", "other"]) == 0
    assert f"{name}: another process writes candidates.jsonl; waiting" in capsys.readouterr().out


@contextlib.contextmanager
def held(lock: Path) -> Iterator[None]:
    """Another process holds a lock for a second."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    hold = "import filelock, time\nwith filelock.FileLock(%r):\n    print('held', flush=True)\n    time.sleep(1)"
    with subprocess.Popen([sys.executable, "-c", hold % str(lock)], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        yield


def test_record_runs_the_notebooks_of_its_file_always(toy: Path) -> None:
    (toy / "params" / "record.yaml").write_text(f"{FIRST}:\n  seed: 5\n")
    assert run.main(["record"]) == 0 and run.main(["record"]) == 0
    assert runs(toy) == [FIRST, FIRST] and (toy / "runs/record/records").is_dir()


def test_bad_input_ends_with_one_line_before_anything_runs(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["study", "--profile", "smok"]) == 2
    assert capsys.readouterr().err == (
        "error: unknown profile 'smok': did you mean 'smoke'? (a profile is params/NAME.yaml)\n"
    )
    assert say("study", "--from", "19") == 2 and "unknown notebook '19'" in capsys.readouterr().err
    (toy / "params" / "smoke.yaml").write_text("07_results:\n  seeed: 3\n")
    assert say("study") == 2 and say("check") == 2
    line = "error: smoke.yaml: unknown parameter 'seeed' in 07_results: did you mean 'seed'?\n"
    assert capsys.readouterr().err == line * 2 and runs(toy) == []


def test_a_check_runs_nothing(toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("check") == 0 and runs(toy) == []
    assert capsys.readouterr().out.startswith("params/smoke.yaml: the parameters of ")


def test_code_that_does_not_parse_is_told_before_a_kernel_starts(toy: Path) -> None:
    write_toy(toy, FIRST, "if")
    with pytest.raises(StudyError, match="01_benchmarks: this code does not parse"):
        study.open_study(toy, toy / "params/smoke.yaml", [FIRST]).fingerprint(FIRST)


def test_a_failure_says_the_error_or_the_bare_message_of_a_study_error() -> None:
    other = SimpleNamespace(ename="ValueError", evalue="\nboom\nmore", traceback=["Traceback", "boom"])
    assert execute._message(other) == "ValueError: boom"
    own = SimpleNamespace(ename="RecordingError", evalue="say make record", traceback=["say make record"])
    assert execute._message(own) == "say make record"


# --- with Snakemake, kernels and signals --------------------------------------------------------------------


def written(root: Path, name: str) -> dict[str, str]:
    return freshness.read_record(root / "runs/smoke/records" / f"{name}.json").outputs


def command(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "llmexp_utils.run", *words, "--profile", "smoke"]
    environment = {**os.environ, run.CHECKED: "1"}
    return subprocess.run(line, cwd=root, capture_output=True, text=True, timeout=300, check=False, env=environment)


def test_snakemake_runs_what_is_left_in_order_and_stops_at_a_failure(toy: Path) -> None:
    pytest.importorskip("snakemake")
    left = ["05_finetune_fault_localization", "06_finetune_clone_detection", "07_results"]
    for name in [name for name in study.NOTEBOOKS if name not in left]:
        assert say("notebook", name) == 0
    before = runs(toy)
    first = command(toy, "study")
    ended = runs(toy)  # 05 and 06 wait for the same: Snakemake may take either first
    assert (
        (first.returncode, first.stderr) == (0, "") and sorted(ended) == sorted(before + left) and ended[-1] == left[-1]
    )
    assert "complete after" in first.stdout and f"3 of {len(study.NOTEBOOKS)} notebooks to run" in first.stdout
    assert command(toy, "study").stdout == "profile smoke: all is up to date\n"
    write_toy(toy, left[0], "raise ValueError('boom')")
    failed = command(toy, "study")
    kept = toy / "runs/smoke/executed" / f"{left[0]}.ipynb"
    assert failed.returncode == 1 and runs(toy) == [*ended, left[0]]
    assert failed.stderr == f"error: {left[0]}, cell [4]: ValueError: boom; see {kept}\n" and kept.exists()


LOOK = """import json, os, sys
from ipykernel.connect import get_connection_info
from llmexp_utils.errors import StudyError
seen = [sys.executable, os.getcwd(), json.loads(get_connection_info())["transport"]]
open("seen.json", "w").write(json.dumps(seen))
raise StudyError("say make record")
"""


def test_the_kernel_is_this_python_over_ipc_and_its_failure_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_study(tmp_path / "toy", stub=False)
    write_toy(root, FIRST, LOOK)
    foreign = tmp_path / "jupyter" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    (foreign / "kernel.json").write_text('{"argv": ["false"], "display_name": "x", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.chdir(root)
    failed = command(root, "notebook", FIRST)
    kept = root / "runs/smoke/executed" / f"{FIRST}.ipynb"
    assert failed.stderr == f"error: {FIRST}, cell [4]: say make record; see {kept}\n"
    assert failed.returncode == 1 and '"say make record"' in kept.read_text()
    assert (root / "runs/smoke/failed" / FIRST).exists()
    assert json.loads((root / "seen.json").read_text()) == [sys.executable, str(root), "ipc"]


@pytest.mark.parametrize("words", [("notebook", FIRST), ("study",)])
def test_an_interrupted_run_leaves_no_kernel_and_a_partial_notebook(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Also when it was started as a shell starts background jobs: with SIGINT ignored."""
    root = make_study(tmp_path / "toy", stub=False)
    write_toy(root, FIRST, "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(300)")
    line = [sys.executable, "-m", "llmexp_utils.run", *words, "--profile", "smoke"]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    environment = {**os.environ, run.CHECKED: "1"}
    process = subprocess.Popen(line, cwd=root, stderr=subprocess.PIPE, text=True, env=environment)
    signal.signal(signal.SIGINT, before)
    limit = time.monotonic() + 240
    while not ((root / "pid").exists() and (root / "pid").read_text()) and time.monotonic() < limit:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    said = {f"error: {name}: interrupted; the same command continues" for name in study.NOTEBOOKS}
    last = "error: interrupted; the same command continues"
    assert set(error.splitlines()) <= said | {last} and f"{FIRST}: interrupted" in error, error
    assert words[0] == "notebook" or error.splitlines()[-1] == last
    with pytest.raises(ProcessLookupError):
        os.kill(int((root / "pid").read_text()), 0)
    assert (root / "runs/smoke/executed" / f"{FIRST}.ipynb").exists()
    assert not (root / "runs/smoke/records" / f"{FIRST}.json").exists()
