"""Pooling and the cache on an encoder that is made here; medoids of clusters that one can see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llmexp_utils import embeddings
from llmexp_utils.assets import fetch
from llmexp_utils.embeddings import embed_with_encoder, medoids
from llmexp_utils.errors import StudyError

CODES = ["return a", "a", "return a + b + a + b", "return b", "a"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small encoder with random weights and a vocabulary of words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "return", "a", "b", "+")
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=16).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=9, max_position_embeddings=16, **sizes)).save_pretrained(folder)
    return folder


def token_vectors(code: str, folder: Path) -> np.ndarray:
    """Last hidden states of one text, without any batch."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    inputs = AutoTokenizer.from_pretrained(folder)(code, return_tensors="pt")
    with torch.inference_mode():
        return AutoModel.from_pretrained(folder).eval()(**inputs).last_hidden_state[0].numpy()


def test_vectors_are_the_mean_or_the_first_token(encoder: Path) -> None:
    mean = embed_with_encoder(CODES, encoder)
    first = embed_with_encoder(CODES, encoder, pooling="cls")
    assert mean.shape == first.shape == (5, 8) and mean.dtype == np.float32
    for row, code in enumerate(CODES):
        states = token_vectors(code, encoder)
        np.testing.assert_allclose(mean[row], states.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(first[row], states[0], atol=1e-5)


def test_many_texts_are_embedded_piece_by_piece(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = [f"return {'a ' * n}" for n in range(1, 8)]
    expected = embed_with_encoder(codes, encoder)
    monkeypatch.setattr(embeddings, "PIECE", 3)
    np.testing.assert_array_equal(embed_with_encoder(codes, encoder), expected)


def test_a_text_has_the_same_bytes_whatever_is_embedded_with_it() -> None:
    folder = fetch("all-MiniLM-L6-v2")  # a real one: the sizes of the tiny encoder hide differences
    codes = [f"def f(x):\n{'    x += 1' * lines}\n    return x" for lines in (1, 9, 2, 30, 5)]
    together = embed_with_encoder(codes, folder)
    for code, vector in zip(codes, together, strict=True):
        np.testing.assert_array_equal(embed_with_encoder([code], folder), [vector])


def test_long_texts_are_cut_and_no_text_is_fine(encoder: Path) -> None:
    with pytest.warns(UserWarning, match="1 of 2 texts are longer than 16 tokens"):
        long, longer = embed_with_encoder(["a " * 14, "a " * 99], encoder)
    np.testing.assert_allclose(long, longer, atol=1e-6)
    assert embed_with_encoder([], encoder).shape == (0, 8)


def test_cache_computes_each_text_once(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[list[str]] = []
    encode = embeddings._encode

    def counted(codes: list[str], *rest: object) -> np.ndarray:
        computed.append(codes)
        return encode(codes, *rest)

    monkeypatch.setattr(embeddings, "_encode", counted)
    cache = tmp_path / "new" / "vectors.npz"
    first = embed_with_encoder(CODES[:3], encoder, cache=cache)
    second = embed_with_encoder(CODES, encoder, cache=cache)
    np.testing.assert_array_equal(first, second[:3])
    np.testing.assert_array_equal(embed_with_encoder(CODES[::-1], encoder, cache=cache), second[::-1])
    assert computed == [CODES[:3], ["return b"]]
    embed_with_encoder(["a"], encoder, pooling="cls", cache=cache)
    assert computed[2:] == [["a"]], "another pooling is another vector"


def test_two_processes_lose_no_vector(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run puts its vectors into the file while this one computes its own."""
    cache, encode, others = tmp_path / "vectors.npz", embeddings._encode, [["b"]]

    def interrupted(codes: list[str], *rest: object) -> np.ndarray:
        if others:
            embed_with_encoder(others.pop(), encoder, cache=cache)
        return encode(codes, *rest)

    monkeypatch.setattr(embeddings, "_encode", interrupted)
    embed_with_encoder(["a"], encoder, cache=cache)
    with np.load(cache) as stored:
        assert len(stored["keys"]) == 2


def test_bad_input_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="unknown pooling"):
        embed_with_encoder(CODES, tmp_path, pooling="max")  # type: ignore[arg-type]
    with pytest.raises(StudyError, match="cannot load the encoder"):
        embed_with_encoder(CODES, tmp_path)


def test_medoids_of_clusters_one_can_see() -> None:
    points = np.array([[0.0, 0], [10, 10], [0.25, 0], [10, 10.4], [0.1, 0], [10, 10.1]])
    found = medoids(points, k=2, rng_seed=0)
    assert found == [[4, 0, 2], [5, 1, 3]]
    assert all(medoids(points, k=2, rng_seed=seed) == found for seed in range(5))


def test_medoids_cover_every_row_once() -> None:
    points = np.random.default_rng(0).normal(size=(40, 3))
    clusters = medoids(points, k=5, rng_seed=1)
    assert sorted(row for members in clusters for row in members) == list(range(40))
    assert [members[0] for members in clusters] == sorted(members[0] for members in clusters)


@pytest.mark.parametrize("k", [0, 3])
def test_medoids_need_as_many_distinct_vectors_as_clusters(k: int) -> None:
    with pytest.raises(StudyError, match="2 distinct vectors"):
        medoids(np.array([[0.0], [1.0], [1.0]]), k, rng_seed=0)
