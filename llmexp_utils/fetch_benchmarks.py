"""Benchmarks of other people, fetched into ``LLMEXP_DATA_DIR`` from where they were published.

``python -m llmexp_utils.fetch_benchmarks`` fetches all of them, or those that are named. Each is a public repository's
file at one commit, or a data set of the model hub; what arrives is verified by hash, or by its number of rows, before
it takes its place, and what is there already is left alone. Notebooks never download these by themselves.
"""

from __future__ import annotations

import argparse
import os
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from llmexp_utils import (
    bigclonebench,
    codexglue,
    condefects,
    condefects_faults,
    defects4j,
    humaneval_java,
    humaneval_x,
    humanevalpack,
    poj104,
)
from llmexp_utils.errors import StudyError
from llmexp_utils.params import hint
from llmexp_utils.paths import atomic_write, data_dir
from llmexp_utils.pinned import PinnedFile

if TYPE_CHECKING:
    import requests

ARCHIVES = "https://codeload.github.com"
"""Where a public repository is served whole, as it was at a commit."""
SECONDS = (10.0, 60.0)  # to connect, and between two pieces
CHUNK = 1 << 16


class Benchmark(NamedTuple):
    """Where a benchmark is looked for, how it gets there, and what raises a StudyError if it is another one."""

    find: Callable[[], Path | None]
    fetch: Callable[[Path], object]
    verify: Callable[[Path], object]


def fetch(name: str, folder: Path) -> Path:
    """Place of a benchmark in ``folder`` (which ``LLMEXP_DATA_DIR`` names), fetched first if it is not there.

    Raises
    ------
    StudyError
        If the name is unknown, its source cannot be reached, or what arrives is not what was published (nothing of it
        is left), or what is there is not.
    """
    import filelock

    name = NAMES.get(name, name)
    if name not in BENCHMARKS:
        raise StudyError(f"unknown benchmark {name!r}{hint(name, BENCHMARKS)}")
    find, get, verify = BENCHMARKS[name]
    with filelock.FileLock(folder / f".{name}.lock"):  # another process may fetch the same
        if find() is None:
            get(folder)
    found = find()
    try:
        verify(found)
    except StudyError as error:
        raise StudyError(
            f"{name} is there, but not as it was published; remove it, and fetch again ({error})"
        ) from error
    return found


def fetch_file(file: PinnedFile, folder: Path) -> None:
    """Download a file of a public repository."""
    with _arriving(folder) as scratch, _answer(file.url, file.title) as answer:
        target = scratch / file.name
        with target.open("wb") as stream:
            for chunk in _chunks(answer, file.title):
                stream.write(chunk)
        file.verified(target)
        _put(target, folder / file.folder / file.name)


def fetch_condefects(folder: Path) -> None:
    """Unpack what the study reads of ConDefects' repository: programs in Python, and their labels."""
    url = f"{ARCHIVES}/{condefects.REPOSITORY}/tar.gz/{condefects.COMMIT}"
    with _arriving(folder) as scratch, _answer(url, "ConDefects") as answer:
        tasks = scratch / "Code"
        with tarfile.open(fileobj=_Stream(_chunks(answer, "ConDefects")), mode="r|gz") as archive:
            for member in archive:
                place = _place_in_condefects(member.name)
                if place and member.isfile():
                    atomic_write(tasks / place, archive.extractfile(member).read())
        condefects.verify(tasks)
        _put(tasks, folder / "condefects" / "Code")


def fetch_humanevalpack(folder: Path) -> None:
    """Both languages of HumanEvalPack, from the model hub."""
    for language in humanevalpack.ROWS_SHA256:
        target = folder / "humanevalpack" / f"{language}.jsonl"
        if target.exists():
            continue
        path = humanevalpack.find_humanevalpack(language)
        if path is None:
            raise StudyError("the model hub, which has HumanEvalPack, cannot be reached: check the network")
        humanevalpack.read_rows(path, language)
        atomic_write(target, path.read_bytes())


def fetch_from_hub(repository: str, name: str, rows: Mapping[str, int], folder: Path) -> None:
    """Parquet files of a data set of the model hub, which must have so many rows a split."""
    import huggingface_hub

    with _arriving(folder) as scratch:
        try:
            huggingface_hub.snapshot_download(
                repository, repo_type="dataset", allow_patterns="*.parquet", local_dir=scratch / name
            )
        except Exception as error:  # no network, offline mode, no such data set: as many classes as libraries
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise StudyError(f"cannot fetch {repository} from the model hub: check the network ({reason})") from error
        counts = codexglue.count_rows(scratch / name)
        if any(counts[split] < least for split, least in rows.items()):
            raise StudyError(f"{repository} of the model hub has {counts} rows, not {dict(rows)}: it has changed")
        _put(scratch / name, folder / name)


