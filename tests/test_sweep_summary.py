"""What a sweep found, on points whose results one can work out."""

import numpy as np
import pandas as pd
import pytest

from llmexp_utils.sweep_summary import distinct, summary


def point(encoder: str, condition: str, seed: int, right: float, benchmark: str = "") -> pd.DataFrame:
    """Ten faults of two lines; of a student that finds this share of them, and of one that all points share."""
    rows = []
    for student, found in (("encoder", right), ("shared", 0.5)):
        for number in range(10):
            rows.append(
                {
                    "swept_encoder": encoder,
                    "swept_encoder_conditions": condition,
                    "swept_encoder_seeds": seed,
                    "run_id": "one" if student == "shared" else f"{encoder} {condition} {seed}",
                    "student": student,
                    "series": "grid",
                    "condition": "C0" if student == "shared" else condition,
                    "n_real": 8,
                    "n_added": 0 if condition == "C0" or student == "shared" else 4,
                    "generator": "",
                    "form": "",
                    "policy": "",
                    "fold": 0,
                    "seed": 0 if student == "shared" else seed,
                    "fault_id": f"p{number}#1",
                    "task_id": f"p{number}",
                    "scores": [1.0, 0.0] if number < 10 * found else [0.0, 1.0],
                    "lines": [1],
                    "threshold": 0.5,
                }
            )
    table = pd.DataFrame(rows)
    return table.assign(benchmark=benchmark) if benchmark else table


def sweep(benchmark: str = "") -> list[pd.DataFrame]:
    """Two encoders, real only and with LLM faults, two seeds: the first gains four of ten, the second loses one."""
    levels = {"a": {"C0": 0.2, "C4": 0.6}, "b": {"C0": 0.5, "C4": 0.4}}
    return [
        distinct(point(name, *cell, right, benchmark) for *cell, right in cells(found))
        for name, found in levels.items()
    ]


def cells(found: dict[str, float]) -> list[tuple[str, int, float]]:
    return [(condition, seed, right) for condition, right in found.items() for seed in (0, 1)]


@pytest.mark.parametrize("benchmark", ["", "defects4j"])
def test_conditions_of_different_points_are_compared_within_what_was_swept(benchmark: str) -> None:
    found = summary(sweep(benchmark), draws=200)
    ours = found[found.student == "encoder"].set_index(["swept_encoder", "condition", "minus"]).estimate
    assert ours.round(6).to_dict() == {
        ("a", "C0", "nothing"): 0.2,
        ("a", "C4", "nothing"): 0.6,
        ("a", "C4", "C0"): 0.4,
        ("b", "C0", "nothing"): 0.5,
        ("b", "C4", "nothing"): 0.4,
        ("b", "C4", "C0"): -0.1,
    }
    shared = found[found.student == "shared"]
    assert shared.estimate.tolist() == [0.5, 0.5] and set(shared.n_seeds) == {1}, "once in each part"
    assert set(found[found.student == "encoder"].n_seeds) == {2}
    tests = found[found.minus == "C0"]
    assert (tests.p_holm >= tests.p).all() and np.isclose(tests.p_holm.min(), 2 * tests.p.min()), "one family"
    assert ("benchmark" in found) == bool(benchmark)


def test_a_part_that_cannot_be_measured_says_why_and_leaves_the_others() -> None:
    first, second = sweep()
    lost = (second.condition == "C4") & (second.fault_id == "p0#1")  # as of a point that was run on another split
    found = summary([first, second[~lost]], draws=50)
    assert found[found.swept_encoder == "b"].note.str.len().gt(0).all() and len(found[found.swept_encoder == "a"]) > 2


def test_rows_that_are_no_predictions_have_no_summary() -> None:
    assert summary([pd.DataFrame({"swept_seeds": [0], "code": ["x"]})]).empty
    assert summary([sweep()[0].iloc[:0]]).empty and summary([]).empty


def test_a_run_that_stands_in_several_points_is_kept_once() -> None:
    table = sweep()[0]
    assert table.groupby("run_id").size().to_dict() == {"one": 10} | {
        f"a {c} {s}": 10 for c in ("C0", "C4") for s in (0, 1)
    }
