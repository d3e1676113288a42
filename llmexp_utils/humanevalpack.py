"""HumanEvalPack-Python: HumanEval's functions with faults that other people injected (arXiv 2308.07124).

Its problems are HumanEval's, so the frozen split holds for them too: a problem's fault is only tested on by
students that did not train on the problem. Whichever file is found, its rows are those of the published file
(octopack, commit e17a8f6), or it is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from llmexp_utils.code import changed_lines, normalise
from llmexp_utils.errors import StudyError
from llmexp_utils.paths import data_dir

if TYPE_CHECKING:
    import pandas as pd

REPOSITORY, FILE = "bigcode/humanevalpack", "data/python/data/humanevalpack.jsonl"
N_FAULTS = 164
FIELDS = ("task_id", "declaration", "canonical_solution", "buggy_solution", "bug_type")
ROWS_SHA256 = "1737fa364a92b9a8d4ca00f2901c0e4c69b4aeee6d95ea1b89ff8ec968138528"
"""Of the fields that are used, in the order of the file: other fields and their order may differ by source."""
HUB_SECONDS = 5.0


def find_humanevalpack() -> Path | None:
    """Local file, in ``LLMEXP_DATA_DIR`` or the hub's cache, or from the hub (one try); None when nobody has it."""
    return find_local() or _from_hub()


def find_local() -> Path | None:
    """File that is already on this machine; asks nobody, so that it can be looked for often."""
    from huggingface_hub import try_to_load_from_cache

    folder = data_dir()
    own = folder / "humanevalpack" / "python.jsonl" if folder else None
    if own and own.is_file():
        return own
    cached = try_to_load_from_cache(REPOSITORY, FILE, repo_type="dataset")
    return Path(cached) if isinstance(cached, str) else None


def local_hash() -> str:
    """SHA-256 of the local file; empty when there is none: what a result depends on that may use it."""
    path = find_local()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""


def _from_hub() -> Path | None:
    from huggingface_hub import HfApi, hf_hub_download

    if os.environ.get("LLMEXP_NO_HUB", "").lower() in {"1", "on", "yes", "true"}:
        return None
    with contextlib.suppress(Exception):  # no network, offline mode, no such file: as many classes as libraries
        HfApi().dataset_info(REPOSITORY, timeout=HUB_SECONDS)  # one question: the download would ask for a minute
        return Path(hf_hub_download(REPOSITORY, FILE, repo_type="dataset", etag_timeout=HUB_SECONDS))
    return None


def load_humanevalpack(path: Path) -> pd.DataFrame:
    """Fault frame of the 164 Python faults, labelled by the difference of both versions in normal form.

    Raises
    ------
    StudyError
        If the file is not HumanEvalPack-Python as it was published.
    """
    import pandas as pd

    return pd.DataFrame([_fault(row) for row in read_rows(path)])


def read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of the published file, verified by their hash, with the fields that the study uses."""
    rows = []
    for number, text in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(text)
            rows.append({field: row[field] for field in FIELDS})
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(f"{path}, line {number}: not a HumanEvalPack row ({error})") from error
    if len(rows) != N_FAULTS:
        raise StudyError(f"{path} has {len(rows)} rows, HumanEvalPack-Python has {N_FAULTS}")
    if rows_hash(rows) != ROWS_SHA256:
        raise StudyError(
            f"{path} is not HumanEvalPack-Python as it was published (wrong SHA-256 of its rows): put the file of "
            "bigcode-project/octopack, commit e17a8f6, into LLMEXP_DATA_DIR as humanevalpack/python.jsonl"
        )
    return rows


def rows_hash(rows: list[dict[str, str]]) -> str:
    """SHA-256 of the rows, whatever else their file holds and however it is laid out."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _fault(row: dict[str, str]) -> dict[str, object]:
    correct = normalise(row["declaration"] + row["canonical_solution"]).code
    faulty = normalise(row["declaration"] + row["buggy_solution"]).code
    number = row["task_id"].split("/")[1]
    return {
        "fault_id": f"HumanEvalPack/{number}",
        "task_id": f"HumanEval/{number}",
        "source": "humanevalpack",
        "code": faulty,
        "lines": changed_lines(correct, faulty),
        "correct": correct,
        "fault_type": row["bug_type"],
    }
