"""Vectors of code from a pretrained encoder, and typical members of their clusters.

The paper (arXiv 2408.08553) measures semantic similarity and chooses prompt examples with UniXcoder. The
embedded default is a small sentence encoder; any ``transformers`` encoder can take its place, by folder or
name.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from tqdm.auto import tqdm

from llmexp_utils.errors import StudyError
from llmexp_utils.paths import atomic_write
from llmexp_utils.provenance import cores
from llmexp_utils.reproducible import one_thread

if TYPE_CHECKING:
    from transformers import BatchEncoding

Pooling = Literal["mean", "cls"]
MAX_TOKENS = 512
PIECE = 256  # texts that are tokens at the same time: memory must not grow by all of them


def embed_with_encoder(
    codes: Sequence[str],
    folder: Path | str,
    pooling: Pooling = "mean",
    cache: Path | None = None,
) -> np.ndarray:
    """Embed texts with an encoder: the same vector for a text, whatever is embedded with it or cached before.

    Parameters
    ----------
    codes : sequence of str
        Texts; each distinct one is computed once.
    folder : Path or str
        Folder (or hub name) of a ``transformers`` encoder.
    pooling : {"mean", "cls"}
        Mean of the token vectors (sentence encoders), or the vector of the first token (as the paper's
        authors do with UniXcoder). Not scaled to unit length.
    cache : Path, optional
        An ``.npz`` file of vectors by content, read first and extended by what is new. Encoder and pooling
        are part of the key.

    Returns
    -------
    ndarray, shape (len(codes), d), float32
        Texts longer than 512 tokens (or the encoder's own limit) are cut, and a warning says how many.

    Raises
    ------
    StudyError
        If the encoder cannot be loaded, or ``pooling`` is unknown.
    """
    if pooling not in ("mean", "cls"):
        raise StudyError(f"unknown pooling {pooling!r}: choose mean or cls")
    encoder = f"{_encoder_id(folder)} {pooling} unpadded"
    keys = [hashlib.sha256(f"{encoder}\0{code}".encode()).hexdigest() for code in codes]
    vectors = _read(cache)
    missing = {key: code for key, code in zip(keys, codes, strict=True) if key not in vectors}
    if not keys:
        return _encode([], folder, pooling)
    if missing:
        vectors.update(zip(missing, _encode(list(missing.values()), folder, pooling), strict=True))
        _write(cache, vectors)
    return np.stack([vectors[key] for key in keys])


def embedder(cache: Path) -> Callable[[Sequence[str]], np.ndarray]:
    """:func:`embed_with_encoder` with the embedded encoder and a file of vectors, as :mod:`select` takes it."""
    from llmexp_utils.assets import fetch

    folder = fetch("all-MiniLM-L6-v2")
    return lambda codes: embed_with_encoder(codes, folder, cache=cache)


def medoids(embeddings: np.ndarray, k: int, rng_seed: int) -> list[list[int]]:
    """Typical members of ``k`` clusters: for each cluster its members, nearest to the centroid first.

    The first of each list is the medoid, the next ones its runners-up. Clusters are in the order of their
    medoids, so that the answer does not depend on how k-means numbers them. ``n_init=10`` is the setting of
    the paper's authors for their prompt examples.

    Parameters
    ----------
    embeddings : ndarray, shape (n, d)
        One vector a row.
    k : int
        Number of clusters.
    rng_seed : int
        Seed of the starting points.

    Raises
    ------
    StudyError
        If there are fewer than ``k`` distinct vectors.

    Examples
    --------
    >>> medoids(np.array([[0.0], [0.1], [0.3], [9.0]]), k=2, rng_seed=0)
    [[1, 0, 2], [3]]
    """
    from sklearn.cluster import KMeans

    distinct = len(np.unique(embeddings, axis=0)) if len(embeddings) else 0
    if not 1 <= k <= distinct:
        raise StudyError(f"{k} clusters of {distinct} distinct vectors: give k between 1 and {distinct}")
    model = KMeans(n_clusters=k, n_init=10, random_state=rng_seed).fit(embeddings)
    distances = np.linalg.norm(embeddings - model.cluster_centers_[model.labels_], axis=1)
    order = np.argsort(distances, kind="stable")
    clusters = [[int(row) for row in order if model.labels_[row] == label] for label in range(k)]
    return sorted(clusters, key=lambda members: members[0])


def _encode(codes: list[str], folder: Path | str, pooling: Pooling) -> np.ndarray:
    """Vectors of shape (len(codes), d): each text alone, computed on one thread, as many at once as there are cores.

    In a batch, or on several threads, the last digits of a vector depend on the texts beside it and on the
    machine's load, and with them the choice by Score. Text by text costs no more on a processor.
    """
    import torch

    tokenizer, model = _load(folder)
    limit = min(MAX_TOKENS, tokenizer.model_max_length)

    cut = 0

    def tokens_of(code: str) -> BatchEncoding:
        nonlocal cut
        tokens = tokenizer(code, truncation=True, max_length=limit, return_tensors="pt")
        if tokens["input_ids"].shape[1] == limit:
            cut += len(tokenizer(code, verbose=False)["input_ids"]) > limit
        return tokens

    def vector(tokens: BatchEncoding) -> np.ndarray:
        with torch.inference_mode():
            states = model(**tokens.to(model.device)).last_hidden_state[0]
        return (states[0] if pooling == "cls" else states.mean(dim=0)).float().cpu().numpy()

    result = np.zeros((len(codes), model.config.hidden_size), dtype=np.float32)
    bar = tqdm(desc="embedding", unit="text", total=len(codes), disable=not codes)
    with one_thread(), bar, ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(codes), PIECE):
            inputs = map(tokens_of, codes[start : start + PIECE])  # here: a tokenizer is not for several threads
            for row, found in enumerate(pool.map(vector, inputs), start):
                result[row] = found
                bar.update()
    if cut:
        warnings.warn(
            f"{cut} of {len(codes)} texts are longer than {limit} tokens: their ends do not count", stacklevel=2
        )
    return result


def _load(folder: Path | str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # of reading the weights, a second
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
        model = AutoModel.from_pretrained(str(folder), dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise StudyError(f"cannot load the encoder {folder}: give its folder ({reason})") from error
    return tokenizer, model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _encoder_id(folder: Path | str) -> str:
    """What tells one encoder from another: names and sizes of its files, wherever the folder is."""
    path = Path(folder)
    if not path.is_dir():
        return str(folder)
    return " ".join(f"{file.name}:{file.stat().st_size}" for file in sorted(path.iterdir()) if file.is_file())


def _read(cache: Path | None) -> dict[str, np.ndarray]:
    if cache is None or not Path(cache).exists():
        return {}
    with np.load(cache) as stored:
        return dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))


def _write(cache: Path | None, vectors: dict[str, np.ndarray]) -> None:
    """Put vectors into the file, beside those that another process has put there since it was read."""
    import filelock

    if cache is None:
        return
    Path(cache).parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{cache}.lock"):
        kept, buffer = _read(cache) | vectors, io.BytesIO()
        np.savez(buffer, keys=np.array(list(kept)), vectors=np.stack(list(kept.values())))
        atomic_write(cache, buffer.getvalue())
