"""Every mutation operator against hand-made answers; the rules that all mutants keep; the balanced draw."""

from __future__ import annotations

import ast
import difflib
from dataclasses import dataclass

import numpy as np
import pytest

from llmexp_utils.code import CodeError, changed_lines, lines_touched, normalise, tokens
from llmexp_utils.errors import StudyError
from llmexp_utils.mutation import OPERATORS, Mutant, mutate, sample_mutants
from llmexp_utils.scopes import variable_kinds, variables_at
from llmexp_utils.source_edits import Edit, Source, apply


@dataclass(frozen=True)
class Given:
    """What the draw reads of a benchmark function."""

    task_id: str
    code: str
    preamble: str = ""


def new_lines(operator: str, code: str) -> list[str]:
    """For each mutant of an operator: its new lines joined by " / ", or "-" and how many lines it dropped."""
    correct, found = normalise(code).code, []
    for mutant in mutate(code):
        if mutant.operator == operator:
            diff = list(difflib.ndiff(correct.splitlines(), mutant.code.splitlines()))
            added = [line[2:].strip() for line in diff if line.startswith("+ ")]
            dropped = sum(line.startswith("- ") for line in diff)
            found.append(" / ".join(added) if added else f"-{dropped}")
    return found


KNOWN = [
    ("AOD", "def f(x):\n    return -x", ["return x"]),
    ("AOR", "def f(x):\n    return x % 2", [f"return x {other} 2" for other in ("+", "-", "*", "/", "//")]),
    ("AOR", "def f(x):\n    return x**2", ["return x * 2"]),
    ("AOR", "def f(x):\n    return 'a' + x", []),
    ("AOR", "def f(x: str, y: str):\n    return x + y", []),
    ("UOI", "def f(x):\n    return x * 2", ["return -x * 2", "return (x + 1) * 2", "return (x - 1) * 2"]),
    ("UOI", "def f(x):\n    return print(x)", []),
    ("UOI", "def f(x: str, y):\n    return x < y", ["return x < -y", "return x < y + 1", "return x < y - 1"]),
    ("ODL", "def f(a, b):\n    return (a + b) * 2",
     ["return a + b", "return 2", "return a * 2", "return b * 2"]),
    ("ODL", "def f(a, b, c):\n    return a and (b or c)",
     ["return b or c", "return a", "return a and c", "return a and b"]),
    ("ODL", "def f(a, b):\n    return 0 < a < b", ["return a < b", "return 0 < a"]),
    ("ROR", "def f(x):\n    return x < 1",
     [f"return x {other} 1" for other in ("==", "!=", "<=", ">", ">=")]),
    ("ROR", "def f(x, y):\n    return x not in y", ["return x in y"]),
    ("ROR", "def f(x):\n    return x is None", ["return x is not None"]),
    ("LCR", "def f(a, b, c):\n    return a and b and c", ["return a or b and c", "return a and b or c"]),
    ("LOR", "def f(a, b):\n    return a & b", ["return a | b", "return a ^ b"]),
    ("LOR", "def f(a):\n    return a << 1", ["return a >> 1"]),
    ("COI", "def f(a, b):\n    if a and b:\n        return 1",
     ["if not (a and b):", "if not a and b:", "if a and not b:"]),
    ("COI", "def f(a):\n    if a == 1:\n        return 1", []),
    ("COI", "def f(xs):\n    return [x for x in xs if x]", ["return [x for x in xs if not x]"]),
    ("COD", "def f(a):\n    return 1 if not a else 2", ["return 1 if a else 2"]),
    ("CRP", "def f():\n    return 5", ["return 6", "return 4", "return 0", "return 1", "return -5"]),
    ("CRP", "def f():\n    return 0.5", [f"return {n}" for n in ("1.5", "-0.5", "0.0", "1.0")]),
    ("CRP", "def f(x):\n    return x[-1]", ["return x[0]", "return x[-2]"]),
    ("CRP", "def f():\n    return 'ab'", ['return ""', 'return "XX"']),
    ("CRP", "def f():\n    return True", ["return False"]),
    ("CRP", "def f(x: 'int' = None) -> 'str':\n    return f'{x:02d} 7'", []),
    ("VRR", "def f(a, b):\n    c = a\n    return b", ["c = b", "return a", "return c"]),
    ("VRR", "def f(a: int, b: str):\n    return a", []),
    ("SIR", "def f(x):\n    return x[1:4]", ["return x[:4]", "return x[1:]"]),
    ("SIR", "def f(x):\n    return x[::-1]", ["return x[:]"]),
    ("AIR", "def f(a, b):\n    return g(a, b, k=1)", ["return g(b, a, k=1)"]),
    ("AIR", "def f(a, b):\n    return max(a, b)", []),
    ("ADL", "def f(a):\n    return sorted(a, reverse=True)", ["return sorted(a)"]),
    ("ADL", "def f(a):\n    return range(1, a)", ["return range(a)", "return range(1)"]),
    ("CDL", "def f(a):\n    return int(a)", ["return a"]),
    ("CDL", "def f(a):\n    return a.strip().lower()", ["return a.strip()", "return a.lower()"]),
    ("CDL", "def f(a):\n    return math.pi.hex()", ["return math.pi"]),
    ("CDL", "def f(a, b):\n    a.append(b)", []),
    ("FNR", "def f(a):\n    return min(a)", ["return max(a)"]),
    ("FNR", "def f(a):\n    return a.lower()", ["return a.upper()"]),
    ("FNR", "def f(a):\n    return sorted(a, key=len)", []),
    ("SDL", "def f(a):\n    a.sort()\n    return a", ["-1"]),
    ("SDL", "def f(a):\n    for x in a:\n        g(x)", ["pass", "pass"]),
    ("SDL", "def f(a):\n    if a:\n        g()\n    else:\n        h()\n    return a", ["pass", "-2"]),
    ("SDL", "def f(a):\n    if a:\n        a = g()\n    return a", ["-2", "a = g()", "pass"]),
    ("ASR", "def f(a):\n    a += 1", [f"a {other} 1" for other in ("=", "-=", "*=", "/=", "//=", "%=")]),
    ("ASR", "def f(a):\n    a += 'x'", ['a = "x"']),
    ("ASR", "def f(a):\n    a |= 1", ["a = 1", "a &= 1", "a ^= 1"]),
    ("RVR", "def f(a) -> int:\n    return a", ["return None", "return 0"]),
    ("RVR", "def f(a) -> List[int]:\n    return a", ["return None", "return []"]),
    ("RVR", "def f(a) -> bool:\n    return a",
     ["return None", "return True", "return False", "return not a"]),
    ("RVR", "def f(a, b):\n    return a and b", ["return None", "return not (a and b)"]),
    ("RVR", "def f(a, b):\n    return a, b", ["return None", "return b", "return a"]),
    ("BCR", "def f(a):\n    for x in a:\n        if x:\n            break\n        continue",
     ["continue", "break"]),
    ("ZIL", "def f(a):\n    for x in a:\n        g(x)", ["break"]),
    ("OIL", "def f(a):\n    while a:\n        a = g(a)", ["break"]),
    ("OIL", "def f(a):\n    while a:\n        return 1", []),
    ("RIL", "def f(a):\n    for x in a:\n        g(x)", ["for x in reversed(a):"]),
    ("RIL", "def f(a):\n    for i, x in enumerate(a):\n        g(x)", []),
    ("EHD", "def f(a):\n    try:\n        g()\n    except ValueError:\n        return 1", ["raise"]),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "code", "expected"), KNOWN)
