"""The text that a generator reads, and what is made of its answers."""

from llmexp_utils.prompts import (
    Example,
    choose_messages,
    function_messages,
    line_messages,
    read_chosen_lines,
    read_function_answer,
    read_line_answer,
)

CODE = "def f(x):\n    return x + 1\n"
EXAMPLE = Example("t#1", "def g(a):\n    return a\n", "def g(a):\n    return -a\n", "    return a", "    return -a")


def test_line_prompt_word_for_word():
    system, shot, answer, question = line_messages([EXAMPLE], CODE, "    return x + 1")
    assert system["content"].startswith(
        "You help to test debugging tools. You are given a correct Python function and one"
    )
    assert shot == {"role": "user", "content": "```python\ndef g(a):\n    return a\n```\nLine: return a"}
    assert answer == {"role": "assistant", "content": "return -a"}
    assert question == {
        "role": "user",
        "content": "```python\ndef f(x):\n    return x + 1\n```\nLine: return x + 1",
    }


def test_function_prompt_shows_the_pair_and_never_the_label():
    messages = function_messages([EXAMPLE, EXAMPLE], CODE)
    assert [message["role"] for message in messages] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert messages[2]["content"] == "```python\ndef g(a):\n    return -a\n```"
    assert messages[-1]["content"] == "```python\ndef f(x):\n    return x + 1\n```"


def test_requests_of_one_function_differ_only_at_the_end():
    one, other = (line_messages([EXAMPLE], CODE, line)[-1]["content"] for line in CODE.splitlines())
    assert one[: one.index("Line:")] == other[: other.index("Line:")]


def test_choose_prompt_numbers_the_lines():
    assert "1: def f(x):\n2:     return x + 1\n" in choose_messages(CODE, 2)[-1]["content"]


def test_a_line_answer_takes_the_place_and_the_indentation_of_the_line():
    expected = "def f(x):\n    return x - 1\n"
    assert read_line_answer("return x - 1", CODE, 2) == expected
    assert read_line_answer("```python\n        return x - 1\n```\nbecause", CODE, 2) == expected
    assert read_line_answer("`return x - 1`", CODE, 2) == expected
    assert read_line_answer(" \n```\n", CODE, 2) is None


def test_a_function_answer_is_the_first_fence_that_holds_a_def():
    assert read_function_answer("Sure!\n```python\ndef f(x):\n    return x\n```\nbye") == "def f(x):\n    return x\n"
    assert read_function_answer("def f(x):\n    return x") == "def f(x):\n    return x"
    assert read_function_answer("```python\ndef f(x):\n    return x") == "def f(x):\n    return x"  # cut by max_tokens
    assert read_function_answer("I cannot do that.") is None


def test_chosen_lines_keep_their_order_and_drop_what_is_no_line():
    assert read_chosen_lines("Lines 4, 2, 4 and 17", 5) == [4, 2]
    assert read_chosen_lines("none", 5) == []
