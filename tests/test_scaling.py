"""The benchmark of how cost grows: every stage runs, its items are what they should be, the table compares sizes."""

import signal
import sys

import pandas as pd
import pytest

from benchmarks import scaling
from benchmarks.pace import pieces
from benchmarks.scaling_stages import ANSWERS, STAGES, TEXTS, items

ROW = {"part": "validation", "stage": "run the tests", "start": 9.0, "pace": 0.001}


def rows() -> pd.DataFrame:
    """Two turns at three sizes: the second one is slower."""
    sizes = {100: 1.0, 1_000: 2.0, 10_000: 2.5}
    return pd.DataFrame(
        [ROW | {"items": size, "per_item": time + turn} for turn in (0, 1) for size, time in sizes.items()]
    )


def peaks() -> pd.DataFrame:
    """Memory is 199.8 MB, and 2 kB an item."""
    return pd.DataFrame(
        [{"stage": ROW["stage"], "items": size, "peak_mb": 199.8 + size * 2 / 1000} for size in (100, 1_000, 10_000)]
    )


def test_no_two_items_are_alike_and_their_mixture_is_the_same():
    few, more = items(0, TEXTS * ANSWERS), items(TEXTS * ANSWERS, 2 * TEXTS * ANSWERS)
    codes = pd.concat([few.faults, more.faults]).code
    assert codes.is_unique and len(codes) == 3 * TEXTS * ANSWERS
    assert len(few.problems) == len(few.gold) == TEXTS and len(more.problems) == len(more.gold) == 2 * TEXTS
    heads = [sorted(code.split("\n")[0] for code in one.faults.code) for one in (few, more)]
    assert sorted(2 * heads[0]) == heads[1]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize("number", range(len(STAGES)), ids=[stage.name for stage in STAGES])
def test_every_stage_runs(number, monkeypatch, tmp_path):
    monkeypatch.setattr(scaling, "SECONDS", 0.0)
    row = scaling.times((number, 20))
    assert row["stage"] == STAGES[number].name and row["items"] == 20
    assert row["start"] > 0 and 1e-4 < row["pace"] < 1
    scaling.prepare(number, 20, tmp_path)
    assert scaling.peak_mb(number, tmp_path) > 10


def test_the_table_compares_with_the_middle_size_and_with_the_smallest():
    frame = scaling.summary(rows(), peaks())
    assert frame.ms_per_item.tolist() == [1.5, 2.5, 3.0]
    assert (frame.fastest.tolist(), frame.slowest.tolist()) == ([1.0, 2.0, 2.5], [2.0, 3.0, 3.5])
    assert frame.relative.tolist() == pytest.approx([0.6, 1.0, 1.2])
    assert frame.relative_mb.tolist() == pytest.approx([1, 1.009, 1.099])
    assert frame.kb_per_added_item.tolist() == pytest.approx([float("nan"), 2, 2], nan_ok=True)


def test_the_picture_shows_every_stage():
    above, below = scaling.picture(scaling.summary(rows(), peaks())).axes
    assert below.lines[0].get_xdata().tolist() == [100, 1_000, 10_000]
    labels = [[text.get_text() for text in panel.get_legend().get_texts()] for panel in (above, below)]
    band = "\N{PLUS-MINUS SIGN}20 %"
    assert labels == [[band, "run the tests (2.5 ms)"], [band, "run the tests (200 MB)"]]


def test_pieces_of_work_are_done_before_after_and_during_what_is_measured():
    with pieces() as found:
        assert len(found) == 1
        while len(found) < 3:
            pass
    assert len(found) >= 4 and min(found) > 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
