"""What the study needs to know about a programming language: Python, Java, and for clones C and C++."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from llmexp_utils import clone_types, code, cpp, java
from llmexp_utils.code import Program
from llmexp_utils.errors import StudyError


class Language(NamedTuple):
    """How texts of a language are read.

    ``normalise`` and ``tokens`` raise :class:`llmexp_utils.code.CodeError` (``tokens`` of Python also what ``tokenize``
    raises) for a text that is none; ``names`` are those of the functions that a text defines, ``normal_tokens`` the
    tokens with its own names and its literals made the same.
    """

    title: str
    normalise: Callable[[str], Program]
    tokens: Callable[[str], list[str]]
    names: Callable[[str], set[str]]
    normal_tokens: Callable[[str], list[str]]


def _python_names(text: str) -> set[str]:
    return {node.name for node in code.parse(text).body if hasattr(node, "name")}


LANGUAGES = {
    "python": Language("Python", code.normalise, code.tokens, _python_names, clone_types.normal_tokens),
    "java": Language("Java", java.normalise, java.tokens, java.method_names, java.normal_tokens),
    "cpp": Language("C++", cpp.normalise, cpp.tokens, cpp.function_names, cpp.normal_tokens),
}


def language(name: str) -> Language:
    """A language by name."""
    if name not in LANGUAGES:
        raise StudyError(f"unknown language {name!r}: choose one of {', '.join(LANGUAGES)}")
    return LANGUAGES[name]
