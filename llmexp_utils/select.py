"""Which validated faults are trained on: hygiene, duplicates, and the Score of the paper with its controls.

Score (arXiv 2408.08553): ``|(LC - LC_ave) / LC_ave| + |(ED - ED_ave) / ED_ave| + |(SS - SS_ave) / SS_ave|``,
lower is better, with LC lines changed, ED edit distance and SS semantic similarity of the correct and the
faulty function, and the averages of the real training pairs. The source leaves LC open: lines changed is the
default here, the line count of the faulty function the alternative. What a selection does to the variety of
faults is measured by :mod:`llmexp_utils.diversity`.
"""

from __future__ import annotations

import hashlib
import tokenize
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from llmexp_utils.code import CodeError, lines_touched, parse, tokens
from llmexp_utils.errors import StudyError

How = Literal["score", "random", "all", "stratified"]
Lines = Literal["lines_changed", "line_count"]
Embed = Callable[[list[str]], np.ndarray]
Tokens = Callable[[str], list[str]]

MAX_LINES = 3
EMBEDDED_AT_ONCE, COMPARED_AT_ONCE = 2_048, 256
"""Faults whose vectors are in memory at the same time, and in double precision: those of all would fill it."""


def statistics(frame: pd.DataFrame, embed: Embed) -> pd.DataFrame:
    """Add the statistics that the Score is made of.

    Parameters
    ----------
    frame : DataFrame
        Faults with ``code`` and ``correct``.
    embed : callable
        From a list of ``n`` texts to an array of shape (n, d); it is called for 2,048 faults at a time, with their
        distinct texts.

    Returns
    -------
    DataFrame
        A copy with ``lines_changed`` (a replaced line counts once), ``line_count`` (lines of the faulty
        function), ``edit_distance`` (Levenshtein, in characters, not divided by the length) and
        ``similarity`` (cosine, -1 to 1).
    """
    from rapidfuzz.distance import Levenshtein

    _require(frame, ("code", "correct"), "statistics")
    starts = range(0, len(frame), EMBEDDED_AT_ONCE)
    parts = (frame.iloc[start : start + EMBEDDED_AT_ONCE] for start in starts)
    cosines = [_cosines(list(_pairs(part)), embed) for part in parts]
    return frame.assign(
        lines_changed=[lines_touched(correct, code) for correct, code in _pairs(frame)],
        line_count=[len(code.splitlines()) for code in frame["code"]],
        edit_distance=[Levenshtein.distance(correct, code) for correct, code in _pairs(frame)],
        similarity=np.concatenate([np.zeros(0), *cosines]),
    )


def score(stats: pd.DataFrame, reference: pd.DataFrame, lines: Lines = "lines_changed") -> pd.Series:
    """Score of every fault: how far it is from the average real fault; lower is better.

    Parameters
    ----------
    stats : DataFrame
        Faults with the columns of :func:`statistics`.
    reference : DataFrame
        Real training faults with the same columns; only their averages are used.
    lines : {"lines_changed", "line_count"}
        Reading of LC.

    Raises
    ------
    StudyError
        If a column is missing, or an average is zero or not a number (an empty reference).

    Examples
    --------
    >>> real = pd.DataFrame({"lines_changed": [1, 3], "edit_distance": [10, 10], "similarity": [0.8, 0.8]})
    >>> one = pd.DataFrame({"lines_changed": [1], "edit_distance": [15], "similarity": [0.8]})
    >>> score(one, real).tolist()
    [1.0]
    """
    parts = (lines, "edit_distance", "similarity")
    if lines not in ("lines_changed", "line_count"):
        raise StudyError(f"unknown reading of LC {lines!r}: choose lines_changed or line_count")
    _require(stats, parts, "score")
    _require(reference, parts, "score (reference)")
    total = pd.Series(0.0, index=stats.index, name="score")
    for part in parts:
        average = reference[part].mean()
        if not np.isfinite(average) or average == 0:
            raise StudyError(
                f"the average {part} of the {len(reference)} reference faults is {average}: "
                "Score divides by it, give real faults whose average is not zero"
            )
        total += ((stats[part] - average) / average).abs()
    return total


