"""The parameter model of each notebook; their values stand in the notebooks and in the profile files.

What a value may be, for example the name of an arm, is in :mod:`llmexp_utils.parameter_types`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from llmexp_utils.access import Access
from llmexp_utils.parameter_types import (
    ArmName,
    BenchmarkName,
    Boundary,
    CloneArmName,
    CloneBenchmarkName,
    Condition,
    Construct,
    Count,
    Even,
    Fold,
    MoneyBudget,
    Once,
    PairCondition,
    Prices,
    Rate,
    Share,
    Whole,
    WithRealOnly,
)
from llmexp_utils.params import Params, Reads, Replays, Writes


class Common(Params):
    """What every notebook has."""

    profile: str
    seed: Whole
    gold: Reads


class Reporting(Common):
    """Notebooks that draw figures and write tables."""

    figures: Writes
    results: Writes


class StartHere(Common):
    """One function, one fault, one student."""

    notebook: ClassVar[str] = "00_start_here"
    recordings: Reads
    task_id: str
    test_task_id: str
    n_train: Count
    steps: Count
    boundary: Boundary


class Benchmarks(Reporting):
    """Functions, gold faults, folds."""

    notebook: ClassVar[str] = "01_benchmarks"
    n_checked: Count
    boundary: Boundary


class Asking(Common):
    """Notebooks that ask generators, or replay what they answered."""

    recordings: Replays
    mode: Literal["replay", "record"]
    base_url: str
    concurrency: Count
    requests_per_minute: Whole
    request_seconds: Rate
    prices: Prices
    token_budget: Whole
    money_budget: MoneyBudget

    @property
    def access(self) -> Access:
        """How the server at ``base_url`` may be used."""
        return Access(
            concurrency=self.concurrency,
            requests_per_minute=self.requests_per_minute,
            request_seconds=self.request_seconds,
            token_budget=self.token_budget,
            money_budget=self.money_budget,
            prices=tuple(self.prices) or (0.0, 0.0),
        )


class AskingForProblems(Asking, Reporting):
    """Notebooks that ask for something about HumanEval's problems."""

    examples: Literal["semantic", "random"]
    n_functions: Count
    temperature: Annotated[float, Field(ge=0)]
    top_p: Share


class InjectFaults(AskingForProblems):
    """Generators write candidate faults."""

    notebook: ClassVar[str] = "02_inject_faults"
    arms: Annotated[list[ArmName], Field(min_length=1), Once]
    line_samples: Count
    function_samples: Count
    candidates: Writes


class WriteClones(AskingForProblems):
    """Generators write candidate clones."""

    notebook: ClassVar[str] = "03_write_clones"
    clone_arms: Annotated[list[CloneArmName], Field(min_length=1), Once]
    constructs: Annotated[list[Construct], Field(min_length=1), Once]
    clone_samples: list[Count]
    clone_candidates: Writes


class ValidateAndSelect(Reporting):
    """Test suites decide what is kept, a score what is used."""

    notebook: ClassVar[str] = "04_validate_and_select"
    candidates: Reads
    clone_candidates: Reads
    n_functions: Count
    mutants_per_function: Count
    max_lines: Count
    seconds_per_test: Rate
    boundary: Boundary
    n_selected: Count
    rewrites_per_function: Count
    rules_per_rewrite: Count
    timing: Reads
    cache: str
    pool: Writes
    clones: Writes


class Training(Common):
    """Notebooks that train students: (A) on a frozen code model, (B) an encoder."""

    n_real: Annotated[list[Count], Field(min_length=1), Once]
    n_added: Count
    folds: Annotated[list[Fold], Field(min_length=1), Once]
    seeds: Annotated[list[Whole], Field(min_length=1), Once]
    frozen_model: str
    frozen_layers: Count
    frozen_pooling: Literal["last", "mean"]
    steps: Count
    batch_size: Count
    learning_rate: Rate
    encoder: str
    encoder_seeds: Annotated[list[Whole], Once]
    encoder_steps: Count
    encoder_learning_rate: Rate
    external: bool
    workers: Count
    cache: str


