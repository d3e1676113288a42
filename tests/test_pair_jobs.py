"""Jobs of clone detection: what they train and test on, and a run from pairs to predictions."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from tiny_encoders import make_encoder
from tiny_pairs import ARM, GROUPS, tiny_pool

from llmexp_utils.errors import StudyError
from llmexp_utils.grid import Repeats, arm_cells, grid_cells, jobs_of
from llmexp_utils.pair_metrics import summarise
from llmexp_utils.pair_students import FineTunedPairs, FrozenPairs
from llmexp_utils.small_training import Settings
from llmexp_utils.train import run_grid


@dataclass(frozen=True)
class SameNumber:
    """Takes two programs for clones if they hold the same digit."""

    name: str = "same-number"
    identity = {"version": 1}

    def run(self, train, dev, test, seed):
        return tuple(
            [
                np.array([float({*one} & {*"0123456789"} == {*two} & {*"0123456789"})])
                for one, two in zip(f.left, f.right)
            ]
            for f in (dev, test)
        )


def test_cells_cross_conditions_sizes_folds_and_seeds():
    cells = grid_cells(["C0", "C3", "C5"], [8, 16], 4, ARM, Repeats([0, 1], [0, 1]))
    assert len(cells) == len(set(cells)) == (2 + 2 + 1) * 4
    assert {cell.n_added for cell in cells if cell.condition == "C0"} == {0}
    assert {cell.n_real for cell in cells if cell.condition == "C5"} == {0}


def test_a_run_has_one_row_a_test_pair_with_its_threshold(tmp_path):
    pool = tiny_pool()
    jobs = jobs_of(pool, grid_cells(["C0", "C3"], [8], 4, ARM, Repeats([0, 1], [0])))
    found = run_grid(SameNumber(), jobs, tmp_path, workers=1, progress=False)
    assert len(found) == sum(len(job.test) for job in jobs) and found.run_id.nunique() == 4
    assert set(found.columns) >= {"condition", "fold", "pair_id", "label", "kind", "clone_type", "score", "threshold"}
    assert summarise(found).n_pairs.tolist() == [len(found) // 2] * 2
    assert {GROUPS[task_id] for task_id in found[found.fold == 1].task_id} == {1}


def test_the_key_covers_both_texts_and_the_label():
    (job,) = jobs_of(tiny_pool(), grid_cells(["C0"], [8], 0, ARM, Repeats([0], [0])))
    keys = {job.key(SameNumber())}
    for column, value in (("left", "x = 1\n"), ("right", "x = 1\n"), ("label", 1)):
        keys.add(type(job)(job.facts, 0, job.train.assign(**{column: value}), job.dev, job.test).key(SameNumber()))
    assert len(keys) == 4


def test_a_problem_in_two_splits_is_refused():
    pool = tiny_pool()
    leaking = pool.pairs.assign(other_id="T/0")
    with pytest.raises(StudyError, match="T/0 is in two splits"):
        jobs_of(replace(pool, pairs=leaking), grid_cells(["C0"], [8], 0, ARM, Repeats([0], [0])))


def test_arms_are_compared_at_numbers_that_they_reach():
    cells = arm_cells(tiny_pool(), [ARM], 8, [4, 72, 74], ARM, Repeats([0], [0]))  # 12 problems with three clones
    assert [(cell.condition, cell.n_added) for cell in cells] == [
        ("C0", 0), ("C2", 4), ("C2", 72), ("C2", 74), ("C3", 4), ("C3", 72)
    ]  # fmt: skip


def test_own_names_are_other_runs_of_the_same_cells():
    pool = replace(tiny_pool(), names="own")
    neutral = pool.with_neutral_names({task_id: "right" for task_id in GROUPS})
    cells = grid_cells(["C0"], [8], 0, ARM, Repeats([0], [0]), "names")
    (own,), (other,) = jobs_of(pool, cells), jobs_of(neutral, cells)
    assert (own.facts["names"], other.facts["names"]) == ("own", "neutral") and "policy" not in own.facts
    assert own.key(SameNumber()) != other.key(SameNumber())
    assert "def right(" in own.train.left[0] and "def right(" not in other.train.left[0]
    assert not neutral.programs.correct.str.contains("def right").any()


def test_every_fold_tests_on_the_external_pairs_and_learns_from_none():
    pool, cells = tiny_pool(), grid_cells(["C3"], [8], 4, ARM, Repeats([0, 1], [0]))
    outside = pool.pairs.head(2).assign(pair_id=["Other/1", "Other/2"], task_id="Other", other_id="Other")
    for alone, beside in zip(jobs_of(pool, cells), jobs_of(pool, cells, outside), strict=True):
        assert beside.test.pair_id.tolist() == [*alone.test.pair_id, "Other/1", "Other/2"]
        assert beside.train.equals(alone.train) and beside.dev.equals(alone.dev)
    known = outside.assign(other_id=beside.train.task_id.iloc[0])
    with pytest.raises(StudyError, match="is in two splits"):
        jobs_of(pool, cells, known)


def test_the_frozen_student_scores_every_pair_the_same_in_both_orders(tmp_path, monkeypatch):
    def states_of(codes, corrects, cache, reader, workers, progress):
        assert codes == corrects, "each function is read on its own"
        digits = [sum(int(letter) for letter in code if letter.isdigit()) for code in codes]
        return [np.random.default_rng(digit).normal(size=(2, 6)).astype(np.float16) for digit in digits]

    monkeypatch.setattr("llmexp_utils.states.line_states_of", states_of)
    student = FrozenPairs(str(tmp_path), Settings(steps=5, width=8))
    (job,) = jobs_of(tiny_pool(), grid_cells(["C3"], [16], 12, ARM, Repeats([0], [0])))
    dev, test = student.run(job.train, job.dev, job.test, seed=0)
    assert dev.shape == (len(job.dev), 1) and test.shape == (len(job.test), 1)
    swapped = job.test.rename(columns={"left": "right", "right": "left"})
    np.testing.assert_allclose(student.run(job.train, job.dev, swapped, seed=0)[1], test, rtol=1e-5)


@pytest.mark.parametrize("head", ["cross", "bi"])
def test_the_fine_tuned_student_is_run_by_the_grid(tmp_path, head):
    encoder = str(make_encoder("bert", tmp_path / "tiny"))
    student = FineTunedPairs(str(tmp_path), encoder, steps=2, batch_size=4, learning_rate=1e-3, head=head)
    (job,) = jobs_of(tiny_pool(), grid_cells(["C3"], [8], 4, ARM, Repeats([0], [0])))
    found = run_grid(student, [job], tmp_path, workers=1, progress=False)
    assert found.student.unique() == [f"tiny-{head}"] and found.pair_id.tolist() == job.test.pair_id.tolist()
    assert found.score.nunique() > 1


def test_the_head_of_the_fine_tuned_student_is_part_of_its_runs():
    (job,) = jobs_of(tiny_pool(), grid_cells(["C0"], [8], 0, ARM, Repeats([0], [0])))
    students = [FineTunedPairs("", "minilm", 2, 4, 1e-3, head) for head in ("cross", "bi")]
    assert [student.name for student in students] == ["minilm-cross", "minilm-bi"]
    assert len({str(student.identity) for student in students}) == len({job.key(student) for student in students}) == 2
