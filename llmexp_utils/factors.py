"""What makes a generated fault worth its price: one planned comparison, or a few, a factor.

Which comparisons are made is fixed by these rules and by what was run, never by the results:

- *author*, *selection*, *mixing*: pairs of conditions of the grid, averaged over all numbers of real faults that both
  have; each number counts the same;
- *number added*: the largest minus the smallest number of the sweep, for each condition;
- *line policy*, *answer form*, *generator*: every arm that differs from the grid's arm in this one thing, minus it, at
  the largest number of added faults that both reach;
- *student*: how much more (or less) another student gains from LLM faults than the main one does, over real faults
  only and over mutants, averaged over the numbers of real faults that both students have.

Differences are paired fault by fault and averaged over numbers of real faults before problems are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from llmexp_utils.errors import StudyError
from llmexp_utils.series import ARM
from llmexp_utils.statistics import DRAWS, Cell, cells, holm, interval, paired, resample, rounded, two_sided_p

QUESTIONS = (
    "author: LLM or mutation",
    "selection: Score or chance",
    "mixing with mutants",
    "number added",
    "line policy",
    "answer form",
    "generator",
    "student",
)
PAIRS = (
    (QUESTIONS[0], "C3", "C2"),
    (QUESTIONS[0], "C4", "C2"),
    (QUESTIONS[1], "C4", "C3"),
    (QUESTIONS[2], "mix", "C2"),
    (QUESTIONS[2], "mix", "C3"),
)
GAINS = (("C3", "C0"), ("C3", "C2"), ("C4", "C0"), ("C4", "C2"))
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Comparison:
    """One planned comparison: ``values`` has the paired differences by fault for each number of real faults."""

    question: str
    text: str
    values: dict[int, pd.Series]
    n_seeds: int

    def pooled(self) -> pd.Series:
        """Difference of each fault, averaged over the numbers of real faults."""
        wide = pd.concat(self.values, axis=1)
        if wide.isna().any(axis=None):
            raise StudyError(f"{self.text}: not the same faults at every n_real; finish the grid first")
        return wide.mean(axis=1)


def planned(faults: pd.DataFrame, student: str, metric: str = "top1") -> list[Comparison]:
    """All comparisons that the rules of this module ask for and that these runs have.

    Parameters
    ----------
    faults : DataFrame
        Rows of :func:`llmexp_utils.series.measured`, all series and students.
    student : str
        The main student; the others are only asked whether they gain more or less.
    metric : str
        Column to compare.
    """
    own = faults[faults["student"] == student]
    grid = own[own["series"] == "grid"]
    found = [
        *_pairs(_by_size(grid, metric)),
        *_amounts(own[own["series"] == "sweep"], metric),
        *_arms(own[own["series"] == "arm"], main_arm(grid), metric),
        *_students(faults[faults["series"] == "grid"], student, metric),
    ]
    return sorted(found, key=lambda one: QUESTIONS.index(one.question))


def factor_table(comparisons: list[Comparison], *, rng: np.random.Generator, draws: int = DRAWS) -> pd.DataFrame:
    """One row a comparison, all one family.

    Parameters
    ----------
    comparisons : list of Comparison
        See :func:`planned`.
    rng, draws
        See :func:`llmexp_utils.statistics.bands`.

    Returns
    -------
    DataFrame
        ``question``, ``comparison``, ``n_real``, ``estimate`` (a share), ``low``, ``high``, ``p``, ``p_holm``,
        ``n_faults``, ``n_problems``, ``n_seeds``.
    """
    return _table([(one, _sizes(one), one.pooled()) for one in comparisons], rng, draws)


def factor_table_by_size(
    comparisons: list[Comparison], *, rng: np.random.Generator, draws: int = DRAWS
) -> pd.DataFrame:
    """The comparisons that :func:`factor_table` averages, one row a number of real faults; a family of its own."""
    rows = [(one, size, values) for one in comparisons if len(one.values) > 1 for size, values in one.values.items()]
    return _table(rows, rng, draws)


def unanswered(comparisons: list[Comparison]) -> str:
    """One line: the factors that these runs do not vary."""
    missing = [question for question in QUESTIONS if question not in {one.question for one in comparisons}]
    return f"not varied in these runs: {', '.join(missing)}" if missing else "every factor is varied in these runs"


def main_arm(grid: pd.DataFrame) -> tuple[str, ...] | None:
    """Generator, form and policy that wrote the grid's LLM faults; None if it has none."""
    arms = grid.loc[grid["generator"] != "", list(ARM)].drop_duplicates()
    return tuple(arms.iloc[0]) if len(arms) == 1 else None


def _by_size(grid: pd.DataFrame, metric: str) -> dict[str, dict[int, Cell]]:
    """Cells of a grid by condition, then by number of real faults."""
    found: dict[str, dict[int, Cell]] = {}
    for (condition, n_real), cell in cells(grid, metric, ["condition", "n_real"]).items():
        found.setdefault(condition, {})[int(n_real)] = cell
    return found