@contextmanager
def _arriving(folder: Path) -> Iterator[Path]:
    """Folder for what is not verified yet, on the same disk; removed whatever happens."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".arriving-", dir=folder) as scratch:
        yield Path(scratch)


def _put(arrived: Path, place: Path) -> None:
    """Give what has arrived its place, where nothing is."""
    if place.exists():
        raise StudyError(f"{place} is there, but is not the whole benchmark: move it away, and fetch again")
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(arrived, place)


@contextmanager
def _answer(url: str, title: str) -> Iterator[requests.Response]:
    """A server's answer, whose errors are one line."""
    import requests

    try:
        with requests.get(url, stream=True, timeout=SECONDS) as answer:
            answer.raise_for_status()
            yield answer
    except (requests.RequestException, tarfile.TarError, EOFError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StudyError(f"cannot fetch {title} from {url}: check the network ({reason})") from error


def _chunks(answer: requests.Response, title: str) -> Iterator[bytes]:
    from tqdm.auto import tqdm

    total = int(answer.headers.get("Content-Length", 0)) or None
    with tqdm(desc=title, total=total, unit="B", unit_scale=True) as bar:
        for chunk in answer.iter_content(CHUNK):
            yield chunk
            bar.update(len(chunk))


class _Stream:
    """Chunks as a file that can be read once."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks, self.rest = chunks, b""

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end."""
        while len(self.rest) < size and (chunk := next(self.chunks, b"")):
            self.rest += chunk
        found, self.rest = self.rest[:size], self.rest[size:]
        return found


def _place_in_condefects(name: str) -> PurePosixPath | None:
    """Place below ``Code`` of a member of the archive; None if the study does not read it."""
    used = (condefects.CORRECT, condefects.FAULTY, condefects_faults.LABEL)
    match PurePosixPath(name).parts:
        case (_, "Code", task, "Python", submission, file) if file in used and submission.isdecimal():
            return PurePosixPath(task, "Python", submission, file) if condefects.TASK.fullmatch(task) else None
    return None


def _both_languages() -> Path | None:
    """Folder of both files; those of the hub's cache do not count."""
    folder = data_dir()
    found = folder / "humanevalpack" if folder else None
    there = found and all((found / f"{language}.jsonl").is_file() for language in humanevalpack.ROWS_SHA256)
    return found if there else None


def _verify_languages(folder: Path) -> None:
    for language in humanevalpack.ROWS_SHA256:
        humanevalpack.read_rows(folder / f"{language}.jsonl", language)


def _pinned(file: PinnedFile) -> Benchmark:
    return Benchmark(file.find, lambda folder: fetch_file(file, folder), file.verified)


def _of_hub(module: ModuleType, find: Callable[[], Path | None], rows: Mapping[str, int]) -> Benchmark:
    def get(folder: Path) -> None:
        fetch_from_hub(module.HUB, module.FOLDER, rows, folder)

    return Benchmark(find, get, lambda folder: folder)  # the loader counts what it reads


BENCHMARKS = {
    "humanevalpack": Benchmark(_both_languages, fetch_humanevalpack, _verify_languages),
    "defects4j": _pinned(defects4j.PUBLISHED),
    "humaneval_java": _pinned(humaneval_java.PUBLISHED),
    "humaneval_x": _pinned(humaneval_x.PUBLISHED),
    "condefects": Benchmark(condefects.find_condefects, fetch_condefects, condefects.verify),
    "bigclonebench": _of_hub(bigclonebench, bigclonebench.find_bigclonebench, bigclonebench.N_PAIRS),
    "poj104": _of_hub(poj104, poj104.find_poj104, poj104.N_PROGRAMS),
}
NAMES = {
    "humanevalpack-python": "humanevalpack",
    "humanevalpack-java": "humanevalpack",
    "humaneval-java": "humaneval_java",
    "humaneval-x-java": "humaneval_x",
    "humaneval-x-java-tested": "humaneval_x",
    "poj-104": "poj104",
}
"""What notebooks call them, where it is another name than that of the folder."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Fetch benchmarks of other people (all of them by default) into LLMEXP_DATA_DIR, and print where they are."""
    parser = argparse.ArgumentParser(prog="python -m llmexp_utils.fetch_benchmarks", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(BENCHMARKS)}")
    names = parser.parse_args(arguments).names or list(BENCHMARKS)
    folder, failed = os.environ.get("LLMEXP_DATA_DIR", "").strip(), False
    if not folder:
        sys.exit("error: set LLMEXP_DATA_DIR to the folder that the benchmarks shall be fetched into")
    for name in names:
        try:
            place = Path(folder).expanduser()
            place.mkdir(parents=True, exist_ok=True)
            print(f"{name}\t{fetch(name, place)}", flush=True)
        except (StudyError, OSError) as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            failed = True
    sys.exit(failed)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command fetches what is missing")
