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

from llmexp_utils.charts import by_group, curve
from llmexp_utils.errors import StudyError
from llmexp_utils.plots import CONDITIONS, PAIR_CONDITIONS, style


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
    assert curve(ax, points(["C3", "C0"])) is ax
    black, blue = ax.get_lines()
    assert black.get_xdata().tolist() == [3, 4, 5] and black.get_ydata().tolist() == pytest.approx([0.2, 0.3, 0.4])
    assert (black.get_color(), black.get_marker()) == ("#000000", "o") and blue.get_color() == CONDITIONS["C3"].colour
    bands = [item for item in ax.collections if isinstance(item, PolyCollection)]
    assert [to_hex(band.get_facecolor()[0]) for band in bands] == ["#000000", CONDITIONS["C3"].colour.lower()]
    assert bands[0].get_datalim(ax.transData).intervaly.tolist() == pytest.approx([0.15, 0.45])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["8", "16", "32"]
    assert legend(ax) == ["real only", "real + LLM, random"]


def test_curve_draws_the_floor_as_one_dashed_line(ax):
    floor = pd.DataFrame({"condition": ["floor"], "n_real": [8], "estimate": [0.12], "low": [np.nan], "high": [np.nan]})
    curve(ax, pd.concat([points(["C0"]), floor]))
    assert ax.get_lines()[-1].get_linestyle() == "--" and set(ax.get_lines()[-1].get_ydata()) == {0.12}
    assert legend(ax) == ["real only", "random ranking"]


def test_curve_names_every_floor_and_gives_it_its_own_dashes(ax):
    names = ["always clone", "token overlap", "cosine"]
    floors = pd.DataFrame({"condition": "floor", "label": names, "n_real": 0, "estimate": [0.5, 0.7, 0.6]})
    curve(ax, pd.concat([points(["C0"]), floors]))
    assert legend(ax) == ["real only", *names]
    assert [line.get_ydata()[0] for line in ax.get_lines()[1:]] == [0.5, 0.7, 0.6]
    assert len({str(line._dash_pattern) for line in ax.get_lines()[1:]}) == 3
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["8", "16", "32"]
    with pytest.raises(StudyError, match="two rows for condition=floor, n_real=0, label=cosine"):
        curve(ax, floors.assign(label="cosine", low=0, high=0))


def test_curve_shows_pairs_in_their_own_looks(ax):
    curve(ax, points(["C0", "C4far"]), looks=PAIR_CONDITIONS, items="pairs", metric="F1")
    assert legend(ax) == ["real only", "real + LLM, Score, no near misses"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("real pairs in training", "F1")
    assert ax.get_lines()[1].get_color() == PAIR_CONDITIONS["C4far"].colour


def test_curve_puts_no_real_faults_one_step_left_and_bars_apart_with_a_dotted_line(ax):
    curve(ax, pd.concat([points(["C0"]), points(["C5", "C5m"], (0,))]))
    marks = [line for line in ax.get_lines() if line.get_marker() in "vX"]
    left, right = (line.get_xdata()[0] for line in marks)
    assert left < 2 < right and (left + right) / 2 == pytest.approx(2)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "8", "16", "32"]
    assert sum(isinstance(item, LineCollection) for item in ax.collections) == 2
    assert sum(line.get_linestyle() == ":" for line in ax.get_lines()) == 2


def test_curve_has_two_bands_at_most_and_thin_bars_side_by_side_for_the_rest(ax):
    curve(ax, points(["C0", "C2", "C3", "C4", "mix"]))
    assert [isinstance(item, PolyCollection) for item in ax.collections] == [True, False, True, False, False]
    first = {line.get_marker(): line.get_xdata()[0] for line in ax.get_lines()}
    assert first["o"] == first["^"] == 3  # bands stand on the ticks
    assert first["s"] < first["D"] < first["P"]
    with pytest.raises(StudyError, match="cannot draw 3 bands"):
        curve(ax, points(["C0"]), bands=["C0", "C2", "C3"])


def test_curve_by_added_faults_starts_with_real_faults_alone(ax):
    rows = pd.concat([points(["C0"], (0,)), points(["C2", "C3"], (32, 64))]).rename(columns={"n_real": "n_added"})
    curve(ax, rows, x="n_added")
    assert ax.get_xlabel() == "added faults in training"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "32", "64"]
    dotted = [line for line in ax.get_lines() if line.get_linestyle() == ":"]
    assert [set(line.get_ydata()) for line in dotted] == [{0.2}]


def test_curve_shows_per_cent(ax):
    curve(ax, points(["C0"]))
    assert ax.yaxis.get_major_formatter()(0.35, 0) == "35 %"


def test_by_group_has_the_largest_group_first(ax):
    rows = points(["C0", "C4"], (8, 16)).assign(fault_type=["few", "many"] * 2, n_faults=[5, 1200] * 2)
    by_group(ax, rows, floor=pd.Series({"few": 0.3, "many": 0.1}))
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["many\nn = 1,200", "few\nn = 5"]
    assert [patch.get_width() for patch in ax.patches] == pytest.approx([0.3, 0.2, 0.3, 0.2])
    assert to_hex(ax.patches[2].get_facecolor()) == CONDITIONS["C4"].colour.lower()
    ticks = [item.get_segments() for item in ax.collections if item.get_label() == "random ranking"]
    assert [segment[0][0] for segment in ticks[0]] == [0.1, 0.3]  # each group has its own
    assert sorted(legend(ax)) == ["random ranking", "real + LLM, Score", "real only"]


def test_frames_that_cannot_be_drawn_are_refused(ax):
    with pytest.raises(StudyError, match="no column 'low'"):
        curve(ax, points(["C0"]).drop(columns="low"))
    with pytest.raises(StudyError, match="two rows for condition=C0, n_real=8"):
        curve(ax, pd.concat([points(["C0"]), points(["C0"])]))
    with pytest.raises(StudyError, match="unknown condition 'C9'"):
        curve(ax, points(["C9"]))
    with pytest.raises(StudyError, match="no row"):
        by_group(ax, points(["C0"]).assign(fault_type="x").iloc[:0], floor=pd.Series())
