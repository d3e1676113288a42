"""The chart of clone detection by part, checked on its artists."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from llmexp_utils.errors import StudyError
from llmexp_utils.pair_charts import by_part
from llmexp_utils.plots import PAIR_CONDITIONS, style


@pytest.fixture
def ax():
    with plt.rc_context(style()):
        figure, axes = plt.subplots()
        yield axes
        figure.canvas.draw()
        plt.close(figure)


def parts(condition: str, **estimates: float) -> pd.DataFrame:
    rows = [(condition, name.replace("_", " "), value) for name, value in estimates.items()]
    frame = pd.DataFrame(rows, columns=["condition", "part", "estimate"])
    return frame.assign(low=frame["estimate"] - 0.1, high=frame["estimate"] + 0.1, n_pairs=1200)


def ticks(ax) -> dict[str, float]:
    names = [text.get_text().split("\nn = ")[0] for text in ax.get_xticklabels()]
    return dict(zip(names, ax.get_xticks().tolist(), strict=True))


def test_kinds_stand_left_of_the_types_with_a_gap(ax):
    part = {"Type-4": 0.4, "Type-1/2": 0.9, "near-miss": 0.3, "random": 0.8, "other": 0.5}
    assert by_part(ax, parts("C0", **part)) is ax
    assert ticks(ax) == {"random": 0, "near-miss": 1, "other": 2, "Type-1/2": 3.5, "Type-4": 4.5}
    heads = {text.get_text(): text.get_position()[0] for text in ax.texts}
    assert heads == {"by kind of the others": 1, "by clone type": 4}
    marks = dict(zip(ax.get_lines()[0].get_xdata(), ax.get_lines()[0].get_ydata(), strict=True))
    assert marks == {0: 0.8, 1: 0.3, 2: 0.5, 3.5: 0.9, 4.5: 0.4}
    assert ax.get_xticklabels()[0].get_text() == "random\nn = 1,200"


def test_conditions_stand_side_by_side_with_their_intervals(ax):
    by_part(ax, pd.concat([parts("C4far", similar=0.6), parts("C0", similar=0.5), parts("C4", similar=0.7)]))
    marks = {line.get_label(): line.get_xdata()[0] for line in ax.get_lines()}
    looks = [PAIR_CONDITIONS[name].label for name in ("C0", "C4", "C4far")]
    assert [marks[look] for look in looks] == pytest.approx([-0.1, 0, 0.1])
    bars = [item.get_segments()[0][:, 1].tolist() for item in ax.collections]
    assert bars == [pytest.approx(bounds) for bounds in ([0.4, 0.6], [0.6, 0.8], [0.5, 0.7])]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == looks
    assert [text.get_text() for text in ax.texts] == ["by kind of the others"]


def test_each_part_has_its_own_floor(ax):
    by_part(ax, pd.concat([parts("C0", similar=0.5, random=0.9), parts("floor", similar=0.4, random=0.6)]))
    lines = [
        item for item in ax.collections if isinstance(item, LineCollection) and item.get_label() == "all called clones"
    ]
    starts = [tuple(segment[0]) for segment in lines[0].get_segments()]
    assert sorted(starts) == [pytest.approx(start) for start in ((-0.4, 0.6), (0.6, 0.4))]


def test_a_part_with_two_rows_of_a_condition_is_refused(ax):
    with pytest.raises(StudyError, match="two rows for condition=C0, part=random"):
        by_part(ax, pd.concat([parts("C0", random=0.5)] * 2))
