"""One benchmark's way through the study: from its real faults to the pool that is trained on.

What the notebook chooses is in :class:`Choices`; everything else is the study's own machinery, the same for every
benchmark. Faults of HumanEval's own problems keep the frozen split and prompts, so that its recordings serve them too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from llmexp_utils import injection
from llmexp_utils.asking import book_of, server_of
from llmexp_utils.benchmark_registry import EMBEDDED, is_own, load_benchmark, of_humaneval
from llmexp_utils.benchmarks import gold_frame, load_groups, load_humaneval, read_gold
from llmexp_utils.budget import Ledger
from llmexp_utils.defects4j import Rule
from llmexp_utils.examples import Ranking, load_examples, shown_first
from llmexp_utils.fault_benchmarks import FaultBenchmark, refuse_shared_texts, shorter, split_groups
from llmexp_utils.fault_pool import Pooled, check_tests, examples_of, mutants_of, plan_of, pool_of
from llmexp_utils.gold_folder import Gold
from llmexp_utils.injection import Arm
from llmexp_utils.llm import model_identity
from llmexp_utils.sandbox import Limits
from llmexp_utils.select import Embed

if TYPE_CHECKING:
    from llmexp_utils.notebook_params import RealBenchmarks

FROZEN = ("humaneval", "humanevalpack-python")


@dataclass(frozen=True)
class Choices:
    """What is asked of every benchmark.

    Attributes
    ----------
    arms : tuple of Arm
        Who injects faults, and how; first the arm of the grid.
    samples, arm_samples : int
        Answers a function of the arm of the grid, and of each other arm.
    mutants : int
        Mutants a function.
    max_lines : int
        Longest function, in lines of the normal form.
    n_functions : int
        Most functions (tasks) that are drawn.
    seed : int
        Of every draw.
    missing_code : {"next", "drop"}
        See :func:`llmexp_utils.defects4j.load_defects4j`.
    """

    arms: tuple[Arm, ...]
    samples: int
    arm_samples: int
    mutants: int
    max_lines: int
    n_functions: int
    seed: int
    missing_code: Rule = "next"

    @property
    def asked(self) -> list[tuple[tuple[Arm, ...], int]]:
        """Arms that give as many answers a function, and that number."""
        parts = [(self.arms[:1], self.samples), (self.arms[1:], self.arm_samples)]
        return [part for part in parts if part[0]]


def choices_of(p: RealBenchmarks) -> Choices:
    """What the parameters of ``08_real_benchmarks`` ask of every benchmark."""
    return Choices(
        arms=tuple(injection.parse_arm(name) for name in dict.fromkeys([p.arm, *p.arms])),
        samples=p.samples,
        arm_samples=p.arm_samples,
        mutants=p.mutants_per_function,
        max_lines=p.max_lines,
        n_functions=p.n_functions,
        seed=p.seed,
        missing_code=p.missing_code,
    )


@dataclass(frozen=True)
class Split:
    """A benchmark with its groups, and the real faults that prompts show (``rankings`` name them)."""

    benchmark: FaultBenchmark
    groups: Mapping[str, int]
    gold: pd.DataFrame
    rankings: Mapping[str, Ranking]


def split_benchmark(name: str, choices: Choices, gold: Path, embed: Embed) -> Split:
    """Load a benchmark, split it, choose the examples of its prompts.

    Raises
    ------
    StudyError
        If it is not at hand, malformed, or a text would be in two groups.
    """
    benchmark = _drawn(load_benchmark(name, choices.missing_code), choices)
    if name in FROZEN:
        groups, rankings = load_groups(gold / "folds.json"), load_examples(gold / "examples.json", "semantic")
        shown = gold_frame(read_gold(gold / "faults.jsonl"), load_humaneval())
    else:
        groups, shown = split_groups(benchmark), benchmark.faults
        rankings = examples_of(benchmark, groups, embed, "semantic")
    refuse_shared_texts(benchmark.faults, groups, benchmark.language)
    return Split(benchmark, groups, shown, rankings)


def recordings_of(name: str, folder: Path) -> Path:
    """Folder of the answers for a benchmark: HumanEval's problems share theirs."""
    return Path(folder) if name in FROZEN else Path(folder) / Path(name).stem


