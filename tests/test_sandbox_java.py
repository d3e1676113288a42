"""Java in the sandbox: verdicts, what a program cannot do, and the published programs where they are at hand."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llmexp_utils.humaneval_x import find_humaneval_x, jobs_of_clones, problems_tested
from llmexp_utils.sandbox import Boundary, Job, Limits, Outcome, SandboxError, run_program, run_programs
from llmexp_utils.sandbox_java import JavaWorker, find_jdk

try:
    find_jdk()
except SandboxError as error:
    pytest.skip(str(error), allow_module_level=True)

LIMITS = Limits(seconds=5.0, cpu=2, memory_mb=128, file_mb=2)
MAIN = """public class Main {
    public static void main(String[] args) {
        Solution s = new Solution();
        List<Boolean> correct = Arrays.asList(s.f(2) == 4, s.f(3) == 6);
        if (correct.contains(false)) { throw new AssertionError("wrong"); }
    }
}
"""


def solution(body: str, more: str = "") -> str:
    method = f"public int f(int x) {{ {body} }}"
    return f"import java.util.*;\nimport java.lang.*;\n\nclass Solution {{\n  {more}\n  {method}\n}}\n"


def tried(what: str) -> str:
    return f"try {{ {what} return 2 * x; }} catch (Exception e) {{ throw new RuntimeException(e); }}"


GOOD = solution("return x + x;")


@pytest.fixture(scope="module")
def worker() -> Iterator[JavaWorker]:
    with JavaWorker(LIMITS) as one:
        yield one


def run(worker: JavaWorker, program: str) -> Outcome:
    return worker.run(Job("j", program, MAIN, "f", "java"))[0]


@pytest.mark.parametrize(
    ("program", "verdict", "detail"),
    [
        (GOOD, "pass", ""),
        (solution("return x * x;"), "fail", "java.lang.AssertionError: wrong"),
        (solution("return x / 0;"), "error", "java.lang.ArithmeticException: / by zero"),
        (solution('throw new AssertionError("own");'), "error", "java.lang.AssertionError: own"),
        (solution("return f(x);"), "error", "java.lang.StackOverflowError"),
        (solution("return x + ;"), "syntax", "/Main.java:6: error: illegal start of expression"),
        (solution("while (true) {}"), "timeout", ""),
        (
            solution("return x + x;", "class Inner { } static int n = new Object() { int g() { return 1; } }.g();"),
            "pass",
            "",
        ),
    ],
)
def test_verdict(worker: JavaWorker, program: str, verdict: str, detail: str) -> None:
    outcome = run(worker, program)
    assert outcome.verdict == verdict and outcome.detail.startswith(detail), outcome


ATTEMPTS = {
    "an early exit": "System.exit(0); return 0;",
    "a hard exit": "Runtime.getRuntime().halt(0); return 0;",
    "a word": 'System.out.println("pass"); System.out.flush(); Runtime.getRuntime().halt(0); return 0;',
    "a thread that ends all": "new Thread(() -> System.exit(0)).start(); while (true) {}",
    "a shell": tried('Runtime.getRuntime().exec("true").waitFor();'),
    "a file": tried('new java.io.FileReader("/etc/passwd").read();'),
    "a secret": tried('new java.io.FileReader("@secret").read();'),
    "the home folder": 'if (new java.io.File("@folder").list() != null) return 2 * x; return 0;',
    "writing": tried('new java.io.FileWriter("@folder/made").close();'),
    "the network": tried('new java.net.Socket("127.0.0.1", 22).close();'),
    "a server": tried("new java.net.ServerSocket(0).close();"),
    "memory": "List<long[]> all = new ArrayList<>(); while (true) all.add(new long[1 << 20]);",
    "threads": "for (int n = 0; n < 9999; n++) new Thread(() -> { while (true) {} }).start(); return 2 * x;",
    "a flood": 'while (true) System.err.println("x".repeat(9999));',
    "the environment": 'if (!System.getenv().isEmpty() && System.getenv("HOME") != null) return 2 * x; return 0;',
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_attempts_fail_and_harm_nobody(worker: JavaWorker, name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    body = ATTEMPTS[name].replace("@secret", str(secret)).replace("@folder", str(tmp_path))
    assert run(worker, solution(body)).verdict not in ("pass", "syntax")
    assert run(worker, GOOD).verdict == "pass"
    assert os.listdir(tmp_path) == ["secret"]


@pytest.mark.parametrize("name", ["Arrays", "List", "Run", "Helper"])
def test_a_class_beside_the_solution_is_refused(worker: JavaWorker, name: str) -> None:
    outcome = run(worker, f"{GOOD}\nclass {name} {{ }}\n")
    assert outcome.verdict in ("error", "syntax") and outcome.verdict != "pass"


@pytest.mark.parametrize("boundary", [Boundary.CONFINED, Boundary.LIMITS])
def test_weaker_boundaries(boundary: Boundary) -> None:
    limits = replace(LIMITS, boundary=boundary)
    assert run_program(Job("j", GOOD, MAIN, "f", "java"), limits).verdict == "pass"
    file = solution(ATTEMPTS["a file"])
    expected = "pass" if boundary == Boundary.LIMITS else "error"
    assert run_program(Job("j", file, MAIN, "f", "java"), limits).verdict == expected


def test_both_languages_in_one_batch(tmp_path: Path) -> None:
    test = "def check(c):\n    assert c(2) == 4\n"
    jobs = [Job("j", GOOD, MAIN, "f", "java"), Job("p", "def f(x): return x + x\n", test, "f")]
    cache = tmp_path / "cache"
    first = run_programs(jobs, LIMITS, 2, cache, progress=False)
    assert [one.verdict for one in first] == ["pass", "pass"]
    assert run_programs(jobs, LIMITS, 2, cache, progress=False) == first


def test_without_a_jdk_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SandboxError, match="no Java compiler: install a JDK 17 or newer, or set JAVA_HOME"):
        run_program(Job("j", GOOD, MAIN, "f", "java"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/javac").touch()
    (tmp_path / "release").write_text('JAVA_VERSION="11.0.2"\n')
    with pytest.raises(SandboxError, match=r"is Java 11\.0\.2: install a JDK 17"):
        run_program(Job("j", GOOD, MAIN, "f", "java"))


def test_published_programs() -> None:
    """Every correct solution of HumanEvalPack passes, and every one that its authors broke fails."""
    path = Path(os.environ.get("LLMEXP_DATA_DIR", "")) / "humanevalpack/java.jsonl"
    if not os.environ.get("LLMEXP_DATA_DIR") or not path.is_file():
        pytest.skip("LLMEXP_DATA_DIR has no humanevalpack/java.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    kinds = ("canonical_solution", "buggy_solution")
    jobs = [
        Job(f"{row['task_id']} {kind}", row["declaration"] + row[kind], row["test"], row["entry_point"], "java")
        for row in rows
        for kind in kinds
    ]
    outcomes = run_programs(jobs, Limits(seconds=20.0, cpu=15), progress=False)
    passed = {one.job_id for one in outcomes if one.verdict == "pass"}
    assert len(rows) == 164 and passed == {f"{row['task_id']} {kinds[0]}" for row in rows}
    assert {str(one.verdict) for one in outcomes} <= {"pass", "fail", "error", "timeout"}


def test_published_clones() -> None:
    """HumanEval-Java's solutions under HumanEvalPack's tests: those that take and return what these expect all pass."""
    path = find_humaneval_x()
    if path is None:
        pytest.skip("LLMEXP_DATA_DIR has not the three Java sources of HumanEval")
    outcomes = run_programs(jobs_of_clones(path), Limits(seconds=20.0, cpu=15), progress=False)
    found = {verdict: [one.job_id for one in outcomes if one.verdict == verdict] for verdict in ("pass", "syntax")}
    assert (len(outcomes), len(found["pass"]), len(found["syntax"])) == (142, 83, 52)
    assert set(found["pass"]) == set(problems_tested())
    others = {one.job_id for one in outcomes} - {*found["pass"], *found["syntax"]}
    # Arrays for lists, characters for strings as keys, doubles for any object: compared, they are never equal.
    assert others == {f"HumanEval/{number}" for number in (8, 92, 111, 125, 130, 155, 159)}
