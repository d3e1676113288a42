"""Checks that were made already: points of a sweep ask the same of the same files and servers, again and again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from llmexp_utils.errors import StudyError


class Known:
    """Answers of checks by what was asked."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, Any] = {}

    def once(self, function: Callable[..., Any], *values: Hashable) -> Any:
        """What a function returns, called once for these values."""
        if (function, values) not in self._answers:
            self._answers[function, values] = function(*values)
        return self._answers[function, values]

    def lines(self, check: Callable[..., None], *values: Hashable) -> list[str]:
        """Lines of the error that a check raises; none when it holds."""
        return self.once(lines_of, check, *values)


def lines_of(check: Callable[..., None], *values: object) -> list[str]:
    """Lines of the error that a check raises; none when it holds."""
    try:
        check(*values)
    except StudyError as error:
        return str(error).splitlines()
    return []
