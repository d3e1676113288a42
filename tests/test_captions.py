"""Captions stand on the page of a notebook, and nowhere else."""

from __future__ import annotations

import pandas as pd
import pytest

from llmexp_utils.captions import headed
from llmexp_utils.tables import save_table


@pytest.mark.parametrize(
    ("name", "expected"),
    [("fig07_a", "**Figure 7.** A b."), ("tab12_b", "**Table 12.** A b."), ("other", "**other.** A b.")],
)
def test_the_number_is_that_of_the_name(name, expected):
    assert headed(name, "A\n  b.") == expected


def test_a_notebook_shows_the_caption_of_what_it_saves(tmp_path, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda one: shown.append(one.data))
    save_table(pd.DataFrame({"n": [1]}), "tab01_x", folder=tmp_path, caption="What it shows.")
    assert not shown and capsys.readouterr().out == "", "a script is told nothing"
    monkeypatch.setattr("IPython.get_ipython", object)
    save_table(pd.DataFrame({"n": [1]}), "tab01_x", folder=tmp_path, caption="What it shows.")
    assert shown == ["**Table 1.** What it shows."]
