"""Benchmarks of other people from a server on loopback that stands in for the public ones."""

from __future__ import annotations

import functools
import hashlib
import http.server
import inspect
import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmexp_utils import condefects, defects4j, fetch_benchmarks, humaneval_java, humaneval_x, pinned, poj104
from llmexp_utils.errors import StudyError
from llmexp_utils.fetch_benchmarks import BENCHMARKS, Benchmark, fetch, fetch_file, main
from llmexp_utils.paths import data_dir
from llmexp_utils.pinned import PinnedFile

CONTENT = b'{"demo": 1}\n'
DEMO = PinnedFile("Demo", "demo", "d.json", hashlib.sha256(CONTENT).hexdigest(), "owner/demo", "c" * 40, "in/d.json")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files; one whose name begins with ``short`` breaks off."""

    asked: list[str] = []

    def do_GET(self) -> None:
        """Note the question and answer it."""
        self.asked.append(self.path)
        super().do_GET()

    def copyfile(self, source: io.BufferedReader, outputfile: io.BufferedWriter) -> None:
        """Send a file, or half of it."""
        data = source.read()
        outputfile.write(data[: len(data) // 2] if "short" in self.path else data)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folder that the server serves as files and archives of public repositories."""
    folder = tmp_path / "public"
    folder.mkdir()
    handler = type("Served", (Handler,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(pinned, "RAW", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(fetch_benchmarks, "ARCHIVES", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(sys.modules[__name__], "ASKED", handler.asked)
    yield folder
    server.shutdown()
    server.server_close()


ASKED: list[str] = []


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that LLMEXP_DATA_DIR names."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("LLMEXP_DATA_DIR", str(folder))
    monkeypatch.setitem(BENCHMARKS, "demo", Benchmark(DEMO.find, lambda to: fetch_file(DEMO, to), DEMO.verified))
    return folder


def left(folder: Path) -> list[str]:
    """What is in a folder, locks apart."""
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


def publish(folder: Path, path: str, content: bytes) -> None:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def archive(members: dict[str, str]) -> bytes:
    """A compressed archive of texts."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as files:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            files.addfile(info, io.BytesIO(text.encode()))
    return packed.getvalue()


def test_a_file_is_fetched_once_and_verified(public: Path, home: Path) -> None:
    publish(public, f"owner/demo/{'c' * 40}/in/d.json", CONTENT)
    assert fetch("demo", home) == home / "demo" / "d.json"
    assert DEMO.read(DEMO.find()) == {"demo": 1}
    assert fetch("demo", home) and ASKED == [f"/owner/demo/{'c' * 40}/in/d.json"]
    assert left(home) == ["demo"]


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("in/d.json", CONTENT + b" ", "is not Demo as published"),
        ("in/short.json", CONTENT, r"cannot fetch Demo from http.*: check the network \(.*IncompleteRead"),
        ("in/other.json", CONTENT, r"cannot fetch Demo from http.*404"),
    ],
)
def test_nothing_is_left_of_what_is_not_the_published_file(
    public: Path, home: Path, path: str, content: bytes, message: str
) -> None:
    file = PinnedFile(*(DEMO.title, DEMO.folder, DEMO.name, DEMO.sha256, DEMO.repository, DEMO.commit, path))
    publish(public, f"owner/demo/{'c' * 40}/{path.replace('other', 'd')}", content)
    with pytest.raises(StudyError, match=message):
        fetch_file(file, home)
    assert not list(home.iterdir())


def test_a_file_of_ones_own_is_never_replaced(public: Path, home: Path) -> None:
    publish(home, "demo/d.json", b"mine")
    with pytest.raises(StudyError, match="demo is there, but not as it was published; remove it, and fetch again"):
        fetch("demo", home)
    assert (home / "demo" / "d.json").read_bytes() == b"mine" and not ASKED


def test_of_condefects_the_programs_that_are_used_are_unpacked(
    public: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = {"abc221_a/Python/1/correctVersion.py": "print(1)\n", "abc221_a/Python/1/faultyVersion.py": "print(2)\n"}
    used = programs | {"abc221_a/Python/1/faultLocation.txt": "1\n"}
    others = ["abc221_a/Java/2/correctVersion.java", "abc100_a/Python/1/correctVersion.py", "../../evil.py"]
    others += ["abc221_a/Python/../correctVersion.py"]
    members = {f"ConDefects-43f0834/Code/{name}": text for name, text in (used | dict.fromkeys(others, "x")).items()}
    publish(public, f"{condefects.REPOSITORY}/tar.gz/{condefects.COMMIT}", archive(members))
    with pytest.raises(StudyError, match="is not ConDefects as it was published"):
        fetch("condefects", home)
    assert not left(home)
    for name, text in programs.items():
        publish(tmp_path / "expected", name, text.encode())
    monkeypatch.setattr(condefects, "PROGRAMS_SHA256", condefects.programs_hash(tmp_path / "expected"))
    tasks = fetch("condefects", home)
    found = {path.relative_to(tasks).as_posix(): path.read_text() for path in tasks.rglob("*") if path.is_file()}
    assert found == used and left(home) == ["condefects"] and not list(tmp_path.rglob("evil.py"))


def test_a_broken_archive_is_one_line(public: Path, home: Path) -> None:
    publish(public, f"{condefects.REPOSITORY}/tar.gz/{condefects.COMMIT}", archive({"a/Code/x": "1" * 999})[:40])
    with pytest.raises(StudyError, match="cannot fetch ConDefects from"):
        fetch("condefects", home)
    assert not left(home)


def test_data_sets_of_the_hub_are_parquet_files_with_the_published_rows(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub
    import pandas as pd

    signature = inspect.signature(huggingface_hub.snapshot_download)
    sizes = {"train": 32_500, "validation": 8_500, "test": 11_000}  # of its card, the last one apart

    def download(*given: object, **named: object) -> None:
        asked = signature.bind(*given, **named).arguments
        assert asked["repo_type"] == "dataset" and asked["repo_id"].endswith("poj104")
        folder = Path(asked["local_dir"]) / "data"
        folder.mkdir(parents=True)
        for split, size in sizes.items():
            pd.DataFrame({"id": range(size)}).to_parquet(folder / f"{split}-00000-of-00001.parquet")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(StudyError, match="'test': 11000} rows, not .*'test': 12000}: it has changed"):
        fetch("poj-104", home)
    assert not left(home)
    sizes["test"] = 12_000
    assert fetch("poj-104", home) == home / "poj104", "by the name that notebooks use"

    def refuse(*given: object, **named: object) -> None:
        raise OSError("offline\nmore")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(StudyError, match=r"from the model hub: check the network \(offline\)$"):
        fetch("bigclonebench", home)


def test_half_a_benchmark_of_ones_own_is_left_alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    publish(home, "poj104/train.jsonl", b"mine")
    monkeypatch.setattr(
        fetch_benchmarks.codexglue, "count_rows", lambda folder: dict.fromkeys(poj104.N_PROGRAMS, 10**9)
    )
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, local_dir, **__: local_dir.mkdir())
    with pytest.raises(StudyError, match="poj104 is there, but is not the whole benchmark: move it away"):
        fetch("poj104", home)
    assert (home / "poj104" / "train.jsonl").read_bytes() == b"mine"


def test_the_command_fetches_what_it_can(
    public: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(public, f"owner/demo/{'c' * 40}/in/d.json", CONTENT)
    with pytest.raises(SystemExit) as ended:
        main(["defect4j", "demo"])
    out, err = capsys.readouterr()
    assert ended.value.code == 1 and out == f"demo\t{home / 'demo' / 'd.json'}\n"
    assert "error: unknown benchmark 'defect4j': did you mean 'defects4j'?" in err
    monkeypatch.setenv("LLMEXP_DATA_DIR", str(home / "demo" / "d.json"))  # a file
    with pytest.raises(SystemExit):
        main(["demo"])
    assert capsys.readouterr().err.startswith("error: ")
    monkeypatch.delenv("LLMEXP_DATA_DIR")
    with pytest.raises(SystemExit, match="error: set LLMEXP_DATA_DIR"):
        main(["demo"])


def test_the_module_runs_as_a_command(root: Path) -> None:
    command = [sys.executable, "-m", "llmexp_utils.fetch_benchmarks", "--help"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert "defects4j" in done.stdout


@pytest.mark.skipif(not (data_dir() and defects4j.find_defects4j()), reason="needs LLMEXP_DATA_DIR with the benchmarks")
def test_published_files_come_through(public: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own, fetched = data_dir(), tmp_path / "fetched"
    files = [file for file in (defects4j.PUBLISHED, humaneval_java.PUBLISHED, humaneval_x.PUBLISHED) if file.find()]
    for file in files:
        publish(public, f"{file.repository}/{file.commit}/{file.path}", file.find().read_bytes())
    if tasks := condefects.find_condefects():
        texts = {path: path.read_bytes() for path in tasks.glob("*/Python/*/*")}
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as packing:
            for path in texts:
                packing.add(path, f"ConDefects/Code/{path.relative_to(tasks)}")
        publish(public, f"{condefects.REPOSITORY}/tar.gz/{condefects.COMMIT}", packed.getvalue())
    monkeypatch.setenv("LLMEXP_DATA_DIR", str(fetched))
    fetched.mkdir()
    names = [file.folder for file in files] + (["condefects"] if tasks else [])
    for name in names:
        assert fetch(name, fetched).is_relative_to(fetched) and not fetch(name, fetched).is_relative_to(own)
