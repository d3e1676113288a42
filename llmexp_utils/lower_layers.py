"""The lower layers of a frozen code model: cut out of a GGUF file or a folder once, kept as a small copy."""

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
DEEPEST = 200  # blocks; the largest open models have about 130
BLOCKS = ("layers", "h")  # what builds call their blocks, and the norm after them
NORMS = ("norm", "final_layernorm", "final_layer_norm", "ln_f")
SAMPLE = "def f(a, b):\n    while a < b:\n        a = a * 2\n    return a\n"
CLOSE = 0.01  # of the largest state: float16 copies round more than two ways to attend


def load_lower_layers(source: str | Path, layers: int = LAYERS) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load the embedding and the first decoder blocks of a causal language model.

    The first call reads the whole model (about a minute and 3 GB of memory for half a billion parameters) and
    keeps a float16 copy of what is needed in the user's cache folder; later calls read that copy, and fewer blocks are
    cut from it.

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
        If the source is missing, is no decoder whose attention can be steered, or has fewer blocks.
    """
    return _load(lower_layers_folder(source, layers))


def lower_layers_folder(source: str | Path, layers: int = LAYERS) -> Path:
    """Folder of the copy that :func:`load_lower_layers` reads; made now if it is not there."""
    import filelock

    folder = cache_dir() / "lower_layers" / model_id(source, layers)
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder.with_name(f".{folder.name}.lock")):
            if not folder.exists():  # another process may have been first
                _extract(_deeper_copy(Path(source), layers) or Path(source), layers, folder)
    return folder


def model_id(source: str | Path, layers: int = LAYERS) -> str:
    """Name of a cut model: changes with the weights, the number of blocks and the library that reads them."""
    return _id(_content_hash(Path(source)), layers)


def _id(content: str, layers: int) -> str:
    parts = f"{content} {layers} {metadata.version('transformers')}"
    return hashlib.sha256(parts.encode()).hexdigest()[:24]


def _deeper_copy(source: Path, layers: int) -> Path | None:
    """A copy with more blocks, if one is there: it has the same weights, and is read in seconds."""
    content, folder = _content_hash(source), cache_dir() / "lower_layers"
    deeper = (folder / _id(content, depth) for depth in range(layers + 1, DEEPEST))
    return next((copy for copy in deeper if copy.exists()), None)


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
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False, **tokens)
        whole = AutoModel.from_pretrained(place, dtype=torch.float32, trust_remote_code=False, **weights)
    except Exception as error:  # a dozen libraries' own classes, from a missing file to a foreign format
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StudyError(f"{source} cannot be read as a causal language model ({reason})") from error
    model = _cut(whole, layers, source)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        with _no_progress_bars():
            model.to(torch.float16).save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
        _check_reading(temporary, source)
        os.chmod(temporary, 0o755)
        os.replace(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _load(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    import torch
    from transformers import AutoModel, AutoTokenizer

    with _no_progress_bars():
        model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
    setattr(model, next(name for name in NORMS if hasattr(model, name)), torch.nn.Identity())
    return model, tokenizer


def _check_reading(folder: Path, source: Path) -> None:
    """Read a few lines in the study's way and in the library's: an attention with terms of its own would differ."""
    import torch

    from llmexp_utils.hidden_states import line_ends, line_states

    model, tokenizer = _load(folder)
    if not tokenizer.is_fast:
        raise StudyError(f"{source}: its tokenizer does not say where a token stands; take a model with tokenizer.json")
    versions = [SAMPLE, SAMPLE.replace("2", "3")]
    expected = []
    for code in versions:
        encoded = tokenizer(code, return_offsets_mapping=True)
        with torch.inference_mode():
            states = model(torch.tensor([encoded["input_ids"]]), use_cache=False).last_hidden_state[0]
        expected.append(states[line_ends(code, encoded["offset_mapping"])].numpy())
    found = line_states(versions, model, tokenizer, [SAMPLE] * 2)
    if any(abs(one - other).max() > CLOSE * abs(other).max() for one, other in zip(found, expected, strict=True)):
        raise StudyError(f"{source}: {type(model).__name__} attends in a way that is not read here: take another model")


def _cut(model: PreTrainedModel, layers: int, source: Path) -> PreTrainedModel:
    """A model with the lower blocks of ``model``, sharing its weights but not its quantisation config."""
    import torch
    from transformers import AutoModel

    blocks, norm = (next((name for name in names if hasattr(model, name)), None) for names in (BLOCKS, NORMS))
    if not (blocks and norm and model._supports_attention_backend):
        raise StudyError(
            f"{source}: {type(model).__name__} is not a decoder whose attention can be steered: "
            "take one of the Llama, Qwen, StarCoder2, Phi, GPT-NeoX or GPT-2 build"
        )
    depth = len(getattr(model, blocks))
    if not 1 <= layers <= depth:
        raise StudyError(f"{source} has {depth} layers: ask for 1 to {depth}, not {layers}")
    config = copy.deepcopy(model.config)
    config.num_hidden_layers = layers
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[:layers]
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    setattr(model, blocks, getattr(model, blocks)[:layers])
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
