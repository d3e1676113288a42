"""Result tables and the index of figures and tables."""

from __future__ import annotations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from llmexp_utils.errors import StudyError
from llmexp_utils.plots import save_figure
from llmexp_utils.tables import save_table, write_index

TABLE = pd.DataFrame(
    {
        "condition": ["C0", "a|b"],
        "top1": [0.123456, np.nan],
        "n": [3, 4],
        "rate": [np.inf, 2.0],
        "note": ["5 %", ""],
    }
)


def save(folder, **options):
    return save_table(TABLE, "tab01_x", folder=folder, caption="Top_1 at\n95 %.", source="07_results", **options)


def test_csv_keeps_six_digits(tmp_path):
    save(tmp_path)
    text = (tmp_path / "tab01_x.csv").read_text()
    assert text == "condition,top1,n,rate,note\nC0,0.123456,3,inf,5 %\na|b,,4,2,\n"


def test_markdown_is_rounded_and_escaped(tmp_path):
    save(tmp_path)
    lines = (tmp_path / "tab01_x.md").read_text().splitlines()
    assert lines[0] == "Top_1 at 95 %." and lines[-1] == "<!-- 07_results -->"
    assert [cell.strip() for cell in lines[4].split("|")] == ["", "C0", "0.123", "3", "inf", "5 %", ""]
    assert "a\\|b" in lines[5] and "nan" not in lines[5]


def test_latex_is_escaped(tmp_path):
    save(tmp_path, digits=2)
    text = (tmp_path / "tab01_x.tex").read_text()
    assert r"\caption{Top\_1 at 95 \%.}" in text and r"C0 & 0.12 & 3 & inf & 5 \% \\" in text
    assert r"\label{tab:tab01_x}" in text


def test_same_bytes_and_only_the_formats_asked_for(tmp_path):
    first = [path.read_bytes() for path in save(tmp_path / "a")]
    assert first == [path.read_bytes() for path in save(tmp_path / "b")]
    assert [path.name for path in save(tmp_path / "c", formats=["csv"])] == ["tab01_x.csv"]
    assert len(list((tmp_path / "c").iterdir())) == 1
    with pytest.raises(StudyError, match="'html'.*csv, tex, md"):
        save(tmp_path, formats=["html"])


def test_numbers_as_text_stay_as_they_are(tmp_path):
    save_table(pd.DataFrame({"hash": ["1e5", "007"]}), "tab02_x", folder=tmp_path, caption="c")
    assert "| 1e5 " in (tmp_path / "tab02_x.md").read_text() and "| 007 " in (tmp_path / "tab02_x.md").read_text()


def test_index_lists_figures_and_tables_with_caption_files_and_notebook(tmp_path):
    save(tmp_path)
    save_table(TABLE, "tab02_y", folder=tmp_path, caption="Not kept.", formats=["csv"])
    figure, _ = plt.subplots()
    save_figure(figure, "fig01_z", data=TABLE, folder=tmp_path, caption="A | figure.", source="05_finetune")
    plt.close(figure)
    (tmp_path / "README.md").write_text("not a table")
    text = write_index(tmp_path).read_text()
    rows = [[cell.strip() for cell in line.split(" |")] for line in text.splitlines() if line.startswith("| ")]
    found = {row[0].strip("| "): row for row in rows}
    assert list(found) == ["Figure", "fig01_z", "Table", "tab01_x", "tab02_y"]
    assert "[png](fig01_z.png)" in text and "A \\| figure." in text and "05_finetune" in text
    assert "Top_1 at 95 %." in text and "(no caption)" in found["tab02_y"][1]
    assert text == write_index(tmp_path).read_text()


def test_index_of_an_empty_folder(tmp_path):
    assert write_index(tmp_path).read_text().startswith("# Figures and tables")
