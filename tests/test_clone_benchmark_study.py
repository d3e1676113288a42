"""From a benchmark of clones to training runs: what may be added where, and what the levels and differences say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llmexp_utils import benchmark_results, frames
from llmexp_utils.benchmarks import rows_of_split
from llmexp_utils.clone_benchmark_study import BenchmarkPairs, cells_of, jobs_of_benchmark, pool_of
from llmexp_utils.clone_benchmarks import CloneBenchmark
from llmexp_utils.cloning import CloneArm
from llmexp_utils.errors import StudyError
from llmexp_utils.grid import Repeats, jobs_of
from llmexp_utils.notebook_params import NOTEBOOKS, RealClones
from llmexp_utils.pair_jobs import rank_jobs
from llmexp_utils.pair_metrics import F1, per_pair
from llmexp_utils.profiles import read_profile, resolve
from llmexp_utils.program_pairs import program_pairs
from llmexp_utils.select import statistics

ARM = CloneArm("big", "rewrite")


def embed(texts: list[str]) -> np.ndarray:
    return np.array([[1.0, len(text), text.count("x")] for text in texts])


def benchmark(prefix: str) -> CloneBenchmark:
    """Ten tasks with three programs each, two tasks a group."""
    rows = [
        (f"{prefix}{task}", f"s{number}", True, f"def p(x):\n    return x * {task} + {number}\n")
        for task in range(10)
        for number in range(3)
    ]
    programs = pd.DataFrame(rows, columns=["task_id", "submission", "is_correct", "code"])
    groups = {f"{prefix}{task}": task % 5 for task in range(10)}
    parts = programs.task_id.map(groups)
    pairs = pd.concat([program_pairs(programs[parts == group], "") for group in range(5)], ignore_index=True)
    ranked = programs.assign(program_id=programs.task_id + "/" + programs.submission)
    return CloneBenchmark("made", "python", pairs, ranked[["program_id", "task_id", "code"]], groups)


def written() -> pd.DataFrame:
    """One clone and one near miss of each author for each of ten problems of HumanEval."""
    rows = []
    for task in range(10):
        for source, generator, form in (("gold", "", ""), ("llm", "big", "rewrite"), ("rule", "", "")):
            for good in (True, False):
                code = f"def own(x):\n    y = x * {task}\n    return y {'+' if good else '-'} 1\n"
                name = f"HumanEval/{task}/{source}/{good}"
                correct = f"def own(x):\n    return x * {task} + 1\n"
                rows.append((name, f"HumanEval/{task}", source, generator, form, good, code, correct, 2, 20, 0.9))
    columns = ["program_id", "task_id", "source", "generator", "form", "is_clone", "code", "correct"]
    return pd.DataFrame(rows, columns=[*columns, *frames.STATISTICS])


def pool(prefix: str, shown: tuple[str, ...] = ()) -> BenchmarkPairs:
    names = {f"HumanEval/{task}": "own" for task in range(10)}
    return pool_of(benchmark(prefix), written(), ARM, names, shown, embed)


def test_additions_follow_the_split_of_their_own_problems_and_all_serve_elsewhere() -> None:
    own, other = pool("HumanEval/"), pool("task")
    for fold in range(5):
        assert len(other.written("llm", fold, ARM)) == 20
        added = set(own.written("llm", fold, ARM).task_id)
        assert len(added) == 6 and not added & {*own.real(fold, "test").task_id, *own.real(fold, "dev").task_id}
    assert not other.written("rule", 0).code.str.contains("own").any(), "the names of functions are neutral"


def test_the_score_compares_programs_without_names_with_such() -> None:
    programs = pool("task").programs
    found = programs[programs.is_clone & (programs.source != "rule")]
    again = statistics(found, embed)
    assert set(found.source) == {"gold", "llm"}
    assert (found.similarity == again.similarity).all() and (found.edit_distance == again.edit_distance).all()
    assert programs.drop(index=found.index).similarity.isna().all(), "nobody compares these"


@pytest.mark.parametrize("condition", ["C2", "C3", "C4"])
def test_every_condition_adds_as_many_pairs_of_both_labels(condition: str) -> None:
    found = pool("task")
    cells = cells_of(found, ["C0", condition], [4, 1000], 12, ARM, Repeats([0, 1], [0]))
    assert sorted({cell.n_real for cell in cells}) == [4, 12] and {cell.n_added for cell in cells} == {0, 12}
    jobs = jobs_of(found, cells)
    for job, cell in zip(jobs, cells, strict=True):
        assert job.facts["benchmark"] == "made" and len(job.train) == cell.n_real + cell.n_added
        assert job.train[job.train.added].label.mean() == 0.5 or not cell.n_added
        assert set(job.test.pair_id) == set(rows_of_split(found.pairs, found.groups, cell.fold, "test").pair_id)


def test_an_added_clone_never_stands_beside_a_real_program() -> None:
    found = pool("HumanEval/")
    scarce = BenchmarkPairs(**{**vars(found), "programs": found.programs[found.programs.is_clone]})  # no near misses
    job = jobs_of(scarce, cells_of(scarce, ["C0", "C3"], [4], 12, ARM, Repeats([0], [0])))[-1]
    others = job.train[job.train.added & (job.train.kind == "random")]
    real = {*found.pairs.left, *found.pairs.right}
    assert len(others) == 6 and not real & {*others.left, *others.right}


def test_more_than_there_is_becomes_all_there_is_and_nothing_is_refused() -> None:
    found = pool("HumanEval/")
    cells = cells_of(found, ["C0", "C3"], [1000], 1000, ARM, Repeats([0], [0]))
    assert {cell.n_added for cell in cells} == {0, 12}
    none = BenchmarkPairs(
        **{**vars(found), "programs": found.programs.assign(is_clone=found.programs.source == "gold")}
    )
    with pytest.raises(StudyError, match="made: a fold has no clone of big/rewrite to add"):
        cells_of(none, ["C0", "C3"], [4], 4, ARM, Repeats([0], [0]))
    assert len(cells_of(none, ["C0"], [4], 4, ARM, Repeats([0], [0]))) == 1


@pytest.mark.parametrize(("asked", "trained"), [([], True), (["condefects"], False)])
def test_the_encoder_is_trained_where_it_is_asked_for(root: Path, asked: list[str], trained: bool) -> None:
    profile = read_profile(root / "params" / "full.yaml", NOTEBOOKS)
    p = resolve(profile, RealClones.notebook, RealClones, root / "notebooks")
    changed = p.model_copy(update={"encoder_benchmarks": asked, "n_added": 12})
    jobs = jobs_of_benchmark(pool("task"), changed, ARM, range(5))
    assert len(jobs.encoder) == 5 * len(p.encoder_conditions) * trained and len(jobs.untrained) == 5 and jobs.grid


def test_levels_differences_and_retrieval_of_a_known_student() -> None:
    found = pool("task")
    folds = Repeats(range(5), [0])
    jobs = jobs_of(found, cells_of(found, ["C0", "C3"], [1000], 8, ARM, folds))
    tables = []
    for number, job in enumerate(jobs):
        right = job.facts["condition"] == "C3"  # one student is always right, the other calls all clones
        score = job.test.label.astype(float) if right else 1.0
        facts = job.facts | {"seed": job.seed, "student": "known", "run_id": str(number)}
        tables.append(job.test.assign(score=score, threshold=0.5, **facts))
    pairs = per_pair(pd.concat(tables, ignore_index=True))
    levels = benchmark_results.pair_levels(pairs, 200, 0).set_index("condition")
    assert levels.f1.to_dict() == {"C0": pytest.approx(2 / 3), "C3": 1.0}
    assert levels.n_pairs.tolist() == [20, 20] and levels.accuracy.to_dict() == {"C0": 0.5, "C3": 1.0}
    gain = benchmark_results.differences(pairs, 200, 0, F1).iloc[0]
    assert gain.estimate == pytest.approx(1 / 3) and gain.n_pairs == 20 and gain.low > 0


def test_retrieval_is_compared_on_the_same_queries() -> None:
    found, folds, scored = pool("task"), Repeats(range(5), [0]), []
    for number, job in enumerate(rank_jobs(found, cells_of(found, ["C0", "C3"], [1000], 8, ARM, folds))):
        rows = job.rows({"test": [[float(job.facts["condition"] == "C3")]] * len(job.test)})
        scored.append(rows.assign(student="s", run_id=str(number), seed=0, **job.facts))
    ranked = pd.concat(scored, ignore_index=True)
    table = benchmark_results.retrieval_levels(ranked, 200, 0).set_index("condition")
    assert table.map_at_r.to_dict() == {"C0": 0.0, "C3": 1.0} and table.n_queries.tolist() == [30, 30]
    gain = benchmark_results.retrieval_differences(ranked, 200, 0)
    assert gain.estimate.tolist() == [1.0] and gain.n_queries.tolist() == [30] and gain.low.tolist() == [1.0]
    assert benchmark_results.retrieval_levels(ranked.iloc[:0], 200, 0).empty
