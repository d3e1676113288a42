"""Ranking metrics against values worked out by hand and against every order of the ties, enumerated."""

from __future__ import annotations

import time
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from llmexp_utils.errors import StudyError
from llmexp_utils.metrics import (
    RANKING,
    choose_threshold,
    first_position,
    line_counts,
    line_metrics,
    line_probabilities,
    per_fault,
    random_floor,
    summarise,
)


def frame(*rows: tuple[list[float], list[int]], **columns: object) -> pd.DataFrame:
    scores, lines = zip(*rows, strict=True)
    names = [f"f{number}" for number in range(len(rows))]
    return pd.DataFrame({"fault_id": names, "scores": scores, "lines": lines, **columns})


def metrics(scores: list[float], lines: list[int]) -> dict[str, float]:
    return per_fault(frame((scores, lines)))[list(RANKING)].iloc[0].to_dict()


def test_without_ties():
    got = metrics([0.1, 0.7, 0.9, 0.3, 0.2, 0.0], [2, 5])  # ranks 2 and 4 of 6
    assert (got["top1"], got["top3"], got["top5"]) == (0, 1, 1)
    assert got["first_rank"] == 2 and got["average_rank"] == 3 and got["reciprocal_rank"] == 0.5
    assert got["average_precision"] == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert got["exam"] == pytest.approx(2 / 6)


def test_tie_of_three_with_one_labelled():
    got = metrics([5.0, 1.0, 1.0, 1.0, 0.0], [3])  # rank 2, 3 or 4, each with chance 1/3
    assert got["top1"] == 0 and got["top3"] == pytest.approx(2 / 3) and got["top5"] == 1
    assert got["first_rank"] == 3 and got["average_rank"] == 3
    assert got["reciprocal_rank"] == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)


def test_labels_in_two_tied_groups_count_the_better_group_first():
    got = metrics([2.0, 2.0, 1.0, 1.0], [2, 3])  # rank 1 or 2, then rank 3 or 4
    assert got["top1"] == 0.5 and got["first_rank"] == 1.5 and got["average_rank"] == 2.5
    assert got["average_precision"] == pytest.approx(((1 + 1 / 2) / 2 + (2 / 3 + 2 / 4) / 2) / 2)


def test_first_position_is_a_distribution():
    assert first_position(4, 2) == pytest.approx((1 / 2, 1 / 3, 1 / 6))
    assert sum(first_position(40, 3)) == pytest.approx(1)


def enumerated(scores: list[float], lines: list[int]) -> dict[str, float]:
    """Mean of each metric over every order of the lines that agrees with the scores."""
    found = []
    for order in permutations(range(len(scores))):
        if any(scores[one] < scores[two] for one, two in zip(order, order[1:], strict=False)):
            continue
        ranks = sorted(order.index(line - 1) + 1 for line in lines)
        row = {f"top{k}": float(ranks[0] <= k) for k in (1, 3, 5)}
        row |= {"first_rank": ranks[0], "average_rank": np.mean(ranks), "reciprocal_rank": 1 / ranks[0]}
        row["average_precision"] = np.mean([(place + 1) / rank for place, rank in enumerate(ranks)])
        found.append(row | {"exam": ranks[0] / len(scores)})
    return pd.DataFrame(found).mean().to_dict()


def test_every_metric_equals_the_mean_over_all_orders():
    rng = np.random.default_rng(3)
    for _ in range(25):
        size = int(rng.integers(1, 8))
        scores = rng.integers(0, 3, size).astype(float).tolist()
        lines = sorted(rng.choice(size, int(rng.integers(1, size + 1)), replace=False) + 1)
        assert metrics(scores, lines) == pytest.approx(enumerated(scores, lines))


def test_average_precision_agrees_with_scikit_learn_without_ties():
    scores = np.random.default_rng(0).permutation(20).astype(float)
    labels = np.isin(np.arange(1, 21), [3, 9, 17])
    expected = average_precision_score(labels, scores)
    assert metrics(scores, [3, 9, 17])["average_precision"] == pytest.approx(expected)


def test_constant_scores_are_the_random_floor():
    predictions = frame(([0.0] * 6, [1]), ([0.0] * 4, [2, 3]), n_lines=[6, 4])
    again = pd.concat([predictions, predictions])
    pd.testing.assert_frame_equal(random_floor(again)[list(RANKING)], per_fault(predictions)[list(RANKING)])


def test_random_floor_by_hand():
    faults = pd.DataFrame({"fault_id": ["a", "b"], "code": ["x\n" * 10, "x\n" * 2], "lines": [[4], [1, 2]]})
    floor = random_floor(faults)
    assert floor["top1"].tolist() == pytest.approx([0.1, 1])
    assert floor["top3"].tolist() == pytest.approx([0.3, 1])
    assert floor["first_rank"].tolist() == pytest.approx([5.5, 1])
    assert floor["reciprocal_rank"][0] == pytest.approx(sum(1 / rank for rank in range(1, 11)) / 10)
    assert floor["average_precision"][1] == 1


