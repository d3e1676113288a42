"""C and C++ in normal form: comments and includes go, names are told apart by their order alone."""

from llmexp_utils import cpp


def test_cpp_comments_and_includes_go_and_names_are_the_same() -> None:
    source = '#include <cstdio>\n#define N 3\n/* all\n   of it */ int main() {\n\tputs("// no"); // yes\n}\n'
    program = cpp.normalise(source)
    assert program.preamble == "#include <cstdio>\n"
    assert program.code == '#define N 3\n int main() {\n    puts("// no");\n}\n'
    assert cpp.normal_tokens("int a = 1;") == cpp.normal_tokens("int b = 2;") != cpp.normal_tokens("int b = c;")