def choose(
    frame: pd.DataFrame,
    n: int | None,
    how: How,
    reference: pd.DataFrame | None = None,
    rng: np.random.Generator | None = None,
    lines: Lines = "lines_changed",
    name: str = "fault_id",
) -> pd.DataFrame:
    """Choose faults or clones to train on, best first; a smaller choice is always the beginning of a larger one.

    Parameters
    ----------
    frame : DataFrame
        Candidates with the column ``name``, and for the Score ``task_id`` and the columns of :func:`statistics`.
    n : int or None
        How many; all there are if fewer, or if None.
    how : {"score", "random", "all", "stratified"}
        ``score``: lowest Score, ties by name. ``random``: a random order, whatever the order of the
        rows is. ``all``: every candidate by name; ``n`` is ignored. ``stratified``: the Score within
        equal quotas by problem, that is the best fault of every problem (in the order of their Scores), then
        every second best, and so on; it keeps the variety of problems, which the plain Score lowers.
    reference : DataFrame, optional
        Real training faults with their statistics; needed for ``score`` and ``stratified``.
    rng : numpy.random.Generator, optional
        Needed for ``random``.
    lines : {"lines_changed", "line_count"}
        Reading of LC in the Score.
    name : str
        Column that names the candidates.

    Returns
    -------
    DataFrame
        Rows of ``frame`` with a new index; with the column ``score`` where it was used.

    Raises
    ------
    StudyError
        If ``how`` is unknown, ``n`` is negative, ids repeat, or what the choice needs is missing.
    """
    if how not in ("score", "random", "all", "stratified"):
        raise StudyError(f"unknown way to choose {how!r}: score, random, all or stratified")
    if n is not None and n < 0:
        raise StudyError(f"cannot choose {n} faults: give zero or more, or None for all")
    _require(frame, (name,), "choose")
    if frame[name].duplicated().any():
        raise StudyError(f"{name} is not unique among the candidates: number them before choosing")
    ordered = frame.sort_values(name, ignore_index=True)
    if how == "random":
        if rng is None:
            raise StudyError("a random choice needs rng, a numpy.random.Generator")
        ordered = ordered.iloc[rng.permutation(len(ordered))]
    elif how != "all":
        if reference is None:
            raise StudyError(f"how={how!r} needs reference, the real training faults with their statistics")
        ordered = _by_score(ordered.assign(score=score(ordered, reference, lines)), how, name)
    kept = ordered if n is None or how == "all" else ordered.head(n)
    return kept.reset_index(drop=True)


