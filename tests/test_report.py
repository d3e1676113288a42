"""The README's numbers come from the tables."""

from pathlib import Path

import pandas as pd
import pytest

from llmexp_utils import report
from llmexp_utils.errors import StudyError
from llmexp_utils.tables import save_table

FAULTS, CLONES = report.TASKS
ESTIMATE = ["estimate", "low", "high", "p", "p_holm"]
SIZES = {"n_faults": 328, "n_pairs": 656, "n_problems": 164, "n_seeds": 3}


def save(folder: Path, name: str, columns: list[str], *rows: tuple) -> None:
    save_table(pd.DataFrame(rows, columns=columns).assign(**SIZES), name, folder=folder, caption="Caption.")


def save_clones(folder: Path) -> None:
    """One row in each table of clone detection."""
    names = ["student", "condition", "n_real", *ESTIMATE]
    for table in (CLONES.gains, CLONES.gains_over_rule):
        save(folder, table, names, ("frozen-llm-pairs", "C3", 16, 0.04, 0.01, 0.07, 0.01, 0.06))
    names = ["student", "n_real", "condition", "before", "after", "points", "points_low", "points_high"]
    names += ["percent", "percent_low", "percent_high", "paper, best case in %"]
    save(folder, CLONES.students, names, ("minilm-cross", 392, "C2", 0.8, 0.84, 4, 1, 7, 5, 1, 9, 6.09))
    names = ["question", "comparison", "n_real", *ESTIMATE]
    save(folder, CLONES.factors, names, ("generator", "small − large", "64", 0.04, 0.01, 0.07, 0.2, 0.3))


def save_benchmarks(folder: Path, task: report.Task, levels: list[str], *rows: tuple) -> None:
    """Levels of one benchmark, and what adding changes there."""
    names = ["benchmark", "student", "n_real", "condition", *levels, "low", "high"]
    save(folder, task.levels, names, *((*row, row[-1] - 0.05, row[-1] + 0.05) for row in rows))
    names = ["benchmark", "student", "n_real", "condition", "minus", *ESTIMATE, "percent"]
    gain = ("elsewhere", task.student, 71, "C3", "C0", 0.05, 0.01, 0.09, 0.001, 0.01, 12.5)
    over_rule = ("elsewhere", task.student, 71, "C3", "C2", 0.5, 0.5, 0.5, 0.001, 0.01, None)
    ours = ("humaneval", task.student, 71, "C3", "C0", 0.9, 0.9, 0.9, 1, 1, 90.0)
    fewer = ("elsewhere", task.student, 8, "C2", "C0", 1, 1, 1, 1, 1, 3.0)
    save(folder, task.differences, names, gain, over_rule, ours, fewer)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    names = ["student", "condition", "n_real", *ESTIMATE]
    save(
        tmp_path,
        "tab10_gain_by_condition",
        names,
        ("frozen-llm", "C2", 8, 0.1, 0.05, 0.15, 0.001, 0.01),
        ("frozen-llm", "C3", 8, 0.08, -0.01, 0.17, 0.1, 0.2),
        ("frozen-llm", "C3", 32, 0.02, -0.01, 0.05, 0.1, 0.2),
        ("frozen-llm", "C5", 8, 0.3, 0.2, 0.4, 0.1, 0.2),
        ("minilm", "C4", 8, 0.5, 0.4, 0.6, 0.001, 0.001),
    )
    save(tmp_path, "tab11_gain_over_mutants", names, ("frozen-llm", "C3", 8, -0.02, -0.07, 0.03, 0.4, 0.4))
    names = ["student", "n_real", "condition", "before", "after", "points", "points_low", "points_high"]
    names += ["percent", "percent_low", "percent_high", "paper, best case in %"]
    save(tmp_path, "tab16_before_after_by_student", names, ("minilm", 196, "C2", 0.4, 0.5, 10, 1, 19, 25, 2, 48, 58.36))
    names = ["question", "comparison", "n_real", *ESTIMATE]
    save(tmp_path, "tab17_factors", names, ("line policy", "gold − uniform", "32", 0.04, 0.01, 0.07, 0.0001, 0.03))
    save_clones(tmp_path)
    rows = [("elsewhere", "frozen-llm", n_real, "C0", 0.125, level) for n_real, level in ((8, 0.3), (71, 0.4))]
    save_benchmarks(tmp_path, FAULTS, ["floor", "top1"], *rows)
    idle = [("elsewhere", name, 0, "none", f1) for name, f1 in (("always-clone", 0.66), ("cosine-minilm", 0.7))]
    save_benchmarks(tmp_path, CLONES, ["f1"], ("elsewhere", "frozen-llm-pairs", 71, "C0", 0.8), *idle)
    return tmp_path