def test_known_answers(operator: str, code: str, expected: list[str]) -> None:
    assert new_lines(operator, code) == expected


def test_every_operator_has_a_known_answer() -> None:
    assert {operator for operator, _, expected in KNOWN if expected} == set(OPERATORS)
    assert len(OPERATORS) >= 8


def test_break_is_placed_at_the_start_or_the_end_of_the_body() -> None:
    code = "def f(a):\n    for x in a:\n        g(x)\n        h(x)\n"
    mutants = {mutant.operator: mutant for mutant in mutate(code) if mutant.operator in ("ZIL", "OIL")}
    assert mutants["ZIL"].code.splitlines()[2:] == ["        break", "        g(x)", "        h(x)"]
    assert mutants["OIL"].code.splitlines()[2:] == ["        g(x)", "        h(x)", "        break"]
    assert (mutants["ZIL"].line, mutants["OIL"].line) == (3, 5)


def test_elif_and_else_branches_are_deleted_with_their_header() -> None:
    code = """\
def f(a):
    if a == 1:
        b = 1
    elif a == 2:
        b = 2
    else:
        b = 3
    return b
"""
    deleted = {mutant.code for mutant in mutate(code) if mutant.operator == "SDL"}
    assert "def f(a):\n    if a == 1:\n        b = 1\n    else:\n        b = 3\n    return b\n" in deleted
    assert "def f(a):\n    if a == 1:\n        b = 1\n    elif a == 2:\n        b = 2\n    return b\n" in deleted


