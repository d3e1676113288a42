"""ConDefects: Python programs that people submitted to AtCoder, as an external check of clone detection.

Correct programs of one task are clones that nobody wrote as clones, and each comes with a faulty version by the same
author (Wu et al. 2024, arXiv 2310.16253; repository appmlk/ConDefects, commit 43f0834, tasks abc221 to abc300). No task
is one of ours: students are trained on our pairs and tested on these. The data do not say why the judge refused a
faulty version: some may be right but too slow.
"""

from __future__ import annotations

import hashlib
import platform
import re
import zlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from llmexp_utils.clone_types import normal_tokens, overlap
from llmexp_utils.code import CodeError, normalise, parse, tokens
from llmexp_utils.errors import StudyError
from llmexp_utils.freshness import modules_hash
from llmexp_utils.pairs import COLUMNS, NEGATIVES, described
from llmexp_utils.paths import atomic_write, cache_dir, data_dir
from llmexp_utils.series import EXTERNAL_PAIRS

TASK = re.compile(r"abc(22[1-9]|2[3-9]\d|300)_[a-h]")
CORRECT, FAULTY = "correctVersion.py", "faultyVersion.py"
PROGRAMS_SHA256 = "e6fa4d2e461d460920d6ec6b30952cd7aa96bfb77d23619fa27208f41dc447a5"
"""Of the sorted relative paths and the contents of the Python programs of these tasks."""
MAX_TOKENS = 400
"""Longest program in lexical tokens: at most 403 word pieces of MiniLM, whose window is 512, and 387 tokens of the
0.5B model."""

Programs = Mapping[str, str]


def find_condefects() -> Path | None:
    """Folder of the tasks in ``LLMEXP_DATA_DIR``; None without it, as no hub has the data: clone the repository."""
    folder = data_dir()
    tasks = folder / "condefects" / "Code" if folder else None
    return tasks if tasks and tasks.is_dir() else None


def local_hash() -> str:
    """SHA-256 of the names and sizes of the local programs; empty when there are none.

    What a result depends on that may use them. Contents are verified when they are read, not each time this is asked.
    """
    folder = find_condefects()
    files = _files(folder) if folder else []
    listed = "\n".join(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}" for path in files)
    return hashlib.sha256(listed.encode()).hexdigest() if files else ""


def programs_hash(folder: Path) -> str:
    """SHA-256 of the programs that are used, and of their names, whatever else the folder holds."""
    found = hashlib.sha256()
    for path in _files(folder):
        found.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()


def verify(folder: Path) -> str:
    """Hash of the programs (:func:`programs_hash`), if they are those that were published.

    Raises
    ------
    StudyError
        If they are others.
    """
    content = programs_hash(folder)
    if content != PROGRAMS_SHA256:
        raise StudyError(
            f"{folder} is not ConDefects as it was published (wrong SHA-256 of the Python programs of abc221 to "
            "abc300): put a clone of appmlk/ConDefects, commit 43f0834, into LLMEXP_DATA_DIR as condefects"
        )
    return content


def read_programs(folder: Path) -> pd.DataFrame:
    """Programs that pairs are made of.

    Parameters
    ----------
    folder : Path
        Folder of the tasks: ``<task>/Python/<submission>/correctVersion.py`` and ``faultyVersion.py``.

    Returns
    -------
    DataFrame
        ``task_id, submission, is_correct, code``: what :func:`read_submissions` does not drop.

    Raises
    ------
    StudyError
        If the programs are not those that were published.
    """
    submissions = read_submissions(folder)
    return submissions[submissions.dropped == ""].drop(columns="dropped").reset_index(drop=True)


def read_submissions(folder: Path) -> pd.DataFrame:
    """All programs in normal form, and why a program is dropped.

    Like every program of the study, they are shown without imports, comments and docstrings. The words that a program
    prints stay: they are part of what it does, and two programs of a task share them.

    Returns
    -------
    DataFrame
        ``task_id, submission, is_correct, code, dropped``. ``dropped`` is empty for programs that are kept, else
        "unreadable" (Python 3 or the formatter refuses it), "long" (more than ``MAX_TOKENS`` lexical tokens as
        published, comments apart) or "duplicate" (the text of a correct program of the task, or its normalised tokens
        and verdict are those of an earlier one). Kept in the cache folder: formatting takes most of a minute.

    Raises
    ------
    StudyError
        If the programs are not those that were published.
    """
    content = verify(folder)
    code = modules_hash(("clone_types", "code", "condefects"))
    key = " ".join([content, code, version("black"), platform.python_version()])
    path = cache_dir() / f"condefects-{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet"
    if not path.is_file():
        programs = pd.DataFrame([_program(file) for file in _files(folder)])
        atomic_write(path, _without_duplicates(programs).to_parquet())
    return pd.read_parquet(path)


