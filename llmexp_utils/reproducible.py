"""Same seed, same bytes: what a computation with torch needs to be repeatable on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread, so that sums are added up in one order; then restore the setting.

    Side by side in two processes, small models also train faster than on two threads each.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw initial weights and dropout from ``seed``, on one thread; torch's own random state is left alone.

    Examples
    --------
    >>> import torch
    >>> with seeded(1):
    ...     one = torch.rand(3)
    >>> with seeded(1):
    ...     print(torch.equal(one, torch.rand(3)))
    True
    """
    import torch

    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