LONG = '''def first(numbers: list, limit: int = 3) -> str:
    """Not counted."""
    total, names = 0, ["é", 'b']
    for index, value in enumerate(numbers):  # a comment
        if (value > limit and index % 2 == 0) or not names or value is None:
            total += value ** 2 - len(names[1:-1])
        elif "é" in names: names.append(f"{value} and {limit + 1}")
    result = ",".join(str(number) for number in sorted(numbers, reverse=True))
    return result + str(max(names, key=lambda item: -item))
'''


@pytest.fixture(scope="module")
def mutants() -> list[Mutant]:
    """All mutants of a function with a bit of everything."""
    return mutate(LONG)


def test_rules_that_all_mutants_keep(mutants: list[Mutant]) -> None:
    correct = normalise(LONG).code
    assert len(mutants) > 90
    streams = [tuple(tokens(mutant.code)) for mutant in mutants]
    assert len(set(streams)) == len(streams) and tuple(tokens(correct)) not in streams
    for mutant in mutants:
        assert 1 <= lines_touched(correct, mutant.code) <= 3
        assert mutant.line == changed_lines(correct, mutant.code)[0]
    for mutant in mutants[::5]:
        assert normalise(mutant.code).code == mutant.code


def test_only_the_touched_expression_changes(mutants: list[Mutant]) -> None:
    correct = normalise(LONG).code
    for mutant in mutants:
        if mutant.operator in ("ROR", "CRP", "LCR", "VRR"):
            changed = [tag for tag, *_ in _token_opcodes(correct, mutant.code) if tag != "equal"]
            assert len(changed) == 1, mutant


def _token_opcodes(correct: str, faulty: str) -> list[tuple[str, int, int, int, int]]:
    return difflib.SequenceMatcher(None, tokens(correct), tokens(faulty), autojunk=False).get_opcodes()


def test_preamble_is_not_part_of_a_mutant() -> None:
    mutants = mutate("def f(x):\n    return math.floor(x)\n", preamble="import math\n")
    assert "def f(x):\n    return math.ceil(x)\n" in [mutant.code for mutant in mutants]
    assert all("import" not in mutant.code for mutant in mutants)


def test_code_that_does_not_parse_is_refused() -> None:
    with pytest.raises(CodeError, match="does not parse"):
        mutate("def f(:\n")


