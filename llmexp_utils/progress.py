"""Progress of a notebook that runs in a kernel, on the terminal of the run.

Bars in a kernel are widgets of the executed notebook: no text of them leaves it. So a kernel extension looks at the
live bars once a second and writes their state to a file, and the run shows it: on a terminal as one line that is
written over, elsewhere as a line now and then.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

STATUS = "LLMEXP_STATUS"
"""Environment variable of a kernel: the file for the state of its bars."""
LOOK_SECONDS = 1.0
LINE_SECONDS = 30.0
CLEAR = "\r\x1b[K"
FORMAT = "{desc}: {n_fmt} of {total_fmt} in {elapsed}, {remaining} left"


def say(line: str, stream: TextIO) -> None:
    """Print a line, in place of the progress that may stand on the terminal."""
    print(f"{CLEAR if stream.isatty() else ''}{line}", file=stream, flush=True)


def announce(line: str) -> None:
    """Print a line in a notebook, and on the terminal of its run if it has one."""
    print(line)
    if os.environ.get(STATUS):
        _write(Path(os.environ[STATUS]), f"said\t{line}")


def load_ipython_extension(shell: object) -> None:
    """Start looking at the bars of this kernel, if somebody wants to know."""
    if os.environ.get(STATUS):
        threading.Thread(target=_look, args=(Path(os.environ[STATUS]),), daemon=True).start()


def _look(path: Path) -> None:
    """Write a line whenever the outermost bar has changed, and once more after it has ended."""
    current, said = None, ""
    while True:
        time.sleep(LOOK_SECONDS)
        bars = _live_bars()
        if not any(bar is current for bar in bars):  # tqdm calls bars in the same place equal
            if current is not None:
                _write(path, f"ended\t{_text(current)}")
            current, said = (min(bars, key=lambda bar: abs(bar.pos)) if bars else None), ""
        if current is not None and said != (text := _text(current)):
            _write(path, f"live\t{text}")
            said = text


def _live_bars() -> list[Any]:
    """Bars that are shown; empty until the notebook has made one."""
    library = sys.modules.get("tqdm")
    instances = getattr(getattr(library, "tqdm", None), "_instances", set())
    with contextlib.suppress(RuntimeError):  # a bar was made or ended at this very moment
        return [bar for bar in instances.copy() if hasattr(bar, "start_t") and not bar.disable]
    return []


def _text(bar: Any) -> str:
    return bar.format_meter(**{**bar.format_dict, "bar_format": FORMAT, "ncols": None}).strip(": ")


def _write(path: Path, line: str) -> None:
    with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")


@contextlib.contextmanager
def shown(name: str, path: Path, stream: TextIO | None = None, every: float = LINE_SECONDS) -> Iterator[None]:
    """Show what a kernel writes to ``path`` while the context lasts.

    Parameters
    ----------
    name : str
        Notebook; every line begins with it, as several may run side by side.
    path : Path
        File that the kernel knows as :data:`STATUS`.
    stream : TextIO, optional
        Where to show it (default: standard error).
    every : float
        Seconds between two lines where the stream is no terminal.
    """
    stream = stream or sys.stderr
    display = _Terminal(name, stream) if stream.isatty() else _Log(name, stream, every)
    path.touch()
    over = threading.Event()
    thread = threading.Thread(target=_follow, args=(path, display, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        display.close()


def _follow(path: Path, display: _Terminal | _Log, over: threading.Event) -> None:
    with path.open(encoding="utf-8") as stream:
        last = False
        while not last:
            last = over.wait(LOOK_SECONDS / 2)
            for line in stream.read().splitlines():
                state, _, text = line.partition("\t")
                if state == "said":
                    say(f"{display.name}: {text}", display.stream)
                else:
                    display.take(text, state == "ended")
            display.tick()


class _Terminal:
    """One line that is written over; a text of another process may stand in between, but never inside."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self.name, self.stream, self.text, self.start = name, stream, "", time.monotonic()

    def take(self, text: str, ended: bool) -> None:
        self.text = "" if ended else text

    def tick(self) -> None:
        seconds = int(time.monotonic() - self.start)
        line = f"{self.name}: {self.text or f'running for {seconds // 60:02d}:{seconds % 60:02d}'}"
        with contextlib.suppress(OSError):
            width = os.get_terminal_size(self.stream.fileno()).columns
            line = line[: width - 1] if width else line
        self._write(CLEAR + line)

    def close(self) -> None:
        self._write(CLEAR)

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


class _Log:
    """A line for every so many seconds of a bar, and its last state if it had one."""

    def __init__(self, name: str, stream: TextIO, every: float) -> None:
        self.name, self.stream, self.every = name, stream, every
        self.since, self.spoken = None, False

    def take(self, text: str, ended: bool) -> None:
        now = time.monotonic()
        if self.since is None:
            self.since = now
        if (ended and self.spoken) or now - self.since >= self.every:
            self.stream.write(f"{self.name}: {text}\n")
            self.stream.flush()
            self.since, self.spoken = now, True
        if ended:
            self.since, self.spoken = None, False

    def tick(self) -> None:
        """Nothing: a log is only written when there is news."""

    def close(self) -> None:
        """Nothing: every line has ended."""
