"""Several requests under way at once, their answers written in the order of the requests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from llmexp_utils.budget import Ledger

if TYPE_CHECKING:
    from llmexp_utils.asking import Request
    from llmexp_utils.llm import Answer
    from llmexp_utils.prompts import Message
    from llmexp_utils.recordings import Decoding

AHEAD = 4
"""Answers, for each request under way, that may wait for a slower one before them: what a kill can lose."""


def answer_in_order(
    ask: Callable[[Sequence[Message], Decoding], Answer],
    requests: Sequence[Request],
    write: Callable[[Request, Answer], None],
    ledger: Ledger,
    concurrency: int = 1,
) -> int:
    """Ask for answers and write each as soon as all before it are written; returns how many were.

    It ends early, and without an error, when the next request could exceed a budget of the ledger. With a concurrency
    of one, an answer is written before the next is asked for.

    Parameters
    ----------
    ask : callable
        Asks a server; called from several threads if ``concurrency`` is larger than one.
    requests : sequence of Request
        Questions, each of which is asked once.
    write : callable
        Takes a request and its answer; called from this thread only.
    ledger : Ledger
        What may be spent.
    concurrency : int
        Requests under way at the same time.

    Raises
    ------
    Exception
        What ``ask`` raised for the first request without an answer; everything before it is written.
    """
    if concurrency == 1:  # without a thread: for short answers, waking it up would take as long as all else
        return _one_by_one(ask, requests, write, ledger)
    left, waiting = deque(requests), deque[tuple["Request", Future["Answer"]]]()
    written = 0
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="asking")
    try:
        while True:
            while left and len(waiting) < AHEAD * concurrency and ledger.hold(left[0]):
                request = left.popleft()
                waiting.append((request, pool.submit(ask, request.messages, request.decoding)))
            if not waiting:
                return written
            request, future = waiting.popleft()
            answer = future.result()
            ledger.settle(request, answer)
            write(request, answer)
            written += 1
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # an error or an interruption does not wait for the others


def _one_by_one(
    ask: Callable[[Sequence[Message], Decoding], Answer],
    requests: Sequence[Request],
    write: Callable[[Request, Answer], None],
    ledger: Ledger,
) -> int:
    for written, request in enumerate(requests):
        if not ledger.hold(request):
            return written
        answer = ask(request.messages, request.decoding)
        ledger.settle(request, answer)
        write(request, answer)
    return len(requests)
