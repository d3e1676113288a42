"""The layer sweep: development faults alone, one row a fault and layer."""

import matplotlib.pyplot as plt
import pytest
from tiny_decoder import make_decoder
from tiny_pool import ARM, tiny_pool

from llmexp_utils.conditions import Pool
from llmexp_utils.grid import Repeats
from llmexp_utils.layer_sweep import dev_jobs, score_layers, top1_by_layer
from llmexp_utils.reader import Reader
from llmexp_utils.small_training import Settings

REPEATS = Repeats([0, 1], [0])


def test_test_faults_are_not_even_looked_up(monkeypatch):
    pool, real = tiny_pool(), Pool.real
    test = {task for fold in REPEATS.folds for task in real(pool, fold, "test").task_id}
    asked = []
    monkeypatch.setattr(Pool, "real", lambda self, fold, split: asked.append(split) or real(self, fold, split))
    jobs = dev_jobs(pool, 8, ARM, REPEATS)
    assert set(asked) == {"train", "dev"} and len(jobs) == 2
    for job, fold in zip(jobs, REPEATS.folds, strict=True):
        used = job.problems(job.train) | job.problems(job.dev) | job.problems(job.test)
        assert not used & job.problems(real(pool, fold, "test"))
        assert job.test is job.dev and not job.problems(job.train) & job.problems(job.dev)
        assert job.facts["series"] == "layers" and len(job.train) == 8
    assert test


@pytest.fixture
def faults(tmp_path, cache):
    reader = Reader(str(make_decoder(tmp_path / "model")))
    pool = tiny_pool()
    jobs = dev_jobs(Pool(pool.faults.assign(fault_type=""), pool.groups, pool.shown), 8, ARM, REPEATS)
    return score_layers(jobs, [1, 3], reader, Settings(steps=3, batch_size=4, width=16), tmp_path, workers=1), jobs


def test_every_development_fault_has_a_row_a_layer(faults):
    found, jobs = faults
    assert found.groupby("layers").size().to_dict() == dict.fromkeys([1, 3], sum(len(job.dev) for job in jobs))
    assert found.top1.between(0, 1).all()
    one, three = (found[found.layers == count].scores.tolist() for count in (1, 3))
    assert one != three


def test_the_chart_has_a_mark_a_layer_and_the_floor(faults):
    fig, ax = plt.subplots()
    top1_by_layer(ax, faults[0], seed=0)
    assert ax.get_lines()[0].get_xdata().tolist() == [1, 3]
    assert ax.get_lines()[1].get_ydata()[0] == pytest.approx(1 / 2), "functions of two lines"
    assert ax.get_legend_handles_labels()[1] == ["random ranking"]
    plt.close(fig)
