"""Asking a server again: what a whole reply is, which failures are worth another attempt, and how long to wait."""

from __future__ import annotations

import email.utils
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pydantic

from llmexp_utils.access import Access

if TYPE_CHECKING:
    import tenacity

AGAIN = (408, 409, 425, 429)
"""Refusals that may not last, beside every 5xx; all others (400, 401, 403, 404, ...) would come again."""
LONGEST_WAIT = 60.0
MOST_PATIENT = 300.0
"""A server that asks for a longer pause than this is out for the day: the run ends and says so."""


class BrokenReply(Exception):
    """A reply that broke off, or that is no chat completion; it may have been charged."""


class _Message(pydantic.BaseModel):
    content: str | None


class _Choice(pydantic.BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Details(pydantic.BaseModel):
    cached_tokens: int | None = None


class _Usage(pydantic.BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class Completion(pydantic.BaseModel):
    """What an answer needs of a chat completion; servers differ in the rest."""

    choices: list[_Choice] = pydantic.Field(min_length=1)
    usage: _Usage | None = None


def read_completion(body: bytes) -> Completion:
    """Read the body of a reply.

    Raises
    ------
    BrokenReply
        If it is no JSON, no chat completion, or one that the server itself gave up.

    Examples
    --------
    >>> read_completion(b'{"choices": [{"message": {"content": "yes"}}]}').choices[0].message.content
    'yes'
    """
    try:
        reply = Completion.model_validate_json(body)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "body"
        raise BrokenReply(f"not a chat completion ({place}: {first['msg']})") from error
    if reply.choices[0].finish_reason in ("abort", "error"):  # vLLM, and routers in front of others
        raise BrokenReply(f"the server gave up (finish_reason {reply.choices[0].finish_reason!r})")
    return reply


def worth_another(error: BaseException) -> bool:
    """Whether the same question may be answered after this failure."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return (error.status_code in AGAIN or error.status_code >= 500) and retry_after(error) <= MOST_PATIENT
    return isinstance(error, openai.APIConnectionError | BrokenReply)  # the first includes time-outs


def retry_after(error: BaseException | None) -> float:
    """Seconds that a server asks to wait (its ``Retry-After``, a number or a date); 0 if it does not say."""
    value = getattr(getattr(error, "response", None), "headers", {}).get("retry-after", "")
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def attempts(access: Access, closing: threading.Event) -> tenacity.Retrying:
    """Loop over attempts: exponential backoff with jitter, and never sooner than the server asks for.

    Parameters
    ----------
    access : Access
        How often, and how long between.
    closing : Event
        Ends waiting and further attempts.
    """
    import tenacity

    backoff = tenacity.wait_exponential_jitter(multiplier=access.backoff, max=LONGEST_WAIT, jitter=access.backoff)

    def wait(state: tenacity.RetryCallState) -> float:
        return max(backoff(state), retry_after(state.outcome.exception()))

    return tenacity.Retrying(
        stop=tenacity.stop_after_attempt(access.attempts) | tenacity.stop_when_event_set(closing),
        wait=wait,
        retry=tenacity.retry_if_exception(worth_another),
        sleep=tenacity.sleep_using_event(closing),
        reraise=True,
    )


class Pace:
    """Turns of requests, evenly spread over a minute."""

    def __init__(self, per_minute: int, closing: threading.Event) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next, self._lock, self._closing = 0.0, threading.Lock(), closing

    def wait(self) -> None:
        """Return when it is the turn of the request that calls."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap
        self._closing.wait(turn - now)
