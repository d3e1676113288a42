"""How cost grows: time an item and memory of every stage of the study, from 100 to 10,000 items.

Stages and made-up items are those of :mod:`benchmarks.scaling_stages`. Each measurement is a process of its own that
has gone through the stage once before, so that imports are no cost of an item. What five items take alone is the start
of a stage (of the sandbox's workers, above all); it is taken off: ``ms_per_item`` is what a further item adds in
processor time; of the sandbox, whose work is done by processes that nobody counts, in wall-clock time with a worker a
core, for which the machine has to be idle. Times are divided by the pace of the machine at the same moment
(:mod:`benchmarks.pace`) and told for its usual pace, ``pace_ms``. Small numbers are gone through again and again, with
other items each time, until they took two seconds; sizes and stages take turns.

``peak_mb`` is the most memory that a process has which goes through the stage once, with imports and with the items,
which another process has made. ``relative_mb`` compares it with that for the smallest number, and ``kb_per_added_item``
is what each item above the smallest number adds: its texts and its results, which a stage hands on in one frame or
book. Nothing is compared in pairs: duplicates are found by their tokens, and the Score needs the averages of the real
faults alone. The memory of the sandbox's workers is in ``sandbox_memory.csv``.

Writes ``benchmarks/scaling.csv`` and a picture of it. Run with ``python -m benchmarks.scaling`` (Linux); about forty
minutes.
"""

from __future__ import annotations

import contextlib
import gc
import io
import multiprocessing
import os
import pickle
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
import pandas as pd

from benchmarks.pace import pieces
from benchmarks.scaling_stages import ANSWERS, STAGES, Stage, items, texts
from llmexp_utils.plots import style
from llmexp_utils.provenance import cores, cpu_model, versions
from llmexp_utils.tables import csv_text

if TYPE_CHECKING:
    from multiprocessing.pool import Pool

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZES, MIDDLE, TURNS = (100, 300, 1_000, 3_000, 10_000), 1_000, 3
SECONDS = 2.0  # of a measurement, at least
FEW = ANSWERS  # one problem
BAND = 0.2
GIVEN = "given.pickle"
LOOKS = (("#332288", "o"), ("#44AA99", "s"))  # colour and marker of the stages of one part


def times(task: tuple[int, int]) -> dict[str, object]:
    """One row for a stage (by number) and a number of items: what one more costs, and what the stage costs to start.

    Both are in pieces of :mod:`benchmarks.pace`.
    """
    stage, size = STAGES[task[0]], task[1]
    first, spent, costs, starts, paces = SIZES[0], 0.0, [], [], []
    with at_home():
        once(stage, 0, SIZES[0])
        while spent < SECONDS or not costs:
            few, _ = once(stage, first, FEW)
            many, pace = once(stage, first + FEW, size)
            first, spent = first + FEW + size, spent + (many - few) * pace
            starts.append(few)
            costs.append((many - few) / (size - FEW))
            paces.append(pace)
    found = {"per_item": np.median(costs), "start": np.median(starts), "pace": np.median(paces)}
    return {"part": stage.part, "stage": stage.name, "items": size} | found


@contextlib.contextmanager
def at_home() -> Iterator[None]:
    """In silence, with a cache folder of its own: a random model must not stay in the user's."""
    texts()  # while they are at hand
    with tempfile.TemporaryDirectory() as home, patch.dict(os.environ, LLMEXP_CACHE_DIR=home):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield


