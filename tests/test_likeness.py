"""Distances of sets of faults from real ones, with known answers."""

import numpy as np
import pandas as pd
import pytest

from llmexp_utils.errors import StudyError
from llmexp_utils.likeness import REAL, likeness

CODE = "def f(a):\n    b = 1\n    if a:\n        b += a\n    return b\n"


def faults(lines, edits):
    rows = {"code": [CODE] * len(lines), "lines": [[line] for line in lines], "edit_distance": edits}
    return pd.DataFrame(rows | {"similarity": [0.9] * len(lines)})


def test_the_same_is_near_nothing_and_nothing_in_common_is_one():
    real = faults([2, 3, 4, 5] * 50, [1, 2, 3, 4] * 50)
    other = faults([1] * 100, [9] * 100)
    table = likeness({"same": real, "other": other}, real, 100, 20, np.random.default_rng(0)).set_index("source")
    assert table.index.tolist() == [REAL, "same", "other"]
    assert table.faults.tolist() == [200, 200, 100]
    assert table.loc["other", ["statement", "place", "edit_distance"]].tolist() == pytest.approx([1, 1, 1])
    assert (table["similarity"] == 0).all()
    assert (table.loc[[REAL, "same"], ["statement", "place", "edit_distance"]] < 0.15).all(axis=None)


def test_half_in_common():
    # Half of the lines where the real ones are, half elsewhere: JSD = 1 - H-terms = 0.311 bits, its root 0.558.
    real = faults([2] * 40, [1] * 40)
    mixed = faults([2] * 10 + [5] * 10, [1] * 10 + [2] * 10)
    table = likeness({"mixed": mixed}, real, 20, 3, np.random.default_rng(0)).set_index("source")
    assert table.loc["mixed", "statement"] == pytest.approx(np.sqrt(0.3112781), abs=1e-6)
    assert table.loc["mixed", "edit_distance"] == pytest.approx(0.5)
    assert table.loc[REAL, "statement"] == 0


def test_too_few_faults_is_one_clear_line():
    real, few = faults([2] * 40, [1] * 40), faults([2] * 5, [1] * 5)
    with pytest.raises(StudyError, match="fewer than 10 faults in few"):
        likeness({"few": few}, real, 10, 1, np.random.default_rng(0))
    with pytest.raises(StudyError, match="half of gold"):
        likeness({}, real, 21, 1, np.random.default_rng(0))
