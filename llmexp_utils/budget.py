"""What a run may spend on a generator: an estimate before the start, and a stop before the budget is exceeded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmexp_utils.access import Access

if TYPE_CHECKING:
    from llmexp_utils.asking import Request
    from llmexp_utils.llm import Answer

FEWEST_BYTES = 2.0
"""Bytes that a token of a prompt has at least, on average: tokenizers need about three or four for code."""
USUAL_BYTES = 3.5
TEMPLATE_TOKENS = 64
"""Room for what a chat template adds to a prompt."""


def prompt_bytes(request: Request) -> int:
    """Length of a prompt."""
    return sum(len(message["content"].encode()) for message in request.messages)


def most(request: Request) -> tuple[int, int]:
    """Tokens that a request can cost at most: read, written."""
    return int(prompt_bytes(request) / FEWEST_BYTES) + TEMPLATE_TOKENS, request.decoding.max_tokens


def amount(money: float) -> str:
    """Money for people: two digits that say something.

    Examples
    --------
    >>> [amount(value) for value in (0, 0.00342, 12.5, 1234.5)]
    ['0', '0.0034', '12.50', '1,234.50']
    """
    return f"{money:,.2f}" if money >= 1 else f"{money:.2g}"


class Ledger:
    """Tokens that a run has spent, and those that it may have to pay for: of requests under way, of lost replies.

    Tokens are what the server counts; for one that does not count, the most that each request can cost.
    """

    def __init__(self, access: Access | None = None) -> None:
        self.access = access or Access()
        self.read = self.written = self.lost = 0
        self._open = [0, 0]  # read, written: the most that requests under way can cost
        self._gone = [0, 0]  # and that lost replies can have cost

    @property
    def money(self) -> float:
        """What was spent, in the money of the prices."""
        return self.access.cost(self.read, self.written)

    def hold(self, request: Request) -> bool:
        """Set aside what a request can cost; False, and nothing set aside, if that could exceed a budget."""
        access, ask = self.access, most(request)
        read = self.read + self._open[0] + self._gone[0] + ask[0]
        written = self.written + self._open[1] + self._gone[1] + ask[1]
        if access.token_budget and read + written > access.token_budget:
            return False
        if access.money_budget and access.cost(read, written) > access.money_budget:
            return False
        self._open = [self._open[0] + ask[0], self._open[1] + ask[1]]
        return True

    def settle(self, request: Request, answer: Answer) -> None:
        """Enter what a request did cost, in place of what was set aside."""
        read, written = most(request)
        self._open = [self._open[0] - read, self._open[1] - written]
        self._gone = [self._gone[0] + answer.lost * read, self._gone[1] + answer.lost * written]
        self.lost += answer.lost
        counted = answer.prompt_tokens > 0
        self.read += answer.prompt_tokens if counted else read
        self.written += answer.completion_tokens if counted else written

    def __str__(self) -> str:
        """What was spent, in words."""
        money = f" for {amount(self.money)}" if any(self.access.prices) else ""
        lost = f", and at most {sum(self._gone):,} more for {self.lost} replies that were lost" if self.lost else ""
        return f"{self.read + self.written:,} tokens{money}{lost}"

    def stop(self, asked: int, wanted: int, path: object) -> str:
        """Line for a run that its budget has stopped."""
        access = self.access
        budgets = [f"{access.token_budget:,} tokens"] if access.token_budget else []
        budgets += [f"{amount(access.money_budget)} in money"] if access.money_budget else []
        names = " or ".join(name for name in ("token_budget", "money_budget") if getattr(access, name))
        return (
            f"stopped before the budget of {' and '.join(budgets)} is exceeded: {asked} of {wanted} missing answers "
            f"were recorded in {path}, this run has used {self}; "
            f"raise {names}, or run again to go on with the same sum once more"
        )


@dataclass(frozen=True)
class Estimate:
    """What asking will take; ``seconds`` is None where nothing tells."""

    answers: int
    read: int
    written: int
    at_most: bool
    money: float | None
    seconds: float | None

    def __str__(self) -> str:
        """The estimate in words."""
        bound = "at most" if self.at_most else "about"
        text = f"{self.answers:,} answers, about {self.read:,} tokens to read and {bound} {self.written:,} to write"
        if self.money is not None:
            text += f", {bound} {amount(self.money)} in money"
        if self.seconds is not None:
            text += f", about {self.seconds / 60:.0f} min" if self.seconds >= 90 else f", about {self.seconds:.0f} s"
        return text


def estimate(
    requests: Sequence[Request],
    known: Sequence[tuple[Request, Mapping[str, Any]]],
    access: Access,
    concurrency: int,
) -> Estimate:
    """What asking will take, before it starts.

    Parameters
    ----------
    requests : sequence of Request
        Those that will be asked.
    known : sequence of (Request, dict)
        Requests like them with their recorded answers: tokens and seconds are taken from these. Without any, a token of
        a prompt is taken to have three and a half bytes, an answer to be as long as it may be, and time is not told.
    access : Access
        For prices and the rate.
    concurrency : int
        Requests that will be under way at the same time.
    """
    counted = [(request, answer) for request, answer in known if answer["prompt_tokens"]]
    length, n = sum(map(prompt_bytes, requests)), len(requests)
    if counted:
        read = length * sum(a["prompt_tokens"] for _, a in counted) / sum(prompt_bytes(r) for r, _ in counted)
        written = n * sum(a["completion_tokens"] for _, a in counted) / len(counted)
    else:
        read, written = length / USUAL_BYTES, sum(request.decoding.max_tokens for request in requests)
    times = [n * sum(answer["seconds"] for _, answer in known) / len(known) / concurrency] if known else []
    times += [n * 60 / access.requests_per_minute] if access.requests_per_minute else []
    money = access.cost(read, written) if any(access.prices) else None
    return Estimate(n, round(read), round(written), not counted, money, max(times, default=None))
