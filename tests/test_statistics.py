"""Bootstrap, p-values and Holm against values worked out by hand or known formulas."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pandas as pd
import pytest

from llmexp_utils import statistics
from llmexp_utils.cells import Cell, Measure
from llmexp_utils.errors import StudyError
from llmexp_utils.statistics import DRAWS, Resample, holm, interval, resample, two_sided_p

bands = partial(statistics.bands, draws=2000)
compare = partial(statistics.compare, draws=2000)

COLUMNS = ["student", "condition", "n_real", "seed", "task_id", "fault_id", "top1"]


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def frame(values: dict[str, list[float]], seed: int = 0, per_task: int = 1) -> pd.DataFrame:
    """One student at n_real = 8; condition -> one value a fault, ``per_task`` faults a problem."""
    rows = [
        ("A", condition, 8, seed, f"t{number // per_task}", f"f{number}", value)
        for condition, each in values.items()
        for number, value in enumerate(each)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_a_draw_weighs_problems_not_faults():
    index = pd.MultiIndex.from_tuples([("a", "f0"), ("a", "f1"), ("b", "f2")], names=["task_id", "fault_id"])
    sample = Resample(pd.Index(["a", "b"]), np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]]))
    mean = Cell(pd.DataFrame({"top": [1.0, 0.0, 1.0], "bottom": 1.0}, index), pd.Series(dtype=float))
    assert sample.ratios(mean).tolist() == pytest.approx([2 / 3, 2 / 3, 1 / 2, 1])  # the estimate, then the draws
    ratio = Cell(mean.sums.assign(bottom=[1.0, 3.0, 4.0]), mean.seeds)
    assert sample.ratios(ratio).tolist() == pytest.approx([2 / 8, 2 / 8, 1 / 4, 1 / 4])
    late = Resample(pd.Index(["a", "b"]), np.array([[0.0, 2.0]])).ratios(Cell(mean.sums.loc[["a"]], mean.seeds))
    assert late[0] == 0.5 and np.isnan(late[1])  # no item of the cell in this draw


def test_draws_take_as_many_problems_as_there_are():
    sample = resample(["b", "a", "b", "c"], rng(), 500)
    assert list(sample.tasks) == ["a", "b", "c"] and set(sample.weights.sum(axis=1)) == {3.0}
    assert sample.weights.mean(axis=0) == pytest.approx([1, 1, 1], abs=0.15)


def test_band_agrees_with_the_standard_error():
    values = rng().normal(0.4, 0.2, 400).tolist()
    row = bands(frame({"C0": values}), rng=rng()).iloc[0]
    half = 1.96 * np.std(values) / np.sqrt(len(values))
    assert row["estimate"] == pytest.approx(np.mean(values))
    assert (row["high"] - row["low"]) / 2 == pytest.approx(half, rel=0.05)
    assert (row["n_faults"], row["n_problems"], row["n_seeds"]) == (400, 400, 1)


def test_equal_faults_of_one_problem_count_as_one():
    single = [0.0, 1.0] * 50
    alone = bands(frame({"C0": single}), rng=rng()).iloc[0]
    fivefold = bands(frame({"C0": np.repeat(single, 5).tolist()}, per_task=5), rng=rng()).iloc[0]
    assert fivefold["n_faults"] == 500 and fivefold["n_problems"] == 100
    assert (fivefold["low"], fivefold["high"]) == pytest.approx((alone["low"], alone["high"]), abs=1e-9)


def test_seeds_are_averaged_before_faults():
    both = pd.concat([frame({"C0": [0.0, 0.0]}, seed=0), frame({"C0": [1.0, 1.0]}, seed=1)])
    row = bands(both, rng=rng()).iloc[0]
    assert row["estimate"] == row["low"] == row["high"] == 0.5
    assert row["n_seeds"] == 2 and row["sd_seeds"] == pytest.approx(np.sqrt(0.5))


def test_pairing_takes_the_difficulty_of_faults_out():
    hard = rng().random(300)
    table = compare(frame({"C0": hard.tolist(), "C3": (hard + 0.01).tolist()}), rng=rng())
    row = table.iloc[0]
    assert (row["estimate"], row["low"], row["high"]) == pytest.approx((0.01, 0.01, 0.01))
    assert row["p"] == pytest.approx(2 / 2001) and row["note"] == ""


def test_no_difference_has_p_one():
    row = compare(frame({"C0": [0.0, 1.0, 1.0], "C3": [0.0, 1.0, 1.0]}), rng=rng()).iloc[0]
    assert (row["estimate"], row["low"], row["high"], row["p"], row["p_holm"]) == (0, 0, 0, 1, 1)


def test_p_value_agrees_with_the_normal_one():
    difference = rng().normal(0, 1, 400)
    difference = difference - difference.mean() + 0.1 * difference.std()  # z = 0.1 * sqrt(400) = 2
    row = compare(frame({"C0": [0.0] * 400, "C3": difference.tolist()}), rng=rng()).iloc[0]
    assert row["p"] == pytest.approx(0.0455, abs=0.012)


def test_p_value_and_interval_say_the_same():
    for shift in (0.05, 0.1, 0.15, 0.2):
        values = (rng().normal(0, 1, 300) + shift).tolist()
        row = compare(frame({"C0": [0.0] * 300, "C3": values}), rng=rng()).iloc[0]
        assert (row["p"] < 0.05) == (row["low"] > 0)


def test_holm_by_hand_and_nan():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, np.nan, 0.04])[[0, 2]] == pytest.approx([0.02, 0.04])
    assert np.isnan(holm([np.nan])).all()


def test_holm_is_taken_within_a_family():
    data = frame({"C0": [0.0] * 40, "C2": [0.0, 0.1] * 20, "C3": [0.1, -0.09] * 20})
    two = pd.concat([data, data.assign(student="B")])
    whole, each = compare(two, rng=rng()), compare(two, rng=rng(), family=["student"])
    first = whole.set_index(["student", "condition"])["p"]["A", "C2"]
    assert whole.set_index(["student", "condition"])["p_holm"]["A", "C2"] == pytest.approx(4 * first)
    assert each.set_index(["student", "condition"])["p_holm"]["A", "C2"] == pytest.approx(2 * first)


def test_same_seed_same_table_in_any_row_order():
    values = {name: rng().random(60).round(2).tolist() for name in ("C0", "C2", "C3")}
    data = frame(values, per_task=3)
    shuffled = data.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(compare(data, rng=rng()), compare(shuffled, rng=rng()), check_exact=False)
    assert compare(data, rng=rng())["p"].tolist() == compare(shuffled, rng=rng())["p"].tolist()
    assert compare(data, rng=rng()).equals(compare(data, rng=rng()))


def test_a_cell_without_baseline_is_said_and_not_counted():
    data = pd.concat([frame({"C0": [0.0] * 9, "C3": [0.1, 0.2, 0.3] * 3}), frame({"C5": [1.0] * 9}).assign(n_real=0)])
    table = compare(data, rng=rng()).set_index("condition")
    assert np.isnan(table.loc["C5", "estimate"]) and table.loc["C5", "note"] == "no C0 in this cell"
    assert table.loc["C3", "p_holm"] == table.loc["C3", "p"]


def test_other_seeds_are_noted():
    data = pd.concat([frame({"C0": [0.0] * 4}), frame({"C3": [0.5] * 4}, seed=1)])
    assert "seeds differ" in compare(data, rng=rng())["note"].item()


def test_arms_keep_generators_apart():
    base, other = frame({"C0": [0.0] * 4}).assign(generator=""), frame({"C3": [0.5] * 4})
    data = pd.concat([base, other.assign(generator="g1"), other.assign(generator="g2")])
    with pytest.raises(StudyError, match="two rows for .*condition=C3.*fault_id=f0"):
        compare(data, rng=rng())
    assert compare(data, rng=rng(), arms=["condition", "generator"])["generator"].tolist() == ["g1", "g2"]


def test_bad_frames_say_what_to_do():
    data = frame({"C0": [0.0] * 4, "C3": [0.5] * 4})
    with pytest.raises(StudyError, match="3 faults against 4.*finish the grid"):
        compare(data.iloc[:-1], rng=rng())
    with pytest.raises(StudyError, match="no column 'top9'"):
        bands(data, rng=rng(), metric="top9")
    with pytest.raises(StudyError, match="empty value"):
        bands(data.assign(top1=np.nan), rng=rng())
    with pytest.raises(StudyError, match="needs 'C0' and another"):
        compare(data[data["condition"] == "C0"], rng=rng())


RATIO = Measure("ratio", "hits", "tries", "pair_id", "pairs")


def pairs(condition: str, hits: list[int], tries: list[int], seed: int = 0) -> pd.DataFrame:
    rows = [(f"t{number}", f"p{number}", *each) for number, each in enumerate(zip(hits, tries, strict=True))]
    names = pd.DataFrame(rows, columns=["task_id", "pair_id", "hits", "tries"])
    return names.assign(student="A", condition=condition, n_real=8, seed=seed)


def test_a_ratio_is_that_of_the_sums_after_averaging_over_seeds():
    row = bands(pd.concat([pairs("C0", [2, 0], [2, 4]), pairs("C0", [0, 0], [2, 0], seed=1)]), rng=rng(), metric=RATIO)
    row = row.iloc[0]
    assert row["metric"] == "ratio" and row["estimate"] == 0.25  # (1 + 0) / (2 + 2), not the mean of 1/2 and 0
    assert (row["low"], row["high"]) == (0, 0.5)  # one problem twice
    assert row["sd_seeds"] == pytest.approx(np.std([2 / 6, 0], ddof=1))
    assert (row["n_pairs"], row["n_problems"], row["n_seeds"]) == (2, 2, 2) and "n_faults" not in row


def test_a_difference_of_ratios_is_taken_in_the_same_draws():
    hits, tries = [1, 2, 3, 0] * 5, [2, 2, 4, 2] * 5
    doubled = pd.concat([pairs("C0", hits, tries), pairs("C3", [2 * hit for hit in hits], tries)])
    ours = compare(doubled, rng=rng(), metric=RATIO).iloc[0]
    alone = bands(pairs("C0", hits, tries), rng=rng(), metric=RATIO).iloc[0]
    assert ours["estimate"] == pytest.approx(0.6) and ours["n_pairs"] == 20
    # twice a ratio minus itself is the ratio, in every draw
    assert (ours["low"], ours["high"]) == pytest.approx((alone["low"], alone["high"]))
    scaled = pd.concat([pairs("C0", hits, tries), pairs("C3", [3 * hit for hit in hits], [3 * n for n in tries])])
    same = compare(scaled, rng=rng(), metric=RATIO).iloc[0]
    assert (same["estimate"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)  # other sums, the same ratio


def test_a_ratio_needs_both_columns_and_the_same_pairs():
    data = pairs("C0", [1, 1], [1, 2])
    with pytest.raises(StudyError, match="no column 'tries'"):
        bands(data.drop(columns="tries"), rng=rng(), metric=RATIO)
    with pytest.raises(StudyError, match="column 'tries' has an empty value"):
        bands(data.assign(tries=np.nan), rng=rng(), metric=RATIO)
    with pytest.raises(StudyError, match="1 pairs against 2"):
        compare(pd.concat([data, pairs("C3", [1], [1])]), rng=rng(), metric=RATIO)


def test_nothing_over_nothing_is_no_estimate():
    row = bands(pairs("C0", [0, 0], [0, 0]), rng=rng(), metric=RATIO).iloc[0]
    assert np.isnan([row["estimate"], row["low"], row["high"]]).all()


def test_helpers_by_hand():
    assert interval(np.arange(1.0, 101.0)) == (3.0, 98.0)
    assert interval(np.array([1.0, np.inf, np.nan])) == (1.0, np.inf)
    assert two_sided_p(np.ones(99)) == pytest.approx(0.02) and two_sided_p(np.zeros(99)) == 1
    assert np.isnan(two_sided_p(np.array([np.nan])))


def test_the_whole_study_takes_seconds():
    values = {f"C{number}": rng().random(400).tolist() for number in range(8)}
    data = pd.concat([frame(values, seed=seed, per_task=3) for seed in range(10)])
    start = time.process_time()
    statistics.compare(data, rng=rng(), draws=DRAWS)
    assert time.process_time() - start < 15
