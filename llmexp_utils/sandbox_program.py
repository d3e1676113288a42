"""The processes that programs run in: a parent that has imported what tests need forks one child a program.

The parent never sees a program or a test. It gets three pipes, forks, and the child answers requests on them until
it is killed: first it defines the program, then it calls its functions. A child knows nothing but its program and the
arguments of the calls, so there is nothing in it that a verdict could be made from.
"""

from __future__ import annotations

import _socket
import array
import os
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any

from llmexp_utils import sandbox_kernel as kernel
from llmexp_utils import sandbox_layers
from llmexp_utils.sandbox_layers import Layers
from llmexp_utils.sandbox_pipes import read_exactly, read_message, write_message
from llmexp_utils.sandbox_values import __name__ as VALUES
from llmexp_utils.sandbox_values import read, write

WARM = ("bisect", "collections", "copy", "functools", "heapq", "itertools", "math", "operator", "random", "re")
WARM += ("string", "typing")
"""What programs of the benchmarks often import: read once, in the parent. More would make each fork dearer."""

REQUESTS, REPLIES, FIRST_FREE, MANY = 3, 4, 5, 1 << 20
START, END = b"s", b"e"
Become = Callable[[list[int]], None]
REPORT = struct.Struct("=id")
SEED = 0
PROGRAM = "<program>"
DETAIL = 300
REHEARSALS = 20
REHEARSED = "from typing import List\n\ndef f(a: List[int]) -> int:\n    return max([0] + [b % 2 for b in a]) or None\n"
MUTABLE = {list, dict, set, bytearray}
NO_MEMORY = write(("raised", "MemoryError", ""))


def serve(link: _socket.socket, layers: Layers, become: Become) -> None:
    """Fork one child for each START, kill all that is left of it at END; return when the other side is gone.

    ``become`` turns the child into a program, and never returns. The answer to END is the child's status (as
    ``waitpid`` gives it) and its seconds of processor time.
    """
    child = 0
    while True:
        word, pipes = _hear(link)
        if word == START:
            child = os.fork()
            if not child:
                become(pipes)
            for pipe in pipes:
                os.close(pipe)
        else:
            status, seconds = _end(child, layers)
            sandbox_layers.remove_below(layers.home)
            if word != END:
                return
            os.write(link.fileno(), REPORT.pack(status, seconds))


