"""Java source: normal form, tokens, what is refused; mutants."""

import numpy as np
import pytest

from llmexp_utils import java, mutation_java
from llmexp_utils.benchmarks import Function
from llmexp_utils.code import CodeError, changed_lines
from llmexp_utils.line_policies import askable_lines

METHOD = """    /** doc */
    public int f(int[] a) { // sums
\t\tint s = 0; /* zero
        still a comment */ int t = 1;

        for (int x : a) {
            s += x;
        }
        String u = "// no comment";
        return s + t;
    }
"""
NORMAL = """public int f(int[] a) {
    int s = 0;
                       int t = 1;
    for (int x : a) {
        s += x;
    }
    String u = "// no comment";
    return s + t;
}
"""


def test_normal_form_is_without_comments_and_blank_lines_at_the_margin() -> None:
    program = java.normalise(METHOD)
    assert program.code == NORMAL and program.preamble == ""
    assert java.normalise(program.code).code == program.code
    assert java.tokens(METHOD) == java.tokens(NORMAL)
    assert [number for number, _ in java.code_lines(METHOD)] == [2, 3, 4, 6, 7, 8, 9, 10, 11]


def test_a_file_gives_its_imports_and_the_inside_of_its_class() -> None:
    program = java.normalise("import java.util.*;\n\nclass Solution {\n    int f() { return 1; }\n}\n")
    assert program == ("import java.util.*;\n", "int f() { return 1; }\n") or (program.preamble, program.code) == (
        "import java.util.*;\n",
        "int f() { return 1; }\n",
    )
    assert Function("T", "f", program.preamble, program.code, "", "", "java").program(program.code) == (
        "import java.util.*;\nclass Solution {\nint f() { return 1; }\n}\n"
    )


@pytest.mark.parametrize("text", ["int f() { return 1;", "int f() { return 1; } } class B {", "", "int x = 1;"])
def test_what_is_no_method_is_refused(text: str) -> None:
    with pytest.raises(CodeError):
        java.normalise(text)


def test_tokens_keep_strings_whole_and_leave_the_class_out() -> None:
    assert java.tokens('char c() { return "a b".charAt(0); }')[-9:] == [
        "return", '"a b"', ".", "charAt", "(", "0", ")", ";", "}",
    ]  # fmt: skip


def test_lines_that_can_carry_a_fault() -> None:
    code = (
        "public int f(int x) {\n    if (x > 0) {\n        x++;\n    } else {\n        x--;\n    }\n    return x;\n}\n"
    )
    assert askable_lines(Function("T", "f", "", code, "", "", "java")) == [2, 3, 5, 7]


def test_mutants_parse_differ_and_are_labelled() -> None:
    function = Function("T/0", "f", "", NORMAL, "", "", "java")
    frame = mutation_java.sample_mutants([function], 100, np.random.default_rng(0))
    assert len(frame) >= 9 and frame.fault_id.is_unique
    assert {"AOR", "ASR", "CRP", "RVR", "SDL", "UOI"} <= set(frame.operator)
    streams = [tuple(java.tokens(code)) for code in frame.code]
    assert len(set(streams)) == len(streams) and tuple(java.tokens(NORMAL)) not in streams
    assert all(changed_lines(NORMAL, row.code) == row.lines for row in frame.itertuples())
    again = mutation_java.sample_mutants([function], 100, np.random.default_rng(0))
    assert again.equals(frame)


def test_returned_constants_are_of_the_methods_type() -> None:
    news = {
        kind: [edit.new for edit in mutation_java.edits(f"{kind} f() {{\n    return x;\n}}\n")["RVR"]]
        for kind in ("boolean", "int", "String")
    }
    assert news == {"boolean": ["true", "false"], "int": ["0"], "String": ["null"]}


def test_java_names_of_the_text_are_told_from_those_of_other_objects() -> None:
    code = "int area(Box area) {\n    int size = area.size();\n    return size * area(area.twin());\n}\n"
    neutral = code.replace("int area(", "int program(").replace("* area(", "* program(")
    assert java.neutral_names(code, "area") == neutral
    tokens = java.normal_tokens("int f(Box b) { int n = b.size; return f(b) + n; }")
    assert " ".join(tokens) == "int v0 ( Box v1 ) { int v2 = v1 . size ; return v0 ( v1 ) + v2 ; }"
