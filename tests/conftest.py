"""Settings of every test: no model hub, no window, one thread; and fixtures that several files share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

# Set before any test module imports a library that reads them only once.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# A kernel's messages wait until its cell is done, and what comes beyond a thousand or so is lost: bars would fill that.
os.environ.setdefault("TQDM_MININTERVAL", "1")


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


@pytest.fixture
def say(
    tmp_path: Path, root: Path, functions: list, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., list[str]]:
    """Give the real command a profile; returns what it said on standard error. Nothing is run."""
    from llmexp_utils import preflight, run
    from llmexp_utils.paths import gold_dir, recordings_dir

    monkeypatch.setattr(preflight.benchmarks, "load_humaneval", lambda: functions)  # read once for all tests
    for name in ("llmexp_utils", "notebooks"):
        (tmp_path / name).symlink_to(root / name)
    (tmp_path / "pyproject.toml").write_text("")
    for folder in (gold_dir(), recordings_dir()):
        shutil.copytree(folder, tmp_path / "data" / folder.name)
    (tmp_path / "params").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(run.CHECKED, raising=False)
    monkeypatch.delenv("LLMEXP_DATA_DIR", raising=False)
    monkeypatch.setattr(run, "run_notebook", lambda *values, **names: None)
    monkeypatch.setattr(run, "_snakemake", lambda *values: 0)

    def command(profile: str, *words: str, code: int = 2) -> list[str]:
        (tmp_path / "params" / "mine.yaml").write_text(profile)
        end = ["--params", "params/mine.yaml"] if words[0] == "record" else ["--profile", "mine"]
        assert run.main([*words, *end]) == code
        return capsys.readouterr().err.splitlines()

    return command
