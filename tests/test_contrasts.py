"""Differences to both controls, and relative changes, on values worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from llmexp_utils.cells import Measure
from llmexp_utils.contrasts import before_after, grid_minus_controls, minus_controls
from llmexp_utils.errors import StudyError
from llmexp_utils.statistics import holm


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def cell(condition: str, n_real: int, n_added: int, values: list[float], **columns: str) -> pd.DataFrame:
    rows = [(f"t{number}", f"f{number}", value) for number, value in enumerate(values)]
    frame = pd.DataFrame(rows, columns=["task_id", "fault_id", "top1"])
    settings = {"student": "A", "condition": condition, "n_real": n_real, "n_added": n_added, "seed": 0}
    return frame.assign(**settings | columns)


def test_every_amount_stands_beside_real_only_and_beside_as_many_mutants():
    sweep = pd.concat(
        [
            cell("C0", 32, 0, [0.2] * 9),
            cell("C2", 32, 8, [0.3] * 9),
            cell("C3", 32, 8, [0.5] * 9),
            cell("C2", 32, 16, [0.6] * 9),
            cell("C3", 32, 16, [0.5] * 9),
        ]
    )
    table = minus_controls(sweep, rng=rng(), draws=200)
    found = table.set_index(["minus", "condition", "n_added"])["estimate"].round(9).to_dict()
    levels = {("C0", 0): 0.2, ("C2", 8): 0.3, ("C3", 8): 0.5, ("C2", 16): 0.6, ("C3", 16): 0.5}
    assert {key[1:]: value for key, value in found.items() if key[0] == "nothing"} == levels
    over_real = {("C2", 8): 0.1, ("C3", 8): 0.3, ("C2", 16): 0.4, ("C3", 16): 0.3}
    assert {key[1:]: value for key, value in found.items() if key[0] == "C0"} == over_real
    assert {key[1:]: value for key, value in found.items() if key[0] == "C2"} == {("C3", 8): 0.2, ("C3", 16): -0.1}
    assert list(dict.fromkeys(table.minus)) == ["nothing", "C0", "C2"]
    tested = table[table.minus != "nothing"]
    assert tested.p_holm.tolist() == holm(tested.p).tolist() and table[table.minus == "nothing"].p_holm.isna().all()


def test_arms_are_told_apart():
    frames = [cell("C0", 32, 0, [0.2] * 9, generator=""), cell("C2", 32, 8, [0.3] * 9, generator="")]
    frames += [cell("C3", 32, 8, [value] * 9, generator=name) for name, value in (("g", 0.4), ("h", 0.1))]
    table = minus_controls(pd.concat(frames), rng=rng(), arms=("condition", "generator"), draws=200)
    over = table[table.minus == "C2"].set_index("generator")["estimate"].round(9)
    assert over.to_dict() == {"g": 0.1, "h": -0.2}


def test_a_control_that_was_not_run_is_left_out():
    sweep = pd.concat([cell("C0", 4, 0, [0.2] * 9), cell("C3", 4, 8, [0.5] * 9)])
    assert minus_controls(sweep, rng=rng(), draws=50).minus.tolist() == ["nothing", "nothing", "C0"]
    alone = minus_controls(cell("C3", 4, 8, [0.5] * 9), rng=rng(), draws=50)
    assert alone.minus.tolist() == ["nothing"] and alone.note.tolist() == [""]


def test_the_grid_lifts_what_has_no_real_faults():
    grid = pd.concat(
        [
            cell("C0", 8, 0, [0.2] * 9),
            cell("C0", 16, 0, [0.4] * 9),
            cell("C2", 8, 8, [0.3] * 9),
            cell("C5", 0, 8, [0.5] * 9),
            cell("C5m", 0, 8, [0.1] * 9),
        ]
    )
    table = grid_minus_controls(grid, rng=rng(), draws=50)
    found = table.set_index(["minus", "condition", "n_real"])["estimate"].round(9).to_dict()
    assert found == {
        ("C0", "C2", 8): 0.1,
        ("C0", "C5", 8): 0.3,
        ("C0", "C5", 16): 0.1,
        ("C0", "C5m", 8): -0.1,
        ("C0", "C5m", 16): -0.3,
        ("C2", "C5", 0): 0.4,
    }
    with pytest.raises(StudyError, match="nothing to compare"):
        grid_minus_controls(cell("C3", 8, 8, [0.1] * 9), rng=rng(), draws=50)


def test_a_relative_change_is_the_ratio_of_means_in_every_draw():
    before = np.array([0.2, 0.4, 0.6, 0.8] * 10)
    frame = pd.concat([cell("C0", 8, 0, before.tolist()), cell("C2", 8, 8, (1.5 * before).tolist())])
    row = before_after(frame, rng=rng(), draws=500).iloc[0]
    assert (row["before"], row["after"]) == pytest.approx((0.5, 0.75))
    assert (row["percent"], row["percent_low"], row["percent_high"]) == pytest.approx((50, 50, 50))  # whatever is drawn
    assert row["points"] == pytest.approx(25) and row["points_low"] < 25 < row["points_high"]
    assert (row["n_faults"], row["n_problems"], row["n_seeds"]) == (40, 40, 1)


def test_a_change_in_points_can_be_certain_where_the_relative_one_is_not():
    before = np.array([0.2, 0.4, 0.6, 0.8] * 10)
    frame = pd.concat([cell("C0", 8, 0, before.tolist()), cell("C3", 8, 8, (before + 0.1).tolist())])
    row = before_after(frame, rng=rng(), draws=500).iloc[0]
    assert (row["points"], row["points_low"], row["points_high"]) == pytest.approx((10, 10, 10))
    assert row["percent"] == pytest.approx(20) and row["percent_low"] < 20 < row["percent_high"]


def test_ratios_stand_in_the_same_tables():
    measure = Measure("ratio", "top1", "all", items="pairs")
    frames = [cell("C0", 8, 0, [0, 1, 1, 0]), cell("C2", 8, 8, [1, 1, 1, 1]), cell("C3", 8, 8, [2, 1, 2, 1])]
    sweep = pd.concat([frame.assign(all=[1, 2, 3, 4]) for frame in frames])
    table = minus_controls(sweep, rng=rng(), metric=measure, draws=50)
    assert table.set_index(["minus", "condition"]).estimate.round(9).to_dict() == {
        ("nothing", "C0"): 0.2,
        ("nothing", "C2"): 0.4,
        ("nothing", "C3"): 0.6,
        ("C0", "C2"): 0.2,
        ("C0", "C3"): 0.4,
        ("C2", "C3"): 0.2,
    }
    assert set(table.n_pairs) == {4} and set(table.metric) == {"ratio"} and "n_faults" not in table
    change = before_after(sweep, rng=rng(), metric=measure, draws=50).set_index("condition").loc["C3"]
    assert (change.before, change.after, change.points, change.percent) == pytest.approx((0.2, 0.6, 40, 200))
    assert change.n_pairs == 4


def test_a_change_needs_a_before():
    with pytest.raises(StudyError, match="no student has C0"):
        before_after(cell("C2", 8, 8, [0.1] * 4), rng=rng(), draws=50)
    unlike = pd.concat([cell("C0", 8, 0, [0.1] * 4), cell("C2", 8, 8, [0.1] * 3)])
    with pytest.raises(StudyError, match="not the same ones"):
        before_after(unlike, rng=rng(), draws=50)
