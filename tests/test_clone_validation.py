"""From answers to clones: every reason, the funnel, and what fails."""

import pandas as pd
import pytest

from llmexp_utils.benchmarks import Function
from llmexp_utils.clone_validation import as_programs, clone_funnel, clone_pool, judge
from llmexp_utils.errors import StudyError
from llmexp_utils.sandbox import Limits
from llmexp_utils.validate import with_verdicts

CORRECT = "def f(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s\n"
GOLD = "def f(xs):\n    return sum(xs)\n"
CASES = ("[1, 2]) == 3", "[]) == 0", "[7]) == 7")
TEST = "def check(candidate):\n" + "".join(f"    assert candidate({case}\n" for case in CASES)
FUNCTION = Function("T/0", "f", "", CORRECT, "", TEST)
REDUCE = "def f(xs):\n    return reduce(lambda a, b: a + b, xs, 0)\n"
ANSWERS = [
    ("candidate", REDUCE, ""),
    ("candidate", REDUCE.replace("a, b: a + b", "one, two: one + two"), "repeated"),
    ("candidate", GOLD.replace("xs", "numbers"), "copy of the gold clone"),
    ("candidate", CORRECT.replace("s ", "total ").replace("return s", "return total"), "renamed source"),
    ("candidate", "def f(xs):\n    return {3: 3, 0: 0}.get(len(xs), 1)\n", "fails the tests"),
    ("candidate", "def f(ys):\n    return {3: 3, 0: 0}.get(len(ys), 1)\n", "fails the tests"),
    (
        "candidate",
        "def f(xs):\n    if xs == [1, 2]: return 3\n    if xs == [7]: return 7\n    return len(xs)\n",
        "holds test values",
    ),
    ("unchanged", "", None),
    ("no answer", "", None),
    ("renamed", "", None),
    ("does not parse", "", None),
]


@pytest.fixture(scope="module")
def candidates():
    rows = [
        (
            f"c{number}",
            "T/0",
            "gen",
            "rewrite",
            status,
            "from functools import reduce\n" if "reduce" in code else "",
            code,
        )
        for number, (status, code, _) in enumerate(ANSWERS)
    ]
    return pd.DataFrame(rows, columns=["candidate_id", "task_id", "generator", "form", "status", "preamble", "code"])


@pytest.fixture(scope="module")
def judged(candidates):
    return judge(
        with_verdicts(as_programs(candidates), [FUNCTION], Limits(), name="program_id"), [FUNCTION], {"T/0": GOLD}
    )


def test_every_candidate_has_its_reason(judged):
    assert judged.reason.tolist() == [reason for _, _, reason in ANSWERS if reason is not None]
    assert judged.again.tolist() == [False, True, False, False, False, True, False]


def test_the_funnel_counts_everything_once(candidates, judged):
    counts = clone_funnel(candidates, judged).set_index("stage")["count"].to_dict()
    assert counts == {
        "asked": 11, "answered": 10, "parses": 9, "differs": 8, "usable": 7,
        "passes": 5, "computes": 4, "rewritten": 3, "new": 2, "kept": 1,
    }  # fmt: skip


def test_a_status_that_nobody_counts_is_refused(candidates, judged):
    with pytest.raises(StudyError, match="unknown status 'lost'"):
        clone_funnel(candidates.assign(status="lost"), judged)


def test_the_pool_has_gold_clones_kept_clones_and_each_near_miss_once(judged):
    gold = pd.DataFrame(
        [("T/0/gold", "T/0", "gold", GOLD, CORRECT)], columns=["program_id", "task_id", "source", "code", "correct"]
    )
    pool = clone_pool(gold, judged.assign(correct=CORRECT))
    assert pool.source.tolist() == ["gold", "llm", "llm"] and pool.is_clone.tolist() == [True, True, False]
    assert pool.clone_type.tolist() == ["Type-4", "Type-3 moderate", ""]
    assert not {"reason", "again", "verdict", "detail"} & set(pool)
