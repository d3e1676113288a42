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
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from llmexp_utils.clone_types import normal_tokens
from llmexp_utils.code import CodeError, normalise, parse, tokens
from llmexp_utils.errors import StudyError
from llmexp_utils.freshness import modules_hash
from llmexp_utils.paths import atomic_write, cache_dir, data_dir
from llmexp_utils.pinned import fetching
from llmexp_utils.program_pairs import program_pairs
from llmexp_utils.series import EXTERNAL_PAIRS

REPOSITORY, COMMIT = "appmlk/ConDefects", "43f0834a82c5e3bc4516c079fe7765f63b1a15cd"
ADVICE = (
    f"{fetching('condefects')}, or put a clone of {REPOSITORY}, commit {COMMIT[:7]}, into LLMEXP_DATA_DIR as condefects"
)
TASK = re.compile(r"abc(22[1-9]|2[3-9]\d|300)_[a-h]")
CORRECT, FAULTY = "correctVersion.py", "faultyVersion.py"
PROGRAMS_SHA256 = "e6fa4d2e461d460920d6ec6b30952cd7aa96bfb77d23619fa27208f41dc447a5"
"""Of the sorted relative paths and the contents of the Python programs of these tasks."""
MAX_TOKENS = 400
"""Longest program in lexical tokens: at most 403 word pieces of MiniLM, whose window is 512, and 387 tokens of the
0.5B model."""


def find_condefects() -> Path | None:
    """Folder of the tasks in ``LLMEXP_DATA_DIR``; None without it."""
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
            f"abc300): {ADVICE}"
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
    """One pair of clones and one that is none for every task (:func:`llmexp_utils.program_pairs.program_pairs`)."""
    return program_pairs(programs, EXTERNAL_PAIRS, seed)


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
