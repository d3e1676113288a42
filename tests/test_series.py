"""Which rows stand for which part of the study."""

from __future__ import annotations

import pandas as pd
import pytest

from llmexp_utils import series
from llmexp_utils.errors import StudyError
from llmexp_utils.pair_metrics import F1
from llmexp_utils.plots import PAIR_CONDITIONS


def run(condition: str, n_real: int, student: str = "A", part: str = "grid", fault: str = "HumanEval/0#1") -> dict:
    added = 0 if condition == "C0" else 8
    row = {"student": student, "series": part, "condition": condition, "n_real": n_real, "n_added": added}
    row |= {"generator": None, "form": None, "policy": None, "fold": 0, "seed": 0, "fault_id": fault}
    return row | {"task_id": fault.split("#")[0], "scores": [0.1, 0.9], "lines": [2], "n_lines": 2, "fault_type": "x"}


def frame(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(list(rows))


def test_faults_of_other_people_are_kept_apart_and_empty_arms_are_text():
    ours, theirs = series.measured(frame(run("C0", 8), run("C0", 8, fault="HumanEvalPack/0#1")))
    assert ours.fault_id.tolist() == ["HumanEval/0#1"] and theirs.fault_id.tolist() == ["HumanEvalPack/0#1"]
    assert ours.top1.item() == 1 and ours.generator.item() == ""


def test_a_fault_that_stands_twice_in_a_run_is_refused():
    with pytest.raises(StudyError, match="scored twice in one run.*condition=C0.*run 05"):
        series.measured(frame(run("C0", 8), run("C0", 8)))


def test_a_part_that_is_not_there_is_said_in_one_line(capsys):
    faults = frame(run("C0", 8), run("C0", 8, student="B"))
    assert series.part(faults, "grid", "B").student.tolist() == ["B"] and capsys.readouterr().out == ""
    assert series.part(faults, "sweep", "A").empty
    assert capsys.readouterr().out.splitlines() == [
        "no runs of the series 'sweep' of A here: what needs them is left out"
    ]


def test_conditions_without_real_faults_meet_every_size_of_their_student():
    grid = frame(run("C0", 8), run("C0", 16), run("C5", 0), run("C0", 4, student="B"))
    lifted = series.at_every_size(grid)
    assert lifted[lifted.condition == "C5"].n_real.tolist() == [8, 16]
    assert len(lifted) == 5 and series.at_every_size(grid[grid.n_real > 0]).equals(
        grid[grid.n_real > 0].reset_index(drop=True)
    )


def test_mutants_alone_are_the_control_where_there_is_no_real_fault():
    rivals = series.against_mutants(frame(run("C0", 8), run("C2", 8), run("C5", 0), run("C5m", 0)))
    assert list(zip(rivals.condition, rivals.n_real, strict=True)) == [("C2", 8), ("C5", 0), ("C2", 0)]


def test_sizes_by_rule():
    grid = frame(*(run("C0", size) for size in (8, 16, 32, 64)), run("C0", 4, student="B"))
    assert list(zip(series.most_real(grid).student, series.most_real(grid).n_real, strict=True)) == [
        ("A", 64),
        ("B", 4),
    ]
    assert set(series.middle_size(grid[grid.student == "A"]).n_real) == {32}
    with pytest.raises(StudyError, match="add C0"):
        series.middle_size(frame(run("C2", 8)))


def test_the_floor_is_that_of_the_faults():
    faults = frame(
        run("C0", 8), run("C0", 8, fault="HumanEval/1#1") | {"n_lines": 4, "fault_type": "y", "scores": [0.0] * 4}
    )
    levels = series.with_floor(
        pd.DataFrame({"condition": ["C0"], "n_added": [0], "estimate": [0.5]}), faults, "n_added"
    )
    assert levels.condition.tolist() == ["C0", "floor"] and levels.estimate.tolist() == [0.5, 0.375]
    assert series.floor_by(faults, "fault_type").to_dict() == {"x": 0.5, "y": 0.25}


def test_captions_count():
    assert series.counts(frame(run("C0", 8), run("C2", 8))) == "1 faults of 1 problems, seeds: 1, folds: 1"
    ours = [run("C0", 8) | {"seed": seed} for seed in range(3)]
    others = [run("C0", 8, student=name) for name in ("B", "none")]
    assert series.counts(frame(*ours, *others)) == "1 faults of 1 problems, seeds: 3 (B, none: 1), folds: 1"
    assert series.names("C0", "C5") == "C0: real only; C5: LLM only"
    assert series.names("C2", looks=PAIR_CONDITIONS) == "C2: real + rewriting"


def test_pairs_are_measured_for_the_problem_that_they_were_made_for():
    run = {"student": "A", "series": "grid", "condition": "C0", "n_real": 8, "n_added": 0, "generator": None}
    run |= {"form": None, "fold": 0, "seed": 0, "label": 1, "score": 0.9, "threshold": 0.5, "task_id": "T/9"}
    rows = frame(run | {"pair_id": "T/0/clone0"}, run | {"pair_id": "ConDefects/a/clone0"})
    ours, theirs = series.measured_pairs(rows)
    assert ours[["pair_id", "task_id", "generator"]].to_numpy().tolist() == [["T/0/clone0", "T/0", ""]]
    assert theirs.task_id.tolist() == ["ConDefects/a"] and theirs.f1_top.tolist() == [2]
    assert series.counts(ours, F1) == "1 pairs of 1 problems, seeds: 1, folds: 1"
    folds = pd.concat([rows.assign(fold=fold, seed=seed) for fold in (0, 3) for seed in (0, 1)])
    assert series.measured_pairs(folds)[1].seed.tolist() == [0, 5, 3, 8], "every fold tests on all of theirs: repeats"
    with pytest.raises(StudyError, match="a pair was scored twice.*condition=C0.*pair_id=T/0/clone0.*run 06"):
        series.measured_pairs(rows.iloc[[0, 0]])
