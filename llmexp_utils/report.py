"""Fill the README's results from the committed tables, so that no number in it is typed by hand.

``python -m llmexp_utils.report`` replaces what stands between the markers; ``--check`` only says whether it is current.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from llmexp_utils.errors import StudyError
from llmexp_utils.paths import atomic_write, repository
from llmexp_utils.plots import CONDITIONS
from llmexp_utils.tables import write_index

STUDENT = "frozen-llm"
BEGIN, END = "<!-- results: begin (made by `make report`) -->", "<!-- results: end -->"


def results_block(results: Path, figures: str) -> str:
    """Headline figure and the gains over real faults only, as Markdown.

    Parameters
    ----------
    results : Path
        Folder of the tables of ``07_results``.
    figures : str
        Folder of its figures, relative to the README.
    """
    gains, control = (_table(results, name) for name in ("tab10_gain_by_condition", "tab11_gain_over_mutants"))
    gains, control = gains[gains.student == STUDENT], control[control.student == STUDENT]
    caption = (results / "tab10_gain_by_condition.md").read_text(encoding="utf-8").splitlines()[0]
    lines = [f"![Top-1 by number of real faults]({figures}/fig10_top1_by_real_faults.png)", "", caption, ""]
    lines += [
        "| condition | real faults | Top-1 minus real only | Top-1 minus real + mutants |",
        "|---|---|---|---|",
    ]
    against = {(row.condition, row.n_real): _interval(row) for row in control.itertuples()}
    for row in gains[gains.estimate.notna()].itertuples():
        other = against.get((row.condition, row.n_real), "")
        label = CONDITIONS[row.condition].label
        lines.append(f"| {row.condition} ({label}) | {row.n_real} | {_interval(row)} | {other} |")
    return "\n".join(lines)


def fill(text: str, block: str) -> str:
    """README text with the block between its markers."""
    if BEGIN not in text or END not in text:
        raise StudyError(f"README.md has lost its markers: put back the lines {BEGIN!r} and {END!r}")
    head, rest = text.split(BEGIN, 1)
    return f"{head}{BEGIN}\n{block}\n{END}{rest.split(END, 1)[1]}"


def _table(folder: Path, name: str) -> pd.DataFrame:
    path = folder / f"{name}.csv"
    if not path.exists():
        raise StudyError(f"{path} does not exist: run the study first (make study)")
    return pd.read_csv(path)


def _interval(row: object) -> str:
    if pd.isna(row.estimate):
        return ""
    points = [f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}") for value in (row.estimate, row.low, row.high)]
    star = " *" if row.p_holm < 0.05 else ""
    return f"{points[0]} [{points[1]}, {points[2]}]{star}"


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
