"""What can be known to be wrong before the first kernel starts: all of it at once, one line each.

Only notebooks that are about to run are checked, and nothing that is checked takes long: no weights are read, no
program is run (its sandbox is set up once), a server or a hub is asked once and has five seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from llmexp_utils import (
    benchmark_registry,
    benchmark_study,
    benchmarks,
    clone_registry,
    cloning,
    injection,
    llm,
    reader,
)
from llmexp_utils.benchmark_study import Choices
from llmexp_utils.encoder_table import check_encoder
from llmexp_utils.errors import StudyError
from llmexp_utils.examples import load_examples
from llmexp_utils.external import EXTERNAL
from llmexp_utils.gold_folder import Gold, parsed, read_gold_folder
from llmexp_utils.known import Known, lines_of
from llmexp_utils.notebook_params import (
    FinetuneCloneDetection,
    FinetuneFaultLocalization,
    Finetuning,
    InjectFaults,
    RealBenchmarks,
    RealClones,
    Results,
    StartHere,
    Training,
    ValidateAndSelect,
    WriteClones,
)
from llmexp_utils.pairs import PAIRS_A_PROBLEM
from llmexp_utils.params import hint
from llmexp_utils.paths import gold_dir
from llmexp_utils.sandbox import Limits, layers

if TYPE_CHECKING:
    from llmexp_utils.study import Study

DEFAULT_EXAMPLES = "semantic"  # of notebooks that do not choose
RECORD = "set `mode: record` to ask for them, or go back to the committed parameters"


def preflight(study: Study, names: Sequence[str]) -> list[str]:
    """Check what notebooks are about to read and use; see :func:`preflight_all`."""
    return preflight_all([(study, names)])


def preflight_all(asked: Iterable[tuple[Study, Sequence[str]]]) -> list[str]:
    """Check what notebooks of several studies, such as the points of a sweep, are about to read and use.

    Returns
    -------
    list of str
        Warnings: what a run does without.

    Raises
    ------
    StudyError
        With one line for each problem of all notebooks.
    """
    known, problems, warnings = Known(), [], []
    for study, names in asked:  # paths inside the repository are shown from there
        problems += [line.replace(f"{study.root}/", "") for line in _problems(study, names, known)]
        warnings += _warnings(study, names)
    if problems:
        raise StudyError("\n".join(dict.fromkeys(problems)))
    return list(dict.fromkeys(warnings))


def _problems(study: Study, names: Sequence[str], known: Known) -> Iterator[str]:
    for boundary in dict.fromkeys(getattr(study.params[name], "boundary", "") for name in names):
        yield from known.lines(_check_boundary, boundary) if boundary else []
    for name in names:
        p = study.params[name]
        if name == Results.notebook:
            continue  # it reads what the others wrote
        gold, malformed = known.once(read_gold_folder, study.root / p.gold, getattr(p, "examples", DEFAULT_EXAMPLES))
        yield from malformed
        if gold and name in CHECKS:
            yield from (f"{name}: {line}" for line in CHECKS[name](study, p, gold, known))


def _check_boundary(boundary: str) -> None:
    layers(Limits(boundary=boundary))


def downstream(study: Study, waiting: Sequence[str]) -> list[str]:
    """The waiting notebooks, and those that read what they write."""
    found: list[str] = []
    written: set[str] = set()
    for name, p in study.params.items():
        if name in waiting or written & {getattr(p, field) for field in p.names("reads")}:
            found.append(name)
            written |= {getattr(p, field) for field in p.names("writes")}
    return found


def _start_here(study: Study, p: StartHere, gold: Gold, known: Known) -> Iterator[str]:
    problems = [function.task_id for function in gold.functions]
    for field, value in p.model_dump().items():
        if field.endswith("task_id") and value not in problems:
            yield f"{field}: {value!r} is no HumanEval problem; known: {problems[0]} to {problems[-1]}"


def _inject_faults(study: Study, p: InjectFaults, gold: Gold, known: Known) -> Iterator[str]:
    arms = [injection.parse_arm(text) for text in p.arms]
    if p.mode == "record":
        yield from _serve(arms, p.base_url, known)
        return
    samples = {"line": p.line_samples, "function": p.function_samples}
    settings = (samples, p.temperature, p.top_p, p.seed)
    plan = injection.Plan(gold.functions[: p.n_functions], gold.faults, gold.groups, gold.rankings, *settings)
    for arm in arms:
        yield from lines_of(_check_recorded, arm, plan, study.root / p.recordings, p.base_url)


def _write_clones(study: Study, p: WriteClones, gold: Gold, known: Known) -> Iterator[str]:
    arms = [cloning.parse_clone_arm(text) for text in p.clone_arms]
    if p.mode == "record":
        yield from _serve(arms, p.base_url, known)
        return
    try:
        plan = parsed(study.root / p.gold, lambda folder: cloning.plan_of(p, folder, gold.functions, gold.groups))
    except StudyError as error:
        yield from str(error).splitlines()
        return
    for arm in arms:
        yield from lines_of(_check_recorded_clones, arm, plan, study.root / p.recordings, p.base_url)


def _serve(arms: Sequence[injection.Arm | cloning.CloneArm], base_url: str, known: Known) -> Iterator[str]:
    """What is missing to ask the generators of the arms."""
    generators = list(dict.fromkeys(arm.generator for arm in arms))
    others = [generator for generator in generators if generator not in llm.EMBEDDED]
    if len(others) > 1 and not base_url:
        yield f"base_url is empty: give the address of a server that has {', '.join(others)}"
        return
    for generator in generators:
        yield from known.lines(llm.check_generator, generator, base_url)


def _check_recorded_clones(arm: cloning.CloneArm, plan: cloning.ClonePlan, folder: Path, base_url: str) -> None:
    for gap in cloning.missing([arm], plan, folder, base_url):
        raise StudyError(f"{gap}: {RECORD}")


def _check_recorded(arm: injection.Arm, plan: injection.Plan, folder: Path, base_url: str) -> None:
    for gap in injection.missing([arm], plan, folder, base_url):
        raise StudyError(
            f"{gap}: set `mode: record` to ask for them (`make record` shows it on a few functions), "
            "or go back to the committed parameters"
        )


def _finetune_fault_localization(study: Study, p: FinetuneFaultLocalization, gold: Gold, known: Known) -> Iterator[str]:
    inject, select = study.params_of(InjectFaults.notebook), study.params_of(ValidateAndSelect.notebook)
    if inject and select and (inject.candidates, select.pool) == (select.candidates, p.pool):
        yield from _unknown_arms(p, inject.arms, inject.notebook)
    used = {function.task_id for function in gold.functions[: p.n_functions]}
    faults = [gold.groups[task_id] for task_id in gold.faults.task_id if task_id in used]
    yield from _too_many_real(p, faults, "faults", sweep_real=[p.sweep_real] if p.sweep_added or p.arms else [])
    yield from _finetune(study, p, known)


def _finetune_clone_detection(study: Study, p: FinetuneCloneDetection, gold: Gold, known: Known) -> Iterator[str]:
    yield from _unknown_clone_arms(study, p)
    yield from lines_of(
        parsed, study.root / p.gold / "clone_examples.json", lambda path: load_examples(path, p.examples)
    )
    pairs = [
        gold.groups[function.task_id] for function in gold.functions[: p.n_functions] for _ in range(PAIRS_A_PROBLEM)
    ]
    yield from _too_many_real(p, pairs, "pairs", arm_real=[p.arm_real] if p.arms else [])
    yield from _finetune(study, p, known)


def _real_benchmarks(study: Study, p: RealBenchmarks, gold: Gold, known: Known) -> Iterator[str]:
    yield from _students(study, p, known)
    choices = benchmark_study.choices_of(p)
    usable = yield from _at_hand(study, p, benchmark_registry, known)
    if p.mode == "record":
        yield from _serve(choices.arms, p.base_url, known)
        return
    own = gold if (study.root / p.gold).resolve() == gold_dir().resolve() else None  # the benchmark is of that one
    for name in usable:
        yield from known.lines(_check_answers, name, choices, study.root / p.recordings, p.base_url, own)


def _real_clones(study: Study, p: RealClones, gold: Gold, known: Known) -> Iterator[str]:
    yield from _students(study, p, known)
    yield from _unknown_clone_arms(study, p)
    yield from _at_hand(study, p, clone_registry, known)
    lost = [name for name in p.encoder_benchmarks if name not in p.benchmarks]
    yield from (f"encoder_benchmarks: {name} is not among benchmarks" for name in lost)


def _at_hand(
    study: Study, p: RealBenchmarks | RealClones, registry: ModuleType, known: Known
) -> Generator[str, None, list[str]]:
    """Complain if nothing is at hand or a file of one's own is not there; return what can be used."""
    usable, left = known.once(registry.at_hand, tuple(p.benchmarks), p.external)
    if not usable:
        yield "benchmarks: none is at hand; " + "; ".join(f"{name}: {reason}" for name, reason in left.items())
    lost = [name for name in usable if benchmark_registry.is_own(name) and not (study.root / name).is_file()]
    yield from (f"benchmarks: {name} does not exist" for name in lost)
    return [name for name in usable if name not in lost]


