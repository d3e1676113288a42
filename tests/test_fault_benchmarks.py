"""Benchmarks of real faults: what loaders refuse, how splits are made, and published files where they are at hand."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from llmexp_utils import benchmark_registry, defects4j, humaneval_java, humanevalpack
from llmexp_utils.benchmark_registry import SOURCES, at_hand, load_benchmark
from llmexp_utils.benchmarks import Function
from llmexp_utils.errors import StudyError
from llmexp_utils.fault_benchmarks import (
    FaultBenchmark,
    fault_rows,
    label_statistics,
    refuse_shared_texts,
    shorter,
    split_groups,
)
from llmexp_utils.metrics import random_floor

PUBLISHED = {  # faults, share with one faulty line, Top-1 of a random ranking: of the whole benchmark in normal form
    "humanevalpack-python": (164, 0.878, 0.235),
    "humanevalpack-java": (164, 0.872, 0.128),
    "humaneval-java": (162, 0.617, 0.165),
    "defects4j": (483, 0.673, 0.113),
    "condefects": (1107, 0.946, None),
}


def row(**changes: object) -> dict[str, object]:
    fault = {"group": "p", "language": "python", "correct": "def f(x):\n    return x\n"}
    return fault | {"faulty": "def f(x):\n    return -x\n"} | changes


def own(folder: Path, *rows: dict[str, object] | str) -> Path:
    path = folder / "own.jsonl"
    path.write_text("".join((text if isinstance(text, str) else json.dumps(text)) + "\n" for text in rows))
    return path


def many(units: dict[str, int], text: str = "") -> FaultBenchmark:
    """Faults by unit; all texts differ unless ``text`` is given."""
    names = [(unit, f"{unit}/{number}") for unit, count in units.items() for number in range(count)]
    codes = [text or f"def f(x):\n    return x + {number}\n" for number in range(len(names))]
    functions = [Function(task, "f", "", code, "", "") for (_, task), code in zip(names, codes, strict=True)]
    rows = [
        {"fault_id": f"{task}/real", "task_id": task, "code": code.replace("+", "-"), "lines": [2], "correct": code}
        for (_, task), code in zip(names, codes, strict=True)
    ]
    return FaultBenchmark("made", "python", functions, fault_rows(rows), {task: unit for unit, task in names}, {})


def test_own_faults_are_read_and_labelled(tmp_path: Path) -> None:
    test = "def check(candidate):\n    assert candidate(1) == 1\n"
    benchmark = load_benchmark(str(own(tmp_path, row(), row(group="q", fault_id="mine"))))
    assert benchmark.faults.lines.tolist() == [[2], [2]] and not benchmark.tested
    assert benchmark.faults.task_id.tolist() == ["p/1", "mine"] and benchmark.unit == {"p/1": "p", "mine": "q"}
    assert load_benchmark(str(own(tmp_path, row(test=test, entry_point="f")))).tested


def test_a_java_test_calls_the_method_by_its_name(tmp_path: Path) -> None:
    test = "class Main { public static void main(String[] a) { if (new Solution().f(1) != 1) throw new Error(); } }"
    java = row(language="java", correct="int f(int x) { return x; }", faulty="int f(int x) { return -x; }", test=test)
    assert load_benchmark(str(own(tmp_path, java))).functions[0].entry_point == "f"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: give one fault a line"),
        (json.dumps(row()).encode() + b"\n" + '{"group": "\u00e4"}'.encode("latin-1"), "line 2: not in UTF-8"),
        ((json.dumps(row(fault_id="a")) + "\n").encode() * 2, "line 2: fault_id 'a' is there twice"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "own.jsonl").write_bytes(content)
    with pytest.raises(StudyError, match=message):
        load_benchmark(str(tmp_path / "own.jsonl"))


def test_marks_and_separators_of_unicode_are_no_rows(tmp_path: Path) -> None:
    text = row(correct="def f(x):\n    return '\u2028'\n", faulty="def f(x):\n    return x\n")
    rows = "\n".join(json.dumps(one, ensure_ascii=False) for one in (text, row(group="q")))
    (tmp_path / "own.jsonl").write_text("\ufeff" + rows, encoding="utf-8")
    assert len(load_benchmark(str(tmp_path / "own.jsonl")).faults) == 2


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "line 2: row: Invalid JSON"),
        (row(language="perl"), "line 2: language: Input should be 'python' or 'java'"),
        (row(lables=[1]), "line 2: lables: Extra inputs are not permitted"),
        (row(faulty="def f(x)\n"), "line 2: does not parse"),
        (row(faulty="def f( x ):\n    return x\n"), "line 2: both versions are the same"),
        (row(lines=[9]), r"line 2: labels \[9\] are no lines of the faulty text"),
        (row(faulty="def f( x ):\n    return -x\n", lines=[2]), "line 2: `lines` count lines of the normal form"),
        (row(test="def check(c): pass"), "line 2: a test needs entry_point"),
        (row(test="def check(c): pass", entry_point="g"), "line 2: entry_point 'g' is not defined in `correct`"),
        (row(test="def check(c): pass", entry_point="f"), "line 1: no test, where other rows have one: give every row"),
        (
            row(language="java", correct="int f() { return 1; }", faulty="int f() { return 2; }"),
            "mixes java and python",
        ),
    ],
)
def test_a_malformed_row_is_named_by_its_line(tmp_path: Path, bad: dict[str, object] | str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        load_benchmark(str(own(tmp_path, row(), bad)))


def test_names_that_are_unknown_or_not_at_hand_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMEXP_DATA_DIR", raising=False)
    with pytest.raises(StudyError, match="unknown benchmark 'defects4'.*did you mean 'defects4j'"):
        load_benchmark("defects4")
    with pytest.raises(StudyError, match="not at hand: run .*, or put single_function_repair.json"):
        load_benchmark("defects4j")
    with pytest.raises(StudyError, match="no such file of faults"):
        load_benchmark("nowhere.jsonl")
    assert at_hand(["humaneval", "defects4j"], external=True)[0] == ["humaneval"]
    assert at_hand(["humaneval", "defects4j"], external=False)[1] == {"defects4j": "set external to use it"}
    monkeypatch.setattr(humanevalpack, "_from_hub", lambda language: pytest.fail("a hub was asked"))
    assert benchmark_registry.local_hash() == ""


@pytest.mark.parametrize("name", ["defects4j", "humaneval-java"])
def test_another_file_than_the_published_one_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = {"defects4j": defects4j.PUBLISHED, "humaneval-java": humaneval_java.PUBLISHED}[name]
    monkeypatch.setenv("LLMEXP_DATA_DIR", str(tmp_path))
    (tmp_path / published.folder).mkdir()
    (tmp_path / published.folder / published.name).write_text("{}")
    with pytest.raises(StudyError, match=rf"wrong SHA-256\): run .* or put {published.name} of .*/{published.folder}$"):
        load_benchmark(name)


def test_groups_keep_units_whole_and_are_of_about_equal_size() -> None:
    benchmark = many({"a": 6, "b": 5, "c": 4, "d": 3, "e": 3, "f": 3})
    groups = split_groups(benchmark)
    by_unit = pd.Series(groups).groupby(lambda task: benchmark.unit[task]).nunique()
    assert (by_unit == 1).all() and sorted(pd.Series(groups).value_counts()) == [3, 4, 5, 6, 6]
    assert split_groups(benchmark) == groups
    refuse_shared_texts(benchmark.faults, groups, "python")
    assert label_statistics(benchmark, groups)["faults by fold"].count("/") == 4


def test_units_that_share_a_text_are_in_one_group_or_refused() -> None:
    benchmark = many({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1})
    faults = benchmark.faults.copy()
    faults.loc[5, "correct"] = faults.correct[0]
    shared = FaultBenchmark("made", "python", benchmark.functions, faults, benchmark.unit, {})
    groups = split_groups(shared)
    assert groups["a/0"] == groups["f/0"]
    with pytest.raises(StudyError, match="f/0/real and a/0/real share a text, but are in two groups"):
        refuse_shared_texts(faults, groups | {"f/0": (groups["a/0"] + 1) % 5}, "python")
    with pytest.raises(StudyError, match="has 4 separate units"):
        split_groups(many({"a": 1, "b": 1, "c": 1, "d": 1}))


def test_longer_functions_are_left_out_and_counted() -> None:
    benchmark = many({"a": 3, "b": 3})
    drawn = shorter(benchmark, 2, 4)
    assert len(drawn.functions) == len(drawn.faults) == 4 and drawn.facts["not drawn"] == 2
    assert shorter(benchmark, 1).facts["longer than 1 lines"] == 6
    assert drawn.faults.task_id.tolist() == shorter(benchmark, 2, 4).faults.task_id.tolist()


def test_labels_of_missing_code_go_to_the_next_line_with_code() -> None:
    source = "int f() {\n    int x = 1;\n\n    // why\n    return x;\n}"
    assert defects4j.code_labels(source, [2, 3, 4, 6]) == [2]
    assert [defects4j.next_label(source, label) for label in (3, 4, 6)] == [3, 3, 3]


def test_faults_with_labels_outside_are_refused() -> None:
    fault = {"fault_id": "a", "task_id": "a", "code": "x\n", "lines": [2], "correct": "y\n"}
    with pytest.raises(StudyError, match=r"fault a has labels \[2\] for 1 lines"):
        fault_rows([fault])
    with pytest.raises(StudyError, match="fault a is there twice"):
        fault_rows([fault | {"lines": [1]}] * 2)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files(name: str) -> None:
    if SOURCES[name].find() is None:
        pytest.skip(f"LLMEXP_DATA_DIR has no {name}")
    benchmark = load_benchmark(name)
    n, single, floor = PUBLISHED[name]
    assert len(benchmark.faults) == n
    assert (benchmark.faults.lines.map(len) == 1).mean() == pytest.approx(single, abs=0.001)
    if floor:
        assert random_floor(benchmark.faults.assign(n_lines=benchmark.faults.code.str.count("\n"))).top1.mean() == (
            pytest.approx(floor, abs=0.001)
        )
    groups = split_groups(benchmark)
    refuse_shared_texts(benchmark.faults, groups, benchmark.language)
    assert label_statistics(benchmark, groups)["tests"] == ("yes" if name.startswith("humanevalpack") else "no")


def test_rule_for_labels_without_code() -> None:
    path = defects4j.find_defects4j()
    if path is None:
        pytest.skip("LLMEXP_DATA_DIR has no defects4j")
    assert len(defects4j.load_defects4j(path, "drop").faults) == 483 - 53


def pinned(folder: Path, monkeypatch: pytest.MonkeyPatch, module: object, content: object) -> Path:
    """A made-up file that stands for a module's published one."""
    path = folder / module.PUBLISHED.name
    path.write_text(json.dumps(content))
    published = replace(module.PUBLISHED, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(module, "PUBLISHED", published)
    return path


def test_labels_of_defects4j_are_lines_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The method begins at line 100 of its file; its second line is a comment, which the normal form has not."""
    fix = "int f(int x) {\n    // why\n    int y = x + 1;\n\n    return y;\n}"
    rows = {
        "Lang-1": {"buggy": fix.replace("+ 1", "- 1"), "fix": fix, "start": 100, "end": 105, "location": [102]},
        "Lang-2": {
            "buggy": fix.replace("return y", "return x"),
            "fix": fix,
            "start": 7,
            "end": 12,
            "location": [8, 11],
        },
        "Math-1": {"buggy": fix.replace("int y", "long y"), "fix": fix, "start": 1, "end": 6, "location": [2, 4]},
    }
    path = pinned(tmp_path, monkeypatch, defects4j, rows)
    with pytest.raises(StudyError, match="3 faults, 1 without code, not 483 and 53"):
        defects4j.load_defects4j(path)
    monkeypatch.setattr(defects4j, "N_FAULTS", 3)
    monkeypatch.setattr(defects4j, "N_WITHOUT_CODE", 1)
    found = defects4j.load_defects4j(path)
    faulty = [
        [code.splitlines()[line - 1].strip() for line in lines] for code, lines in zip(*texts(found), strict=True)
    ]
    assert faulty == [["int y = x - 1;"], ["return x;"], ["long y = x + 1;"]], "where no label has code: the next line"
    assert found.unit == {"Defects4J/Lang-1": "Lang", "Defects4J/Lang-2": "Lang", "Defects4J/Math-1": "Math"}
    dropped = defects4j.load_defects4j(path, "drop")
    assert dropped.faults.task_id.tolist() == ["Defects4J/Lang-1", "Defects4J/Lang-2"]
    assert dropped.facts["dropped by the rule"] == 1


def texts(benchmark: FaultBenchmark) -> tuple[list[str], list[list[int]]]:
    return benchmark.faults.code.tolist(), benchmark.faults.lines.tolist()


def test_humaneval_java_is_labelled_by_the_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fix = "public static int f(int x) {\n    int y = x;\n    return y + 1;\n}"
    rows = {"F": {"buggy": fix.replace("+ 1", "- 1"), "fix": fix}, "G": {"buggy": f"{fix} // g", "fix": fix}}
    path = pinned(tmp_path, monkeypatch, humaneval_java, rows)
    with pytest.raises(StudyError, match="has 2 faults, HumanEval-Java has 163"):
        humaneval_java.load_humaneval_java(path)
    monkeypatch.setattr(humaneval_java, "N_FAULTS", 2)
    found = humaneval_java.load_humaneval_java(path)
    assert found.faults.lines.tolist() == [[3]] and found.facts == {"published": 2, "the same in normal form": 1}
    assert [function.entry_point for function in found.functions] == ["f", "f"]
