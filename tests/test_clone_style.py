"""Style: found where there is one, chance where there is none."""

import numpy as np
import pandas as pd
import pytest

from llmexp_utils.clone_style import _aucs, style_scores, style_table
from llmexp_utils.errors import StudyError

NUMBERS = range(60)
TASKS = [f"T/{number}" for number in NUMBERS]
GROUPS = {task_id: number % 5 for number, task_id in enumerate(TASKS)}
PLAIN = pd.DataFrame({"task_id": TASKS, "code": [f"def f(x):\n    return x + {number % 7}\n" for number in NUMBERS]})
STYLED = PLAIN.assign(code=[code.replace("x +", "x  -" if n % 2 else "x +") for n, code in enumerate(PLAIN.code)])


def test_a_style_is_found_and_chance_is_chance():
    odd = [number % 2 == 1 for number in NUMBERS]
    coin = np.random.default_rng(0).integers(2, size=60).astype(bool)
    questions = {"styled": (STYLED, odd), "coin": (PLAIN, coin)}
    table = style_table(questions, GROUPS, np.random.default_rng(0), draws=200).set_index("question")
    assert table.auc["styled"] == table.low["styled"] == 1
    assert table.low["coin"] < 0.5
    assert table.programs.tolist() == [60, 60] and table.share["styled"] == 0.5


def test_a_program_is_judged_by_a_model_that_has_not_seen_its_group():
    only = [GROUPS[task_id] == 0 for task_id in TASKS]
    codes = [code.replace("+", "*") if one else code for code, one in zip(PLAIN.code, only, strict=True)]
    with pytest.raises((StudyError, ValueError)):  # without group 0 nothing shows the answer
        style_scores(codes, only, PLAIN.task_id.map(GROUPS).tolist())


def test_areas_of_draws_are_those_of_the_repeated_programs():
    truth = np.array([True, False, True, False, False])
    scores = np.array([0.9, 0.4, 0.4, 0.7, 0.1])
    problems = np.array([0, 0, 1, 1, 2])
    weights = np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0], [0.0, 0.0, 3.0]])
    # all: 3 + 0.5 + 0 + 1 of 6 pairs; the first problem twice: 0.9 beats 0.4 and 0.1; the third alone: none to rank
    np.testing.assert_allclose(_aucs(truth, scores, problems, weights), [4.5 / 6, 1.0, np.nan])


def test_one_answer_or_one_group_is_refused():
    with pytest.raises(StudyError, match="both answers and two groups"):
        style_scores(PLAIN.code.tolist(), [True] * 60, [0] * 60)
