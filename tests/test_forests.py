"""Forest charts, checked on their artists: rows, groups, colours, numbers and what is filled."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from llmexp_utils.errors import StudyError
from llmexp_utils.forests import arms, difference, factors, levels
from llmexp_utils.plots import CONDITIONS, PAIR_CONDITIONS, model_colours, style


@pytest.fixture
def axes():
    with plt.rc_context(style()):
        figure, pair = plt.subplots(1, 2)
        yield pair
        figure.canvas.draw()
        plt.close(figure)


def with_bounds(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(low=frame["estimate"] - 0.03, high=frame["estimate"] + 0.03)


def labels(ax) -> list[str]:
    """Labels of the rows from top to bottom."""
    return [text.get_text() for _, text in sorted(zip(ax.get_yticks(), ax.get_yticklabels(), strict=True), key=first)]


def first(pair: tuple[float, object]) -> float:
    return pair[0]


def marks(ax) -> list:
    return [line for line in ax.get_lines() if line.get_marker() not in ("None", None, "")]


def test_difference_has_a_group_a_size_and_a_row_a_comparison(axes):
    rows = [("C4", 8, 0.05, 0.01), ("C4", 32, -0.02, 0.2), ("C2", 8, 0.01, 0.2), ("C2", 32, 0.03, 0.2)]
    frame = with_bounds(pd.DataFrame(rows, columns=["condition", "n_real", "estimate", "p_holm"]))
    ax = axes[0]
    difference(ax, frame)
    one = ["real + mutants", "real + LLM, Score"]
    assert labels(ax) == ["against 8 real faults", *one, "against 32 real faults", *one]
    texts = [text.get_text() for text in ax.texts]
    assert texts[1] == "+5.0 [+2.0, +8.0]" and texts[3] == "−2.0 [−5.0, +1.0]"
    faces = [mark.get_markerfacecolor() for mark in marks(ax)]
    assert faces == ["white", CONDITIONS["C4"].colour, "white", "white"] and ax.yaxis_inverted()


def test_difference_says_where_there_is_no_baseline(axes):
    frame = pd.DataFrame([("C5", 0, np.nan, np.nan)], columns=["condition", "n_real", "estimate", "p_holm"])
    difference(axes[0], with_bounds(frame))
    assert [text.get_text() for text in axes[0].texts] == ["no baseline"]


def test_difference_of_pairs_has_their_looks(axes):
    frame = pd.DataFrame([("C2", 8, 0.1, 0.1)], columns=["condition", "n_real", "estimate", "p_holm"])
    ax = difference(axes[0], with_bounds(frame), looks=PAIR_CONDITIONS, items="pairs", metric="F1")
    assert (
        labels(ax) == ["against 8 real pairs", "real + rewriting"] and "F1 minus that of real only" in ax.get_xlabel()
    )


def test_unknown_conditions_are_refused(axes):
    frame = pd.DataFrame([("C9", 8, 0.1, 0.1)], columns=["condition", "n_real", "estimate", "p_holm"])
    with pytest.raises(StudyError, match="unknown condition 'C9'"):
        difference(axes[0], with_bounds(frame))


def test_arms_have_their_level_and_their_difference_to_mutants_in_the_colour_of_their_generator(axes):
    rows = [
        (0, "C0", "", "", "", "nothing", 0.4, np.nan),
        (8, "C2", "", "", "", "nothing", 0.5, np.nan),
        (8, "C3", "big", "line", "uniform", "nothing", 0.45, np.nan),
        (16, "C3", "small", "function", "", "nothing", 0.6, np.nan),
        (8, "C3", "big", "line", "uniform", "C2", -0.05, 0.3),
        (16, "C3", "small", "function", "", "C2", 0.1, 0.01),
        (16, "C3", "small", "function", "", "C0", 0.2, 0.01),
    ]
    names = ["n_added", "condition", "generator", "form", "policy", "minus", "estimate", "p_holm"]
    left, right = axes
    assert arms(axes, with_bounds(pd.DataFrame(rows, columns=names)), floor=0.2) is axes
    groups = (
        ["none added", "real only"],
        ["8 added", "real + mutants", "big line uniform"],
        ["16 added", "small function"],
    )
    assert labels(left) == [label for group in groups for label in group]
    assert [mark.get_xdata()[0] for mark in marks(left)] == [0.4, 0.5, 0.45, 0.6]
    assert [(mark.get_xdata()[0], mark.get_ydata()[0]) for mark in marks(right)] == [(-0.05, 4), (0.1, 6)]
    colours = model_colours(["big", "small"])
    assert [mark.get_color() for mark in marks(right)] == list(colours.values())
    assert [mark.get_markerfacecolor() for mark in marks(right)] == ["white", colours["small"]]
    assert [text.get_text() for text in right.texts] == ["−5.0 [−8.0, −2.0]", "+10.0 [+7.0, +13.0]"]


def test_arms_of_pairs_have_no_policy_and_their_own_looks(axes):
    rows = [
        (8, "C2", "", "", "nothing", 0.5, np.nan),
        (8, "C4far", "big", "rewrite", "nothing", 0.6, np.nan),
        (8, "C4far", "big", "rewrite", "C2", 0.1, 0.01),
    ]
    names = ["n_added", "condition", "generator", "form", "minus", "estimate", "p_holm"]
    left, right = arms(axes, with_bounds(pd.DataFrame(rows, columns=names)), floor=0.4, looks=PAIR_CONDITIONS)
    assert labels(left) == ["8 added", "real + rewriting", "big rewrite"]
    assert "dashed: all called clones" in left.get_xlabel() and "minus real + rewriting" in right.get_xlabel()
    assert [mark.get_xdata()[0] for mark in marks(right)] == [0.1]


def test_factors_stand_under_their_question(axes):
    rows = [("selection", "C4 − C3", "8", 0.01, 0.5), ("mixing", "mix − C2", "8", 0.04, 0.01)]
    frame = pd.DataFrame(rows, columns=["question", "comparison", "n_real", "estimate", "p_holm"])
    ax = factors(axes[0], with_bounds(frame))
    assert labels(ax) == ["selection", "C4 − C3", "mixing", "mix − C2"]
    assert [mark.get_ydata()[0] for mark in marks(ax)] == [1, 3]
    with pytest.raises(StudyError, match="no row"):
        factors(axes[1], with_bounds(frame).iloc[:0])


def test_levels_have_a_panel_a_student_and_the_floor_of_each_benchmark(axes):
    rows = [
        (benchmark, student, condition, 0.4 + 0.1 * number, floor)
        for benchmark, floor in (("two", 0.2), ("one", 0.3))
        for number, student in enumerate(("frozen", "encoder"))
        for condition in ("C0", "C4")
        if (benchmark, student) != ("one", "encoder")
    ]
    frame = pd.DataFrame(rows, columns=["benchmark", "student", "condition", "estimate", "floor"])
    levels(axes, with_bounds(frame))
    conditions = ["real only", "real + LLM, Score"]
    assert labels(axes[0]) == ["two", *conditions, "one", *conditions]
    assert [ax.get_title() for ax in axes] == ["frozen", "encoder"] and axes[0].get_ylim() == axes[1].get_ylim()
    places = [[float(mark.get_ydata()[0]) for mark in marks(ax)] for ax in axes]
    assert places == [[1, 2, 4, 5], [1, 2]], "a student that was not trained on a benchmark has no mark there"
    floors = [[line.get_xdata()[0] for line in ax.get_lines() if line.get_linestyle() == "--"] for ax in axes]
    assert sorted(floors[0]) == [0.2, 0.3] and floors[1] == [0.2]
    with pytest.raises(StudyError, match="two rows for benchmark=two, student=frozen, condition=C0"):
        levels(axes, with_bounds(pd.concat([frame, frame])))
