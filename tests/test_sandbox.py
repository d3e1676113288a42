"""The sandbox: each verdict, what a program cannot do, the cache."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from llmexp_utils import sandbox, sandbox_program
from llmexp_utils.sandbox import Boundary, Job, Limits, Outcome, Verdict, run_program

TEST = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 6\n"
SHOW = "def check(candidate):\n    assert 0, candidate(2)\n"
GOOD = "def f(x):\n    return x + x\n"
QUICK = Limits(seconds=1.0, cpu=1)
PATIENT = Limits(seconds=60.0, cpu=30)  # for programs that do much: the machine may be busy


def run(program: str, test: str = TEST, limits: Limits = sandbox.DEFAULT) -> Outcome:
    return run_program(Job("job", program, test, "f"), limits)


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
        "assert sys.argv == ['<program>'] and sys.stdin.read() == ''\n"
        "assert not [p for p in sys.path if 'site-packages' in p]\n"
        "for n in range(5, 64):\n  try: os.fstat(n); raise SystemExit(n)\n  except OSError: 0\n"
    )
    assert run(program + GOOD).detail == ""


@pytest.mark.parametrize("boundary", Boundary)
def test_nothing_is_left_in_the_temporary_folder(
    boundary: Boundary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    program = (
        "import os\nassert os.listdir() == []\nos.makedirs('a/b')\nopen('a/b/c', 'w').write('x')\nos.chmod('a', 0)\n"
    )
    assert run(program + GOOD, limits=Limits(boundary=boundary)).verdict == Verdict.PASS
    assert os.listdir(tmp_path) == []


def test_infinite_loop_is_killed_in_time() -> None:
    start = time.monotonic()
    outcome = run("def f(x):\n    while True: pass\n", limits=QUICK)
    assert outcome.verdict == Verdict.TIMEOUT and time.monotonic() - start < 4


def test_loop_that_ignores_the_signal_is_a_timeout() -> None:
    program = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass\n"
    assert run(program, limits=Limits(seconds=8, cpu=1)).verdict == Verdict.TIMEOUT


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


def test_output_flood_is_no_reason_to_fail() -> None:
    flood = "for _ in range(400):\n    print('x' * 100_000)\n"
    assert run(flood + GOOD, limits=replace(PATIENT, output_kb=8)).verdict == Verdict.PASS
    assert run("while True: print('x' * 1000)\n", limits=QUICK).verdict == Verdict.TIMEOUT


# --- the line between test and program


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("collections.Counter('aab')", "{'a': 2, 'b': 1}"),
        ("collections.namedtuple('P', 'a b')(1, 2)", "(1, 2)"),
        ("(x * x for x in range(3))", "iter"),
        ("{1: 2}.keys()", "{1}"),
        ("fractions.Fraction(1, 3)", "fractions.Fraction(1, 3)"),
        ("10**5000", "10**5000"),
        ("[float('inf'), -0.0, 1e-320]", "[float('inf'), 0, 1e-320]"),
        ("({1, 'a'}, b'\\xff', None, '\\ud800')", "({1, 'a'}, b'\\xff', None, '\\ud800')"),
        ("re.match('a', 'abc') is not None", "True"),
    ],
)
def test_values_arrive_as_they_are(result: str, expected: str) -> None:
    program = f"import collections, fractions, re\ndef f():\n    return {result}\n"
    same = "list(candidate()) == [0, 1, 4]" if expected == "iter" else f"candidate() == {expected}"
    test = f"import fractions\ndef check(candidate):\n    assert {same}\n"
    assert run(program, test).verdict == Verdict.PASS


def test_objects_of_the_program_equal_nothing() -> None:
    program = "class A:\n    def __eq__(self, other): return True\ndef f(x):\n    return [A()]\n"
    outcome = run(program, "def check(c):\n    assert c(1) == [7], c(1)\n")
    assert (outcome.verdict, outcome.detail) == (Verdict.FAIL, "AssertionError: [<A>]")


def test_arguments_are_changed_in_place() -> None:
    program = "def f(x, *, d):\n    x.sort()\n    d['n'] = len(x)\n"
    test = "def check(c):\n    x, d = [3, 1], {}\n    assert c(x, d=d) is None and (x, d) == ([1, 3], {'n': 2})\n"
    assert run(program, test).verdict == Verdict.PASS


def test_a_test_may_expect_an_exception() -> None:
    test = "def check(c):\n    try:\n        c(0)\n    except {} as error:\n        assert str(error) == 'no'\n"
    assert run("def f(x):\n    raise ValueError('no')\n", test.format("ValueError")).verdict == Verdict.PASS
    program = "class Own(Exception): pass\ndef f(x):\n    raise Own('no')\n"
    assert run(program, test.format("ValueError")).detail == "Own: no"


def test_modules_of_the_program_are_the_tests_own() -> None:
    program = "import math\nmath.sqrt = lambda x: x\n" + GOOD
    assert run(program, "def check(c):\n    assert math.sqrt(4) == 2\n").verdict == Verdict.PASS


def test_chance_and_the_order_of_sets_are_the_same_in_every_run() -> None:
    program = "import random\ndef f():\n    return [random.random(), ''.join({'a', 'b', 'c', 'd', 'e'})]\n"
    test = "def check(c):\n    assert False, [c(), random.random()]\nimport random\n"
    assert len({run(program, test).detail for _ in range(3)}) == 1


def test_a_test_that_never_ends_is_a_timeout() -> None:
    deaf = "def check(c):\n  while True:\n    try:\n      while True: pass\n    except BaseException: pass\n"
    assert run(GOOD, deaf, limits=QUICK).verdict == Verdict.TIMEOUT
    assert run(GOOD, "def check(c):\n    while c(1): pass\n", limits=QUICK).verdict == Verdict.TIMEOUT


def test_rehearsal_leaves_nothing_behind() -> None:
    modules = dict(sys.modules)
    sandbox_program.rehearse()
    assert sys.modules == modules
    outcome = run("names = [n for n in globals() if n[0] != '_']\ndef f(x):\n    return names\n", SHOW)
    assert outcome.detail == "AssertionError: []"
