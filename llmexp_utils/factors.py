"""What makes a generated fault or clone worth its price: one planned comparison, or a few, a factor.

Which comparisons are made is fixed by these rules and by what was run, never by the results:

- *author*, *selection*, *mixing*, *others*: pairs of conditions of the grid, averaged over all numbers of real faults
  that both have; each number counts the same;
- *number added*: the largest minus the smallest number of the sweep, for each condition;
- *line policy*, *answer form*, *generator*: every arm that differs from the grid's arm in this one thing, minus it, at
  the largest number of added faults that both reach;
- *student*: how much more (or less) another student gains from LLM faults than the main one does, over real faults
  only and over mutants, averaged over the numbers of real faults that both students have.

All cells of a comparison are measured on the same faults (or pairs); in each draw of problems their differences are
averaged over the numbers of real faults.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from llmexp_utils.cells import Cell, Measure, cells, same_items
from llmexp_utils.series import ARM
from llmexp_utils.statistics import DRAWS, Resample, holm, interval, resample, rounded, two_sided_p

GAINS = (("C3", "C0"), ("C3", "C2"), ("C4", "C0"), ("C4", "C2"))
AMOUNT, STUDENT = "number added", "student"
ARM_QUESTIONS = {"generator": "generator", "form": "answer form", "policy": "line policy"}
MINUS = "\N{MINUS SIGN}"
Terms = tuple[tuple[int, Cell], ...]


@dataclass(frozen=True)
class Plan:
    """What a task asks: ``pairs`` of conditions (question, condition, control), and the columns of an ``arm``."""

    pairs: tuple[tuple[str, str, str], ...]
    arm: tuple[str, ...]

    @property
    def questions(self) -> tuple[str, ...]:
        """All questions, in the order of the table."""
        of_pairs = dict.fromkeys(question for question, *_ in self.pairs)
        return (*of_pairs, AMOUNT, *(ARM_QUESTIONS[name] for name in reversed(self.arm)), STUDENT)


FAULT_PLAN = Plan(
    (
        ("author: LLM or mutation", "C3", "C2"),
        ("author: LLM or mutation", "C4", "C2"),
        ("selection: Score or chance", "C4", "C3"),
        ("mixing with mutants", "mix", "C2"),
        ("mixing with mutants", "mix", "C3"),
    ),
    ARM,
)
CLONE_PLAN = Plan(
    (
        ("author: LLM or rewriting", "C3", "C2"),
        ("author: LLM or rewriting", "C4", "C2"),
        ("selection: Score or chance", "C4", "C3"),
        ("others: near misses or other problems", "C4", "C4far"),
    ),
    ("generator", "form"),
)


@dataclass(frozen=True)
class Comparison:
    """One planned comparison: ``terms`` are the cells added (1) and taken off (-1) at each number of real faults."""

    question: str
    text: str
    terms: dict[int, Terms]
    n_seeds: int

    @property
    def first(self) -> Cell:
        """Any of the cells: all have the same items."""
        return next(iter(self.terms.values()))[0][1]

    def check(self) -> Comparison:
        """The comparison itself; StudyError if its cells have not the same items."""
        for size, terms in self.terms.items():
            for _, cell in terms:
                same_items(cell, self.first, f"{self.text}, n_real={size}")
        return self


def planned(
    per_item: pd.DataFrame, student: str, metric: str | Measure = "top1", plan: Plan = FAULT_PLAN
) -> list[Comparison]:
    """All comparisons that the rules of this module ask for and that these runs have.

    Parameters
    ----------
    per_item : DataFrame
        Rows of :func:`llmexp_utils.series.measured` or ``measured_pairs``, all series and students.
    student : str
        The main student; the others are only asked whether they gain more or less.
    metric : str or Measure
        What to compare; the name of a column stands for its mean over faults.
    plan : Plan
        What is asked in this task.

    Raises
    ------
    StudyError
        If the cells of a comparison were not tested on the same faults or pairs.
    """
    own = per_item[per_item["student"] == student]
    grid = own[own["series"] == "grid"]
    found = [
        *_pairs(_by_size(grid, metric), plan),
        *_amounts(own[own["series"] == "sweep"], metric),
        *_arms(own[own["series"] == "arm"], main_arm(grid, plan.arm), metric, plan.arm),
        *_students(per_item[per_item["series"] == "grid"], student, metric),
    ]
    return sorted((one.check() for one in found), key=lambda one: plan.questions.index(one.question))


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
        ``n_faults`` (or the measure's ``items``), ``n_problems``, ``n_seeds``.
    """
    return _table([(one, _sizes(one), list(one.terms)) for one in comparisons], rng, draws)


def factor_table_by_size(
    comparisons: list[Comparison], *, rng: np.random.Generator, draws: int = DRAWS
) -> pd.DataFrame:
    """The comparisons that :func:`factor_table` averages, one row a number of real faults; a family of its own."""
    rows = [(one, size, [size]) for one in comparisons if len(one.terms) > 1 for size in one.terms]
    return _table(rows, rng, draws)


def unanswered(comparisons: list[Comparison], plan: Plan = FAULT_PLAN) -> str:
    """One line: the factors that these runs do not vary."""
    missing = [question for question in plan.questions if question not in {one.question for one in comparisons}]
    return f"not varied in these runs: {', '.join(missing)}" if missing else "every factor is varied in these runs"


def main_arm(grid: pd.DataFrame, columns: Sequence[str] = ARM) -> tuple[str, ...] | None:
    """Generator, form and policy that wrote what the grid adds; None if no LLM did."""
    arms = grid.loc[grid["generator"] != "", list(columns)].drop_duplicates()
    return tuple(arms.iloc[0]) if len(arms) == 1 else None


