"""Metrics of pairs on answers that one can count by hand."""

import numpy as np
import pandas as pd
import pytest

from llmexp_utils.errors import StudyError
from llmexp_utils.pair_metrics import (
    ACCURACY,
    F1,
    PRECISION,
    RECALL,
    SPECIFICITY,
    best_threshold,
    discrimination,
    f1_score,
    parts,
    per_pair,
    summarise,
)
from llmexp_utils.statistics import bands, with_intervals


def predictions():
    rows = [
        (1, 0.9, "clone", "Type-4"),
        (1, 0.2, "clone", "Type-3 strong"),
        (0, 0.8, "near-miss", ""),
        (0, 0.1, "random", ""),
    ]
    frame = pd.DataFrame(rows, columns=["label", "score", "kind", "clone_type"])
    return frame.assign(condition="C0", threshold=0.5, run_id="a")


def test_counts_by_hand():
    (row,) = summarise(predictions()).to_dict("records")
    expected = {"n_pairs": 4, "precision": 0.5, "recall": 0.5, "f1": 0.5, "accuracy": 0.5}
    assert {name: row[name] for name in expected} == expected
    assert row["average_precision"] == pytest.approx((1 + 2 / 3) / 2)


def test_average_precision_is_taken_within_a_run():
    shifted = predictions().assign(run_id="b", score=lambda frame: frame.score + 10, threshold=10.5)
    both = summarise(pd.concat([predictions(), shifted]))
    assert both.average_precision[0] == summarise(predictions()).average_precision[0]
    assert both.n_pairs[0] == 8 and both.f1[0] == 0.5


def test_each_kind_and_each_type_is_seen_alone():
    table = summarise(parts(predictions()), ["condition", "part"]).set_index("part")
    assert table.f1.to_dict() == pytest.approx({"near-miss": 0.5, "random": 2 / 3, "Type-4": 2 / 3, "Type-3 strong": 0})
    assert table.n_pairs.to_dict() == {"near-miss": 3, "random": 3, "Type-4": 3, "Type-3 strong": 3}


def runs(n_seeds=3):
    """Forty pairs of ten problems; each seed scores them in its own way."""
    rng = np.random.default_rng(7)
    kinds = ["clone0", "clone1", "random", "near-miss"]
    rows = [(f"T/{number}/{kind}", f"T/{number + (kind == 'random')}", kind) for number in range(10) for kind in kinds]
    frame = pd.DataFrame(rows, columns=["pair_id", "task_id", "kind"])
    frame["label"] = frame["kind"].str.startswith("clone").astype(int)
    frame = frame.assign(clone_type=np.where(frame.label == 1, "Type-4", ""), condition="C0", threshold=0.5)
    return pd.concat([frame.assign(seed=n, run_id=f"r{n}", score=rng.random(40)) for n in range(n_seeds)])


def test_each_pair_counts_for_its_problem():
    rows = per_pair(predictions().assign(pair_id=["T/0/clone0", "T/1/clone1", "ConDefects/a/1/x", "T/9/random"]))
    assert rows.task_id.tolist() == ["T/0", "T/1", "ConDefects/a/1", "T/9"]
    assert rows[["found", "correct", "hit"]].to_numpy().tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert rows.f1_top.tolist() == [2, 0, 0, 0] and rows.f1_bottom.tolist() == [2, 1, 1, 0]


@pytest.mark.parametrize("measure", [F1, PRECISION, RECALL, ACCURACY])
def test_the_measures_of_all_seeds_are_those_of_the_summary(measure):
    found = per_pair(runs())
    options = {"rng": np.random.default_rng(0), "metric": measure, "draws": 50}
    row = bands(found, by=["condition"], **options).iloc[0]
    assert row.estimate == pytest.approx(summarise(found)[measure.name][0])
    assert (row.n_pairs, row.n_problems, row.n_seeds) == (40, 10, 3) and row.low < row.estimate < row.high


def test_a_summary_gets_the_interval_of_each_measure():
    found, measures = per_pair(runs()), [F1, RECALL]
    draw = {"draws": 50, "by": ["condition"]}
    table = with_intervals(summarise(found), found, measures, rng=np.random.default_rng(0), **draw)
    (row,) = table.to_dict("records")
    rng = np.random.default_rng(0)
    for measure in measures:
        (band,) = bands(found, rng=rng, metric=measure, **draw).to_dict("records")
        assert (row[f"{measure.name}_low"], row[f"{measure.name}_high"]) == (band["low"], band["high"])


def test_the_parts_have_the_f1_of_the_table():
    found = parts(per_pair(runs()))
    assert found.part.value_counts().to_dict() == {"random": 90, "near-miss": 90, "Type-4": 120}
    rows = bands(found, rng=np.random.default_rng(0), metric=F1, by=["part"], draws=50).set_index("part")
    assert rows.estimate.to_dict() == pytest.approx(
        summarise(parts(runs()), ["condition", "part"]).set_index("part").f1.to_dict()
    )


def test_discrimination_does_not_depend_on_the_share_of_clones():
    once = per_pair(runs())
    twice = pd.concat([once, once[once.label == 1].assign(pair_id=lambda rows: rows.pair_id + "again")])
    few, many = (discrimination(rows).drop(columns="n_pairs").iloc[0].to_dict() for rows in (once, twice))
    assert few == pytest.approx(many) and 0 < few["auc"] < 1
    for measure in (SPECIFICITY, RECALL):
        row = bands(once, by=["condition"], metric=measure, rng=np.random.default_rng(0), draws=50).iloc[0]
        assert row.estimate == pytest.approx(few[measure.name]) and row.low < row.estimate < row.high


def test_a_run_of_clones_alone_has_no_area():
    found = predictions()
    clones = found[found.label == 1].assign(run_id="b")
    assert discrimination(pd.concat([found, clones])).auc[0] == discrimination(found).auc[0] == 0.75
    assert discrimination(clones).auc.isna().all() and discrimination(clones).specificity.isna().all()


def test_nothing_found_is_zero_and_no_error():
    row = summarise(predictions().assign(threshold=2.0)).iloc[0]
    assert (row.precision, row.recall, row.f1, row.accuracy) == (0, 0, 0, 0.5)
    assert f1_score(0, 0, 0) == 0


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([3, 2, 1, 0], [1, 0, 1, 0], 0.5),  # F1 0.8 with three found
        ([3, 2, 1, 0], [1, 0, 0, 0], 2.5),
        ([1, 1, 1], [1, 0, 0], 1.0),  # all scores are equal
        ([0, 1], [1, 1], 0.0),
    ],
)
def test_the_threshold_has_the_largest_f1(scores, labels, expected):
    assert best_threshold(scores, labels) == expected


def test_without_a_clone_there_is_no_threshold():
    with pytest.raises(StudyError, match="hold no clone"):
        best_threshold([1, 2], [0, 0])
    with pytest.raises(StudyError, match="not a number"):
        best_threshold([np.nan, 2], [1, 0])
