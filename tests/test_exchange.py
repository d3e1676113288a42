"""Exchange rate on learning curves whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from llmexp_utils.errors import StudyError
from llmexp_utils.exchange import exchange_rate


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def cell(condition: str, n_real: int, n_added: int, values: np.ndarray) -> pd.DataFrame:
    rows = [("A", condition, n_real, n_added, 0, f"t{number}", f"f{number}", v) for number, v in enumerate(values)]
    names = ["student", "condition", "n_real", "n_added", "seed", "task_id", "fault_id", "top1"]
    return pd.DataFrame(rows, columns=names)


def curve(noise: float = 0.0, slope: float = 0.1) -> pd.DataFrame:
    """C0 with 0.2 at 8 real faults and ``slope`` more at each doubling; ``noise`` differs between faults."""
    each = noise * rng().normal(size=50)
    return pd.concat([cell("C0", 2**k, 0, 0.2 + slope * (k - 3) + each) for k in (3, 4, 5, 6)])


def one(*frames: pd.DataFrame) -> pd.Series:
    return exchange_rate(pd.concat(frames), rng=rng()).iloc[0]


def test_one_doubling_is_worth_as_many_real_faults_again():
    row = one(curve(), cell("C3", 32, 64, np.full(50, 0.5)))  # C0 reaches 0.5 at 64: 64 added for 32 real
    assert (row["n_eq"], row["n_eq_low"], row["n_eq_high"]) == pytest.approx((64, 64, 64))
    assert (row["rate"], row["rate_low"], row["rate_high"]) == pytest.approx((2, 2, 2))
    assert (row["gain"], row["slope"], row["misfit"]) == pytest.approx((0.1, 0.1, 0)) and row["note"] == ""


def test_no_gain_has_no_rate():
    row = one(curve(), cell("C3", 32, 64, np.full(50, 0.4)))
    assert row["n_eq"] == 32 and np.isnan(row["rate"]) and "no gain" in row["note"]
    harm = one(curve(), cell("C3", 32, 64, np.full(50, 0.3)))
    assert harm["n_eq"] == pytest.approx(16) and harm["rate_low"] == harm["rate_high"] == np.inf


def test_no_gain_is_exact_even_where_the_line_misses_the_point():
    bent = pd.concat([cell("C0", n, 0, np.full(50, value)) for n, value in ((8, 0.2), (16, 0.5), (32, 0.5), (64, 0.6))])
    row = one(bent, cell("C3", 16, 64, np.full(50, 0.5)))
    assert row["n_eq"] == 16 and row["misfit"] == pytest.approx(0.11)


def test_no_gain_is_exact_where_log2_is_not():
    line = pd.concat([cell("C0", n, 0, np.full(50, value)) for n, value in ((25, 0.2), (50, 0.3), (100, 0.4))])
    row = one(line, cell("C3", 100, 64, np.full(50, 0.4)))
    assert row["n_eq"] == row["n_eq_low"] == row["n_eq_high"] == 100 and np.isnan(row["rate"])


def test_interval_comes_from_the_paired_gain():
    shared = one(curve(noise=0.3), cell("C3", 32, 64, 0.5 + 0.3 * rng().normal(size=50)))
    assert (shared["n_eq_low"], shared["n_eq_high"]) == pytest.approx((64, 64))
    own = one(curve(noise=0.3), cell("C3", 32, 64, 0.5 + 0.3 * np.random.default_rng(8).normal(size=50)))
    assert own["n_eq_low"] < own["n_eq"] < own["n_eq_high"] and own["rate_low"] < own["rate_high"]


def test_an_interval_that_reaches_no_gain_says_so():
    noisy = 0.5 + np.random.default_rng(8).normal(scale=0.5, size=50)
    row = one(curve(), cell("C3", 32, 64, noisy - noisy.mean() + 0.5))
    assert row["n_eq"] == pytest.approx(64) and row["rate_high"] == np.inf and "reaches no gain" in row["note"]


def test_real_faults_that_do_not_help_leave_no_rate():
    row = one(curve(slope=-0.1), cell("C3", 32, 64, np.full(50, 0.5)))
    assert np.isnan(row["rate"]) and np.isnan(row["n_eq"]) and "do not help" in row["note"]


def test_an_unclear_slope_leaves_no_interval():
    noise = np.random.default_rng(8).normal(size=50)
    low, high = np.full(50, 0.2), 0.3 + noise - noise.mean()  # a gain of 0.1 with a standard error of 0.14
    points = [cell("C0", 8, 0, low), cell("C0", 16, 0, high)]
    row = one(*points, cell("C3", 16, 64, np.full(50, 5.0)))
    assert np.isnan(row["n_eq_low"]) and np.isnan(row["rate_high"])
    assert "do not help" in row["note"]


def test_added_faults_alone_are_read_off_the_line():
    row = one(curve(), cell("C5", 0, 64, np.full(50, 0.3)))
    assert row["n_eq"] == pytest.approx(16) and row["rate"] == pytest.approx(4) and np.isnan(row["gain"])


def test_beyond_the_measured_curve_is_noted():
    assert "beyond the measured 8 to 64" in one(curve(), cell("C3", 32, 64, np.full(50, 0.7)))["note"]


def test_bad_frames_say_what_to_do():
    with pytest.raises(StudyError, match="needs 'C0'"):
        exchange_rate(curve(), rng=rng())
    with pytest.raises(StudyError, match="two or more"):
        one(cell("C0", 8, 0, np.full(5, 0.1)), cell("C3", 8, 8, np.full(5, 0.2)))
    with pytest.raises(StudyError, match="finish the grid"):
        one(curve(), cell("C3", 32, 64, np.full(49, 0.5)))
