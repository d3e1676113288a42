"""Pretrained encoders for the students: by name, folder or hub, and how much of one is trained."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmexp_utils.encoder_table import ENCODERS
from llmexp_utils.errors import StudyError
from llmexp_utils.line_windows import INDENT

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MINILM = "minilm"
MINILM_ASSET = "all-MiniLM-L6-v2"
DEFAULT_WINDOW = 512  # where neither model nor tokenizer states a limit
HUB_SECONDS = 5.0
NO_LIMIT = 1_000_000  # tokenizers without a limit state an astronomic one
CODET5P_EMBEDDING = "codet5p_embedding"
SAFE: dict[str, Any] = {"trust_remote_code": False}  # without it the library asks on the screen, and waits
LOCAL = SAFE | {"local_files_only": True}


@dataclass(frozen=True)
class EncoderChoice:
    """Which encoder, and how much of it is trained.

    Attributes
    ----------
    name : str
        ``"minilm"`` (embedded), a folder, or a name on the model hub (:data:`llmexp_utils.encoder_table.ENCODERS`).
    window : int, optional
        Longest input in tokens; by default what the model allows.
    indent_tokens : bool
        Show indentation to tokenizers that drop it, one added token a level. The paper uses plain tokens.
    freeze_embeddings : bool
        Leave the token embeddings as they are. Saves memory; hardly any time.
    frozen_layers : int
        Leave the embeddings and so many of the lowest layers as they are; the backward pass ends above.
    """

    name: str = MINILM
    window: int | None = None
    indent_tokens: bool = False
    freeze_embeddings: bool = False
    frozen_layers: int = 0


class Encoder(NamedTuple):
    """A loaded encoder, its tokenizer and the longest input in tokens."""

    backbone: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    window: int


def load_encoder(choice: EncoderChoice | str) -> Encoder:
    """Load an encoder in float32, the parts that the choice freezes excluded from training.

    Raises
    ------
    StudyError
        If there is no such encoder, or it lacks what the student needs.
    """
    choice = as_choice(choice)
    source, options = locate(choice.name)
    with quiet():
        try:
            backbone, info = _weights(source, options)
            tokenizer = _tokenizer(source, options)
        except Exception as error:  # a dozen libraries' own classes, from a missing file to a corrupt one
            raise _no_encoder(choice.name, error) from error
        missing = [key for key in info["missing_keys"] if not key.startswith(("decoder.", "pooler."))]
        if missing:
            raise StudyError(f"encoder {choice.name!r} has no weights for {missing[0]!r}: give a complete checkpoint")
        if choice.indent_tokens:
            tokenizer.add_tokens([INDENT], special_tokens=True)
            backbone.resize_token_embeddings(max(len(tokenizer), backbone.config.vocab_size), mean_resizing=False)
    if hasattr(backbone, "decoder"):  # the T5 and BART families: only their encoder is used
        backbone = backbone.get_encoder()
    if hasattr(backbone, "pooler"):
        backbone.pooler = None  # it reads [CLS], which no student does
    _freeze(backbone, choice.frozen_layers, choice.freeze_embeddings)
    return Encoder(backbone, tokenizer, _window(choice, backbone, tokenizer))


def as_choice(encoder: EncoderChoice | str) -> EncoderChoice:
    """An encoder given by its name alone is trained whole."""
    return encoder if isinstance(encoder, EncoderChoice) else EncoderChoice(encoder)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's load reports and bars off the screen; errors still come through."""
    from transformers import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def locate(name: str) -> tuple[str, dict[str, Any]]:
    """Where ``from_pretrained`` finds an encoder, and the options it needs there."""
    from huggingface_hub import HfApi, try_to_load_from_cache

    if name == MINILM:
        from llmexp_utils.assets import fetch

        return str(fetch(MINILM_ASSET)), LOCAL
    if Path(name).is_dir():
        return name, LOCAL
    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return name, LOCAL
        HfApi().model_info(name, timeout=HUB_SECONDS)  # one question: from_pretrained would ask for a minute
    except Exception as error:  # bad name, unknown model, no network, offline mode
        raise _no_encoder(name, error) from error
    return name, SAFE


def _weights(source: str, options: dict[str, Any]) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The model, and what its files lack."""
    import torch
    from transformers import CONFIG_MAPPING, AutoModel, PreTrainedConfig, T5Config, T5EncoderModel

    options = options | {"dtype": torch.float32, "output_loading_info": True}
    config, _ = PreTrainedConfig.get_config_dict(source, local_files_only=options.get("local_files_only", False))
    kind = config.get("model_type")
    if kind == CODET5P_EMBEDDING:  # its own class is the library's T5 encoder and a projection that no student reads
        plain = {name: value for name, value in config.items() if name not in ("model_type", "auto_map")}
        model, info = T5EncoderModel.from_pretrained(source, config=T5Config(**plain), **options)
        return model.encoder, info
    if kind not in CONFIG_MAPPING and "auto_map" in config:
        raise StudyError(f"it brings program code of its own, which is never run; take one of {', '.join(ENCODERS)}")
    return AutoModel.from_pretrained(source, **options)


def _tokenizer(source: str, options: dict[str, Any]) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(source, **options)


def _no_encoder(name: str, error: Exception) -> StudyError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return StudyError(
        f"encoder {name!r} cannot be loaded: give {MINILM!r}, a folder with a model and its tokenizer, "
        f"or a name on the model hub ({reason})"
    )


def _freeze(backbone: PreTrainedModel, layers: int, embeddings: bool) -> None:
    """Exclude the token embeddings, or all up to the lowest ``layers`` with them, from training."""
    from torch import nn

    if embeddings:
        backbone.get_input_embeddings().requires_grad_(False)
    if not layers:
        return
    depth = backbone.config.num_hidden_layers
    if layers > depth:
        raise StudyError(f"frozen_layers is {layers}, but the encoder has {depth} layers")
    name, blocks = next(
        (name, module)
        for name, module in backbone.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == depth
    )
    below = True
    for parameter_name, parameter in backbone.named_parameters():
        # One trainable parameter below the blocks would keep the whole backward pass; BART lists its norm last.
        below = below and not parameter_name.startswith(f"{name}.")
        if below or "embed" in parameter_name:
            parameter.requires_grad_(False)
    blocks[:layers].requires_grad_(False)


def _window(choice: EncoderChoice, backbone: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Longest input, by the position table and the tokenizer; T5 has no table, only relative distances."""
    positions = getattr(backbone.config, "max_position_embeddings", None)
    padding = getattr(getattr(backbone, "embeddings", None), "padding_idx", None)
    if positions and padding is not None:
        positions -= padding + 1  # RoBERTa's first position comes after that of the padding token
    if choice.window is not None:
        if choice.window < 8 or choice.window > (positions or choice.window):
            raise StudyError(f"window is {choice.window}: encoder {choice.name!r} takes 8 to {positions} tokens")
        return choice.window
    stated = tokenizer.model_max_length if tokenizer.model_max_length < NO_LIMIT else None
    return min(filter(None, (positions, stated)), default=DEFAULT_WINDOW)


def weights_id(name: str) -> str:
    """What tells one encoder's weights from another's: the pinned hash, the content of a folder, or a hub name."""
    from llmexp_utils.asset_table import ASSETS

    if name == MINILM:
        return next(file.sha256 for file in ASSETS[MINILM_ASSET].files if file.name.endswith(".safetensors"))
    files = sorted(path for path in Path(name).glob("*") if path.suffix in (".safetensors", ".bin", ".json"))
    content = "".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)
    return hashlib.sha256(content.encode()).hexdigest() if files else name
