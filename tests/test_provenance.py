"""Footer and stamp."""

from __future__ import annotations

import subprocess
import time
from importlib.metadata import version

from llmexp_utils import provenance


def git(folder, *arguments: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_footer_prints_one_fact_a_line(capsys):
    provenance.footer(time.perf_counter() - 2, profile="smoke", seeds=[0, 1], tokens=12345, rate=0.25)
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert list(lines) == ["seconds", "profile", "seeds", "tokens", "rate", "code", "machine", "versions"]
    assert 2 <= float(lines["seconds"]) < 10
    assert (lines["profile"], lines["seeds"], lines["tokens"]) == ("smoke", "2 (0, 1)", "12,345")
    assert f"{provenance.cores()} of " in lines["machine"] and f"numpy {version('numpy')}" in lines["versions"]


def test_packages_that_are_not_installed_are_left_out():
    assert provenance.versions(("numpy", "surely-not-installed")) == {"numpy": version("numpy")}


def test_commit_and_its_flag(tmp_path, monkeypatch):
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.commit(tmp_path) == "not under version control"
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "first")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "table").write_text("one")
    git(tmp_path, "add", "results")
    git(tmp_path, "commit", "-m", "second")
    (tmp_path / "results" / "table").write_text("written anew by an earlier notebook")
    clean = provenance.commit(tmp_path)
    assert clean.startswith("commit ") and "uncommitted" not in clean
    (tmp_path / "file").write_text("two")
    assert provenance.commit(tmp_path) == f"{clean}, with uncommitted changes"


def test_no_git_program_is_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit() == "not under version control"


def test_processor_is_named():
    assert provenance.cpu_model()
