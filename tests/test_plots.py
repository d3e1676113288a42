"""Style, palette and saving of figures: same bytes, nothing left behind, colours that stay apart."""

from __future__ import annotations

import os
import time

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from PIL import Image

from llmexp_utils.llm import EMBEDDED
from llmexp_utils.plots import CONDITIONS, MODEL_COLOURS, PAIR_CONDITIONS, SOURCES, model_colours, save_figure, style

DATA = pd.DataFrame({"x": [1, 2], "y": [0.123456789, 1 / 3]})


@pytest.fixture
def fig():
    with plt.rc_context(style()):
        figure, ax = plt.subplots()
        ax.plot(DATA["x"], DATA["y"], label="Score")
        ax.legend()
        yield figure
        plt.close(figure)


def test_style_has_only_settings_that_matplotlib_knows():
    before = plt.rcParams["font.size"]
    with plt.rc_context(style()):
        assert plt.rcParams["axes.spines.top"] is False
    assert plt.rcParams["font.size"] == before


def test_conditions_differ_in_colour_marker_and_label():
    for looks in (CONDITIONS, PAIR_CONDITIONS):
        for values in zip(*[(look.label, look.colour, look.marker) for look in looks.values()], strict=True):
            assert len(set(values)) == len(looks)
    assert set(CONDITIONS) == {"C0", "C2", "C3", "C4", "C5", "C5m", "mix", "floor"}


def test_conditions_of_pairs_look_like_those_of_faults_where_they_mean_the_same():
    assert list(PAIR_CONDITIONS) == ["C0", "C2", "C3", "C4", "C4far", "C5", "floor"]
    both = PAIR_CONDITIONS.keys() & CONDITIONS.keys()
    for name in both:
        one, other = PAIR_CONDITIONS[name], CONDITIONS[name]
        assert (one.colour, one.marker) == (other.colour, other.marker)
    own = PAIR_CONDITIONS["C4far"]
    assert {own.colour, own.marker}.isdisjoint(
        mark for look in CONDITIONS.values() for mark in (look.colour, look.marker)
    )
    assert own.colour not in MODEL_COLOURS


def test_sources_wear_the_colour_of_their_condition_and_generators_none():
    assert SOURCES["gold"].colour == CONDITIONS["C0"].colour and SOURCES["score"].colour == CONDITIONS["C4"].colour
    assert not set(MODEL_COLOURS) & {look.colour for look in CONDITIONS.values()}


def test_a_generator_has_one_colour_whatever_stands_beside_it():
    big, small = EMBEDDED
    alone, together = model_colours([small]), model_colours(["x/other", small, big, small, ""])
    assert list(together) == ["x/other", small, big] and len(set(together.values())) == 3
    assert alone[small] == together[small] and set(together.values()) <= set(MODEL_COLOURS)
    assert model_colours(["b", "a"]) == model_colours(["a", "b"])


def test_every_file_is_written_and_the_same_the_second_time(fig, tmp_path):
    first = save_figure(fig, "fig01_x", data=DATA, folder=tmp_path / "a", caption="Top-1, n = 2.")
    time.sleep(1.1)  # a date in seconds would show
    second = save_figure(fig, "fig01_x", data=DATA, folder=tmp_path / "b", caption="Top-1, n = 2.")
    assert [path.name for path in first] == ["fig01_x.pdf", "fig01_x.png", "fig01_x.csv"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert sorted(os.listdir(tmp_path / "a")) == sorted(path.name for path in first)
    assert b"CreationDate" not in first[0].read_bytes()


def test_csv_holds_the_plotted_numbers(fig, tmp_path):
    save_figure(fig, "fig01_x", data=DATA, folder=tmp_path, caption="c")
    assert (tmp_path / "fig01_x.csv").read_bytes() == b"x,y\n1,0.123457\n2,0.333333\n"


def test_png_has_160_dpi_and_keeps_caption_and_source(fig, tmp_path):
    save_figure(fig, "fig01_x", data=DATA, folder=tmp_path, caption="Top-1,\n95 % – n = 2.", source="07_results")
    with Image.open(tmp_path / "fig01_x.png") as image:
        assert image.info["dpi"] == pytest.approx((160, 160), abs=0.1)
        assert image.text["Description"] == "Top-1, 95 % – n = 2." and image.text["Source"] == "07_results"


def test_the_figure_stays_open(fig, tmp_path):
    save_figure(fig, "fig01_x", data=DATA, folder=tmp_path, caption="c")
    assert plt.fignum_exists(fig.number)
