"""Fault injection as a plan: which requests each arm (generator, answer form, line policy) makes, and its answers.

An arm is written ``generator/form/policy``, for example ``qwen2.5-coder-1.5b/line/uniform`` or
``qwen2.5-coder-1.5b/function``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from llmexp_utils import asking, generate, line_policies
from llmexp_utils.asking import Request, asker, book_of, server_of, settle
from llmexp_utils.benchmarks import Function
from llmexp_utils.budget import Ledger
from llmexp_utils.errors import StudyError
from llmexp_utils.examples import Ranking, best_examples
from llmexp_utils.llm import Client, model_identity
from llmexp_utils.prompts import read_chosen_lines

N_NAMED = 3  # lines that the generator names under the policy "llm"


@dataclass(frozen=True)
class Arm:
    """One way of asking."""

    generator: str
    form: str
    policy: str

    @property
    def name(self) -> str:
        """The arm as it is written in parameters."""
        return "/".join(part for part in (self.generator, self.form, self.policy) if part)


def parse_arm(text: str) -> Arm:
    """Read an arm.

    Examples
    --------
    >>> parse_arm("qwen2.5-coder-0.5b/line/uniform").policy
    'uniform'
    """
    generator, _, form = text.rpartition("/")
    policy = ""
    if form in line_policies.POLICIES:
        policy = form
        generator, _, form = generator.rpartition("/")
    if not generator or (form, bool(policy)) not in (("function", False), ("line", True)):
        policies = ", ".join(f"GENERATOR/line/{policy}" for policy in line_policies.POLICIES)
        raise StudyError(f"unknown arm {text!r}: write GENERATOR/function or one of {policies}")
    return Arm(generator, form, policy)


@dataclass(frozen=True)
class Plan:
    """Everything that decides the requests, apart from the arm."""

    functions: Sequence[Function]
    gold: pd.DataFrame
    groups: Mapping[str, int]
    rankings: Mapping[str, Ranking]
    n_samples: Mapping[str, int]
    temperature: float
    top_p: float
    seed: int

    def __post_init__(self) -> None:
        """Group the functions: those that share their prompt's examples follow each other."""
        order = sorted(self.functions, key=lambda function: self.groups[function.task_id])
        object.__setattr__(self, "functions", order)


def choices(plan: Plan) -> list[Request]:
    """Requests of the policy ``llm`` for the lines to break."""
    return [generate.choose_request(function, N_NAMED, plan.seed) for function in plan.functions]


def requests_of(arm: Arm, plan: Plan, chosen: Mapping[str, Sequence[int]]) -> list[Request]:
    """All requests of an arm; those of one function follow each other."""
    requests: list[Request] = []
    weights = _weights(plan) if arm.policy == "gold" else {}
    faults = plan.gold.set_index("fault_id")
    for function in plan.functions:
        examples = best_examples(function.task_id, plan.groups, plan.rankings, faults)
        settings = (plan.temperature, plan.top_p, plan.seed)
        if arm.form == "function":
            requests += generate.function_requests(function, examples, plan.n_samples["function"], *settings)
        else:
            picks = line_policies.occurrences(function, _lines(arm, plan, function, chosen, weights))
            requests += generate.line_requests(function, examples, picks, *settings)
    return requests


def answers_of(
    arms: Iterable[Arm], plan: Plan, folder: Path, mode: str, base_url: str = "", ledger: Ledger | None = None
) -> pd.DataFrame:
    """Candidate frame of all arms.

    Parameters
    ----------
    folder : Path
        Folder of the recordings, one file for each generator and form.
    mode : {"replay", "record"}
        ``replay`` reads recorded answers and needs no weights; ``record`` first asks for those that are missing.
    base_url : str
        An OpenAI-compatible server that has the arms' generators, apart from the embedded ones.
    ledger : Ledger, optional
        How it may be used; a budget is for all arms together, and for all that share the ledger.
    """
    frames, ledger = [], ledger or Ledger()
    for generator, its_arms in _by_generator(arms).items():
        server = server_of(generator, base_url)
        with asker(generator, mode, server, ledger.access) as client:
            frames += _answers(its_arms, plan, folder, model_identity(generator, server), client, ledger)
    return pd.concat(frames, ignore_index=True)


