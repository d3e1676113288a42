"""What can be known to be wrong before the first kernel starts: all of it at once, one line each.

Only notebooks that are about to run are checked, and nothing that is checked takes long: no weights are read, no
program is run (its sandbox is set up once), a server or a hub is asked once and has five seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmexp_utils import benchmarks, cloning, injection, llm, reader
from llmexp_utils.benchmarks import Function
from llmexp_utils.errors import StudyError
from llmexp_utils.examples import Ranking, load_examples
from llmexp_utils.external import EXTERNAL
from llmexp_utils.notebook_params import (
    FinetuneCloneDetection,
    FinetuneFaultLocalization,
    Finetuning,
    InjectFaults,
    Results,
    StartHere,
    ValidateAndSelect,
    WriteClones,
)
from llmexp_utils.pairs import PAIRS_A_PROBLEM
from llmexp_utils.params import hint
from llmexp_utils.sandbox import Limits, layers

if TYPE_CHECKING:
    import pandas as pd

    from llmexp_utils.study import Study

DEFAULT_EXAMPLES = "semantic"  # of notebooks that do not choose


@dataclass(frozen=True)
class Gold:
    """A gold folder that holds together."""

    functions: Sequence[Function]
    faults: pd.DataFrame
    groups: Mapping[str, int]
    rankings: Mapping[str, Ranking]


def preflight(study: Study, names: Sequence[str]) -> list[str]:
    """Check what the notebooks are about to read and use.

    Returns
    -------
    list of str
        Warnings: what a run does without.

    Raises
    ------
    StudyError
        With one line for each problem of all notebooks.
    """
    problems = _sandbox(study, names)
    golds: dict[tuple[Path, str], Gold | None] = {}
    for name in names:
        p = study.params[name]
        if name == Results.notebook:
            continue  # it reads what the others wrote
        folder = (study.root / p.gold, getattr(p, "examples", DEFAULT_EXAMPLES))
        if folder not in golds:
            golds[folder] = _read_gold(*folder, problems)
        gold = golds[folder]
        if gold and name in CHECKS:
            problems += [f"{name}: {line}" for line in CHECKS[name](study, p, gold)]
    if problems:  # paths inside the repository are shown from there
        raise StudyError("\n".join(dict.fromkeys(problems)).replace(f"{study.root}/", ""))
    return _warnings(study, names)


def _sandbox(study: Study, names: Sequence[str]) -> list[str]:
    """What is missing for the boundaries that notebooks ask for."""
    boundaries = dict.fromkeys(getattr(study.params[name], "boundary", None) for name in names)
    return [line for one in boundaries if one for line in _lines(lambda one=one: layers(Limits(boundary=one)))]


def downstream(study: Study, waiting: Sequence[str]) -> list[str]:
    """The waiting notebooks, and those that read what they write."""
    found: list[str] = []
    written: set[str] = set()
    for name, p in study.params.items():
        if name in waiting or written & {getattr(p, field) for field in p.names("reads")}:
            found.append(name)
            written |= {getattr(p, field) for field in p.names("writes")}
    return found


def _read_gold(folder: Path, how: str, problems: list[str]) -> Gold | None:
    """Read a gold folder; None, and lines in ``problems``, when a file of it is malformed."""
    before = len(problems)
    try:
        functions = benchmarks.load_humaneval()
    except StudyError as error:
        problems.append(str(error))
        return None

    def read(name: str, reader: Callable[[Path], Any]) -> Any:
        try:
            return _parsed(folder / name, reader)
        except StudyError as error:
            problems.append(str(error))
            return None

    faults = read("faults.jsonl", lambda path: benchmarks.gold_frame(benchmarks.read_gold(path), functions))
    groups = read("folds.json", lambda path: _read_groups(path, functions))
    rankings = read("examples.json", lambda path: _read_rankings(path, how, faults))
    return Gold(functions, faults, groups, rankings) if len(problems) == before else None


def _parsed(path: Path, reader: Callable[[Path], Any]) -> Any:
    """Read a file; every way in which it can be malformed is one line with its name."""
    try:
        return reader(path)
    except FileNotFoundError as error:
        raise StudyError(f"{error.filename} does not exist: check the parameter 'gold'") from None
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise StudyError(f"{path} is malformed ({type(error).__name__}: {error})") from None


def _read_groups(path: Path, functions: Sequence[Function]) -> Mapping[str, int]:
    groups = benchmarks.load_groups(path)
    for function in functions:
        if groups.get(function.task_id) not in range(benchmarks.N_GROUPS):
            raise StudyError(f"{path}: {function.task_id} has no group from 0 to {benchmarks.N_GROUPS - 1}")
    return groups


def _read_rankings(path: Path, how: str, faults: pd.DataFrame | None) -> Mapping[str, Ranking]:
    rankings = load_examples(path, how)
    shown = [
        fault_id for group in range(benchmarks.N_GROUPS) for ranking in rankings[str(group)] for fault_id in ranking
    ]
    unknown = set(shown) - set(shown if faults is None else faults.fault_id)
    if unknown:
        raise StudyError(f"{path}: {min(unknown)!r} is not a gold fault")
    return rankings


def _start_here(study: Study, p: StartHere, gold: Gold) -> Iterator[str]:
    known = [function.task_id for function in gold.functions]
    for field, value in p.model_dump().items():
        if field.endswith("task_id") and value not in known:
            yield f"{field}: {value!r} is no HumanEval problem; known: {known[0]} to {known[-1]}"


def _inject_faults(study: Study, p: InjectFaults, gold: Gold) -> Iterator[str]:
    arms = [injection.parse_arm(text) for text in p.arms]
    if p.mode == "record":
        yield from _serve(arms, p.base_url)
        return
    samples = {"line": p.line_samples, "function": p.function_samples}
    settings = (samples, p.temperature, p.top_p, p.seed)
    plan = injection.Plan(gold.functions[: p.n_functions], gold.faults, gold.groups, gold.rankings, *settings)
    for arm in arms:
        yield from _lines(_check_recorded, arm, plan, study.root / p.recordings, p.base_url)


def _write_clones(study: Study, p: WriteClones, gold: Gold) -> Iterator[str]:
    arms = [cloning.parse_clone_arm(text) for text in p.clone_arms]
    if p.mode == "record":
        yield from _serve(arms, p.base_url)
        return
    try:
        plan = _parsed(study.root / p.gold, lambda folder: cloning.plan_of(p, folder, gold.functions, gold.groups))
    except StudyError as error:
        yield from str(error).splitlines()
        return
    for arm in arms:
        yield from _lines(_check_recorded_clones, arm, plan, study.root / p.recordings, p.base_url)


def _serve(arms: Sequence[injection.Arm | cloning.CloneArm], base_url: str) -> Iterator[str]:
    """What is missing to ask the generators of the arms."""
    generators = list(dict.fromkeys(arm.generator for arm in arms))
    others = [generator for generator in generators if generator not in llm.EMBEDDED]
    if len(others) > 1 and not base_url:
        yield f"base_url is empty: give the address of a server that has {', '.join(others)}"
        return
    for generator in generators:
        yield from _lines(llm.check_generator, generator, base_url)


def _check_recorded_clones(arm: cloning.CloneArm, plan: cloning.ClonePlan, folder: Path, base_url: str) -> None:
    for gap in cloning.missing([arm], plan, folder, base_url):
        raise StudyError(f"{gap}: set `mode: record` to ask for them, or go back to the committed parameters")


def _check_recorded(arm: injection.Arm, plan: injection.Plan, folder: Path, base_url: str) -> None:
    for gap in injection.missing([arm], plan, folder, base_url):
        raise StudyError(
            f"{gap}: set `mode: record` to ask for them (`make record` shows it on a few functions), "
            "or go back to the committed parameters"
        )


def _lines(check: Callable[..., None], *values: object) -> list[str]:
    """Lines of the error that a check raises; none when it holds."""
    try:
        check(*values)
    except StudyError as error:
        return str(error).splitlines()
    return []


def _finetune_fault_localization(study: Study, p: FinetuneFaultLocalization, gold: Gold) -> Iterator[str]:
    inject, select = study.params_of(InjectFaults.notebook), study.params_of(ValidateAndSelect.notebook)
    if inject and select and (inject.candidates, select.pool) == (select.candidates, p.pool):
        yield from _unknown_arms(p, inject.arms, inject.notebook)
    used = {function.task_id for function in gold.functions[: p.n_functions]}
    faults = [gold.groups[task_id] for task_id in gold.faults.task_id if task_id in used]
    yield from _too_many_real(p, faults, "faults", sweep_real=[p.sweep_real] if p.sweep_added or p.arms else [])
    yield from _finetune(study, p)


def _finetune_clone_detection(study: Study, p: FinetuneCloneDetection, gold: Gold) -> Iterator[str]:
    write, select = study.params_of(WriteClones.notebook), study.params_of(ValidateAndSelect.notebook)
    if write and select and (write.clone_candidates, select.clones) == (select.clone_candidates, p.clones):
        yield from _unknown_arms(p, write.clone_arms, write.notebook)
    yield from _lines(
        _parsed, study.root / p.gold / "clone_examples.json", lambda path: load_examples(path, p.examples)
    )
    pairs = [
        gold.groups[function.task_id] for function in gold.functions[: p.n_functions] for _ in range(PAIRS_A_PROBLEM)
    ]
    yield from _too_many_real(p, pairs, "pairs", arm_real=[p.arm_real] if p.arms else [])
    yield from _finetune(study, p)


def _finetune(study: Study, p: Finetuning) -> Iterator[str]:
    yield from _lines(reader.check_model, p.frozen_model, study.root)
    if p.encoder_conditions and p.encoder_seeds:
        yield from _lines(_check_encoder, p.encoder, study.root)
    path = EXTERNAL[p.notebook].find() if p.external else None
    if path:
        yield from _lines(EXTERNAL[p.notebook].verify, path)


def _unknown_arms(p: Finetuning, known: Sequence[str], asked_by: str) -> Iterator[str]:
    """Arms that the notebook which asks the generators does not ask for."""
    for field, arm in [("main_arm", p.main_arm), *(("arms", arm) for arm in p.arms)]:
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


def _check_encoder(name: str, root: Path) -> None:
    from llmexp_utils import encoders

    folder = root / name
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise StudyError(f"encoder {name!r} is a folder without config.json: give one with a model and its tokenizer")
    if name != encoders.MINILM and not folder.is_dir():
        encoders.locate(name)


def _warnings(study: Study, names: Sequence[str]) -> list[str]:
    lines = []
    for name, source in EXTERNAL.items():
        if name in names and study.params[name].external and not source.find_local():
            missing = f"{source.name} was not found, so `external: true` tests on nothing more"
            lines.append(f"{name}: {missing}; {source.advice}")
    return lines


CHECKS: dict[str, Callable[[Study, Any, Gold], Iterator[str]]] = {
    StartHere.notebook: _start_here,
    InjectFaults.notebook: _inject_faults,
    WriteClones.notebook: _write_clones,
    FinetuneFaultLocalization.notebook: _finetune_fault_localization,
    FinetuneCloneDetection.notebook: _finetune_clone_detection,
}
"""Problems of a notebook beyond its gold folder, one line each."""