def _pairs(grid: dict[str, dict[int, Cell]]) -> Iterator[Comparison]:
    for question, condition, base in PAIRS:
        values = _difference(grid, condition, base)
        if values:
            yield Comparison(question, f"{condition} {MINUS} {base}", values, _seeds(grid[condition]))


def _difference(grid: dict[str, dict[int, Cell]], condition: str, base: str) -> dict[int, pd.Series]:
    """Paired difference of two conditions at each number of real faults that both have."""
    one, other = grid.get(condition, {}), grid.get(base, {})
    name = f"{condition} {MINUS} {base}"
    return {
        size: paired(one[size], other[size], f"{name}, n_real={size}") for size in sorted(one.keys() & other.keys())
    }


def _amounts(sweep: pd.DataFrame, metric: str) -> Iterator[Comparison]:
    """Largest minus smallest number of added faults."""
    added = sweep[sweep["n_added"] > 0]
    found = cells(added, metric, ["condition", "n_real", "n_added"])
    for condition, n_real in sorted({key[:2] for key in found}):
        amounts = sorted(key[2] for key in found if key[:2] == (condition, n_real))
        if len(amounts) > 1:
            most, least = (found[condition, n_real, amount] for amount in (amounts[-1], amounts[0]))
            text = f"{condition}: {amounts[-1]} {MINUS} {amounts[0]} added"
            yield Comparison(QUESTIONS[3], text, {int(n_real): paired(most, least, text)}, len(most.seeds))


def _arms(arms: pd.DataFrame, main: tuple[str, ...] | None, metric: str) -> Iterator[Comparison]:
    """Every arm that differs from the main arm in one thing, minus the main arm."""
    written = arms[arms["generator"] != ""]
    found = cells(written, metric, [*ARM, "n_real", "n_added"])
    for *arm, n_real in sorted({key[:4] for key in found}):
        varied = _varied(tuple(arm), main) if main else None
        amounts = [key[4] for key in found if key[:4] == (*arm, n_real) and (*(main or ()), n_real, key[4]) in found]
        if varied is None or not amounts:
            continue
        question, place = varied
        text = f"{arm[place]} {MINUS} {main[place]}, {max(amounts)} added"
        cell, base = (found[(*one, n_real, max(amounts))] for one in (arm, main))
        yield Comparison(question, text, {int(n_real): paired(cell, base, text)}, len(cell.seeds))


def _varied(arm: tuple[str, ...], main: tuple[str, ...]) -> tuple[str, int] | None:
    """The one factor in which two arms differ, and its place in an arm; a whole function has no line policy."""
    if arm == main:
        return None
    if arm[0] == main[0]:
        return ("line policy", 2) if arm[1] == main[1] else ("answer form", 1)
    return ("generator", 0) if arm[1:] == main[1:] else None


def _students(grid: pd.DataFrame, main: str, metric: str) -> Iterator[Comparison]:
    """Gain of every other student minus that of the main one."""
    ours = _by_size(grid[grid["student"] == main], metric)
    for student, rows in grid[grid["student"] != main].groupby("student"):
        theirs = _by_size(rows, metric)
        for condition, base in GAINS:
            gains = [_difference(one, condition, base) for one in (theirs, ours)]
            text = f"gain {condition} {MINUS} {base}: {student} {MINUS} {main}"
            both = sorted(gains[0].keys() & gains[1].keys())
            values = {size: _minus(gains[0][size], gains[1][size], text) for size in both}
            if values:
                yield Comparison("student", text, values, _seeds(theirs[condition]))


def _minus(one: pd.Series, other: pd.Series, text: str) -> pd.Series:
    nothing = pd.Series(dtype=float)
    return paired(Cell(one, nothing), Cell(other, nothing), text)


def _seeds(by_size: dict[int, Cell]) -> int:
    """Fewest seeds of any size: what a reader may count on."""
    return min(len(cell.seeds) for cell in by_size.values())


def _sizes(one: Comparison) -> str:
    sizes = list(one.values)
    return str(sizes[0]) if len(sizes) == 1 else f"mean of {', '.join(map(str, sizes))}"


def _table(rows: list[tuple[Comparison, object, pd.Series]], rng: np.random.Generator, draws: int) -> pd.DataFrame:
    """Estimate, interval, p and Holm's p of paired differences, all of them one family."""
    names = ["question", "comparison", "n_real", "estimate", "low", "high", "p", "p_holm"]
    if not rows:
        return pd.DataFrame(columns=[*names, "n_faults", "n_problems", "n_seeds"])
    problems = resample(np.concatenate([values.index.get_level_values("task_id") for *_, values in rows]), rng, draws)
    found = []
    for one, size, values in rows:
        sample = problems.means(values)
        numbers = (rounded(values.mean()), *interval(sample), two_sided_p(sample), np.nan)
        row = dict(zip(names, (one.question, one.text, size, *numbers), strict=True))
        found.append(row | Cell(values, pd.Series(dtype=float)).sizes() | {"n_seeds": one.n_seeds})
    table = pd.DataFrame(found)
    return table.assign(p_holm=holm(table["p"]))
