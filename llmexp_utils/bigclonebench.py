"""BigCloneBench as CodeXGLUE publishes it (Svajlenko et al. 2014; Lu et al. 2021, arXiv 2102.04664, section 3.1).

Java methods, 901,028 training, 415,416 development and 415,416 test pairs; the usual recipe trains on a tenth of the
first and develops on a tenth of the second. Two warnings. Pairs are split, methods are not: a student is tested on
other pairs of methods that it knows, and the card says how many; training pairs whose two texts are those of a test
pair are left out. And of 406 semantic clones that people looked at, 93 % do not do the same (Krinke and
Ragkhitwetsagul 2025, arXiv 2505.04311).
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from llmexp_utils.clone_benchmarks import (
    PROGRAMS,
    PUBLISHED_SPLIT,
    CloneBenchmark,
    Kept,
    Sizes,
    in_later_part,
    normal_form,
)
from llmexp_utils.codexglue import find, from_hub, json_lines, text_of
from llmexp_utils.errors import StudyError
from llmexp_utils.languages import language
from llmexp_utils.pairs import COLUMNS, described
from llmexp_utils.pinned import fetching

NAME = FOLDER = "bigclonebench"
N_PAIRS = {"train": 901_028, "dev": 415_416, "test": 415_416}
FILES = {"train": "train.txt", "dev": "valid.txt", "test": "test.txt"}
METHODS = "data.jsonl"
HUB, HUB_COLUMNS = "google/code_x_glue_cc_clone_detection_big_clone_bench", ["id1", "id2", "func1", "func2", "label"]
ADVICE = (
    f"{fetching(FOLDER)}, or put data.jsonl, train.txt, valid.txt and test.txt of CodeXGLUE's "
    f"Clone-detection-BigCloneBench into LLMEXP_DATA_DIR as {FOLDER}"
)


def find_bigclonebench() -> Path | None:
    """Folder in ``LLMEXP_DATA_DIR``; None without it."""
    return find(FOLDER, METHODS)


def load_bigclonebench(folder: Path, sizes: Sizes, published: bool = True) -> CloneBenchmark:
    """Read pairs of methods that are short enough.

    Parameters
    ----------
    folder : Path
        ``data.jsonl`` (``{"idx": "...", "func": "..."}``), ``train.txt``, ``valid.txt``, ``test.txt`` (two ids and the
        label, tab-separated); or the hub's Parquet files.
    sizes : Sizes
        ``share`` (0.1: the usual recipe), ``n_pairs`` and ``max_lines`` are used.
    published : bool
        Whether the counts must be the published ones.

    Raises
    ------
    StudyError
        If a file is missing or malformed (the message has its line), or the counts are others.
    """
    rng, frames, facts, known = np.random.default_rng(sizes.seed), [], {}, set()
    methods: dict[str, str] = {}
    normal: dict[str, Kept] = {}
    for split in ("train", "dev", "test"):
        listed = _listed(folder, split, methods)
        if published and len(listed) != N_PAIRS[split]:
            raise StudyError(f"{folder} has {len(listed)} {split} pairs, BigCloneBench has {N_PAIRS[split]}: {ADVICE}")
        facts[f"{split} pairs"] = len(listed)
        used = listed.sample(frac=sizes.share if split != "test" else 1.0, random_state=rng)
        ids = set(used.one) | set(used.other)
        known = known or ids  # of the training pairs, which come first
        short, passed_over = _short(used, methods, normal, sizes)
        facts |= {f"{split} pairs {reason}": count for reason, count in sorted(passed_over.items())}
        frames.append(_named(short, split, normal))
    facts |= {"methods": len(methods), "test methods": len(ids), "test methods in training pairs": len(ids & known)}
    drawn = pd.concat(frames, ignore_index=True)
    pairs = described(_without_repeats(drawn), language("java").normal_tokens)
    facts |= {"in a later part, too": len(drawn) - len(pairs), "used": len(pairs)}
    names = {*pairs.task_id, *pairs.other_id}
    groups = {name: PUBLISHED_SPLIT[name.split("/")[1]] for name in names}
    empty = pd.DataFrame(columns=PROGRAMS)
    return CloneBenchmark(NAME, "java", pairs, empty, groups, (0,), split_by="pair", facts=facts)


def _listed(folder: Path, split: str, methods: dict[str, str]) -> pd.DataFrame:
    """Pairs of a split (``one``, ``other``, ``label``); ``methods`` takes the texts that were not known before."""
    rows = from_hub(folder, split, HUB_COLUMNS, ["func1", "func2"])
    if rows is None:
        if not methods:
            methods.update(_methods(folder / METHODS))
        return _pairs(folder / FILES[split], methods)
    for number in "12":
        once = rows.drop_duplicates(f"id{number}")
        methods.update(zip(once[f"id{number}"].astype(str), once[f"func{number}"].astype(str), strict=True))
    sides = {"one": rows.id1.astype(str), "other": rows.id2.astype(str)}
    return pd.DataFrame(sides | {"label": rows.label.astype(int)})


def _methods(path: Path) -> dict[str, str]:
    found = {}
    for number, row in json_lines(path, ADVICE):
        try:
            found[str(row["idx"])] = text_of(row["func"])
        except (KeyError, TypeError) as error:
            raise StudyError(f"{path}, line {number}: no method of BigCloneBench ({error})") from None
    return found


def _pairs(path: Path, methods: dict[str, str]) -> pd.DataFrame:
    if not path.is_file():
        raise StudyError(f"{path} is missing: {ADVICE}")
    rows = []
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        parts = text.split()
        if len(parts) != 3 or parts[2] not in ("0", "1") or parts[0] not in methods or parts[1] not in methods:
            raise StudyError(f"{path}, line {number}: no pair of known methods with a label 0 or 1: {text[:60]!r}")
        rows.append((*parts[:2], int(parts[2])))
    return pd.DataFrame(rows, columns=["one", "other", "label"])


def _short(
    pairs: pd.DataFrame, methods: dict[str, str], normal: dict[str, Kept], sizes: Sizes
) -> tuple[pd.DataFrame, Counter[str]]:
    """First pairs, in their random order, whose methods are short, and why others before them were passed over.

    ``normal`` takes the methods that were read.
    """
    kept, passed_over = [], Counter[str]()
    for row in pairs.itertuples(index=False):
        for name in (row.one, row.other):
            if name not in normal:
                normal[name] = normal_form(methods[name], "java", sizes.max_lines)
        reason = normal[row.one].reason or normal[row.other].reason
        if reason:
            passed_over[reason] += 1
        else:
            kept.append(row)
        if len(kept) == sizes.n_pairs:
            break
    return pd.DataFrame(kept, columns=["one", "other", "label"]), passed_over


def _without_repeats(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs whose two texts, in their tokens, are not those of a pair of a later part."""
    tokens = cache(lambda code: tuple(language("java").tokens(code)))
    part = pairs.task_id.str.split("/").str[1]
    keys = [frozenset((tokens(row.left), tokens(row.right))) for row in pairs.itertuples()]
    return pairs[~in_later_part(keys, part)].reset_index(drop=True)


def _named(pairs: pd.DataFrame, split: str, normal: dict[str, Kept]) -> pd.DataFrame:
    """Pair frame; a method has one name in each split, as the splits share methods.

    A pair counts as made for its left method, which the bootstrap draws: pairs that share it are not independent.
    """
    rows = [
        (
            f"{NAME}/{split}/{row.one}/{row.other}-{'clone' if row.label else 'other'}",
            f"{NAME}/{split}/{row.one}",
            f"{NAME}/{split}/{row.other}",
            "clone" if row.label else "other",
            row.label,
            normal[row.one].code,
            normal[row.other].code,
        )
        for row in pairs.itertuples()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
