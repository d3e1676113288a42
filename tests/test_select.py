"""Score and its statistics by hand, the four ways to choose, duplicates, hygiene and diversity."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from llmexp_utils import select
from llmexp_utils.diversity import diversity, edit_kind, mean_diversity
from llmexp_utils.errors import StudyError
from llmexp_utils.select import choose, deduplicate, hygiene, score, statistics

CORRECT = "def f(a, b):\n    c = a + b\n    return c\n"
ONE_LINE = "def f(a, b):\n    c = a - b\n    return c\n"
TWO_LINES = "def f(a, b):\n    c = a * b\n    return a\n"
LONGER = "def f(a, b):\n    c = a + b\n    c = c + 1\n    return c\n"


def embed(texts: list[str]) -> np.ndarray:
    """Text to (number of minus signs, 1): angles that one can compute by hand."""
    return np.array([[text.count("-"), 1.0] for text in texts])


@pytest.fixture
def faults() -> pd.DataFrame:
    codes = [ONE_LINE, TWO_LINES, LONGER]
    frame = pd.DataFrame({"fault_id": ["x", "y", "z"], "task_id": ["t/0", "t/0", "t/1"], "code": codes})
    return frame.assign(correct=CORRECT)


def stats(lines: list[int], distances: list[int], similarities: list[float], **more: list) -> pd.DataFrame:
    columns = {"lines_changed": lines, "line_count": [10] * len(lines), "edit_distance": distances}
    return pd.DataFrame({**columns, "similarity": similarities, **more})


def test_statistics_by_hand(faults: pd.DataFrame) -> None:
    found = statistics(faults, embed)
    assert found.lines_changed.tolist() == [1, 2, 1]
    assert found.line_count.tolist() == [3, 3, 4]
    assert found.edit_distance.tolist() == [1, 2, len("    c = c + 1\n")]
    assert found.similarity.tolist() == pytest.approx([1 / np.sqrt(2), 1.0, 1.0], abs=1e-6)
    assert "similarity" not in faults


def test_statistics_embeds_each_text_once(faults: pd.DataFrame) -> None:
    calls: list[list[str]] = []
    statistics(faults, lambda texts: calls.append(texts) or embed(texts))
    assert calls == [[CORRECT, ONE_LINE, TWO_LINES, LONGER]]


def test_statistics_of_many_faults_are_those_of_few(faults: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []
    whole = statistics(faults, embed)
    monkeypatch.setattr(select, "EMBEDDED_AT_ONCE", 2)
    in_parts = statistics(faults, lambda texts: calls.append(texts) or embed(texts))
    pd.testing.assert_frame_equal(in_parts, whole)
    assert calls == [[CORRECT, ONE_LINE, TWO_LINES], [CORRECT, LONGER]]


def test_statistics_refuses_bad_embeddings(faults: pd.DataFrame) -> None:
    with pytest.raises(StudyError, match="it must be"):
        statistics(faults, lambda texts: np.ones((1, 2)))
    with pytest.raises(StudyError, match="zero or not finite"):
        statistics(faults, lambda texts: np.zeros((len(texts), 2)))
    with pytest.raises(StudyError, match="needs the column.* correct"):
        statistics(faults.drop(columns="correct"), embed)


def test_statistics_of_no_faults_has_the_columns(faults: pd.DataFrame) -> None:
    assert {"lines_changed", "edit_distance", "similarity"} <= set(statistics(faults.head(0), embed).columns)


def test_score_by_hand() -> None:
    real = stats([1, 3], [10, 30], [0.9, 0.7])  # averages 2, 20, 0.8
    found = score(stats([2, 1, 4], [20, 10, 20], [0.8, 0.8, 0.4]), real)
    assert found.tolist() == pytest.approx([0.0, 0.5 + 0.5, 1.0 + 0.5])


def test_score_with_line_count() -> None:
    real, fault = stats([1], [10], [1.0]), stats([9], [10], [1.0]).assign(line_count=15)
    assert score(fault, real, lines="line_count").tolist() == pytest.approx([0.5])
    assert score(fault, real).tolist() == pytest.approx([8.0])


@pytest.mark.parametrize("real", [stats([1], [0], [1.0]), stats([], [], []), stats([1], [1], [np.nan])])
def test_score_names_an_average_it_cannot_divide_by(real: pd.DataFrame) -> None:
    with pytest.raises(StudyError, match="the average .* reference faults is"):
        score(stats([1], [1], [1.0]), real)


def test_score_names_missing_columns_and_readings() -> None:
    fault = stats([1], [1], [1.0])
    with pytest.raises(StudyError, match="edit_distance"):
        score(fault.drop(columns="edit_distance"), fault)
    with pytest.raises(StudyError, match="reference.*similarity"):
        score(fault, fault.drop(columns="similarity"))
    with pytest.raises(StudyError, match="unknown reading"):
        score(fault, fault, lines="lines")  # type: ignore[arg-type]


REAL = stats([1], [10], [1.0])
POOL = stats(
    [1] * 6,
    [10, 11, 12, 12, 15, 30],
    [1.0] * 6,
    fault_id=["f", "e", "d", "c", "b", "a"],
    task_id=["t/0", "t/0", "t/0", "t/1", "t/2", "t/2"],
)


def test_choose_by_score_takes_the_lowest_and_breaks_ties_by_id() -> None:
    chosen = choose(POOL, 4, "score", REAL)
    assert chosen.fault_id.tolist() == ["f", "e", "c", "d"]
    assert chosen.score.tolist() == pytest.approx([0.0, 0.1, 0.2, 0.2])
    assert chosen.index.tolist() == [0, 1, 2, 3]


def test_choose_stratified_takes_every_problem_in_turn() -> None:
    chosen = choose(POOL, 5, "stratified", REAL)
    assert chosen.fault_id.tolist() == ["f", "c", "b", "e", "a"]
    assert chosen.task_id.nunique() == 3 > choose(POOL, 3, "score", REAL).task_id.nunique()
    assert set(chosen.columns) == set(POOL.columns) | {"score"}


def test_choose_at_random_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    draws = [choose(frame, 3, "random", rng=np.random.default_rng(7)) for frame in (POOL, POOL[::-1])]
    pd.testing.assert_frame_equal(*draws)
    orders = {tuple(choose(POOL, 3, "random", rng=np.random.default_rng(seed)).fault_id) for seed in range(20)}
    assert len(orders) > 10


@pytest.mark.parametrize("how", ["score", "stratified", "random"])
def test_smaller_choices_are_prefixes_of_larger_ones(how: str) -> None:
    choices = [choose(POOL, n, how, REAL, np.random.default_rng(0)).fault_id.tolist() for n in range(7)]
    assert all(choices[n] == choices[6][:n] for n in range(7))


@pytest.mark.parametrize("how", ["score", "stratified", "random", "all"])
def test_choose_gives_no_more_than_there_are(how: str) -> None:
    for n in (100, None):
        assert sorted(choose(POOL, n, how, REAL, np.random.default_rng(0)).fault_id) == list("abcdef")
    assert len(choose(POOL.head(0), 3, how, REAL, np.random.default_rng(0))) == 0


def test_choose_all_ignores_n() -> None:
    assert choose(POOL, 2, "all").fault_id.tolist() == list("abcdef")


def test_choose_says_what_is_missing() -> None:
    for arguments, message in [
        ((POOL, 1, "best"), "unknown way"),
        ((POOL, -1, "all"), "zero or more"),
        ((POOL, 1, "score"), "needs reference"),
        ((POOL, 1, "random"), "needs rng"),
        ((POOL.assign(fault_id="same"), 1, "all"), "not unique"),
        ((POOL.drop(columns="task_id"), 1, "stratified", REAL), "task_id"),
    ]:
        with pytest.raises(StudyError, match=message):
            choose(*arguments)


def test_deduplicate_ignores_layout_and_counts_each_reason() -> None:
    other_layout = ONE_LINE.replace("a - b", "a  -  b").replace("f(a, b)", "f( a, b )")
    codes = [ONE_LINE, TWO_LINES, other_layout, LONGER, LONGER]
    frame = pd.DataFrame({"fault_id": list("abcde"), "code": codes})
    kept, funnel = deduplicate(frame)
    assert kept.fault_id.tolist() == ["a", "b", "d"]
    assert dict(funnel.values) == {"same as a reserved fault": 0, "repeated": 2, "kept": 3}
    kept, funnel = deduplicate(frame, reserved=pd.DataFrame({"code": [other_layout]}))
    assert kept.fault_id.tolist() == ["b", "d"]
    assert dict(funnel.values) == {"same as a reserved fault": 2, "repeated": 1, "kept": 2}


def test_deduplicate_of_text_that_is_no_program() -> None:
    kept, _ = deduplicate(pd.DataFrame({"code": ["def f(:\n  '", "def f(:\n  '", "def g(:\n  '"]}))
    assert len(kept) == 2


def test_hygiene_by_hand() -> None:
    correct = "def f(a):\n" + "".join(f"    x{n} = {n}\n" for n in range(5)) + "    return a\n"
    three, four = (
        "".join(line.replace("=", "= 1 +") if row <= n else line for row, line in enumerate(lines))
        for n, lines in ((3, correct.splitlines(True)), (4, correct.splitlines(True)))
    )
    codes = [three, four, correct, correct.replace("= 0", "=  0"), "def f(a:\n"]
    frame = pd.DataFrame({"fault_id": list("abcde"), "code": codes, "correct": correct})
    kept, funnel = hygiene(frame)
    assert kept.fault_id.tolist() == ["a"]
    assert dict(funnel.values) == {
        "does not parse": 1,
        "unchanged": 2,
        "touches more than 3 lines": 1,
        "kept": 1,
    }
    assert hygiene(frame, max_lines=4)[0].fault_id.tolist() == ["a", "b"]
    assert hygiene(frame.head(0))[1]["count"].sum() == 0


def test_edit_kind_forgets_names_and_values() -> None:
    assert edit_kind("f(1)\n", "f(22)\n") == edit_kind("g(3.5)\n", "g(0)\n") == "NUMBER -> NUMBER"
    assert edit_kind("f('a')\n", 'f("")\n') == "TEXT -> TEXT"
    assert edit_kind("a and b\n", "a or b\n") == "and -> or"
    assert edit_kind("a = b - 1\n", "a = b\n") == "- NUMBER ->"


def test_diversity_by_hand() -> None:
    frame = pd.DataFrame(
        {
            "task_id": ["t/0", "t/0", "t/1", "t/1"],
            "correct": [CORRECT] * 4,
            "code": [ONE_LINE, ONE_LINE, ONE_LINE.replace("-", "*"), CORRECT.replace("return c", "return a")],
            "lines": [[2], [2], [2], [3]],
        }
    )
    found = diversity(frame)
    assert found["faults"] == 4
    # Tokens: three times (c = a ? b) with two different operators, and once (return a).
    assert found["distinct_1"] == pytest.approx(len({"c", "=", "a", "-", "b", "*", "return"}) / 17)
    assert found["distinct_2"] == pytest.approx((4 + 2 + 1) / 13)
    assert found["edit_kinds"] == 3
    assert found["edit_kind_entropy"] == pytest.approx(1.5)
    assert found["distinct_functions"] == pytest.approx(0.5)
    assert found["position_entropy"] == pytest.approx(-(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)))


def test_diversity_of_one_and_of_nothing() -> None:
    one = pd.DataFrame({"task_id": ["t"], "correct": [CORRECT], "code": [ONE_LINE], "lines": [[2]]})
    assert diversity(one)["position_entropy"] == 0.0
    with pytest.raises(StudyError, match="at least one row"):
        diversity(one.head(0))


def test_mean_diversity_of_all_faults_is_their_diversity_and_of_fewer_lies_between() -> None:
    codes = [ONE_LINE, ONE_LINE.replace("-", "*"), CORRECT.replace("return c", "return a")]
    frame = pd.DataFrame({"task_id": ["t/0", "t/0", "t/1"], "code": codes, "lines": [[2], [2], [3]]})
    frame = frame.assign(correct=CORRECT)
    rng = np.random.default_rng(0)
    assert mean_diversity(frame, 3, 2, rng) == pytest.approx(diversity(frame))
    pairs = mean_diversity(frame, 2, 50, rng)
    assert pairs["faults"] == 2 and 0.5 < pairs["distinct_functions"] < 1 and pairs["edit_kinds"] == 2
    with pytest.raises(StudyError, match="cannot draw 5 times 4 of 3"):
        mean_diversity(frame, 4, 5, rng)
