"""Hidden states of a frozen code model for each line of a function: at its last token, or their mean.

The faulty versions of one function share most of their text with it, and a causal model reads from left to
right. So the correct function and its versions are read in one pass: each version adds only its tokens from
the first difference on, which attend to the correct function's tokens before that point and then to
themselves. Nothing is padded, and short functions share a pass, because a processor multiplies many rows at
a better rate than few. ``benchmarks/hidden_states.py`` measures it.

The result for a version depends on the pair (correct function, version) alone: the shared beginning always
comes from the correct function, and no token sees the other versions of the pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from llmexp_utils.errors import StudyError
from llmexp_utils.reader import Pooling
from llmexp_utils.reproducible import one_thread

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

TOKENS_A_PASS = 1024
ATTENTION = "llmexp_segments"
NOT_STEERED = ("softcap", "s_aux", "position_bias")  # terms of other attentions that would be left out in silence


@dataclass(frozen=True)
class Segment:
    """Tokens ``start`` to ``stop`` of a pass: they see ``prefix`` tokens from ``base`` on, and themselves."""

    start: int
    stop: int
    base: int = 0
    prefix: int = 0


@dataclass
class _Pass:
    """Tokens that go through the model together."""

    tokens: list[int] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    start_of: dict[tuple[int, ...], int] = field(default_factory=dict)
    results: list[tuple[int, Segment]] = field(default_factory=list)

    def add(self, index: int, tokens: tuple[int, ...], correct: tuple[int, ...]) -> bool:
        """Add version ``index``; False (and nothing added) if the pass is full."""
        shared = _shared_prefix(tokens, correct)
        new = [] if correct in self.start_of else list(correct)
        if self.tokens and len(self.tokens) + len(new) + len(tokens) - shared > TOKENS_A_PASS:
            return False
        if new:
            self.start_of[correct] = len(self.tokens)
            self._append(correct, len(self.tokens), 0)
        self.results.append((index, self._append(tokens[shared:], self.start_of[correct], shared)))
        return True

    def _append(self, tokens: Sequence[int], base: int, prefix: int) -> Segment:
        segment = Segment(len(self.tokens), len(self.tokens) + len(tokens), base, prefix)
        if tokens:
            self.tokens.extend(tokens)
            self.segments.append(segment)
        return segment


def line_states(
    codes: Sequence[str],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    corrects: Sequence[str] | None = None,
    pooling: Pooling = "last",
) -> list[np.ndarray]:
    """Hidden state of each line: that of its last token, its newline included, or the mean over its tokens.

    Parameters
    ----------
    codes : sequence of str
        Functions, in normal form.
    model, tokenizer
        From :func:`llmexp_utils.lower_layers.load_lower_layers`.
    corrects : sequence of str, optional
        For each function, the correct one that it is a version of; None reads every function on its own.
    pooling : {"last", "mean"}
        See :class:`llmexp_utils.reader.Reader`.

    Returns
    -------
    list of ndarray
        One float16 array (n_lines, hidden) a function, in the order of ``codes``.

    Raises
    ------
    StudyError
        If a function is empty or longer than the model's window: nothing is ever cut.
    """
    import torch

    corrects = codes if corrects is None else corrects
    if len(corrects) != len(codes):
        raise StudyError(f"{len(codes)} functions need as many correct ones, not {len(corrects)}")
    texts = list(dict.fromkeys([*codes, *corrects]))
    read = {text: _tokenise(text, tokenizer, _window(model)) for text in texts}
    states: list[np.ndarray] = [np.empty(0)] * len(codes)
    _use_segments(model)
    with torch.inference_mode(), one_thread():
        for batch in _passes([read[code][0] for code in codes], [read[code][0] for code in corrects]):
            hidden = _forward(model, batch)
            for index, segment in batch.results:
                _, starts, ends = read[codes[index]]
                states[index] = _half(_pooled(hidden, segment, starts if pooling == "mean" else ends, ends))
    return states


def line_ends(code: str, offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """Index of the token that holds the last character (the newline) of each line of ``code``.

    Parameters
    ----------
    code : str
        Text; a line is what ``str.splitlines`` says it is, as everywhere in the study.
    offsets : sequence of (int, int)
        First character of each token and the one after its last; (0, 0) for special tokens.

    Examples
    --------
    >>> line_ends("a\\nb c\\n", [(0, 2), (2, 3), (3, 5), (5, 6)]).tolist()
    [0, 3]
    """
    last = np.cumsum([len(line) for line in code.splitlines(keepends=True)]) - 1
    stops = np.maximum.accumulate([stop for _, stop in offsets])
    return np.searchsorted(stops, last, side="right")


def line_starts(code: str, offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """Index of the token that holds the first character of each line of ``code``; arguments as in :func:`line_ends`.

    Examples
    --------
    >>> line_starts("a\\nb c\\n", [(0, 2), (2, 3), (3, 5), (5, 6)]).tolist()
    [0, 1]
    """
    sizes = [len(line) for line in code.splitlines(keepends=True)]
    stops = np.maximum.accumulate([stop for _, stop in offsets])
    return np.searchsorted(stops, np.cumsum([0, *sizes[:-1]]), side="right")


def segment_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    segments: Sequence[Segment] | None = None,
    **unused: object,
) -> tuple[torch.Tensor, None]:
    """Causal attention of each segment to its prefix and itself; without segments, plain causal attention.

    One call a segment: what a segment gets out cannot depend on the other ones, not even in the last bit.
    Arguments as :class:`transformers.AttentionInterface` gives them: (batch, heads, tokens, head size).
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    if strange := [name for name in NOT_STEERED if unused.get(name) is not None]:
        raise StudyError(f"the model's attention has {strange[0]!r}, which is not read here: take another model")
    pieces = []
    for part in segments or [Segment(0, query.shape[2])]:
        seen = [_part(part.base, part.base + part.prefix), _part(part.start, part.stop)]
        keys, values = (torch.cat([states[seen[0]], states[seen[1]]], dim=2) for states in (key, value))
        queries = query[seen[1]]
        length = part.stop - part.start
        mask = torch.ones(length, part.prefix + length, dtype=torch.bool).tril(part.prefix)
        pieces.append(
            scaled_dot_product_attention(
                queries,
                keys,
                values,
                attn_mask=mask,
                scale=scaling,
                enable_gqa=query.shape[1] != key.shape[1],
            )
        )
    return torch.cat(pieces, dim=2).transpose(1, 2).contiguous(), None