def condefects_pairs(programs: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """One pair of clones and one pair that is none for every task with at least two correct programs.

    Parameters
    ----------
    programs : DataFrame
        See :func:`read_programs`.
    seed : int
        Of every draw.

    Returns
    -------
    DataFrame
        A pair frame (:mod:`llmexp_utils.pairs`), by task. The clones are two correct programs, drawn by seed and task
        alone. The others are of the three kinds in turn: ``random`` (two correct programs of two tasks), ``similar``
        (the second is the one of all other tasks with the largest token overlap) and ``near-miss`` (a correct program
        and its own faulty version; where that was dropped, another one of the task; where none is left, ``random``).

    Raises
    ------
    StudyError
        If fewer than two tasks have two correct programs.
    """
    correct, faulty = _by_task(programs[programs.is_correct]), _by_task(programs[~programs.is_correct])
    correct = {task_id: found for task_id, found in correct.items() if len(found) > 1}
    if len(correct) < 2:
        raise StudyError(
            f"{len(correct)} tasks have two correct programs: pairs of different tasks need two such tasks"
        )
    rows = []
    turns = np.random.default_rng(seed).permutation(len(correct))  # neighbours are of one contest, by difficulty
    for task_id, turn in zip(sorted(correct), turns.tolist(), strict=True):
        rng = np.random.default_rng([seed, zlib.crc32(task_id.encode())])
        left, right = rng.permutation(sorted(correct[task_id].values()))[:2].tolist()
        rows.append((f"{EXTERNAL_PAIRS}{task_id}/clone", task_id, task_id, "clone", 1, left, right))
        kind = NEGATIVES[turn % 3]
        if kind == "near-miss" and task_id not in faulty:
            kind = "random"
        rows.append(_other(task_id, kind, correct, faulty.get(task_id, {}), rng))
    return described(pd.DataFrame(rows, columns=COLUMNS))


def _other(
    task_id: str, kind: str, correct: Mapping[str, Programs], faulty: Programs, rng: np.random.Generator
) -> tuple[str | int, ...]:
    """One pair that is none, its sides in a random order."""
    own = correct[task_id]
    if kind == "near-miss":
        submission = _draw([name for name in own if name in faulty] or list(own), rng)
        partner = task_id
        left, right = own[submission], faulty.get(submission) or _draw(list(faulty.values()), rng)
    else:
        left = _draw(list(own.values()), rng)
        others = [name for name in correct if name != task_id]
        if kind == "random":
            partner = _draw(others, rng)
            right = _draw(list(correct[partner].values()), rng)
        else:
            candidates = [(name, code) for name in others for code in correct[name].values()]
            partner, right = max(candidates, key=lambda candidate: overlap(left, candidate[1]))
    sides = [(task_id, left), (partner, right)]
    (first, one), (second, two) = sides if rng.integers(2) else sides[::-1]
    return f"{EXTERNAL_PAIRS}{task_id}/{kind}", first, second, kind, 0, one, two


def _draw(items: Sequence[str], rng: np.random.Generator) -> str:
    return items[int(rng.integers(len(items)))]


def _by_task(programs: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Code of each submission of each task."""
    return {
        task_id: dict(zip(rows.submission, rows.code, strict=True)) for task_id, rows in programs.groupby("task_id")
    }


def _files(folder: Path) -> list[Path]:
    """Programs of the tasks that are used; a full clone of the repository has more tasks and another language."""
    found = folder.glob("*/Python/*/*.py")
    used = [path for path in found if path.name in (CORRECT, FAULTY) and TASK.fullmatch(path.parts[-4])]
    return sorted(used, key=lambda path: path.relative_to(folder).as_posix())


def _program(path: Path) -> dict[str, object]:
    code, dropped = "", ""
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        parse(text)
        dropped = "long" if len(tokens(text)) > MAX_TOKENS else ""
        code = "" if dropped else normalise(text).code
    except CodeError:
        dropped = "unreadable"
    return {
        "task_id": path.parts[-4],
        "submission": path.parts[-2],
        "is_correct": path.name == CORRECT,
        "code": code,
        "dropped": dropped,
    }


def _without_duplicates(programs: pd.DataFrame) -> pd.DataFrame:
    """Programs with the reason "duplicate" where an earlier one says the same; correct ones come first."""
    kept = programs[programs.dropped == ""].sort_values("is_correct", ascending=False, kind="stable")
    alike = kept.assign(tokens=[" ".join(normal_tokens(code)) for code in kept.code])
    same = kept.duplicated(["task_id", "code"]) | alike.duplicated(["task_id", "is_correct", "tokens"])
    return programs.assign(dropped=programs.dropped.mask(same.reindex(programs.index, fill_value=False), "duplicate"))
