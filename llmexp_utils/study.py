"""A study: the notebooks under one profile, what state each is in, and how one is run and recorded.

Everything a run leaves lies in ``runs/<profile>/``, or ``runs/<profile>/sweep/<point>/`` if it is a point of a sweep
(:mod:`llmexp_utils.sweep`): ``executed/`` notebooks with their outputs,
``records/`` of the last success (what it depended on, what it wrote, how long it took), ``done/`` marks for
Snakemake.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from llmexp_utils import freshness, progress, provenance
from llmexp_utils.errors import RunFailed, StudyError
from llmexp_utils.execute import execute
from llmexp_utils.external import EXTERNAL
from llmexp_utils.notebook_params import NOTEBOOKS, Reporting
from llmexp_utils.notebooks import read_cells
from llmexp_utils.params import Params, hint
from llmexp_utils.paths import atomic_write
from llmexp_utils.profiles import Profile, read_profile, resolve, resolve_all


def call(function: Callable[..., Any], *values: Any) -> Any:
    """What a function returns for some values."""
    return function(*values)


@dataclass(frozen=True)
class Study:
    """Checked parameters of the notebooks of one profile, or of one point of its sweep.

    ``ask`` calls a function; that of a sweep's points remembers what they all ask.
    """

    root: Path
    profile: Profile
    params: Mapping[str, Params]
    point: str = ""
    ask: Callable[..., Any] = call

    @property
    def folder(self) -> Path:
        """Folder of everything that runs of this profile, or point, leave."""
        return self.root / "runs" / self.profile.name / (f"sweep/{self.point}" if self.point else "")

    def title(self, name: str) -> str:
        """What a notebook is called in messages."""
        return f"{name} [{self.point}]" if self.point else name

    def record_path(self, name: str) -> Path:
        """Record of the notebook's last success."""
        return self.folder / "records" / f"{name}.json"

    def failure_path(self, name: str) -> Path:
        """Message of the notebook's last run, if that failed."""
        return self.folder / "failed" / name

    def fingerprint(self, name: str) -> dict[str, str]:
        """What the notebook's result depends on, as of now."""
        hash_of = partial(self.ask, freshness.content_hash)
        own = freshness.fingerprint([], self.params[name], self.root, hash_of=hash_of)
        parts = own | self.ask(_code, self.root, name)
        if getattr(self.params[name], "external", False):
            source = EXTERNAL[name]  # the one input that is no parameter: it may come later
            parts[source.name] = self.ask(source.local_hash)
        return parts

    def params_of(self, name: str) -> Params | None:
        """Parameters of any notebook under this profile; None when they do not hold."""
        try:
            return self.params.get(name) or resolve(self.profile, name, NOTEBOOKS[name], self.root / "notebooks")
        except StudyError:
            return None

    def changes(self, name: str) -> list[str]:
        """Why the notebook has to run; empty when its last result stands."""
        record = freshness.read_record(self.record_path(name))
        return freshness.changes(record, self.fingerprint(name), self.root)

    def state(self, name: str) -> str:
        """Text that changes when the notebook has to run again: Snakemake's trigger."""
        parts = self.fingerprint(name)
        record = freshness.read_record(self.record_path(name))
        return " ".join([freshness.digest(parts), *freshness.lost(record, self.root)])

    def minutes(self, name: str) -> float | None:
        """Estimate: what the last success took, or else what the profile file says."""
        record = freshness.read_record(self.record_path(name))
        return record.seconds / 60 if record else self.profile.minutes.get(name)


def open_study(root: Path, path: Path, names: Sequence[str] | None = None) -> Study:
    """Read a profile file and check the parameters of its notebooks (all of them when no names are given).

    Raises
    ------
    StudyError
        With one line for each mistake in the file or in a ``parameters`` cell.
    """
    profile = read_profile(path, NOTEBOOKS)
    return Study(root, profile, resolve_all(profile, names or list(NOTEBOOKS), NOTEBOOKS, root / "notebooks"))


def notebook_name(text: str) -> str:
    """Full name of a notebook, of which the first characters are enough.

    Examples
    --------
    >>> notebook_name("07")
    '07_results'
    """
    found = [name for name in NOTEBOOKS if name.startswith(text)]
    if len(found) != 1:
        raise StudyError(f"unknown notebook '{text}'{hint(text, NOTEBOOKS)}")
    return found[0]


def run_notebook(study: Study, name: str, force: bool = False) -> None:
    """Run a notebook unless its last result stands; a run of it in another process is waited for.

    Raises
    ------
    StudyError
        If a file that it reads is missing.
    RunFailed
        If a cell fails, or a file that it declares is not written.
    """
    with _alone(study, name):
        why = ["asked for"] if force else study.changes(name)
        study.failure_path(name).unlink(missing_ok=True)
        if why:
            try:
                _run(study, name, why)
            except (RunFailed, StudyError) as error:
                atomic_write(study.failure_path(name), f"{error}\n")
                raise
        else:
            _say(f"{study.title(name)}: up to date")
        record = freshness.read_record(study.record_path(name))
        # The same text for the same results: Snakemake then knows that what follows is not out of date.
        atomic_write(study.folder / "done" / name, freshness.digest(record.outputs if record else {}) + "\n")