def test_minus_infinity_is_ranked_last_and_never_flagged():
    predictions = frame(([1.0, -np.inf, -np.inf], [3]), threshold=[0.1])
    assert per_fault(predictions)["first_rank"].item() == 2.5
    assert line_counts(predictions)[["tp", "fp", "fn"]].values.tolist() == [[0, 1, 1]]


def test_summary_counts_a_fault_once():
    predictions = frame(([1.0, 0.0], [1]), ([1.0, 0.0], [1]), ([1.0, 0.0], [2]), condition=["C0"] * 3)
    predictions["fault_id"] = ["a", "a", "b"]
    row = summarise(per_fault(predictions)).iloc[0]
    assert (row["n_faults"], row["top1"], row["mfr"], row["mrr"]) == (2, 0.5, 1.5, 0.75)


def test_probabilities_sum_to_one_for_any_scores():
    first, second = line_probabilities(frame(([1000.0, 1000.0], [1]), ([0.0, np.log(3)], [1])))
    assert first.tolist() == [0.5, 0.5] and second.tolist() == pytest.approx([0.25, 0.75])


def test_line_metrics_by_hand():
    even = [0.0, 0.0]
    predictions = frame((even, [1]), ([9.0, 0.0], [2]), ([9.0, 0.0], [1]), threshold=0.5)
    predictions["run_id"] = ["r", "r", "s"]
    table = line_metrics(predictions).set_index("run_id")
    assert table.loc["r", ["tp", "fp", "fn"]].tolist() == [1, 2, 1]
    assert table.loc["r", ["precision", "recall", "f1"]].tolist() == pytest.approx([1 / 3, 1 / 2, 0.4])
    assert table.loc["s", ["precision", "recall", "f1"]].tolist() == [1, 1, 1]


def test_no_line_flagged_is_zero_not_an_error():
    table = line_metrics(frame(([0.0, 0.0], [1]), threshold=0.9, run_id="r"))
    assert table[["precision", "recall", "f1"]].values.tolist() == [[0, 0, 0]]


def test_threshold_is_the_one_with_the_best_f1():
    dev = frame(([np.log(8), 0.0, 0.0], [1]), ([np.log(2), 0.0], [1]), ([0.0, 0.0, 0.0], [2]))
    # probabilities: .8 .1 .1 | .67 .33 | .33 .33 .33 ; flagging the two best lines: P = 1, R = 2/3, F1 = .8
    threshold = choose_threshold(dev)
    assert threshold == pytest.approx(2 / 3)

    def f1(value: float) -> float:
        return line_metrics(dev.assign(threshold=value, run_id="r"))["f1"].item()

    assert f1(threshold) == max(map(f1, np.linspace(0.01, 1, 60))) == pytest.approx(0.8)


def test_of_equally_good_thresholds_the_highest_is_taken():
    probabilities = [0.9, 0.1], [0.45, 0.35, 0.2]  # F1 = 2/3 with one line flagged, and with four
    dev = frame((np.log(probabilities[0]).tolist(), [1]), (np.log(probabilities[1]).tolist(), [3]))
    assert choose_threshold(dev) == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (([], [1]), "no scores"),
        (([0.1, float("nan")], [1]), "NaN"),
        (([0.1], []), "no labelled line"),
        (([0.1, 0.2], [3]), "outside"),
        (([0.1, 0.2], [0]), "1-based"),
    ],
)
def test_bad_predictions_are_refused_by_name(row, message):
    with pytest.raises(StudyError, match=message) as error:
        per_fault(frame(([1.0], [1]), row))
    assert "'f1'" in str(error.value) and "\n" not in str(error.value)


def test_scores_must_match_the_number_of_lines():
    with pytest.raises(StudyError, match="n_lines"):
        per_fault(frame(([0.1, 0.2], [1]), n_lines=[3]))


def test_empty_frame_keeps_its_columns():
    empty = per_fault(frame(([1.0], [1])).iloc[:0])
    assert empty.empty and set(RANKING) <= set(empty.columns)


def test_sixty_thousand_predictions_take_seconds():
    rng = np.random.default_rng(0)
    scores = [rng.random(size).round(2) for size in rng.integers(4, 25, 60_000)]
    lines = [[int(rng.integers(1, len(row) + 1))] for row in scores]
    predictions = pd.DataFrame({"fault_id": "f", "scores": scores, "lines": lines})
    start = time.process_time()
    per_fault(predictions)
    assert time.process_time() - start < 20
