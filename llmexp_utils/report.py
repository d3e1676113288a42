"""Fill the README's results from the committed tables, so that no number in it is typed by hand.

``python -m llmexp_utils.report`` replaces what stands between the markers; ``--check`` only says whether it is current.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from llmexp_utils import series
from llmexp_utils.errors import StudyError
from llmexp_utils.paths import atomic_write, repository
from llmexp_utils.plots import CONDITIONS, PAIR_CONDITIONS, Look
from llmexp_utils.tables import write_index

MINUS = "\N{MINUS SIGN}"
BEGIN, END = "<!-- results: begin (made by `make report`) -->", "<!-- results: end -->"


@dataclass(frozen=True)
class Task:
    """What the README says of a task: its main student and measure, and the figure and tables that hold it."""

    title: str
    student: str
    items: str
    metric: str
    figure: str
    gains: str
    gains_over_rule: str
    students: str
    factors: str
    levels: str
    differences: str
    looks: Mapping[str, Look]


TASKS = (
    Task(
        "Fault localization",
        "frozen-llm",
        "faults",
        "Top-1",
        "fig10_top1_by_real_faults",
        "tab10_gain_by_condition",
        "tab11_gain_over_mutants",
        "tab16_before_after_by_student",
        "tab17_factors",
        "tab33_top1_by_benchmark",
        "tab34_difference_by_benchmark",
        CONDITIONS,
    ),
    Task(
        "Clone detection",
        "frozen-llm-pairs",
        "pairs",
        "F1",
        "fig20_f1_by_real_pairs",
        "tab21_clone_gain_by_condition",
        "tab22_clone_gain_over_rewriting",
        "tab28_clone_before_after_by_student",
        "tab26_clone_factors",
        "tab36_f1_by_benchmark",
        "tab37_f1_difference_by_benchmark",
        PAIR_CONDITIONS,
    ),
)


def results_block(results: Path, figures: str) -> str:
    """Headline figure, gains, students, factors and other people's benchmarks of each task, as Markdown.

    Parameters
    ----------
    results : Path
        Folder of the tables of ``07_results``, ``08_real_benchmarks`` and ``09_real_clones``.
    figures : str
        Folder of its figures, relative to the README.

    Raises
    ------
    StudyError
        If a table is missing, or was written by an older version of the notebook.
    """
    parts = []
    for task in TASKS:
        image = f"![{task.metric} by number of real {task.items}]({figures}/{task.figure}.png)"
        parts += [f"### {task.title}", image, gains(results, task), students(results, task), factors(results, task)]
        parts += [elsewhere(results, task)]
    return "\n\n".join(parts)


def gains(results: Path, task: Task) -> str:
    """What is added to real data, minus real data only, and minus as much by rule, by number of real items."""
    real, by_rule = (_table(results, name) for name in (task.gains, task.gains_over_rule))
    shown = [(real, name, "C0") for name in ("C2", "C3", "C4")] + [(by_rule, "C3", "C2")]
    columns = {}
    for table, condition, base in shown:
        rows = table[(table.student == task.student) & (table.condition == condition) & (table.n_real > 0)]
        rows = rows[rows.estimate.notna()]
        if len(rows):
            columns[f"{condition} {MINUS} {base}"] = {row.n_real: interval(row) for row in rows.itertuples()}
    sizes = sorted({size for column in columns.values() for size in column})
    names = series.names("C0", "C2", "C3", "C4", looks=task.looks)
    behind = _sizes(real[real.student == task.student], task)
    head = f"**Gain in {task.metric} of `{task.student}` by number of real {task.items}** ({names}; {behind})"
    lines = [[str(size), *(column.get(size, "") for column in columns.values())] for size in sizes]
    return f"{head}\n\n{_markdown([f'real {task.items}', *columns], lines)}"


def students(results: Path, task: Task) -> str:
    """Both students with all real data, before and after, with the paper's best case beside them."""
    table = _table(results, task.students, "points_low")
    lines = [
        [
            f"`{row.student}`, {row.n_real} real",
            f"{row.condition} ({task.looks[row.condition].label})",
            f"{100 * row.before:.1f} %",
            f"{100 * row.after:.1f} %",
            bounds(row.points, row.points_low, row.points_high),
            bounds(row.percent, row.percent_low, row.percent_high),
            str(row.n_seeds),
        ]
        for row in table.itertuples()
    ]
    names = ["student", "added", f"{task.metric} before", "after", "change in points", "change in %", "seeds"]
    note = f"the paper's best case, on other data and models and without an interval: +{_paper(table):g} %"
    return f"**Both students with all real {task.items}, before and after** ({note})\n\n{_markdown(names, lines)}"


def factors(results: Path, task: Task) -> str:
    """Every planned comparison of what can be chosen."""
    table = _table(results, task.factors)
    lines = [
        [row.question, row.comparison, str(row.n_real), interval(row), _p(row.p), _p(row.p_holm)]
        for row in table.itertuples()
    ]
    names = ["question", "comparison", f"real {task.items}", "difference in points", "p", "p (Holm)"]
    head = f"**What makes added {task.items} worth their price** ({_sizes(table, task)})"
    return f"{head}\n\n{_markdown(names, lines)}"


