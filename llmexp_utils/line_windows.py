"""Code as an encoder reads it: tokens of every line, a separator after each, windows for what is too long.

``[CLS] tokens of line 1 [SEP] tokens of line 2 [SEP] ...``: the model's output at a line's separator stands
for the line. A function longer than the model's window becomes several windows of whole lines that overlap;
each line is read in exactly one of them, the one where it has the more context on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from llmexp_utils.errors import StudyError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

INDENT = "<indent>"
INDENT_WIDTH = 4
OVERLAP = 4  # a quarter of the window is shared with the window before


class Window(NamedTuple):
    """Lines ``first`` to ``last - 1`` are shown, of which ``read_first`` to ``read_last - 1`` are read."""

    first: int
    last: int
    read_first: int
    read_last: int


@dataclass(frozen=True)
class EncodedFunction:
    """Token ids of a function's windows, and where the output of each line is read.

    Attributes
    ----------
    windows : tuple of list of int
        Token ids, one list a window; a single one unless the function is longer than the model's window.
    reads : tuple of (int, int)
        For each line its window and the position of its separator there.
    shortened : int
        Number of lines that alone exceed the window and lost their end.
    """

    windows: tuple[list[int], ...]
    reads: tuple[tuple[int, int], ...]
    shortened: int

    @property
    def size(self) -> int:
        """Length of the longest window in tokens: what a batch is padded to."""
        return max(map(len, self.windows))


def separator_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Token that ends a line: ``sep_token``, or ``eos_token`` where a family has no separator.

    BERT and RoBERTa were pretrained with their separator at the end of a text segment. T5 has none; its
    ``</s>`` is the one token that it has seen at the end of every text, so there it plays the same part.
    """
    found = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    if found is None:
        raise StudyError("the tokenizer has neither a separator nor an end token to read a line at")
    return found


def encode_functions(
    codes: Sequence[str], tokenizer: PreTrainedTokenizerBase, window: int, indent_tokens: bool = False
) -> list[EncodedFunction]:
    """Encode functions line by line.

    Parameters
    ----------
    codes : sequence of str
        Functions in normal form; line ``n`` (1-based) is ``code.splitlines()[n - 1]``.
    tokenizer : PreTrainedTokenizerBase
        BERT tokenizers drop the indentation; byte-level ones (RoBERTa) keep it.
    window : int
        Longest input of the model, in tokens.
    indent_tokens : bool
        Write each level of indentation as one ``<indent>`` token, which the tokenizer must know.
    """
    texts = [[with_indent(line) if indent_tokens else line for line in code.splitlines()] for code in codes]
    flat = [line for lines in texts for line in lines]
    ids = tokenizer(flat, add_special_tokens=False, verbose=False)["input_ids"] if flat else []
    ends = np.cumsum([len(lines) for lines in texts])
    prefix = [] if tokenizer.cls_token_id is None else [tokenizer.cls_token_id]
    separator = separator_id(tokenizer)
    return [
        _encode(ids[end - len(lines) : end], prefix, separator, window) for lines, end in zip(texts, ends, strict=True)
    ]


def split_windows(sizes: Sequence[int], capacity: int) -> list[Window]:
    """Cut lines of the given sizes (in tokens) into overlapping windows of whole lines.

    Parameters
    ----------
    sizes : sequence of int
        None above ``capacity``.
    capacity : int
        Tokens in a window; consecutive windows share lines of up to a quarter of it.

    Examples
    --------
    >>> split_windows([5, 5, 5, 5], 20)
    [Window(first=0, last=4, read_first=0, read_last=4)]
    >>> [(w.first, w.last) for w in split_windows([5, 5, 5, 5, 5, 5], 20)]
    [(0, 4), (3, 6)]
    """
    spans = [(0, _fill(sizes, 0, capacity))]
    while spans[-1][1] < len(sizes):
        start = _step_back(sizes, spans[-1], capacity)
        spans.append((start, _fill(sizes, start, capacity)))
    # Of the lines that two windows share, the earlier reads the first half and the later the second.
    inner = [(later[0] + earlier[1] + 1) // 2 for earlier, later in pairwise(spans)]
    bounds = [0, *inner, len(sizes)]
    return [Window(*span, *bounds[n : n + 2]) for n, span in enumerate(spans)]


def with_indent(line: str) -> str:
    """A line with one ``INDENT`` for each level of its indentation."""
    code = line.lstrip(" ")
    return INDENT * ((len(line) - len(code)) // INDENT_WIDTH) + code


def _encode(lines: list[list[int]], prefix: list[int], separator: int, window: int) -> EncodedFunction:
    capacity = window - len(prefix)
    whole = [len(line) < capacity for line in lines]
    rows = [[*line[: capacity - 1], separator] for line in lines]
    windows: list[list[int]] = []
    reads: list[tuple[int, int]] = []
    for number, span in enumerate(split_windows([len(row) for row in rows], capacity)):
        shown = rows[span.first : span.last]
        ends = np.cumsum([len(row) for row in shown]) + len(prefix) - 1
        reads += [(number, int(ends[line - span.first])) for line in range(span.read_first, span.read_last)]
        windows.append([*prefix, *(token for row in shown for token in row)])
    return EncodedFunction(tuple(windows), tuple(reads), whole.count(False))


def _fill(sizes: Sequence[int], first: int, capacity: int) -> int:
    """End of the longest run of lines from ``first`` that fits."""
    return first + int(np.searchsorted(np.cumsum(sizes[first:]), capacity, side="right"))


def _step_back(sizes: Sequence[int], span: tuple[int, int], capacity: int) -> int:
    """First line of the next window: as much overlap as is allowed and leaves room for a new line."""
    first, last = span
    room = min(capacity // OVERLAP, capacity - sizes[last])
    start = last
    while start - 1 > first and sum(sizes[start - 1 : last]) <= room:
        start -= 1
    return start