def test_variables_are_those_with_a_value_at_that_place() -> None:
    source = Source.read("""\
def f(a, *rest):
    b = a
    for c in b:
        d = [e for e in c]
    z = lambda g: g
    return d
""")
    reads = {
        (node.id, node.lineno): variables_at(node, source)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    assert reads[("a", 2)] == ["a", "rest"]
    assert reads[("b", 3)] == ["a", "rest", "b"]  # the loop variable has no value in its own iterable
    assert reads[("c", 4)] == ["a", "rest", "b", "c"]
    assert reads[("e", 4)] == ["a", "rest", "b", "c", "e"]
    assert reads[("g", 5)] == ["a", "rest", "b", "c", "d", "g"]
    assert reads[("d", 6)] == ["a", "rest", "b", "c", "d", "z"]


def test_kinds_of_variables() -> None:
    code = """\
def f(a: List[int], s: str, u):
    n, x = 0, "a"
    u = 1
    u = "b"
    for i, v in enumerate(a):
        pass
    for c in s:
        pass
"""
    known = {"a": "list", "s": "text", "n": "number", "x": "text", "i": "number", "c": "text"}
    assert variable_kinds(ast.parse(code)) == known  # u has two kinds and v none that shows


@pytest.mark.parametrize(
    ("text", "edit", "expected"),
    [
        ("y = x * 2", Edit(4, 5, "x + 1", expression=True), "y = (x + 1) * 2"),
        ("y = (x + 1) * 2", Edit(5, 10, "x", expression=True), "y = x * 2"),
        ("y = f(x + 1)", Edit(6, 11, "x", expression=True), "y = f(x)"),
        ("y = x", Edit(4, 5, "not z", expression=True), "y = not z"),
        ("y = x", Edit(4, 5, "(", expression=True), None),
        ("y = x", Edit(2, 3, "+ ="), None),
    ],
)
def test_apply_keeps_just_the_parentheses_that_are_needed(text: str, edit: Edit, expected: str | None) -> None:
    assert apply(text, edit) == expected


FUNCTIONS = [
    Given("t/0", "def f(a, b, c):\n    return a + b + c\n"),
    Given("t/1", "def g(x):\n    if x > 1:\n        return True\n    return False\n"),
    Given("t/2", "def h():\n    pass\n"),
]


def test_draw_gives_a_fault_frame_without_repeats() -> None:
    frame = sample_mutants(FUNCTIONS, 6, np.random.default_rng(0))
    assert frame.columns.tolist() == [
        "fault_id", "task_id", "source", "code", "lines", "correct", "fault_type", "operator"
    ]  # fmt: skip
    assert frame.task_id.value_counts().to_dict() == {"t/0": 6, "t/1": 6}  # nothing in h can be mutated
    assert frame.fault_id.is_unique and not frame.duplicated("code").any()
    assert (frame.source == "mutation").all() and frame.operator.isin(OPERATORS).all()
    for row in frame.itertuples():
        assert row.lines == changed_lines(row.correct, row.code) != []


def test_draw_repeats_with_the_same_seed_and_is_exhaustive_at_the_end() -> None:
    draws = [sample_mutants(FUNCTIONS, 5, np.random.default_rng(seed)).fault_id.tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    fewer = sample_mutants(FUNCTIONS, 2, np.random.default_rng(1)).fault_id.tolist()
    assert fewer == draws[0][:2] + draws[0][5:7], "the first ones of each function"
    everything = sample_mutants(FUNCTIONS[:2], 10_000, np.random.default_rng(0))
    assert set(everything.code) == {mutant.code for given in FUNCTIONS[:2] for mutant in mutate(given.code)}


def test_draw_takes_operators_evenly() -> None:
    # Three constants with five changes each (CRP) against one loop (ZIL, OIL, RIL), which a uniform draw
    # seldom takes.
    given = Given("t", "def f(a):\n    for x in a:\n        print(11, 12, 13)\n")
    drawn = sample_mutants([given] * 70, 1, np.random.default_rng(0)).operator
    operators = {mutant.operator for mutant in mutate(given.code)}
    assert operators == {"CRP", "AIR", "ADL", "SDL", "ZIL", "OIL", "RIL"}
    assert all(4 <= (drawn == operator).sum() <= 20 for operator in operators), drawn.value_counts()


def test_draw_of_nothing_and_of_less_than_nothing() -> None:
    assert len(sample_mutants(FUNCTIONS, 0, np.random.default_rng(0))) == 0
    assert len(sample_mutants([], 3, np.random.default_rng(0))) == 0
    with pytest.raises(StudyError, match="give zero or more"):
        sample_mutants(FUNCTIONS, -1, np.random.default_rng(0))
