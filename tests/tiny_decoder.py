"""A random decoder of the Qwen2 build with a byte-level tokenizer, saved as a transformers model folder."""

from pathlib import Path

TEXTS = [
    "def f(x):\n    total = 0\n    for i in range(x):\n        total += i * 2\n    return total\n",
    "def g(a, b):\n    if a > b:\n        return a - b\n    return [c for c in b if c not in a]\n",
]


def make_decoder(folder: Path, layers: int = 3, window: int = 400) -> Path:
    """Write model, config and fast tokenizer; two heads share their keys, as in grouped attention."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2Model

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=window,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Qwen2Model(config)
        for weight in model.parameters():  # the default of 0.02 would leave hardly any attention to test
            torch.nn.init.normal_(weight, std=0.3)
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
