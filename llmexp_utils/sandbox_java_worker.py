"""The Java half of the sandbox behind the boundary, started as a script: a warm compiler, or a runner of programs.

Both are processes of their own, each in namespaces of its own: what compiles a program is not where it runs. The runner
starts one Java machine a program, confined like a Python program but for its address space, which is limited by the
size of its heap; the program's class files lie in its home in memory, which is emptied after it.
"""

from __future__ import annotations

import _socket
import base64
import os
import secrets
import select
import signal
import sys
import time
from typing import Any

from llmexp_utils import sandbox_kernel as kernel
from llmexp_utils import sandbox_layers, sandbox_program
from llmexp_utils.sandbox_layers import Layers
from llmexp_utils.sandbox_program import FIRST_FREE, MANY, ask_for_program, end_program
from llmexp_utils.sandbox_worker import receive, send

CHUNK, LONGEST_REPLY = 1 << 16, 1 << 20


def main() -> None:
    """Set up as the first message says, then compile or run until the study closes the pipe."""
    setup = receive()
    try:
        layers = sandbox_layers.enter(setup["boundary"], setup["home"], setup["readable"], execute=True)
        if sys.platform == "linux":
            kernel.set_flag(kernel.PARENT_DEATH_SIGNAL, signal.SIGKILL)
        link, other = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        if not os.fork():
            link.close()
            if setup["role"] == "compile":
                _become_compiler(layers, setup)
            sandbox_program.start(other, layers, setup["limits"], lambda pipes: _become_java(pipes, layers, setup))
        other.close()
        sandbox_layers.confine_judge(layers, setup["limits"]["memory"])
    except OSError as error:
        send({"missing": error.strerror or str(error)})
        return
    send({"layers": layers.names})
    if setup["role"] == "compile":
        os.close(0), os.close(1)  # they are the compiler's now
        os.wait()
        return
    while (job := receive()) is not None:
        send(_outcome(job, link, layers, setup["limits"]))


def _become_compiler(layers: Layers, setup: dict[str, Any]) -> None:
    """Turn into a Java machine that reads sources from the study and writes classes to it."""
    try:
        sandbox_layers.make_home(layers, setup["limits"]["home"])
        sandbox_layers.confine_parent(layers, setup["limits"])
        sandbox_layers.confine_program(layers, setup["limits"])
        os.chdir(layers.home)
        os.closerange(3, MANY)
        os.execve(setup["command"][0], setup["command"], setup["environment"])
    finally:
        os._exit(1)


def _become_java(pipes: list[int], layers: Layers, setup: dict[str, Any]) -> None:
    """Turn a forked child into a Java machine that runs the classes in its home."""
    try:
        sandbox_layers.confine_program(layers, setup["limits"])
        for number, pipe in enumerate(pipes):
            os.dup2(pipe, number)
        os.closerange(FIRST_FREE - 2, MANY)
        os.chdir(layers.home)
        os.execve(setup["command"][0], setup["command"], setup["environment"])
    finally:
        os._exit(1)


def _outcome(job: dict[str, Any], link: _socket.socket, layers: Layers, limits: dict[str, Any]) -> dict[str, Any]:
    for name, content in job["classes"].items():
        with open(os.path.join(layers.home, f"{name}.class"), "wb") as file:
            file.write(base64.b64decode(content))
    requests, replies, errors = descriptors = ask_for_program(link)
    word, start = secrets.token_hex(16), time.monotonic()
    os.write(requests, word.encode())
    verdict, detail = _listen(replies, errors, word.encode(), start + limits["seconds"])
    seconds = time.monotonic() - start
    status, cpu = end_program(link, descriptors)
    return {"verdict": verdict, "detail": detail, "seconds": seconds, "status": status, "cpu": cpu}


def _listen(replies: int, errors: int, word: bytes, deadline: float) -> tuple[str, str]:
    """What the Java machine says before its end, or before the time is up."""
    heard = {replies: b"", errors: b""}
    poll = select.poll()
    for descriptor in heard:
        poll.register(descriptor, select.POLLIN)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return "late", ""
        for descriptor, _ in poll.poll(1000 * left):
            data = os.read(descriptor, CHUNK)
            heard[descriptor] = (heard[descriptor] + data)[-LONGEST_REPLY:]
            if data:
                continue
            poll.unregister(descriptor)
            if descriptor == replies:
                return _said(heard[replies], heard[errors], word)


def _said(reply: bytes, errors: bytes, word: bytes) -> tuple[str, str]:
    for line in reply.split(b"\n"):
        if line.startswith(word + b" "):
            verdict, _, detail = line[len(word) + 1 :].decode("utf-8", "replace").partition(" ")
            return verdict, detail
    last = errors.decode("utf-8", "replace").strip().splitlines()[:1]
    return "ended", "".join(last)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main()
