"""Baselines: values that one can count."""

import numpy as np
import pandas as pd
import pytest
from tiny_pairs import ARM, tiny_pool

from llmexp_utils.grid import Repeats, grid_cells, jobs_of
from llmexp_utils.pair_baselines import AlwaysClone, TokenOverlap, UntouchedCosine, jaccard
from llmexp_utils.pair_metrics import summarise
from llmexp_utils.train import run_grid

VECTORS = {"one": [1.0, 0.0], "two": [2.0, 2.0]}


def test_jaccard_counts_a_token_as_often_as_it_stands():
    assert jaccard("a = 1\n", "b = 2\n") == 1
    assert jaccard("f(f)\n", "f(1)\n") == pytest.approx(4 / 6)  # f, (, ), end of line of f f ( ) 1 and the end


def test_cosines_by_hand():
    student = UntouchedCosine("cosine", "none", lambda codes: np.array([VECTORS[code] for code in codes]))
    frame = pd.DataFrame({"left": ["one", "two"], "right": ["two", "two"]})
    _, scores = student.run(frame, frame, frame, seed=0)
    assert scores[:, 0].tolist() == pytest.approx([np.sqrt(0.5), 1.0])


def test_always_a_clone_has_the_f1_of_the_share_of_clones(tmp_path):
    jobs = jobs_of(tiny_pool(), grid_cells(["C0"], [8], 0, ARM, Repeats([0], [0])))
    found = run_grid(AlwaysClone(), jobs, tmp_path, workers=1, progress=False)
    assert summarise(found).f1.tolist() == [pytest.approx(2 / 3)]
    assert run_grid(TokenOverlap(), jobs, tmp_path, workers=1, progress=False).score.between(0, 1).all()
