"""Which layer of the frozen code model student (A) should stand on: answered once, on development faults alone.

A layer chosen on test faults would make every later number of that student too good. So a run here trains on the real
training faults of a fold and is scored on its development faults; test faults are not even looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from llmexp_utils import metrics, states
from llmexp_utils.conditions import Cell, Pool
from llmexp_utils.grid import Repeats, grid_cells
from llmexp_utils.injection import Arm
from llmexp_utils.reader import Reader
from llmexp_utils.small_training import Settings
from llmexp_utils.students import FrozenLLM
from llmexp_utils.train import Job, run_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SERIES = "layers"


def dev_jobs(pool: Pool, n_real: int, main: Arm, repeats: Repeats) -> list[Job]:
    """Runs of C0 with so many real faults, each scored on the development faults of its fold."""
    return [_dev_job(pool, cell) for cell in grid_cells(["C0"], [n_real], 0, main, repeats, SERIES)]


def score_layers(
    jobs: Sequence[Job], layers: Sequence[int], reader: Reader, settings: Settings, cache: Path, workers: int = 2
) -> pd.DataFrame:
    """Metrics of every development fault under every layer.

    Parameters
    ----------
    jobs : sequence of Job
        See :func:`dev_jobs`.
    layers : sequence of int
        Numbers of decoder blocks to keep. The model is read once for each, which takes time in proportion.
    reader : Reader
        Model and pooling.
    settings : Settings
        How the adapter is trained, the same for all layers.
    cache : Path
        Folder of line states and finished runs.
    workers : int
        Processes side by side.

    Returns
    -------
    DataFrame
        Rows of :func:`llmexp_utils.metrics.per_fault` with the column ``layers``.
    """
    texts = pd.concat([frame for job in jobs for frame in (job.train, job.dev)])[["code", "correct"]].drop_duplicates()
    found = []
    for count in layers:
        own = replace(reader, layers=count)
        states.line_states_of(list(texts.code), list(texts.correct), cache, own, workers=workers)
        found.append(run_grid(FrozenLLM(str(cache), settings, own), jobs, cache, workers).assign(layers=count))
    return metrics.per_fault(pd.concat(found, ignore_index=True))


def top1_by_layer(ax: Axes, faults: pd.DataFrame, seed: int) -> Axes:
    """Top-1 on development faults against the layer, with 95 % bootstrap intervals over faults and the random floor.

    Parameters
    ----------
    ax : Axes
        Where to draw.
    faults : DataFrame
        See :func:`score_layers`.
    seed : int
        Of the bootstrap.
    """
    import seaborn as sns

    from llmexp_utils.axes import percent
    from llmexp_utils.plots import CONDITIONS

    real, floor = CONDITIONS["C0"], CONDITIONS["floor"]
    means = faults.groupby(["layers", "fault_id"])["top1"].mean().reset_index()  # a fault counts once
    sns.lineplot(
        means, x="layers", y="top1", errorbar=("ci", 95), seed=seed, color=real.colour, marker=real.marker, ax=ax
    )
    ax.axhline(metrics.random_floor(faults)["top1"].mean(), color=floor.colour, linestyle="--", label=floor.label)
    ax.set(xlabel="decoder blocks kept", ylabel="Top-1 on development faults", xticks=sorted(set(means.layers)))
    percent(ax.yaxis)
    ax.legend(frameon=False)
    return ax


def _dev_job(pool: Pool, cell: Cell) -> Job:
    dev = pool.real(cell.fold, "dev")
    return Job(pool.facts(cell), cell.seed, pool.training(cell), dev, test=dev)
