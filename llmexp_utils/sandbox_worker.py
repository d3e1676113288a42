"""A worker of the sandbox, started as a script: it lives behind the boundary, and judges one job after the other.

Two processes: this one runs the tests, the other (:mod:`llmexp_utils.sandbox_program`) forks a child for each program.
Neither has a way out but the pipes of standard input and output: messages of JSON, each behind its length. The first
says how to set up; the answer says which layers are on, or what is missing. It needs the standard library alone.
"""

from __future__ import annotations

import os

# The library's `random` would seed itself anew in each child, slowly and by chance; programs are given a seed.
at_fork, os.register_at_fork = os.register_at_fork, lambda **hooks: None
import random  # noqa: F401

os.register_at_fork = at_fork

import _socket
import json
import signal
import sys
from typing import Any

from llmexp_utils import sandbox_kernel as kernel
from llmexp_utils import sandbox_layers, sandbox_program
from llmexp_utils.sandbox_judge import Program, judge
from llmexp_utils.sandbox_pipes import read_exactly, write_all
from llmexp_utils.sandbox_program import ask_for_program, end_program

JUDGE_MEMORY = 2 << 30


def main() -> None:
    """Set up, then judge until the study closes the pipe."""
    setup = receive()
    limits = setup["limits"]
    try:
        stay_on_one_core(setup["core"])
        layers = sandbox_layers.enter(setup["boundary"], setup["home"])
        if sys.platform == "linux":  # nothing of a worker outlives the study
            kernel.set_flag(kernel.PARENT_DEATH_SIGNAL, signal.SIGKILL)
        link, other = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        if not os.fork():
            link.close()
            sandbox_program.start(other, layers, limits)
        other.close()
        sandbox_layers.confine_judge(layers, JUDGE_MEMORY)
    except OSError as error:
        send({"missing": error.strerror or str(error)})
        return
    send({"layers": layers.names})
    while (job := receive()) is not None:
        send(_outcome(job, link, limits))


def stay_on_one_core(number: int) -> None:
    """Keep judge and program on one core: they take turns, and waking another core for each turn costs more."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})


def _outcome(job: dict[str, str], link: _socket.socket, limits: dict[str, Any]) -> dict[str, Any]:
    """Verdict on one job, and how its process ended if that is the reason."""
    descriptors = ask_for_program(link)
    program = Program(*descriptors, limits["output"])
    verdict, detail, seconds = judge(program, job["program"], job["test"], job["entry_point"], limits["seconds"])
    if verdict == "ended":
        program.listen()
        last = program.printed.decode("utf-8", "replace").strip().splitlines()[-1:]
        detail = ": ".join(part for part in (detail, *last) if part)
    status, cpu = end_program(link, descriptors)
    return {"verdict": verdict, "detail": detail, "seconds": seconds, "status": status, "cpu": cpu}


def receive() -> Any:
    """Next message of the study; None when there will be none."""
    size = int.from_bytes(read_exactly(0, 4), "little")
    return json.loads(read_exactly(0, size)) if size else None


def send(message: dict[str, Any]) -> None:
    """Message to the study."""
    data = json.dumps(message).encode()
    write_all(1, len(data).to_bytes(4, "little") + data)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main()
