"""Command line of the study: ``python -m llmexp_utils.run study --profile smoke``.

Every parameter of every notebook, and what can be known of the files and servers that it needs
(:mod:`llmexp_utils.preflight`), is checked before the first kernel starts. The order, and what runs at the
same time, is Snakemake's business (``Snakefile``), here or, with ``--on profiles/slurm``, on a cluster; whether a
notebook runs is decided by :mod:`llmexp_utils.freshness`.
Exit codes: 0 done, 1 a notebook failed, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmexp_utils.errors import RunFailed, StudyError
from llmexp_utils.notebook_params import NOTEBOOKS
from llmexp_utils.paths import repository
from llmexp_utils.profiles import profile_path, read_profile
from llmexp_utils.progress import say
from llmexp_utils.provenance import cores
from llmexp_utils.study import Study, about, notebook_name, open_study, run_notebook
from llmexp_utils.sweep import Point, minutes, point_named, points_of, preflight_points, upstream

CHECKED = "LLMEXP_CHECKED"
"""Set for the notebooks of a study: what they need has been checked."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    _stop_on_signals()
    try:
        return options.command(options, repository())
    except (StudyError, FileNotFoundError) as error:
        return _fail(error, 2)
    except RunFailed as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        name = f"{options.name}: " if options.command in (notebook, point) else ""
        return _fail(f"{name}interrupted; the same command continues", 130)


def _stop_on_signals() -> None:
    """Let Ctrl-C, a termination and a lost terminal stop the run alike.

    A shell starts background jobs with SIGINT ignored, and so would Snakemake and the kernels: then nothing could stop
    them. ``nohup`` ignores SIGHUP on purpose, and that stays.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)


def study(options: argparse.Namespace, root: Path) -> int:
    """Run what is out of date, or with ``--only`` one notebook."""
    if options.only:
        options.name, options.params, options.force = options.only, None, False
        return notebook(options, root)
    again = notebook_name(options.start) if options.start else ""
    opened = open_study(root, profile_path(root / "params", options.profile))
    points_of(opened)  # the Snakefile reads them, too
    waiting = [name for name in opened.params if name == again or opened.changes(name)]
    _announce(opened, waiting)
    if not waiting:
        return 0
    _preflight(opened, waiting)
    started = time.monotonic()
    code = _snakemake(root, opened.profile.name, options, "all", again)
    if code == 0:
        print(f"profile {opened.profile.name}: complete after {about((time.monotonic() - started) / 60)[6:]}")
    elif not any(opened.failure_path(name).exists() for name in waiting):
        return _fail("Snakemake stopped before a notebook failed; its newest log in .snakemake/log says why", 1)
    return code


def notebook(options: argparse.Namespace, root: Path) -> int:
    """Run one notebook if it is out of date."""
    name = notebook_name(options.name)
    path = Path(options.params) if options.params else profile_path(root / "params", options.profile)
    opened = open_study(root, path, [name])
    if options.force or opened.changes(name):
        _preflight(opened, [name])
    run_notebook(opened, name, options.force)
    return 0


def sweep(options: argparse.Namespace, root: Path) -> int:
    """Run the points of a sweep that are out of date, and what they read; then collect their results."""
    opened, points = _open_sweep(options, root)
    waiting = [one for one in points.values() if one.changes()]
    total = about(minutes(list(points.values()), waiting, options.cores or cores())) if waiting else "all is up to date"
    print(f"profile {opened.profile.name}: {len(waiting)} of {len(points)} points to run, {total}", flush=True)
    if options.dry_run:
        print("\n".join(f"{one.notebook} [{one.name}]: {', '.join(one.changes())}" for one in waiting))
        return 0
    if not waiting:
        return collect(options, root)
    _preflight_points(opened, waiting)
    code = _snakemake(root, opened.profile.name, options, "sweep")
    points = points_of(opened)  # looked at anew
    left = [points[one.name] for one in waiting if points[one.name].changes()]
    if code == 0 and not left:
        return 0
    if options.on:  # elsewhere nobody heard them
        failed = [opened.failure_path(name) for name in upstream(left)]
        failed += [one.study.failure_path(one.notebook) for one in left]
        _fail("\n".join(path.read_text().strip() for path in failed if path.exists()), 1)
    collect(options, root)
    return _fail(f"{len(left)} of {len(points)} points are not done; the same command continues", 1)


def point(options: argparse.Namespace, root: Path) -> int:
    """Run one point of a sweep if it is out of date."""
    one = point_named(_open_sweep(options, root)[1], options.name)
    if options.force or one.changes():
        _preflight_points(None, [one])
    run_notebook(one.study, one.notebook, options.force)
    return 0


def collect(options: argparse.Namespace, root: Path) -> int:
    """Put the results of a sweep, as far as they stand, into its tables."""
    from llmexp_utils import sweep_table

    points = _open_sweep(options, root)[1]
    missing = sweep_table.collect(points)
    tables = ", ".join(str(path) for path in sweep_table.table_paths(points.values()))
    print(f"{len(points) - len(missing)} of {len(points)} points in {tables}")
    return 0


def _open_sweep(options: argparse.Namespace, root: Path) -> tuple[Study, dict[str, Point]]:
    opened = open_study(root, profile_path(root / "params", options.profile))
    points = points_of(opened)
    if not points:
        raise StudyError(f"{opened.profile.path.name}: has no section `sweep:` with lists of values")
    return opened, points


def record(options: argparse.Namespace, root: Path) -> int:
    """Run the notebooks that have a section in the file, in order and always."""
    path = Path(options.params) if options.params else root / "params" / "record.yaml"
    sections = read_profile(path, NOTEBOOKS).sections
    names = [name for name in NOTEBOOKS if name in sections]
    opened = open_study(root, path, names)
    _preflight(opened, names)
    for name in names:
        folder = getattr(opened.params[name], "recordings", "")
        if folder.startswith("runs/"):
            shutil.rmtree(root / folder, ignore_errors=True)  # ask again: what is on record is not asked
        run_notebook(opened, name, force=True)
    return 0


def check(options: argparse.Namespace, root: Path) -> int:
    """Check every parameter of a profile; run nothing."""
    opened = open_study(root, profile_path(root / "params", options.profile))
    points = points_of(opened)
    swept = f" and {len(points)} points of a sweep" if points else ""
    print(f"params/{opened.profile.path.name}: the parameters of {len(opened.params)} notebooks{swept} are valid")
    return 0


def _preflight(opened: Study, waiting: Sequence[str]) -> None:
    """Stop at what is known to go wrong; inside a study its notebooks have been checked together."""
    if os.environ.get(CHECKED):
        return
    from llmexp_utils.preflight import downstream, preflight

    for line in preflight(opened, downstream(opened, waiting)):
        say(f"warning: {line}", sys.stderr)


def _preflight_points(opened: Study | None, points: Sequence[Point]) -> None:
    """The same for points of a sweep, and for the notebooks of the study that they wait for."""
    if os.environ.get(CHECKED):
        return
    before = [name for name in upstream(points) if opened.changes(name)] if opened else []
    for line in preflight_points(opened, before, points):
        say(f"warning: {line}", sys.stderr)


def _announce(opened: Study, waiting: Sequence[str]) -> None:
    minutes = [opened.minutes(name) for name in waiting]
    total = about(sum(value or 0 for value in minutes)) if any(minutes) else "no estimate yet"
    plan = f"{len(waiting)} of {len(opened.params)} notebooks to run, {total}" if waiting else "all is up to date"
    print(f"profile {opened.profile.name}: {plan}", flush=True)


def _snakemake(root: Path, profile: str, options: argparse.Namespace, target: str, again: str = "") -> int:
    """Let Snakemake run what a target needs, in order; returns its exit code.

    Its own lock is off, because a killed run would leave it behind; each notebook has one that cannot stay.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile")]
    command += ["--directory", str(root), "--config", f"profile={profile}", *([f"again={again}"] if again else [])]
    command += ["--rerun-triggers", "params", "input", "--rerun-incomplete", "--nolock"]
    command += ["--forcerun", again.split("_", 1)[1]] if again else []
    if options.on:
        command += [
            "--profile",
            str(_executor(options.on)),
            *(["--cores", str(options.cores)] if options.cores else []),
        ]
    else:  # what asks for a GPU runs alone: nothing here deals them out
        command += ["--cores", str(options.cores or "all"), "--resources", "gpu=1", "--quiet", "all"]
    command += ["--keep-going"] if target == "sweep" else []  # a point that fails does not take the others with it
    command += ["--", target]
    # A group of its own: an interruption, from wherever it comes, reaches Snakemake and its notebooks once.
    process = subprocess.Popen(command, process_group=0, env={**os.environ, CHECKED: "1"})
    try:
        return process.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.wait()
        raise


