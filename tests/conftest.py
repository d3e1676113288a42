"""Settings of every test: no model hub, no window, one thread; and fixtures that several files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Set before any test module imports a library that reads them only once.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def root() -> Path:
    """Root of the repository."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder in place of the user's own."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("LLMEXP_CACHE_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def functions() -> list:
    """The 164 functions of HumanEval."""
    from llmexp_utils.benchmarks import load_humaneval

    return load_humaneval()


@pytest.fixture(scope="session")
def gold_clones() -> list:
    """The 164 clones of the gold set."""
    from llmexp_utils.gold_clones import read_clones
    from llmexp_utils.paths import gold_dir

    return read_clones(gold_dir() / "clones.jsonl")
