"""Rows of a reader's own JSONL file, each checked, with the number of the line that is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from llmexp_utils.errors import StudyError

Row = TypeVar("Row", bound=BaseModel)


def read_rows(path: Path, model: type[Row], item: str) -> Iterator[tuple[int, Row]]:
    """Number and row of each line.

    Parameters
    ----------
    path : Path
        JSON lines in UTF-8, with or without a byte order mark.
    model : type of pydantic model
        What a row must be.
    item : str
        What a row holds, for the message of an empty file.

    Raises
    ------
    StudyError
        One line: what is wrong, and where.
    """
    data = Path(path).read_bytes()
    try:
        # Not splitlines: a JSON text may hold separators that are no end of a line of the file.
        texts = data.decode("utf-8-sig").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        raise StudyError(f"{path}, line {number}: not in UTF-8: save the file in that encoding") from None
    if texts == [""]:
        raise StudyError(f"{path} is empty: give one {item} a line")
    for number, text in enumerate(texts, start=1):
        try:
            yield number, model.model_validate_json(text)
        except ValidationError as error:
            raise wrong(path, number, error) from None


def wrong(path: Path, number: int, error: Exception) -> StudyError:
    """What is wrong with a row, in one line, with its number."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return StudyError(f"{path}, line {number}: {'.'.join(map(str, first['loc'])) or 'row'}: {first['msg']}")
    return StudyError(f"{path}, line {number}: {' '.join(str(error).split())}")
