"""Rule-based clones: a function rewritten by several rules, one after the other (control C2 of clone detection)."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmexp_utils import rewrite_rules as rules
from llmexp_utils.clone_types import normal_tokens, own_names, renamed
from llmexp_utils.code import CodeError, normalise
from llmexp_utils.errors import StudyError
from llmexp_utils.line_policies import function_rng
from llmexp_utils.source_edits import Edit, Source, apply

if TYPE_CHECKING:
    from llmexp_utils.benchmarks import Function

RULES: dict[str, Callable[[Source], Iterator[Edit]]] = {
    "swapped operands": rules.swapped_operands,
    "loop as while": rules.loop_as_while,
    "comprehension as loop": rules.comprehension_as_loop,
    "loop as comprehension": rules.loop_as_comprehension,
    "inverted condition": rules.inverted_condition,
    "long assignment": rules.long_assignment,
    "named result": rules.named_result,
    "dead code": rules.dead_code,
}
WORDS = (
    "value", "data", "item", "total", "current", "count", "entry", "position", "part", "answer", "first", "second",
    "left", "right", "size", "limit", "element", "number", "text", "collected", "flag", "step", "key", "rest",
)  # fmt: skip


def rewrite(code: str, n_rules: int, rng: np.random.Generator) -> tuple[str, list[str]]:
    """Rewrite a function with up to ``n_rules`` different rules at random places, and rename its variables.

    Returns
    -------
    code : str
        In normal form; that it still does the same is for the tests to say.
    applied : list of str
        Names of the rules that found a place, in order, without the renaming.

    Examples
    --------
    >>> code, applied = rewrite("def f(x):\\n    x += 1\\n    return x\\n", 2, np.random.default_rng(0))
    >>> applied
    ['long assignment', 'dead code']
    """
    applied: list[str] = []
    for name in rng.permutation(list(RULES)).tolist():
        if len(applied) == n_rules:
            break
        edits = list(RULES[name](Source.read(code)))
        if not edits:
            continue
        new = _normal(apply(code, edits[int(rng.integers(len(edits)))]))
        if new is not None and new != code:
            code, applied = new, [*applied, name]
    return rename_variables(code, rng), applied


def rename_variables(code: str, rng: np.random.Generator) -> str:
    """Function whose parameters and variables have other names; those of functions stay."""
    tree = ast.parse(code)
    everything = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    everything |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg | ast.keyword) and node.arg}
    own = own_names(code) - {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own -= {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}  # may be another function's
    free = [word for word in rng.permutation(WORDS).tolist() if word not in everything and not keyword.iskeyword(word)]
    names = sorted(own)
    return renamed(code, dict(zip(names, [*free, *(f"name_{n}" for n in range(len(names)))], strict=False)))


def sample_rewrites(sources: pd.DataFrame, per_source: int, n_rules: int, seed: int) -> pd.DataFrame:
    """Rewritten programs, each different from the others of its source in its normalised tokens.

    Parameters
    ----------
    sources : DataFrame
        ``program_id, task_id, code, correct``; the draw of one does not depend on the others.
    per_source : int
        Most rewritings of a program; short ones have fewer.
    n_rules : int
        Most rules in one rewriting.
    seed : int
        Of the draw.

    Returns
    -------
    DataFrame
        ``program_id, task_id, source`` ("rule"), ``code, correct, rules``.
    """
    if per_source < 1 or n_rules < 1:
        raise StudyError("per_source and n_rules must be at least 1")
    rows = []
    for program in sources.itertuples():
        rng, seen = function_rng(seed, program.program_id), {tuple(normal_tokens(program.code))}
        for _ in range(4 * per_source):
            if len(seen) > per_source:
                break
            code, applied = rewrite(program.code, n_rules, rng)
            stream = tuple(normal_tokens(code))
            if stream not in seen:
                seen.add(stream)
                name = f"{program.program_id}/rule/{len(seen) - 2}"
                rows.append((name, program.task_id, "rule", code, program.correct, applied))
    return pd.DataFrame(rows, columns=["program_id", "task_id", "source", "code", "correct", "rules"])


def rule_programs(
    functions: Sequence[Function], faults: pd.DataFrame, per_function: int, n_rules: int, seed: int
) -> pd.DataFrame:
    """Candidates by rule, in equal numbers: rewritings of each correct function, and of its faulty variants.

    Parameters
    ----------
    functions : sequence of Function
        Correct functions; each is rewritten up to ``per_function`` times.
    faults : DataFrame
        Faulty variants: ``fault_id, task_id, code, correct``; the first ``per_function`` of a problem are rewritten
        once each.
    per_function, n_rules, seed
        See :func:`sample_rewrites`.
    """
    columns = ["program_id", "task_id", "code", "correct"]
    rows = [(function.task_id, function.task_id, function.code, function.code) for function in functions]
    wrong = faults.rename(columns={"fault_id": "program_id"})[columns]
    wrong = wrong[wrong.groupby("task_id").cumcount() < per_function]
    clones = sample_rewrites(pd.DataFrame(rows, columns=columns), per_function, n_rules, seed)
    return pd.concat([clones, sample_rewrites(wrong, 1, n_rules, seed)], ignore_index=True)


def _normal(text: str | None) -> str | None:
    try:
        return None if text is None else normalise(text).code
    except CodeError:
        return None
