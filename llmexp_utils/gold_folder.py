"""A gold folder as a whole: the functions, and hand-written faults, groups and prompt examples that fit them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmexp_utils import benchmarks
from llmexp_utils.benchmarks import Function
from llmexp_utils.errors import StudyError
from llmexp_utils.examples import Ranking, load_examples

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Gold:
    """A gold folder that holds together; the same only as itself."""

    functions: Sequence[Function]
    faults: pd.DataFrame
    groups: Mapping[str, int]
    rankings: Mapping[str, Ranking]


def read_gold_folder(folder: Path, how: str) -> tuple[Gold | None, list[str]]:
    """Read a gold folder, with the examples that were chosen one way.

    Returns
    -------
    (Gold or None, list of str)
        None when a file of it is malformed; then one line for each that is.
    """
    problems: list[str] = []
    try:
        functions = benchmarks.load_humaneval()
    except StudyError as error:
        return None, [str(error)]

    def read(name: str, reader: Callable[[Path], Any]) -> Any:
        try:
            return parsed(folder / name, reader)
        except StudyError as error:
            problems.append(str(error))
            return None

    faults = read("faults.jsonl", lambda path: benchmarks.gold_frame(benchmarks.read_gold(path), functions))
    groups = read("folds.json", lambda path: _read_groups(path, functions))
    rankings = read("examples.json", lambda path: _read_rankings(path, how, faults))
    return (None if problems else Gold(functions, faults, groups, rankings)), problems


def parsed(path: Path, reader: Callable[[Path], Any]) -> Any:
    """Read a file; every way in which it can be malformed is one line with its name."""
    try:
        return reader(path)
    except FileNotFoundError as error:
        raise StudyError(f"{error.filename} does not exist: check the parameter 'gold'") from None
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise StudyError(f"{path} is malformed ({type(error).__name__}: {error})") from None


def _read_groups(path: Path, functions: Sequence[Function]) -> Mapping[str, int]:
    groups = benchmarks.load_groups(path)
    for function in functions:
        if groups.get(function.task_id) not in range(benchmarks.N_GROUPS):
            raise StudyError(f"{path}: {function.task_id} has no group from 0 to {benchmarks.N_GROUPS - 1}")
    return groups


def _read_rankings(path: Path, how: str, faults: pd.DataFrame | None) -> Mapping[str, Ranking]:
    rankings = load_examples(path, how)
    shown = [
        fault_id for group in range(benchmarks.N_GROUPS) for ranking in rankings[str(group)] for fault_id in ranking
    ]
    unknown = set(shown) - set(shown if faults is None else faults.fault_id)
    if unknown:
        raise StudyError(f"{path}: {min(unknown)!r} is not a gold fault")
    return rankings
