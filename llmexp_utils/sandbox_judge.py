"""Runs a test against a program that lives in another process, and decides.

The program's functions are stand-ins here: a call sends the arguments over, and what comes back is plain data
(:mod:`llmexp_utils.sandbox_values`). So a program sees neither the test nor its values, cannot touch the assertions,
and has nothing to say about the verdict but its answers. What the program changed in its arguments is changed here too.
"""

from __future__ import annotations

import builtins
import os
import random
import select
import signal
import time
from collections.abc import Callable
from functools import lru_cache
from types import CodeType, ModuleType
from typing import Any

from llmexp_utils.sandbox_pipes import CHUNK, HEAD, write_message
from llmexp_utils.sandbox_program import DETAIL, SEED, describe, one_line
from llmexp_utils.sandbox_values import read, write

TEST = "<test>"
LARGEST_REPLY = 1 << 26
AGAIN = 0.05  # a test that swallows the alarm gets the next one


class Ended(BaseException):
    """The program's process is gone, or no longer speaks the language."""


class Late(BaseException):
    """The time is up."""


class ProgramRaised(BaseException):
    """The program raised something that is no ordinary exception, such as SystemExit."""


class Program:
    """The other end: a program's process behind two pipes, and a third with what it prints."""

    def __init__(self, requests: int, replies: int, output: int, output_bytes: int) -> None:
        self.requests, self.replies, self.output = requests, replies, output
        self.keep, self.printed = output_bytes, b""
        self.raised, self.reason, self._heard = None, "", bytearray()
        self._poll = select.poll()
        self._poll.register(replies, select.POLLIN)
        self._poll.register(output, select.POLLIN)

    def ask(self, *request: Any) -> tuple:
        """Send a request and wait for the reply; what the program prints meanwhile is kept, as far as it may."""
        try:
            write_message(self.requests, write(request))
        except BrokenPipeError:
            raise Ended from None
        while len(self._heard) < HEAD:
            self._listen()
        end = HEAD + int.from_bytes(self._heard[:HEAD], "little")
        if end > LARGEST_REPLY:
            raise Ended(f"a reply of {end >> 20} MB")
        while len(self._heard) < end:
            self._listen()
        data, self._heard = bytes(self._heard[HEAD:end]), self._heard[end:]
        try:
            reply = read(data)
            return reply if isinstance(reply, tuple) and reply else ("",)
        except Exception as error:
            raise Ended(f"a reply that cannot be read: {describe(error)}") from None

    def call(self, name: str, arguments: tuple, options: dict) -> Any:
        """What a function of the program returns, or raises."""
        match self.ask("call", name, arguments, options):
            case "returned", result, changed:
                if changed is not None:
                    _follow((arguments, options), changed)
                return result
            case "raised", str(kind), str(message):
                self.raised, self.reason = _exception(kind, message), one_line(kind, message)
                raise self.raised
            case _:
                raise Ended("a reply without sense")

    def listen(self) -> None:
        """Take what the program has printed so far."""
        while any(descriptor == self.output for descriptor, _ in self._poll.poll(0)):
            if not self._hear():
                return

    def _listen(self) -> None:
        """Wait until the program says or prints something."""
        for descriptor, _ in self._poll.poll():
            if descriptor == self.output:
                self._hear()
            elif part := os.read(self.replies, CHUNK):
                self._heard += part
            else:
                raise Ended

    def _hear(self) -> bool:
        data = os.read(self.output, CHUNK)
        self.printed = (self.printed + data)[-self.keep :]
        if not data:
            self._poll.unregister(self.output)
        return bool(data)


def judge(program: Program, text: str, test: str, entry_point: str, seconds: float) -> tuple[str, str, float]:
    """Verdict, its reason and the seconds it took.

    Verdicts are those of :class:`llmexp_utils.sandbox_job.Verdict`, and "late" or "ended", whose meaning is for others
    to find out: the parent of the programs knows how the program's process ended.
    """
    start = time.monotonic()
    try:
        signal.signal(signal.SIGALRM, _ring)
        signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
        try:
            verdict, detail = _run(program, text, test, entry_point)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
    except Late:
        verdict, detail = "late", ""
    except Ended as error:
        verdict, detail = "ended", str(error)
    return verdict, detail, time.monotonic() - start


