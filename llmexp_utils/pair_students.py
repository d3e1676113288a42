"""The students of clone detection, as jobs of the grid (:mod:`llmexp_utils.train`) see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from llmexp_utils.freshness import modules_hash
from llmexp_utils.pair_inputs import Head
from llmexp_utils.reader import DEFAULT_READER, Reader
from llmexp_utils.small_training import Settings
from llmexp_utils.students import FineTunedEncoder

if TYPE_CHECKING:
    import torch

Scores = Sequence[np.ndarray]


@dataclass(frozen=True)
class FrozenPairs:
    """Student (A): a symmetric head on the function vectors of a frozen code model.

    Read the states before the grid starts (:func:`vectors_of`, two processes, progress bar): a run that meets an
    unread function reads it itself, slowly.
    """

    cache: str
    settings: Settings
    reader: Reader = DEFAULT_READER
    name: str = "frozen-llm-pairs"

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that decides the scores, apart from data and seed: settings, weights, code, library."""
        code = modules_hash(("hidden_states", "lower_layers", "pair_head", "reader", "small_training", "states"))
        return asdict(self.settings) | {"states": self.reader.identity, "code": code, "torch": version("torch")}

    def run(self, train: pd.DataFrame, dev: pd.DataFrame, test: pd.DataFrame, seed: int) -> tuple[Scores, Scores]:
        """Train on ``train``; one array with one score for each pair of ``dev`` and of ``test``."""
        from llmexp_utils import pair_head

        model = self.fit(train, seed)
        dev_scores, test_scores = (pair_head.score(model, *self._sides(frame)) for frame in (dev, test))
        return dev_scores[:, None], test_scores[:, None]

    def fit(self, train: pd.DataFrame, seed: int) -> torch.nn.Module:
        """The head (:func:`llmexp_utils.pair_head.build`) after training on ``train``."""
        from llmexp_utils import pair_head

        return pair_head.train(*self._sides(train), train.label.tolist(), self.settings, seed)

    def _sides(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        left, right = (
            vectors_of(list(frame[side]), Path(self.cache), self.reader, workers=1, progress=False)
            for side in ("left", "right")
        )
        return left, right


@dataclass(frozen=True)
class FineTunedPairs(FineTunedEncoder):
    """The fine-tuned encoder that reads pairs: ``head`` is ``cross`` (both in one text) or ``bi`` (each in its own)."""

    head: Head

    modules: ClassVar[tuple[str, ...]] = ("encoders", "fine_tuning", "line_windows", "pair_encoder", "pair_inputs")

    @property
    def name(self) -> str:
        """The encoder's name without its owner, and the head."""
        return f"{super().name}-{self.head}"

    def run(self, train: pd.DataFrame, dev: pd.DataFrame, test: pd.DataFrame, seed: int) -> tuple[Scores, Scores]:
        """Fine-tune on ``train``; one array with one score for each pair of ``dev`` and of ``test``."""
        from llmexp_utils.pair_encoder import train_and_score_pairs

        scores = train_and_score_pairs(train, dev, test, **self.settings, seed=seed, output_dir=self.checkpoints)
        return scores.dev[:, None], scores.test[:, None]

    def split_share(self, pairs: pd.DataFrame) -> float:
        """Share of these pairs that are read in several windows of the encoder."""
        from llmexp_utils.pair_encoder import split_share

        return split_share(pairs, self.encoder, self.head)


def vectors_of(
    codes: Sequence[str], cache: Path, reader: Reader = DEFAULT_READER, workers: int = 2, progress: bool = True
) -> np.ndarray:
    """Vectors (n, 2 * hidden) of functions, each read on its own, from the store or now.

    Parameters
    ----------
    codes : sequence of str
        Functions.
    cache : Path
        Folder of the stores of line states.
    reader : Reader
        The model, the layer and the pooling.
    workers : int
        Processes of one thread each.
    progress : bool
        Whether to show a bar.
    """
    from llmexp_utils.pair_head import function_vectors
    from llmexp_utils.states import line_states_of

    return function_vectors(line_states_of(list(codes), list(codes), cache, reader, workers, progress))
