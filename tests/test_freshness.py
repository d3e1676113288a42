"""What a notebook's result depends on, and what a run is recorded to have written."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import ClassVar

import pytest

from llmexp_utils import freshness
from llmexp_utils.errors import RunFailed
from llmexp_utils.notebook_params import NOTEBOOKS
from llmexp_utils.notebooks import Cell
from llmexp_utils.params import Params, Reads, Replays, Writes


class Demo(Params):
    notebook: ClassVar[str] = "demo"
    n: int
    table: Reads
    figure: Writes


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "llmexp_utils"
    folder.mkdir()
    (folder / "outer.py").write_text('"""Doc."""\ndef f():\n    from llmexp_utils.inner import g\n    return g\n')
    (folder / "inner.py").write_text("from . import deep\nSCRIPT = 'child.py'\n")
    for name in ("deep", "child", "other", "params"):
        (folder / f"{name}.py").write_text("x = 1\n")
    return folder


def demo_print(package: Path, code: str = "from llmexp_utils import outer", n: int = 1) -> dict[str, str]:
    params = Demo.check({"n": n, "table": "table.csv", "figure": "figure.png"})
    cells = [
        Cell("markdown", "# Prose"),
        Cell("code", "n: int = 0  # x", ("parameters",)),
        Cell("code", code),
    ]
    return freshness.fingerprint(cells, params, package.parent, package)


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def test_modules_are_followed_through_imports_in_functions_and_started_scripts(package: Path) -> None:
    assert freshness.imported_modules(["%matplotlib inline\nimport llmexp_utils.outer as o"], package) == [
        "child",
        "deep",
        "inner",
        "outer",
    ]
    assert freshness.imported_modules(["from llmexp_utils.params import Params"], package) == []


def test_prose_comments_and_docstrings_change_nothing(package: Path) -> None:
    before = demo_print(package)
    (package / "outer.py").write_text(
        '"""Other."""\n# why\ndef f():\n\n    from llmexp_utils.inner import g\n    return g'
    )
    assert demo_print(package, "# why\nfrom llmexp_utils  import outer  # so\n") == before


def test_code_values_modules_tables_and_files_each_change_their_part(package: Path) -> None:
    before = demo_print(package)
    assert changed(before, demo_print(package, "from llmexp_utils import outer\nx = 1")) == ["code"]
    assert changed(before, demo_print(package, n=2)) == ["parameter n"]
    (package / "deep.py").write_text("x = 2\n")
    (package / "inner.json").write_text("{}")
    (package.parent / "table.csv").write_text("a")
    (package / "other.py").write_text("x = 2\n")
    assert changed(before, demo_print(package)) == ["file table.csv", "module deep", "module inner"]


class Named(Params):
    notebook: ClassVar[str] = "named"
    benchmarks: list[str]


def test_a_benchmark_of_ones_own_is_a_file_like_any_other(tmp_path: Path) -> None:
    params = Named.check({"benchmarks": ["humaneval", "own.jsonl"]})
    before = freshness.fingerprint([], params, tmp_path)
    (tmp_path / "own.jsonl").write_text("{}")
    assert changed(before, freshness.fingerprint([], params, tmp_path)) == ["file own.jsonl"]


class Replaying(Params):
    notebook: ClassVar[str] = "replaying"
    recordings: Replays
    mode: str


def test_recorded_answers_are_read_in_replay_and_added_to_in_record(tmp_path: Path) -> None:
    found = {}
    for mode, expected in (("replay", ["file answers"]), ("record", [])):
        params = Replaying.check({"recordings": "answers", "mode": mode})
        found[mode] = freshness.fingerprint([], params, tmp_path)
        (tmp_path / "answers").mkdir(exist_ok=True)
        (tmp_path / "answers" / "line.jsonl").write_text(mode)
        assert changed(found[mode], freshness.fingerprint([], params, tmp_path)) == expected
    assert {name for name, model in NOTEBOOKS.items() if model.names("replays")} == {
        "02_inject_faults",
        "03_write_clones",
        "08_real_benchmarks",
    }


def test_a_folder_is_its_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "data" / "sub").mkdir(parents=True)
    assert freshness.content_hash(tmp_path / "data") == freshness.content_hash(tmp_path / "none") == ""
    (tmp_path / "data" / "sub" / "a").write_text("1")
    first = freshness.content_hash(tmp_path / "data")
    (tmp_path / "data" / ".hidden").write_text("1")
    assert freshness.content_hash(tmp_path / "data") == first != ""
    (tmp_path / "data" / "sub" / "a").rename(tmp_path / "data" / "sub" / "b")
    assert freshness.content_hash(tmp_path / "data") != first


def test_of_a_shared_folder_only_what_the_run_wrote_is_recorded(tmp_path: Path) -> None:
    params = Demo.check({"n": 1, "table": "t", "figure": "figures"})
    with pytest.raises(RunFailed, match="demo: ended without writing figures"):
        freshness.outputs(params, tmp_path, 0.0)
    (tmp_path / "figures").mkdir()
    for name, age in (("old", 100), ("new", 0)):
        (tmp_path / "figures" / name).write_text(name)
        os.utime(tmp_path / "figures" / name, (time.time() - age,) * 2)
    assert list(freshness.outputs(params, tmp_path, time.time() - 50)) == ["figures/new"]


def test_a_file_belongs_to_the_last_run_that_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "figures").write_text("by two")
    content = freshness.content_hash(tmp_path / "figures")
    one, two = tmp_path / "records" / "1.json", tmp_path / "records" / "2.json"
    freshness.write_record(one, freshness.Record({}, {"figures": "older", "own": ""}, 1.0))
    freshness.write_record(two, freshness.Record({}, {"figures": content}, 1.0))
    assert freshness.read_record(one).outputs == {"own": ""}
    assert all(freshness.changes(freshness.read_record(path), {}, tmp_path) == [] for path in (one, two))