def _part(start: int, stop: int) -> tuple[slice, slice, slice]:
    return slice(None), slice(None), slice(start, stop)


def _passes(tokens: Sequence[tuple[int, ...]], corrects: Sequence[tuple[int, ...]]) -> list[_Pass]:
    """Put versions of one function next to each other and fill passes with them."""
    versions: dict[tuple[int, ...], list[int]] = {}
    for index, correct in enumerate(corrects):
        versions.setdefault(correct, []).append(index)
    passes = [_Pass()]
    for correct, indices in versions.items():
        for index in indices:
            if not passes[-1].add(index, tokens[index], correct):
                passes.append(_Pass())
                passes[-1].add(index, tokens[index], correct)
    return passes if passes[0].tokens else []


def _forward(model: PreTrainedModel, batch: _Pass) -> torch.Tensor:
    """Hidden states (tokens, hidden) of one pass."""
    import torch

    positions = [part.prefix + i for part in batch.segments for i in range(part.stop - part.start)]
    output = model(
        input_ids=torch.tensor([batch.tokens]),
        position_ids=torch.tensor([positions]),
        use_cache=False,
        segments=batch.segments,
    )
    return output.last_hidden_state[0]


def _use_segments(model: PreTrainedModel) -> None:
    """Let the model attend with :func:`segment_attention`."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, segment_attention)
    model.set_attn_implementation(ATTENTION)


def _pooled(hidden: torch.Tensor, segment: Segment, starts: np.ndarray, ends: np.ndarray) -> torch.Tensor:
    """Mean over the tokens ``starts`` to ``ends`` of each line, which are counted in the version itself."""
    import torch

    def rows(tokens: np.ndarray) -> np.ndarray:
        return tokens + np.where(tokens < segment.prefix, segment.base, segment.start - segment.prefix)

    if starts is ends:
        return hidden[rows(ends)]
    means = [hidden[rows(np.arange(first, last + 1))].mean(dim=0) for first, last in zip(starts, ends, strict=True)]
    return torch.stack(means)


def _tokenise(
    code: str, tokenizer: PreTrainedTokenizerFast, window: int
) -> tuple[tuple[int, ...], np.ndarray, np.ndarray]:
    """Tokens of a function, and the tokens at which each of its lines starts and ends."""
    if not code:
        raise StudyError("a function without text has no lines: drop it")
    encoded = tokenizer(code, return_offsets_mapping=True)
    tokens = tuple(encoded["input_ids"])
    if len(tokens) > window:
        raise StudyError(f"a function has {len(tokens)} tokens, the model reads {window}: drop it or split it")
    offsets = encoded["offset_mapping"]
    return tokens, line_starts(code, offsets), line_ends(code, offsets)


def _window(model: PreTrainedModel) -> int:
    sliding = getattr(model.config, "sliding_window", None) or model.config.max_position_embeddings
    return min(sliding, model.config.max_position_embeddings)


def _shared_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of leading tokens that two sequences have in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _half(states: torch.Tensor) -> np.ndarray:
    half = states.half().numpy()
    if not np.isfinite(half).all():
        raise StudyError("hidden states exceed the range of float16: keep fewer layers of this model")
    return half
