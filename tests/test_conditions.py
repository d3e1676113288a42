"""What each condition trains on."""

import pytest
from tiny_pool import ARM, tiny_pool

from llmexp_utils.conditions import Cell, available, training_set
from llmexp_utils.errors import StudyError
from llmexp_utils.injection import parse_arm


@pytest.fixture(scope="module")
def pool():
    return tiny_pool()


def cell(condition="C3", n_real=8, n_added=20, fold=0, seed=0):
    return Cell(condition, n_real, n_added, ARM, fold, seed)


@pytest.mark.parametrize("condition", ["C0", "C2", "C3", "C4", "C5", "C5m", "mix"])
def test_nothing_of_a_test_or_dev_problem_is_trained_on(pool, condition):
    for fold in range(5):
        rows = training_set(pool, cell(condition, fold=fold))
        groups = rows.task_id.map(pool.groups)
        assert not groups.isin([fold, (fold + 1) % 5]).any()
        assert rows.fault_id.is_unique


def test_numbers_and_sources(pool):
    def count(condition):
        rows = training_set(pool, cell(condition))
        return {source: int(n) for source, n in rows.groupby("source").size().items()}

    assert count("C0") == {"gold": 8}
    assert count("C2") == {"gold": 8, "mutation": 20}
    assert count("C3") == count("C4") == {"gold": 8, "llm": 20}
    assert count("C5") == {"llm": 20} and count("C5m") == {"mutation": 20}
    assert count("mix") == {"gold": 8, "llm": 10, "mutation": 10}
    assert not training_set(pool, cell())["added"][:8].any() and training_set(pool, cell())["added"][8:].all()


def test_real_faults_are_nested_shared_by_conditions_and_begin_with_the_shown_ones(pool):
    small, large = training_set(pool, cell("C0", 8)), training_set(pool, cell("C0", 30))
    assert large.fault_id[:8].tolist() == small.fault_id.tolist()
    assert set(small.fault_id[:2]) == {"T/2#gold0", "T/3#gold1"}, "those of the training groups of fold 0"
    with_llm = training_set(pool, cell("C3", 8))
    assert with_llm.fault_id[:8].tolist() == small.fault_id.tolist()
    other = training_set(pool, cell("C0", 8, seed=1))
    assert set(other.fault_id) != set(small.fault_id)


def test_score_takes_what_is_nearest_to_the_real_average(pool):
    chosen = training_set(pool, cell("C4", 30, 20))
    real = chosen[~chosen["added"]]
    spread = {}
    for condition in ("C3", "C4"):
        rows = training_set(pool, cell(condition, 30, 20))
        spread[condition] = (rows[rows["added"]].edit_distance - real.edit_distance.mean()).abs().mean()
    assert spread["C4"] < spread["C3"]


def test_too_many_faults_asked_for_is_one_clear_line(pool):
    with pytest.raises(StudyError, match="C3 of gen/line/uniform has 120 faults in fold 0, 500 were asked for"):
        training_set(pool, cell(n_added=500))
    with pytest.raises(StudyError, match="fold 0 has 60 real training faults, 61 were asked for"):
        training_set(pool, cell(n_real=61))


def test_an_arm_that_was_not_generated_is_named(pool):
    missing = Cell("C3", 8, 5, parse_arm("gen/function"), 0, 0)
    with pytest.raises(StudyError, match="no faults of gen/function"):
        training_set(pool, missing)


def test_available_counts_the_training_splits(pool):
    table = available(pool, ARM, range(5))
    assert (table[["real", "llm", "mutants"]] == [60, 120, 120]).all().all()
