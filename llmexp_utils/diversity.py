"""How varied a set of faults is: one row of numbers for each way of selecting them.

A selection by Score pulls towards the average fault, while low diversity is a known harm of generated data
(arXiv 2407.12835): so the variety of every arm is reported. Compare sets of the same size only: most of these
numbers fall as sets grow.
"""

from __future__ import annotations

import difflib
import io
import keyword
import tokenize
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from llmexp_utils.code import tokens
from llmexp_utils.errors import StudyError

POSITION_BINS = 10


def diversity(frame: pd.DataFrame) -> dict[str, float]:
    """Diversity of a set of faults.

    Parameters
    ----------
    frame : DataFrame
        Faults with ``task_id``, ``code``, ``correct`` and ``lines``.

    Returns
    -------
    dict
        ``faults`` (rows); ``distinct_1``, ``distinct_2``: distinct over all token unigrams and bigrams of
        the faulty lines (Li et al. 2016, arXiv 1510.03055); ``edit_kinds``: number of distinct kinds of edit
        (see :func:`edit_kind`), and ``edit_kind_entropy`` in bits; ``distinct_functions``: distinct problems
        over rows; ``position_entropy``: entropy in bits of the relative place of the first faulty line, in
        ten bins (at most 3.32).

    Raises
    ------
    StudyError
        If the frame is empty.
    """
    if frame.empty:
        raise StudyError("diversity of no faults is undefined: give at least one row")
    return _summary(_features(frame))


def mean_diversity(frame: pd.DataFrame, size: int, draws: int, rng: np.random.Generator) -> dict[str, float]:
    """Mean of :func:`diversity` over random choices of ``size`` faults: what a choice is compared with.

    Parameters
    ----------
    frame : DataFrame
        Faults as for :func:`diversity`.
    size : int
        Faults in each choice, drawn without replacement.
    draws : int
        Number of choices; one alone can be far from the mean.
    rng : numpy.random.Generator
        Source of the draws.

    Raises
    ------
    StudyError
        If there are fewer than ``size`` faults, or nothing is drawn.
    """
    if not 0 < size <= len(frame) or draws < 1:
        raise StudyError(f"cannot draw {draws} times {size} of {len(frame)} faults: lower the size")
    features = _features(frame)
    found = [_summary(features.iloc[rng.choice(len(features), size, replace=False)]) for _ in range(draws)]
    return pd.DataFrame(found).mean().to_dict() | {"faults": size}


def edit_kind(correct: str, faulty: str) -> str:
    """What a fault does, without the names and values it does it with: tokens taken out and put in.

    Examples
    --------
    >>> edit_kind("if a < 10:\\n    b()\\n", "if a <= 10:\\n    b()\\n")
    '< -> <='
    >>> edit_kind("x = f(a)\\n", "x = f(b)\\n") == edit_kind("y = g(c)\\n", "y = g(d)\\n")
    True
    """
    old, new = tokens(correct), tokens(faulty)
    opcodes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    changes = [
        f"{' '.join(map(_abstract, old[i1:i2]))} -> {' '.join(map(_abstract, new[j1:j2]))}".strip()
        for tag, i1, i2, j1, j2 in opcodes
        if tag != "equal"
    ]
    return "; ".join(changes)


def distinct_share(texts: list[list[str]], n: int) -> float:
    """Distinct over all n-grams of token sequences (Li et al. 2016, arXiv 1510.03055); 0 if there is none."""
    grams = [tuple(text[start : start + n]) for text in texts for start in range(len(text) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def entropy(values: Sequence[object]) -> float:
    """Shannon entropy of the values' frequencies, in bits."""
    shares = np.array(list(Counter(values).values())) / len(values)
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def _features(frame: pd.DataFrame) -> pd.DataFrame:
    """What is counted, worked out once a fault: problem, tokens of the faulty lines, kind of edit, place."""
    pairs = list(zip(frame["code"], frame["lines"], strict=True))
    columns = {
        "task_id": list(frame["task_id"]),
        "tokens": [_faulty_tokens(code, lines) for code, lines in pairs],
        "kind": [edit_kind(correct, code) for correct, code in zip(frame["correct"], frame["code"], strict=True)],
        "place": [_place(code, lines) for code, lines in pairs],
    }
    return pd.DataFrame(columns)


def _summary(features: pd.DataFrame) -> dict[str, float]:
    texts, kinds = features["tokens"].tolist(), features["kind"].tolist()
    return {
        "faults": len(features),
        "distinct_1": distinct_share(texts, 1),
        "distinct_2": distinct_share(texts, 2),
        "edit_kinds": len(set(kinds)),
        "edit_kind_entropy": entropy(kinds),
        "distinct_functions": features["task_id"].nunique() / len(features),
        "position_entropy": entropy(features["place"].tolist()),
    }


def _abstract(token: str) -> str:
    if token.isidentifier():
        return token if keyword.iskeyword(token) else "NAME"
    if token[0].isdigit() or (token[0] == "." and token[1:2].isdigit()):
        return "NUMBER"
    return "TEXT" if token[-1] in "\"'" else token


def _faulty_tokens(code: str, lines: Sequence[int]) -> list[str]:
    """Tokens of the labelled lines; the whole function is read, as a line alone need not be a program."""
    labelled = set(lines)
    found = tokenize.generate_tokens(io.StringIO(code).readline)
    return [token.string for token in found if token.start[0] in labelled and token.string.strip()]


def _place(code: str, lines: Sequence[int]) -> int:
    """Bin of the first faulty line: 0 for the first tenth of the function."""
    count = len(code.splitlines())
    return min(int((min(lines) - 1) / count * POSITION_BINS), POSITION_BINS - 1)
