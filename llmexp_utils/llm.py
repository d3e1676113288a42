"""Generators: any OpenAI-compatible server, and the embedded llama.cpp server for the two embedded models."""

from __future__ import annotations

import os
import secrets
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmexp_utils.access import Access, shown
from llmexp_utils.errors import StudyError
from llmexp_utils.params import hint
from llmexp_utils.prompts import Message
from llmexp_utils.recordings import Decoding
from llmexp_utils.retries import BrokenReply, Pace, attempts, read_completion, retry_after, worth_another

EMBEDDED = {
    "qwen2.5-coder-1.5b": "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    "qwen2.5-coder-0.5b": "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
}
API_KEY, NO_KEY = "LLMEXP_API_KEY", "none"
CONTEXT = 4096
CHECK_SECONDS = 5.0
START_SECONDS = 300.0
"""A server that has not read its model by then will not: the larger one takes seconds from a cold disk."""


@dataclass(frozen=True)
class Answer:
    """What a server said, and what it cost.

    ``cached_tokens`` of the prompt were not read again; ``seconds`` are those of the attempt that succeeded; ``lost``
    replies before it did not arrive whole, and may have been charged.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float
    lost: int = 0


def model_identity(generator: str, base_url: str = "") -> str:
    """What stands for the model in a recording's key: the file's SHA-256, or server and name for an endpoint."""
    if base_url:
        return f"{shown(base_url).rstrip('/')}#{generator}"
    if generator not in EMBEDDED:
        known = ", ".join(EMBEDDED)
        raise StudyError(f"unknown generator {generator!r}: choose one of {known}, or give the base_url of a server")
    from llmexp_utils.asset_table import ASSETS

    return ASSETS[EMBEDDED[generator]].files[0].sha256


class Client:
    """A chat with one model of one server; :meth:`complete` may be called from several threads."""

    def __init__(
        self, base_url: str, model: str, api_key: str, *, embedded: bool = False, access: Access | None = None
    ) -> None:
        import openai

        self.model = model
        self.base_url = base_url
        self.embedded = embedded
        self.access = access or Access()
        self._closing = threading.Event()
        self._pace = Pace(self.access.requests_per_minute, self._closing)
        # The retries of the library know neither broken bodies nor our limits, so it has none.
        self._openai = openai.OpenAI(
            base_url=base_url, api_key=api_key, timeout=self.access.request_seconds, max_retries=0
        )

    def close(self) -> None:
        """End waiting requests and let go of the connections."""
        self._closing.set()
        self._openai.close()

    def check(self) -> None:
        """Raise a :class:`StudyError` when the server does not answer in five seconds or does not know the model."""
        import openai

        client, place = self._openai.with_options(timeout=CHECK_SECONDS), shown(self.base_url)
        try:
            listed = [model.id for model in client.models.list()]
        except openai.APIStatusError as error:
            if worth_another(error):
                return  # busy, or still reading its model: requests are asked again
            raise StudyError(f"{place} refuses: {error.status_code} (is {API_KEY} set?)") from error
        except openai.OpenAIError as error:
            raise StudyError(f"{place} does not answer: start the server or correct base_url") from error
        except Exception as error:  # something answers, but not with a list of models
            raise StudyError(
                f"{place} is no OpenAI-compatible server: correct base_url (often it ends in /v1)"
            ) from error
        if self.model in listed:
            return
        try:  # a server need not list every name that it knows: one token tells
            client.chat.completions.create(model=self.model, messages=[{"role": "user", "content": "Hi"}], max_tokens=1)
        except (openai.NotFoundError, openai.BadRequestError) as error:
            known = hint(self.model, listed) if listed else ""
            raise StudyError(f"{place} does not know the model {self.model!r}{known}") from error
        except openai.OpenAIError:
            return  # slow or busy: it has answered before

    def complete(self, messages: Sequence[Message], decoding: Decoding) -> Answer:
        """Ask for one answer, again and again while that may help (:mod:`llmexp_utils.retries`).

        Raises
        ------
        StudyError
            If the server refuses, or fails at every attempt.
        """
        import openai

        lost, number = 0, 1
        try:
            for attempt in attempts(self.access, self._closing):
                number = attempt.retry_state.attempt_number
                with attempt:
                    self._pace.wait()
                    start = time.perf_counter()
                    try:
                        reply = read_completion(self._post(messages, decoding))
                    except (BrokenReply, openai.APITimeoutError):
                        lost += 1
                        raise
        except (openai.OpenAIError, BrokenReply) as error:
            raise StudyError(self._failure(error, number)) from error
        choice, usage = reply.choices[0], reply.usage
        details = usage.prompt_tokens_details if usage else None
        return Answer(
            choice.message.content or "",
            choice.finish_reason or "",
            usage.prompt_tokens if usage else 0,
            (details.cached_tokens or 0) if details else 0,
            usage.completion_tokens if usage else 0,
            round(time.perf_counter() - start, 3),
            lost,
        )

    def _post(self, messages: Sequence[Message], decoding: Decoding) -> bytes:
        """Body of one reply; the time limit holds for all of it, also where a server sends a byte now and then."""
        import openai

        end, body = time.monotonic() + self.access.request_seconds, bytearray()
        try:
            with self._openai.chat.completions.with_streaming_response.create(
                model=self.model,
                messages=list(messages),
                temperature=decoding.temperature,
                top_p=decoding.top_p,
                max_tokens=decoding.max_tokens,
                seed=decoding.seed,
            ) as response:
                for chunk in response.iter_bytes():
                    body += chunk
                    if time.monotonic() > end:
                        raise BrokenReply(f"not complete after {self.access.request_seconds:g} s")
        except (openai.OpenAIError, BrokenReply):
            raise
        except Exception as error:  # of the HTTP library, which the client passes on while a body is read
            raise BrokenReply(f"the reply broke off ({type(error).__name__})") from error
        return bytes(body)

    def _failure(self, error: Exception, number: int) -> str:
        """Line about the last attempt."""
        line = f"{shown(self.base_url)}: {type(error).__name__}: {self._one_line(error)}"
        if getattr(error, "status_code", 0) in (401, 403):
            line += f" (is {API_KEY} set?)"
        if pause := retry_after(error):
            line += f" (it asks to wait {pause:.0f} s)"
        return f"{line}; given up after {number} attempts" if number > 1 else line

    def _one_line(self, error: Exception) -> str:
        """What a server said, without the key that it may have repeated."""
        key, text = self._openai.api_key, " ".join(str(error).split())
        return (text if key in ("", NO_KEY) else text.replace(key, "..."))[:300]


def check_generator(generator: str, base_url: str = "") -> None:
    """Raise a :class:`StudyError` unless ``generator`` is embedded or a server at ``base_url`` knows it."""
    if generator in EMBEDDED or not base_url:
        model_identity(generator)
    else:
        _endpoint(generator, base_url)


def _endpoint(generator: str, base_url: str, access: Access | None = None) -> Client:
    client = Client(base_url, generator, os.environ.get(API_KEY, NO_KEY), access=access)
    client.check()
    return client


@contextmanager
def connect(
    generator: str, base_url: str = "", threads: int | None = None, access: Access | None = None
) -> Iterator[Client]:
    """Client of ``generator``: at ``base_url``, or of an embedded model served on loopback while the context lasts.

    The embedded server keeps the prefix of one prompt: it is asked one question at a time, whatever ``access`` says.
    """
    if base_url:
        with closing(_endpoint(generator, base_url, access)) as client:
            yield client
        return
    model_identity(generator)
    from llmexp_utils.assets import fetch

    own = replace(access or Access(), concurrency=1, requests_per_minute=0, attempts=2)
    with serve(fetch(EMBEDDED[generator]), threads or os.cpu_count() or 1) as (url, key):
        with closing(Client(url, generator, key, embedded=True, access=own)) as client:
            yield client


@contextmanager
def serve(gguf: Path, threads: int) -> Iterator[tuple[str, str]]:
    """Run the llama.cpp server of ``xllamacpp`` in a process of its own; yields its base URL and key.

    The process ends with the context, and also when this process dies: it reads its standard input to the end.

    Raises
    ------
    StudyError
        If it does not serve within :data:`START_SECONDS`, or ends.
    """
    key = secrets.token_hex(16)
    command = [sys.executable, "-m", "llmexp_utils.llm", str(gguf), str(threads)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            with suppress(BrokenPipeError):  # it is dead already: no address will come
                os.write(process.stdin.fileno(), f"{key}\n".encode())  # past the buffer, which would be flushed later
            address = _first_line(process, gguf.name)
            yield f"{address}/v1", key
        finally:
            process.kill()


def _first_line(process: subprocess.Popen[str], model: str) -> str:
    """Address that a starting server prints."""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(START_SECONDS):
            raise StudyError(
                f"the llama.cpp server did not start with {model} in {START_SECONDS:.0f} s: "
                "is the machine out of memory or overloaded?"
            )
    address = process.stdout.readline().strip()
    if not address:
        raise StudyError(
            f"the llama.cpp server ended (exit code {process.wait()}) before it served {model}: is there enough memory?"
        )
    return address


def _serve_until_eof(gguf: str, threads: int) -> None:
    """Child process: serve ``gguf`` on a free loopback port until standard input closes."""
    import xllamacpp

    key = sys.stdin.readline().strip()
    params: Any = xllamacpp.CommonParams()
    params.model.path = gguf
    params.n_ctx = CONTEXT
    params.n_parallel = 1  # one slot: the prefix of the last prompt is what the next one shares
    params.cache_prompt = True
    params.cache_ram_mib = 0
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.warmup = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve_until_eof(sys.argv[1], int(sys.argv[2]))