def _check_answers(name: str, choices: Choices, recordings: Path, base_url: str, gold: Gold | None) -> None:
    gap = benchmark_study.missing(name, choices, recordings, base_url, gold)
    if gap:
        raise StudyError(f"{gap}: {RECORD}")


def _finetune(study: Study, p: Finetuning, known: Known) -> Iterator[str]:
    yield from _students(study, p, known)
    yield from known.lines(_check_external, p.notebook) if p.external else []


def _students(study: Study, p: Training, known: Known) -> Iterator[str]:
    yield from known.lines(reader.check_model, p.frozen_model, study.root)
    if p.encoder_conditions and p.encoder_seeds:
        yield from known.lines(check_encoder, p.encoder, study.root)


def _check_external(notebook: str) -> None:
    path = EXTERNAL[notebook].find()
    if path:
        EXTERNAL[notebook].verify(path)


def _unknown_clone_arms(study: Study, p: FinetuneCloneDetection | RealClones) -> Iterator[str]:
    write, select = study.params_of(WriteClones.notebook), study.params_of(ValidateAndSelect.notebook)
    if write and select and (write.clone_candidates, select.clones) == (select.clone_candidates, p.clones):
        yield from _unknown_arms(p, write.clone_arms, write.notebook)


def _unknown_arms(p: Finetuning | RealClones, known: Sequence[str], asked_by: str) -> Iterator[str]:
    """Arms that the notebook which asks the generators does not ask for."""
    for field, arm in [("main_arm", p.main_arm), *(("arms", arm) for arm in getattr(p, "arms", []))]:
        if arm not in known:
            yield f"{field}: {arm!r} is not among the arms of {asked_by}{hint(arm, known)}"


