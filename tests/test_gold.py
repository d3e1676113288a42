"""The gold set is what its card says: every fault is real, stands where it says, and no two are the same."""

import collections
import json

import pytest

from llmexp_utils import benchmarks
from llmexp_utils.code import lines_touched, normalise, tokens
from llmexp_utils.errors import StudyError
from llmexp_utils.examples import load_examples, single_line
from llmexp_utils.paths import gold_dir
from llmexp_utils.sandbox import Job, Limits, Verdict, run_programs

# Shares of the six types among HumanEvalPack's 164 Python faults (its published data).
NATURAL = {
    "value misuse": 44 / 164,
    "missing logic": 33 / 164,
    "excess logic": 31 / 164,
    "operator misuse": 25 / 164,
    "variable misuse": 23 / 164,
    "function misuse": 8 / 164,
}


@pytest.fixture(scope="module")
def faults():
    return benchmarks.read_gold(gold_dir() / "faults.jsonl")


@pytest.fixture(scope="module")
def frame(faults, functions):
    return benchmarks.gold_frame(faults, functions)


def test_two_faults_for_every_problem(frame, functions):
    counts = collections.Counter(frame.task_id)
    assert counts == {function.task_id: 2 for function in functions}
    assert frame.fault_id.is_unique


def test_every_fault_is_in_normal_form_and_differs_only_where_it_says(faults, functions):
    by_id = {function.task_id: function for function in functions}
    for fault in faults:
        function = by_id[fault.task_id]
        code = benchmarks.apply_edit(fault, function)
        assert normalise(code).code == code, fault
        before, after = (
            function.lines[: fault.line - 1],
            function.lines[fault.line - 1 + len(fault.original.split("\n")) :],
        )
        changed = code.splitlines()
        assert changed[: len(before)] == before and changed[len(changed) - len(after) :] == after, fault
        assert 1 <= lines_touched(function.code, code) <= 3, fault
        assert fault.note, fault


def test_the_two_faults_of_a_problem_are_different(frame):
    for task_id, pair in frame.groupby("task_id"):
        one, other = (tokens(code) for code in pair.code)
        assert one != other, task_id


def test_labels_name_existing_lines(frame):
    assert frame.lines.map(len).ge(1).all()
    assert all(max(row.lines) <= len(row.code.splitlines()) for row in frame.itertuples())


def test_types_have_their_natural_shares(frame):
    shares = frame.fault_type.value_counts(normalize=True)
    assert all(abs(shares[name] - share) < 0.03 for name, share in NATURAL.items())
    assert (frame.lines.map(len) == 1).mean() < 1, "a few faults span two lines"


def test_every_canonical_solution_passes_and_every_fault_fails(frame, functions):
    by_id = {function.task_id: function for function in functions}
    jobs = [
        Job(function.task_id, function.program(function.code), function.test, function.entry_point)
        for function in functions
    ]
    for row in frame.itertuples():
        function = by_id[row.task_id]
        jobs.append(Job(row.fault_id, function.program(row.code), function.test, function.entry_point))
    verdicts = {outcome.job_id: outcome.verdict for outcome in run_programs(jobs, Limits(), progress=False)}
    assert all(verdicts[function.task_id] == Verdict.PASS for function in functions)
    wrong = {
        row.fault_id: verdicts[row.fault_id]
        for row in frame.itertuples()
        if verdicts[row.fault_id] not in ("fail", "error")
    }
    assert not wrong
    assert sum(verdicts[row.fault_id] == "error" for row in frame.itertuples()) <= 0.12 * len(frame)


def test_the_frozen_split_is_the_documented_one(functions):
    groups = benchmarks.load_groups(gold_dir() / "folds.json")
    assert groups == benchmarks.make_groups([function.task_id for function in functions])
    assert sorted(collections.Counter(groups.values()).values()) == [32, 33, 33, 33, 33]
    for fold in range(5):
        splits = collections.Counter(benchmarks.split_of(group, fold) for group in range(5))
        assert splits == {"test": 1, "dev": 1, "train": 3}


def test_frozen_examples_are_single_line_faults_of_their_own_group(frame):
    groups = benchmarks.load_groups(gold_dir() / "folds.json")
    usable = set(frame.fault_id[single_line(frame)])
    for how in ("semantic", "random"):
        for group, rankings in load_examples(gold_dir() / "examples.json", how).items():
            assert len(rankings) == 2
            for fault_id in [fault_id for ranking in rankings for fault_id in ranking]:
                assert fault_id in usable
                assert groups[fault_id.split("#")[0]] == int(group)


def test_a_malformed_gold_line_is_named(tmp_path):
    good = {
        "task_id": "HumanEval/0",
        "line": 1,
        "original": "a",
        "faulty": "b",
        "fault_type": "value misuse",
        "note": "n",
    }
    path = tmp_path / "faults.jsonl"
    path.write_text(json.dumps(good) + "\n" + json.dumps({**good, "fault_type": "typo"}) + "\n")
    with pytest.raises(StudyError, match=r"faults.jsonl, line 2: unknown fault_type 'typo'"):
        benchmarks.read_gold(path)
    path.write_text(json.dumps(good) + "\n{\n")
    with pytest.raises(StudyError, match=r"faults.jsonl, line 2: not a gold fault"):
        benchmarks.read_gold(path)


def test_an_edit_that_does_not_fit_is_refused(functions):
    fault = benchmarks.GoldFault("HumanEval/0", 2, "no such line", "x", "value misuse", "n")
    with pytest.raises(StudyError, match="`original` is not the text of that line"):
        benchmarks.gold_frame([fault], functions)
