"""The lower layers of a frozen code model: cut out of a GGUF file once, kept as a small copy."""

from __future__ import annotations

import copy
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from llmexp_utils.asset_table import ASSETS
from llmexp_utils.errors import StudyError
from llmexp_utils.paths import cache_dir

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

LAYERS = 16


def load_lower_layers(source: str | Path, layers: int = LAYERS) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load the embedding and the first decoder blocks of a causal language model.

    The first call reads the whole model (about a minute and 3 GB of memory for half a billion parameters) and
    keeps a float16 copy of what is needed in the user's cache folder; later calls read that copy.

    Parameters
    ----------
    source : str or Path
        A GGUF file, or a folder that holds a transformers model (safetensors, config, fast tokenizer).
    layers : int
        Number of decoder blocks to keep, from the bottom.

    Returns
    -------
    model, tokenizer
        The model returns the state after the last kept block, without a final norm: ``hidden_states[layers]``
        of the whole model. It computes in float32.

    Raises
    ------
    StudyError
        If the source is missing, is no decoder of the Llama and Qwen build, or has fewer blocks.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = lower_layers_folder(source, layers)
    with _no_progress_bars():
        model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
    model.norm = torch.nn.Identity()
    return model, tokenizer


def lower_layers_folder(source: str | Path, layers: int = LAYERS) -> Path:
    """Folder of the copy that :func:`load_lower_layers` reads; made now if it is not there."""
    import filelock

    folder = cache_dir() / "lower_layers" / model_id(source, layers)
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.with_name(f".{folder.name}.lock")):
            if not folder.exists():  # another process may have been first
                _extract(Path(source), layers, folder)
    return folder


def model_id(source: str | Path, layers: int = LAYERS) -> str:
    """Name of a cut model: changes with the weights, the number of blocks and the library that reads them."""
    parts = f"{_content_hash(Path(source))} {layers} {metadata.version('transformers')}"
    return hashlib.sha256(parts.encode()).hexdigest()[:24]


def _content_hash(source: Path) -> str:
    if source.is_file():
        asset = ASSETS.get(source.name)
        if asset and source == asset.path:  # its hash was checked when it was fetched
            return asset.files[0].sha256
        return _file_hash(source)
    files = sorted(source.glob("*.safetensors")) + sorted(source.glob("*.json"))
    if not files:
        raise StudyError(f"{source} is neither a GGUF file nor a folder of a transformers model: check the path")
    return hashlib.sha256(" ".join(f"{file.name} {_file_hash(file)}" for file in files).encode()).hexdigest()


def _file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _extract(source: Path, layers: int, target: Path) -> None:
    """Write the lower part of a model to ``target``, which appears complete or not at all."""
    import torch
    from transformers import AutoModel, AutoTokenizer, GgufConfig

    if source.is_file():
        place, tokens = source.parent, {"gguf_file": source.name}
        weights = tokens | {"quantization_config": GgufConfig(dequantize=True)}
    else:
        place, tokens, weights = source, {}, {}
    tokenizer = AutoTokenizer.from_pretrained(place, **tokens)
    model = _cut(AutoModel.from_pretrained(place, dtype=torch.float32, **weights), layers, source)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        with _no_progress_bars():
            model.to(torch.float16).save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
        os.chmod(temporary, 0o755)
        os.replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _cut(model: PreTrainedModel, layers: int, source: Path) -> PreTrainedModel:
    """A model with the lower blocks of ``model``, sharing its weights but not its quantisation config."""
    import torch
    from transformers import AutoModel

    if not all(hasattr(model, name) for name in ("layers", "norm", "embed_tokens")):
        raise StudyError(f"{source}: {type(model).__name__} is not a decoder of the Llama or Qwen build: use one")
    if not 1 <= layers <= len(model.layers):
        raise StudyError(f"{source} has {len(model.layers)} layers: ask for 1 to {len(model.layers)}, not {layers}")
    config = copy.deepcopy(model.config)
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model.layers = model.layers[:layers]
    with torch.device("meta"):  # the structure alone, no memory
        plain = AutoModel.from_config(config)
    plain.load_state_dict(model.state_dict(), assign=True)
    return plain


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
