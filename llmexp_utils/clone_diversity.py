"""How varied the programs of an author are: tokens, constructs of the language, and likeness to one another.

Most of these numbers fall as a set grows, so authors are compared by means over samples of one size.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from llmexp_utils.code import tokens
from llmexp_utils.diversity import distinct_share, entropy
from llmexp_utils.errors import StudyError


def diversity_by_author(
    authors: Mapping[str, pd.DataFrame],
    embed: Callable[[Sequence[str]], np.ndarray],
    draws: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Diversity of equally many programs of each author, as many as the one with the fewest has.

    Parameters
    ----------
    authors : mapping
        Programs of each author: column ``code``.
    embed : callable
        Vectors (n, d) of n texts.
    draws : int
        Samples, drawn without replacement.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    DataFrame
        ``author``, ``programs`` (in a sample); means over the samples of ``distinct_1``, ``distinct_2`` (distinct over
        all token unigrams and bigrams; Li et al. 2016, arXiv 1510.03055), ``node_kinds`` (distinct kinds of AST nodes),
        ``node_entropy`` (of the kinds, in bits) and ``similarity`` (mean cosine of two programs of the sample).

    Raises
    ------
    StudyError
        If an author has fewer than two programs, or nothing is drawn.
    """
    size = min(map(len, authors.values()), default=0)
    if size < 2 or draws < 1:
        raise StudyError(f"cannot draw {draws} times {size} programs: every author needs two, and draws one")
    rows = []
    for author, frame in authors.items():
        codes = frame["code"].tolist()
        streams, kinds, units = (
            [tokens(code) for code in codes],
            [node_kinds(code) for code in codes],
            _units(embed(codes)),
        )
        found = []
        for _ in range(draws):
            chosen = rng.choice(len(codes), size, replace=False).tolist()
            found.append(_summary([streams[n] for n in chosen], [kinds[n] for n in chosen], units[chosen]))
        rows.append({"author": author, "programs": size} | pd.DataFrame(found).mean().to_dict())
    return pd.DataFrame(rows)


def node_kinds(code: str) -> list[str]:
    """Kind of every node of the syntax tree that a programmer chooses: contexts and the module are left out.

    Examples
    --------
    >>> node_kinds("x = 1")
    ['Assign', 'Name', 'Constant']
    """
    left_out = ast.expr_context | ast.Module
    return [type(node).__name__ for node in ast.walk(ast.parse(code)) if not isinstance(node, left_out)]


def _summary(streams: list[list[str]], kinds: list[list[str]], units: np.ndarray) -> dict[str, float]:
    every = [kind for program in kinds for kind in program]
    n = len(units)
    total = units.sum(axis=0)
    return {
        "distinct_1": distinct_share(streams, 1),
        "distinct_2": distinct_share(streams, 2),
        "node_kinds": len(set(every)),
        "node_entropy": entropy(every),
        "similarity": float((total @ total - n) / (n * (n - 1))),  # all ordered pairs of different programs
    }


def _units(vectors: np.ndarray) -> np.ndarray:
    exact = vectors.astype(float)
    return exact / np.linalg.norm(exact, axis=1, keepdims=True)
