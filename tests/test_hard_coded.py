"""Programs that repeat the tests are found; correct ones that share a few values with them are not."""

import pytest

from llmexp_utils.hard_coded import hard_coded, leaks_tests

TEST = """
def check(candidate):
    assert candidate([1, 2], 3) == "yes"
    assert candidate([4], 5) == "no"
    assert candidate([], 0) == "no", "empty"
    assert abs(candidate([9], 9) - 1.5) < 1e-6
"""


@pytest.mark.parametrize(
    "code",
    [
        "def f(xs, n):\n    if xs == [1, 2] and n == 3: return 'yes'\n    if (xs, n) == ([4], 5): return 'no'\n",
        "def f(xs, n):\n    return {'([1, 2], 3)': 'yes'}[str((xs, n))]\n",
    ],
)
def test_a_tuple_of_arguments_must_stand_together(code):
    assert hard_coded(code, TEST) == ("([4], 5)" in code)


def test_a_table_of_answers_leaks():
    test = "assert candidate(5) == 5\nassert candidate(6) == 8\nassert candidate(7) == 13"
    assert leaks_tests("def fib(n):\n    return {5: 5, 6: 8, 7: 13}[n]\n", test)
    assert not leaks_tests(
        "def fib(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n", test
    )


def test_base_cases_are_no_leak():
    test = "assert candidate(0) == 0\nassert candidate(1) == 1\nassert candidate(2) == 1"
    assert hard_coded("def fib(n):\n    return {0: 0, 1: 1, 2: 1}.get(n) or fib(n - 1) + fib(n - 2)\n", test) == 0


def test_what_a_correct_solution_holds_too_is_no_leak():
    test = "assert candidate('I') == 1\nassert candidate('V') == 5\nassert candidate('VI') == 6"
    table = "def roman(s):\n    return sum({'I': 1, 'V': 5}[letter] for letter in s)\n"
    assert hard_coded(table, test) == 2 and hard_coded(table, test, table) == 0


def test_no_gold_solution_or_clone_leaks(functions, gold_clones):
    for function, clone in zip(functions, gold_clones, strict=True):
        assert not leaks_tests(clone.code, function.test, function.code), clone.task_id
