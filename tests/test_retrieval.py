"""Retrieval: average precisions that one can work out."""

import numpy as np
import pandas as pd
import pytest

from llmexp_utils.errors import StudyError
from llmexp_utils.retrieval import average_precision_at_r

PROGRAMS = pd.DataFrame(
    {
        "program_id": ["a/0", "a/1", "a/2", "b/0", "c/0"],
        "task_id": ["a", "a", "a", "b", "c"],
        "code": ["1", "2", "3", "4", "5"],
    }
)


def of_matrix(similar, problems):
    return average_precision_at_r(similar.__getitem__, problems)


def test_average_precision_counts_the_first_r_places_only():
    similar = np.zeros((5, 5))
    similar[0] = [0, 9, 1, 5, 0]  # a clone, then a stranger: precision 1 at the first of two places
    similar[1] = [5, 0, 1, 9, 0]  # a stranger, then a clone: precision 1/2 at the second
    similar[2] = [1, 2, 0, 9, 8]  # two strangers
    found = of_matrix(similar, PROGRAMS.task_id)
    assert found[:3].tolist() == [1 / 2, 1 / 4, 0] and np.isnan(found[3:]).all()


@pytest.mark.parametrize("seed", range(5))
def test_ties_are_broken_in_expectation(seed):
    """Beside the mean over many random orders of what is tied."""
    rng = np.random.default_rng(seed)
    problems = np.array(list("aaaabbc"))
    similar = rng.integers(0, 3, (7, 7)).astype(float)
    drawn = [of_matrix(similar + 1e-3 * rng.random((7, 7)), problems) for _ in range(4000)]
    np.testing.assert_allclose(of_matrix(similar, problems), np.mean(drawn, axis=0), atol=0.02)


def test_without_two_functions_of_a_problem_there_is_nothing_to_retrieve():
    with pytest.raises(StudyError, match="nothing to retrieve"):
        of_matrix(np.zeros((2, 2)), ["a", "b"])


def map_at_r(vectors, problems):
    """Mean over the queries, by cosine."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.nanmean(of_matrix(units @ units.T, problems))


def test_map_at_r_by_hand():
    angles = np.deg2rad([0, 10, 25, 90, 85])
    vectors = np.column_stack([np.cos(angles), np.sin(angles)])
    # queries: a has neighbours a, b; each of the three a finds its two clones in its two places, or not
    assert map_at_r(vectors, ["a", "a", "a", "b", "b"]) == 1
    # the nearest of 0 degrees is another problem, the second a clone: (1/2) / 2
    assert map_at_r(vectors[:3], ["a", "b", "a"]) == 0
    assert map_at_r(vectors, ["a", "b", "a", "a", "b"]) == pytest.approx((1 / 4 + 0 + 1 / 4 + 1 / 4 + 0) / 5)
    with pytest.raises(StudyError, match="nothing to retrieve"):
        map_at_r(vectors[:2], ["a", "b"])
