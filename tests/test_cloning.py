"""Asking for clones: the two prompts, the constructs, the plan, and what becomes of an answer."""

import json

import numpy as np
import pytest

from llmexp_utils import cloning
from llmexp_utils.assets import fetch
from llmexp_utils.benchmarks import load_groups
from llmexp_utils.clone_answers import read_clone
from llmexp_utils.clone_prompts import CONSTRUCTS, constructs_in, rewrite_messages, spec_messages
from llmexp_utils.embeddings import embed_with_encoder
from llmexp_utils.errors import StudyError
from llmexp_utils.examples import load_examples, rank_examples
from llmexp_utils.gold_clones import GoldClone, clone_examples, clone_frame, read_clones
from llmexp_utils.paths import gold_dir

SAMPLES = {"gen/from_spec": 3, "gen/rewrite": 3, "qwen2.5-coder-0.5b/from_spec": 2}


@pytest.fixture(scope="module")
def groups():
    return load_groups(gold_dir() / "folds.json")


@pytest.fixture(scope="module")
def examples(functions, gold_clones, groups):
    rankings = load_examples(gold_dir() / "clone_examples.json", "semantic")
    return clone_examples(functions, gold_clones, groups, rankings)


@pytest.fixture(scope="module")
def plan(functions, groups, examples):
    return cloning.ClonePlan(functions, groups, examples, ["loop", "recursion", "library"], SAMPLES, 0.8, 0.95, 0)


def test_the_prompts_show_two_clones_and_end_with_what_is_asked(examples, functions):
    function = functions[0]
    spec, rewrite = (
        spec_messages(examples[function.task_id], function.prompt),
        rewrite_messages(examples[function.task_id], function.code, "loop"),
    )
    for messages in (spec, rewrite):
        assert [message["role"] for message in messages] == ["system", *["user", "assistant"] * 2, "user"]
        assert messages[2]["content"] == f"```python\n{examples[function.task_id][0].clone}```"
    assert function.prompt.strip() in spec[-1]["content"] and function.code not in spec[-1]["content"]
    assert rewrite[-1]["content"].endswith(f"{function.code}```\nConstruct: {CONSTRUCTS['loop']}.")


def test_examples_come_from_the_problem_s_own_group_and_are_another_problem(examples, groups):
    for task_id, shown in examples.items():
        assert len({example.task_id for example in shown}) == 2
        assert all(groups[example.task_id] == groups[task_id] and example.task_id != task_id for example in shown)


def test_the_frozen_examples_are_those_of_the_documented_choice(gold_clones, groups):
    frame = clone_frame(gold_clones)
    vectors = embed_with_encoder(frame.code.tolist(), fetch("all-MiniLM-L6-v2"))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for how in ("semantic", "random"):
        assert rank_examples(frame, groups, vectors, how) == load_examples(gold_dir() / "clone_examples.json", how)


def test_an_example_without_a_clone_is_refused(functions, gold_clones, groups):
    rankings = {str(group): [["HumanEval/0"], ["HumanEval/x"]] for group in range(5)}
    with pytest.raises(StudyError, match="HumanEval/x, which has no gold clone"):
        clone_examples(functions, gold_clones, groups, rankings)


def test_requests_of_a_function_stay_together_and_do_not_depend_on_the_others(plan, functions):
    for form in ("from_spec", "rewrite"):
        arm = cloning.parse_clone_arm(f"gen/{form}")
        requests = cloning.requests_of(arm, plan)
        tasks = [request.task_id for request in requests]
        assert len(requests) == 3 * len(functions) and len({request.key("m") for request in requests}) == len(requests)
        assert all(len(set(tasks[start : start + 3])) == 1 for start in range(0, len(tasks), 3))
        alone = cloning.ClonePlan([functions[7]], *(getattr(plan, name) for name in list(plan.__annotations__)[1:]))
        assert cloning.requests_of(arm, alone) == [
            request for request in requests if request.task_id == functions[7].task_id
        ]


