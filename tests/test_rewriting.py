"""Rule-based clones: each rule on a function that one can read, and what they do to real ones."""

import numpy as np
import pandas as pd
import pytest

from llmexp_utils import rewrite_rules as rules
from llmexp_utils.code import normalise
from llmexp_utils.errors import StudyError
from llmexp_utils.rewriting import RULES, rename_variables, rewrite, rule_programs, sample_rewrites
from llmexp_utils.sandbox import Limits
from llmexp_utils.source_edits import Source, apply
from llmexp_utils.validate import with_verdicts

LOOP = "def f(xs):\n    r = []\n    for x in xs:\n        if x > 1:\n            r.append(x * 2)\n    return r\n"
CASES = [
    (rules.swapped_operands, "def f(a, b):\n    return a < b\n", "def f(a, b):\n    return b > a\n"),
    (rules.swapped_operands, "def f(a, b):\n    return (a + 1) * b\n", "def f(a, b):\n    return (b) * (a + 1)\n"),
    (
        rules.loop_as_while,
        "def f(xs):\n    for i, x in enumerate(xs):\n        if x:\n            continue\n        print(i)\n",
        (
            "def f(xs):\n    items_0 = list(enumerate(xs))\n    at_0 = 0\n    while at_0 < len(items_0):\n"
            "        i, x = items_0[at_0]\n        at_0 += 1\n        if x:\n            continue\n        print(i)\n"
        ),
    ),
    (
        rules.comprehension_as_loop,
        "def f(xs):\n    return [x + y for x in xs if x for y in x]\n",
        (
            "def f(xs):\n    built_2 = []\n    for x in xs:\n        if x:\n            for y in x:\n"
            "                built_2.append(x + y)\n    return built_2\n"
        ),
    ),
    (rules.loop_as_comprehension, LOOP, "def f(xs):\n    r = [x * 2 for x in xs if x > 1]\n    return r\n"),
    (
        rules.inverted_condition,
        "def f(x):\n    if x:\n        return 1\n    else:\n        return 2\n",
        "def f(x):\n    if not (x):\n        return 2\n    else:\n        return 1\n",
    ),
    (rules.inverted_condition, "def f(x):\n    return 1 if x else 2\n", "def f(x):\n    return 2 if not (x) else 1\n"),
    (rules.long_assignment, "def f(x):\n    x[0] -= 1 + 2\n", "def f(x):\n    x[0] = x[0] - (1 + 2)\n"),
    (rules.named_result, "def f(x):\n    return x + 1\n", "def f(x):\n    outcome = x + 1\n    return outcome\n"),
    (rules.dead_code, "def f(x):\n    return x\n", "def f(x):\n    unused_2 = 2\n    return x\n"),
]


@pytest.mark.parametrize(("rule", "before", "after"), CASES, ids=[case[0].__name__ for case in CASES])
def test_each_rule(rule, before, after):
    (edit,) = rule(Source.read(before))
    assert normalise(apply(before, edit)).code == normalise(after).code


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (rules.loop_as_comprehension, LOOP.replace("x > 1", "r")),  # it reads what it builds
        (rules.loop_as_while, "def f(xs):\n    for x in xs:\n        pass\n    else:\n        return 1\n"),
        (rules.inverted_condition, "def f(x):\n    if x:\n        return 1\n    elif x > 2:\n        return 2\n"),
        (rules.named_result, "def f(x):\n    return x\n"),
    ],
)
def test_where_a_rule_would_be_wrong_it_finds_no_place(rule, code):
    assert list(rule(Source.read(code))) == []


def test_new_names_are_consistent_and_spare_functions_builtins_attributes_and_keywords():
    code = "def f(xs, key=None):\n    size = len(xs)\n    xs.size = size\n    return sorted(xs, key=key)\n"
    new = rename_variables(code, np.random.default_rng(0))
    assert new.startswith("def f(") and "len(" in new and ".size =" in new and "key=key" in new
    assert "xs" not in new and normalise(new).code.count("\n") == 4


def test_a_rewriting_uses_several_rules_and_is_drawn_by_its_seed():
    one, again, other = (rewrite(LOOP, 3, np.random.default_rng(seed)) for seed in (0, 0, 5))
    assert one == again != other
    assert len(set(one[1])) == 3 and set(one[1]) <= set(RULES)


@pytest.fixture(scope="module")
def programs(functions):
    rows = [(function.task_id, function.task_id, function.code, function.code) for function in functions]
    return pd.DataFrame(rows, columns=["program_id", "task_id", "code", "correct"])


def test_rewritten_functions_differ_and_nearly_all_pass_their_tests(programs, functions):
    frame = sample_rewrites(programs[:40], per_source=2, n_rules=3, seed=0)
    assert frame.program_id.is_unique and frame.task_id.nunique() == 40
    assert sample_rewrites(programs[5:6], 2, 3, 0).code.tolist() == frame[frame.task_id == "HumanEval/5"].code.tolist()
    tested = with_verdicts(frame, functions, Limits(), name="program_id")
    assert (tested.verdict == "pass").mean() > 0.9, tested[tested.verdict != "pass"].code.tolist()


def test_correct_functions_and_their_faulty_variants_are_rewritten_alike(functions):
    code = functions[0].code
    wrong = [(f"HumanEval/0#{n}", "HumanEval/0", code.replace("<", ">"), code) for n in range(3)]
    faults = pd.DataFrame(wrong, columns=["fault_id", "task_id", "code", "correct"])
    frame = rule_programs(functions[:2], faults, per_function=2, n_rules=2, seed=0)
    assert set(frame.source) == {"rule"} and frame.program_id.is_unique
    of_faults = frame[frame.program_id.str.contains("#")]
    assert of_faults.program_id.str.rpartition("/rule/")[0].tolist() == ["HumanEval/0#0", "HumanEval/0#1"]
    assert (of_faults.correct == code).all() and len(frame) - len(of_faults) == 4


def test_numbers_below_one_are_refused(programs):
    with pytest.raises(StudyError, match="at least 1"):
        sample_rewrites(programs[:1], 0, 1, 0)