def _too_many_real(p: Finetuning, groups: Sequence[int], items: str, **more: Sequence[int]) -> Iterator[str]:
    """Numbers of real items that are larger than what the smallest fold can have; ``groups`` has one entry an item."""
    from llmexp_utils.conditions import REAL_FREE

    have, fold = min((sum(benchmarks.split_of(group, fold) == "train" for group in groups), fold) for fold in p.folds)
    asked = {
        "n_real": p.n_real if set(p.conditions) - set(REAL_FREE) else [],
        "encoder_real": [p.encoder_real] if p.encoder_seeds and set(p.encoder_conditions) - set(REAL_FREE) else [],
        **more,
    }
    for field, numbers in asked.items():
        if max(numbers, default=0) > have:
            yield f"{field}: fold {fold} has {have} real training {items}, {max(numbers)} were asked for"


def _warnings(study: Study, names: Sequence[str]) -> list[str]:
    lines = []
    for name, source in EXTERNAL.items():
        if name in names and study.params[name].external and not source.find_local():
            missing = f"{source.name} was not found, so `external: true` tests on nothing more"
            lines.append(f"{name}: {missing}; {source.advice}")
    return lines


CHECKS: dict[str, Callable[[Study, Any, Gold, Known], Iterator[str]]] = {
    StartHere.notebook: _start_here,
    InjectFaults.notebook: _inject_faults,
    WriteClones.notebook: _write_clones,
    FinetuneFaultLocalization.notebook: _finetune_fault_localization,
    FinetuneCloneDetection.notebook: _finetune_clone_detection,
    RealBenchmarks.notebook: _real_benchmarks,
    RealClones.notebook: _real_clones,
}
"""Problems of a notebook beyond its gold folder, one line each."""
