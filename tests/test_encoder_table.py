"""Encoders that the study names: each class and window is what the library gives, and no foreign code is run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import transformers
from tiny_encoders import faults, make_encoder

from llmexp_utils.encoder_table import ENCODERS
from llmexp_utils.encoders import load_encoder
from llmexp_utils.errors import StudyError
from llmexp_utils.line_windows import encode_functions

# Of each hub checkpoint: the family that is built like it, and what its own files say about lengths.
LIKE = {
    "microsoft/codebert-base": ("roberta", {"max_position_embeddings": 514}, 512),
    "microsoft/graphcodebert-base": ("roberta", {"max_position_embeddings": 514}, 512),
    "microsoft/unixcoder-base": ("roberta", {"max_position_embeddings": 1026}, None),
    "Salesforce/codet5-base": ("codet5", {}, 512),
    "Salesforce/codet5p-110m-embedding": ("codet5p-embedding", {}, 512),
    "Salesforce/codet5p-220m": ("codet5", {}, 512),
    "uclanlp/plbart-base": ("plbart", {"max_position_embeddings": 1024}, 1024),
    "answerdotai/ModernBERT-base": ("modernbert", {"max_position_embeddings": 8192}, 8192),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_a_named_encoder_is_loaded_by_the_class_and_has_the_window_of_the_table(name: str, tmp_path: Path) -> None:
    family, lengths, limit = LIKE[name]
    folder = make_encoder(family, tmp_path, lengths, limit)
    backbone, tokenizer, window = load_encoder(str(folder))
    whole = getattr(transformers, ENCODERS[name].loaded)
    assert window == ENCODERS[name].window
    assert type(backbone).__module__ == whole.__module__ and tokenizer.is_fast
    assert not any(part.startswith("decoder") for part, _ in backbone.named_parameters())


def test_the_weights_of_an_encoder_come_from_its_files(tmp_path: Path) -> None:
    """CodeT5+ 110M has a class of its own on the hub; the library's T5 encoder reads its files."""
    from safetensors.torch import load_file

    folder = make_encoder("codet5p-embedding", tmp_path)
    stored = load_file(folder / "model.safetensors")
    loaded = load_encoder(str(folder)).backbone.state_dict()
    assert (loaded.pop("embed_tokens.weight") == stored.pop("shared.weight")).all()
    assert {f"encoder.{name}" for name in loaded} == set(stored) - {"proj.weight", "proj.bias"}
    assert all((stored[f"encoder.{name}"] == value).all() for name, value in loaded.items())


def test_plbart_brings_a_sentencepiece_model_as_its_tokenizer(tmp_path: Path) -> None:
    """On the hub it has no file of a fast tokenizer."""
    import sentencepiece

    folder = make_encoder("plbart", tmp_path)
    codes = faults(9, seed=0)["code"].tolist()
    lines = [line for code in codes for line in code.splitlines()]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=str(folder / "sentencepiece.bpe"), vocab_size=20, minloglevel=2
    )
    (folder / "tokenizer.json").unlink()
    own = {"tokenizer_class": "PLBartTokenizer", "model_max_length": 100}
    (folder / "tokenizer_config.json").write_text(json.dumps(own))
    _, tokenizer, window = load_encoder(str(folder))
    assert type(tokenizer).__name__ == "PLBartTokenizer" and not tokenizer.is_fast and window == 100
    for code, function in zip(codes, encode_functions(codes, tokenizer, window), strict=True):
        assert len(function.reads) == code.count("\n")


def test_an_encoder_with_code_of_its_own_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = make_encoder("codet5p-embedding", tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "someones_own"}))
    with pytest.raises(StudyError, match="never run; take one of microsoft/codebert-base, ") as caught:
        load_encoder(str(folder))
    assert "\n" not in str(caught.value)
