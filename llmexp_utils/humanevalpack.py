"""HumanEvalPack-Python: HumanEval's functions with faults that other people injected (arXiv 2308.07124).

Its problems are HumanEval's, so the frozen split holds for them too: a problem's fault is only tested on by
students that did not train on the problem.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from llmexp_utils.code import changed_lines, normalise
from llmexp_utils.errors import StudyError
from llmexp_utils.paths import data_dir

REPOSITORY, FILE = "bigcode/humanevalpack", "data/python/data/humanevalpack.jsonl"
N_FAULTS = 164


def find_humanevalpack() -> Path | None:
    """Local file in ``LLMEXP_DATA_DIR`` or from the hub; None when neither has it."""
    folder = data_dir()
    local = folder / "humanevalpack" / "python.jsonl" if folder else None
    if local and local.is_file():
        return local
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(REPOSITORY, FILE, repo_type="dataset", etag_timeout=5))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError):
        return None


def load_humanevalpack(path: Path) -> pd.DataFrame:
    """Fault frame of the 164 Python faults, labelled by the difference of both versions in normal form."""
    rows = []
    for number, text in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), start=1):
        try:
            rows.append(_fault(json.loads(text)))
        except (ValueError, KeyError) as error:
            raise StudyError(f"{path}, line {number}: not a HumanEvalPack row ({error})") from error
    if len(rows) != N_FAULTS:
        raise StudyError(f"{path} has {len(rows)} rows, HumanEvalPack-Python has {N_FAULTS}")
    return pd.DataFrame(rows)


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