def deduplicate(
    frame: pd.DataFrame, reserved: pd.DataFrame | None = None, tokens: Tokens = tokens
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drop faults whose faulty text has the same tokens as a reserved fault or as an earlier row.

    Parameters
    ----------
    frame : DataFrame
        Faults with ``code``.
    reserved : DataFrame, optional
        Faults that must not come back as generated ones, such as the whole gold set.
    tokens : callable
        Of the language; Python's by default.

    Returns
    -------
    kept : DataFrame
        In the same order, with a new index.
    funnel : DataFrame
        Columns ``reason`` and ``count``: "same as a reserved fault", "repeated", "kept".
    """
    _require(frame, ("code",), "deduplicate")
    taken = set() if reserved is None else {_stream(code, tokens) for code in reserved["code"]}
    seen: set[bytes] = set()
    reasons = []
    for key in (_stream(code, tokens) for code in frame["code"]):
        reasons.append("same as a reserved fault" if key in taken else "repeated" if key in seen else "")
        seen.add(key)
    return _split(frame, reasons, ("same as a reserved fault", "repeated"))


def hygiene(frame: pd.DataFrame, max_lines: int = MAX_LINES) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drop faults that are no single, small fault.

    Parameters
    ----------
    frame : DataFrame
        Candidates with ``code`` and ``correct``.
    max_lines : int
        Largest number of lines that a fault may touch.

    Returns
    -------
    kept : DataFrame
        In the same order, with a new index.
    funnel : DataFrame
        Columns ``reason`` and ``count``: "does not parse", "unchanged" (the same tokens as the correct
        function), "touches more than 3 lines", "kept". Each row is counted under its first reason.
    """
    _require(frame, ("code", "correct"), "hygiene")
    too_large = f"touches more than {max_lines} lines"
    reasons = [_blemish(correct, code, max_lines, too_large) for correct, code in _pairs(frame)]
    return _split(frame, reasons, ("does not parse", "unchanged", too_large))


def _stream(code: str, tokens: Tokens) -> bytes:
    """Digest of a text's tokens; of the text itself where it has none, so that broken text is equal to itself alone.

    The tokens themselves take more memory than the texts.
    """
    try:
        stream = tokens(code)
    except (tokenize.TokenError, SyntaxError, CodeError):
        stream = [code]
    return hashlib.sha256("\0".join(stream).encode("utf-8", "surrogatepass")).digest()


def _blemish(correct: str, code: str, max_lines: int, too_large: str) -> str:
    try:
        parse(code)
    except CodeError:
        return "does not parse"
    if tokens(code) == tokens(correct):
        return "unchanged"
    return too_large if lines_touched(correct, code) > max_lines else ""


def _split(frame: pd.DataFrame, reasons: list[str], names: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    counts = [(name, reasons.count(name)) for name in names] + [("kept", reasons.count(""))]
    kept = frame[np.array(reasons, dtype=object) == ""].reset_index(drop=True)
    return kept, pd.DataFrame(counts, columns=["reason", "count"])


def _by_score(frame: pd.DataFrame, how: How, name: str) -> pd.DataFrame:
    ranked = frame.sort_values(["score", name])
    if how == "score":
        return ranked
    _require(frame, ("task_id",), "choose (stratified)")
    turn = ranked.groupby("task_id").cumcount()
    return ranked.assign(_turn=turn).sort_values(["_turn", "score", name]).drop(columns="_turn")


def _pairs(frame: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Correct and faulty text, one fault after the other."""
    return zip(frame["correct"], frame["code"], strict=True)


def _cosines(pairs: list[tuple[str, str]], embed: Embed) -> np.ndarray:
    """Cosine of the embeddings of each pair of texts."""
    rows = {text: row for row, text in enumerate(dict.fromkeys(text for pair in pairs for text in pair))}
    vectors = np.asarray(embed(list(rows)))
    if vectors.ndim != 2 or len(vectors) != len(rows):
        raise StudyError(f"embed returned shape {vectors.shape} for {len(rows)} texts: it must be (n, d)")
    places = np.array([[rows[text] for text in pair] for pair in pairs])
    parts = (vectors[places[start : start + COMPARED_AT_ONCE]] for start in range(0, len(places), COMPARED_AT_ONCE))
    cosines = np.concatenate([_cosine(part.astype(np.float64)) for part in parts])
    return np.clip(cosines, -1.0, 1.0).round(6)  # less is noise of 32-bit embeddings


def _cosine(vectors: np.ndarray) -> np.ndarray:
    """Cosine of each pair of vectors, out of shape (n, 2, d)."""
    lengths = np.linalg.norm(vectors, axis=2, keepdims=True)
    if not np.all(np.isfinite(lengths) & (lengths > 0)):
        raise StudyError("embed returned a vector that is zero or not finite: cosine similarity is undefined")
    units = vectors / lengths
    return (units[:, 0] * units[:, 1]).sum(axis=1)


def _require(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise StudyError(f"{what} needs the column(s) {', '.join(missing)}: statistics() adds those of the Score")
