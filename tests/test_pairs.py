"""Gold pairs: balance, groups, kinds, neutral names."""

import numpy as np
import pytest

from llmexp_utils.benchmarks import gold_frame, load_groups, read_gold, split_of
from llmexp_utils.clone_types import TYPES
from llmexp_utils.errors import StudyError
from llmexp_utils.pairs import NEGATIVES, gold_pairs, neutral
from llmexp_utils.paths import gold_dir


@pytest.fixture(scope="module")
def groups():
    return load_groups(gold_dir() / "folds.json")


@pytest.fixture(scope="module")
def faults(functions):
    return gold_frame(read_gold(gold_dir() / "faults.jsonl"), functions)


@pytest.fixture(scope="module")
def vectors(functions):
    return np.random.default_rng(0).normal(size=(len(functions), 8))


@pytest.fixture(scope="module")
def pairs(functions, gold_clones, faults, groups, vectors):
    return gold_pairs(functions, gold_clones, faults, groups, vectors)


def test_every_group_has_as_many_clones_as_others_and_all_kinds_alike(pairs, groups):
    assert len(pairs) == 4 * len(groups) and pairs.pair_id.is_unique
    for _, rows in pairs.groupby(pairs.task_id.map(groups)):
        assert rows.label.mean() == 0.5
        counts = rows[rows.label == 0].kind.value_counts()
        assert set(counts.index) == set(NEGATIVES) and counts.max() - counts.min() <= 2


def test_no_problem_is_in_two_splits(pairs, groups):
    assert (pairs.task_id.map(groups) == pairs.other_id.map(groups)).all()
    for fold in range(5):
        splits = [{split_of(groups[task_id], fold) for task_id in row} for row in zip(pairs.task_id, pairs.other_id)]
        assert all(len(split) == 1 for split in splits)


def test_kinds_are_what_they_say(pairs, faults, functions):
    same = pairs.task_id == pairs.other_id
    assert (
        same[pairs.kind.isin(["clone", "near-miss"])].all() and not same[pairs.kind.isin(["random", "similar"])].any()
    )
    broken = set(faults.code)
    for row in pairs.itertuples():
        assert ({row.left, row.right} & broken != set()) == (row.kind == "near-miss"), row.pair_id
        assert row.left != row.right
    assert set(pairs[pairs.label == 1].clone_type) <= set(TYPES) and set(pairs[pairs.label == 0].clone_type) == {""}


def test_clones_stand_in_both_orders(pairs):
    clones = pairs[pairs.kind == "clone"]
    assert set(zip(clones.left, clones.right, strict=True)) == set(zip(clones.right, clones.left, strict=True))
    assert clones.groupby("task_id").size().eq(2).all()


def test_similar_pairs_share_more_tokens_than_random_ones(pairs):
    means = pairs.groupby("kind").overlap.mean()
    assert means["near-miss"] > means["similar"] > means["random"]


def test_the_same_seed_gives_the_same_pairs(functions, gold_clones, faults, groups, vectors, pairs):
    assert gold_pairs(functions, gold_clones, faults, groups, vectors).equals(pairs)
    assert not gold_pairs(functions, gold_clones, faults, groups, vectors, seed=1).equals(pairs)


def test_neutral_pairs_do_not_name_the_problem(pairs, functions):
    names = {function.task_id: function.entry_point for function in functions}
    for row in neutral(pairs, names).itertuples():
        assert f"def {names[row.task_id]}(" not in row.left and f"def {names[row.other_id]}(" not in row.right
        assert "def program(" in row.left and "def program(" in row.right


def test_one_vector_a_function(functions, gold_clones, faults, groups, vectors):
    with pytest.raises(StudyError, match="3 embeddings for 164 functions"):
        gold_pairs(functions, gold_clones, faults, groups, vectors[:3])
