"""Benchmarks of real faults by name: where each one is found, and how it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmexp_utils import condefects, condefects_faults, defects4j, humaneval_java, humanevalpack, own_faults
from llmexp_utils.benchmarks import Function, gold_frame, load_humaneval, read_gold
from llmexp_utils.defects4j import Rule
from llmexp_utils.errors import StudyError
from llmexp_utils.fault_benchmarks import FaultBenchmark
from llmexp_utils.params import hint
from llmexp_utils.paths import gold_dir, repository

if TYPE_CHECKING:
    import pandas as pd


class Source(NamedTuple):
    """Where a benchmark is found and how it is read; ``advice`` says how to get it.

    ``find_local`` asks nobody, so that it can be looked for often; ``from_hub`` is for what a hub has. ``load`` takes
    the path first, and what the loaders of a kind (faults, clones) have in common.
    """

    find_local: Callable[[], Path | None]
    load: Callable[..., Any]
    advice: str
    from_hub: Callable[[], Path | None] = lambda: None

    def find(self) -> Path | None:
        """File or folder on this machine, or else from the hub (one try); None when nobody has it."""
        return self.find_local() or self.from_hub()


def embedded(folder: Path) -> FaultBenchmark:
    """HumanEval with the faults written for this study: always at hand."""
    functions = load_humaneval()
    return of_humaneval(functions, gold_frame(read_gold(folder / "faults.jsonl"), functions))


def of_humaneval(functions: Sequence[Function], faults: pd.DataFrame) -> FaultBenchmark:
    """HumanEval's functions with a frame of faults."""
    unit = {function.task_id: function.task_id for function in functions}
    return FaultBenchmark(EMBEDDED, "python", list(functions), faults, unit, {"written for this project": len(faults)})


EMBEDDED = "humaneval"
SOURCES = {
    EMBEDDED: Source(gold_dir, embedded, "it is part of the repository"),
    "humanevalpack-python": Source(
        lambda: humanevalpack.find_local("python"),
        humanevalpack.load_python,
        humanevalpack.ADVICE.format("python"),
        lambda: humanevalpack.find_humanevalpack("python"),
    ),
    "humanevalpack-java": Source(
        lambda: humanevalpack.find_local("java"),
        humanevalpack.load_java,
        humanevalpack.ADVICE.format("java"),
        lambda: humanevalpack.find_humanevalpack("java"),
    ),
    "humaneval-java": Source(
        humaneval_java.find_humaneval_java, humaneval_java.load_humaneval_java, humaneval_java.PUBLISHED.advice
    ),
    "defects4j": Source(defects4j.find_defects4j, defects4j.load_defects4j, defects4j.PUBLISHED.advice),
    "condefects": Source(
        condefects.find_condefects,
        condefects_faults.load_condefects,
        condefects.ADVICE,
    ),
}


def at_hand(
    names: Sequence[str], external: bool, sources: Mapping[str, Source] = SOURCES
) -> tuple[list[str], dict[str, str]]:
    """Which of some benchmarks can be used, and why the others cannot.

    Without ``external`` only what is part of the repository, and the reader's own files, are used.
    """
    usable, left = [], {}
    for name in names:
        here = is_own(name) or name == EMBEDDED
        if not here and not external:
            left[name] = "set external to use it"
        elif not here and sources[name].find() is None:
            left[name] = sources[name].advice
        else:
            usable.append(name)
    return usable, left


def local_hash(sources: Mapping[str, Source] = SOURCES) -> str:
    """SHA-256 of the names and sizes of the benchmarks on this machine: what results depend on.

    A benchmark that is a folder stands for all of its files.
    """
    found = {name: source.find_local() for name, source in sources.items() if name != EMBEDDED}
    there = [f"{name} {_size(path)}" for name, path in sorted(found.items()) if path]
    return hashlib.sha256("\n".join(there).encode()).hexdigest() if there else ""


def _size(path: Path) -> int | str:
    if path.is_file():
        return path.stat().st_size
    if path == condefects.find_condefects():  # thousands of files of other languages lie beside those that are used
        return condefects.local_hash()
    files = {file.relative_to(path).as_posix(): file for file in path.rglob("*") if file.is_file()}
    return " ".join(f"{name} {file.stat().st_size}" for name, file in sorted(files.items()) if name[0] != ".")


def load_benchmark(name: str, missing_code: Rule = "next") -> FaultBenchmark:
    """A benchmark by name, or the reader's own file of faults (a path that ends in ``.jsonl``).

    ``missing_code`` is what becomes of Defects4J's faults whose labels hold no code.

    Raises
    ------
    StudyError
        If it is unknown, not at hand (the message says how to get it), or malformed.
    """
    path, source = locate(name, SOURCES, "faults")
    if source is None:
        return replace(own_faults.load_own(path), name=name)  # by its place: two files may have one name
    return defects4j.load_defects4j(path, missing_code) if name == "defects4j" else source.load(path)


def locate(name: str, sources: Mapping[str, Source], items: str) -> tuple[Path, Source | None]:
    """Place of a benchmark and its source, which a file of one's own has not; ``items`` is what it holds.

    Raises
    ------
    StudyError
        If it is unknown or not at hand; the message says how to get it.
    """
    if is_own(check_name(name, sources)):
        own = repository() / name
        if not own.is_file():
            raise StudyError(f"{name}: no such file of {items}: check the parameter benchmarks")
        return own, None
    path = sources[name].find()
    if path is None:
        raise StudyError(f"benchmark {name} is not at hand: {sources[name].advice}")
    return path, sources[name]


def is_own(name: str) -> bool:
    """Whether a benchmark is a reader's own file."""
    return name.endswith(".jsonl")


def check_name(name: str, sources: Mapping[str, Source] = SOURCES) -> str:
    """The name of a known benchmark, or a file name of one's own."""
    if name not in sources and not is_own(name):
        raise StudyError(f"unknown benchmark {name!r}, and no .jsonl file of your own{hint(name, sources)}")
    return name
