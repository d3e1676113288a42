"""What clone detection reaches without training: beside this, a student has to be better.

Each baseline is a student of the grid that learns nothing; its threshold comes from the development pairs, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llmexp_utils.clone_types import Normal, normal_tokens
from llmexp_utils.freshness import modules_hash
from llmexp_utils.languages import language
from llmexp_utils.reader import DEFAULT_READER, Reader

Scores = np.ndarray


def jaccard(one: str, other: str, normal: Normal = normal_tokens) -> float:
    """Common normalised tokens over all, counted as often as they stand (multiset Jaccard), 0 to 1.

    ``normal`` gives the normalised tokens of a text.

    Examples
    --------
    >>> jaccard("x = 1", "y = 2"), jaccard("x = 1", "print(x)")
    (1.0, 0.125)
    """
    first, second = Counter(normal(one)), Counter(normal(other))
    return (first & second).total() / (first | second).total()


@dataclass(frozen=True)
class TokenOverlap:
    """Jaccard similarity of the tokens of programs in one language."""

    name: str = "token-overlap"
    language: str = "python"

    @property
    def identity(self) -> dict[str, Any]:
        """The code that decides the scores."""
        return {
            "code": modules_hash(("clone_types", "code", "cpp", "java", "pair_baselines")),
            "language": self.language,
        }

    def run(self, train: pd.DataFrame, dev: pd.DataFrame, test: pd.DataFrame, seed: int) -> tuple[Scores, Scores]:
        """Similarity of each pair of ``dev`` and of ``test``, shape (pairs, 1)."""
        normal = language(self.language).normal_tokens
        dev_scores, test_scores = (
            np.array([[jaccard(*pair, normal)] for pair in zip(frame.left, frame.right, strict=True)])
            for frame in (dev, test)
        )
        return dev_scores, test_scores


@dataclass(frozen=True)
class AlwaysClone:
    """Takes every pair for clones: with as many clones as others, F1 is two thirds."""

    name: str = "always-clone"

    @property
    def identity(self) -> dict[str, Any]:
        """Nothing decides but the name."""
        return {}

    def run(self, train: pd.DataFrame, dev: pd.DataFrame, test: pd.DataFrame, seed: int) -> tuple[Scores, Scores]:
        """The same score for every pair, shape (pairs, 1)."""
        return np.ones((len(dev), 1)), np.ones((len(test), 1))


@dataclass(frozen=True)
class UntouchedCosine:
    """Cosine of the vectors that a student starts from, before it has learned anything.

    ``vectors`` maps n texts to an array (n, d); ``weights`` says whose they are.
    """

    name: str
    weights: str
    vectors: Callable[[Sequence[str]], np.ndarray]

    @property
    def identity(self) -> dict[str, Any]:
        """The weights, and the code that reads and compares."""
        modules = ("embeddings", "hidden_states", "lower_layers", "pair_baselines", "pair_head", "reader", "states")
        return {"weights": self.weights, "code": modules_hash(modules)}

    def run(self, train: pd.DataFrame, dev: pd.DataFrame, test: pd.DataFrame, seed: int) -> tuple[Scores, Scores]:
        """Cosine of each pair of ``dev`` and of ``test``, shape (pairs, 1)."""
        dev_scores, test_scores = (self._cosines(frame) for frame in (dev, test))
        return dev_scores, test_scores

    def _cosines(self, frame: pd.DataFrame) -> np.ndarray:
        left, right = (self.vectors(list(frame[side])).astype(float) for side in ("left", "right"))
        lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
        return ((left * right).sum(axis=1) / lengths)[:, None]


def baselines(
    cache: Path, reader: Reader = DEFAULT_READER, language: str = "python"
) -> list[TokenOverlap | AlwaysClone | UntouchedCosine]:
    """All baselines, with the vectors of the frozen code model and of the embedded encoder."""
    from llmexp_utils.embeddings import embedder
    from llmexp_utils.encoders import MINILM, weights_id
    from llmexp_utils.pair_students import vectors_of

    frozen = UntouchedCosine("cosine-frozen-llm", reader.identity, lambda codes: vectors_of(codes, cache, reader))
    encoder = UntouchedCosine("cosine-minilm", weights_id(MINILM), embedder(cache / "embeddings.npz"))
    return [AlwaysClone(), TokenOverlap(language=language), frozen, encoder]
