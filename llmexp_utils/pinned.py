"""A published file that stands in one place, is verified before it is read, and is never shipped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmexp_utils.errors import StudyError
from llmexp_utils.paths import data_dir


@dataclass(frozen=True)
class PinnedFile:
    """What the file is called in messages, its place in ``LLMEXP_DATA_DIR``, its hash, and who published it.

    Examples
    --------
    >>> PinnedFile("Demo", "demo", "demo.json", "e3b0c442", "owner/demo, commit 1234567").advice
    'put demo.json of owner/demo, commit 1234567, into LLMEXP_DATA_DIR/demo'
    """

    title: str
    folder: str
    name: str
    sha256: str
    source: str

    @property
    def advice(self) -> str:
        """How to get it."""
        return f"put {self.name} of {self.source}, into LLMEXP_DATA_DIR/{self.folder}"

    def find(self) -> Path | None:
        """The file in ``LLMEXP_DATA_DIR``; None without it: no hub has it."""
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
