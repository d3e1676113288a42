"""Pairs from programs that solve tasks: two correct ones of a task are clones, and as many pairs are none."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from llmexp_utils.clone_types import Normal, normal_tokens, overlap
from llmexp_utils.errors import StudyError
from llmexp_utils.pairs import COLUMNS, NEGATIVES, described

Programs = Mapping[str, str]


def program_pairs(
    programs: pd.DataFrame,
    prefix: str,
    seed: int = 0,
    a_task: int = 1,
    normal: Normal = normal_tokens,
    *,
    two_authors: bool = False,
) -> pd.DataFrame:
    """Pairs of clones, and as many that are none, for every task with at least two correct programs.

    Parameters
    ----------
    programs : DataFrame
        ``task_id, submission, is_correct, code``; a faulty program has the name of the correct one of its author.
    prefix : str
        Begins every ``pair_id``.
    seed : int
        Of every draw.
    a_task : int
        Most clones of a task; ``n`` correct programs give at most ``n - 1``.
    normal : callable
        Normalised tokens in the language of the programs.
    two_authors : bool
        Whether ``submission`` names an author of programs of all tasks: then the programs of every pair are by two,
        so that who wrote them does not tell the label.

    Returns
    -------
    DataFrame
        A pair frame (:mod:`llmexp_utils.pairs`), by task. The clones are correct programs, drawn by seed and task
        alone. The others are of the three kinds in turn: ``random`` (two correct programs of two tasks), ``similar``
        (the second is the one of all other tasks with the largest token overlap) and ``near-miss`` (a correct program
        and its own faulty version; without one, another one of the task; where none is left, ``random``).

    Raises
    ------
    StudyError
        If fewer than two tasks have two correct programs.
    """
    correct, faulty = _by_task(programs[programs.is_correct]), _by_task(programs[~programs.is_correct])
    correct = {task_id: found for task_id, found in correct.items() if len(found) > 1}
    if len(correct) < 2:
        raise StudyError(
            f"{len(correct)} tasks have two correct programs in a part of the split, pairs of different tasks need two "
            "such tasks: raise n_tasks or max_lines"
        )
    rows = []
    turns = np.random.default_rng(seed).permutation(len(correct))  # neighbours are of one contest, by difficulty
    for task_id, turn in zip(sorted(correct), turns.tolist(), strict=True):
        rng = np.random.default_rng([seed, zlib.crc32(task_id.encode())])
        order = rng.permutation(sorted(correct[task_id].values())).tolist()
        for number in range(min(a_task, len(order) - 1)):
            name = f"{prefix}{task_id}/clone{number or ''}"
            rows.append((name, task_id, task_id, "clone", 1, order[number], order[number + 1]))
            kind = NEGATIVES[(turn + number) % 3]
            if kind == "near-miss" and task_id not in faulty:
                kind = "random"
            other = _other(task_id, kind, correct, faulty.get(task_id, {}), rng, normal, two_authors)
            rows.append((f"{prefix}{task_id}/{kind}{number or ''}", *other))
    return described(pd.DataFrame(rows, columns=COLUMNS), normal)


def _other(
    task_id: str,
    kind: str,
    correct: Mapping[str, Programs],
    faulty: Programs,
    rng: np.random.Generator,
    normal: Normal,
    two_authors: bool,
) -> tuple[str | int, ...]:
    """One pair that is none, its sides in a random order."""
    own = correct[task_id]
    if kind == "near-miss":
        wrong = {name: [code for by, code in faulty.items() if (by == name) != two_authors] for name in own}
        submission = _draw([name for name in own if wrong[name]] or list(own), rng)
        partner, left = task_id, own[submission]
        right = wrong[submission][0] if wrong[submission] else _draw(list(faulty.values()), rng)
    else:
        submission = _draw(list(own), rng)
        left, others = own[submission], [name for name in correct if name != task_id]
        usable = {name: _by_others(correct[name], submission, two_authors) for name in others}
        if kind == "random":
            partner = _draw(others, rng)
            right = _draw(usable[partner], rng)
        else:
            candidates = [(name, code) for name in others for code in usable[name]]
            partner, right = max(candidates, key=lambda candidate: overlap(left, candidate[1], normal))
    sides = [(task_id, left), (partner, right)]
    (first, one), (second, two) = sides if rng.integers(2) else sides[::-1]
    return first, second, kind, 0, one, two


def _by_others(programs: Programs, author: str, two_authors: bool) -> list[str]:
    """Programs, without those of an author where every pair is to be by two."""
    return [code for name, code in programs.items() if not two_authors or name != author]


def _draw(items: Sequence[str], rng: np.random.Generator) -> str:
    return items[int(rng.integers(len(items)))]


def _by_task(programs: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Code of each submission of each task."""
    return {
        task_id: dict(zip(rows.submission, rows.code, strict=True)) for task_id, rows in programs.groupby("task_id")
    }
