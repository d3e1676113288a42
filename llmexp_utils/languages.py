"""What the study needs to know about a programming language: two are known, Python and Java."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from llmexp_utils import code, java
from llmexp_utils.code import Program
from llmexp_utils.errors import StudyError


class Language(NamedTuple):
    """How texts of a language are read.

    ``normalise`` and ``tokens`` raise :class:`llmexp_utils.code.CodeError` (``tokens`` of Python also what ``tokenize``
    raises) for a text that is none; ``names`` are those of the functions that a text defines.
    """

    title: str
    normalise: Callable[[str], Program]
    tokens: Callable[[str], list[str]]
    names: Callable[[str], set[str]]


def _python_names(text: str) -> set[str]:
    return {node.name for node in code.parse(text).body if hasattr(node, "name")}


LANGUAGES = {
    "python": Language("Python", code.normalise, code.tokens, _python_names),
    "java": Language("Java", java.normalise, java.tokens, java.method_names),
}


def language(name: str) -> Language:
    """A language by name."""
    if name not in LANGUAGES:
        raise StudyError(f"unknown language {name!r}: choose one of {', '.join(LANGUAGES)}")
    return LANGUAGES[name]
