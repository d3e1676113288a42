"""Charts, checked on their artists: where marks stand, in which colour, with which labels."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex

from llmexp_utils.charts import arms, by_group, curve, difference
from llmexp_utils.errors import StudyError
from llmexp_utils.plots import CONDITIONS, MODEL_COLOURS, SOURCES, style
from llmexp_utils.pool_charts import funnel, three_statistics


@pytest.fixture
def ax():
    with plt.rc_context(style()):
        figure, axes = plt.subplots()
        yield axes
        figure.canvas.draw()
        plt.close(figure)


def points(conditions: list[str], sizes: tuple[int, ...] = (8, 16, 32)) -> pd.DataFrame:
    rows = [(name, size, 0.2 + 0.1 * k) for name in conditions for k, size in enumerate(sizes)]
    frame = pd.DataFrame(rows, columns=["condition", "n_real", "estimate"])
    return frame.assign(low=frame["estimate"] - 0.05, high=frame["estimate"] + 0.05, p_holm=0.01, n_faults=10)


def legend(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_curve_has_a_line_and_a_band_a_condition_one_step_a_doubling(ax):
    assert curve(ax, points(["C4", "C0"])) is ax
    black, blue = ax.get_lines()
    assert black.get_xdata().tolist() == [3, 4, 5] and black.get_ydata().tolist() == pytest.approx([0.2, 0.3, 0.4])
    assert (black.get_color(), black.get_marker()) == ("#000000", "o") and blue.get_color() == CONDITIONS["C4"].colour
    bands = [item for item in ax.collections if isinstance(item, PolyCollection)]
    assert [to_hex(band.get_facecolor()[0]) for band in bands] == ["#000000", CONDITIONS["C4"].colour.lower()]
    assert bands[0].get_datalim(ax.transData).intervaly.tolist() == pytest.approx([0.15, 0.45])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["8", "16", "32"]
    assert legend(ax) == ["real only", "real + LLM, Score"]


def test_curve_draws_the_floor_as_one_dashed_line(ax):
    floor = pd.DataFrame({"condition": ["floor"], "n_real": [8], "estimate": [0.12], "low": [np.nan], "high": [np.nan]})
    curve(ax, pd.concat([points(["C0"]), floor]))
    assert ax.get_lines()[-1].get_linestyle() == "--" and set(ax.get_lines()[-1].get_ydata()) == {0.12}
    assert legend(ax) == ["real only", "random ranking"]


def test_curve_puts_no_real_faults_one_step_left_and_bars_apart(ax):
    curve(ax, pd.concat([points(["C0"]), points(["C5", "C5m"], (0,))]))
    left, right = (line.get_xdata()[0] for line in ax.get_lines()[1:])
    assert left < 2 < right and (left + right) / 2 == pytest.approx(2)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "8", "16", "32"]
    assert sum(isinstance(item, LineCollection) for item in ax.collections) == 2


def test_curve_with_many_conditions_has_bars_not_bands(ax):
    curve(ax, points(["C0", "C2", "C3", "C4", "mix"]))
    assert all(isinstance(item, LineCollection) for item in ax.collections) and len(ax.collections) == 5
    assert ax.get_lines()[2].get_xdata().tolist() == [3, 4, 5]  # the middle one stands on the ticks


def test_curve_shows_per_cent(ax):
    curve(ax, points(["C0"]))
    assert ax.yaxis.get_major_formatter()(0.35, 0) == "35 %"


def test_difference_has_a_row_a_comparison(ax):
    frame = points(["C4", "C2"], (8, 32)).assign(estimate=[0.05, -0.02, 0.01, 0.03])
    frame = frame.assign(low=frame["estimate"] - 0.03, high=frame["estimate"] + 0.03, p_holm=[0.01, 0.2, 0.2, 0.2])
    difference(ax, frame)
    labels = [tick.get_text() for tick in ax.get_yticklabels()]
    assert labels == [
        "real + mutants, against 8 real",
        "real + LLM, Score, against 8 real",
        "real + mutants, against 32 real",
        "real + LLM, Score, against 32 real",
    ]
    texts = [text.get_text() for text in ax.texts]
    assert texts[1] == "+5.0 [+2.0, +8.0]" and texts[3] == "−2.0 [−5.0, +1.0]"
    marks = [line for line in ax.get_lines() if line.get_marker() in "sD"]
    assert [mark.get_markerfacecolor() for mark in marks] == [
        "white",
        CONDITIONS["C4"].colour,
        "white",
        "white",
    ]
    assert ax.yaxis_inverted()


def test_difference_says_where_there_is_no_baseline(ax):
    frame = points(["C3"], (8,))
    empty = points(["C5"], (0,)).assign(estimate=np.nan, low=np.nan, high=np.nan, p_holm=np.nan)
    difference(ax, pd.concat([frame, empty]))
    assert [text.get_text() for text in ax.texts][0] == "no baseline"


def stages(model: str, form: str, counts: dict[str, int]) -> pd.DataFrame:
    return pd.DataFrame({"model": model, "form": form, "stage": list(counts), "count": list(counts.values())})


def test_funnel_labels_counts_and_shares_of_what_was_asked(ax):
    line = stages("small", "line", {"kept": 25, "asked": 1000, "parses": 500})
    whole = stages("small", "function", {"asked": 200, "parses": 50})
    funnel(ax, pd.concat([line, whole]))
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["asked", "parses", "kept"]
    texts = [text.get_text().strip() for text in ax.texts]
    assert texts == ["1,000 (100 %)", "500 (50 %)", "25 (2 %)", "200 (100 %)", "50 (25 %)", ""]
    assert [patch.get_width() for patch in ax.patches] == [1000, 500, 25, 200, 50, 0]
    assert {to_hex(patch.get_facecolor()) for patch in ax.patches} == {MODEL_COLOURS[0]}
    assert ax.patches[0].get_hatch() != ax.patches[3].get_hatch()
    assert legend(ax) == ["small, line", "small, function"]


def test_funnel_needs_the_number_asked(ax):
    with pytest.raises(StudyError, match="'asked' for small, line"):
        funnel(ax, stages("small", "line", {"kept": 25}))


def test_three_statistics_have_boxes_in_fixed_order_and_the_gold_mean():
    rng = np.random.default_rng(0)
    names = ["score", "gold", "random", "all"]
    columns = {name: rng.random(80) for name in ("lines_changed", "edit_distance", "similarity")}
    frame = pd.DataFrame({"source": np.repeat(names, 20)} | columns)
    figure, axes = plt.subplots(1, 3)
    assert three_statistics(axes, frame) is axes
    labels = [tick.get_text() for tick in axes[0].get_yticklabels()]
    assert labels == [f"{SOURCES[name].label}\nn = 20" for name in ("gold", "all", "random", "score")]
    for ax, name in zip(axes, columns, strict=True):
        mean = frame.loc[frame["source"] == "gold", name].mean()
        dashed = [line for line in ax.get_lines() if line.get_linestyle() == "--"]
        assert [line.get_xdata()[0] for line in dashed] == [mean]
        diamonds = [line for line in ax.get_lines() if line.get_marker() == "D"]
        assert len(diamonds) == 4 and diamonds[0].get_xdata()[0] == pytest.approx(mean)
    assert not any(tick.get_text() for tick in axes[1].get_yticklabels())
    plt.close(figure)


def test_by_group_has_the_largest_group_first(ax):
    rows = points(["C0", "C4"], (8, 16)).assign(fault_type=["few", "many"] * 2, n_faults=[5, 1200] * 2)
    by_group(ax, rows)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["many\nn = 1,200", "few\nn = 5"]
    assert [patch.get_width() for patch in ax.patches] == pytest.approx([0.3, 0.2, 0.3, 0.2])
    assert to_hex(ax.patches[2].get_facecolor()) == CONDITIONS["C4"].colour.lower()
    assert legend(ax) == ["real only", "real + LLM, Score"]


def test_frames_that_cannot_be_drawn_are_refused(ax):
    with pytest.raises(StudyError, match="no column 'low'"):
        curve(ax, points(["C0"]).drop(columns="low"))
    with pytest.raises(StudyError, match="two rows for condition=C0, n_real=8"):
        curve(ax, pd.concat([points(["C0"]), points(["C0"])]))
    with pytest.raises(StudyError, match="unknown condition 'C9'"):
        difference(ax, points(["C9"]))
    with pytest.raises(StudyError, match="no row"):
        by_group(ax, points(["C0"]).assign(fault_type="x").iloc[:0])


def test_arms_are_named_by_who_wrote_them_and_controls_by_their_condition() -> None:
    rows = [
        ("C0", "", "", "", 0.4),
        ("C3", "big", "line", "uniform", 0.5),
        ("C3", "small", "function", "", 0.45),
    ]
    frame = pd.DataFrame(rows, columns=["condition", "generator", "form", "policy", "estimate"])
    frame = frame.assign(low=frame.estimate - 0.05, high=frame.estimate + 0.05)
    _, ax = plt.subplots()
    assert arms(ax, frame, floor=0.2) is ax
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        CONDITIONS["C0"].label,
        "big line uniform",
        "small function",
    ]
    points = [line for line in ax.lines if line.get_marker() not in ("None", None, "")]
    assert [line.get_xdata()[0] for line in points] == [0.4, 0.5, 0.45]
    assert points[1].get_color() != points[2].get_color()