class Finetuning(Training):
    """Notebooks that train on HumanEval's problems under each condition."""

    examples: Literal["semantic", "random"]
    n_functions: Count
    arm_added: Annotated[list[Count], Field(min_length=1), Once]
    encoder_real: Count


class FinetuneFaultLocalization(Finetuning, Reporting):
    """Students of fault localization."""

    notebook: ClassVar[str] = "05_finetune_fault_localization"
    pool: Reads
    main_arm: ArmName
    conditions: Annotated[list[Condition], Field(min_length=1), Once]
    sweep_conditions: Annotated[list[Condition], Once]
    sweep_real: Count
    sweep_added: Annotated[list[Count], Once]
    arms: Annotated[list[ArmName], Once]
    layers: Annotated[list[Count], Once]
    encoder_conditions: Annotated[list[Condition], Once]
    predictions: Writes


class FinetuneCloneDetection(Finetuning):
    """Students of clone detection."""

    notebook: ClassVar[str] = "06_finetune_clone_detection"
    clones: Reads
    main_arm: CloneArmName
    n_added: Even
    arm_added: Annotated[list[Even], Field(min_length=1), Once]
    conditions: Annotated[list[PairCondition], Field(min_length=1), Once]
    names_conditions: Annotated[list[PairCondition], Once]
    arms: Annotated[list[CloneArmName], Once]
    arm_real: Count
    retrieval_conditions: Annotated[list[PairCondition], Once]
    encoder_head: Literal["cross", "bi"]
    encoder_conditions: Annotated[list[PairCondition], Once]
    pair_predictions: Writes
    retrieval: Writes


class Results(Reporting):
    """Tables and figures."""

    notebook: ClassVar[str] = "07_results"
    predictions: Reads
    pair_predictions: Reads
    retrieval: Reads
    pool: Reads
    n_bootstrap: Count


class RealBenchmarks(Asking, Training, Reporting):
    """Fault localization on benchmarks of real faults."""

    notebook: ClassVar[str] = "08_real_benchmarks"
    benchmarks: Annotated[list[BenchmarkName], Field(min_length=1), Once]
    missing_code: Literal["next", "drop"]
    arm: ArmName
    arms: Annotated[list[ArmName], Once]
    samples: Count
    arm_samples: Count
    mutants_per_function: Count
    max_lines: Count
    n_functions: Count
    seconds_per_test: Rate
    boundary: Boundary
    conditions: Annotated[list[Condition], Field(min_length=2), Once, WithRealOnly]
    share_added: Share
    encoder_conditions: Annotated[list[Condition], Once]
    n_bootstrap: Count
    real_predictions: Writes


class RealClones(Training, Reporting):
    """Clone detection on benchmarks of other people's programs."""

    notebook: ClassVar[str] = "09_real_clones"
    clones: Reads
    benchmarks: Annotated[list[CloneBenchmarkName], Field(min_length=1), Once]
    examples: Literal["semantic", "random"]
    main_arm: CloneArmName
    max_lines: Count
    n_tasks: Annotated[int, Field(ge=10)]
    pairs_a_task: Count
    ranked_a_task: Count
    n_pairs: Count
    share: Share
    n_added: Even
    conditions: Annotated[list[PairCondition], Field(min_length=2), Once, WithRealOnly]
    retrieval_conditions: Annotated[list[PairCondition], Once]
    encoder_head: Literal["cross", "bi"]
    encoder_conditions: Annotated[list[PairCondition], Once]
    encoder_benchmarks: Annotated[list[CloneBenchmarkName], Once]
    n_bootstrap: Count
    real_pair_predictions: Writes
    real_retrieval: Writes


NOTEBOOKS: dict[str, type[Params]] = {
    model.notebook: model
    for model in (
        StartHere,
        Benchmarks,
        InjectFaults,
        WriteClones,
        ValidateAndSelect,
        FinetuneFaultLocalization,
        FinetuneCloneDetection,
        Results,
        RealBenchmarks,
        RealClones,
    )
}
"""Notebooks in the order in which they are read and run."""
