"""Which runs there are, and what a run may see."""

import pandas as pd
import pytest
from tiny_pool import ARM, tiny_pool

from llmexp_utils.conditions import Pool
from llmexp_utils.errors import StudyError
from llmexp_utils.grid import Repeats, arm_cells, grid_cells, jobs_of, sweep_cells
from llmexp_utils.injection import parse_arm

REPEATS = Repeats(folds=[0, 1], seeds=[0, 1, 2])


@pytest.fixture(scope="module")
def pool():
    return tiny_pool()


def test_cells_are_the_grid_without_what_cannot_be():
    found = grid_cells(["C0", "C3", "C5"], [8, 16], 20, ARM, REPEATS)
    assert len(found) == (2 + 2 + 1) * 2 * 3
    assert {(one.n_real, one.n_added) for one in found if one.condition == "C5"} == {(0, 20)}
    assert {one.n_added for one in found if one.condition == "C0"} == {0}
    facts = {one.condition: one.facts for one in found}
    assert facts["C0"]["generator"] == "" and facts["C3"]["generator"] == "gen" and facts["C3"]["series"] == "grid"


def test_a_sweep_has_the_reference_once_however_many_amounts():
    found = sweep_cells(["C0", "C2", "C3"], 8, [10, 20], ARM, REPEATS)
    assert len(set(found)) == len(found) == (1 + 2 * 2) * 6
    assert {(one.condition, one.n_added) for one in found} == {
        ("C0", 0),
        *((c, n) for c in ("C2", "C3") for n in (10, 20)),
    }
    assert {one.n_real for one in found} == {8} and {one.series for one in found} == {"sweep"}
    assert sweep_cells(["C2"], 8, [], ARM, REPEATS) == []


def test_arms_are_compared_with_as_many_mutants_as_far_as_they_reach(pool):
    faults = pool.faults.copy()
    faults.loc[faults.fault_id.str.endswith("llm0"), ["generator", "form", "policy"]] = ["other", "function", None]
    mixed = Pool(faults, pool.groups, pool.shown)
    other = parse_arm("other/function")  # 30 in each fold
    found = arm_cells(mixed, [ARM, other], 8, [16, 40], ARM, REPEATS)
    assert len(set(found)) == len(found) == (1 + 2 + 2 + 1) * 6
    written = {(one.condition, one.facts["generator"], one.n_added) for one in found}
    assert written == {
        ("C0", "", 0),
        *(("C2", "", n) for n in (16, 40)),
        *(("C3", "gen", n) for n in (16, 40)),
        ("C3", "other", 16),
    }
    assert arm_cells(mixed, [], 8, [16], ARM, REPEATS) == []
    with pytest.raises(StudyError, match="other/function can add 30 in a fold, arm_added asks for 40"):
        arm_cells(mixed, [ARM, other], 8, [40], ARM, REPEATS)


def test_jobs_test_the_faults_of_others_for_the_test_problems_only(pool):
    cells = grid_cells(["C3"], [8], 20, ARM, Repeats([0, 3], [5]))
    rows = pool.faults[pool.faults.source == "gold"].drop_duplicates("task_id")
    external = rows.assign(fault_id="Other/" + rows.task_id)
    alone, beside = jobs_of(pool, cells), jobs_of(pool, cells, external)
    for cell, one, other in zip(cells, alone, beside, strict=True):
        assert one.facts == cell.facts and one.seed == 5
        assert len(one.train) == 28 and len(one.dev) == len(one.test) == 20
        added = other.test[~other.test.fault_id.isin(one.test.fault_id)]
        assert len(added) == 10 and set(added.task_id) == set(one.test.task_id)
        pd.testing.assert_frame_equal(one.train, other.train)


def test_a_problem_in_two_splits_stops_the_grid(pool, monkeypatch):
    (cell,) = grid_cells(["C0"], [8], 0, ARM, Repeats([0], [0]))
    real = type(pool).part
    monkeypatch.setattr(type(pool), "part", lambda self, source, fold, split: real(self, source, fold, "train"))
    with pytest.raises(StudyError, match="T/.* is in two splits of fold 0"):
        jobs_of(pool, [cell])


def test_a_run_asked_for_twice_is_said(pool):
    cells = arm_cells(pool, [ARM, ARM], 8, [16], ARM, REPEATS)
    with pytest.raises(StudyError, match="asked for twice"):
        jobs_of(pool, cells)
