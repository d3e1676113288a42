"""Frames that travel between notebooks: JSONL or Parquet files, checked against a schema on both sides.

A schema is a plain ``{column: kind}``. Kinds are ``str``, ``int``, ``float``, ``bool``, ``list[int]``,
``list[float]`` and ``list[str]``; a final ``?`` marks a column that may be missing or empty.
"""

from __future__ import annotations

import json
import math
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from llmexp_utils.errors import StudyError
from llmexp_utils.paths import atomic_write

FAULTS = {
    "fault_id": "str",
    "task_id": "str",
    "source": "str",
    "code": "str",
    "lines": "list[int]",
    "correct": "str",
    "fault_type": "str?",
    "generator": "str?",
    "form": "str?",
    "policy": "str?",
    "sample": "int?",
    "operator": "str?",
}
STATISTICS = {
    "lines_changed": "int",
    "edit_distance": "int",
    "similarity": "float",
}
POOL = FAULTS | STATISTICS
COST = {
    "prompt_tokens": "int",
    "cached_tokens": "int",
    "completion_tokens": "int",
    "seconds": "float",
    "finish_reason": "str",
    "key": "str",
}
CANDIDATES = {
    "candidate_id": "str",
    "task_id": "str",
    "generator": "str",
    "form": "str",
    "policy": "str?",
    "sample": "int",
    "line": "int",
    "status": "str",
    "code": "str?",
    "correct": "str",
    **COST,
}
CLONE_CANDIDATES = {
    "candidate_id": "str",
    "task_id": "str",
    "generator": "str",
    "form": "str",
    "construct": "str?",
    "sample": "int",
    "status": "str",
    "preamble": "str?",
    "code": "str?",
    "correct": "str",
    **COST,
}
CLONES = {
    "program_id": "str",
    "task_id": "str",
    "source": "str",
    "generator": "str?",
    "form": "str?",
    "construct": "str?",
    "is_clone": "bool",
    "clone_type": "str?",
    "preamble": "str?",
    "code": "str",
    "correct": "str",
    **STATISTICS,
}
RUN = {
    "run_id": "str",
    "student": "str",
    "series": "str",
    "condition": "str",
    "n_real": "int",
    "n_added": "int",
    "generator": "str?",
    "form": "str?",
}
PREDICTIONS = RUN | {
    "policy": "str?",
    "fold": "int",
    "seed": "int",
    "fault_id": "str",
    "task_id": "str",
    "fault_type": "str?",
    "n_lines": "int",
    "scores": "list[float]",
    "lines": "list[int]",
    "threshold": "float",
}
PAIR_PREDICTIONS = RUN | {
    "names": "str",
    "fold": "int",
    "seed": "int",
    "pair_id": "str",
    "task_id": "str",
    "other_id": "str",
    "kind": "str",
    "label": "int",
    "clone_type": "str?",
    "overlap": "float",
    "score": "float",
    "threshold": "float",
}
RETRIEVAL = {
    "run_id": "str",
    "student": "str",
    "condition": "str",
    "names": "str",
    "n_real": "int",
    "n_added": "int",
    "fold": "int",
    "seed": "int",
    "program_id": "str",
    "task_id": "str",
    "ap_at_r": "float",
}
_DTYPES = {"int": "int64", "float": "float64", "bool": "bool", "int?": "Int64", "float?": "float64"}


def write_frame(frame: pd.DataFrame, path: str | Path, schema: dict[str, str] | None = None) -> Path:
    """Write a frame atomically, byte for byte the same for the same content.

    Parameters
    ----------
    frame : DataFrame
        The index is not written.
    path : str or Path
        Ends in ``.jsonl`` (one JSON object a line, without its empty cells) or ``.parquet``.
    schema : dict of str to str, optional
        Checked first; columns outside the schema are kept, after those of the schema.

    Returns
    -------
    Path
        The file.
    """
    target = Path(path)
    _check_suffix(target)
    if schema is not None:
        frame = check_frame(frame, schema, str(target))
    if target.suffix == ".parquet":
        stream = BytesIO()
        frame.to_parquet(stream, index=False, compression="zstd", compression_level=9)
        return atomic_write(target, stream.getvalue())
    optional = {name for name, kind in (schema or {}).items() if kind.endswith("?")}
    rows = []
    for number, row in enumerate(frame.to_dict("records"), start=1):
        kept = {key: value for key, value in row.items() if not (_empty(value) or (key in optional and value == ""))}
        try:
            rows.append(json.dumps(kept, ensure_ascii=False, allow_nan=False, default=_plain) + "\n")
        except ValueError as error:
            raise StudyError(f"{target}: line {number}: JSON has no NaN or infinity: use .parquet") from error
    return atomic_write(target, "".join(rows))


