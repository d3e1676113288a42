"""The two forms in which CodeXGLUE's data sets come: its own files, and the Parquet files of their pages on the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from llmexp_utils.errors import StudyError
from llmexp_utils.paths import data_dir

HUB_SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def find(name: str, file: str) -> Path | None:
    """Folder ``name`` of ``LLMEXP_DATA_DIR``, if it has a file of the data set's own or Parquet files."""
    folder = data_dir()
    found = folder / name if folder else None
    return found if found and ((found / file).is_file() or _parquet(found, "test")) else None


def from_hub(folder: Path, split: str, columns: Sequence[str], texts: Sequence[str] = ()) -> pd.DataFrame | None:
    """Rows of one split in the hub's files; None where there are none.

    Parameters
    ----------
    folder : Path
        Holds ``train-*.parquet``, ``validation-*.parquet`` and ``test-*.parquet``, in a folder of any depth.
    split : {"train", "dev", "test"}
        Which of them.
    columns : sequence of str
        Columns that are read.
    texts : sequence of str
        Those whose long texts repeat: each text is held once.

    Raises
    ------
    StudyError
        If a file has other columns, or a row lacks one of them.
    """
    import pyarrow.parquet as pq

    tables = []
    for file in _parquet(folder, split):
        lost = set(columns) - set(pq.read_schema(file).names)
        if lost:
            raise StudyError(f"{file} has no column {min(lost)!r}: it is not that data set's file of the hub")
        table = pq.read_table(file, columns=list(columns), read_dictionary=list(texts))
        empty = [name for name in columns if table.column(name).null_count]
        if empty:
            raise StudyError(f"{file} has a row without {empty[0]!r}: it is not that data set's file of the hub")
        tables.append(table.to_pandas())
    return pd.concat(tables, ignore_index=True) if tables else None


def count_rows(folder: Path) -> dict[str, int]:
    """Rows of each split in the hub's files."""
    import pyarrow.parquet as pq

    return {split: sum(pq.read_metadata(file).num_rows for file in _parquet(folder, split)) for split in HUB_SPLITS}


def json_lines(path: Path, advice: str) -> Iterator[tuple[int, Any]]:
    """Number and content of each line of a file.

    Raises
    ------
    StudyError
        If the file is missing, or a line is no JSON.
    """
    if not path.is_file():
        raise StudyError(f"{path} is missing: {advice}")
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, text in enumerate(lines, start=1):
            try:
                yield number, json.loads(text)
            except ValueError as error:
                raise StudyError(f"{path}, line {number}: no JSON ({error})") from None


def text_of(value: object) -> str:
    """The value, which has to be text.

    Raises
    ------
    TypeError
        If it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _parquet(folder: Path, split: str) -> list[Path]:
    return sorted(folder.glob(f"**/{HUB_SPLITS[split]}-*.parquet"))
