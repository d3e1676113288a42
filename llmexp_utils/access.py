"""How the server of a generator may be used: how hard, how long, how often again, for how much."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Access:
    """Limits of one run; a zero is no limit.

    Attributes
    ----------
    concurrency : int
        Requests under way at the same time.
    requests_per_minute : int
        Requests that are started in a minute, those that are asked again included.
    request_seconds : float
        Time for one attempt, from the question to the last byte of the answer.
    attempts : int
        How often a question is asked at most: with ten, nearly four minutes without a server are waited out.
    backoff : float
        Seconds before the second attempt; they double with each further one, and chance adds up to this much.
    token_budget : int
        Tokens, read and written, that a run may use.
    money_budget : float
        What a run may cost, in the money of ``prices``.
    prices : tuple of float
        Money for a million tokens: read, written.
    """

    concurrency: int = 1
    requests_per_minute: int = 0
    request_seconds: float = 600.0
    attempts: int = 10
    backoff: float = 1.0
    token_budget: int = 0
    money_budget: float = 0.0
    prices: tuple[float, float] = (0.0, 0.0)

    def cost(self, read: float, written: float) -> float:
        """Money for tokens.

        Examples
        --------
        >>> Access(prices=(1.0, 4.0)).cost(500_000, 250_000)
        1.5
        """
        return (read * self.prices[0] + written * self.prices[1]) / 1e6


def shown(url: str) -> str:
    """An address as it may be printed: without a password or a query.

    Examples
    --------
    >>> shown("https://me:secret@host:8000/v1?key=secret")
    'https://host:8000/v1'
    """
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
