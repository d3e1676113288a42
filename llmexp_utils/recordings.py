"""Recorded answers of generators: append-only JSONL, looked up by what was asked.

The key of an answer covers everything that decides it: the model file, the messages, and the decoding parameters with
their seed. A study that replays needs no weights; a changed prompt is a missing key, never a stale answer.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmexp_utils.errors import StudyError
from llmexp_utils.prompts import Message


@dataclass(frozen=True, slots=True)
class Decoding:
    """Sampling parameters of one request; ``seed`` tells repeated requests with the same prompt apart."""

    temperature: float
    top_p: float
    max_tokens: int
    seed: int


def prompt_hash(messages: Sequence[Message]) -> str:
    """SHA-256 of a chat."""
    return hashlib.sha256(json.dumps(list(messages), sort_keys=True).encode()).hexdigest()


def request_key(model: str, messages: Sequence[Message], decoding: Decoding) -> str:
    """Key of a request: ``model`` is the hash of the model file, or the endpoint's name for it."""
    asked = {"model": model, "prompt": prompt_hash(messages), **asdict(decoding)}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:32]


class Recordings:
    """One JSONL file of answers.

    Parameters
    ----------
    path : Path
        The file; one that does not exist holds no answers. A last line cut short by a kill is dropped and asked again;
        any other malformed line raises :class:`StudyError` with its number.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._load()

    def _load(self) -> None:
        self._places: dict[str, int] = {}  # where each answer's line begins: the answers themselves stay in the file
        self._torn = place = 0  # bytes of a last line that was cut short; of the lines before this one
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    self._torn = len(line)
                    return
                try:
                    self._places[_record(line)["key"]] = place
                except (ValueError, KeyError, TypeError) as error:
                    raise StudyError(f"{self.path}, line {number}: not a recording ({error})") from error
                place += len(line)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __getitem__(self, key: str) -> dict[str, Any]:
        with self.path.open("rb") as lines:
            lines.seek(self._places[key])
            return _record(lines.readline())

    @contextmanager
    def writer(self) -> Iterator[Recordings]:
        """Hold the file for writing: read it again, cut a torn last line off; a second writer is refused."""
        import filelock

        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise StudyError(f"{self.path} is being written by another run: wait for it or stop it") from None
        try:
            self._load()  # another writer may have been at work since
            if self._torn:
                os.truncate(self.path, self.path.stat().st_size - self._torn)
                self._torn = 0
            yield self
        finally:
            lock.release()

    def append(self, record: dict[str, Any]) -> None:
        """Add one answer and write it through to the file."""
        with self.path.open("ab") as stream:
            place = stream.tell()
            stream.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        self._places[record["key"]] = place


def _record(line: bytes) -> dict[str, Any]:
    return json.loads(line.decode("utf-8", errors="replace"))


def agreement(folder: Path, reference: Path) -> dict[str, tuple[int, int]]:
    """How many answers two folders of recordings both hold, and how many of those are the same, by file name."""
    counts = {}
    for path in sorted(Path(folder).glob("*.jsonl")):
        one, other = Recordings(path), Recordings(Path(reference) / path.name)
        both = [key for key in one if key in other]
        counts[path.stem] = (len(both), sum(one[key]["answer"] == other[key]["answer"] for key in both))
    return counts
