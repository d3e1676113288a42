"""Arms and the plan: which requests are made, and that policies share recordings."""

from pathlib import Path

import pytest

from llmexp_utils import asking, benchmarks, injection
from llmexp_utils.errors import StudyError
from llmexp_utils.examples import examples_for, load_examples, rank_examples, single_line
from llmexp_utils.llm import EMBEDDED, model_identity
from llmexp_utils.paths import gold_dir, recordings_dir
from llmexp_utils.prompts import function_messages
from llmexp_utils.recordings import Recordings


@pytest.fixture(scope="module")
def gold(functions):
    return benchmarks.gold_frame(benchmarks.read_gold(gold_dir() / "faults.jsonl"), functions)


@pytest.fixture(scope="module")
def plan(functions, gold):
    groups = benchmarks.load_groups(gold_dir() / "folds.json")
    rankings = load_examples(gold_dir() / "examples.json", "semantic")
    return injection.Plan(functions, gold, groups, rankings, {"line": 6, "function": 2}, 1.0, 0.95, 0)


@pytest.mark.parametrize(
    "text", ["", "gen", "/function", "gen/whole", "gen/line", "gen/line/best", "gen/function/uniform"]
)
def test_an_unknown_arm_says_what_can_be_written(text):
    with pytest.raises(StudyError, match="GENERATOR/function or one of GENERATOR/line/uniform"):
        injection.parse_arm(text)


def test_an_arm_is_written_as_it_is_read():
    for text in ("gen/line/llm", "gen/function", "owner/model/line/gold"):
        assert injection.parse_arm(text).name == text


def test_a_function_gets_as_many_requests_as_asked_for_and_they_stay_together(plan):
    for text, n in (("gen/line/uniform", 6), ("gen/line/gold", 6), ("gen/function", 2)):
        requests = injection.requests_of(injection.parse_arm(text), plan, {})
        tasks = [request.task_id for request in requests]
        assert len(requests) == n * len(plan.functions)
        assert all(len(set(tasks[start : start + n])) == 1 for start in range(0, len(tasks), n))


def test_policies_share_the_requests_for_the_same_line(plan):
    keys = [
        {request.key("m") for request in injection.requests_of(injection.parse_arm(f"gen/line/{policy}"), plan, {})}
        for policy in ("uniform", "gold")
    ]
    assert len(keys[0] & keys[1]) > 300


def test_requests_of_a_function_do_not_depend_on_the_others(plan):
    alone = injection.Plan(plan.functions[:1], plan.gold, plan.groups, plan.rankings, plan.n_samples, 1.0, 0.95, 0)
    for text in ("gen/line/uniform", "gen/line/gold"):
        arm = injection.parse_arm(text)
        assert injection.requests_of(arm, alone, {}) == injection.requests_of(arm, plan, {})[:6]


def test_every_function_is_shown_the_examples_that_it_would_get_alone(plan):
    requests = injection.requests_of(injection.parse_arm("gen/function"), plan, {})
    for function, request in zip(plan.functions, requests[::2], strict=True):
        shown = examples_for(function.task_id, plan.groups, plan.rankings, plan.gold)
        assert request.messages == tuple(function_messages(shown, function.code))


def test_the_frozen_examples_are_those_of_the_documented_choice(gold, plan):
    import numpy as np

    from llmexp_utils.assets import fetch
    from llmexp_utils.embeddings import embed_with_encoder

    usable = gold[single_line(gold)]
    vectors = embed_with_encoder(usable.code.tolist(), fetch("all-MiniLM-L6-v2"))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for how in ("semantic", "random"):
        assert rank_examples(usable, plan.groups, vectors, how) == load_examples(gold_dir() / "examples.json", how)


@pytest.mark.parametrize("path", sorted(recordings_dir().glob("*.jsonl")), ids=lambda path: path.stem)
def test_committed_recordings_have_their_provenance(path: Path):
    book = Recordings(path)
    form, _, generator = path.stem.rpartition("_")
    assert generator in EMBEDDED and len(book)
    for key in book:
        record = book[key]
        assert record["form"] == form and record["generator"] == generator
        assert record["model"] == model_identity(generator)
        assert record["seconds"] > 0 and record["prompt_tokens"] > 0 and record["finish_reason"] in ("stop", "length")


def test_committed_recordings_answer_the_default_plan(plan):
    arm = injection.parse_arm("qwen2.5-coder-1.5b/line/uniform")
    book = Recordings(recordings_dir() / "line_qwen2.5-coder-1.5b.jsonl")
    assert not asking.missing(injection.requests_of(arm, plan, {}), model_identity(arm.generator), book)


def test_replay_without_recordings_says_what_to_set(plan, tmp_path):
    with pytest.raises(StudyError, match="set mode to record"):
        injection.answers_of([injection.parse_arm("qwen2.5-coder-0.5b/line/uniform")], plan, tmp_path, "replay")
