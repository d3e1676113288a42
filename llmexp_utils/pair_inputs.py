"""A pair of functions as an encoder reads it: both in one text, or each in its own, in several texts if they are long.

``cross``: both functions in the tokenizer's own format of a pair (``[CLS] left [SEP] right [SEP]`` and its kin).
``bi``: each function in texts of its own. What exceeds the window becomes several windows that overlap: nothing is cut.
In ``cross`` each function may have half of the room, and what one does not need is the other's, so that a short one
stands whole beside every window of a long one; of two long ones, windows at the same place stand together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import pandas as pd

from llmexp_utils.errors import StudyError
from llmexp_utils.line_windows import OVERLAP, with_indent

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Head = Literal["cross", "bi"]
Text = dict[str, list[int]]


@dataclass(frozen=True)
class PairItem:
    """One encoded pair.

    Attributes
    ----------
    sides : tuple of tuple of dict
        What the encoder takes, by name (``input_ids``, ...): the texts with both functions, or those of the left
        function and those of the right one. A side has one text unless it exceeds the window.
    label : int
        1 for clones, 0 for others.
    """

    sides: tuple[tuple[Text, ...], ...]
    label: int

    @property
    def size(self) -> int:
        """Length of the longest text in tokens: what a batch is padded to."""
        return max(len(text["input_ids"]) for side in self.sides for text in side)

    @property
    def is_split(self) -> bool:
        """Whether a function of the pair is read in several windows."""
        return any(len(side) > 1 for side in self.sides)


class Slot(NamedTuple):
    """A place of a tokenizer's format: a token that the format adds, or (``token`` None) a function."""

    token: int | None
    side: int | None
    kind: int  # its token type


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
        If the head is unknown, the tokenizer has no format of a pair, or the window leaves no room for functions.
    """
    _check(tokenizer, head)
    sides = [list(pairs[side]) for side in ("left", "right")]
    if indent_tokens:
        sides = [["\n".join(map(with_indent, code.splitlines())) for code in side] for side in sides]
    groups = [sides] if head == "cross" else [[side] for side in sides]
    texts = zip(*(_texts(tokenizer, window, group) for group in groups), strict=True)
    return [PairItem(row, int(label)) for row, label in zip(texts, pairs["label"], strict=True)]


def _texts(tokenizer: PreTrainedTokenizerBase, window: int, sides: Sequence[list[str]]) -> list[tuple[Text, ...]]:
    """Texts of each row: of one function, or of two."""
    slots, typed = _format(tokenizer, len(sides))
    room = window - sum(slot.token is not None for slot in slots)
    if room < 2 * len(sides):
        raise StudyError(f"window is {window}: it leaves no room for functions beside the tokens of the format")
    ids = [tokenizer(side, add_special_tokens=False, verbose=False)["input_ids"] if side else [] for side in sides]
    return [tuple(_filled(slots, pieces, typed) for pieces in _windows(row, room)) for row in zip(*ids, strict=True)]


def _format(tokenizer: PreTrainedTokenizerBase, count: int) -> tuple[list[Slot], bool]:
    """The tokenizer's format of one or two functions, and whether it has token types."""
    if not tokenizer.is_fast:  # PLBART's own: its format is RoBERTa's and BART's
        first, end = (Slot(token, None, 0) for token in (tokenizer.cls_token_id, tokenizer.sep_token_id))
        return [first, Slot(None, 0, 0), end, *([end, Slot(None, 1, 0), end] if count == 2 else [])], False
    probe = tokenizer(*["a"] * count, verbose=False)
    typed = "token_type_ids" in probe
    kinds = probe["token_type_ids"] if typed else [0] * len(probe["input_ids"])
    places = zip(probe["input_ids"], probe.sequence_ids(0), kinds, strict=True)
    slots = [Slot(token if side is None else None, side, kind) for token, side, kind in places]
    # A function has one place, however many tokens the probe became.
    slots = [slot for n, slot in enumerate(slots) if slot.side is None or slot not in slots[:n]]
    sides = [slot.side for slot in slots]
    if count == 2 and sides.index(1) == sides.index(0) + 1:
        raise StudyError("the encoder's tokenizer puts no separator between two texts: take the head 'bi'")
    return slots, typed


def _filled(slots: Sequence[Slot], pieces: Sequence[list[int]], typed: bool) -> Text:
    """A text of the format with these pieces of functions."""
    parts = [([slot.token] if slot.side is None else pieces[slot.side], slot.kind) for slot in slots]
    ids = [token for tokens, _ in parts for token in tokens]
    types = {"token_type_ids": [kind for tokens, kind in parts for _ in tokens]} if typed else {}
    return {"input_ids": ids, "attention_mask": [1] * len(ids)} | types


def _windows(functions: Sequence[list[int]], room: int) -> list[list[list[int]]]:
    """Pieces of one or two functions that stand together: as many texts as the one with more windows has."""
    shares = _shares(list(map(len, functions)), room)
    pieces = [_pieces(ids, share) for ids, share in zip(functions, shares, strict=True)]
    count = max(map(len, pieces))
    return [[found[place * len(found) // count] for found in pieces] for place in range(count)]


def _pieces(ids: list[int], size: int) -> list[list[int]]:
    """Windows of ``size`` tokens that share a quarter with the one before; the last ends where the function ends."""
    last = len(ids) - size
    if last <= 0:
        return [ids]
    return [ids[start : start + size] for start in [*range(0, last, size - size // OVERLAP), last]]


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
