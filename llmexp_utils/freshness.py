"""What a notebook's result depends on, as a fingerprint: a run is repeated when a part of it changed.

The parts are its code (comments and prose apart), the values of its parameters, the modules of this package
that it imports, directly or through others, and the content of the files it reads. What it wrote is
recorded with the fingerprint, so that a result that was removed or edited by hand is made again.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from llmexp_utils.errors import RunFailed, StudyError
from llmexp_utils.notebooks import Cell
from llmexp_utils.params import Params
from llmexp_utils.paths import INDEX, atomic_write

PACKAGE = Path(__file__).resolve().parent
NOT_FOLLOWED = {"__init__", "params", "notebook_params"}
"""Modules that only check parameters; their values are in the fingerprint themselves."""


PROVENANCE = "provenance"
"""Folder, beside results, of what says where they come from (:mod:`llmexp_utils.study`)."""


@dataclass(frozen=True)
class Record:
    """A successful run: what it depended on, what it wrote (path: hash), how many seconds it took, by which code."""

    fingerprint: dict[str, str]
    outputs: dict[str, str]
    seconds: float
    finished: str = ""
    provenance: dict[str, str] = field(default_factory=dict)


def fingerprint(
    cells: Sequence[Cell],
    params: Params,
    root: Path,
    package: Path = PACKAGE,
    hash_of: Callable[[Path], str] | None = None,
) -> dict[str, str]:
    """Everything a notebook's result depends on, as readable names and hashes of their content.

    ``hash_of`` stands for :func:`content_hash`, where many ask for the same files.

    Examples
    --------
    >>> class Demo(Params):
    ...     n: int
    >>> fingerprint([Cell("markdown", "# Prose"), Cell("code", "n: int = 1  # help", ("parameters",))],
    ...             Demo.check({"n": 2}), Path("."))
    {'code': 'e3b0c44298fc1c14', 'parameter n': '2'}
    """
    hash_of = hash_of or content_hash
    code = [cell.source for cell in cells if cell.kind == "code" and "parameters" not in cell.tags]
    parts = {"code": _hash("\n".join(_plain_code(source) for source in code))}
    for name, value in params.model_dump().items():
        parts[f"parameter {name}"] = json.dumps(value, ensure_ascii=False)
        own = [text for text in value if str(text).endswith(".jsonl")] if isinstance(value, list) else []
        parts |= {f"file {text}": hash_of(root / text) for text in own}  # benchmarks of one's own
    for module in imported_modules(code, package):
        parts[f"module {module}"] = _module_hash(package, module)
    replayed = params.names("replays") if getattr(params, "mode", "") == "replay" else []
    for name in [*params.names("reads"), *replayed]:
        path = getattr(params, name)
        parts[f"file {path}"] = hash_of(root / path)
    return parts


def digest(parts: dict[str, str]) -> str:
    """One short text for a fingerprint."""
    return _hash(json.dumps(parts, sort_keys=True))


def changes(record: Record | None, parts: dict[str, str], root: Path) -> list[str]:
    """Why a notebook has to run, in words; empty when its last result stands."""
    if record is None:
        return ["it has not run yet"]
    names = sorted(record.fingerprint.keys() | parts.keys())
    changed = [f"{name} changed" for name in names if record.fingerprint.get(name) != parts.get(name)]
    return changed + lost(record, root)


def lost(record: Record | None, root: Path) -> list[str]:
    """Results of the last success that no longer stand as they were written, in words."""
    known = record.outputs if record else {}
    now = {path: content_hash(root / path) for path in known}
    return [f"{path} was {'changed' if now[path] else 'removed'}" for path in known if now[path] != known[path]]


def outputs(params: Params, root: Path, started: float) -> dict[str, str]:
    """Hashes of what a run wrote: each declared file, and of each declared folder the newer files.

    Parameters
    ----------
    params : Params
        The notebook's parameters; its ``Writes`` fields are looked at.
    root : Path
        Folder to which the paths are relative.
    started : float
        Time of the start, in seconds since the epoch.

    Raises
    ------
    RunFailed
        If a declared file or folder is missing.
    """
    found: dict[str, str] = {}
    for name in params.names("writes"):
        target = root / getattr(params, name)
        if not target.exists():
            raise RunFailed(f"{params.notebook}: ended without writing {getattr(params, name)} ('{name}')")
        files = [path for path in _files(target) if target.is_file() or path.stat().st_mtime >= started]
        found |= {os.path.relpath(path, root): content_hash(path) for path in files if _is_result(path)}
    return found


def _is_result(path: Path) -> bool:
    """Where results come from differs from run to run of the same ones; the index lists those of other runs, too."""
    return path.parent.name != PROVENANCE and path.name != INDEX


def content_hash(path: Path) -> str:
    """Hash of a file, or of a folder's files and their names; empty when there is nothing."""
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    listed = [f"{file.relative_to(path).as_posix()} {content_hash(file)}" for file in _files(path)]
    return _hash("\n".join(listed)) if listed else ""


