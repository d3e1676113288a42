"""Results over several benchmarks: levels beside the floor, and differences to real data only, each on its own.

Benchmarks are never pooled: a fault of one says nothing about another, and their floors differ.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from llmexp_utils.cells import Measure, as_measure
from llmexp_utils.contrasts import minus_controls
from llmexp_utils.errors import StudyError
from llmexp_utils.injection import Arm
from llmexp_utils.metrics import random_floor
from llmexp_utils.pair_metrics import F1, summarise
from llmexp_utils.retrieval import MAP_AT_R
from llmexp_utils.series import ARM, at_every_size
from llmexp_utils.statistics import bands, compare, holm

CELL = ["student", "n_real", "condition"]


def by_unit(faults: pd.DataFrame, units: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Faults with the unit that is never split (problem, task, project) as ``task_id``, which the bootstrap draws.

    Parameters
    ----------
    faults : DataFrame
        Of :func:`llmexp_utils.metrics.per_fault`, with the column ``benchmark``.
    units : mapping
        Unit of every task of each benchmark: two benchmarks may have a task of one name.

    Raises
    ------
    KeyError
        If a fault is of a task without a unit.
    """
    asked = zip(faults["benchmark"], faults["task_id"], strict=True)
    return faults.assign(task_id=[units[name][task_id] for name, task_id in asked])


