"""Normalised tokens, their overlap, the clone types and neutral names, on programs that one can count."""

import pytest

from llmexp_utils.clone_types import MODERATE, STRONG, TYPES, clone_type, neutral_names, normal_tokens, overlap

LOOP = "def total(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s\n"


def test_names_of_the_program_and_literals_are_neutral_but_builtins_and_methods_stay():
    one = "def f(words):\n    return max(word.upper() for word in words if word != 'a')\n"
    other = one.replace("f(", "g(").replace("words", "ws").replace("word", "w").replace("'a'", "'bc'")
    assert normal_tokens(one) == normal_tokens(other)
    assert normal_tokens(one) != normal_tokens(one.replace("max", "min"))
    assert normal_tokens(one) != normal_tokens(one.replace("upper", "lower"))


def test_two_variables_that_are_swapped_are_not_the_same():
    assert normal_tokens("def f(a, b):\n    return a - b\n") != normal_tokens("def f(a, b):\n    return b - a\n")


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (LOOP.replace("s ", "result ").replace("return s", "return result"), TYPES[0]),
        (LOOP.replace("        s += x", "        s = s + x"), TYPES[1]),
        ("def total(xs):\n    return sum(xs)\n", TYPES[3]),
    ],
)
def test_known_types(other, expected):
    assert clone_type(LOOP, other) == clone_type(other, LOOP) == expected


def test_the_overlap_counts_each_token_as_often_as_both_have_it():
    assert overlap("f(1, 1)", "f(1)") == pytest.approx(5 / 7)  # f ( 1 ) and the end of the line
    assert 0 < MODERATE < STRONG < 1


def test_neutral_names_keep_what_the_program_does():
    code = "def is_prime(n):\n    return helper(n) and not n.is_prime\n\ndef helper(n):\n    return is_prime(n - 1)\n"
    neutral = neutral_names(code, "is_prime")
    assert neutral == code.replace("is_prime(", "program(").replace("helper(", "helper0(")
    assert neutral_names(neutral, "program") == neutral
