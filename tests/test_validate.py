"""From answers to kept faults: verdicts, reasons, funnel, price."""

import pandas as pd
import pytest

from llmexp_utils.benchmarks import Function
from llmexp_utils.errors import StudyError
from llmexp_utils.sandbox import Limits
from llmexp_utils.validate import as_faults, funnel, keep_faults, price, with_verdicts

CORRECT = "def f(x):\n    y = x + 1\n    return y\n"
TEST = "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(5) == 6\n"
FUNCTION = Function("T/0", "f", "", CORRECT, "", TEST)
ANSWERS = [
    ("candidate", CORRECT.replace("+ 1", "- 1")),  # a fault
    ("candidate", CORRECT.replace("+ 1", "-  1").replace("-  1", "- 1")),  # the same fault again
    ("candidate", CORRECT.replace("+ 1", "+ 2")),  # the gold fault
    ("candidate", CORRECT.replace("x + 1", "1 + x")),  # passes
    ("candidate", CORRECT.replace("return y", "return z")),  # an exception
    ("candidate", "def f(x):\n    a = 0\n    b = 0\n    c = 0\n    d = 0\n    return a\n"),  # too large
    ("does not parse", ""),
    ("no answer", ""),
    ("unchanged", ""),
    ("renamed or new imports", ""),
]


@pytest.fixture(scope="module")
def candidates():
    rows = [
        {
            "candidate_id": f"c{number}",
            "task_id": "T/0",
            "generator": "gen",
            "form": "line",
            "policy": "uniform",
            "sample": number,
            "status": status,
            "code": code,
            "correct": CORRECT,
            "prompt_tokens": 300,
            "cached_tokens": 260,
            "completion_tokens": 10,
        }
        for number, (status, code) in enumerate(ANSWERS)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def tested(candidates):
    return with_verdicts(as_faults(candidates), [FUNCTION], Limits())


def test_labels_and_verdicts(tested):
    assert tested.lines.tolist()[:2] == [[2], [2]] and tested.lines.tolist()[4] == [3]
    assert tested.verdict.tolist() == ["fail", "fail", "fail", "pass", "error", "fail"]


def test_what_is_dropped_has_a_reason(tested):
    gold = pd.DataFrame({"code": [CORRECT.replace("+ 1", "+ 2")]})
    kept, counts = keep_faults(tested, gold, max_lines=3)
    assert kept.fault_id.tolist() == ["c0", "c4"]
    assert dict(zip(counts.reason, counts["count"], strict=True)) == {
        "does not compile": 0,
        "passes the tests": 1,
        "touches more than 3 lines": 1,
        "same as a reserved fault": 1,
        "repeated": 1,
        "kept": 2,
    }
    assert counts["count"].sum() == len(tested)


def test_an_arm_without_a_failing_answer_keeps_nothing(tested):
    kept, counts = keep_faults(tested[tested.verdict == "pass"], tested.head(0), max_lines=3)
    assert kept.empty and "code" in kept
    assert dict(zip(counts.reason, counts["count"], strict=True)) == {
        "does not compile": 0,
        "passes the tests": 1,
        "kept": 0,
    }


def test_every_drop_of_the_funnel_is_a_stage_of_its_own(candidates, tested):
    kept, _ = keep_faults(tested, pd.DataFrame({"code": [CORRECT.replace("+ 1", "+ 2")]}), max_lines=3)
    stages = funnel(candidates, tested, kept, 3).set_index("stage")["count"].to_dict()
    assert stages == {
        "asked": 10,
        "answered": 9,
        "parses": 8,
        "differs": 7,
        "usable": 6,
        "compiles": 6,
        "fails": 5,
        "small": 4,
        "kept": 2,
    }
    with pytest.raises(StudyError, match="unknown status 'lost'"):
        funnel(candidates.assign(status="lost"), tested, kept, 3)


def test_price_is_counted_in_answers_and_tokens(candidates, tested):
    row = price(candidates, tested.head(2)).iloc[0]
    assert (row.answers, row.kept, row["yield"]) == (10, 2, 0.2)
    assert (row.read_per_kept, row.written_per_kept) == (10 * 40 / 2, 10 * 10 / 2)
    assert price(candidates, tested.head(0)).written_per_kept.isna().all()


def test_a_fault_of_an_unknown_problem_is_one_line(tested):
    with pytest.raises(StudyError, match="no tests for T/0"):
        with_verdicts(tested, [], Limits())
