"""Where a result comes from: a footer to print in a notebook, and a stamp to store in a result file."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = (":(exclude)results", ":(exclude)figures")  # which a study writes anew
PACKAGES = ("numpy", "pandas", "scikit-learn", "torch", "transformers", "xllamacpp")


def footer(start: float, **facts: object) -> None:
    """Print what a reader needs to judge and repeat a run; the last cell of every notebook.

    Parameters
    ----------
    start : float
        ``time.perf_counter()`` of the first cell; the elapsed time is printed in seconds.
    **facts
        What the notebook knows: ``profile="smoke"``, ``seeds=[0, 1, 2]``, ``tokens=12_345``...

    Examples
    --------
    >>> footer(time.perf_counter(), profile="smoke", seeds=[0, 1])  # doctest: +SKIP
    seconds   0.0
    profile   smoke
    seeds     2 (0, 1)
    code      commit 1a2b3c4
    machine   Linux x86_64, 2 of 2 cores, Some CPU
    versions  python 3.12.4, numpy 2.4.6, torch 2.13.0
    """
    rows = {"seconds": f"{time.perf_counter() - start:.1f}"}
    rows |= {name: _text(value) for name, value in facts.items()}
    rows["code"] = commit()
    rows["machine"] = machine()
    rows["versions"] = _installed()
    width = max(map(len, rows))
    print("\n".join(f"{name:<{width}}  {text}" for name, text in rows.items()))


def stamp() -> dict[str, str]:
    """What is recorded with a result: the commit, the versions of what computed it, and on what."""
    return {"commit": commit(), "versions": _installed(), "machine": machine()}


def machine() -> str:
    """System, cores and processor."""
    return f"{platform.system()} {platform.machine()}, {cores()} of {os.cpu_count()} cores, {cpu_model()}"


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of those packages that are installed; none is imported."""
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit(folder: str | Path | None = None) -> str:
    """Short hash of the commit that is checked out, with a flag if tracked files differ from it, results apart."""
    root = Path(folder) if folder else Path(__file__).resolve().parents[1]
    number = _git(root, "rev-parse", "--short", "HEAD")
    if not number:
        return "not under version control"
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *RESULTS)
    return f"commit {number}{', with uncommitted changes' if changed else ''}"


def cpu_model() -> str:
    """Name of the processor, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def cores() -> int:
    """Number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _installed() -> str:
    installed = {"python": platform.python_version()} | versions()
    return ", ".join(f"{name} {number}" for name, number in installed.items())


def _git(folder: Path, *arguments: str) -> str:
    """Output of a git command; empty if there is no git, no repository, or it takes too long."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, list | tuple | set | range):
        return f"{len(value)} ({', '.join(map(str, value))})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
