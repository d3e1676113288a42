"""A sweep: one notebook at every combination of some parameters' values, each combination a *point* of its own.

A profile says ``sweep: {05_finetune_fault_localization: {conditions: [[C0], [C3]], seeds: [[0], [1]]}}``; what is not
listed there is as in the profile. A point is run and recorded like any notebook (:mod:`llmexp_utils.study`), but keeps
everything that it writes in ``runs/<profile>/sweep/<point>/``, so that no two points meet in a file; only the cache is
shared, whose files are named after their content or are added to under a lock.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from llmexp_utils import freshness
from llmexp_utils.errors import StudyError
from llmexp_utils.notebook_params import NOTEBOOKS
from llmexp_utils.params import hint
from llmexp_utils.study import Study, call

LONGEST_WORDS = 80  # characters of a point's name that say its values; a file name may have 255


@dataclass(frozen=True)
class Point:
    """One run of a notebook; ``values``: what is swept, ``study``: all parameters, and its own folder."""

    notebook: str
    values: Mapping[str, Any]
    study: Study

    @property
    def name(self) -> str:
        """Name of the point, and of its folder."""
        return self.study.point

    @property
    def done(self) -> Path:
        """Mark of its last run, relative to the repository, for Snakemake."""
        return (self.study.folder / "done" / self.notebook).relative_to(self.study.root)

    @property
    def threads(self) -> int:
        """Cores that it uses: the notebook's own parameter, if it has one."""
        return getattr(self.study.params[self.notebook], "workers", 1)

    def changes(self) -> list[str]:
        """Why it has to run; empty when its last result stands."""
        return self.study.changes(self.notebook)

    def state(self) -> str:
        """Text that changes when it has to run again."""
        return self.study.state(self.notebook)

    def needs(self) -> list[str]:
        """Notebooks that write what it reads."""
        return writers(self.study, self.notebook)


def points_of(study: Study) -> dict[str, Point]:
    """Points of a study's sweep by name, in the order of its lists; none if its profile has no section ``sweep:``.

    Raises
    ------
    StudyError
        With one line for each mistake in the values of the points.
    """
    found: dict[str, Point] = {}
    problems: list[str] = []
    study = replace(study, ask=cache(call))  # thousands of points have the code of one notebook
    for notebook, over in study.profile.sweep.items():
        for chosen in product(*over.values()):
            try:
                point = _point(study, notebook, dict(zip(over, chosen, strict=True)))
                found[point.name] = point
            except StudyError as error:
                problems += [f"{study.profile.path.name}: sweep: {line}" for line in str(error).splitlines()]
    if problems:
        raise StudyError("\n".join(dict.fromkeys(problems)))
    return found


def point_named(points: Mapping[str, Point], name: str) -> Point:
    """The point of this name."""
    if name not in points:
        raise StudyError(f"unknown point '{name}'{hint(name, points)}")
    return points[name]


def point_name(notebook: str, values: Mapping[str, Any]) -> str:
    """Readable name by content: the notebook's number, the values in the order of its parameters, a hash of it all.

    Examples
    --------
    >>> point_name("05_finetune_fault_localization", {"seeds": [1], "conditions": ["C0"]})
    '05_1_C0_0a308f08'
    """
    known = [field for field in NOTEBOOKS[notebook].model_fields if field in values]
    words = "_".join([notebook[:2], *(word(values[field]) for field in known)])
    plain = re.sub(r"[^A-Za-z0-9.]*_[^A-Za-z0-9.]*", "_", re.sub(r"[^A-Za-z0-9._]+", "-", words))
    content = json.dumps([notebook, values], sort_keys=True)
    return f"{plain[:LONGEST_WORDS].rstrip('-_.')}_{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def word(value: Any) -> str:
    """A swept value as text.

    Examples
    --------
    >>> word(["C0", "C3"]), word(0.5)
    ('C0 C3', '0.5')
    """
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def writers(study: Study, notebook: str) -> list[str]:
    """Other notebooks of the study that write a file which this one reads."""
    read = _paths(study, notebook, "reads")
    return [name for name in study.params if name != notebook and read & _paths(study, name, "writes")]


def upstream(points: Iterable[Point]) -> list[str]:
    """Notebooks that some points need, directly or through others, in the order of the study."""
    found: set[str] = set()
    todo = [(point.study, point.notebook) for point in points]
    while todo:
        study, notebook = todo.pop()
        new = set(writers(study, notebook)) - found
        found |= new
        todo += [(study, name) for name in new]
    return [name for name in NOTEBOOKS if name in found]


def preflight_points(study: Study | None, before: Sequence[str], points: Sequence[Point]) -> list[str]:
    """Check what notebooks of a study, and then points of its sweep, are about to read and use; returns warnings.

    Raises
    ------
    StudyError
        With one line for each problem of them all.
    """
    from llmexp_utils.preflight import preflight_all

    asked = [(study, before)] if study and before else []
    return preflight_all([*asked, *((point.study, [point.notebook]) for point in points)])


def minutes(points: Sequence[Point], waiting: Sequence[Point], cores: int) -> float | None:
    """Estimate for what is waiting, side by side: as the other points took, or else as the profile file says."""
    records = {point.name: freshness.read_record(point.study.record_path(point.notebook)) for point in points}
    total = 0.0
    for point in waiting:
        like = [records[other.name] for other in points if other.notebook == point.notebook]
        known = [record.seconds / 60 for record in like if record]
        each = sum(known) / len(known) if known else point.study.profile.minutes.get(point.notebook)
        if each is None:
            return None
        total += each / max(1, cores // point.threads)
    return total


def _point(study: Study, notebook: str, values: dict[str, Any]) -> Point:
    model, name = NOTEBOOKS[notebook], point_name(notebook, values)
    own = study.params[notebook].model_dump() | values
    for field in model.names("writes"):
        own[field] = f"runs/{study.profile.name}/sweep/{name}/{field}{Path(own[field]).suffix}"
    return Point(notebook, values, replace(study, params={**study.params, notebook: model.check(own)}, point=name))


def _paths(study: Study, notebook: str, role: Any) -> set[str]:
    params = study.params[notebook]
    return {getattr(params, field) for field in params.names(role)}