@dataclass(frozen=True)
class Gap:
    """Answers of an arm that are not on record; in the form ``choose`` the policy ``llm`` asks for its lines."""

    arm: Arm
    form: str
    missing: int
    total: int
    path: Path

    def __str__(self) -> str:
        """The gap in words."""
        what = "choices of lines" if self.form == "choose" else "answers"
        return f"arm {self.arm.name}: {self.missing} of {self.total} {what} are not in {self.path}"


def missing(arms: Iterable[Arm], plan: Plan, folder: Path, base_url: str = "") -> list[Gap]:
    """What :func:`answers_of` would not find on record, one gap an arm; asks no generator.

    Raises
    ------
    StudyError
        If a generator is neither embedded nor behind a ``base_url``, or a line of its recordings is malformed.
    """
    gaps: list[Gap] = []
    for generator, its_arms in _by_generator(arms).items():
        model = model_identity(generator, server_of(generator, base_url))
        books = {form: book_of(form, generator, folder) for form in {"choose", *(arm.form for arm in its_arms)}}
        for arm in its_arms:
            form, requests = arm.form, choices(plan) if arm.policy == "llm" else []
            lost = asking.missing(requests, model, books["choose"])
            if lost:  # without them nobody knows which lines the arm would ask for
                form = "choose"
            else:
                chosen = _chosen(asking.replay(requests, model, books["choose"]), plan) if requests else {}
                requests = requests_of(arm, plan, chosen)
                lost = asking.missing(requests, model, books[form])
            if lost:
                gaps.append(Gap(arm, form, len(lost), len(requests), books[form].path))
    return gaps


def _by_generator(arms: Iterable[Arm]) -> dict[str, list[Arm]]:
    found: dict[str, list[Arm]] = {}
    for arm in arms:
        found.setdefault(arm.generator, []).append(arm)
    return found


def _chosen(answers: Iterable[dict], plan: Plan) -> dict[str, list[int]]:
    """Lines that a generator named, by function, out of its answers to :func:`choices`."""
    return {
        function.task_id: read_chosen_lines(answer["answer"], len(function.lines))
        for function, answer in zip(plan.functions, answers, strict=True)
    }


def _answers(
    arms: Sequence[Arm], plan: Plan, folder: Path, model: str, client: Client | None, ledger: Ledger
) -> list[pd.DataFrame]:
    """Frames of the arms of one generator; all its requests of one form are recorded in one pass."""
    generator = arms[0].generator
    chosen: dict[str, list[int]] = {}
    if any(arm.policy == "llm" for arm in arms):
        chosen = _chosen(settle("choose", choices(plan), generator, folder, model, client, ledger), plan)
    requests = {arm: requests_of(arm, plan, chosen) for arm in arms}
    if client:
        for form in dict.fromkeys(arm.form for arm in arms):
            together = [request for arm in arms if arm.form == form for request in requests[arm]]
            settle(form, by_function(together, plan), generator, folder, model, client, ledger)
    return [
        generate.candidate_frame(
            requests[arm],
            settle(arm.form, requests[arm], generator, folder, model, None),
            plan.functions,
            generator,
            arm.policy,
        )
        for arm in arms
    ]


def by_function(requests: Sequence[Request], plan: Plan) -> list[Request]:
    """Requests of several arms with those of one function together, so that a server reads each function once."""
    position = {function.task_id: rank for rank, function in enumerate(plan.functions)}
    return sorted(requests, key=lambda request: position[request.task_id])


def _weights(plan: Plan) -> dict[int, dict[tuple[str, int], float]]:
    """Weights of the policy ``gold``, one set a group: its own gold faults are training data wherever it is."""
    gold_groups = plan.gold.task_id.map(plan.groups)
    weights = {}
    for group in sorted({plan.groups[function.task_id] for function in plan.functions}):
        rows = plan.gold[gold_groups == group]
        weights[group] = line_policies.gold_weights(rows)
    return weights


def _lines(arm: Arm, plan: Plan, function: Function, chosen: Mapping, weights: Mapping) -> list[int]:
    rng = line_policies.function_rng(plan.seed, function.task_id)
    n = plan.n_samples["line"]
    if arm.policy == "uniform":
        return line_policies.uniform(function, n, rng)
    if arm.policy == "gold":
        return line_policies.by_gold(function, n, weights[plan.groups[function.task_id]], rng)
    return line_policies.named(function, n, chosen[function.task_id], rng)
