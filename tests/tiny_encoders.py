"""Small random encoders of each family with tokenizers of their own, and made-up faults to fine-tune them on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5EncoderModel,
)

FAMILIES = ("bert", "roberta", "t5")
POSITIONS = 130
FORMATS = {  # of one text and of two
    "bert": ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1"),
    "roberta": ("<s> $A </s>", "<s> $A </s> </s> $B </s>"),
    "t5": ("$A </s>", "$A </s> $B </s>"),
}
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def faults(count: int, seed: int) -> pd.DataFrame:
    """Functions of 4 to 10 lines; the fault is in the second, which a position alone can tell."""
    sizes = np.random.default_rng(seed).integers(2, 9, size=count)
    codes = ["\n".join(["def f(a, b):", *["    a = a + b"] * size, "    return a"]) + "\n" for size in sizes]
    names = {"fault_id": [f"{seed}/{number}" for number in range(count)], "task_id": "T", "fault_type": ""}
    return pd.DataFrame({**names, "code": codes, "lines": [[2]] * count})


def make_encoder(family: str, folder: Path) -> Path:
    """A small random encoder of a family, and a tokenizer with that family's special tokens, on disk."""
    corpus = faults(4, seed=0)["code"].tolist() + ["if while not in [ ] == * / 0 1 2 3 x y z"]
    kind: dict[str, tuple[models.Model, type, list[str], dict[str, str]]] = {
        "bert": (
            models.WordPiece(unk_token="[UNK]"),
            trainers.WordPieceTrainer,
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]"],
            {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"},
        ),
        "roberta": (
            models.BPE(),
            trainers.BpeTrainer,
            ["<s>", "<pad>", "</s>", "<unk>"],
            {
                "pad_token": "<pad>",
                "unk_token": "<unk>",
                "cls_token": "<s>",
                "sep_token": "</s>",
                "eos_token": "</s>",
            },
        ),
        "t5": (
            models.Unigram(),
            trainers.UnigramTrainer,
            ["<pad>", "</s>", "<unk>"],
            {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
        ),
    }
    model, trainer, special, names = kind[family]
    tokenizer = Tokenizer(model)
    if family == "bert":
        tokenizer.normalizer, tokenizer.pre_tokenizer = (
            normalizers.BertNormalizer(),
            pre_tokenizers.BertPreTokenizer(),
        )
    elif family == "roberta":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    more = {"unk_token": "<unk>"} if family == "t5" else {}
    tokenizer.train_from_iterator(corpus, trainer(vocab_size=300, special_tokens=special, show_progress=False, **more))
    single, pair = FORMATS[family]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(token, tokenizer.token_to_id(token)) for token in special]
    )
    inputs = ["input_ids", *(["token_type_ids"] if family == "bert" else []), "attention_mask"]
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=inputs, **names)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    common = {"vocab_size": len(fast), "pad_token_id": fast.pad_token_id}
    built = {
        "bert": lambda: BertModel(BertConfig(**SIZES, **common, max_position_embeddings=POSITIONS)),
        "roberta": lambda: RobertaModel(RobertaConfig(**SIZES, **common, max_position_embeddings=POSITIONS)),
        "t5": lambda: T5EncoderModel(T5Config(**common, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4)),
    }
    built[family]().save_pretrained(folder)
    return folder
