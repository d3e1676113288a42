"""Clone writing as a plan: which requests each arm (generator, form) makes, and what its answers become.

An arm is written ``generator/form``, for example ``qwen2.5-coder-1.5b/from_spec`` or ``qwen2.5-coder-0.5b/rewrite``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from llmexp_utils import asking
from llmexp_utils.asking import Request, asker, book_of, server_of, settle
from llmexp_utils.benchmarks import Function
from llmexp_utils.budget import Ledger
from llmexp_utils.clone_answers import clone_rows
from llmexp_utils.clone_prompts import TASK, CloneExample, constructs_in, rewrite_messages, spec_messages
from llmexp_utils.errors import StudyError
from llmexp_utils.examples import load_examples
from llmexp_utils.gold_clones import clone_examples, read_clones
from llmexp_utils.line_policies import function_rng
from llmexp_utils.llm import model_identity
from llmexp_utils.prompts import Message
from llmexp_utils.recordings import Decoding

if TYPE_CHECKING:
    from llmexp_utils.notebook_params import WriteClones

MAX_TOKENS = 400


@dataclass(frozen=True)
class CloneArm:
    """One way of asking for clones."""

    generator: str
    form: str

    policy: ClassVar[str] = ""  # nobody picks a line of a clone

    @property
    def name(self) -> str:
        """The arm as it is written in parameters."""
        return f"{self.generator}/{self.form}"


def parse_clone_arm(text: str) -> CloneArm:
    """Read an arm.

    Examples
    --------
    >>> parse_clone_arm("qwen2.5-coder-0.5b/rewrite").form
    'rewrite'
    """
    generator, _, form = text.rpartition("/")
    if not generator or form not in TASK:
        raise StudyError(f"unknown arm {text!r}: write {' or '.join(f'GENERATOR/{form}' for form in TASK)}")
    return CloneArm(generator, form)


@dataclass(frozen=True)
class ClonePlan:
    """Everything that decides the requests, apart from the arm.

    ``examples`` has two for each problem; ``constructs`` are those that the form ``rewrite`` may ask for; ``n_samples``
    is the number of answers a function by name of the arm: fewer are the first of more.
    """

    functions: Sequence[Function]
    groups: Mapping[str, int]
    examples: Mapping[str, Sequence[CloneExample]]
    constructs: Sequence[str]
    n_samples: Mapping[str, int]
    temperature: float
    top_p: float
    seed: int

    def __post_init__(self) -> None:
        """Group the functions: those that share their prompt's examples follow each other."""
        order = sorted(self.functions, key=lambda function: self.groups[function.task_id])
        object.__setattr__(self, "functions", order)


def plan_of(p: WriteClones, gold: Path, functions: Sequence[Function], groups: Mapping[str, int]) -> ClonePlan:
    """Plan of the parameters of ``03_write_clones``.

    Parameters
    ----------
    p : WriteClones
        The notebook's parameters.
    gold : Path
        Folder of the gold set: clones, and which of them the prompts show.
    functions, groups
        All problems, and the split.

    Raises
    ------
    StudyError
        If a file of the gold set is missing or malformed, or there is not one number of samples an arm.
    """
    rankings = load_examples(gold / "clone_examples.json", p.examples)
    examples = clone_examples(functions, read_clones(gold / "clones.jsonl"), groups, rankings)
    if len(p.clone_samples) != len(p.clone_arms):
        raise StudyError(
            f"clone_samples has {len(p.clone_samples)} numbers for {len(p.clone_arms)} arms: give one each"
        )
    samples = dict(zip(p.clone_arms, p.clone_samples, strict=True))
    chosen = functions[: p.n_functions]
    return ClonePlan(chosen, groups, examples, p.constructs, samples, p.temperature, p.top_p, p.seed)


def requests_of(arm: CloneArm, plan: ClonePlan) -> list[Request]:
    """All requests of an arm; those of one function follow each other."""
    requests = []
    for function in plan.functions:
        for sample, construct in enumerate(_constructs(arm, plan, function)):
            messages = _messages(plan.examples[function.task_id], function, construct)
            decoding = Decoding(plan.temperature, plan.top_p, MAX_TOKENS, plan.seed * 1000 + sample)
            requests.append(Request(function.task_id, arm.form, 0, sample, tuple(messages), decoding, construct))
    return requests


def clones_of(
    arms: Iterable[CloneArm],
    plan: ClonePlan,
    folder: Path,
    mode: str,
    base_url: str = "",
    ledger: Ledger | None = None,
) -> pd.DataFrame:
    """Candidate clones of all arms, one row an answer (see :func:`llmexp_utils.clone_answers.clone_rows`).

    Parameters
    ----------
    folder : Path
        Folder of the recordings, one file for each generator and form.
    mode : {"replay", "record"}
        ``replay`` reads recorded answers and needs no weights; ``record`` first asks for those that are missing.
    base_url : str
        An OpenAI-compatible server that has the arms' generators, apart from the embedded ones.
    ledger : Ledger, optional
        How it may be used; a budget is for all arms together.
    """
    rows, ledger = [], ledger or Ledger()
    for arm in arms:
        server, requests = server_of(arm.generator, base_url), requests_of(arm, plan)
        with asker(arm.generator, mode, server, ledger.access) as client:
            model = model_identity(arm.generator, server)
            answers = settle(arm.form, requests, arm.generator, folder, model, client, ledger)
        rows += clone_rows(requests, answers, plan.functions, arm.generator)
    return pd.DataFrame(rows)


def missing(arms: Iterable[CloneArm], plan: ClonePlan, folder: Path, base_url: str = "") -> list[str]:
    """What :func:`clones_of` would not find on record, in words, one line an arm; asks no generator."""
    lines = []
    for arm in arms:
        book, requests = book_of(arm.form, arm.generator, folder), requests_of(arm, plan)
        lost = asking.missing(requests, model_identity(arm.generator, server_of(arm.generator, base_url)), book)
        if lost:
            lines.append(f"arm {arm.name}: {len(lost)} of {len(requests)} answers are not in {book.path}")
    return lines


def _constructs(arm: CloneArm, plan: ClonePlan, function: Function) -> list[str]:
    """Construct of each sample: in a random order, again and again, those that the function does not use already."""
    n = plan.n_samples[arm.name]
    if arm.form == "from_spec":
        return [""] * n
    used = constructs_in(function.code)
    fresh = [construct for construct in plan.constructs if construct not in used] or list(plan.constructs)
    order = function_rng(plan.seed, function.task_id).permutation(len(fresh))
    return [fresh[order[sample % len(fresh)]] for sample in range(n)]


def _messages(examples: Sequence[CloneExample], function: Function, construct: str) -> list[Message]:
    return (
        rewrite_messages(examples, function.code, construct) if construct else spec_messages(examples, function.prompt)
    )
