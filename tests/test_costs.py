"""Costs of answers, on three answers that one can add up."""

import matplotlib.pyplot as plt
import pandas as pd

from llmexp_utils.costs import cost_by_arm, tokens_by_arm, tokens_by_problem

ARM = ["generator", "form"]
ANSWERS = pd.DataFrame(
    {
        "generator": "gen",
        "form": ["a", "a", "b"],
        "task_id": ["T/0", "T/1", "T/0"],
        "prompt_tokens": [100, 200, 50],
        "cached_tokens": [80, 100, 0],
        "completion_tokens": [10, 30, 5],
        "finish_reason": ["stop", "length", "stop"],
        "key": ["x", "y", "z"],
    }
)


def test_means_by_arm():
    first, second = cost_by_arm(ANSWERS, ARM).to_dict("records")
    assert first == {
        "generator": "gen", "form": "a", "answers": 2, "prompt_tokens": 150, "cached_tokens": 90,
        "read_tokens": 60, "written_tokens": 20, "cut_short": 0.5,
    }  # fmt: skip
    assert second["answers"] == 1 and second["read_tokens"] == 50 and second["cut_short"] == 0
    assert "read" not in ANSWERS, "the frame of the caller is left alone"


def test_tokens_by_problem_and_their_bars():
    tokens = tokens_by_problem(ANSWERS, ARM)
    counts = tokens.set_index(["arm", "task_id", "tokens"])["count"].to_dict()
    assert counts["gen, a", "T/1", "read"] == 100 and counts["gen, a", "T/1", "written"] == 30 and len(counts) == 6
    fig, ax = plt.subplots()
    tokens_by_arm(ax, tokens, seed=0)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["gen, a", "gen, b"]
    assert sorted(patch.get_width() for patch in ax.patches if patch.get_width()) == [5, 20, 50, 60]
    plt.close(fig)
