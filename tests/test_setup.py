"""The set-up files agree with each other, and `make` installs once and says what is missing."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import llmexp_utils
from llmexp_utils import paths
from llmexp_utils.errors import StudyError

VERBS = ["study", "test", "lab", "record", "figures", "report", "clean"]
TESTS = "-m pytest -q --numprocesses 2 --dist loadfile --nbval-lax --nbval-cell-timeout 600 tests notebooks"
COPIED = ["Makefile", "requirements.lock", "pyproject.toml"]
# The default build of torch for Linux brings its own accelerator libraries, pinned by torch itself.
ACCELERATOR = re.compile("nvidia-|cuda-|triton")


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def pins(project: dict) -> list[str]:
    """Every requirement of the project, extras included, but for what only a cluster needs."""
    extras = [pins for name, pins in project["optional-dependencies"].items() if name != "cluster"]
    return project["dependencies"] + [pin for extra in extras for pin in extra]


@pytest.fixture(scope="module")
def lock(root: Path) -> dict[str, str]:
    """Version of each locked package by its canonical name."""
    rows = (root / "requirements.lock").read_text("utf-8").splitlines()
    return {canonicalize_name(name): version for name, version in (row.split("==") for row in rows)}


def test_lock_has_plain_pins_only(root: Path) -> None:
    rows = (root / "requirements.lock").read_text("utf-8").splitlines()
    assert [row for row in rows if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", row)] == []
    assert len({canonicalize_name(row.split("==")[0]) for row in rows}) == len(rows)


def test_project_pins_are_the_locked_ones(pins: list[str], lock: dict[str, str]) -> None:
    stated = dict(pin.split("==") for pin in pins)
    assert {canonicalize_name(name): version for name, version in stated.items()}.items() <= lock.items()


def test_build_backend_is_locked(root: Path, lock: dict[str, str]) -> None:
    build = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["build-system"]
    assert build["requires"] == [f"setuptools=={lock['setuptools']}"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems add packages of their own")
def test_lock_is_complete(pins: list[str], lock: dict[str, str]) -> None:
    """Nothing that a requirement pulls in is left to the day of the installation."""
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = [Requirement(pin) for pin in pins]
    while todo:
        wanted = todo.pop()
        key = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if key in seen or ACCELERATOR.match(key[0]):
            continue
        seen.add(key)
        for text in importlib.metadata.requires(wanted.name) or []:
            needed = Requirement(text)
            extras = [{"extra": extra} for extra in wanted.extras] or [{"extra": ""}]
            if needed.marker is None or any(needed.marker.evaluate(extra) for extra in extras):
                todo.append(needed)
    assert {name for name, _ in seen} - set(lock) == set()


def test_installed_versions_are_the_locked_ones(lock: dict[str, str]) -> None:
    installed = {name: importlib.metadata.version(name).split("+")[0] for name in lock}
    assert installed == lock


def test_licences_are_permissive(lock: dict[str, str]) -> None:
    """docutils is public domain and BSD; its GPL part is an editor mode that the wheel does not carry."""
    found = {}
    for name in lock:
        metadata = importlib.metadata.metadata(name)
        classifiers = [text for text in metadata.get_all("Classifier", []) if text.startswith("License")]
        found[name] = f"{metadata.get('License-Expression', '')} {classifiers}"
    assert [name for name, said in found.items() if re.search("GPL|General Public", said)] == ["docutils"]


def test_environment_is_the_lock_and_nothing_else(root: Path, project: dict) -> None:
    environment = yaml.safe_load((root / "environment.yml").read_text("utf-8"))
    python, pip, nested = environment["dependencies"]
    assert python == f"python {project['requires-python']}"
    assert pip == "pip"
    assert nested == {"pip": ["-r requirements.lock", "-e ."]}
    assert environment["name"] == project["name"]


def test_citation_agrees(root: Path, project: dict) -> None:
    citation = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == llmexp_utils.__version__
    assert citation["license"] == project["license"] == "MIT"
    assert "MIT License" in (root / "LICENSE").read_text("utf-8")


# make


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make as from a shell, not as a child of the make that runs the tests."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", *arguments]
    return subprocess.run(command, check=False, cwd=folder, env=clean | environment, capture_output=True, text=True)


@pytest.fixture
def fresh(tmp_path: Path, root: Path) -> Path:
    """A folder as in a clone, and a ``./python`` whose virtual environments only log what they are told."""
    for name in COPIED:
        shutil.copy(root / name, tmp_path)
    stub = f"""#!/bin/sh
