"""Asking generators: a request, and its answer from the recordings or from the generator itself.

Generators are asked one request after another in the order given: keep those of one function together, so that the
server, which keeps the prefix of the last prompt, reads the function once.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmexp_utils.errors import StudyError
from llmexp_utils.frames import COST
from llmexp_utils.llm import EMBEDDED, Answer, Client, connect, model_identity
from llmexp_utils.prompts import Message
from llmexp_utils.recordings import Decoding, Recordings, prompt_hash, request_key


@dataclass(frozen=True)
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


def replay(requests: Sequence[Request], model: str, book: Recordings) -> list[dict[str, Any]]:
    """Recorded answers, in the order of the requests."""
    lost = missing(requests, model, book)
    if lost:
        raise StudyError(
            f"{len(lost)} of {len(requests)} answers are not in {book.path} "
            f"(first: {lost[0].task_id}, {lost[0].form}): "
            "set mode to record in this notebook, or go back to the committed parameters"
        )
    return [book[request.key(model)] for request in requests]


def record(
    requests: Sequence[Request],
    model: str,
    generator: str,
    book: Recordings,
    ask: Callable[[Sequence[Message], Decoding], Answer],
    engine: str,
) -> int:
    """Ask for every answer that ``book`` lacks and write each through; returns how many were asked.

    Requests are asked in their order: keep those of one function together, so that the server reads it once.
    """
    from tqdm.auto import tqdm

    with book.writer():
        lost = missing(requests, model, book)
        for request in tqdm(lost, desc=f"asking {generator}", unit="answer"):
            answer = ask(request.messages, request.decoding)
            book.append(_recorded(request, model, generator, answer, engine))
    return len(lost)


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
    form: str, requests: list[Request], generator: str, folder: Path, model: str, client: Client | None
) -> list[dict]:
    """Answers from the book of a generator and form, after asking for the missing ones if there is a client."""
    book = book_of(form, generator, folder)
    if client:
        engine = f"xllamacpp {importlib.metadata.version('xllamacpp')}" if client.embedded else client.base_url
        record(requests, model, generator, book, client.complete, engine)
    return replay(requests, model, book)


@contextmanager
def asker(generator: str, mode: str, base_url: str) -> Iterator[Client | None]:
    """Client of a generator while answers are recorded; None in replay, which needs no weights."""
    if mode == "replay":
        model_identity(generator, base_url)
        yield None
        return
    with connect(generator, base_url) as client:
        yield client
