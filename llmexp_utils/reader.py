"""Which frozen code model reads the functions for student (A), how far up, and what it keeps of a line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from llmexp_utils.asset_table import ASSETS
from llmexp_utils.errors import StudyError
from llmexp_utils.llm import EMBEDDED

Pooling = Literal["last", "mean"]
HUB_FILES = ("*.json", "*.safetensors", "merges.txt")
HUB_SECONDS = 5.0


@dataclass(frozen=True)
class Reader:
    """A frozen code model, and what is taken from it.

    Attributes
    ----------
    model : str
        An embedded model, a GGUF file, a folder with a transformers model, or a name on the model hub: any causal
        language model whose attention :mod:`llmexp_utils.hidden_states` can steer.
    layers : int
        Number of decoder blocks, from the bottom, whose output is taken.
    pooling : {"last", "mean"}
        Of a line: the state of its last token, or the mean over all tokens that hold a character of it.
    """

    model: str = "qwen2.5-coder-0.5b"
    layers: int = 16
    pooling: Pooling = "last"

    def __post_init__(self) -> None:
        if self.pooling not in get_args(Pooling):
            raise StudyError(f"unknown pooling {self.pooling!r}: choose {' or '.join(get_args(Pooling))}")

    @property
    def identity(self) -> str:
        """Everything that decides the states of a function: weights, layers, library, pooling."""
        from llmexp_utils.lower_layers import model_id

        name = model_id(weights(self.model), self.layers)
        return name if self.pooling == "last" else f"{name}-{self.pooling}"


DEFAULT_READER = Reader()


def weights(model: str) -> Path:
    """A GGUF file, or the folder of a transformers model; from the hub only if it is there neither.

    Raises
    ------
    StudyError
        If there is no such model, in one line.
    """
    if Path(model).exists():
        return Path(model)
    name = EMBEDDED.get(model, model)
    if name in ASSETS:
        from llmexp_utils.assets import fetch

        return fetch(name)
    check_hub(model)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=list(HUB_FILES)))
    except Exception as error:  # from a broken connection to a full disk
        raise _unknown(model, error) from error


def check_model(model: str, root: Path) -> None:
    """Raise what :func:`weights` would, without a download; a path that is not absolute starts at ``root``."""
    path = root / model
    if path.is_dir() and not (path / "config.json").is_file():
        raise StudyError(f"frozen model {model!r} is a folder without config.json: give one with a transformers model")
    if not (path.exists() or EMBEDDED.get(model, model) in ASSETS):
        check_hub(model)


def check_hub(name: str) -> None:
    """Raise unless the hub, or its cache on this machine, has a model of that name."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    try:
        if not isinstance(try_to_load_from_cache(name, "config.json"), str):
            HfApi().model_info(name, timeout=HUB_SECONDS)
    except Exception as error:  # bad name, unknown model, no network, offline mode
        raise _unknown(name, error) from error


def _unknown(model: str, error: Exception) -> StudyError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return StudyError(
        f"frozen model {model!r} cannot be had: give {' or '.join(EMBEDDED)}, a GGUF file, a folder with a model "
        f"and its tokenizer, or a name on the model hub ({reason})"
    )