test "$1" = -c && exec {sys.executable} "$@"
echo "$@" >> {tmp_path}/log
test "$2" = venv && mkdir -p "$4/bin" && cp "$0" "$4/bin/python"
exit 0
"""
    (tmp_path / "python").write_text(stub)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def log(folder: Path) -> list[str]:
    """Calls since the last look."""
    calls = (folder / "log").read_text().splitlines()
    (folder / "log").unlink()
    return calls


def test_help_is_the_default_and_lists_the_verbs(root: Path) -> None:
    said = make(root).stdout
    assert re.findall(r"^  make (\w+)", said, re.MULTILINE) == ["help", *VERBS]


def test_first_call_installs_and_second_starts_at_once(fresh: Path) -> None:
    assert make(fresh, "test", "PYTHON=./python").returncode == 0
    calls = log(fresh)
    assert calls[0] == "-m venv --clear .venv"
    assert any(call.endswith("-r requirements.lock") for call in calls)
    assert calls[-1] == TESTS
    assert make(fresh, "test", "PYTHON=./python").returncode == 0
    assert log(fresh) == [TESTS]


def test_touched_lock_installs_nothing_but_a_changed_one_does(fresh: Path) -> None:
    make(fresh, "test", "PYTHON=./python")
    log(fresh)
    (fresh / "requirements.lock").touch()
    make(fresh, "test", "PYTHON=./python")
    assert log(fresh) == [TESTS]
    with (fresh / "requirements.lock").open("a") as stream:
        stream.write("one-more==1.0\n")
    make(fresh, "test", "PYTHON=./python")
    calls = log(fresh)
    assert any(call.endswith("-r requirements.lock") for call in calls)
    assert not any("venv" in call for call in calls)


def test_failed_installation_is_tried_again(fresh: Path) -> None:
    text = (fresh / "python").read_text()
    (fresh / "python").write_text(text.replace("exit 0", 'test "$3" != install'))
    assert make(fresh, "test", "PYTHON=./python").returncode != 0
    assert not list((fresh / ".venv").glob(".ready*"))


@pytest.mark.parametrize("python", ["", "no-such-python"])
def test_no_fitting_python_is_one_clear_line(fresh: Path, python: str) -> None:
    result = make(fresh, "study", f"PYTHON={python}")
    assert result.returncode != 0
    ours = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert len(ours) == 1
    assert ours[0].startswith("error: ") and ours[0].endswith("make PYTHON=/path/to/python")


@pytest.mark.parametrize(
    ("verb", "call"),
    [
        ("study", "-m llmexp_utils.run study --profile smoke"),
        ("record", "-m llmexp_utils.run record"),
        ("figures", "-m llmexp_utils.run notebook 07_results --profile smoke --force"),
        ("report", "-m llmexp_utils.report"),
    ],
)
def test_verbs_call_the_command_line(fresh: Path, verb: str, call: str) -> None:
    make(fresh, verb, "PYTHON=./python", "PROFILE=smoke")
    assert log(fresh)[-1] == call


def test_ci_passes_on_the_exit_code(fresh: Path, root: Path) -> None:
    (fresh / ".ci").mkdir()
    shutil.copy(root / ".ci" / "run", fresh / ".ci")
    (fresh / "Makefile").write_text("test:\n\t@echo '3 passed in 0.1s'; exit 3\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["bash", fresh / ".ci" / "run"]
    result = subprocess.run(command, check=False, cwd="/", env=clean, capture_output=True, text=True)
    assert result.stdout == "3 passed in 0.1s\n"
    assert result.returncode == 2


# paths


def test_repository_is_found_from_anywhere(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (root, root / "tests", tmp_path):
        monkeypatch.chdir(folder)
        assert paths.repository() == root
    assert paths.gold_dir() == root / "data" / "gold"
    assert paths.recordings_dir() == root / "data" / "recordings"


def test_repository_outside_a_checkout_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "__file__", str(tmp_path / "site" / "llmexp_utils" / "paths.py"))
    with pytest.raises(StudyError, match="change to the folder"):
        paths.repository()


def test_data_dir_is_none_unless_it_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMEXP_DATA_DIR", raising=False)
    assert paths.data_dir() is None
    monkeypatch.setenv("LLMEXP_DATA_DIR", str(tmp_path / "missing"))
    assert paths.data_dir() is None
    monkeypatch.setenv("LLMEXP_DATA_DIR", str(tmp_path))
    assert paths.data_dir() == tmp_path


def test_atomic_write_replaces_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    assert paths.atomic_write(target, "naïve\n") == target
    assert target.read_bytes() == "naïve\n".encode()
    target.chmod(0o640)
    paths.atomic_write(target, b"\x00")
    assert target.read_bytes() == b"\x00"
    assert target.stat().st_mode & 0o777 == 0o640
    assert list(target.parent.iterdir()) == [target]


def test_atomic_write_that_fails_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")

    def refuse(source: str, destination: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        paths.atomic_write(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]
