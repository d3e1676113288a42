"""The sandbox: each verdict, what a program cannot do, the cache."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from llmexp_utils import sandbox
from llmexp_utils.sandbox import Job, Limits, Outcome, Verdict, run_program

TEST = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 6\n"
GOOD = "def f(x):\n    return x + x\n"
QUICK = Limits(seconds=1.0, cpu=1)
PATIENT = Limits(seconds=60.0, cpu=30)  # for programs that do much: the machine may be busy


def run(program: str, test: str = TEST, limits: Limits = sandbox.DEFAULT) -> Outcome:
    return run_program(Job("job", program, test, "f"), limits)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_until_dead(pid: int) -> bool:
    end = time.monotonic() + 2
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.01)
    return not is_alive(pid)


# --- verdicts


@pytest.mark.parametrize(
    ("program", "verdict", "detail"),
    [
        (GOOD, "pass", ""),
        ("def f(x):\n    return x * x\n", "fail", "AssertionError: assert candidate(3) == 6"),
        ("def f(x):\n    return x / 0\n", "error", "ZeroDivisionError: division by zero"),
        ("def f(x):\n    assert False, 'own'\n", "error", "AssertionError: own"),
        ("def f(x):\n    return f(x)\n", "error", "RecursionError"),
        ("def f(x)\n    return x\n", "syntax", "SyntaxError: expected ':' (<program>, line 1)"),
        ("x = '\0'\n", "syntax", ""),
        ("x = '\ud800'\n", "syntax", "UnicodeEncodeError"),
        ("def g(x):\n    return x\n", "error", "the program does not define f"),
        ("import numpy\n" + GOOD, "error", "ModuleNotFoundError: No module named 'numpy'"),
        ("def f(x):\n    while True: pass\n", "timeout", "no end after 1 s of processor time"),
        ("import time\ndef f(x):\n    time.sleep(9)\n", "timeout", "no end after 1 s of wall-clock time"),
        ("import os\nos.kill(os.getpid(), 11)\n", "error", "ended before its test did (killed by SIGSEGV)"),
        ("def f(x):\n    raise ValueError('a\\n b' * 999)\n", "error", "ValueError: a ba b"),
    ],
)
def test_verdict(program: str, verdict: str, detail: str) -> None:
    limits = Limits(seconds=1.0) if "sleep" in program else Limits(cpu=1)
    outcome = run(program, limits=limits)
    assert (outcome.job_id, outcome.verdict) == ("job", verdict), outcome
    assert outcome.detail.startswith(detail)
    assert len(outcome.detail) <= 300 and "\n" not in outcome.detail


def test_message_of_the_test_is_the_detail_of_a_failure() -> None:
    outcome = run("def f(x):\n    return 0\n", "def check(c):\n    assert c(1) == 1, 'first case'\n")
    assert (outcome.verdict, outcome.detail) == (Verdict.FAIL, "AssertionError: first case")


def test_faulty_test_is_an_error_that_names_it() -> None:
    assert run(GOOD, "def check(c:\n").detail.startswith("the test does not compile: SyntaxError")
    assert run(GOOD + "def check(c): pass\n", "x = 1\n").detail == "the test does not define check(candidate)"


def test_test_sees_the_other_functions_but_cannot_break_them() -> None:
    program = "def check(x):\n    return 2 * x\ndef f(x):\n    return check(x)\ndef extra():\n    return 7\n"
    assert run(program, TEST + "    assert extra() == 7\n").verdict == Verdict.PASS


def test_program_with_postponed_annotations_and_dataclass() -> None:
    program = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    program += "@dataclass\nclass A:\n    x: int\n"
    assert run(program + "def f(x):\n    return A(2 * x).x\n").verdict == Verdict.PASS


def test_long_program() -> None:
    assert run("".join(f"x{n} = {n}\n" for n in range(20_000)) + GOOD).verdict == Verdict.PASS


def test_program_does_not_see_the_runner_as_a_module() -> None:
    assert run("import __main__\nassert not hasattr(__main__, 'judge')\n" + GOOD).verdict == Verdict.PASS


def test_main_block_is_not_run() -> None:
    assert run(GOOD + "if __name__ == '__main__':\n    raise SystemExit(1)\n").verdict == Verdict.PASS


# --- a verdict is hard to fake


@pytest.mark.parametrize(
    "program",
    [
        "import sys\nsys.exit(0)\n",
        "import os\nos._exit(0)\n",
        "def f(x):\n    raise SystemExit(0)\n",
        "import os\ndef f(x):\n    os._exit(0)\n",
        "import os\nprint('pass', 'PASS', flush=True)\nos._exit(0)\n",
        "import os\nfor n in range(3, 40):\n  try: os.write(n, b'pass\\n')\n  except: 0\nos._exit(0)\n",
        "import builtins\nbuiltins.exec = lambda *a: None\ndef check(c): pass\ndef f(x): return 0\n",
        "import os\nos._exit = os.write = lambda *a: None\ndef f(x): return 0\n",
        "def f(x):\n    try:\n        return 0\n    except AssertionError:\n        pass\n",
        "class AssertionError(BaseException): pass\ndef f(x): return 0\n",
        "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): return 0\n",
        "import os\nos.closerange(3, 64)\ndef f(x): return 0\n",
        "import os\ncopy = os.fork() == 0\nif not copy: os.wait()\ndef f(x): return 2 * x * copy\n",
    ],
)
def test_not_a_pass(program: str) -> None:
    assert run(program).verdict in (Verdict.ERROR, Verdict.FAIL)


def test_early_exit_says_so() -> None:
    outcome = run("import os, sys\nprint('bye', file=sys.stderr, flush=True)\nos._exit(0)\n")
    assert outcome.verdict == Verdict.ERROR
    assert outcome.detail == "ended before its test did (exit status 0): bye"


# --- isolation


def test_environment_arguments_and_input_are_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "1")
    program = (
        "import os, sys\n"
        "assert not os.environ, os.environ\n"
        "assert open('/proc/self/environ').read() == ''\n"
        "assert sys.argv == ['<program>'] and sys.stdin.read() == ''\n"
        "assert not [p for p in sys.path if 'site-packages' in p]\n"
        "assert len(os.listdir('/proc/self/fd')) <= 5, os.listdir('/proc/self/fd')\n"
    )
    assert run(program + GOOD).detail == ""


def test_working_folder_is_private_and_removed(tmp_path: Path) -> None:
    note = tmp_path / "cwd"
    program = (
        "import os\n"
        "assert os.listdir() == [] and os.stat('.').st_mode & 0o077 == 0\n"
        f"open({str(note)!r}, 'w').write(os.getcwd())\n"
        "os.makedirs('a/b')\nopen('a/b/c', 'w').write('x')\nos.chmod('a', 0)\n"
    )
    assert run(program + GOOD).verdict == Verdict.PASS
    assert note.read_text() and not os.path.exists(note.read_text())


def test_folder_nested_too_deep_for_the_library_is_removed(tmp_path: Path) -> None:
    note = tmp_path / "cwd"
    program = (
        f"import os\nopen({str(note)!r}, 'w').write(os.getcwd())\n"
        "for _ in range(1100):\n    os.mkdir('d')\n    os.chdir('d')\n"
    )
    assert run(program + GOOD).verdict == Verdict.PASS
    assert not os.path.exists(note.read_text())


def test_infinite_loop_is_killed_in_time() -> None:
    start = time.monotonic()
    outcome = run("def f(x):\n    while True: pass\n", limits=QUICK)
    assert outcome.verdict == Verdict.TIMEOUT and time.monotonic() - start < 4


def test_loop_that_ignores_the_signal_is_a_timeout() -> None:
    program = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass\n"
    assert run(program, limits=Limits(seconds=8, cpu=1)).verdict == Verdict.TIMEOUT


@pytest.mark.parametrize("end", ["", "import os\nos._exit(3)\n", "import time\ntime.sleep(60)\n"])
def test_background_process_is_killed(end: str, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    fork = "import os, time\npid = os.fork()\nif pid == 0:\n    time.sleep(60)\n"
    fork += f"open({str(note)!r}, 'w').write(str(pid))\n"
    start = time.monotonic()
    outcome = run(fork + end + GOOD, limits=QUICK)
    assert time.monotonic() - start < 4
    assert outcome.verdict == ("pass" if not end else "error" if "_exit" in end else "timeout")
    assert wait_until_dead(int(note.read_text()))


@pytest.mark.skipif(os.getuid() == 0, reason="the kernel exempts root from the limit on processes")
def test_fork_bomb_is_bounded() -> None:
    program = "import os, time\nfor _ in range(200):\n    if os.fork() == 0: time.sleep(60)\n"
    assert run(program + GOOD).detail.startswith("BlockingIOError")


@pytest.mark.parametrize(
    "bomb",
    ["x = bytearray(1 << 34)\n", "x = [0]\nwhile True: x += x\n", "x = []\nwhile True: x.append([1])\n"],
)
def test_memory_bomb_is_an_error(bomb: str) -> None:
    outcome = run(bomb + GOOD, limits=replace(PATIENT, memory_mb=128))
    assert outcome.verdict == Verdict.ERROR and "MemoryError" in outcome.detail


def test_big_file_is_an_error() -> None:
    program = "with open('big', 'wb') as file:\n    file.write(bytes(1 << 22))\n"
    outcome = run(program + GOOD, limits=replace(PATIENT, file_mb=1))
    assert outcome.verdict == Verdict.ERROR and "too large" in outcome.detail


def test_output_flood_is_not_kept() -> None:
    import tracemalloc

    flood = "for _ in range(400):\n    print('x' * 100_000)\n"
    tracemalloc.start()
    outcome = run(flood + GOOD, limits=replace(PATIENT, output_kb=8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert outcome.verdict == Verdict.PASS and peak < 2_000_000  # 40 MB were printed
    assert run("while True: print('x' * 1000)\n", limits=QUICK).verdict == Verdict.TIMEOUT
