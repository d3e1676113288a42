"""Prompts for fault injection: task description, two examples, instruction (arXiv 2408.08553, section on generation).

The paper's two-shot prompt is written as a chat: each example is a user turn (correct function and instruction) and an
assistant turn (the faulty version). Inside a turn the function comes before what varies between requests, so that a
server that keeps the prefix of the last prompt reads each function once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

Message = dict[str, str]

TASK = {
    "line": "You help to test debugging tools. You are given a correct {} function and one of its lines. "
    "Answer with that line only, rewritten with a realistic programming mistake, one that a person could make. "
    "The function must still run, but give wrong results.",
    "function": "You help to test debugging tools. You are given a correct {} function. "
    "Answer with the function only, rewritten with one realistic programming mistake, one that a person could make. "
    "The function must still run, but give wrong results.",
    "choose": "You help to test debugging tools. You read a correct {} function and say in which lines a "
    "programmer would most plausibly make a mistake.",
}
"""System messages; the language's name is filled in."""
FENCED = re.compile(r"```(?:python|py|java)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A gold fault shown to the generator; ``original`` and ``faulty`` are single lines in the ``line`` form."""

    fault_id: str
    correct: str
    faulty_code: str
    original: str
    faulty: str


def fence(code: str, language: str = "python") -> str:
    """Code as a chat shows it."""
    return f"```{language}\n{code}```"


@cache
def task(form: str, language: str) -> Message:
    """System message of a form."""
    return {"role": "system", "content": TASK[form].format(language.title())}


@lru_cache(maxsize=256)  # thousands of requests show the same few examples, and keep one text of each
def _shown(example: Example, form: str, language: str) -> tuple[Message, Message]:
    """Question and answer of an example."""
    if form == "line":
        asked, answered = _line_turn(example.correct, example.original, language), example.faulty.strip()
    else:
        asked, answered = fence(example.correct, language), fence(example.faulty_code, language)
    return {"role": "user", "content": asked}, {"role": "assistant", "content": answered}


def _line_turn(code: str, line: str, language: str) -> str:
    return f"{fence(code, language)}\nLine: {line.strip()}"


def line_messages(examples: Sequence[Example], code: str, line: str, language: str = "python") -> list[Message]:
    """Chat that asks for one line of ``code`` to be rewritten."""
    shown = (turn for example in examples for turn in _shown(example, "line", language))
    return [task("line", language), *shown, {"role": "user", "content": _line_turn(code, line, language)}]


def function_messages(examples: Sequence[Example], code: str, language: str = "python") -> list[Message]:
    """Chat that asks for the whole function with one mistake (the paper's form)."""
    shown = (turn for example in examples for turn in _shown(example, "function", language))
    return [task("function", language), *shown, {"role": "user", "content": fence(code, language)}]


def choose_messages(code: str, n_lines: int, language: str = "python") -> list[Message]:
    """Chat that asks for the numbers of the lines most worth a fault (the ``llm`` line policy)."""
    numbered = "".join(f"{number}: {line}\n" for number, line in enumerate(code.splitlines(), start=1))
    ask = (
        f"Name the {n_lines} lines where a mistake is most plausible. "
        "Answer with their numbers only, separated by commas."
    )
    return [
        task("choose", language),
        {"role": "user", "content": f"{fence(numbered, language)}\n{ask}"},
    ]


def read_line_answer(answer: str, code: str, line: int) -> str | None:
    """Function text with line ``line`` replaced by the answer, or None when there is no line in the answer.

    The answer's own indentation is dropped: the new line stands where the old one stood.
    """
    fenced = FENCED.search(answer)
    rows = [row.strip() for row in (fenced.group(1) if fenced else answer).splitlines()]
    rows = [row.strip("`").strip() for row in rows if row.strip("`").strip()]
    if not rows:
        return None
    lines = code.splitlines()
    old = lines[line - 1]
    lines[line - 1] = old[: len(old) - len(old.lstrip())] + rows[0]
    return "\n".join(lines) + "\n"


def read_function_answer(answer: str, language: str = "python") -> str | None:
    """Code of the first fenced block (or of the whole answer when it has no fence), or None without a function."""
    fenced = FENCED.search(answer)
    text = fenced.group(1) if fenced else answer
    if language == "java":
        return text if "(" in text and "{" in text else None
    return text if re.search(r"^\s*(?:async\s+)?def\s", text, re.MULTILINE) else None


def read_chosen_lines(answer: str, n_lines_of_code: int) -> list[int]:
    """Line numbers named in an answer, in its order, without repeats and without numbers that are no line."""
    numbers = dict.fromkeys(int(found) for found in re.findall(r"\d+", answer))
    return [number for number in numbers if 1 <= number <= n_lines_of_code]
