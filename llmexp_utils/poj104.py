"""POJ-104 as CodeXGLUE publishes it: 500 C and C++ programs for each of 104 problems.

Collected by Mou et al. 2016 (arXiv 1409.5718); problems are split: 64 for training, 16 for development, 24 for testing
(Lu et al. 2021, arXiv 2102.04664). The published measure is MAP@R over all test programs, 500 a problem; here each
problem gives as many of them as are asked for.
"""

from __future__ import annotations

import zlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pandas as pd

from llmexp_utils.clone_benchmarks import PROGRAMS, PUBLISHED_SPLIT, CloneBenchmark, Sizes, in_later_part, normal_form
from llmexp_utils.codexglue import find, from_hub, json_lines, text_of
from llmexp_utils.errors import StudyError
from llmexp_utils.languages import language
from llmexp_utils.pinned import fetching
from llmexp_utils.program_pairs import program_pairs

NAME, FOLDER = "poj-104", "poj104"
N_PROGRAMS = {"train": 32_000, "dev": 8_000, "test": 12_000}
N_PROBLEMS = {"train": 64, "dev": 16, "test": 24}
FILES = {"train": "train.jsonl", "dev": "valid.jsonl", "test": "test.jsonl"}
HUB, HUB_COLUMNS = "google/code_x_glue_cc_clone_detection_poj104", ["id", "code", "label"]
ADVICE = (
    f"{fetching(FOLDER)}, or put train.jsonl, valid.jsonl and test.jsonl, made by CodeXGLUE's Clone-detection-POJ-104 "
    f"from POJ-104, into LLMEXP_DATA_DIR as {FOLDER}"
)


def find_poj104() -> Path | None:
    """Folder in ``LLMEXP_DATA_DIR``; None without it."""
    return find(FOLDER, FILES["test"])


def load_poj104(folder: Path, sizes: Sizes, published: bool = True) -> CloneBenchmark:
    """Pairs of programs of the published split.

    Parameters
    ----------
    folder : Path
        ``train.jsonl``, ``valid.jsonl``, ``test.jsonl`` (``{"label": "problem", "index": "...", "code": "..."}``);
        or the hub's Parquet files.
    sizes : Sizes
        ``n_tasks`` problems of each part, of each one more than ``pairs_a_task`` programs, and of a test problem
        ``ranked_a_task``, if that is more.
    published : bool
        Whether the counts must be the published ones.

    Raises
    ------
    StudyError
        If a file is missing or malformed (the message has its line), the counts are others, or a problem is in two
        parts.
    """
    facts, chosen = {}, []
    for split, programs in _parts(folder).items():
        counts = {"programs": len(programs), "problems": programs.label.nunique()}
        expected = {"programs": N_PROGRAMS[split], "problems": N_PROBLEMS[split]}
        if published and counts != expected:
            raise StudyError(f"{folder} has {counts} in {split}, POJ-104 has {expected}: {ADVICE}")
        facts |= {f"{split} {what}": count for what, count in counts.items()}
        drawn, passed_over = _drawn(programs, split, sizes)
        facts |= {f"{split} programs {reason}": count for reason, count in sorted(passed_over.items())}
        chosen.append(drawn)
    drawn = pd.concat(chosen, ignore_index=True)
    twice = drawn.groupby(drawn.task_id.str.split("/").str[-1]).split.nunique()
    if (twice > 1).any():
        raise StudyError(f"problem {twice.idxmax()} is in two parts of the split: {ADVICE}")
    programs = _without_repeats(drawn)
    facts["in a later part, too"] = len(drawn) - len(programs)
    tokens = language("cpp").normal_tokens
    paired = programs[programs.turn <= sizes.pairs_a_task]
    parts = [rows for _, rows in paired.groupby("split", sort=False)]
    pairs = [program_pairs(rows.reset_index(drop=True), "", sizes.seed, sizes.pairs_a_task, tokens) for rows in parts]
    groups = {row.task_id: PUBLISHED_SPLIT[row.split] for row in programs.itertuples()}
    named = programs.assign(program_id=programs.task_id + "/" + programs.submission)
    ranked = named.loc[named.split == "test", PROGRAMS].reset_index(drop=True)
    facts["used"] = len(programs)
    return CloneBenchmark(NAME, "cpp", pd.concat(pairs, ignore_index=True), ranked, groups, (0,), facts=facts)


def _parts(folder: Path) -> dict[str, pd.DataFrame]:
    """Programs of each split: ``label``, ``number``, ``code``."""
    hub = {split: from_hub(folder, split, HUB_COLUMNS) for split in FILES}
    if hub["test"] is None:
        return {split: _read(folder / name) for split, name in FILES.items()}
    lost = [split for split, rows in hub.items() if rows is None]
    if lost:
        raise StudyError(f"{folder} has no Parquet file of the {lost[0]} programs: {ADVICE}")
    names = {"id": "number"}
    parts = {split: rows.rename(columns=names).astype({"number": str, "label": str}) for split, rows in hub.items()}
    # The hub's parts (32,500, 8,500 and 12,000 programs by its card) end with the problem that the next begins with.
    for one, following in pairwise(parts):
        parts[one] = parts[one][~parts[one].label.isin(parts[following].label)].reset_index(drop=True)
    return parts


def _read(path: Path) -> pd.DataFrame:
    """Programs of one of CodeXGLUE's files."""
    found = []
    for number, row in json_lines(path, ADVICE):
        try:
            found.append((str(row["label"]), str(row["index"]), text_of(row["code"])))
        except (KeyError, TypeError) as error:
            raise StudyError(f"{path}, line {number}: no program of POJ-104 ({error})") from None
    return pd.DataFrame(found, columns=["label", "number", "code"])


def _without_repeats(programs: pd.DataFrame) -> pd.DataFrame:
    """Programs whose text, in its tokens, is not that of a program of a later part."""
    keys = [tuple(language("cpp").tokens(code)) for code in programs.code]
    return programs[~in_later_part(keys, programs.split)].reset_index(drop=True)


def _drawn(programs: pd.DataFrame, split: str, sizes: Sizes) -> tuple[pd.DataFrame, Counter[str]]:
    """Problems drawn by seed, of each the first programs by seed that are short: all of them are correct.

    And why others before them were passed over.
    """

    def order(name: str) -> int:
        return zlib.crc32(f"{sizes.seed} {name}".encode())

    rows, passed_over = [], Counter[str]()
    most = max(sizes.pairs_a_task + 1, sizes.ranked_a_task if split == "test" else 0)
    for label in sorted(programs.label.unique(), key=order)[: sizes.n_tasks]:
        own = programs[programs.label == label]
        found = 0
        for row in sorted(own.itertuples(), key=lambda row: order(row.number)):
            if found == most:
                break
            code, reason = normal_form(row.code, "cpp", sizes.max_lines)
            if reason:
                passed_over[reason] += 1
            else:
                rows.append((f"{NAME}/{label}", row.number, True, code, split, found))
                found += 1
    return pd.DataFrame(rows, columns=["task_id", "submission", "is_correct", "code", "split", "turn"]), passed_over
