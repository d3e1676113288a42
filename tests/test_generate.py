"""From requests to candidates: what is asked, replayed, recorded and read."""

import numpy as np
import pandas as pd
import pytest

from llmexp_utils import asking, generate, line_policies
from llmexp_utils.benchmarks import Function
from llmexp_utils.errors import StudyError
from llmexp_utils.llm import Answer
from llmexp_utils.prompts import Example
from llmexp_utils.recordings import Recordings

CODE = "def f(x):\n    y = 1\n    for i in range(x):\n        y += i\n    return y\n"
FUNCTION = Function("T/0", "f", "import math\n", CODE, "", "")
EXAMPLES = [Example("T/1#1", "def g():\n    return 1\n", "def g():\n    return 2\n", "    return 1", "    return 2")]


def requests(picks=((2, 0), (5, 0), (5, 1))):
    return generate.line_requests(FUNCTION, EXAMPLES, picks, temperature=1.0, top_p=0.95, seed=0)


def answering(texts):
    left = iter(texts)
    return lambda messages, decoding: Answer(next(left), "stop", 10, 4, 3, 0.5)


def test_recorded_answers_are_replayed_in_order_and_asked_once(tmp_path):
    book = Recordings(tmp_path / "book.jsonl")
    assert asking.record(requests(), "m", "gen", book, answering(["y = 0", "return i", "return y + 1"]), "e") == 3
    assert asking.record(requests(), "m", "gen", book, answering([]), "e") == 0
    answers = list(asking.replay(requests()[::-1], "m", Recordings(tmp_path / "book.jsonl")))
    assert [answer["answer"] for answer in answers] == ["return y + 1", "return i", "y = 0"]
    assert answers[0]["prompt_tokens"] == 10 and answers[0]["cached_tokens"] == 4 and answers[0]["seconds"] == 0.5


def test_a_killed_recording_continues_with_what_is_missing(tmp_path):
    path = tmp_path / "book.jsonl"
    with pytest.raises(StopIteration):
        asking.record(requests(), "m", "gen", Recordings(path), answering(["y = 0"]), "e")
    assert len(Recordings(path)) == 1
    assert asking.record(requests(), "m", "gen", Recordings(path), answering(["return i", "return 2"]), "e") == 2


