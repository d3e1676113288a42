"""The clones of the gold set: every one is correct, is called like the canonical solution, and is not the same text."""

import ast
import io
import json
import tokenize

import pytest

from llmexp_utils.code import normalise, tokens
from llmexp_utils.paths import gold_dir
from llmexp_utils.sandbox import Job, Limits, Verdict, run_programs

CONSTRUCTS = {
    "closed form",
    "comprehension",
    "dictionary",
    "functional",
    "library",
    "loop",
    "other",
    "recursion",
    "sorting",
    "string methods",
}


@pytest.fixture(scope="module")
def clones():
    return [json.loads(line) for line in (gold_dir() / "clones.jsonl").read_text().splitlines()]


def signature(code, name):
    (found,) = [node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef) and node.name == name]
    return [argument.arg for argument in found.args.args], len(found.args.defaults)


def test_one_for_every_problem_in_order(clones, functions):
    assert [clone["task_id"] for clone in clones] == [function.task_id for function in functions]
    assert all(clone.keys() == {"task_id", "construct", "note", "code"} and clone["note"] for clone in clones)
    assert {clone["construct"] for clone in clones} == CONSTRUCTS


def test_every_one_passes_the_tests(clones, functions):
    pairs = list(zip(clones, functions, strict=True))
    jobs = [Job(f.task_id, f.program(clone["code"]), f.test, f.entry_point) for clone, f in pairs]
    outcomes = run_programs(jobs, Limits(), progress=False)
    assert {outcome.job_id: outcome.detail for outcome in outcomes if outcome.verdict != Verdict.PASS} == {}


def test_every_one_differs_and_is_called_alike(clones, functions):
    for clone, function in zip(clones, functions, strict=True):
        assert tokens(normalise(clone["code"]).code) != tokens(function.code), clone["task_id"]
        name = function.entry_point
        assert signature(clone["code"], name) == signature(function.code, name), clone["task_id"]


def test_no_comment_or_docstring_gives_anything_away(clones):
    for clone in clones:
        found = [token.type for token in tokenize.generate_tokens(io.StringIO(clone["code"]).readline)]
        assert tokenize.COMMENT not in found, clone["task_id"]
        functions = [node for node in ast.walk(ast.parse(clone["code"])) if isinstance(node, ast.FunctionDef)]
        assert not any(ast.get_docstring(node) for node in functions), clone["task_id"]
