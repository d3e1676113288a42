"""Small random encoders of each family with tokenizers of their own, and made-up faults to fine-tune them on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    ModernBertConfig,
    ModernBertModel,
    PLBartConfig,
    PLBartModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5EncoderModel,
    T5Model,
)

FAMILIES = ("bert", "roberta", "t5", "codet5", "codet5p-embedding", "plbart", "modernbert")
TOKENS = {  # how a family's tokenizer works: the family that shows it
    **{family: family for family in ("bert", "roberta", "t5", "plbart", "modernbert")},
    "codet5": "roberta",  # models of the T5 build, tokenizers of the RoBERTa build
    "codet5p-embedding": "roberta",
}
POSITIONS = 130
POSITIONED = {"max_position_embeddings": POSITIONS}
ANGLED = ["<s>", "<pad>", "</s>", "<unk>"]
ANGLED_NAMES = {
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "eos_token": "</s>",
}
SQUARE = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
SQUARE_NAMES = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
SPECIAL: dict[str, tuple[list[str], dict[str, str]]] = {
    "bert": (SQUARE, SQUARE_NAMES),
    "modernbert": (SQUARE, SQUARE_NAMES),
    "roberta": (ANGLED, ANGLED_NAMES),
    "plbart": (ANGLED, ANGLED_NAMES),
    "t5": (["<pad>", "</s>", "<unk>"], {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}),
}
FORMATS = {  # of one text and of two
    "bert": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "modernbert": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]"),
    "roberta": ("<s> $A </s>", "<s> $A </s> </s> $B </s>"),
    "plbart": ("<s> $A </s>", "<s> $A </s> </s> $B </s>"),
    "t5": ("$A </s>", "$A </s> $B </s>"),
}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
T5_SIZES = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
BART_SIZES = {
    f"{side}_{part}": size
    for side in ("encoder", "decoder")
    for part, size in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 64))
}


def faults(count: int, seed: int) -> pd.DataFrame:
    """Functions of 4 to 10 lines; the fault is in the second, which a position alone can tell."""
    sizes = np.random.default_rng(seed).integers(2, 9, size=count)
    codes = ["\n".join(["def f(a, b):", *["    a = a + b"] * size, "    return a"]) + "\n" for size in sizes]
    names = {"fault_id": [f"{seed}/{number}" for number in range(count)], "task_id": "T", "fault_type": ""}
    return pd.DataFrame({**names, "code": codes, "lines": [[2]] * count})


def make_encoder(family: str, folder: Path, lengths: dict[str, int] | None = None, limit: int | None = None) -> Path:
    """A small random encoder of a family, and a tokenizer with that family's special tokens, on disk.

    ``lengths`` are values of its config, ``limit`` is what its tokenizer states as the longest input.
    """
    tokenizer = _tokenizer(TOKENS[family])
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    common = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id} | (lengths or {})
    _model(family, common).save_pretrained(folder)
    if limit:
        _change(folder / "tokenizer_config.json", model_max_length=limit)
    if family.startswith("codet5"):  # as on the hub
        _change(folder / "tokenizer_config.json", tokenizer_class="RobertaTokenizer", model_max_length=512)
    if family == "codet5p-embedding":
        classes = {"AutoConfig": "configuration_x.Config", "AutoModel": "modeling_x.Model"}
        _change(folder / "config.json", model_type="codet5p_embedding", auto_map=classes, embed_dim=8)
    return folder


def _tokenizer(kind: str) -> PreTrainedTokenizerFast:
    corpus = faults(4, seed=0)["code"].tolist() + ["if while not in [ ] == * / 0 1 2 3 x y z"]
    special, names = SPECIAL[kind]
    more = {}
    if kind == "bert":
        tokenizer, trainer = Tokenizer(models.WordPiece(unk_token="[UNK]")), trainers.WordPieceTrainer
        tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    elif kind in ("roberta", "modernbert"):
        tokenizer, trainer = Tokenizer(models.BPE()), trainers.BpeTrainer
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        tokenizer, trainer, more = Tokenizer(models.Unigram()), trainers.UnigramTrainer, {"unk_token": "<unk>"}
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(corpus, trainer(vocab_size=300, special_tokens=special, show_progress=False, **more))
    single, pair = FORMATS[kind]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(token, tokenizer.token_to_id(token)) for token in special]
    )
    inputs = ["input_ids", *(["token_type_ids"] if kind == "bert" else []), "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=inputs, **names)


def _model(family: str, common: dict[str, int]) -> PreTrainedModel:
    if family == "bert":
        return BertModel(BertConfig(**SIZES, **POSITIONED | common))
    if family == "roberta":
        return RobertaModel(RobertaConfig(**SIZES, **POSITIONED | common))
    if family == "modernbert":  # every third layer attends to all tokens, the others to their neighbours
        tokens = {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
        return ModernBertModel(ModernBertConfig(**SIZES, **tokens, **POSITIONED | common, local_attention=16))
    if family == "plbart":
        return PLBartModel(PLBartConfig(d_model=32, **BART_SIZES, **POSITIONED | common))
    if family == "codet5":
        return T5Model(T5Config(**common, **T5_SIZES))
    model = T5EncoderModel(T5Config(**common, **T5_SIZES))
    if family == "codet5p-embedding":
        model.proj = torch.nn.Linear(32, 8)  # the hub's own class adds it
    return model


def _change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
