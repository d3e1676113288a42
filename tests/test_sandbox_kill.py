"""A study that is killed while it validates: nothing is lost, nothing is left."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmexp_utils.sandbox import Boundary

KILLS = 15
LONGEST = 2.0
SCRIPT = """
import sys
from llmexp_utils.sandbox import Job, Limits, run_programs
test = "def check(c):\\n    assert c(2) == 4\\n"
kinds = ["def f(x): return x + x", "def f(x): return x", "def f(x): return 1 / 0", "def f(x"]
kinds.append("def f(x):\\n    while True: pass")
jobs = [Job(str(n), f"{kinds[4 if n == 40 else n % 4]}\\nopen('left', 'w')\\n# {n}", test, "f") for n in range(400)]
for o in run_programs(jobs, Limits(seconds=3, cpu=1, boundary=sys.argv[2]), 2, sys.argv[1], progress=False):
    print(o.job_id, o.verdict, o.detail)
"""


def alive(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def descendants(root: int) -> set[str]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[path.parent.name] = path.read_text().rsplit(")", 1)[1].split()[1]
        except OSError:
            continue
    found = {str(root)}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends workers with their parent")
@pytest.mark.parametrize("boundary", [Boundary.FULL, Boundary.CONFINED])
def test_killed_at_any_moment_and_run_again(boundary: Boundary, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = os.environ | {"TMPDIR": str(temporary)}

    def start(cache: str) -> subprocess.Popen:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / cache), boundary]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    undisturbed = start("undisturbed").communicate()[0]
    assert len(undisturbed.splitlines()) == 400 and "timeout" in undisturbed
    chance, growing = random.Random(0), [0]
    for _ in range(KILLS if boundary == Boundary.FULL else 3):
        process = start("killed")
        time.sleep(chance.uniform(0.1, LONGEST))
        family = descendants(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        end = time.monotonic() + 10
        while any(map(alive, family)) and time.monotonic() < end:
            time.sleep(0.01)
        assert not [pid for pid in family if alive(pid)]
        while list(temporary.iterdir()) and time.monotonic() < end:
            time.sleep(0.01)
        assert not list(temporary.iterdir())
        cache = tmp_path / "killed"
        growing.append(len(cache.read_text().splitlines()) if cache.exists() else 0)
    assert growing == sorted(growing) and growing[-1] > 0, "each run goes on where the last was killed"
    assert start("killed").communicate()[0] == undisturbed
    rows = [json.loads(line)["key"] for line in (tmp_path / "killed").read_text().splitlines() if line.endswith("}")]
    assert len(set(rows)) == 400