def ask(
    split: Split, choices: Choices, recordings: Path, mode: str, base_url: str = "", ledger: Ledger | None = None
) -> pd.DataFrame:
    """Candidate frame of the benchmark's functions, from recordings or from the generator.

    Benchmarks that share a ledger share its budget; see :func:`llmexp_utils.injection.answers_of`.
    """
    folder = recordings_of(split.benchmark.name, recordings)
    ledger = ledger or Ledger()
    found = [
        injection.answers_of(arms, _plan(split, samples, choices.seed), folder, mode, base_url, ledger)
        for arms, samples in choices.asked
    ]
    return pd.concat(found, ignore_index=True)


def missing(name: str, choices: Choices, recordings: Path, base_url: str = "", gold: Gold | None = None) -> str:
    """What :func:`ask` would not find on record, in words; empty if nothing is known to be missing.

    Asks no generator, reads no weights and no benchmark. With the gold folder, answers for HumanEval's own problems are
    counted. The prompts of other benchmarks show examples that are chosen by vectors of their faults: of those it is
    only seen whether any function has as many answers as are asked for.
    """
    folder = recordings_of(name, recordings)
    if name == EMBEDDED and gold:
        benchmark = _drawn(of_humaneval(gold.functions, gold.faults), choices)
        split = Split(benchmark, gold.groups, gold.faults, gold.rankings)
        gaps = [
            str(gap)
            for arms, samples in choices.asked
            for gap in injection.missing(arms, _plan(split, samples, choices.seed), folder, base_url)
        ]
    else:
        each = [(arm, samples) for arms, samples in choices.asked for arm in arms]
        gaps = [gap for arm, samples in each if (gap := _unrecorded(arm, samples, folder, base_url))]
    return "; ".join(f"{name}: {gap}" for gap in gaps)


def _unrecorded(arm: Arm, samples: int, folder: Path, base_url: str) -> str:
    """What must be missing, as no function has as many answers as are asked for; empty otherwise."""
    book = book_of(arm.form, arm.generator, folder)
    model = model_identity(arm.generator, server_of(arm.generator, base_url))
    recorded = (book[key] for key in book)
    answers = Counter(answer.get("task_id") for answer in recorded if answer.get("model") == model)
    most = max(answers.values(), default=0)
    if most >= samples:
        return ""
    found = f"at most {most} of {samples} answers a function" if most else "no answers"
    return f"arm {arm.name}: {found} are in {book.path}"


def _plan(split: Split, samples: int, seed: int) -> injection.Plan:
    plan = plan_of(split.benchmark, split.groups, split.rankings, samples, seed)
    return replace(plan, gold=split.gold)


def _drawn(benchmark: FaultBenchmark, choices: Choices) -> FaultBenchmark:
    return shorter(benchmark, choices.max_lines, choices.n_functions, choices.seed)


def try_tests(splits: Iterable[Split], limits: Limits, cache: Path) -> None:
    """Run a reader's own tests before a generator is asked for anything that they will judge.

    Those of published benchmarks are tried in the project's own tests.

    Raises
    ------
    StudyError
        If they cannot tell a real fault from correct code (:func:`llmexp_utils.fault_pool.check_tests`).
    """
    for split in splits:
        if is_own(split.benchmark.name):
            check_tests(split.benchmark, limits, cache)


def build_pool(
    split: Split, candidates: pd.DataFrame, choices: Choices, limits: Limits, cache: Path, embed: Embed
) -> Pooled:
    """Validate what can be validated; see :func:`llmexp_utils.fault_pool.pool_of`."""
    mutants = mutants_of(split.benchmark, choices.mutants, choices.seed)
    real = set(split.benchmark.faults.fault_id)
    shown = [fault_id for fault_id in shown_first(split.rankings) if fault_id in real]
    return pool_of(split.benchmark, candidates, mutants, shown, limits, cache, embed)
