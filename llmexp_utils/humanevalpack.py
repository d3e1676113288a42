"""HumanEvalPack: HumanEval's functions with faults that other people injected (arXiv 2308.07124), in two languages.

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

from llmexp_utils.benchmarks import Function, load_humaneval
from llmexp_utils.code import changed_lines, normalise
from llmexp_utils.errors import StudyError
from llmexp_utils.paths import data_dir
from llmexp_utils.pinned import fetching

if TYPE_CHECKING:
    import pandas as pd

    from llmexp_utils.fault_benchmarks import FaultBenchmark

REPOSITORY, FILE = "bigcode/humanevalpack", "data/{}/data/humanevalpack.jsonl"
ADVICE = (
    f"{fetching('humanevalpack')}, or put {{}}.jsonl into the folder humanevalpack of LLMEXP_DATA_DIR, "
    "or let the hub be reached"
)
N_FAULTS = 164
FIELDS = ("task_id", "declaration", "canonical_solution", "buggy_solution", "bug_type")
MORE_FIELDS = {"python": (), "java": ("test",)}
ROWS_SHA256 = {
    "python": "1737fa364a92b9a8d4ca00f2901c0e4c69b4aeee6d95ea1b89ff8ec968138528",
    "java": "d4889ea118efaa7282341a095431d8b00d28782ab0e7c5a9228bbab802aa5907",
}
"""Of the fields that are used, in the order of the file: other fields and their order may differ by source."""
HUB_SECONDS = 5.0


def find_humanevalpack(language: str = "python") -> Path | None:
    """Local file, in ``LLMEXP_DATA_DIR`` or the hub's cache, or from the hub (one try); None when nobody has it."""
    return find_local(language) or _from_hub(language)


def find_local(language: str = "python") -> Path | None:
    """File that is already on this machine; asks nobody, so that it can be looked for often."""
    from huggingface_hub import try_to_load_from_cache

    folder = data_dir()
    own = folder / "humanevalpack" / f"{language}.jsonl" if folder else None
    if own and own.is_file():
        return own
    cached = try_to_load_from_cache(REPOSITORY, FILE.format(language), repo_type="dataset")
    return Path(cached) if isinstance(cached, str) else None


def local_hash() -> str:
    """SHA-256 of the local file; empty when there is none: what a result depends on that may use it."""
    path = find_local()
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""


def _from_hub(language: str) -> Path | None:
    from huggingface_hub import HfApi, hf_hub_download

    if os.environ.get("LLMEXP_NO_HUB", "").lower() in {"1", "on", "yes", "true"}:
        return None
    with contextlib.suppress(Exception):  # no network, offline mode, no such file: as many classes as libraries
        HfApi().dataset_info(REPOSITORY, timeout=HUB_SECONDS)  # one question: the download would ask for a minute
        file = FILE.format(language)
        return Path(hf_hub_download(REPOSITORY, file, repo_type="dataset", etag_timeout=HUB_SECONDS))
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


def load_java(path: Path) -> FaultBenchmark:
    """The 164 Java faults with their tests.

    Published entry points differ from the methods' names in three problems; tests call methods by name, so the first
    method by the alphabet stands for the function.

    Raises
    ------
    StudyError
        If the file is not HumanEvalPack-Java as it was published.
    """
    from llmexp_utils import java
    from llmexp_utils.fault_benchmarks import FaultBenchmark, fault_rows

    functions, faults = [], []
    for row in read_rows(path, "java"):
        task_id = f"HumanEval/{row['task_id'].split('/')[1]}"
        correct = java.normalise(row["declaration"] + row["canonical_solution"])
        faulty = java.normalise(row["declaration"] + row["buggy_solution"]).code
        name = min(java.method_names(correct.code))
        functions.append(Function(task_id, name, correct.preamble, correct.code, "", row["test"], "java"))
        faults.append(_labelled(row, correct.code, faulty))
    unit = {function.task_id: function.task_id for function in functions}
    facts = {"published": len(faults)}
    return FaultBenchmark("humanevalpack-java", "java", functions, fault_rows(faults), unit, facts)


def load_python(path: Path) -> FaultBenchmark:
    """The 164 Python faults, with HumanEval's functions and tests."""
    from llmexp_utils.fault_benchmarks import FaultBenchmark, fault_rows

    faults = fault_rows([_fault(row) for row in read_rows(path)])
    unit = {task_id: task_id for task_id in faults.task_id}
    facts = {"published": len(faults)}
    return FaultBenchmark("humanevalpack-python", "python", load_humaneval(), faults, unit, facts)


def read_rows(path: Path, language: str = "python") -> list[dict[str, str]]:
    """Rows of the published file, verified by their hash, with the fields that the study uses."""
    rows = []
    content = Path(path).read_text(encoding="utf-8", errors="replace")  # other bytes are other rows: the hash tells
    for number, text in enumerate(content.strip().split("\n"), start=1):
        try:
            row = json.loads(text)
            rows.append({field: row[field] for field in (*FIELDS, *MORE_FIELDS[language])})
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(f"{path}, line {number}: not a HumanEvalPack row ({error})") from error
    if len(rows) != N_FAULTS:
        raise StudyError(f"{path} has {len(rows)} rows, HumanEvalPack-{language.title()} has {N_FAULTS}")
    if rows_hash(rows) != ROWS_SHA256[language]:
        raise StudyError(
            f"{path} is not HumanEvalPack-{language.title()} as it was published (wrong SHA-256 of its rows): put the "
            f"file of bigcode-project/octopack, commit e17a8f6, into LLMEXP_DATA_DIR as humanevalpack/{language}.jsonl"
        )
    return rows


def rows_hash(rows: list[dict[str, str]]) -> str:
    """SHA-256 of the rows, whatever else their file holds and however it is laid out."""
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _fault(row: dict[str, str]) -> dict[str, object]:
    correct = normalise(row["declaration"] + row["canonical_solution"]).code
    faulty = normalise(row["declaration"] + row["buggy_solution"]).code
    return _labelled(row, correct, faulty)


def _labelled(row: dict[str, str], correct: str, faulty: str) -> dict[str, object]:
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