def test_benchmarks_stand_beside_what_needs_no_training(results):
    text = report.elsewhere(results, FAULTS)
    assert (
        "| benchmark | student | real faults | test faults (problems, tasks, projects) | random ranking | C0 |" in text
    )
    assert (
        "| elsewhere | `frozen-llm` | 71 | 328 (164) | 12.5 % | 40.0 % [35.0, 45.0] |  | +5.0 [+1.0, +9.0] * |  |"
        in text
    )
    assert "largest of the 2 changes over real only on other people's benchmarks is +12.5 % (`frozen-llm` on" in text
    assert text.endswith("C3); 1 of them survive Holm's correction. The paper's headline, its best case: +58.36 %.")
    text = report.elsewhere(results, CLONES)
    assert "best untrained" in text
    assert (
        "| elsewhere | `frozen-llm-pairs` | 71 | 656 (164) | 70.0 % | 80.0 % [75.0, 85.0] |  | +5.0 [+1.0, +9.0] * |  |"
        in text
    )


def test_parts_with_fewer_seeds_are_named():
    table = pd.DataFrame({"student": ["a", "b", "a"], "n_seeds": [3, 1, 2]})
    assert report._seeds(table, "student") == "seeds: 3, 1 for b"
    assert report._seeds(table[table.student == "a"], "student") == "seeds: 3"


def test_gains_are_by_size_with_both_comparisons(results):
    text = report.gains(results, FAULTS)
    assert "| real faults | C2 − C0 | C3 − C0 | C3 − C2 |" in text  # no C4 of this student, no C5
    assert "| 8 | +10.0 [+5.0, +15.0] * | +8.0 [−1.0, +17.0] | −2.0 [−7.0, +3.0] |" in text
    assert "| 32 |  | +2.0 [−1.0, +5.0] |  |" in text
    assert "C3: real + LLM, random" in text and "328 faults of 164 problems, seeds: 3" in text


def test_students_have_intervals_and_the_paper_beside_them(results):
    text = report.students(results, FAULTS)
    row = (
        "| `minilm`, 196 real | C2 (real + mutants) | 40.0 % | 50.0 % | +10.0 [+1.0, +19.0] | +25.0 [+2.0, +48.0] | 3 |"
    )
    assert row in text and "+58.36 %" in text


def test_factors_have_both_p_values(results):
    row = "| line policy | gold − uniform | 32 | +4.0 [+1.0, +7.0] * | < 0.001 | 0.030 |"
    assert row in report.factors(results, FAULTS)


def test_clones_have_their_own_measure_items_and_looks(results):
    text = report.gains(results, CLONES)
    assert text.startswith("**Gain in F1 of `frozen-llm-pairs` by number of real pairs**")
    assert "C2: real + rewriting" in text and "656 pairs of 164 problems" in text
    assert "| `minilm-cross`, 392 real | C2 (real + rewriting) | 80.0 %" in report.students(results, CLONES)


def test_the_block_has_a_figure_and_four_tables_of_each_task(results):
    block = report.results_block(results, "figures/study")
    assert "(figures/study/fig10_top1_by_real_faults.png)" in block and "fig20_f1_by_real_pairs.png)" in block
    assert block.count("\n| --- ") == 8 and block.count("Both students") == block.count("worth their price") == 2


def test_only_what_is_between_the_markers_changes():
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    assert report.fill(text, "new") == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    with pytest.raises(StudyError, match="lost its markers"):
        report.fill("nothing", "new")


def test_missing_and_old_tables_say_what_to_run(results):
    save(results, "tab16_before_after_by_student", ["student"], ("minilm",))
    with pytest.raises(StudyError, match=r"tab16.*no column 'points_low'.*run the study again"):
        report.results_block(results, "figures")
    (results / "tab10_gain_by_condition.csv").unlink()
    with pytest.raises(StudyError, match=r"run the study first \(make study\)"):
        report.results_block(results, "figures")


def test_the_readme_shows_the_committed_results(root, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["report", "--check"])
    assert report.main() == 0, capsys.readouterr().out