def imported_modules(sources: Iterable[str], package: Path = PACKAGE) -> list[str]:
    """Modules of this package that the sources import, directly or through each other, sorted."""
    found: set[str] = set()
    waiting = list(sources)
    while waiting:
        for module in _direct_imports(waiting.pop(), package) - found:
            found.add(module)
            waiting.append((package / f"{module}.py").read_text(encoding="utf-8"))
    return sorted(found)


def modules_hash(modules: Iterable[str], package: Path = PACKAGE) -> str:
    """One hash of the code of some modules; comments, layout and docstrings do not count."""
    return _hash("\n".join(_module_hash(package, module) for module in sorted(modules)))


def read_record(path: Path) -> Record | None:
    """Record of the last successful run; None when there is none that can be read."""
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_record(path: Path, record: Record) -> None:
    """Record a successful run; a file that it wrote is no longer a result of any earlier run."""
    for other in path.parent.glob("*.json"):
        earlier = read_record(other)
        if earlier and earlier.outputs.keys() & record.outputs.keys():
            kept = {file: known for file, known in earlier.outputs.items() if file not in record.outputs}
            _write(other, replace(earlier, outputs=kept))
    _write(path, replace(record, finished=time.strftime("%Y-%m-%dT%H:%M:%S%z")))


def _write(path: Path, record: Record) -> None:
    atomic_write(path, json.dumps(asdict(record), indent=1) + "\n")


@functools.cache
def _direct_imports(source: str, package: Path) -> frozenset[str]:
    """Modules named in any import statement, also inside functions, where the heavy ones are."""
    names: set[str] = set()
    for node in ast.walk(_parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = f"{package.name}.{node.module or ''}".rstrip(".") if node.level else node.module or ""
            names.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".py"):
            names.add(f"{package.name}.{node.value.removesuffix('.py')}")  # a script that is started
    parts = [name.split(".") for name in names]
    modules = {part[1] for part in parts if part[0] == package.name and len(part) > 1}
    return frozenset(name for name in modules - NOT_FOLLOWED if (package / f"{name}.py").is_file())


def _module_hash(package: Path, module: str) -> str:
    """Hash of a module's code and of the tables of the same name beside it."""
    tables = sorted(path for path in package.glob(f"{module}.*") if path.suffix in (".json", ".toml"))
    code = _plain_code((package / f"{module}.py").read_text(encoding="utf-8"))
    return _hash("\n".join([code, *(content_hash(path) for path in tables)]))


@functools.cache
def _plain_code(source: str) -> str:
    """Code without comments, layout and docstrings."""
    tree = _parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
                node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def _parse(source: str) -> ast.Module:
    """Syntax tree of a cell or module; lines that are for IPython alone are left out."""
    try:
        return ast.parse(re.sub(r"(?m)^[%!?].*$", "", source))
    except SyntaxError as error:
        raise StudyError(f"this code does not parse ({error.msg}): {(error.text or '').strip()}") from error


def _files(path: Path) -> list[Path]:
    """The file itself, or a folder's files in a fixed order (hidden ones are temporary)."""
    if path.is_file():
        return [path]
    found = (file for file in path.rglob("*") if file.is_file())
    return sorted(file for file in found if not re.search(r"(^|/)\.", file.relative_to(path).as_posix()))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
