"""Data of other people that a notebook also tests on where ``external: true`` asks for it, if they are at hand.

They are the only inputs that are no parameter: results depend on whether they were at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from llmexp_utils import benchmark_registry, clone_registry, condefects, humanevalpack
from llmexp_utils.paths import data_dir


class External(NamedTuple):
    """A benchmark by other people, where it may be, and how it is verified."""

    name: str
    advice: str
    find: Callable[[], Path | None]
    find_local: Callable[[], Path | None]
    local_hash: Callable[[], str]
    verify: Callable[[Path], Any]


EXTERNAL = {
    "05_finetune_fault_localization": External(
        "HumanEvalPack",
        humanevalpack.ADVICE.format("python"),
        humanevalpack.find_humanevalpack,
        humanevalpack.find_local,
        humanevalpack.local_hash,
        humanevalpack.read_rows,
    ),
    "06_finetune_clone_detection": External(
        "ConDefects",
        condefects.ADVICE,
        condefects.find_condefects,
        condefects.find_condefects,
        condefects.local_hash,
        condefects.verify,
    ),
    "08_real_benchmarks": External(
        "LLMEXP_DATA_DIR",
        "set it to a folder with humanevalpack, humaneval_java, defects4j or condefects",
        data_dir,
        data_dir,
        benchmark_registry.local_hash,
        lambda folder: folder,  # each loader verifies its own file
    ),
    "09_real_clones": External(
        "LLMEXP_DATA_DIR",
        "set it to a folder with condefects, humaneval_x, bigclonebench or poj104",
        data_dir,
        data_dir,
        lambda: benchmark_registry.local_hash(clone_registry.SOURCES),
        lambda folder: folder,
    ),
}
