"""The README's numbers come from the tables."""

import pandas as pd
import pytest

from llmexp_utils import report
from llmexp_utils.errors import StudyError
from llmexp_utils.tables import save_table


def test_the_block_shows_both_comparisons_and_marks_what_is_significant(tmp_path):
    columns = ["student", "condition", "n_real", "estimate", "low", "high", "p_holm"]
    gains = pd.DataFrame(
        [("frozen-llm", "C2", 8, 0.1, 0.05, 0.15, 0.01), ("frozen-llm", "C5", 0, None, None, None, None)],
        columns=columns,
    )
    control = pd.DataFrame([("frozen-llm", "C3", 8, -0.02, -0.07, 0.03, 0.4)], columns=columns)
    gains.loc[2] = ("frozen-llm", "C3", 8, 0.08, -0.01, 0.17, 0.2)
    gains.loc[3] = ("minilm", "C4", 8, 0.5, 0.4, 0.6, 0.001)
    save_table(gains, "tab10_gain_by_condition", folder=tmp_path, caption="Caption.")
    save_table(control, "tab11_gain_over_mutants", folder=tmp_path, caption="Caption.")
    block = report.results_block(tmp_path, "figures")
    assert "| C2 (real + mutants) | 8 | +10.0 [+5.0, +15.0] * |  |" in block
    assert "| C3 (real + LLM, random) | 8 | +8.0 [−1.0, +17.0] | −2.0 [−7.0, +3.0] |" in block
    assert (
        "C5" not in block
        and "C4" not in block
        and "figures/fig10_top1_by_real_faults.png" in block
        and "Caption." in block
    )


def test_only_what_is_between_the_markers_changes():
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    assert report.fill(text, "new") == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    with pytest.raises(StudyError, match="lost its markers"):
        report.fill("nothing", "new")


def test_missing_tables_say_what_to_run(tmp_path):
    with pytest.raises(StudyError, match=r"run the study first \(make study\)"):
        report.results_block(tmp_path, "figures")
