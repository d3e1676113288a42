"""Training sets of pairs: nested real ones, coupled added ones, and the rules of each condition."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_pairs import ARM, GROUPS, tiny_pool

from llmexp_utils.benchmarks import split_of
from llmexp_utils.cloning import parse_clone_arm
from llmexp_utils.conditions import Cell
from llmexp_utils.errors import StudyError
from llmexp_utils.pair_conditions import CONDITIONS, couples, training_pairs


@pytest.fixture(scope="module")
def pool():
    return tiny_pool()


def cell(condition, n_real=8, n_added=12, fold=0, seed=0):
    return Cell(condition, n_real, n_added, ARM, fold, seed)


def test_real_pairs_are_nested_whole_problems_with_the_shown_ones_first(pool):
    small, large = (training_pairs(pool, cell("C0", n)) for n in (8, 24))
    assert small.pair_id.tolist() == large.pair_id.tolist()[:8]
    assert set(small.task_id) == {"T/7", "T/8"} and small.label.mean() == 0.5
    assert training_pairs(pool, cell("C2", 8)).pair_id.tolist()[:8] == small.pair_id.tolist()
    assert training_pairs(pool, cell("C0", 24, seed=1)).pair_id.tolist() != large.pair_id.tolist()


@pytest.mark.parametrize("condition", [name for name in CONDITIONS if name != "C0"])
def test_what_is_added_is_half_clones_of_the_right_author_in_the_training_split(pool, condition):
    frame = training_pairs(pool, cell(condition))
    added = frame[frame.added]
    assert len(added) == 12 and added.label.sum() == 6
    assert (~frame.added).sum() == (0 if condition == "C5" else 8)
    author = "rule" if condition == "C2" else "llm"
    assert all(f"def {author}(" in row.left + row.right for row in added.itertuples())
    assert {split_of(GROUPS[task_id], 0) for task_id in [*frame.task_id, *frame.other_id]} == {"train"}
    kinds = set(added[added.label == 0].kind)
    assert kinds <= {"near-miss", "random"} and ("near-miss" in kinds) == (condition != "C4far")


def test_the_score_prefers_what_is_like_the_real_clones(pool):
    chosen = training_pairs(pool, cell("C4", n_added=8))
    clones = chosen[chosen.added & (chosen.label == 1)]
    assert all("return x + 0" in text for text in clones.right)  # their statistics are those of gold
    far = training_pairs(pool, cell("C4far", n_added=8))
    assert clones.right.tolist() == far[far.added & (far.label == 1)].right.tolist()


def test_the_score_knows_no_real_clone_outside_the_budget(pool):
    """The left side of a pair that is none may be of a problem that the budget of real pairs does not hold."""
    swapped = pool.pairs.assign(task_id=pool.pairs.task_id.where(pool.pairs.kind != "random", "T/13"))
    other = pool.programs.copy()
    other.loc[other.program_id == "T/13/gold/0", ["lines_changed", "edit_distance"]] = 1000
    chosen = training_pairs(replace(pool, pairs=swapped, programs=other), cell("C4", n_added=8))
    usual = training_pairs(pool, cell("C4", n_added=8))
    assert chosen[chosen.added].right.tolist() == usual[usual.added].right.tolist()


def test_what_there_is_to_choose_from_may_be_nothing(pool):
    table = pool.available(parse_clone_arm("other/rewrite"), [0, 1])
    assert (table["LLM clones"] == 0).all() and (table["rule clones"] == 36).all()


def test_each_near_miss_is_used_once(pool):
    rows = pool.programs[(pool.programs.source == "llm") & (pool.programs.task_id.isin(["T/0", "T/5"]))]
    solutions = dict(zip(rows.task_id, rows.correct, strict=True))
    frame = couples(rows[rows.is_clone], rows[~rows.is_clone], solutions, GROUPS, np.random.default_rng(0))
    assert frame.kind.value_counts().to_dict() == {"clone": 6, "random": 4, "near-miss": 2}
    assert all(GROUPS[one] == GROUPS[two] for one, two in zip(frame.task_id, frame.other_id, strict=True))
    assert (frame[frame.kind == "random"].task_id != frame[frame.kind == "random"].other_id).all()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (cell("C9"), "unknown condition 'C9'"),
        (cell("C0", n_real=80), "has 48 real training pairs, 80 were asked for"),
        (cell("C3", n_added=200), "has 36 clones in fold 0, 100 were asked for"),
        (Cell("C3", 8, 4, parse_clone_arm("other/rewrite"), 0, 0), "no program of other/rewrite in fold 0"),
    ],
)
def test_what_cannot_be_had_is_one_line(pool, wanted, message):
    with pytest.raises(StudyError, match=message):
        training_pairs(pool, wanted)
