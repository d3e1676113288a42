"""Planned comparisons: which are made, and that they give back effects that were put in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from llmexp_utils.cells import Measure
from llmexp_utils.errors import StudyError
from llmexp_utils.factors import CLONE_PLAN, factor_table, factor_table_by_size, main_arm, planned, unanswered
from llmexp_utils.statistics import holm

MAIN = ("big", "line", "uniform")
COLUMNS = ["student", "series", "condition", "n_real", "n_added", "generator", "form", "policy", "value"]


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def study(*rows: tuple, noise: float = 0.0) -> pd.DataFrame:
    """Twenty faults of ten problems in each run; ``noise`` makes some faults harder, the same in every run."""
    cells = pd.DataFrame(rows, columns=COLUMNS)
    faults = pd.DataFrame({"fault_id": [f"f{k}" for k in range(20)], "task_id": [f"t{k // 2}" for k in range(20)]})
    faults["hard"] = noise * rng().normal(size=20)
    frame = cells.merge(faults, how="cross")
    return frame.assign(top1=frame["value"] + frame["hard"], seed=0)


def grid(condition: str, n_real: int, value: float, student: str = "A") -> tuple:
    arm = MAIN if condition in ("C3", "C4", "mix") else ("", "", "")
    return (student, "grid", condition, n_real, 8, *arm, value)


def arm(value: float, *names: str, n_added: int = 8) -> tuple:
    return ("A", "arm", "C3", 32, n_added, *names, value)


def estimates(frame: pd.DataFrame) -> dict[tuple[str, str], float]:
    table = factor_table(planned(frame, "A"), rng=rng(), draws=100)
    return {(row.question, row.comparison): round(row.estimate, 9) for row in table.itertuples()}


def test_conditions_are_compared_over_all_sizes_that_both_have():
    frame = study(
        *(grid("C2", size, 0.3) for size in (8, 16, 32)),
        grid("C3", 8, 0.5),
        grid("C3", 16, 0.2),
        grid("C4", 16, 0.4),
        grid("mix", 16, 0.7),
        noise=0.2,
    )
    assert estimates(frame) == {
        ("author: LLM or mutation", "C3 − C2"): 0.05,
        ("author: LLM or mutation", "C4 − C2"): 0.1,
        ("selection: Score or chance", "C4 − C3"): 0.2,
        ("mixing with mutants", "mix − C2"): 0.4,
        ("mixing with mutants", "mix − C3"): 0.5,
    }
    comparisons = planned(frame, "A")
    sizes = factor_table(comparisons, rng=rng(), draws=50).set_index("comparison")["n_real"]
    assert sizes["C3 − C2"] == "mean of 8, 16" and sizes["C4 − C2"] == "16"
    each = factor_table_by_size(comparisons, rng=rng(), draws=50)
    assert each[["comparison", "n_real"]].to_numpy().tolist() == [["C3 − C2", 8], ["C3 − C2", 16]]
    assert each.estimate.round(9).tolist() == [0.2, -0.1]


def test_a_constant_difference_has_no_width_and_the_table_is_one_family():
    frame = study(grid("C2", 8, 0.3), grid("C3", 8, 0.5), grid("C4", 8, 0.5), noise=0.3)
    table = factor_table(planned(frame, "A"), rng=rng(), draws=99)
    assert table.low.tolist() == table.high.tolist() == pytest.approx([0.2, 0.2, 0.0])
    assert table.p.tolist() == pytest.approx([0.02, 0.02, 1]) and table.p_holm.tolist() == holm(table.p).tolist()
    assert table[["n_faults", "n_problems", "n_seeds"]].drop_duplicates().to_numpy().tolist() == [[20, 10, 1]]


def test_amounts_are_compared_at_the_ends_of_the_sweep():
    rows = [("A", "sweep", "C3", 32, amount, *MAIN, value) for amount, value in ((8, 0.2), (16, 0.9), (32, 0.25))]
    rows += [("A", "sweep", "C2", 32, 8, "", "", "", 0.2), ("A", "sweep", "C0", 32, 0, "", "", "", 0.1)]
    assert estimates(study(*rows)) == {("number added", "C3: 32 − 8 added"): 0.05}


def test_arms_are_compared_with_the_main_one_if_they_differ_in_one_thing():
    frame = study(
        grid("C3", 8, 0.5),
        arm(0.5, *MAIN),
        arm(0.6, "big", "line", "gold"),
        arm(0.4, "big", "line", "llm"),
        arm(0.8, "big", "function", ""),
        arm(0.3, "small", "line", "uniform"),
        arm(0.9, "small", "function", ""),
        arm(0.7, *MAIN, n_added=16),
        arm(0.2, "small", "line", "uniform", n_added=16),
        arm(0.1, "big", "line", "gold", n_added=32),
    )
    assert estimates(frame) == {
        ("line policy", "gold − uniform, 8 added"): 0.1,
        ("line policy", "llm − uniform, 8 added"): -0.1,
        ("answer form", "function − line, 8 added"): 0.3,
        ("generator", "small − big, 16 added"): -0.5,
    }
    assert main_arm(frame[frame.series == "grid"]) == MAIN and main_arm(frame) is None


def test_arms_without_the_main_one_answer_nothing():
    assert estimates(study(grid("C3", 8, 0.5), arm(0.6, "big", "line", "gold"))) == {}
    assert estimates(study(arm(0.5, *MAIN), arm(0.6, "big", "line", "gold"))) == {}


def test_students_are_compared_by_what_they_gain():
    ours = [grid("C0", 8, 0.4), grid("C2", 8, 0.5), grid("C4", 8, 0.6), grid("C0", 16, 0.4), grid("C4", 16, 0.4)]
    theirs = [grid("C0", 8, 0.1, "B"), grid("C2", 8, 0.1, "B"), grid("C4", 8, 0.4, "B")]
    found = estimates(study(*ours, *theirs, noise=0.3))
    assert found["student", "gain C4 − C0: B − A"] == pytest.approx(0.1)  # 0.3 against 0.2, at 8 only
    assert found["student", "gain C4 − C2: B − A"] == pytest.approx(0.2)


def test_a_ratio_is_compared_in_the_same_way():
    frame = study(grid("C2", 8, 0.2), grid("C3", 8, 0.5), grid("C2", 16, 0.4), grid("C3", 16, 0.5), noise=0.2)
    frame["all"] = np.where(frame.fault_id == "f0", 21.0, 1.0)  # sums to 40 in every cell of 20 items
    halved = Measure("ratio", "top1", "all", items="pairs")
    row = factor_table(planned(frame, "A", halved), rng=rng(), draws=50).iloc[0]
    assert row.estimate == pytest.approx((0.3 + 0.1) / 2 / 2) and row.n_pairs == 20


def test_clones_have_their_own_plan_and_no_line_policy():
    rows = [grid("C2", 8, 0.3), grid("C4far", 8, 0.4), grid("C4", 8, 0.6)]
    rows += [arm(0.5, *MAIN), arm(0.7, "big", "rewrite", "uniform"), arm(0.2, "small", "line", "uniform")]
    pairs = study(*rows).drop(columns="policy")
    pairs.loc[pairs.condition == "C4far", ["generator", "form"]] = MAIN[:2]
    table = factor_table(planned(pairs, "A", plan=CLONE_PLAN), rng=rng(), draws=50)
    assert table[["question", "comparison"]].to_numpy().tolist() == [
        ["author: LLM or rewriting", "C4 − C2"],
        ["others: near misses or other problems", "C4 − C4far"],
        ["answer form", "rewrite − line, 8 added"],
        ["generator", "small − big, 8 added"],
    ]
    assert table.estimate.round(9).tolist() == [0.3, 0.2, 0.2, -0.3]
    missing = "selection: Score or chance, number added, student"
    assert unanswered(planned(pairs, "A", plan=CLONE_PLAN), CLONE_PLAN) == f"not varied in these runs: {missing}"


def test_what_was_not_varied_is_said():
    some = planned(study(grid("C2", 8, 0.3), grid("C3", 8, 0.5)), "A")
    missing = (
        "selection: Score or chance, mixing with mutants, number added, line policy, answer form, generator, student"
    )
    assert unanswered(some) == f"not varied in these runs: {missing}"
    nothing = planned(study(grid("C0", 8, 0.3)), "A")
    assert nothing == [] and list(factor_table(nothing, rng=rng()).columns)[:3] == ["question", "comparison", "n_real"]
    assert factor_table(nothing, rng=rng()).empty and factor_table_by_size(nothing, rng=rng()).empty


def test_sizes_with_other_faults_are_refused():
    frame = study(grid("C2", 8, 0.3), grid("C3", 8, 0.5), grid("C2", 16, 0.3), grid("C3", 16, 0.5))
    half = frame[~((frame.n_real == 16) & (frame.task_id == "t0"))]
    with pytest.raises(StudyError, match="C3 − C2, n_real=16: 18 faults against 20"):
        factor_table(planned(half, "A"), rng=rng(), draws=50)
