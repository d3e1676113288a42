"""How like real faults a set of faults is: distances between what the two look like, feature by feature.

Four features that a student could pick up: the kind of statement that carries the fault, its place in the function, the
edit distance and the semantic similarity. Distances are between distributions (0: the same, 1: nothing in common);
because small samples differ by chance, every set is drawn down to one size, and the distance between two disjoint
samples of real faults says what "the same" looks like at that size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from llmexp_utils.errors import StudyError
from llmexp_utils.line_policies import statement_kind

PLACES = 5  # equal parts of a function
REAL = "gold, another sample"


def likeness(
    sets: Mapping[str, pd.DataFrame], real: pd.DataFrame, size: int, draws: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Mean distance of sets of faults from real ones.

    Parameters
    ----------
    sets : mapping of str to DataFrame
        Faults by name: ``code``, ``lines``, ``edit_distance``, ``similarity``; at least ``size`` each.
    real : DataFrame
        Real faults, at least twice ``size``.
    size, draws : int
        Faults in a sample, and samples to average over.
    rng : numpy.random.Generator
        Source of the samples.

    Returns
    -------
    DataFrame
        A row a set, real faults first: ``faults`` (in the set), ``statement`` and ``place`` (Jensen-Shannon distance,
        base 2), ``edit_distance`` and ``similarity`` (Kolmogorov-Smirnov distance).

    Raises
    ------
    StudyError
        If a set is too small.
    """
    small = [name for name, frame in sets.items() if len(frame) < size]
    if small or len(real) < 2 * size:
        raise StudyError(
            f"likeness: fewer than {size} faults in {small[0] if small else 'half of gold'}: lower the size"
        )
    features = {name: _features(frame) for name, frame in sets.items()}
    ours, found = _features(real), []
    for _ in range(draws):
        order = rng.permutation(len(ours))
        first, second = ours.iloc[order[:size]], ours.iloc[order[size : 2 * size]]
        found.append({"source": REAL, "faults": len(ours)} | _distances(second, first))
        for name, frame in features.items():
            sample = frame.iloc[rng.choice(len(frame), size, replace=False)]
            found.append({"source": name, "faults": len(frame)} | _distances(sample, first))
    return pd.DataFrame(found).groupby("source", sort=False).mean().astype({"faults": int}).reset_index()


def _features(frame: pd.DataFrame) -> pd.DataFrame:
    lines = [code.splitlines() for code in frame["code"]]
    first = [min(labels) for labels in frame["lines"]]
    places = [PLACES * (line - 1) // len(text) for text, line in zip(lines, first, strict=True)]
    kinds = [statement_kind(text[line - 1]) for text, line in zip(lines, first, strict=True)]
    numbers = {name: frame[name].to_numpy(float) for name in ("edit_distance", "similarity")}
    return pd.DataFrame({"statement": kinds, "place": places, **numbers})


def _distances(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, float]:
    from scipy.stats import ks_2samp

    shares = {name: _jensen_shannon(one[name].tolist(), other[name].tolist()) for name in ("statement", "place")}
    steps = {name: float(ks_2samp(one[name], other[name]).statistic) for name in ("edit_distance", "similarity")}
    return shares | steps


def _jensen_shannon(one: Sequence[object], other: Sequence[object]) -> float:
    from scipy.spatial.distance import jensenshannon

    counts = Counter(one), Counter(other)
    names = sorted(counts[0] | counts[1], key=str)
    return float(jensenshannon(*[[count[name] for name in names] for count in counts], base=2))