def about(minutes: float | None) -> str:
    """A duration for people.

    Examples
    --------
    >>> [about(value) for value in (None, 0.2, 3.4, 150)]
    ['no estimate yet', 'about 12 s', 'about 3 min', 'about 2.5 h']
    """
    if minutes is None:
        return "no estimate yet"
    if minutes < 1.5:
        return f"about {minutes * 60:.0f} s"
    return f"about {minutes:.0f} min" if minutes < 100 else f"about {minutes / 60:.1f} h"


def _code(root: Path, name: str) -> dict[str, str]:
    """Parts of a fingerprint that no parameter decides."""
    try:
        return freshness.fingerprint(read_cells(root / "notebooks" / f"{name}.ipynb"), Params.check({}), root)
    except StudyError as error:
        raise StudyError(f"{name}: {error}") from None


def _run(study: Study, name: str, why: Sequence[str]) -> None:
    """Run and record a notebook."""
    params, parts, started = study.params[name], study.fingerprint(name), time.time()
    _require_inputs(study, name)
    _say(f"{study.title(name)}: started, {about(study.minutes(name))} ({_shorten(why)})")
    executed = study.folder / "executed" / f"{name}.ipynb"
    execute(study.root / "notebooks" / f"{name}.ipynb", executed, params.model_dump(), study.root, study.title(name))
    written, seconds = freshness.outputs(params, study.root, started), time.time() - started
    record = freshness.Record(parts, written, round(seconds, 1), provenance=provenance.stamp())
    freshness.write_record(study.record_path(name), record)
    _keep_provenance(study, name, record)
    if isinstance(params, Reporting):
        _list_results(study, params)
    _say(f"{study.title(name)}: done in {about(seconds / 60).removeprefix('about ')}")


def _keep_provenance(study: Study, name: str, record: freshness.Record) -> None:
    """Say beside the results, which are kept, where they come from; records are not kept."""
    params = study.params[name]
    written = ["results"] if hasattr(params, "results") else params.names("writes")
    if written:
        place = study.root / getattr(params, written[0])
        folder = (place if place.is_dir() else place.parent) / freshness.PROVENANCE
        finished = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        facts = {"notebook": name, "profile": params.profile, "finished": finished, "seconds": record.seconds}
        atomic_write(folder / f"{name}.json", f"{json.dumps(facts | record.provenance, indent=1)}\n")


def _list_results(study: Study, params: Reporting) -> None:
    """Write the index anew; of notebooks that end at the same moment the last one sees the results of all."""
    import filelock

    from llmexp_utils.tables import write_index

    with filelock.FileLock(study.folder / "locks" / "index.lock"):
        write_index(study.root / params.figures, study.root / params.results)


@contextlib.contextmanager
def _alone(study: Study, name: str) -> Iterator[None]:
    """Hold the locks of a notebook and of what it writes; they end with the process, so a killed run leaves none."""
    import filelock

    with contextlib.ExitStack() as held:
        for path, what in locks(study, name).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(path)
            try:
                held.enter_context(lock.acquire(timeout=0))
            except filelock.Timeout:
                _say(f"{study.title(name)}: another process {what}; waiting")
                held.enter_context(lock.acquire())
        yield


def locks(study: Study, name: str) -> dict[Path, str]:
    """Lock files of a notebook in the order in which they are taken, and what another process does that holds one.

    Two profiles, one of which is a copy, may write the same file; what lies in the study's own folder is its alone.
    """
    params = study.params[name]
    files = (study.root / getattr(params, field) for field in params.names("writes"))
    # Every notebook of a study writes into its folders of figures and tables: those are no files of one notebook.
    shared = sorted({path.resolve() for path in files if path.suffix and study.folder not in path.parents})
    found = {study.folder / "locks" / f"{name}.lock": "runs it"}
    for path in shared:
        digest = hashlib.sha256(str(path).encode()).hexdigest()[:16]
        found[study.root / "runs" / "locks" / f"{digest}.lock"] = f"writes {path.name}"
    return found


def _require_inputs(study: Study, name: str) -> None:
    params = study.params[name]
    for field in params.names("reads"):
        path = getattr(params, field)
        if not (study.root / path).exists():
            writers = [other for other in NOTEBOOKS if other != name and _writes(study, other, path)]
            advice = f"run {writers[0]} first, it writes it" if writers else f"check the parameter '{field}'"
            raise StudyError(f"{name}: {path} does not exist; {advice}")


def _writes(study: Study, name: str, path: str) -> bool:
    params = study.params_of(name)
    return params is not None and path in [getattr(params, field) for field in params.names("writes")]


def _shorten(reasons: Sequence[str], most: int = 2) -> str:
    more = f" and {len(reasons) - most} more" if len(reasons) > most else ""
    return ", ".join(reasons[:most]) + more


def _say(line: str) -> None:
    progress.say(line, sys.stdout)