def ask_for_program(link: _socket.socket) -> tuple[int, int, int]:
    """The other side: start a program; descriptors to speak to it, to hear it, and of what it prints."""
    pipes = [os.pipe() for _ in range(3)]
    (hers, requests), (replies, answers), (output, prints) = pipes
    given = [hers, answers, prints]
    link.sendmsg([START], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", given))])
    for descriptor in given:
        os.close(descriptor)
    return requests, replies, output


def end_program(link: _socket.socket, descriptors: tuple[int, int, int]) -> tuple[int, float]:
    """The other side: end the program; its status and its seconds of processor time."""
    os.write(link.fileno(), END)
    report = read_exactly(link.fileno(), REPORT.size)
    if len(report) < REPORT.size:
        raise EOFError("the parent of the programs is gone")
    for descriptor in descriptors:
        os.close(descriptor)
    return REPORT.unpack(report)


def _hear(link: _socket.socket) -> tuple[bytes, list[int]]:
    word, extra, _, _ = link.recvmsg(1, _socket.CMSG_SPACE(12))
    pipes = array.array("i")
    for _, _, data in extra:
        pipes.frombytes(data)
    return word, list(pipes)


def _end(child: int, layers: Layers) -> tuple[int, float]:
    """Kill a program with all its children."""
    status, seconds = 0, 0.0
    targets = [-1] if layers.namespaces else [-child, child] if child else []
    for target in targets:
        try:
            os.kill(target, signal.SIGKILL)
        except OSError:
            pass  # it has ended
    while True:
        try:
            ended, state, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return status, seconds
        if ended == child:
            status, seconds = state, usage.ru_utime + usage.ru_stime


def _become_program(pipes: list[int], layers: Layers, limits: dict[str, int]) -> None:
    """Turn a forked child into one that holds nothing but its pipes, and serve; it never returns."""
    status = 1
    try:
        if not layers.namespaces:
            os.setsid()  # a group of its own, to be killed as a whole
        null = os.open(os.devnull, os.O_RDONLY)
        sandbox_layers.confine_program(layers, limits)
        for number, pipe in enumerate([null, pipes[2], pipes[2], pipes[0], pipes[1]]):
            os.dup2(pipe, number)
        os.closerange(FIRST_FREE, MANY)
        os.chdir(layers.home)
        answer = _Program().answer
        while request := read_message(REQUESTS):
            write_message(REPLIES, answer(*read(request)))
        status = 0
    finally:
        os._exit(status)


class _Program:
    """A program in its module, and what may be asked of it."""

    def __init__(self) -> None:
        self.module = type(sys)("program")
        sys.modules["program"] = sys.modules["__main__"] = self.module

    def answer(self, kind: str, *content: Any) -> bytes:
        """Reply to a request, as it is sent: (word, ...)."""
        try:
            return write(getattr(self, kind)(*content))
        except MemoryError:
            self.module.__dict__.clear()  # without room nothing could be said
            return NO_MEMORY
        except BaseException as error:  # SystemExit and KeyboardInterrupt too: they end a call, not the process
            return write(("raised", type(error).__name__, message(error)))

    def define(self, text: str, names: list[str]) -> tuple:
        """Run the program; reply with what it has of these names."""
        try:
            code = compile(text, PROGRAM, "exec", dont_inherit=True)
        except Exception as error:  # SyntaxError, ValueError (NUL, surrogates), RecursionError, MemoryError
            return "syntax", describe(error)
        exec(code, self.module.__dict__)
        found = self.module.__dict__
        return "defined", {name: self._shown(found[name]) for name in names if name in found}

    def call(self, name: str, arguments: tuple, options: dict) -> tuple:
        """Call a function; reply with its result, and with the arguments if it may have changed them."""
        result = self.module.__dict__[name](*arguments, **options)
        open_to_change = any(type(value) in MUTABLE for value in (*arguments, *options.values()))
        return "returned", result, (arguments, options) if open_to_change else None

    @staticmethod
    def _shown(value: Any) -> tuple:
        if isinstance(value, type(sys)):
            return "module", value.__name__
        return ("function", None) if callable(value) else ("value", value)


def describe(error: BaseException) -> str:
    """Class and message of an error on one line."""
    return one_line(type(error).__name__, message(error))


def message(error: BaseException) -> str:
    """Message of an error, or its beginning."""
    try:
        return str(error)[: 2 * DETAIL]
    except BaseException:  # it is made by code of the program
        return ""


def one_line(kind: str, text: str) -> str:
    """Class and message on one line of limited length."""
    return " ".join(f"{kind}: {text}".split())[:DETAIL].removesuffix(":")


def forget_the_study() -> None:
    """Leave nothing of the study where a program would find it by name."""
    os.environ.clear()
    sys.argv[:] = [PROGRAM]
    sys.path[:] = [path for path in sys.path if path.startswith((sys.base_prefix, sys.base_exec_prefix))]
    for name in [name for name in sys.modules if name.startswith("llmexp_utils.") and name != VALUES]:
        del sys.modules[name]


def rehearse() -> None:
    """Do what every child does, so that each finds it done: the first ``compile`` of a process alone takes 2 ms."""
    main = sys.modules["__main__"]
    for _ in range(REHEARSALS):
        program = _Program()
        for request in (("define", REHEARSED, ["f"]), ("call", "f", (2,), {}), ("call", "f", ([0],), {})):
            read(program.answer(*read(write(request))))
    del sys.modules["program"]
    sys.modules["__main__"] = main


def start(link: _socket.socket, layers: Layers, limits: dict[str, int], become: Become | None = None) -> None:
    """Become the parent of programs, of Python unless ``become`` makes others of them; ends the process."""
    import gc
    import importlib

    try:
        null = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(null, number)  # the pipes to the study are the worker's alone
        os.close(null)
        if layers.namespaces:
            kernel.set_flag(kernel.PARENT_DEATH_SIGNAL, signal.SIGKILL)
        sandbox_layers.make_home(layers, limits["home"])
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # which the first process of a namespace never sees
        for name in WARM:
            importlib.import_module(name)
        sys.modules["random"].seed(SEED)  # children go on from here
        forget_the_study()
        rehearse()
        sandbox_layers.confine_parent(layers, limits)
        gc.collect()
        gc.freeze()  # children share these objects until they write to them
        serve(link, layers, become or (lambda pipes: _become_program(pipes, layers, limits)))
    finally:
        if not layers.namespaces:
            sandbox_layers.remove_below(layers.home)
            os.rmdir(layers.home)
        os._exit(0)
