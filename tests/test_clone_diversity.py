"""Diversity of programs: small sets whose numbers can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from llmexp_utils.clone_diversity import diversity_by_author, node_kinds
from llmexp_utils.errors import StudyError

SAME = pd.DataFrame({"code": ["x = 1\n"] * 3})
OTHER = pd.DataFrame({"code": ["x = 1\n", "y = a + b\n"]})
VECTORS = {"x = 1\n": [2.0, 0.0], "y = a + b\n": [0.0, 3.0]}


def embed(codes):
    return np.array([VECTORS[code] for code in codes], dtype=np.float32)


def test_equal_programs_have_no_diversity_and_different_ones_have():
    table = diversity_by_author({"same": SAME, "other": OTHER}, embed, 5, np.random.default_rng(0)).set_index("author")
    assert table.programs.tolist() == [2, 2]
    # tokens of `x = 1` twice: x, =, 1 (and the ends of lines, if they count) are half of all
    assert table.distinct_1["same"] == 0.5 and table.distinct_1["other"] > 0.5
    assert table.node_kinds.tolist() == [3, 5]  # Assign, Name, Constant; and BinOp, Add
    assert table.node_entropy["same"] == pytest.approx(np.log2(3))
    assert table.similarity.tolist() == [1.0, 0.0]


def test_contexts_are_no_choice_of_a_programmer():
    assert node_kinds("f(x)") == ["Expr", "Call", "Name", "Name"]


def test_an_author_with_one_program_is_refused():
    with pytest.raises(StudyError, match="needs two"):
        diversity_by_author({"one": SAME.head(1)}, embed, 5, np.random.default_rng(0))
