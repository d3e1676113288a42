"""Other people's benchmarks are looked for before 08 and 09 start: answers, files, students, generators."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

REAL, REAL_CLONES = "08_real_benchmarks", "09_real_clones"
ARM = "qwen2.5-coder-0.5b/line/uniform"


def test_missing_answers_for_benchmarks_that_are_at_hand_are_told(
    say: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    advice = "set `mode: record` to ask for them, or go back to the committed parameters"
    book = tmp_path / "data/recordings/line_qwen2.5-coder-0.5b.jsonl"
    profile = f"{REAL}:\n  arm: {ARM}\n  arms: []\n  benchmarks: [humaneval, defects4j, mine.jsonl]\n"
    (tmp_path / "mine.jsonl").touch()
    (tmp_path / "defects4j").mkdir()
    (tmp_path / "defects4j" / "single_function_repair.json").touch()
    monkeypatch.setenv("LLMEXP_DATA_DIR", str(tmp_path))
    own = f"error: {REAL}: mine.jsonl: arm {ARM}: no answers are in data/recordings/mine/{book.name}: {advice}"
    assert say(profile, "notebook", REAL) == [own], "the study's own answers are complete"

    kept = [line for line in book.read_text().splitlines() if json.loads(line)["task_id"] == "HumanEval/0"]
    (tmp_path / "data/recordings/mine").mkdir()
    (tmp_path / "data/recordings/mine" / book.name).write_text(f"{kept[0]}\n")
    book.write_text("")
    (tmp_path / "data/recordings/defects4j" / book.name).unlink()
    lines = say(f"{profile}  external: true\n", "notebook", REAL)
    assert lines == [
        f"error: {REAL}: humaneval: arm {ARM}: 20 of 20 answers are not in data/recordings/{book.name}: {advice}",
        f"error: {REAL}: defects4j: arm {ARM}: no answers are in data/recordings/defects4j/{book.name}: {advice}",
        own.replace("no answers", "at most 1 of 2 answers a function"),
    ]
    larger = "arm qwen2.5-coder-1.5b/line/uniform: no answers are in data/recordings/mine/line_qwen2.5-coder-1.5b.jsonl"
    both = f"{REAL}:\n  arm: {ARM}\n  arms: [qwen2.5-coder-1.5b/line/uniform]\n  benchmarks: [mine.jsonl]\n"
    (line,) = say(both, "notebook", REAL)
    assert line.endswith(f"; mine.jsonl: {larger}: {advice}"), "every arm is looked for"
    (line,) = say(f"{REAL}:\n  benchmarks: [none.jsonl]\n", "notebook", REAL)
    assert line == f"error: {REAL}: benchmarks: none.jsonl does not exist"
    (line,) = say(f"{REAL}:\n  benchmarks: [defects4j]\n", "notebook", REAL)
    assert line == f"error: {REAL}: benchmarks: none is at hand; defects4j: set external to use it"


def test_other_peoples_clones_are_looked_for_before_the_notebook_starts(say: Callable[..., list[str]]) -> None:
    written = "common:\n  clone_candidates: runs/x.jsonl\n  clones: runs/y.jsonl\n"
    written += "03_write_clones:\n  clone_arms: [qwen2.5-coder-1.5b/rewrite]\n  clone_samples: [3]\n"
    profile = f"{written}{REAL_CLONES}:\n  benchmarks: [none.jsonl, poj-104]\n  encoder: none/such\n"
    arm, file = say(f"{profile}  external: true\n", "notebook", REAL_CLONES)
    assert arm.startswith(f"error: {REAL_CLONES}: main_arm: 'qwen2.5-coder-1.5b/from_spec' is not among the arms of 03")
    assert file == f"error: {REAL_CLONES}: benchmarks: none.jsonl does not exist"
    (line,) = say(
        f"{REAL_CLONES}:\n  encoder_benchmarks: [condefects]\n  benchmarks: [humaneval]\n", "notebook", REAL_CLONES
    )
    assert line == f"error: {REAL_CLONES}: encoder_benchmarks: condefects is not among benchmarks"
    (line,) = say(f"{REAL_CLONES}:\n  benchmarks: [poj-104]\n", "notebook", REAL_CLONES)
    assert line == f"error: {REAL_CLONES}: benchmarks: none is at hand; poj-104: set external to use it"


def test_students_and_generators_of_real_benchmarks_are_checked(say: Callable[..., list[str]]) -> None:
    profile = f"{REAL}:\n  mode: record\n  arm: gpt/function\n  frozen_model: no/such-model\n  encoder: none/such\n"
    frozen, generator = say(profile, "notebook", REAL)
    assert frozen.startswith(f"error: {REAL}: frozen model 'no/such-model' cannot be had")
    assert generator.startswith(f"error: {REAL}: unknown generator 'gpt'")
    assert len(say(f"{profile}  encoder_conditions: [C0]\n", "notebook", REAL)) == 3
    (line,) = say(f"{REAL}:\n  mode: record\n  benchmarks: [none.jsonl]\n", "notebook", REAL)
    assert line == f"error: {REAL}: benchmarks: none.jsonl does not exist", "before anybody is asked"


@pytest.mark.parametrize("notebook", [REAL, REAL_CLONES])
def test_what_all_conditions_are_compared_with_has_to_be_there(say: Callable[..., list[str]], notebook: str) -> None:
    (line,) = say(f"{notebook}:\n  conditions: [C2, C3]\n", "notebook", notebook)
    assert line.endswith("conditions: C0 (real only) is missing: every other condition is compared with it")
