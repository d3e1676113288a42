"""Bring your own pairs: a JSONL file with one pair a line, checked on load.

``{"group": "project or problem", "language": "python", "left": "def f...", "right": "def g...", "label": 1}``; 1 for
clones, 0 for others; optionally ``kind`` of those that are none. A group is never split.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from llmexp_utils.clone_benchmarks import PROGRAMS, CloneBenchmark, Sizes
from llmexp_utils.code import CodeError
from llmexp_utils.errors import StudyError
from llmexp_utils.grouping import deal, together
from llmexp_utils.languages import language
from llmexp_utils.own_faults import Text
from llmexp_utils.own_rows import read_rows, wrong
from llmexp_utils.pairs import COLUMNS, described


class OwnPair(BaseModel):
    """A row of the file."""

    model_config = ConfigDict(extra="forbid")

    group: Text
    language: Literal["python", "java", "cpp"]
    left: Text
    right: Text
    label: Annotated[int, Field(ge=0, le=1)]
    kind: Annotated[str, Field(pattern="^[^/]*$")] = ""


def load_own_pairs(path: Path, sizes: Sizes) -> CloneBenchmark:
    """Read a file of pairs in one language; of ``sizes`` the longest function counts.

    Raises
    ------
    StudyError
        One line with the number of the row that is malformed, and why.
    """
    name, rows, languages = Path(path).stem, [], set()
    for number, row in read_rows(path, OwnPair, "pair"):
        try:
            sides = [language(row.language).normalise(side).code for side in (row.left, row.right)]
        except CodeError as error:
            raise wrong(path, number, error) from None
        languages.add(row.language)
        kind = "clone" if row.label else row.kind or "other"
        rows.append((f"{row.group}/{number}-{kind}", row.group, row.group, kind, row.label, *sides))
    if len(languages) > 1:
        raise StudyError(f"{path} mixes {' and '.join(sorted(languages))}: give one file a language")
    if len({row[4] for row in rows}) < 2:
        raise StudyError(f"{path} has one label only: a student needs clones and others")
    spoken_name = languages.pop()
    spoken = language(spoken_name)
    pairs = pd.DataFrame(rows, columns=COLUMNS)
    short = pairs[[max(len(one.splitlines()), len(two.splitlines())) <= sizes.max_lines for *_, one, two in rows]]
    short = short.reset_index(drop=True)
    sides = [(row.task_id, tuple(spoken.tokens(text))) for row in short.itertuples() for text in (row.left, row.right)]
    head = together(sides)
    group = deal(Counter(head[unit] for unit in short.task_id), name)
    groups = {unit: group[first] for unit, first in head.items()}
    facts = {"rows": len(pairs), f"longer than {sizes.max_lines} lines": len(pairs) - len(short)}
    found = described(short, spoken.normal_tokens)
    return CloneBenchmark(name, spoken_name, found, pd.DataFrame(columns=PROGRAMS), groups, facts=facts)
