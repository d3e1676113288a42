"""The two students of fault localization, as jobs of the grid (:mod:`llmexp_utils.train`) see them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from llmexp_utils.freshness import modules_hash
from llmexp_utils.reader import DEFAULT_READER, Reader
from llmexp_utils.small_training import Settings

if TYPE_CHECKING:
    from llmexp_utils.encoder_student import WindowUse

Scores = Sequence[np.ndarray]


@dataclass(frozen=True)
class FrozenLLM:
    """Student (A): an adapter on the line states of a frozen code model.

    Read the states before the grid starts (:func:`llmexp_utils.states.line_states_of`, two processes, progress bar): a
    run that meets an unread function reads it itself, slowly.
    """

    cache: str
    settings: Settings
    reader: Reader = DEFAULT_READER
    name: str = "frozen-llm"

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that decides the scores, apart from data and seed: settings, weights, code, library."""
        code = modules_hash(("adapter", "hidden_states", "lower_layers", "reader", "small_training", "states"))
        return asdict(self.settings) | {"states": self.reader.identity, "code": code, "torch": version("torch")}

    def run(self, train: pd.DataFrame, dev: pd.DataFrame, test: pd.DataFrame, seed: int) -> tuple[Scores, Scores]:
        """Train on ``train``; scores of the lines of the dev and of the test faults."""
        from llmexp_utils import adapter

        model = adapter.train(self._states(train), train.lines.tolist(), self.settings, seed)
        return adapter.score(model, self._states(dev)), adapter.score(model, self._states(test))

    def _states(self, frame: pd.DataFrame) -> list[np.ndarray]:
        from llmexp_utils.states import line_states_of

        return line_states_of(
            list(frame.code), list(frame.correct), Path(self.cache), self.reader, workers=1, progress=False
        )


@dataclass(frozen=True)
class FineTunedEncoder:
    """Student (B) of any task: a whole encoder fine-tuned by ``transformers.Trainer``, in the paper's manner.

    ``encoder`` is ``minilm`` (embedded) or the hub name or path of any BERT, RoBERTa or T5 encoder; ``modules`` are
    those whose code decides a fit.
    """

    cache: str
    encoder: str
    steps: int
    batch_size: int
    learning_rate: float

    modules: ClassVar[tuple[str, ...]]

    @property
    def name(self) -> str:
        """The encoder's name without its owner."""
        return self.encoder.rstrip("/").rsplit("/", 1)[-1]

    @property
    def settings(self) -> dict[str, Any]:
        """What the student is trained with."""
        return {name: value for name, value in asdict(self).items() if name != "cache"}

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that decides the scores, apart from data and seed: settings, weights, code, libraries."""
        from llmexp_utils.encoders import weights_id

        code = modules_hash(self.modules)
        libraries = {name: version(name) for name in ("torch", "transformers")}
        return self.settings | {"weights": weights_id(self.encoder), "code": code} | libraries

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints of unfinished runs, of this code and these weights alone."""
        text = json.dumps(self.identity, sort_keys=True)
        return Path(self.cache) / "checkpoints" / hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class FineTuned(FineTunedEncoder):
    """The fine-tuned encoder that ranks the lines of a function."""

    modules: ClassVar[tuple[str, ...]] = (
        "encoder_student",
        "encoders",
        "fine_tuning",
        "line_classifier",
        "line_windows",
    )

    def run(self, train: pd.DataFrame, dev: pd.DataFrame, test: pd.DataFrame, seed: int) -> tuple[Scores, Scores]:
        """Fine-tune on ``train``; scores of the lines of the dev and of the test faults."""
        from llmexp_utils.encoder_student import train_and_score

        scores = train_and_score(train, dev, test, **self.settings, seed=seed, output_dir=self.checkpoints)
        return scores.dev, scores.test

    def window_use(self, codes: Sequence[str]) -> WindowUse:
        """Shares of the functions that need more than one window, and of those that lose the end of a line."""
        from llmexp_utils.encoder_student import window_use

        return window_use(codes, self.encoder)
