"""How fast the machine is while something is measured: a fixed piece of work is timed before, after and during it.

A processor that is shared with others may change its speed by half from one second to the next. A time divided by that
of the fixed work at the same moment does not: it says how many such pieces the measured work is worth.
"""

from __future__ import annotations

import ast
import contextlib
import signal
import time
from collections.abc import Iterator

EVERY = 0.25
"""Seconds between two pieces of work."""
WORK = "\n".join(f"value{n} = [value * {n} for value in range({n}) if value % {n} == 1]" for n in range(1, 60))


def piece() -> float:
    """Do the fixed work; seconds of this thread's processor time."""
    start = time.thread_time()
    ast.unparse(ast.parse(WORK))
    return time.thread_time() - start


@contextlib.contextmanager
def pieces() -> Iterator[list[float]]:
    """Seconds of each piece of work: the first before the block, the last after it, the others during it.

    Those in between are done by a signal's handler, in the main thread.
    """
    found = [piece()]
    before = signal.signal(signal.SIGALRM, lambda *_: found.append(piece()))
    signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)
    try:
        yield found
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        found.append(piece())
