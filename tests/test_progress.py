"""What a run shows of the bars inside a kernel: on a terminal, and in a log."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toy_study import make_study, write_toy

from llmexp_utils import progress

NAME = "01_benchmarks"
BARS = """
import time
from tqdm.auto import tqdm
for _ in tqdm(range(4), desc="counting"):
    time.sleep(0.8)
"""


def write(path: Path, *lines: str) -> None:
    with path.open("a") as stream:
        stream.write("".join(f"{line}\n" for line in lines))


def test_a_log_gets_a_line_now_and_then_and_the_end_of_what_it_spoke_of(tmp_path: Path) -> None:
    stream, path = io.StringIO(), tmp_path / "status"
    with progress.shown("05", path, stream, every=1.5):
        write(path, "live\tshort 1 of 2", "ended\tshort 2 of 2", "live\tlong 1 of 9")
        for n in (2, 3):
            time.sleep(2)
            write(path, f"live\tlong {n} of 9", f"live\tlong {n}.5 of 9")
        write(path, "ended\tlong 9 of 9")
    assert stream.getvalue() == "05: long 2 of 9\n05: long 3 of 9\n05: long 9 of 9\n"


def test_without_bars_a_log_stays_empty(tmp_path: Path) -> None:
    stream = io.StringIO()
    with progress.shown("05", tmp_path / "status", stream, every=0):
        pass
    assert stream.getvalue() == ""


@pytest.mark.parametrize("made", [False, True])
def test_the_state_of_the_outermost_live_bar_is_written(
    tmp_path: Path, made: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tqdm.std import tqdm

    path, looks = tmp_path / "status", iter(range(3))
    sink = io.StringIO()
    outer, inner = (tqdm(total=4, desc=name, file=sink) for name in ("outer", "inner")) if made else (None, None)

    def sleep(seconds: float) -> None:
        look = next(looks, None)
        if look is None:
            raise InterruptedError
        if made and look == 1:
            outer.update(2)
        if made and look == 2:
            inner.close()
            outer.close()

    monkeypatch.setattr(progress.time, "sleep", sleep)
    with pytest.raises(InterruptedError):
        progress._look(path)
    lines = path.read_text().splitlines() if path.exists() else []
    assert [line.split(" in ")[0] for line in lines] == (
        ["live\touter: 0 of 4", "live\touter: 2 of 4", "ended\touter: 2 of 4"] if made else []
    )


def test_a_terminal_shows_the_bar_of_a_real_kernel_and_the_notebook_keeps_its_own(tmp_path: Path) -> None:
    root = make_study(tmp_path / "toy", stub=False)
    write_toy(root, NAME, BARS)
    ours, theirs = pty.openpty()
    line = [sys.executable, "-m", "llmexp_utils.run", "notebook", NAME, "--profile", "smoke"]
    environment = {**os.environ, "LLMEXP_CHECKED": "1"}
    with subprocess.Popen(line, cwd=root, stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
        os.close(theirs)
        seen = b""
        while chunk := _read(ours):
            seen += chunk
    os.close(ours)
    shown = seen.decode().split(progress.CLEAR)
    assert process.returncode == 0, seen
    assert any(text.startswith(f"{NAME}: counting: ") and " of 4 in 00:0" in text for text in shown), shown
    assert shown[-1] == "" and "\n" not in seen.decode()
    cells = json.loads((root / "runs/smoke/executed" / f"{NAME}.ipynb").read_text())["cells"]
    kept = [output for cell in cells for output in cell.get("outputs", [])]
    assert "status" not in json.dumps(kept) and all(output["output_type"] != "error" for output in kept)


def _read(terminal: int) -> bytes:
    """What came in; empty when the other side has gone."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
