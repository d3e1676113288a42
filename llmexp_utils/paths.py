"""Where things are: the repository, the user's cache, the reader's own benchmarks; and safe writing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmexp_utils.errors import StudyError

INDEX = "index.md"
"""List of all figures and tables, in a folder of figures (:func:`llmexp_utils.tables.write_index`)."""


def repository() -> Path:
    """Root of the repository: the nearest one above the working folder, else the one that holds the package.

    Raises
    ------
    StudyError
        If neither place is inside a checkout of the study.
    """
    package = Path(__file__).resolve().parent
    for start in (Path.cwd().resolve(), package):
        for folder in (start, *start.parents):
            if (folder / "pyproject.toml").is_file() and (folder / package.name).is_dir():
                return folder
    raise StudyError("not inside a checkout of the study: change to the folder that holds its pyproject.toml")


def gold_dir() -> Path:
    """Folder of the embedded gold set."""
    return repository() / "data" / "gold"


def recordings_dir() -> Path:
    """Folder of the recorded generator answers."""
    return repository() / "data" / "recordings"


def data_dir() -> Path | None:
    """Folder of the reader's own copies of benchmarks (``LLMEXP_DATA_DIR``); None if unset or missing."""
    value = os.environ.get("LLMEXP_DATA_DIR", "").strip()
    folder = Path(value).expanduser()
    return folder if value and folder.is_dir() else None


def cache_dir() -> Path:
    """User cache folder for models and data (``LLMEXP_CACHE_DIR`` overrides it); created if missing."""
    import platformdirs

    value = os.environ.get("LLMEXP_CACHE_DIR", "").strip()
    folder = Path(value).expanduser().absolute() if value else platformdirs.user_cache_path("llmexp")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def atomic_write(path: str | Path, content: str | bytes) -> Path:
    """Write a file so that a reader (or a killed run) sees the old content or the new one, never a piece.

    Parameters
    ----------
    path : str or Path
        Target; missing parent folders are created.
    content : str or bytes
        Text is written as UTF-8 with unchanged line ends.

    Returns
    -------
    Path
        The target.
    """
    with atomic_target(path) as temporary:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return Path(path)


@contextmanager
def atomic_target(path: str | Path) -> Iterator[Path]:
    """Empty file that takes the place of ``path`` when the block ends, and vanishes if it fails; see atomic_write."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(_mode(target))
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _mode(target: Path) -> int:
    """Permissions the file has or, when it is new, would have got from a plain ``open``."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
