"""Made-up items, and the stages of the study that :mod:`benchmarks.scaling` takes them through.

Items are faulty versions of 20 HumanEval functions, five of each problem. A problem is one of the functions with a
statement and a test of its own, and a version has one statement more: no two items are alike, the number of problems
and of real faults grows with them, and any hundred are the same mixture. Where a model would take the time it is
replaced: answers come at once, the vectors of the Score are random numbers, and a tiny random decoder reads lines and
embeds texts. The sandbox is the real one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pandas as pd

from llmexp_utils import asking, embeddings, injection, select, validate
from llmexp_utils.benchmarks import N_GROUPS, Function, load_humaneval
from llmexp_utils.generate import candidate_frame
from llmexp_utils.llm import Answer
from llmexp_utils.paths import cache_dir
from llmexp_utils.prompts import fence
from llmexp_utils.reader import Reader
from llmexp_utils.recordings import Recordings
from llmexp_utils.sandbox import Limits
from llmexp_utils.states import line_states_of

TEXTS, ANSWERS = 20, 5  # functions; items of a problem
ARM = injection.Arm("nobody", "function", "")
LIMITS = Limits(seconds=10, cpu=10)  # generous, since the machine may be slow
WIDTH, LAYERS = 384, 2  # of MiniLM's vectors; of the tiny decoder


@dataclass(frozen=True)
class Items:
    """Faulty versions, the problems that they belong to, and a real fault for each problem."""

    faults: pd.DataFrame
    problems: list[Function]
    gold: pd.DataFrame


def items(first: int, n: int) -> Items:
    """Items ``first`` to ``first + n - 1``; both are multiples of :data:`ANSWERS`."""
    start, count = first // ANSWERS, n // ANSWERS
    problems = [problem(start + number) for number in range(max(count, TEXTS))]  # each group has examples to show
    rows = [
        (f"fault{number:07}", one.task_id, version(one, number), one.code, number % 2 == 0)
        for place, one in enumerate(problems[:count])
        for number in range(first + place * ANSWERS, first + (place + 1) * ANSWERS)
    ]
    faults = pd.DataFrame(rows, columns=["fault_id", "task_id", "code", "correct", "passes"])
    gold = [(one.task_id, f"{one.task_id}#1", last_line_replaced(one.code), one.code) for one in problems]
    return Items(faults, problems, pd.DataFrame(gold, columns=["task_id", "fault_id", "code", "correct"]))


@cache
def texts() -> list[Function]:
    """HumanEval functions that start with their head, in one line."""
    plain = (f for f in load_humaneval() if f.lines[0].startswith(f"def {f.entry_point}(") and f.lines[0][-1] == ":")
    return list(plain)[:TEXTS]


def problem(number: int) -> Function:
    """A function that no other problem has, with a test that has to be compiled for it."""
    one = texts()[number % TEXTS]
    code, test = inserted(one.code, f"name = {10**6 + number}"), f"{one.test}\n# {number}\n"
    return replace(one, task_id=f"Problem/{number}", code=code, test=test)


def version(function: Function, number: int) -> str:
    """A function with one statement more: every other one returns at once, and so fails its test."""
    return inserted(function.code, f"{'return' if number % 2 else 'unused ='} {10**6 + number}")


def inserted(code: str, statement: str) -> str:
    """A function with one statement more, as its first."""
    head, body = code.split("\n", 1)
    return f"{head}\n    {statement}\n{body}"


def last_line_replaced(code: str) -> str:
    """A real fault: one line is another one."""
    *lines, last = code.splitlines()
    return "\n".join([*lines, last[: len(last) - len(last.lstrip())] + "return 0", ""])


def questions(given: Items, _: Path) -> tuple[injection.Plan, list[str]]:
    """What a generator is asked, and what it will say."""
    groups = {one.task_id: number % N_GROUPS for number, one in enumerate(given.problems)}
    of_group = given.gold.fault_id.groupby(given.gold.task_id.map(groups)).apply(list)
    rankings = {str(group): [ids[:3], ids[-3:]] for group, ids in of_group.items()}
    asked = given.problems[: len(given.faults) // ANSWERS]
    plan = injection.Plan(asked, given.gold, groups, rankings, {"function": ANSWERS}, 1.0, 0.95, seed=0)
    codes = given.faults.code.groupby(given.faults.task_id).apply(list)
    return plan, [code for function in plan.functions for code in codes[function.task_id]]


def record(given: tuple[injection.Plan, list[str]], folder: Path) -> list[asking.Request]:
    """Make the requests and record every answer."""
    plan, said = given[0], iter(given[1])

    def ask(*_: Any) -> Answer:
        return Answer(fence(next(said)), "stop", 500, 400, 100, 1.0)

    requests = injection.requests_of(ARM, plan, {})
    assert asking.record(requests, "model", ARM.generator, book(folder), ask, "none") == len(given[1])
    return requests


def recorded(given: Items, folder: Path) -> tuple[list[asking.Request], list[Function]]:
    """Requests whose answers are on record."""
    return record(questions(given, folder), folder), given.problems


def replay(given: tuple[list[asking.Request], list[Function]], folder: Path) -> pd.DataFrame:
    """Look up every answer, bring it into normal form and label its lines."""
    requests, problems = given
    answers = asking.replay(requests, "model", book(folder))
    faults = validate.as_faults(candidate_frame(requests, answers, problems, ARM.generator, ARM.policy))
    assert len(faults) == len(requests)
    return faults


def book(folder: Path) -> Recordings:
    """The recordings of a folder."""
    return Recordings(folder / "book.jsonl")


def run_tests(given: Items, folder: Path) -> pd.DataFrame:
    """Run every program against its test, and keep the verdicts."""
    tested = validate.with_verdicts(given.faults, given.problems, LIMITS, folder / "verdicts.jsonl")
    assert (tested.verdict == "pass").equals(tested.passes)
    return tested


def drop(given: Items, _: Path) -> pd.DataFrame:
    """Drop what is no small fault, what is repeated, and what is a real fault."""
    kept, _ = validate.keep_faults(given.faults.assign(verdict="fail"), given.gold, select.MAX_LINES)
    assert len(kept) == len(given.faults)
    return kept


def choose(given: Items, _: Path) -> pd.DataFrame:
    """Statistics of all faults, real ones too, and the half with the lowest Score."""
    rng = np.random.default_rng(0)

    def vectors(codes: list[str]) -> np.ndarray:
        return rng.random((len(codes), WIDTH), dtype=np.float32)

    faults, real = (select.statistics(frame, vectors) for frame in (given.faults, given.gold))
    return select.choose(faults, len(faults) // 2, "score", real)


def read_lines(given: Items, folder: Path) -> list[np.ndarray]:
    """States of all lines, kept in a store."""
    codes, corrects = given.faults.code.tolist(), given.faults.correct.tolist()
    return line_states_of(codes, corrects, folder, Reader(str(tiny_decoder()), LAYERS), workers=1, progress=False)


def embed(given: Items, folder: Path) -> np.ndarray:
    """Vectors of all functions, kept in a file; by one thread, for threads that wait for each other use time, too."""
    with patch.object(embeddings, "cores", lambda: 1):
        return embeddings.embed_with_encoder(given.faults.code.tolist(), tiny_decoder(), cache=folder / "vectors.npz")


def tiny_decoder() -> Path:
    """Folder of a random decoder that knows the functions' words; made once for a cache folder."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    folder = cache_dir() / "tiny"
    if not folder.exists():
        raw = Tokenizer(models.BPE())
        raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=800, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
        raw.train_from_iterator([one.code for one in texts()], trainer)
        sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": LAYERS, "num_attention_heads": 4}
        sizes |= {"num_key_value_heads": 2, "bos_token_id": 0, "eos_token_id": 0}
        config = AutoConfig.for_model("qwen2", vocab_size=800, max_position_embeddings=2048, **sizes)
        AutoModel.from_config(config).save_pretrained(folder)
        PreTrainedTokenizerFast(tokenizer_object=raw).save_pretrained(folder)
    return folder


def as_they_are(given: Items, _: Path) -> Items:
    """For a stage that needs nothing but the items."""
    return given


class Stage(NamedTuple):
    """``run`` is measured by ``clock``, on what ``prepare`` makes of the items."""

    part: str
    name: str
    prepare: Callable[[Items, Path], Any]
    run: Callable[[Any, Path], Any]
    clock: Callable[[], float] = time.process_time


STAGES = (
    Stage("generation", "ask and record", questions, record),
    Stage("generation", "replay and label", recorded, replay),
    Stage("validation", "run the tests", as_they_are, run_tests, time.perf_counter),
    Stage("selection", "hygiene and duplicates", as_they_are, drop),
    Stage("selection", "statistics and Score", as_they_are, choose),
    Stage("encoding", "line states", as_they_are, read_lines),
    Stage("encoding", "embeddings", as_they_are, embed),
)