def once(stage: Stage, first: int, size: int) -> tuple[float, float]:
    """What a stage takes for some items, in pieces of work, and the seconds of a piece meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        given = stage.prepare(items(first, size), Path(folder))
        gc.collect()
        with pieces() as found:
            start = stage.clock()
            stage.run(given, Path(folder))
            took = stage.clock() - start
    if stage.clock is time.process_time:
        took -= sum(found[1:-1])
    pace = float(np.mean(found))
    return took / pace, pace


def prepare(number: int, size: int, folder: Path) -> None:
    """Leave in a folder what a stage is given: whoever makes the items up needs memory for it."""
    with at_home():
        given = STAGES[number].prepare(items(SIZES[0], size), folder)
    (folder / GIVEN).write_bytes(pickle.dumps(given))


def peak_mb(number: int, folder: Path) -> float:
    """Most memory that this process has, after a stage; ``getrusage`` would count that of the one that started it."""
    stage = STAGES[number]
    with at_home():
        once(stage, 0, SIZES[0])
        with (folder / GIVEN).open("rb") as stream:
            given = pickle.load(stream)
        stage.run(given, folder)
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6


def table(sizes: Sequence[int] = SIZES, turns: int = TURNS) -> pd.DataFrame:
    """Measure all stages at all sizes: their time in turns, their memory once."""
    tasks = [(number, size) for size in sizes for number in range(len(STAGES))]
    rows = []
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for row in pool.imap(times, tasks * turns):
            rows.append(row)
            print(*row.values(), flush=True)
        peaks = [memory(pool, *task) for task in tasks]
    return summary(pd.DataFrame(rows), pd.DataFrame(peaks))


def memory(pool: Pool, number: int, size: int) -> dict[str, object]:
    """One row of memory: one process prepares the items, another one goes through the stage."""
    with tempfile.TemporaryDirectory() as folder:
        pool.apply(prepare, (number, size, Path(folder)))
        row = {"stage": STAGES[number].name, "items": size, "peak_mb": pool.apply(peak_mb, (number, Path(folder)))}
    print(*row.values(), flush=True)
    return row


def summary(rows: pd.DataFrame, peaks: pd.DataFrame) -> pd.DataFrame:
    """Median of the turns, least and most, compared with the middle size; memory, with the smallest."""
    pace = 1e3 * rows.pace.median()
    rows = rows.assign(ms_per_item=rows.per_item * pace, start_ms=rows.start * pace)
    found = rows.groupby(["part", "stage", "items"], sort=False)
    costs = found.ms_per_item.agg(ms_per_item="median", fastest="min", slowest="max")
    frame = costs.join(found[["start_ms"]].median()).reset_index().merge(peaks, on=["stage", "items"])
    middle = frame[frame["items"] == MIDDLE].set_index("stage").ms_per_item
    frame.insert(4, "relative", frame.ms_per_item / frame.stage.map(middle))
    least = frame.stage.map(frame[frame["items"] == SIZES[0]].set_index("stage").peak_mb)
    frame["relative_mb"] = frame.peak_mb / least
    frame["kb_per_added_item"] = 1e3 * (frame.peak_mb - least) / (frame["items"] - SIZES[0]).replace(0, np.nan)
    return frame.assign(pace_ms=pace)


def picture(frame: pd.DataFrame) -> Figure:
    """Time an item, and memory, against those at one size: two panels for each part of the study."""
    import matplotlib.pyplot as plt

    parts = list(dict.fromkeys(frame.part))
    with plt.rc_context(style() | {"figure.figsize": (11, 5.4)}):
        fig, axes = plt.subplots(2, len(parts), sharex=True, sharey="row", squeeze=False)
        for (above, below), part in zip(axes.T, parts, strict=True):
            above.set_title(part)
            draw(above, below, frame[frame.part == part])
        axes[0, 0].set_ylabel(f"time an item adds\n(1 = at {MIDDLE:,} items)")
        axes[1, 0].set_ylabel(f"peak memory of the process\n(1 = at {SIZES[0]:,} items)")
    return fig


def draw(above: Axes, below: Axes, frame: pd.DataFrame) -> None:
    """The panels of one part; whiskers are the fastest and the slowest turn."""
    sizes = sorted(set(frame["items"]))
    for panel in (above, below):
        panel.axhspan(1 - BAND, 1 + BAND, color="#EEEEEE", label="\N{PLUS-MINUS SIGN}20 %")
        panel.set(xscale="log", ylim=(0, 2))
    for (stage, rows), (colour, marker) in zip(frame.groupby("stage", sort=False), LOOKS, strict=False):
        look = {"color": colour, "marker": marker}
        unit, least = rows.ms_per_item / rows.relative, rows.peak_mb / rows.relative_mb
        whiskers = [(rows.ms_per_item - rows.fastest) / unit, (rows.slowest - rows.ms_per_item) / unit]
        name = f"{stage} ({unit.iloc[0]:.2g} ms)"
        above.errorbar(rows["items"], rows.relative, whiskers, capsize=2, label=name, **look)
        below.plot(rows["items"], rows.relative_mb, label=f"{stage} ({least.iloc[0]:.0f} MB)", **look)
    for panel in (above, below):
        panel.legend(loc="lower center", fontsize=8)
    below.set(xlabel="items", xticks=sizes, xticklabels=[f"{size:,}" for size in sizes])
    below.minorticks_off()


def main() -> None:
    """Measure, print the table, write it and draw it."""
    import matplotlib

    matplotlib.use("agg")
    frame = table()
    print(frame.round(3).to_string(index=False))
    caption = (
        f"Time (of the processor; of the tests by the clock) that an item adds, against that at {MIDDLE:,} items, "
        f"and peak memory of the process: median of {TURNS} turns, whiskers fastest and slowest. "
        f"{cores()} cores, {cpu_model()}; {', '.join(map(' '.join, versions().items()))}."
    )
    target = Path(__file__)
    target.with_suffix(".csv").write_text(csv_text(frame))
    facts = {"Title": target.stem, "Description": caption, "Source": "benchmarks/scaling.py", "Software": None}
    picture(frame).savefig(target.with_suffix(".png"), dpi=160, bbox_inches="tight", metadata=facts)


if __name__ == "__main__":
    main()
