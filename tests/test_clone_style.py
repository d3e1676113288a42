"""Style: found where there is one, chance where there is none."""

import numpy as np
import pandas as pd
import pytest

from llmexp_utils.clone_style import style_scores, style_table
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


def test_one_answer_or_one_group_is_refused():
    with pytest.raises(StudyError, match="both answers and two groups"):
        style_scores(PLAIN.code.tolist(), [True] * 60, [0] * 60)
