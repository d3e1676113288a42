"""A pair of functions as an encoder reads it: both in one text, or each in its own.

``cross``: both functions in the tokenizer's own format of a pair (``[CLS] left [SEP] right [SEP]`` and its kin). Of a
pair that exceeds the window ends are cut, fairly: each function may have half of it, and what one does not need is the
other's, so that a short one keeps all. ``bi``: each function in a text and a window of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd

from llmexp_utils.errors import StudyError
from llmexp_utils.line_windows import with_indent

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Head = Literal["cross", "bi"]
Text = dict[str, list[int]]


@dataclass(frozen=True)
class PairItem:
    """One encoded pair.

    Attributes
    ----------
    texts : tuple of dict
        What the encoder takes, by name (``input_ids``, ...): one text with both functions, or one for each.
    label : int
        1 for clones, 0 for others.
    truncated : int
        Number of functions of the pair that lost their end.
    """

    texts: tuple[Text, ...]
    label: int
    truncated: int

    @property
    def size(self) -> int:
        """Length of the longest text in tokens: what a batch is padded to."""
        return max(len(text["input_ids"]) for text in self.texts)


def encode_pairs(
    pairs: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, window: int, head: Head, indent_tokens: bool = False
) -> list[PairItem]:
    """Encode pairs, in frame order.

    Parameters
    ----------
    pairs : DataFrame
        ``left``, ``right`` (texts) and ``label``.
    tokenizer : PreTrainedTokenizerBase
        A fast one, or (PLBART's) one with a first token and a separator.
    window : int
        Longest text in tokens.
    head : {"cross", "bi"}
        One text for both functions, or one for each.
    indent_tokens : bool
        Show indentation, see :class:`llmexp_utils.encoders.EncoderChoice`.

    Raises
    ------
    StudyError
        If the head is unknown, or the tokenizer has no format of a pair.
    """
    _check(tokenizer, head)
    sides = [list(pairs[side]) for side in ("left", "right")]
    if indent_tokens:
        sides = [["\n".join(map(with_indent, code.splitlines())) for code in side] for side in sides]
    groups = [sides] if head == "cross" else [[side] for side in sides]
    tokenised = _tokenised if tokenizer.is_fast else _composed
    texts = zip(*(tokenised(tokenizer, window, *group) for group in groups), strict=True)
    return [
        PairItem(tuple(text for text, _ in row), int(label), sum(truncated for _, truncated in row))
        for row, label in zip(texts, pairs["label"], strict=True)
    ]


def _tokenised(tokenizer: PreTrainedTokenizerBase, window: int, *sides: Sequence[str]) -> list[tuple[Text, int]]:
    """Texts of one function each, or of two, and how many of their functions were cut."""
    # The library's "longest_first" is the fair rule above.
    encoded = tokenizer(*sides, truncation="longest_first", max_length=window, verbose=False)
    whole = [tokenizer(side, add_special_tokens=False, verbose=False)["input_ids"] for side in sides]
    found = []
    for row in range(len(sides[0])):
        origin = encoded.sequence_ids(row)  # side of each token; None for those that the format adds
        truncated = sum(origin.count(side) < len(ids[row]) for side, ids in enumerate(whole))
        found.append(({name: values[row] for name, values in encoded.items()}, truncated))
    return found


def _composed(tokenizer: PreTrainedTokenizerBase, window: int, *sides: Sequence[str]) -> list[tuple[Text, int]]:
    """The same for a tokenizer that is no fast one: the format is RoBERTa's and BART's."""
    first, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    found = []
    for row in zip(*(tokenizer(list(side), add_special_tokens=False)["input_ids"] for side in sides), strict=True):
        kept = [ids[:size] for ids, size in zip(row, _shares(list(map(len, row)), window - 2 * len(row)), strict=True)]
        joined = [first, *kept[0], end, *(token for ids in kept[1:] for token in (end, *ids, end))]
        truncated = sum(len(part) < len(ids) for part, ids in zip(kept, row, strict=True))
        found.append(({"input_ids": joined, "attention_mask": [1] * len(joined)}, truncated))
    return found


def _shares(sizes: list[int], room: int) -> list[int]:
    """Tokens that one or two functions may have of ``room``: half each, and what one does not need."""
    if sum(sizes) <= room or len(sizes) == 1:
        return [min(size, room) for size in sizes]
    short = min(*sizes, room // 2)
    return [short, room - short] if sizes[0] <= sizes[1] else [room - short, short]


def _check(tokenizer: PreTrainedTokenizerBase, head: Head) -> None:
    if head not in ("cross", "bi"):
        raise StudyError(f"unknown head {head!r}: choose cross or bi")
    if not tokenizer.is_fast and None in (tokenizer.cls_token_id, tokenizer.sep_token_id):
        raise StudyError("the encoder's tokenizer has no first token or no separator: take one with a tokenizer.json")
    if head == "cross" and tokenizer.is_fast and not tokenizer.num_special_tokens_to_add(pair=True):
        raise StudyError("the encoder's tokenizer puts no separator between two texts: take the head 'bi'")
