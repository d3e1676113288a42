"""Rule-based faults: all first-order mutants of a function, and a balanced draw of them (control C2).

Names and rules of the operators follow the literature where it has them:

* Offutt, Lee, Rothermel, Untch, Zapf 1996, "An experimental determination of sufficient mutant operators":
  AOR, LCR, ROR, UOI (the fifth, absolute value insertion, is left out: most of its mutants change nothing);
* MutPy (Derezinska and Halas 2014): AOD, AOR, ASR, BCR, COD, COI, CRP, EHD, LCR, LOR, OIL, RIL, ROR, SDL,
  SIR, ZIL;
* Delamaro, Offutt, Ammann 2014, "Designing deletion mutation operators": SDL, ODL;
* Mothra (King and Offutt 1991) for replacement by a variable of the same kind (SVR there, VRR here);
* Delamaro, Maldonado, Mathur 2001, interface mutation, for switched and deleted arguments (AIR, ADL here);
* PIT for return values (RVR), argument propagation and naked receiver (CDL);
* mutmut for paired functions (FNR).

An edit that could only raise ``TypeError`` (arithmetic on text or lists) is not made. Whether a mutant fails
the tests is decided elsewhere, in the sandbox.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmexp_utils import mutation_expressions as expressions
from llmexp_utils import mutation_statements as statements
from llmexp_utils.code import CodeError, Program, changed_lines, lines_touched, normalise, tokens
from llmexp_utils.errors import StudyError
from llmexp_utils.source_edits import Edit, Source, apply

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from llmexp_utils.benchmarks import Function

MAX_LINES = 3

OPERATORS: dict[str, expressions.Operator] = {
    "AOD": expressions.arithmetic_deletion,
    "AOR": expressions.arithmetic_replacement,
    "UOI": expressions.unary_insertion,
    "ODL": expressions.operand_deletion,
    "ROR": expressions.relational_replacement,
    "LCR": expressions.connector_replacement,
    "LOR": expressions.bitwise_replacement,
    "COI": expressions.condition_insertion,
    "COD": expressions.condition_deletion,
    "CRP": expressions.constant_replacement,
    "VRR": expressions.variable_replacement,
    "SIR": expressions.slice_removal,
    "AIR": expressions.argument_swap,
    "ADL": expressions.argument_deletion,
    "CDL": expressions.call_deletion,
    "FNR": expressions.function_replacement,
    "SDL": statements.statement_deletion,
    "ASR": statements.assignment_replacement,
    "RVR": statements.return_replacement,
    "BCR": statements.jump_replacement,
    "ZIL": statements.zero_iterations,
    "OIL": statements.one_iteration,
    "RIL": statements.reverse_iteration,
    "EHD": statements.handler_deletion,
}


@dataclass(frozen=True)
class Mutant:
    """A version changed by one operator at one place; ``line`` (1-based) is the first faulty one."""

    operator: str
    line: int
    code: str


def mutate(code: str, preamble: str = "") -> list[Mutant]:
    """Return all first-order mutants of a function.

    Parameters
    ----------
    code : str
        The correct function(s).
    preamble : str
        Import lines that the code needs.

    Returns
    -------
    list of Mutant
        In normal form, in the order of ``OPERATORS`` and then of the text; each touches at most three lines,
        and differs from the original and from every other one in its tokens.

    Raises
    ------
    CodeError
        If the code does not parse.

    Examples
    --------
    >>> [(mutant.operator, mutant.line) for mutant in mutate("def f(x):\\n    return -x\\n")]
    [('AOD', 2), ('RVR', 2)]
    """
    original = normalise(_join(preamble, code))
    seen = {tuple(tokens(original.code))}
    found = (
        _mutant(original, operator, edit, seen) for operator, edits in _edits(original.code).items() for edit in edits
    )
    return [mutant for mutant in found if mutant is not None]


def sample_mutants(functions: Sequence[Function], n_per_function: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw mutants evenly over the operators: first the operator, then the place, then the change there.

    A uniform draw over all mutants would be mostly variable replacements, which have the most places.

    Parameters
    ----------
    functions : sequence of Function
        Correct functions (``task_id``, ``preamble`` and ``code`` are read).
    n_per_function : int
        Number of mutants of each function; fewer where a function has fewer. With the same ``rng`` a smaller
        number gives the first ones of a larger number.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    pandas.DataFrame
        A fault frame with ``source`` "mutation" and the column ``operator``, without repeats; ``fault_id``
        depends on the mutant alone. Nothing is tested yet.

    Raises
    ------
    StudyError
        If ``n_per_function`` is negative.
    """
    import pandas as pd

    if n_per_function < 0:
        raise StudyError(f"n_per_function is {n_per_function}: give zero or more")
    columns = ["fault_id", "task_id", "source", "code", "lines", "correct", "fault_type", "operator"]
    pairs = zip(functions, rng.spawn(len(functions)), strict=True)
    rows = [row for function, own in pairs for row in _sample_rows(function, n_per_function, own)]
    return pd.DataFrame(rows, columns=columns)


def _sample_rows(function: Function, n: int, rng: np.random.Generator) -> list[dict[str, object]]:
    original = normalise(_join(function.preamble, function.code))
    return [
        {
            "fault_id": f"{function.task_id}#{mutant.operator}-{_digest(mutant.code)}",
            "task_id": function.task_id,
            "source": "mutation",
            "code": mutant.code,
            "lines": changed_lines(original.code, mutant.code),
            "correct": original.code,
            "fault_type": "",
            "operator": mutant.operator,
        }
        for mutant in itertools.islice(_draw(original, rng), n)
    ]


def _draw(original: Program, rng: np.random.Generator) -> Iterator[Mutant]:
    """Mutants in random order, lazily: formatting takes the time, so only those asked for are formatted."""
    places: dict[str, dict[tuple[int, int], list[Edit]]] = {}
    for operator, edits in _edits(original.code).items():
        for edit in edits:
            places.setdefault(operator, {}).setdefault((edit.start, edit.end), []).append(edit)
    seen = {tuple(tokens(original.code))}
    while places:
        operator = list(places)[rng.integers(len(places))]
        place = list(places[operator])[rng.integers(len(places[operator]))]
        edits = places[operator][place]
        mutant = _mutant(original, operator, edits.pop(rng.integers(len(edits))), seen)
        if not edits:
            del places[operator][place]
        if not places[operator]:
            del places[operator]
        if mutant is not None:
            yield mutant


def _edits(code: str) -> dict[str, list[Edit]]:
    source = Source.read(code)
    nodes = source.nodes()
    return {name: [edit for node in nodes for edit in make(node, source)] for name, make in OPERATORS.items()}


def _mutant(original: Program, operator: str, edit: Edit, seen: set[tuple[str, ...]]) -> Mutant | None:
    """The mutant of an edit, or None if it is no program, too large or seen before (``seen`` grows)."""
    text = apply(original.code, edit)
    if text is None:
        return None
    try:
        code = normalise(_join(original.preamble, text)).code
    except CodeError:
        return None
    key = tuple(tokens(code))
    if key in seen or lines_touched(original.code, code) > MAX_LINES:
        return None
    seen.add(key)
    return Mutant(operator, changed_lines(original.code, code)[0], code)


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()[:10]


def _join(preamble: str, code: str) -> str:
    return f"{preamble}\n{code}" if preamble else code
