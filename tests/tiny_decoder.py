"""Random decoders with a byte-level tokenizer, saved as transformers model folders."""

from pathlib import Path

TEXTS = [
    "def f(x):\n    total = 0\n    for i in range(x):\n        total += i * 2\n    return total\n",
    "def g(a, b):\n    if a > b:\n        return a - b\n    return [c for c in b if c not in a]\n",
]


BUILDS = ("Qwen2", "Llama", "Starcoder2", "Phi", "GPTNeoX", "GPT2")
GROUPED = ("Qwen2", "Llama", "Starcoder2")


def make_decoder(folder: Path, layers: int = 3, window: int = 400, build: str = "Qwen2") -> Path:
    """Write model, config and fast tokenizer; where a build has it, two heads share their keys."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(TEXTS, trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw)
    sizes = {"vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": layers, "num_attention_heads": 4}
    sizes |= {"max_position_embeddings": window, "bos_token_id": 0, "eos_token_id": 0}
    sizes |= {} if build == "GPT2" else {"intermediate_size": 64}
    sizes |= {"num_key_value_heads": 2} if build in GROUPED else {}
    config = AutoConfig.for_model(build.lower().replace("neox", "_neox"), **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModel.from_config(config)
        for weight in model.parameters():  # the default of 0.02 would leave hardly any attention to test
            torch.nn.init.normal_(weight, std=0.3)
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
