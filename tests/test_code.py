"""Normal form, labels and tokens, against answers worked out by hand."""

import pytest

from llmexp_utils.code import CodeError, changed_lines, lines_touched, normalise, tokens

CORRECT = "def f(x):\n    y = 1\n    for i in range(x):\n        y += i\n    return y\n"


def test_normal_form_drops_comments_docstrings_blank_lines_and_layout():
    text = 'import os\nfrom a import b\n\n\ndef f( x ):\n  """Doc."""\n  y=1 # why\n\n  # alone\n  return  x+y\n'
    program = normalise(text)
    assert program.preamble == "import os\nfrom a import b\n"
    assert program.code == "def f(x):\n    y = 1\n    return x + y\n"
    assert program.source == program.preamble + "\n" + program.code


def test_a_body_of_only_a_docstring_becomes_pass_and_strings_keep_their_hash_sign():
    assert normalise('def f():\n    "doc"\n').code == "def f():\n    pass\n"
    assert normalise('def f():\n    return "# no comment"\n').code == 'def f():\n    return "# no comment"\n'


def test_a_string_after_an_import_inside_a_function_is_dropped_too():
    assert normalise('def f(x):\n    import math\n    """late doc"""\n    return x\n').code.count('"""') == 0


def test_blank_lines_inside_a_string_are_kept():
    program = normalise('def f():\n    return """a\n\nb"""\n')
    assert eval_function(program.code, "f")() == "a\n\nb"


def eval_function(code, name):
    namespace = {}
    exec(code, namespace)  # text written in this file
    return namespace[name]


def test_normal_form_is_its_own_normal_form():
    program = normalise("import math\n" + CORRECT)
    assert normalise(program.source) == program


@pytest.mark.parametrize("text", ["def f(:\n", "x = (", "", "import os\n", "def f():\n\tif 1:\n  return\n", "\0"])
def test_text_that_is_no_program_is_refused_in_one_way(text):
    with pytest.raises(CodeError):
        normalise(text)


def test_labels_of_replaced_inserted_and_deleted_lines():
    assert changed_lines(CORRECT, CORRECT) == []
    assert changed_lines(CORRECT, CORRECT.replace("y = 1", "y = 0")) == [2]
    assert changed_lines(CORRECT, CORRECT.replace("    return y", "    y = 0\n    return y")) == [5]
    assert changed_lines(CORRECT, CORRECT.replace("    y = 1\n", "")) == [2]  # the line after the gap
    assert changed_lines(CORRECT, CORRECT.replace("    return y\n", "")) == [4]  # the gap is at the end


def test_lines_touched_counts_a_replacement_once():
    assert lines_touched(CORRECT, CORRECT.replace("y = 1", "y = 0")) == 1
    assert lines_touched(CORRECT, CORRECT.replace("    y = 1\n", "")) == 1
    assert lines_touched(CORRECT, CORRECT.replace("    y = 1\n", "    y = 0\n    z = 1\n")) == 2


def test_tokens_ignore_layout_but_not_structure():
    assert tokens("x = 1\n") == tokens("x  =   1  # one\n")
    assert tokens("if a:\n    b\nc\n") != tokens("if a:\n    b\n    c\n")
