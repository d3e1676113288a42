"""The clones of the gold set: every one is correct, is called like the canonical solution, and is not the same text."""

import ast
import io
import tokenize

from llmexp_utils.clone_prompts import CONSTRUCTS
from llmexp_utils.code import normalise, tokens
from llmexp_utils.sandbox import Job, Limits, Verdict, run_programs


def signature(code, name):
    (found,) = [node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef) and node.name == name]
    return [argument.arg for argument in found.args.args], len(found.args.defaults)


def test_one_for_every_problem_in_order(gold_clones, functions):
    assert [clone.task_id for clone in gold_clones] == [function.task_id for function in functions]
    assert all(clone.note for clone in gold_clones)
    assert {clone.construct for clone in gold_clones} == set(CONSTRUCTS)


def test_every_one_passes_the_tests(gold_clones, functions):
    pairs = list(zip(gold_clones, functions, strict=True))
    jobs = [Job(f.task_id, f.program(clone.code), f.test, f.entry_point) for clone, f in pairs]
    outcomes = run_programs(jobs, Limits(), progress=False)
    assert {outcome.job_id: outcome.detail for outcome in outcomes if outcome.verdict != Verdict.PASS} == {}


def test_every_one_differs_and_is_called_alike(gold_clones, functions):
    for clone, function in zip(gold_clones, functions, strict=True):
        assert tokens(normalise(clone.code).code) != tokens(function.code), clone.task_id
        name = function.entry_point
        assert signature(clone.code, name) == signature(function.code, name), clone.task_id


def test_no_comment_or_docstring_gives_anything_away(gold_clones):
    for clone in gold_clones:
        found = [token.type for token in tokenize.generate_tokens(io.StringIO(clone.code).readline)]
        assert tokenize.COMMENT not in found, clone.task_id
        functions = [node for node in ast.walk(ast.parse(clone.code)) if isinstance(node, ast.FunctionDef)]
        assert not any(ast.get_docstring(node) for node in functions), clone.task_id
