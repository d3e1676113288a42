"""Ranking: every student compares programs as it scores pairs, and nothing of the size of all pairs is kept."""

from __future__ import annotations

import tracemalloc
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_encoders import make_encoder
from tiny_pairs import ARM, GROUPS, tiny_pool

from llmexp_utils.errors import StudyError
from llmexp_utils.grid import Repeats, grid_cells, jobs_of
from llmexp_utils.pair_baselines import AlwaysClone, TokenOverlap, UntouchedCosine
from llmexp_utils.pair_jobs import rank_jobs, texts_of
from llmexp_utils.pair_students import FineTunedPairs, FrozenPairs
from llmexp_utils.ranking import similarity
from llmexp_utils.retrieval import average_precision_at_r
from llmexp_utils.small_training import Settings
from llmexp_utils.train import run_grid

CODES = [f"def f(x):\n    y = {number}\n" + "    y += x\n" * (number % 3) + "    return y\n" for number in range(7)]
CELLS = grid_cells(["C3"], [16], 12, ARM, Repeats([0], [0]))


def states_of(codes, corrects, cache, reader, workers, progress):
    seeds = [sum(map(ord, code)) for code in codes]
    return [np.random.default_rng(seed).normal(size=(2, 6)).astype(np.float16) for seed in seeds]


def vectors(codes):
    return np.stack([state.astype(np.float32).ravel() for state in states_of(codes, codes, "", None, 1, False)])


def every_pair() -> pd.DataFrame:
    return pd.DataFrame(list(combinations(CODES, 2)), columns=["left", "right"]).assign(label=0)


@pytest.mark.parametrize("kind", ["always", "overlap", "cosine", "frozen", "encoder", "long encoder"])
def test_programs_are_as_alike_as_their_pair_is_scored(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmexp_utils.states.line_states_of", states_of)
    student = {
        "always": lambda: AlwaysClone(),
        "overlap": lambda: TokenOverlap(),
        "cosine": lambda: UntouchedCosine("cosine", "made", vectors),
        "frozen": lambda: FrozenPairs(str(tmp_path), Settings(steps=5, width=8)),
        "encoder": lambda: tuned(tmp_path, "bi", 64),
        "long encoder": lambda: tuned(tmp_path, "bi", 12),  # programs have several windows
    }[kind]()
    (job,) = jobs_of(tiny_pool(), CELLS)
    pairs = every_pair()
    _, scores = student.run(job.train, job.dev, pairs, seed=3)
    found = similarity(student, job.train, CODES, 3)
    whole = found(slice(0, len(CODES)))
    upper = np.triu_indices(len(CODES), 1)
    np.testing.assert_allclose(whole[upper], np.asarray(scores)[:, 0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(whole, whole.T, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.concatenate([found(slice(0, 3)), found(slice(3, 99))]), whole, rtol=1e-6)


def tuned(folder: Path, head: str, window: int) -> FineTunedPairs:
    encoder = str(make_encoder("bert", folder / f"tiny{window}", limit=window))
    return FineTunedPairs(str(folder), encoder, steps=2, batch_size=4, learning_rate=1e-3, head=head)


def test_a_student_that_reads_both_at_once_ranks_nothing(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="reads two programs as one text: to rank all of them, set encoder_head to bi"):
        similarity(tuned(tmp_path, "cross", 64), every_pair(), CODES, 0)


def test_a_run_has_one_row_a_query_and_is_found_again(tmp_path: Path) -> None:
    pool = tiny_pool()
    (job,) = rank_jobs(pool, CELLS)
    assert job.test.columns.tolist() == ["program_id", "task_id", "code"] and len(job.test) == 8
    assert {GROUPS[task_id] for task_id in job.test.task_id} == {0}
    assert set(job.test.code) <= set(texts_of([job])) and len(texts_of([job])) == len(set(texts_of([job])))
    alone = job.test.iloc[:1].assign(program_id="lonely", task_id="T/99")
    job = type(job)(job.facts, job.seed, job.train, job.dev, pd.concat([job.test, alone], ignore_index=True))
    found = run_grid(TokenOverlap(), [job, job], tmp_path, workers=1, progress=False)
    assert len(found) == 2 * 8 and "lonely" not in set(found.program_id) and found.run_id.nunique() == 1
    assert found.student.unique() == ["token-overlap"] and found.ap_at_r.between(0, 1).all()
    other = type(job)(job.facts, job.seed, job.train, job.dev, job.test.assign(code="x = 1\n"))
    assert other.key(AlwaysClone()) != job.key(AlwaysClone()) != jobs_of(pool, CELLS)[0].key(AlwaysClone())


def test_blocks_give_what_the_whole_gives_in_the_memory_of_a_block() -> None:
    n, problems = 1500, [str(number // 3) for number in range(1500)]
    units = np.random.default_rng(0).normal(size=(n, 8))
    tracemalloc.start()
    found = average_precision_at_r(lambda block: units[block] @ units.T, problems, 10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < n * n * 8 / 4, "a quarter of all scores"
    np.testing.assert_allclose(found, average_precision_at_r((units @ units.T).__getitem__, problems, n))