def _by_size(grid: pd.DataFrame, metric: str | Measure) -> dict[str, dict[int, Cell]]:
    """Cells of a grid by condition, then by number of real faults."""
    found: dict[str, dict[int, Cell]] = {}
    for (condition, n_real), cell in cells(grid, metric, ["condition", "n_real"]).items():
        found.setdefault(condition, {})[int(n_real)] = cell
    return found


def _pairs(grid: dict[str, dict[int, Cell]], plan: Plan) -> Iterator[Comparison]:
    for question, condition, base in plan.pairs:
        terms = _difference(grid, condition, base)
        if terms:
            yield Comparison(question, f"{condition} {MINUS} {base}", terms, _seeds(grid[condition]))


def _difference(grid: dict[str, dict[int, Cell]], condition: str, base: str) -> dict[int, Terms]:
    """One condition minus another at each number of real faults that both have."""
    one, other = grid.get(condition, {}), grid.get(base, {})
    return {size: ((1, one[size]), (-1, other[size])) for size in sorted(one.keys() & other.keys())}


def _amounts(sweep: pd.DataFrame, metric: str | Measure) -> Iterator[Comparison]:
    """Largest minus smallest number of added faults."""
    added = sweep[sweep["n_added"] > 0]
    found = cells(added, metric, ["condition", "n_real", "n_added"])
    for condition, n_real in sorted({key[:2] for key in found}):
        amounts = sorted(key[2] for key in found if key[:2] == (condition, n_real))
        if len(amounts) > 1:
            most, least = (found[condition, n_real, amount] for amount in (amounts[-1], amounts[0]))
            text = f"{condition}: {amounts[-1]} {MINUS} {amounts[0]} added"
            yield Comparison(AMOUNT, text, {int(n_real): ((1, most), (-1, least))}, len(most.seeds))


def _arms(
    arms: pd.DataFrame, main: tuple[str, ...] | None, metric: str | Measure, columns: Sequence[str]
) -> Iterator[Comparison]:
    """Every arm that differs from the main arm in one thing, minus the main arm."""
    written = arms[arms["generator"] != ""]
    found = cells(written, metric, [*columns, "n_real", "n_added"])
    for *arm, n_real in sorted({key[:-1] for key in found}):
        place = _varied(tuple(arm), main) if main else None
        amounts = [key[-1] for key in found if key[:-1] == (*arm, n_real) and (*(main or ()), n_real, key[-1]) in found]
        if place is None or not amounts:
            continue
        question = ARM_QUESTIONS[columns[place]]
        text = f"{arm[place]} {MINUS} {main[place]}, {max(amounts)} added"
        cell, base = (found[(*one, n_real, max(amounts))] for one in (arm, main))
        yield Comparison(question, text, {int(n_real): ((1, cell), (-1, base))}, len(cell.seeds))


def _varied(arm: tuple[str, ...], main: tuple[str, ...]) -> int | None:
    """Place in an arm of the one factor in which two arms differ; a whole function has no line policy."""
    if arm == main:
        return None
    if arm[0] == main[0]:
        return 2 if arm[1] == main[1] else 1
    return 0 if arm[1:] == main[1:] else None


def _students(grid: pd.DataFrame, main: str, metric: str | Measure) -> Iterator[Comparison]:
    """Gain of every other student minus that of the main one."""
    ours = _by_size(grid[grid["student"] == main], metric)
    for student, rows in grid[grid["student"] != main].groupby("student"):
        theirs = _by_size(rows, metric)
        for condition, base in GAINS:
            more, less = (_difference(one, condition, base) for one in (theirs, ours))
            text = f"gain {condition} {MINUS} {base}: {student} {MINUS} {main}"
            both = sorted(more.keys() & less.keys())
            terms = {size: (*more[size], *((-sign, cell) for sign, cell in less[size])) for size in both}
            if terms:
                yield Comparison(STUDENT, text, terms, _seeds(theirs[condition]))


def _seeds(by_size: dict[int, Cell]) -> int:
    """Fewest seeds of any size: what a reader may count on."""
    return min(len(cell.seeds) for cell in by_size.values())


def _sizes(one: Comparison) -> str:
    sizes = list(one.terms)
    return str(sizes[0]) if len(sizes) == 1 else f"mean of {', '.join(map(str, sizes))}"


def _table(rows: list[tuple[Comparison, object, list[int]]], rng: np.random.Generator, draws: int) -> pd.DataFrame:
    """Estimate, interval, p and Holm's p of comparisons at some numbers of real faults, all of them one family."""
    names = ["question", "comparison", "n_real", "estimate", "low", "high", "p", "p_holm"]
    if not rows:
        return pd.DataFrame(columns=[*names, "n_problems", "n_seeds"])
    tasks = [one.first.sums.index.get_level_values("task_id") for one, *_ in rows]
    problems, found = resample(np.concatenate(tasks), rng, draws), []
    for one, label, sizes in rows:
        value = _mean_difference(one, sizes, problems)
        numbers = (value[0], *interval(value[1:]), two_sided_p(value[1:]), np.nan)
        row = dict(zip(names, (one.question, one.text, label, *numbers), strict=True))
        found.append(row | one.first.sizes() | {"n_seeds": one.n_seeds})
    table = pd.DataFrame(found)
    return table.assign(p_holm=holm(table["p"]))


def _mean_difference(one: Comparison, sizes: list[int], problems: Resample) -> np.ndarray:
    """Mean of a comparison over numbers of real faults, shape (1 + draws,): the estimate, then the draws."""
    each = [sum(sign * problems.ratios(cell) for sign, cell in one.terms[size]) for size in sizes]
    return rounded(np.mean(each, axis=0))