def levels(faults: pd.DataFrame, predictions: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    """Top-1, Top-3, Top-5 and mean reciprocal rank of every cell, with Top-1's interval and the benchmark's floor.

    Parameters
    ----------
    faults, predictions : DataFrame
        Of :func:`llmexp_utils.metrics.per_fault`, and what it was given; with the column ``benchmark``.
    draws, seed : int
        Of the bootstrap over problems.

    Returns
    -------
    DataFrame
        ``benchmark``, ``student``, ``n_real``, ``condition``, ``floor`` (Top-1 of a random ranking), ``top1``, ``low``,
        ``high``, ``top3``, ``top5``, ``mrr``, ``n_faults``, ``n_problems``, ``n_seeds``.
    """
    tables = []
    for name, rows in faults.groupby("benchmark", sort=False):
        once = predictions[predictions.benchmark == name].drop_duplicates("fault_id")
        found = bands(rows, rng=np.random.default_rng(seed), by=CELL, draws=draws).rename(columns={"estimate": "top1"})
        means = (
            rows.groupby(CELL)[["top3", "top5", "reciprocal_rank"]]
            .mean()
            .reset_index()
            .rename(columns={"reciprocal_rank": "mrr"})
        )
        table = found.merge(means, on=CELL, validate="one_to_one")
        tables.append(table.assign(benchmark=name, floor=random_floor(once).top1.mean()))
    columns = ["benchmark", *CELL, "floor", "top1", "low", "high", "top3", "top5", "mrr"]
    return pd.concat(tables, ignore_index=True)[[*columns, "n_faults", "n_problems", "n_seeds"]]


def pair_levels(pairs: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    """F1 of the clones with its interval in every cell, precision, recall, accuracy and average precision.

    Parameters
    ----------
    pairs : DataFrame
        Of :func:`llmexp_utils.pair_metrics.per_pair`, with the column ``benchmark``.
    draws, seed : int
        Of the bootstrap over problems.

    Returns
    -------
    DataFrame
        ``benchmark``, ``student``, ``n_real``, ``condition``, ``f1``, ``low``, ``high``, ``precision``, ``recall``,
        ``accuracy``, ``average_precision``, ``n_pairs`` (distinct ones), ``n_problems``, ``n_seeds``.
    """
    tables = []
    for name, rows in pairs.groupby("benchmark", sort=False):
        found = bands(rows, rng=np.random.default_rng(seed), metric=F1, by=CELL, draws=draws)
        means = summarise(rows, CELL).drop(columns=["n_pairs", "f1"])
        table = found.rename(columns={"estimate": "f1"}).merge(means, on=CELL, validate="one_to_one")
        tables.append(table.assign(benchmark=name))
    columns = ["benchmark", *CELL, "f1", "low", "high", "precision", "recall", "accuracy", "average_precision"]
    return pd.concat(tables, ignore_index=True)[[*columns, "n_pairs", "n_problems", "n_seeds"]]


def retrieval_levels(queries: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    """MAP@R with its interval in every cell.

    Parameters
    ----------
    queries : DataFrame
        Average precision at R of each query of every run (:class:`llmexp_utils.pair_jobs.RankJob`), with ``benchmark``.
    draws, seed : int
        Of the bootstrap over problems.

    Returns
    -------
    DataFrame
        ``benchmark``, ``student``, ``n_real``, ``condition``, ``map_at_r``, ``low``, ``high``, ``n_queries``,
        ``n_problems``, ``n_seeds``.
    """
    columns = ["benchmark", *CELL, "map_at_r", "low", "high", "n_queries", "n_problems", "n_seeds"]
    tables = []
    for name, rows in queries.groupby("benchmark", sort=False):
        table = bands(rows, rng=np.random.default_rng(seed), metric=MAP_AT_R, by=CELL, draws=draws)
        tables.append(table.rename(columns={"estimate": "map_at_r"}).assign(benchmark=name))
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def retrieval_differences(queries: pd.DataFrame, draws: int, seed: int) -> pd.DataFrame:
    """:func:`differences` of MAP@R on the same queries; see :func:`retrieval_levels`."""
    return differences(queries, draws, seed, MAP_AT_R)


def arm_levels(faults: pd.DataFrame, main: str, draws: int, seed: int) -> pd.DataFrame:
    """Who wrote the added faults: each arm's level, and its difference to C0, to C2 and to the main arm.

    Parameters
    ----------
    faults : DataFrame
        Of :func:`llmexp_utils.metrics.per_fault`: the series that compares arms, with the column ``benchmark``.
    main : str
        Name of the arm that others are compared with.
    draws, seed : int
        Of the bootstrap over problems.

    Returns
    -------
    DataFrame
        ``benchmark``, ``student``, ``n_real``, ``n_added``, ``condition``, ``arm`` (empty where no LLM wrote anything),
        ``minus`` (``nothing``, ``C0``, ``C2`` or ``main``), ``estimate`` (of Top-1), ``low``, ``high``, ``p``,
        ``p_holm`` (within a student, over all benchmarks), ``n_faults``, ``n_problems``, ``n_seeds``.
    """
    settings = ["student", "n_real", "n_added"]
    faults = faults.assign(arm=[Arm(*row).name for row in faults[list(ARM)].itertuples(index=False)])
    tables = []
    for name, rows in faults.groupby("benchmark", sort=False):
        options = {"rng": np.random.default_rng(seed), "draws": draws}
        written = rows[rows.arm != ""]
        found = [minus_controls(rows, arms=["condition", "arm"], **options)]
        if {main} < set(written.arm):
            by_arm = written.assign(condition=written.arm)
            against = compare(by_arm, baseline=main, by=settings, arms=["condition", "arm"], **options)
            found.append(against.assign(condition="C3", minus="main"))
        tables.append(pd.concat(found, ignore_index=True).assign(benchmark=name))
    table = pd.concat(tables, ignore_index=True)
    for _, rows in table.groupby("student"):
        table.loc[rows.index, "p_holm"] = holm(rows["p"])
    columns = ["benchmark", *settings, "condition", "arm", "minus", "estimate", "low", "high", "p", "p_holm"]
    return table[[*columns, "n_faults", "n_problems", "n_seeds"]]


def with_percent(table: pd.DataFrame, levels: pd.DataFrame, metric: str = "top1") -> pd.DataFrame:
    """Differences, and those to real only also in percent of the level of real only: the form of the paper's headline.

    Parameters
    ----------
    table : DataFrame
        See :func:`differences`.
    levels : DataFrame
        ``benchmark``, ``student``, ``n_real``, ``condition``, and the measure by its name.
    metric : str
        Name of the measure.

    Returns
    -------
    DataFrame
        The table with ``percent``, missing where something else than real only is subtracted.
    """
    cell = ["benchmark", "student", "n_real"]
    before = levels[levels["condition"] == "C0"].set_index(cell)[metric]
    percent = 100 * table["estimate"] / before.reindex(pd.MultiIndex.from_frame(table[cell])).to_numpy()
    return table.assign(percent=percent.where(table["minus"] == "C0"))


def differences(items: pd.DataFrame, draws: int, seed: int, metric: str | Measure = "top1") -> pd.DataFrame:
    """Each condition minus real only (C0), and minus as many by rule (C2); Holm within a student, over all benchmarks.

    Conditions without real items (C5, C5m) are compared with real only at every number of real ones.

    Parameters
    ----------
    items : DataFrame
        One row a run and test item, with the column ``benchmark`` and those that the metric is made of.
    draws, seed : int
        Of the bootstrap over problems.
    metric : str or Measure
        Column to average, or what is computed of each run's items.

    Returns
    -------
    DataFrame
        ``benchmark``, ``student``, ``n_real``, ``condition``, ``minus``, ``estimate``, ``low``, ``high``, ``p``,
        ``p_holm``, the number of items (``n_faults``, ``n_pairs`` or ``n_queries``), ``n_problems``, ``n_seeds``.

    Raises
    ------
    StudyError
        If no benchmark has real only or rules, and another condition.
    """
    tables = []
    for name, found in items.groupby("benchmark", sort=False):
        beside_real = found[(found.condition != "C0") & (found.n_real > 0)]
        for base, part in (("C0", at_every_size(found)), ("C2", beside_real)):
            present = set(part.condition)
            if base in present and len(present) > 1:
                table = compare(part, baseline=base, rng=np.random.default_rng(seed), metric=metric, draws=draws)
                tables.append(table.assign(benchmark=name, minus=base))
    if not tables:
        raise StudyError("nothing to compare: give conditions real only (C0) or rules (C2), and another one")
    table = pd.concat(tables, ignore_index=True)
    table = table[table.estimate.notna()].reset_index(drop=True)
    for _, rows in table.groupby("student"):
        table.loc[rows.index, "p_holm"] = holm(rows["p"])
    columns = ["benchmark", *CELL, "minus", "estimate", "low", "high", "p", "p_holm"]
    return table[[*columns, f"n_{as_measure(metric).items}", "n_problems", "n_seeds"]]
