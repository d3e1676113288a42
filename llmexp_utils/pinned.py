"""A published file that stands in one place, is verified before it is read, and is never shipped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmexp_utils.errors import StudyError
from llmexp_utils.paths import data_dir

RAW = "https://raw.githubusercontent.com"
"""Where a public repository's files are served one by one, as they were at a commit."""


def fetching(name: str) -> str:
    """The command that fetches a benchmark (:mod:`llmexp_utils.fetch_benchmarks`), for messages."""
    return f"run `python -m llmexp_utils.fetch_benchmarks {name}`"


@dataclass(frozen=True)
class PinnedFile:
    """A file of a public repository at one commit.

    Attributes
    ----------
    title : str
        What it is called in messages.
    folder, name : str
        Its place in ``LLMEXP_DATA_DIR``.
    sha256 : str
        Of its bytes.
    repository, commit, path : str
        ``owner/name``, the whole hash of the commit, and the file's place there.

    Examples
    --------
    >>> demo = PinnedFile("Demo", "demo", "demo.json", "e3b0c442", "owner/demo", "1234567" + 33 * "0", "data/demo.json")
    >>> demo.source
    'owner/demo, commit 1234567'
    """

    title: str
    folder: str
    name: str
    sha256: str
    repository: str
    commit: str
    path: str

    @property
    def source(self) -> str:
        """Who published it."""
        return f"{self.repository}, commit {self.commit[:7]}"

    @property
    def url(self) -> str:
        """Address of the file as it was at the commit."""
        return f"{RAW}/{self.repository}/{self.commit}/{self.path}"

    @property
    def advice(self) -> str:
        """How to get it."""
        own = f"put {self.name} of {self.source}, into LLMEXP_DATA_DIR/{self.folder}"
        return f"{fetching(self.folder)}, or {own}"

    def find(self) -> Path | None:
        """The file in ``LLMEXP_DATA_DIR``; None without it. Asks no network."""
        folder = data_dir()
        path = folder / self.folder / self.name if folder else None
        return path if path and path.is_file() else None

    def read(self, path: Path) -> Any:
        """Content of a JSON file; see :meth:`verified`."""
        return json.loads(self.verified(path))

    def verified(self, path: Path) -> bytes:
        """Bytes of the file.

        Raises
        ------
        StudyError
            If it is not the published one.
        """
        data = Path(path).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise StudyError(f"{path} is not {self.title} as published (wrong SHA-256): {self.advice}")
        return data