def elsewhere(results: Path, task: Task) -> str:
    """Each benchmark with all its real data: without training, real only, and what is added minus real only."""
    levels, differences = _table(results, task.levels, "condition"), _table(results, task.differences)
    measure, lines = task.metric.lower().replace("-", ""), []
    trained = levels[levels.condition == "C0"]
    for row in series.most_real(trained).itertuples():
        own = levels[(levels.benchmark == row.benchmark) & (levels.condition == "none")]
        floor = row.floor if "floor" in levels else own[measure].max()
        found = differences[(differences.benchmark == row.benchmark) & (differences.student == row.student)]
        found = found[(found.minus == "C0") & (found.n_real == row.n_real)].set_index("condition")
        gained = [interval(found.loc[name]) if name in found.index else "" for name in ("C2", "C3", "C4")]
        low, high = (f"{100 * value:.1f}" for value in (row.low, row.high))
        numbers = [f"{100 * floor:.1f} %", f"{100 * getattr(row, measure):.1f} % [{low}, {high}]"]
        tested = f"{getattr(row, f'n_{task.items}')} ({row.n_problems})"
        lines.append([row.benchmark, f"`{row.student}`", str(row.n_real), tested, *numbers, *gained])
    idle = "random ranking" if "floor" in levels else "best untrained"
    names = [
        "benchmark",
        "student",
        f"real {task.items}",
        f"test {task.items} (problems, tasks, projects)",
        idle,
        "C0",
        *(f"{one} {MINUS} C0" for one in ("C2", "C3", "C4")),
    ]
    head = f"**{task.metric} on benchmarks of other people, and on ours (`humaneval`) under the same rules: trained and"
    head += f" tested on each, with all real {task.items} of what is used of it** ({_seeds(trained, 'student')})"
    paper = _paper(_table(results, task.students, "points_low"))
    return f"{head}\n\n{_markdown(names, lines)}\n\n{_headline(differences, task, paper)}"


def interval(row: object) -> str:
    """Estimate and interval of a row in percentage points, with an asterisk where Holm's p is under 0.05."""
    star = " *" if row.p_holm < 0.05 else ""
    return bounds(*(100 * value for value in (row.estimate, row.low, row.high))) + star


def bounds(estimate: float, low: float, high: float) -> str:
    """Three numbers with their signs.

    Examples
    --------
    >>> bounds(1.04, 0, 2)
    '+1.0 [+0.0, +2.0]'
    """
    first, *rest = (f"{round(value, 1) + 0.0:+.1f}".replace("-", MINUS) for value in (estimate, low, high))
    return f"{first} [{', '.join(rest)}]"


def fill(text: str, block: str) -> str:
    """README text with the block between its markers."""
    if BEGIN not in text or END not in text:
        raise StudyError(f"README.md has lost its markers: put back the lines {BEGIN!r} and {END!r}")
    head, rest = text.split(BEGIN, 1)
    return f"{head}{BEGIN}\n{block}\n{END}{rest.split(END, 1)[1]}"


def _table(folder: Path, name: str, column: str = "estimate") -> pd.DataFrame:
    path = folder / f"{name}.csv"
    if not path.exists():
        raise StudyError(f"{path} does not exist: run the study first (make study)")
    table = pd.read_csv(path)
    if column not in table:
        raise StudyError(
            f"{path} has no column {column!r}, it is of an older version: run the study again (make study)"
        )
    return table


def _sizes(table: pd.DataFrame, task: Task) -> str:
    """Largest numbers behind a table: a table may hold rows with fewer seeds."""
    if table.empty:
        return "no comparison in these runs"
    n_items, by = table[f"n_{task.items}"].max(), "question" if "question" in table else "student"
    return f"{n_items} {task.items} of {table.n_problems.max()} problems, {_seeds(table, by)}"


def _seeds(table: pd.DataFrame, by: str) -> str:
    """How many seeds stand behind a table, and which of its parts have fewer."""
    found = table.groupby(by, sort=False).n_seeds.max()
    fewer = [f"{count} for {name}" for name, count in found[found < found.max()].items()]
    return f"seeds: {found.max()}" + (f", {', '.join(fewer)}" if fewer else "")


def _paper(students: pd.DataFrame) -> float:
    """The paper's headline in per cent, which stands in every row of the table of both students."""
    return students[next(name for name in students if name.startswith("paper"))].iloc[0]


def _headline(differences: pd.DataFrame, task: Task, paper: float) -> str:
    """The best change in per cent of real only on other people's benchmarks, in the form of the paper's headline."""
    rows = differences[(differences.minus == "C0") & (differences.benchmark != "humaneval")]
    if rows.empty:
        return ""
    best = rows.loc[rows.percent.idxmax()]
    kept = int((rows.p_holm < 0.05).sum())
    where = f"`{best.student}` on {best.benchmark}, {best.n_real} real {task.items}, {best.condition}"
    return (
        f"The largest of the {len(rows)} changes over real only on other people's benchmarks is {best.percent:+.1f} % "
        f"({where}); {kept} of them survive Holm's correction. The paper's headline, its best case: +{paper:g} %."
    )


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _markdown(names: list[str], lines: list[list[str]]) -> str:
    rows = [names, ["---"] * len(names), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default="results", help="folder of the tables, relative to the repository")
    parser.add_argument("--figures", default="figures", help="folder of the figures, relative to the repository")
    parser.add_argument("--check", action="store_true", help="change nothing, exit 1 if the README is not current")
    options = parser.parse_args()
    try:
        root = repository()
        readme = root / "README.md"
        before = readme.read_text(encoding="utf-8")
        after = fill(before, results_block(root / options.results, options.figures))
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.check:
        print("README.md is current" if before == after else "README.md is not current: run make report")
        return int(before != after)
    atomic_write(readme, after)
    write_index(root / options.figures, root / options.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
