"""Encoders of the model hub that student (B) takes by name.

The tests build a tiny random model of each class and fine-tune it on both tasks; the weights themselves are not tested.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from llmexp_utils.errors import StudyError


class KnownEncoder(NamedTuple):
    """What a name on the hub loads.

    Attributes
    ----------
    loaded : str
        Class of ``transformers`` that holds the weights; of encoder-decoder models the encoder alone is kept.
    window : int
        Longest input in tokens; longer functions are read in several windows of whole lines.
    note : str
        What differs from how its authors use it.
    """

    loaded: str
    window: int
    note: str = ""


ENCODERS: dict[str, KnownEncoder] = {
    "microsoft/codebert-base": KnownEncoder("RobertaModel", 512),
    "microsoft/graphcodebert-base": KnownEncoder("RobertaModel", 512, "tokens alone, without its data-flow graph"),
    "microsoft/unixcoder-base": KnownEncoder("RobertaModel", 1024, "without the prefix <encoder-only>"),
    "Salesforce/codet5-base": KnownEncoder("T5Model", 512, "encoder alone"),
    "Salesforce/codet5p-110m-embedding": KnownEncoder("T5EncoderModel", 512, "without its projection to 256 numbers"),
    "Salesforce/codet5p-220m": KnownEncoder("T5Model", 512, "encoder alone"),
    "uclanlp/plbart-base": KnownEncoder("PLBartModel", 1024, "encoder alone, without language code"),
    "answerdotai/ModernBERT-base": KnownEncoder("ModernBertModel", 8192),
}
"""Name on the hub: class, window, note."""


def check_encoder(name: str, root: Path) -> None:
    """Raise a StudyError if an encoder's folder has no model, or nobody has its files; loads no weights."""
    from llmexp_utils import encoders

    folder = root / name
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise StudyError(f"encoder {name!r} is a folder without config.json: give one with a model and its tokenizer")
    if name != encoders.MINILM and not folder.is_dir():
        encoders.locate(name)