def test_a_missing_recording_is_one_line_that_says_what_to_do(tmp_path):
    with pytest.raises(StudyError, match=r"3 of 3 answers are not in .*set mode to record") as error:
        asking.replay(requests(), "m", Recordings(tmp_path / "none.jsonl"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("form", "answer", "status"),
    [
        ("line", "return y - 1", "candidate"),
        ("line", "return   y", "unchanged"),
        ("line", "return (", "does not parse"),
        ("line", "```\n```", "no answer"),
        ("function", "```python\ndef f(x):\n    # oops\n    return x\n```", "candidate"),
        ("function", "```python\ndef h(x):\n    return x\n```", "renamed or new imports"),
        ("function", "```python\nimport numpy\ndef f(x):\n    return x\n```", "renamed or new imports"),
        ("function", "```python\nimport math\ndef f(x):\n    return x\n```", "candidate"),
        ("function", "Sorry.", "no answer"),
    ],
)
def test_what_becomes_of_an_answer(form, answer, status):
    found, code = generate.read_candidate(FUNCTION, form, 5, answer)
    assert found == status and bool(code) == (status == "candidate")
    assert "#" not in code


def test_the_frame_has_one_row_an_answer(tmp_path):
    book = Recordings(tmp_path / "book.jsonl")
    asking.record(requests(), "m", "gen", book, answering(["y = 0", "return y", "return y + 1"]), "e")
    frame = generate.candidate_frame(requests(), asking.replay(requests(), "m", book), [FUNCTION], "gen", "uniform")
    assert frame.status.tolist() == ["candidate", "unchanged", "candidate"]
    assert frame.candidate_id.is_unique and frame["sample"].tolist() == [0, 1, 2]


def test_askable_lines_leave_out_headers_and_bare_keywords():
    code = "def f(x):\n    if x:\n        return 1\n    else:\n        return 2\n"
    assert line_policies.askable_lines(Function("T", "f", "", code, "", "")) == [2, 3, 5]


def test_uniform_asks_every_line_before_it_asks_one_again():
    lines = line_policies.uniform(FUNCTION, 6, np.random.default_rng(0))
    assert sorted(lines[:4]) == [2, 3, 4, 5] and len(lines) == 6
    again = line_policies.uniform(FUNCTION, 6, np.random.default_rng(0))
    assert lines == again


def test_occurrences_count_repeats():
    assert line_policies.occurrences(FUNCTION, [3, 5, 3, 3]) == [(3, 0), (5, 0), (3, 1), (3, 2)]


def test_lines_with_the_same_text_are_different_requests():
    twins = Function("T/0", "f", "", "def f(x):\n    if x:\n        return 1\n    return 1\n", "", "")
    assert line_policies.occurrences(twins, [3, 4]) == [(3, 0), (4, 1)]


def test_gold_weights_prefer_what_is_faulty_in_the_gold_set():
    faulty = CODE.replace("return y", "return i")
    gold = pd.DataFrame({"code": [faulty] * 20, "lines": [[5]] * 20, "correct": [CODE] * 20})
    weights = line_policies.gold_weights(gold)
    assert weights["return", 2] > 3 * weights["assignment", 0]
    drawn = line_policies.by_gold(FUNCTION, 200, weights, np.random.default_rng(0))
    assert drawn.count(5) > 100 and set(drawn) <= {2, 3, 4, 5}


def test_named_lines_are_asked_in_turn_and_never_a_header():
    rng = np.random.default_rng(0)
    assert line_policies.named(FUNCTION, 5, [1, 5, 2], rng) == [5, 2, 5, 2, 5]
    assert len(line_policies.named(FUNCTION, 5, [1], rng)) == 5


def test_examples_of_a_problem_are_never_its_own(functions):
    from llmexp_utils import benchmarks
    from llmexp_utils.examples import examples_for, load_examples, shown_first
    from llmexp_utils.paths import gold_dir

    gold = benchmarks.gold_frame(benchmarks.read_gold(gold_dir() / "faults.jsonl"), functions)
    groups = benchmarks.load_groups(gold_dir() / "folds.json")
    rankings = load_examples(gold_dir() / "examples.json", "semantic")
    for function in functions:
        found = examples_for(function.task_id, groups, rankings, gold)
        owners = {example.fault_id.split("#")[0] for example in found}
        assert len(owners) == 2 and function.task_id not in owners
        assert {groups[owner] for owner in owners} == {groups[function.task_id]}
    assert len(set(shown_first(rankings))) == 10


def test_unknown_example_choice_names_the_known_ones():
    from llmexp_utils.examples import load_examples
    from llmexp_utils.paths import gold_dir

    with pytest.raises(StudyError, match="choose one of semantic, random"):
        load_examples(gold_dir() / "examples.json", "best")


def test_a_frame_is_the_same_however_many_rows_wait_for_it(tmp_path, monkeypatch):
    book = Recordings(tmp_path / "book.jsonl")
    asking.record(requests(), "m", "gen", book, answering(["y = 0", "return i", "return y + 1"]), "e")
    frames = []
    for rows in (1, 2, 3, 200):
        monkeypatch.setattr(generate, "ROWS_AT_ONCE", rows)
        answers = asking.replay(requests(), "m", book)
        frames.append(generate.candidate_frame(requests(), answers, [FUNCTION], "gen", "uniform"))
    assert len(frames[0]) == 3 and all(frame.equals(frames[0]) for frame in frames)
    monkeypatch.setattr(generate, "ROWS_AT_ONCE", 3)
    with pytest.raises(ValueError, match="longer"):
        generate.candidate_frame(requests(), [*asking.replay(requests(), "m", book), {}], [FUNCTION], "gen", "uniform")