def read_frame(path: str | Path, schema: dict[str, str], *, written_by: str = "") -> pd.DataFrame:
    """Read a frame and check it.

    Parameters
    ----------
    path : str or Path
        Ends in ``.jsonl`` or ``.parquet``.
    schema : dict of str to str
        Columns that the caller relies on; others are kept as they are.
    written_by : str
        Notebook that writes the file, named when the file is missing.

    Returns
    -------
    DataFrame
        Columns of the schema first, in its order. Lists are Python lists, empty text is ``""``, an empty
        number is missing.

    Raises
    ------
    StudyError
        One line with the file, the line and the column.
    """
    source = Path(path)
    _check_suffix(source)
    if not source.is_file():
        advice = f"run notebook {written_by} first, it writes this file" if written_by else "check the path"
        raise StudyError(f"{source}: no such file: {advice}")
    if source.suffix == ".jsonl":
        return check_frame(_read_jsonl(source), schema, str(source))
    try:
        frame = pd.read_parquet(source)
    except Exception as error:  # several unrelated classes, by what is wrong with the file
        raise StudyError(f"{source}: not a readable Parquet file: delete it and write it again") from error
    return check_frame(frame, schema, str(source))


def check_frame(frame: pd.DataFrame, schema: dict[str, str], name: str = "frame") -> pd.DataFrame:
    """Return the frame with the columns and types of ``schema``; StudyError at the first cell that differs.

    Examples
    --------
    >>> check_frame(pd.DataFrame({"lines": [[1], "2"]}), {"lines": "list[int]"}, "faults.jsonl")
    Traceback (most recent call last):
    llmexp_utils.errors.StudyError: faults.jsonl: line 2, column 'lines': expected list[int], found '2'
    """
    columns: dict[str, pd.Series] = {}
    for column, kind in schema.items():
        optional, bare = kind.endswith("?"), kind.rstrip("?")
        if column not in frame and len(frame) and not optional:
            has = ", ".join(map(str, frame.columns))
            raise StudyError(f"{name}: line 1, column {column!r}: missing (columns: {has})")
        values = frame[column].tolist() if column in frame else [None] * len(frame)
        values = [value.tolist() if isinstance(value, np.ndarray) else value for value in values]
        for number, value in enumerate(values, start=1):
            if not (optional and _empty(value)) and not _matches(value, bare):
                found = "nothing" if _empty(value) else f"{value!r}"[:60]
                raise StudyError(f"{name}: line {number}, column {column!r}: expected {bare}, found {found}")
        if bare == "str":
            values = ["" if _empty(value) else value for value in values]
        dtype = "str" if bare == "str" else _DTYPES.get(kind, "object")
        columns[column] = pd.Series(values, index=frame.index, dtype=dtype)
    others = {column: frame[column] for column in frame if column not in schema}
    return pd.DataFrame(columns | others)


def _read_jsonl(path: Path) -> pd.DataFrame:
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not UTF-8 text (byte {error.start})") from error
    rows = []
    for number, line in enumerate(lines[:-1] if lines[-1] == "" else lines, start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise StudyError(f"{path}: line {number}: not JSON ({error}): is the file cut off?") from error
        if not isinstance(row, dict):
            raise StudyError(f"{path}: line {number}: expected an object, found {line[:60]}")
        rows.append(row)
    names = list(dict.fromkeys(key for row in rows for key in row))
    columns = {key: pd.Series([row.get(key) for row in rows], dtype="object") for key in names}
    return pd.DataFrame(columns, index=range(len(rows)))


def _matches(value: object, kind: str) -> bool:
    if kind.startswith("list["):
        return isinstance(value, list | tuple) and all(_matches(item, kind[5:-1]) for item in value)
    if kind == "bool" or isinstance(value, bool):
        return kind == "bool" and isinstance(value, bool)
    if kind == "int":  # pandas makes floats of a whole column with one empty cell
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if kind == "float":
        return isinstance(value, int | float) and not math.isnan(value)
    if kind == "str":
        return isinstance(value, str)
    raise StudyError(f"unknown kind {kind!r} in a schema")


def _empty(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _plain(value: object) -> object:
    """Python value of a NumPy one, for JSON."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def _check_suffix(path: Path) -> None:
    if path.suffix not in (".jsonl", ".parquet"):
        raise StudyError(f"{path}: unknown file type {path.suffix!r}: use .jsonl or .parquet")
