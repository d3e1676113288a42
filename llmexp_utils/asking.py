"""Asking generators: a request, and its answer from the recordings or from the generator itself.

Answers are recorded in the order of the requests, also where several are under way at once: keep requests of one
function together, so that a server, which keeps the prefix of the last prompts, reads the function once.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmexp_utils.access import Access, shown
from llmexp_utils.budget import Ledger, estimate
from llmexp_utils.errors import StudyError
from llmexp_utils.frames import COST
from llmexp_utils.in_order import answer_in_order
from llmexp_utils.llm import EMBEDDED, Answer, Client, connect, model_identity
from llmexp_utils.progress import announce
from llmexp_utils.prompts import Message
from llmexp_utils.recordings import Decoding, Recordings, prompt_hash, request_key


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a generator.

    ``line`` and ``occurrence`` are 0 where the form has none; ``construct`` is what a clone is asked to use.
    """

    task_id: str
    form: str
    line: int
    occurrence: int
    messages: tuple[Message, ...]
    decoding: Decoding
    construct: str = ""

    def key(self, model: str) -> str:
        """Key under which the answer is recorded."""
        return request_key(model, self.messages, self.decoding)


def cost_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What a recorded answer cost, and its key: columns of a candidate frame."""
    return {name: answer[name] for name in COST}


def missing(requests: Iterable[Request], model: str, book: Recordings) -> list[Request]:
    """Requests without a recorded answer, each once, in order."""
    unique = {request.key(model): request for request in requests}
    return [request for key, request in unique.items() if key not in book]


def replay(requests: Sequence[Request], model: str, book: Recordings) -> Iterator[dict[str, Any]]:
    """Recorded answers, in the order of the requests, each read when its turn comes.

    Raises
    ------
    StudyError
        If an answer is not on record; at once.
    """
    lost = missing(requests, model, book)
    if lost:
        raise StudyError(
            f"{len(lost)} of {len(requests)} answers are not in {book.path} "
            f"(first: {lost[0].task_id}, {lost[0].form}): "
            "set mode to record in this notebook, or go back to the committed parameters"
        )
    return (book[request.key(model)] for request in requests)


def record(
    requests: Sequence[Request],
    model: str,
    generator: str,
    book: Recordings,
    ask: Callable[[Sequence[Message], Decoding], Answer],
    engine: str,
    concurrency: int = 1,
    ledger: Ledger | None = None,
) -> int:
    """Ask for every answer that ``book`` lacks and write each through; returns how many were asked.

    Says first what it will take. The file is the same for every concurrency, and whatever fails on the way: answers
    stand in the order of the requests, each once.

    Parameters
    ----------
    ask : callable
        Asks the generator, for example :meth:`llmexp_utils.llm.Client.complete`.
    concurrency : int
        Requests under way at the same time.
    ledger : Ledger, optional
        What may be spent; shared by all that a run asks.

    Raises
    ------
    StudyError
        If the generator fails, or its budget does not last; what was recorded before stays.
    """
    from tqdm.auto import tqdm

    ledger, written = ledger or Ledger(), 0
    with book.writer():
        lost = missing(requests, model, book)
        if not lost:
            return 0
        known = [(request, book[key]) for request in requests if (key := request.key(model)) in book]
        announce(f"asking {generator}: {estimate(lost, known, ledger.access, concurrency)}")
        with tqdm(total=len(lost), desc=f"asking {generator}", unit="answer") as bar:

            def write(request: Request, answer: Answer) -> None:
                nonlocal written
                book.append(_recorded(request, model, generator, answer, engine))
                written += 1
                bar.update()

            try:
                answer_in_order(ask, lost, write, ledger, concurrency)
            except StudyError as error:
                done = f"{written} of {len(lost)} missing answers were recorded before, run again to go on"
                raise StudyError(f"{error}; {done}") from error
    if written < len(lost):
        raise StudyError(ledger.stop(written, len(lost), book.path))
    return written


def _recorded(request: Request, model: str, generator: str, answer: Answer, engine: str) -> dict[str, Any]:
    decoding = request.decoding
    return {
        "key": request.key(model),
        "task_id": request.task_id,
        "form": request.form,
        "line": request.line,
        "occurrence": request.occurrence,
        **({"construct": request.construct} if request.construct else {}),
        "generator": generator,
        "model": model,
        "engine": engine,
        "prompt_sha256": prompt_hash(request.messages),
        "temperature": decoding.temperature,
        "top_p": decoding.top_p,
        "max_tokens": decoding.max_tokens,
        "seed": decoding.seed,
        "answer": answer.text,
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens,
        "cached_tokens": answer.cached_tokens,
        "completion_tokens": answer.completion_tokens,
        "seconds": answer.seconds,
    }


def server_of(generator: str, base_url: str) -> str:
    """Where a generator is asked; empty for an embedded one."""
    return "" if generator in EMBEDDED else base_url


def book_of(form: str, generator: str, folder: Path) -> Recordings:
    """Recordings of a generator's answers in one form."""
    return Recordings(Path(folder) / f"{form}_{generator.replace('/', '_')}.jsonl")


def settle(
    form: str,
    requests: list[Request],
    generator: str,
    folder: Path,
    model: str,
    client: Client | None,
    ledger: Ledger | None = None,
) -> Iterator[dict[str, Any]]:
    """Answers from the book of a generator and form, after asking for the missing ones if there is a client."""
    book = book_of(form, generator, folder)
    if client:
        engine = f"xllamacpp {importlib.metadata.version('xllamacpp')}" if client.embedded else shown(client.base_url)
        record(requests, model, generator, book, client.complete, engine, client.access.concurrency, ledger)
    return replay(requests, model, book)


@contextmanager
def asker(generator: str, mode: str, base_url: str, access: Access | None = None) -> Iterator[Client | None]:
    """Client of a generator while answers are recorded; None in replay, which needs no weights."""
    if mode == "replay":
        model_identity(generator, base_url)
        yield None
        return
    with connect(generator, base_url, access=access) as client:
        yield client
