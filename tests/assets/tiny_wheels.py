"""Wheels of a few kilobytes that stand for the real ones."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from llmexp_utils.asset_table import ASSETS, Asset

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


def register(monkeypatch: pytest.MonkeyPatch, asset: Asset, name: str = "split") -> Asset:
    monkeypatch.setitem(ASSETS, name, asset)
    return asset