def _executor(folder: str) -> Path:
    path = Path(folder).resolve()
    if not (path / "config.yaml").is_file():
        raise StudyError(f"{folder}/config.yaml does not exist: --on takes a folder such as profiles/slurm")
    return path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llmexp_utils.run", description="Run the study, or a part of it.")
    commands = parser.add_subparsers(
        required=True, metavar="study | notebook | sweep | point | collect | record | check"
    )
    profile = argparse.ArgumentParser(add_help=False)
    profile.add_argument("--profile", default="study", help="file params/PROFILE.yaml (default: study)")
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--cores", type=int, help="cores to use (default: all)")
    where.add_argument(
        "--on", metavar="DIR", help="Snakemake profile to run on, such as profiles/slurm (default: here)"
    )
    one = commands.add_parser("study", parents=[profile, where], help="run every notebook that is out of date")
    one.add_argument("--from", dest="start", metavar="NAME", help="run this one again, then what changed by it")
    one.add_argument("--only", metavar="NAME", help="run this notebook alone")
    one.set_defaults(command=study)
    two = commands.add_parser("notebook", parents=[profile], help="run one notebook if it is out of date")
    two.add_argument("name", metavar="NAME", help="notebook; its first characters are enough")
    two.add_argument("--params", metavar="FILE", help="parameter file, in place of a profile")
    two.add_argument("--force", action="store_true", help="run it even if nothing changed")
    two.set_defaults(command=notebook)
    three = commands.add_parser("record", help="ask the generator again")
    three.add_argument("--params", metavar="FILE", help="parameter file (default: params/record.yaml)")
    three.set_defaults(command=record)
    _add_sweep(commands, profile, where)
    four = commands.add_parser("check", parents=[profile], help="check all parameters, run nothing")
    four.set_defaults(command=check)
    return parser


def _add_sweep(commands: Any, profile: argparse.ArgumentParser, where: argparse.ArgumentParser) -> None:
    one = commands.add_parser("sweep", parents=[profile, where], help="run every point of a sweep that is out of date")
    one.add_argument("-n", "--dry-run", action="store_true", help="only show which points would run, and why")
    one.set_defaults(command=sweep)
    two = commands.add_parser("point", parents=[profile], help="run one point of a sweep if it is out of date")
    two.add_argument("name", metavar="NAME", help="the point, as `sweep --dry-run` shows it")
    two.add_argument("--force", action="store_true", help="run it even if nothing changed")
    two.set_defaults(command=point)
    three = commands.add_parser("collect", parents=[profile], help="put the results of a sweep into its tables")
    three.set_defaults(command=collect)


def _fail(error: object, code: int) -> int:
    for line in str(error).splitlines():
        say(f"error: {line}", sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