def test_a_rewrite_asks_for_constructs_that_the_function_does_not_use(plan, functions):
    by_id = {function.task_id: function for function in functions}
    requests = cloning.requests_of(cloning.parse_clone_arm("gen/rewrite"), plan)
    assert {request.construct for request in requests} == {"loop", "recursion", "library"}
    assert not any(request.construct in constructs_in(by_id[request.task_id].code) for request in requests)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def f(n):\n    return n * f(n - 1) if n else 1\n", {"recursion"}),
        ("def f(xs):\n    while xs:\n        xs.pop()\n", {"loop"}),
        ("def f(xs):\n    return sorted(xs, key=lambda x: -x)\n", {"functional", "sorting"}),
        ("def f(x):\n    return {y: 1 for y in x}\n", {"comprehension"}),
        ("def f(x):\n    return x\n", set()),
    ],
)
def test_constructs_that_can_be_seen(code, expected):
    assert constructs_in(code) == expected


@pytest.mark.parametrize("text", ["", "from_spec", "/rewrite", "gen/rewritten"])
def test_an_unknown_arm_says_what_can_be_written(text):
    with pytest.raises(StudyError, match="write GENERATOR/from_spec or GENERATOR/rewrite"):
        cloning.parse_clone_arm(text)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("```python\ndef {name}(numbers, threshold):\n    return False\n```", "candidate"),
        ("Here it is:\n```python\ndef other(numbers):\n    return False\n```\nDone.", "renamed"),
        ("```python\n{code}```", "unchanged"),
        ("```python\ndef {name}(:\n```", "does not parse"),
        ("```python\nreturn sorted(numbers) == threshold\n```", "candidate"),
        ("```python\n    x = numbers\n    return x\n```", "candidate"),
        ("Sorry.", "no answer"),
    ],
)
def test_what_becomes_of_an_answer(functions, answer, status):
    function = functions[0]
    filled = answer.replace("{name}", function.entry_point).replace("{code}", function.code)
    found, _, code = read_clone(function, filled)
    assert found == status and bool(code) == (status == "candidate")


def test_examples_below_the_function_are_cut_and_its_imports_are_kept(functions):
    name = functions[0].entry_point
    body = f'def {name}(a, b):\n    return any((x := a) for _ in "ab")\n'
    answer = f"```python\nimport math\n\nLIMIT = 3\n{body}\nprint({name}([1], 2))\nassert True\n```"
    assert read_clone(functions[0], answer) == ("candidate", "import math\n", f"LIMIT = 3\n{body}")


def test_a_helper_that_the_specification_gives_is_there(functions):
    function = functions[10]
    answer = f"```python\ndef {function.entry_point}(s):\n    return s if is_palindrome(s) else s + s[::-1]\n```"
    _, _, code = read_clone(function, answer)
    assert code.count("def is_palindrome(") == 1 and code.index("def is_palindrome(") < code.index(
        "def make_palindrome("
    )
    own = answer.replace("def make", "def is_palindrome(s):\n    return s == s[::-1]\n\ndef make")
    assert read_clone(function, own)[2].count("def is_palindrome(") == 1
    assert "is_palindrome" not in read_clone(function, answer.replace("is_palindrome(s)", "s"))[2]


def test_clones_are_replayed_without_weights_and_a_missing_answer_is_one_line(plan, tmp_path):
    arm = cloning.parse_clone_arm("qwen2.5-coder-0.5b/from_spec")
    (line,) = cloning.missing([arm], plan, tmp_path)
    assert f"{2 * 164} of {2 * 164} answers are not in {tmp_path}" in line
    with pytest.raises(StudyError, match="set mode to record"):
        cloning.clones_of([arm], plan, tmp_path, "replay")


def test_a_malformed_gold_clone_is_one_line_with_its_number(tmp_path, gold_clones):
    path = tmp_path / "clones.jsonl"
    good = {"task_id": "T/0", "construct": "loop", "note": "n", "code": "c"}
    for bad, message in (({"task_id": "T/1"}, "line 2: not a gold clone"), ({**good, "construct": "goto"}, "'goto'")):
        path.write_text(json.dumps(good) + "\n" + json.dumps(bad) + "\n")
        with pytest.raises(StudyError, match=message):
            read_clones(path)
    assert isinstance(gold_clones[0], GoldClone)