def _run(program: Program, text: str, test: str, entry_point: str) -> tuple[str, str]:
    suite, names, broken = _compiled(test)
    wanted = sorted({entry_point, *names} - {"check"})
    match program.ask("define", text, wanted):
        case "syntax", str(detail):
            return "syntax", detail
        case "raised", str(kind), str(message):
            return "error", one_line(kind, message)
        case "defined", dict(found):
            pass
        case _:
            raise Ended("a reply without sense")
    if suite is None:
        return "error", f"the test does not compile: {broken}"
    if entry_point not in found:
        return "error", f"the program does not define {entry_point}"
    return _test(program, suite, test, _stand_ins(program, found), entry_point)


@lru_cache(maxsize=256)  # as many as a benchmark has: each test judges many programs
def _compiled(test: str) -> tuple[CodeType | None, set[str], str]:
    """Code of a test and the names it may look up, or None and what is wrong with it."""
    try:
        suite = compile(test, TEST, "exec", dont_inherit=True)
    except Exception as error:
        return None, set(), describe(error)
    return suite, _names(suite), ""


def _test(program: Program, suite: CodeType, test: str, names: dict, entry_point: str) -> tuple[str, str]:
    module = ModuleType("test")
    module.__dict__.update(names)
    random.seed(SEED)
    candidate = names[entry_point]
    try:
        exec(suite, module.__dict__)
        if "check" not in module.__dict__:
            return "error", "the test does not define check(candidate)"
        module.__dict__["check"](candidate)
    except (Late, Ended):
        raise
    except BaseException as error:
        if error is program.raised:
            return "error", program.reason
        return _explain(error, test)
    return "pass", ""


def _stand_ins(program: Program, found: dict) -> dict[str, Any]:
    """What a test sees of a program: functions that ask it, copies of plain values, modules of the standard library."""
    names = {}
    for name, shown in found.items():
        match shown:
            case "function", None:
                names[name] = _stand_in(program, name)
            case "module", str(module) if module == name and module in _HARMLESS:
                names[name] = __import__(module)
            case "value", value:
                names[name] = value
    return names


_HARMLESS = {"collections", "copy", "functools", "heapq", "itertools", "math", "operator", "random", "re", "string"}


def _stand_in(program: Program, name: str) -> Callable[..., Any]:
    def ask(*arguments: Any, **options: Any) -> Any:
        return program.call(name, arguments, options)

    return ask


def _names(code: CodeType) -> set[str]:
    """Global names that a piece of code may look up, also in its functions, without those of Python itself."""
    found = {name for name in code.co_names if not hasattr(builtins, name)}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _names(constant)
    return found


def _exception(kind: str, message: str) -> BaseException:
    """The program's exception, of Python's own class where it has one: a test may expect it."""
    known = getattr(builtins, kind, None)
    if isinstance(known, type) and issubclass(known, Exception):
        try:
            return known(message)
        except TypeError:  # one that is not made from a message alone, such as UnicodeDecodeError
            return Exception(message)
    base = ProgramRaised if isinstance(known, type) else Exception
    return type(kind[:DETAIL], (base,), {})(message)


def _follow(mine: tuple[tuple, dict], theirs: Any) -> None:
    """Change the containers among the arguments of a call as the program changed its copies."""
    match theirs:
        case tuple(arguments), dict(options):
            pairs = [*zip(mine[0], arguments, strict=False)]
            pairs += [(mine[1][name], value) for name, value in options.items() if name in mine[1]]
        case _:
            raise Ended("a reply without sense")
    for one, other in pairs:
        match one, other:
            case (list(), list()) | (bytearray(), bytearray()):
                one[:] = other
            case (dict(), dict()) | (set(), set()):
                one.clear()
                one.update(other)


def _explain(error: BaseException, test: str) -> tuple[str, str]:
    """``fail`` for an assertion of the test, ``error`` for all else."""
    line, step = 0, error.__traceback__
    while step:
        line = step.tb_lineno if step.tb_frame.f_code.co_filename == TEST else line
        step = step.tb_next
    text = describe(error)
    if not (line and isinstance(error, AssertionError)):
        return "error", text
    assertion = " ".join(test.splitlines()[line - 1].split())
    return "fail", (f"{text}: {assertion}" if text == "AssertionError" else text)[:DETAIL]


def _ring(number: int, frame: object) -> None:
    raise Late
