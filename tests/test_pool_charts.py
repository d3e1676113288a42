"""Charts of the pool, checked on their artists: where marks stand, in which colour and shape, with which labels."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from llmexp_utils.errors import StudyError
from llmexp_utils.plots import SOURCES, model_colours, style
from llmexp_utils.pool_charts import POLICY_MARKERS, an_hour, funnel, statements, three_statistics


@pytest.fixture
def axes():
    with plt.rc_context(style()):
        figure, axes = plt.subplots(1, 3)
        yield axes
        figure.canvas.draw()
        plt.close(figure)


def stages(generator: str, form: str, policy: str, counts: dict[str, int]) -> pd.DataFrame:
    columns = {"generator": generator, "form": form, "policy": policy, "stage": list(counts)}
    return pd.DataFrame(columns | {"count": list(counts.values())})


def marks(ax) -> list:
    return [line for line in ax.get_lines() if line.get_marker() in POLICY_MARKERS.values()]


def test_funnel_has_a_panel_a_generator_and_form_and_a_mark_a_policy(axes):
    frame = pd.concat(
        [
            stages("big", "line", "uniform", {"kept": 25, "asked": 1000, "parses": 500}),
            stages("big", "line", "llm", {"asked": 100, "parses": 60, "kept": 30}),
            stages("big", "function", "", {"asked": 200, "parses": 50, "kept": 10}),
            stages("small", "line", "uniform", {"asked": 100, "parses": 50, "kept": 20}),
        ]
    )
    assert funnel(axes, frame) is axes
    assert [ax.get_title() for ax in axes] == ["big\nform line", "big\nform function", "small\nform line"]
    assert [tick.get_text() for tick in axes[0].get_yticklabels()] == ["asked", "parses", "kept (no copy)"]
    uniform, named = marks(axes[0])
    assert uniform.get_xdata().tolist() == [1, 0.5, 0.025] and named.get_xdata().tolist() == [1, 0.6, 0.3]
    assert [mark.get_marker() for mark in (uniform, named)] == ["o", "^"]
    assert uniform.get_ydata()[0] < 0 < named.get_ydata()[0]
    assert [text.get_text() for text in axes[0].texts] == ["2 %", "30 %"]
    assert [text.get_text() for text in axes[2].texts] == ["100 %", "50 %", "20 %"]
    colours = model_colours(["big", "small"])
    assert [marks(ax)[0].get_color() for ax in axes] == [colours["big"], colours["big"], colours["small"]]
    assert axes[1].get_legend() is None and len(axes[0].get_legend().get_texts()) == 2


def test_funnel_needs_the_number_asked_and_an_axes_a_panel(axes):
    with pytest.raises(StudyError, match="'asked' for small, line, uniform"):
        funnel(axes[:1], stages("small", "line", "uniform", {"kept": 25}))
    with pytest.raises(StudyError, match="1 generators and forms need as many axes, not 3"):
        funnel(axes, stages("small", "line", "uniform", {"asked": 25}))


def test_an_hour_has_a_mark_an_interval_and_a_number_an_arm(axes):
    rows = [("big", "line", "uniform", 1200.4, 900, 1400), ("small", "function", "", 0, 0, 0)]
    frame = pd.DataFrame(rows, columns=["generator", "form", "policy", "kept_an_hour", "low", "high"])
    ax = an_hour(axes[0], frame)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["big\nline uniform", "small\nfunction"]
    assert [mark.get_xdata()[0] for mark in marks(ax)] == [1200.4, 0]
    assert list(ax.get_lines()[0].get_xdata()) == [900, 1400]
    assert [text.get_text() for text in ax.texts] == ["1,200", "0"]


def test_statements_have_gold_as_bars_and_arms_as_marks(axes):
    rows = [("", "", "", "if", 0.6), ("", "", "", "for", 0.4), ("big", "line", "gold", "for", 0.9)]
    frame = pd.DataFrame(rows, columns=["generator", "form", "policy", "kind", "share"])
    ax = axes[0]
    assert statements(ax, frame) is ax
    assert [patch.get_width() for patch in ax.patches] == [0.6, 0.4]
    (mark,) = marks(ax)
    assert mark.get_xdata().tolist() == [0, 0.9] and mark.get_marker() == POLICY_MARKERS["gold"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [SOURCES["gold"].label, "big, line, gold"]


def test_three_statistics_have_shares_and_boxes_in_fixed_order_and_the_gold_mean(axes):
    rng = np.random.default_rng(0)
    names = ["score", "gold", "random", "all"]
    columns = {name: rng.random(80) for name in ("edit_distance", "similarity")}
    frame = pd.DataFrame({"source": np.repeat(names, 20), "lines_changed": [1, 1, 2, 5] * 20} | columns)
    assert three_statistics(axes, frame) is axes
    labels = [tick.get_text() for tick in axes[0].get_yticklabels()]
    assert labels == [f"{SOURCES[name].label}\nn = 20" for name in ("gold", "all", "random", "score")]
    assert [patch.get_width() for patch in axes[0].patches] == pytest.approx([0.5, 0.25, 0.25] * 4)
    assert to_hex(axes[0].patches[3].get_facecolor()) == SOURCES["all"].colour.lower()
    assert [text.get_text() for text in axes[0].texts] == ["50 %"] * 4
    for ax, name in zip(axes[1:], columns, strict=True):
        mean = frame.loc[frame["source"] == "gold", name].mean()
        dashed = [line for line in ax.get_lines() if line.get_linestyle() == "--"]
        assert [line.get_xdata()[0] for line in dashed] == [mean]
        diamonds = [line for line in ax.get_lines() if line.get_marker() == "D"]
        assert len(diamonds) == 4 and diamonds[0].get_xdata()[0] == pytest.approx(mean)
    assert not any(tick.get_text() for tick in axes[1].get_yticklabels())
