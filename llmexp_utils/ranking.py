"""Retrieval at any size: a student ranks all programs for each of them, a block of queries at a time.

One number a query is kept, so the 72 million pairs of POJ-104's 12,000 test programs need no more memory than the
programs' vectors and one block of similarities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import singledispatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from llmexp_utils.errors import StudyError
from llmexp_utils.languages import language
from llmexp_utils.pair_baselines import AlwaysClone, TokenOverlap, UntouchedCosine
from llmexp_utils.pair_students import FineTunedPairs, FrozenPairs, vectors_of
from llmexp_utils.retrieval import Similarity, average_precision_at_r
from llmexp_utils.train import DIGITS

if TYPE_CHECKING:
    import torch

    from llmexp_utils.pair_inputs import PairItem


def average_precisions(student: Any, train: pd.DataFrame, programs: pd.DataFrame, seed: int) -> np.ndarray:
    """Average precision at R of each program, NaN without a clone, by a student that was trained on pairs.

    Parameters
    ----------
    student, train, seed
        See :func:`similarity`.
    programs : DataFrame
        ``task_id`` and ``code``: those of one task are clones.
    """
    similar = similarity(student, train, programs.code.tolist(), seed)
    return average_precision_at_r(lambda block: np.round(similar(block), DIGITS), programs.task_id)


@singledispatch
def similarity(student: Any, train: pd.DataFrame, codes: Sequence[str], seed: int) -> Similarity:
    """How alike a student finds programs, after training on pairs.

    Parameters
    ----------
    student : FrozenPairs, FineTunedPairs with the head ``bi``, or a baseline
        What is trained.
    train : DataFrame
        Pair frame; baselines learn nothing from it.
    codes : sequence of str
        Programs.
    seed : int
        Of the training.

    Raises
    ------
    StudyError
        If the student needs both programs to read one, so that nothing is left to compare afterwards.
    """
    raise TypeError(f"{type(student).__name__} ranks no programs")


@similarity.register
def _(student: AlwaysClone, train: pd.DataFrame, codes: Sequence[str], seed: int) -> Similarity:
    return lambda block: np.ones((len(codes[block]), len(codes)))


@similarity.register
def _(student: TokenOverlap, train: pd.DataFrame, codes: Sequence[str], seed: int) -> Similarity:
    """Multiset Jaccard: the n-th time that a token stands in a program is a feature of its own."""
    from scipy.sparse import csr_array

    column: dict[tuple[str, int], int] = {}
    places = []
    for row, code in enumerate(codes):
        counts = Counter(language(student.language).normal_tokens(code))
        turns = ((token, turn) for token, count in counts.items() for turn in range(count))
        places += [(row, column.setdefault(turn, len(column))) for turn in turns]
    rows, columns = np.array(places).T
    found = csr_array((np.ones(len(places)), (rows, columns)), shape=(len(codes), len(column)))
    sizes = found.sum(axis=1)

    def overlap(block: slice) -> np.ndarray:
        common = (found[block] @ found.T).toarray()
        return common / (sizes[block, None] + sizes - common)

    return overlap


@similarity.register
def _(student: UntouchedCosine, train: pd.DataFrame, codes: Sequence[str], seed: int) -> Similarity:
    vectors = student.vectors(list(codes)).astype(float)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return lambda block: units[block] @ units.T


@similarity.register
def _(student: FrozenPairs, train: pd.DataFrame, codes: Sequence[str], seed: int) -> Similarity:
    import torch

    from llmexp_utils.reproducible import one_thread

    model = student.fit(train, seed)
    vectors = vectors_of(list(codes), Path(student.cache), student.reader, workers=1, progress=False)
    # The head of llmexp_utils.pair_head with its first layer taken apart: what a pair shares is computed once for both
    # orders, and what depends on one function, once a function.
    first, rest = model.head[0], model.head[1:]
    with one_thread(), torch.inference_mode():
        read = model.read((torch.from_numpy(vectors) - model.mean) / model.spread)
        of_left, of_right, of_difference, of_product = first.weight.T.chunk(4)
        left, right = read @ of_left + first.bias, read @ of_right

    def logits(block: slice) -> np.ndarray:
        found = []
        with one_thread(), torch.inference_mode():
            for query, as_left, as_right in zip(read[block], left[block], right[block], strict=True):
                shared = torch.abs(query - read) @ of_difference + (query * read) @ of_product
                orders = [rest(as_left + right + shared), rest(left + as_right + shared)]
                found.append(torch.stack(orders).mean(dim=0)[:, 0].double().numpy())
        return np.stack(found)

    return logits


@similarity.register
def _(student: FineTunedPairs, train: pd.DataFrame, codes: Sequence[str], seed: int) -> Similarity:
    if student.head != "bi":
        raise StudyError(f"{student.name} reads two programs as one text: to rank all of them, set encoder_head to bi")
    vectors, weight, bias = _encoder_vectors(student, train, codes, seed)
    apart, product = np.split(weight, 2)

    def logits(block: slice) -> np.ndarray:
        differences = np.stack([np.abs(query - vectors) @ apart for query in vectors[block]])
        return differences + (vectors[block] * product) @ vectors.T + bias

    return logits


def _encoder_vectors(
    student: FineTunedPairs, train: pd.DataFrame, codes: Sequence[str], seed: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Vectors (n, hidden) of the programs by an encoder that was fine-tuned on pairs, and its head: weights, bias."""
    from llmexp_utils.encoders import as_choice, load_encoder
    from llmexp_utils.fine_tuning import checkpoints, fine_tune, training_arguments
    from llmexp_utils.pair_encoder import PairClassifier, collate
    from llmexp_utils.pair_inputs import encode_pairs
    from llmexp_utils.reproducible import seeded

    settings = dict(student.settings)
    choice = as_choice(settings.pop("encoder"))
    head = settings.pop("head")
    arguments = training_arguments(student.checkpoints, **settings, seed=seed)
    with seeded(seed):
        backbone, tokenizer, window = load_encoder(choice)
        model, pad = PairClassifier(backbone, head), tokenizer.pad_token_id or 0

        def encode(pairs: pd.DataFrame) -> list[PairItem]:
            return encode_pairs(pairs, tokenizer, window, head, choice.indent_tokens)

        content = train[["left", "right", "label"]].values.tolist()
        with checkpoints(arguments, asdict(choice), head, "ranking", content) as folder:
            fine_tune(model, encode(train), lambda batch: collate(batch, pad), arguments, folder)
            sides = [list(codes[::2]), [*codes[1::2], *codes[-1:] * (len(codes) % 2)]]  # two programs in each item
            pairs = pd.DataFrame(dict(zip(("left", "right"), sides, strict=True))).assign(label=0)
            model.eval()
            read = [_program_vectors(model, collate([item], pad)) for item in encode(pairs)]
    weight = model.head.weight[0].detach().double().cpu().numpy()
    return np.concatenate(read)[: len(codes)], weight, model.head.bias.item()


def _program_vectors(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> np.ndarray:
    """Vectors (2, hidden) of the two programs of one item: the mean over the tokens of all windows of each."""
    import torch

    owners, device = batch.pop("owners"), next(model.parameters()).device
    batch.pop("targets")
    with torch.inference_mode():
        states = model.backbone(**{name: value.to(device) for name, value in batch.items()}).last_hidden_state.cpu()
    mask = batch["attention_mask"].bool()
    return np.stack([states[owners == one][mask[owners == one]].mean(dim=0).double().numpy() for one in (0, 1)])
